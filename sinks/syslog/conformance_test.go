package syslog_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/sinks/syslog"
)

func TestHandler_conforms(t *testing.T) {
	for name, test := range map[string]struct {
		scheme string
		opts   syslog.Options
	}{
		"by datagrams":         {"unixgram", syslog.Options{}},
		"by TCP":               {"tcp", syslog.Options{}},
		"over TLS":             {"tls", syslog.Options{}},
		"by lines over a unix": {"unix", syslog.Options{Framing: syslog.LF}},
	} {
		t.Run(name, func(t *testing.T) {
			handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
				d := newDaemon(t, test.scheme, "", test.opts.Framing)
				opts := test.opts
				opts.MaxRecordBytes = 64 << 10
				h := newHandler(t, d.target, opts)
				return h, func() []map[string]any {
					var results []map[string]any
					for _, text := range d.await(t, int(h.Account().Delivered)) {
						results = append(results, asMap(mustParse(t, text)))
					}
					return results
				}
			})
		})
	}
}

// asMap makes groups of the dots in names.
func asMap(m strict) map[string]any {
	all := map[string]any{"msg": m.message, "level": m.severity}
	if m.stamp != "-" {
		all["time"] = m.stamp
	}
	for _, p := range m.params {
		at := all
		path := strings.Split(p.name, ".")
		for _, group := range path[:len(path)-1] {
			inner, ok := at[group].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[group] = inner
			}
			at = inner
		}
		at[path[len(path)-1]] = p.value
	}
	return all
}

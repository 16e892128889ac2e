package config_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/config"
)

// lines returns what the function logs as a file of that format has it.
func lines(t *testing.T, format string, log func(*config.Pipeline)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.log")
	p := build(t, fmt.Sprintf("version: 1\nhandlers: {f: {kind: file, path: %s, format: %s}}\nroot: {level: debug, to: f}\n", path, format))
	log(p)
	if err := slogworks.Shutdown(t.Context(), p); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLayout(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 678e6, time.UTC)
	record := func(message string, args ...any) slog.Record {
		r := slog.NewRecord(at, slog.LevelWarn, message, 0)
		r.Add(args...)
		return r
	}
	for _, c := range []struct {
		layout string
		with   func(slog.Handler) slog.Handler
		record slog.Record
		want   string
	}{
		{`{layout: "{time} - {logger} - {level} - {msg}"}`, nil, record("hi", "logger", "a.b", "x", 1), "2026-01-02T15:04:05.678Z - a.b - WARN - hi"},
		{`{layout: "{time} {msg}", time_format: "2006-01-02 15:04:05,000"}`, nil, record("hi"), "2026-01-02 15:04:05,678 hi"},
		{`{layout: "{{{msg}}} {{"}`, nil, record("hi"), "{hi} {"},
		{`{layout: "[{logger}] {msg} {attrs}"}`, nil, record("hi", "logger", "a", "x", 1, "y", "b c"), `[a] hi x=1 y="b c"`},
		{`{layout: "{msg} {attrs}"}`, nil, record("hi", "logger", "a"), "hi logger=a"},
		{`{layout: "{msg}|{attrs}"}`, nil, record("hi"), "hi|"},
		{`{layout: "{msg} {attrs}"}`, nil, record("hi", "level", "x", "msg", "y", "time", 3), "hi level=x msg=y time=3"},
		{`{layout: "{attr:x} {attr:g.y} {attr:none}."}`, nil, record("hi", "x", "1\n2", slog.Group("g", "y", 2.5)), `1\n2 2.5 .`},
		{`{layout: "{msg} {attrs} {attr:g.a}"}`, func(h slog.Handler) slog.Handler {
			return h.WithAttrs([]slog.Attr{slog.String("w", "v")}).WithGroup("g").WithAttrs([]slog.Attr{slog.Int("a", 1)})
		}, record("hi", "b", 2, "logger", "no"), "hi w=v g.a=1 g.b=2 g.logger=no 1"},
		{`{layout: "{msg}"}`, nil, record("a\nb\r\x1b[31mc\u2028d\u202ee\xff\x00"), `a\nb\r\x1b[31mc\u2028d\u202ee` + "\ufffd" + `\x00`},
		{`{layout: "{logger}: {msg}"}`, nil, record("ü😀", "logger", "a\nb"), `a\nb: ü😀`},
		{`{layout: "{msg}{source}{function}"}`, nil, record("no source"), "no source"},
	} {
		got := lines(t, c.layout, func(p *config.Pipeline) {
			var h slog.Handler = p
			if c.with != nil {
				h = c.with(p)
			}
			if err := h.Handle(t.Context(), c.record); err != nil {
				t.Error(err)
			}
		})
		if got != c.want+"\n" {
			t.Errorf("%s\ngot  %q\nwant %q", c.layout, got, c.want+"\n")
		}
	}
}

func TestLayout_saysWhereItComesFrom(t *testing.T) {
	got := lines(t, `{layout: "{source} {function} {pid} {process} {host} {level}"}`, func(p *config.Pipeline) { slog.New(p).Error("m") })
	host, _ := os.Hostname()
	want := fmt.Sprintf(`^layout_test\.go:\d+ \S+func\d+ %d %s %s ERROR\n$`, os.Getpid(), regexp.QuoteMeta(filepath.Base(os.Args[0])), regexp.QuoteMeta(host))
	if !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("%q does not match %s", got, want)
	}
}

func TestLayout_keepsRecordsOfManyGoroutinesApart(t *testing.T) {
	got := lines(t, `{layout: "{msg} {attrs}"}`, func(p *config.Pipeline) {
		done := make(chan bool)
		for i := range 8 {
			go func() {
				l := slog.New(p).With("i", i)
				for j := range 100 {
					l.Info("m", "j", j)
				}
				done <- true
			}()
		}
		for range 8 {
			<-done
		}
	})
	line := regexp.MustCompile(`^m i=\d j=\d+$`)
	all := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(all) != 800 {
		t.Errorf("%d lines", len(all))
	}
	for _, l := range all {
		if !line.MatchString(l) {
			t.Fatalf("%q", l)
		}
	}
}

func TestFormat_isThatOfSlog(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 678e6, time.UTC)
	r := slog.NewRecord(at, slog.LevelDebug, "hi", 0)
	r.Add("x", 1)
	for format, handler := range map[string]func(io.Writer, *slog.HandlerOptions) slog.Handler{
		"json":         func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, o) },
		"text":         func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) },
		"{name: text}": func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) },
	} {
		got := lines(t, format, func(p *config.Pipeline) { p.Handle(context.Background(), r) })
		var want strings.Builder
		handler(&want, &slog.HandlerOptions{Level: slog.LevelDebug}).Handle(context.Background(), r)
		if got != want.String() {
			t.Errorf("%s: got %q, want %q", format, got, want.String())
		}
	}
}

func TestParse_readsLayouts(t *testing.T) {
	for layout, want := range map[string]string{
		"{msg":           "a { in the layout has no }; write {{ for a brace",
		"msg}":           "a } in the layout has no {; write }} for a brace",
		"{}":             "unknown {} in the layout, there is {time} {level} {logger} {msg} {source} {function} {host} {process} {pid} {attrs} {attr:KEY}",
		"{attr:}":        "unknown {attr:} in the layout, did you mean {attrs}?",
		"{message}":      "unknown {message} in the layout, there is {time} {level} {logger} {msg} {source} {function} {host} {process} {pid} {attrs} {attr:KEY}",
		`{msg}\n{attrs}`: "a layout is one line",
	} {
		got := mistakes(t, with(`h: {kind: file, path: x, format: {layout: "`+layout+`"}}`))
		if len(got) != 1 || !strings.HasSuffix(got[0], ": "+want) {
			t.Errorf("%s: got %q, want %q", layout, got, want)
		}
	}
	expect(t, with("h: {kind: file, path: x, format: {layout: '{msg}', name: json}}"), "d:3: handlers.h.format: a layout goes with time_format and nothing else")
	expect(t, with("h: {kind: file, path: x, format: {time_format: '15:04'}}"), "d:3: handlers.h.format: time_format is for a layout")
}

func TestLayout_saysWhereRecordsComeFrom(t *testing.T) {
	const document = `version: 1
handlers:
  h: {kind: file, path: %q, format: {layout: "{host} {process} {pid}|{msg}"}}
root: {to: [h]}
`
	host, err := os.Hostname()
	must(t, err)
	own := fmt.Sprintf("%s %s %d|", host, filepath.Base(os.Args[0]), os.Getpid())
	for relayed, want := range map[bool][]string{
		false: {own + "with", own + "on", own + "grouped", own + "none"},
		true:  {"far away 7|with", "far away 7|on", own + "grouped", own + "none"},
	} {
		path := filepath.Join(t.TempDir(), "a.log")
		d, err := config.Parse(fmt.Appendf(nil, document, path), &config.Options{NamesOnRecords: relayed})
		must(t, err)
		p, err := d.Build(t.Context())
		must(t, err)
		logger := slog.New(p)
		from := []any{"host", "far", "process", "away", "pid", 7}
		logger.With(from...).Info("with")
		logger.Info("on", from...)
		logger.WithGroup("g").Info("grouped", from...)
		logger.Info("none")
		must(t, slogworks.Shutdown(context.Background(), p))
		content, err := os.ReadFile(path)
		must(t, err)
		checkAll(t, fmt.Sprint("relayed ", relayed), strings.Split(strings.TrimSuffix(string(content), "\n"), "\n"), want)
	}
}

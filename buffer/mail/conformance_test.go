package mail_test

import (
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks/buffer/mail"
	"github.com/slogworks/slogworks/handlertest"
)

func TestHandler_conforms(t *testing.T) {
	handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
		s := newServer(t, script{noTLS: true})
		h := newHandler(t, s, func(cfg *mail.Config) { cfg.MaxAttach = 32 << 20 })
		return h, func() []map[string]any {
			var results []map[string]any
			for _, m := range s.received() {
				results = append(results, read(t, m.content).records(t)...)
			}
			return results
		}
	})
}

package queue_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

func TestHandler_conforms(t *testing.T) {
	for name, opts := range map[string]*queue.Options{
		"by default":        nil,
		"with a sync level": {SyncLevel: slog.LevelDebug},
		"without linger":    {Linger: -1, MaxBatch: 3},
	} {
		t.Run(name, func(t *testing.T) {
			handlertest.Run(t, func(next slog.Handler) slog.Handler { return queue.New(next, opts) })
		})
	}
	t.Run("shared", func(t *testing.T) {
		handlertest.Run(t, func(next slog.Handler) slog.Handler {
			return queue.New(next, nil).Share(next)
		})
	})
}

func TestHandler_composes(t *testing.T) {
	handlertest.Compose(t,
		handlertest.Stage{Name: "queue", New: func(next slog.Handler) slog.Handler { return queue.New(next, nil) }},
		handlertest.Stage{Name: "fanout", New: func(next slog.Handler) slog.Handler { return fanout.New(next) }},
		handlertest.Stage{Name: "failover", New: func(next slog.Handler) slog.Handler { return fanout.Failover(next) }},
		handlertest.Stage{Name: "router", New: func(next slog.Handler) slog.Handler {
			return fanout.Router(fanout.Route{To: next})
		}},
		handlertest.Stage{Name: "level", New: func(next slog.Handler) slog.Handler { return fanout.AtLeast(next, slog.LevelDebug) }},
		handlertest.Stage{Name: "on error", New: func(next slog.Handler) slog.Handler {
			return fanout.OnError(next, func(context.Context, slogworks.View, error) {})
		}},
	)
}

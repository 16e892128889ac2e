package fingerscrossed_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

func TestHandler_conforms(t *testing.T) {
	for name, opts := range map[string]*fingerscrossed.Options{
		"outside of scopes":     nil,
		"with a process buffer": {Process: true},
		"with all options": {
			Process: true,
			After:   fingerscrossed.PassAll,
			When:    slogworks.MessageContains("nothing of the kind"),
			Freeze:  func(v slog.Value) slog.Value { return v },
			OnError: func(error) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			handlertest.Run(t, func(next slog.Handler) slog.Handler { return fingerscrossed.New(next, opts) })
		})
	}
}

func TestScope_conforms(t *testing.T) {
	for name, opts := range map[string]*fingerscrossed.Options{
		"holding":                         nil,
		"holding what is below Level":     {Live: true},
		"released by every record":        {Trigger: slog.LevelDebug, After: fingerscrossed.Rearm},
		"released by the first record":    {Trigger: slog.LevelDebug},
		"nested, released by each record": {Trigger: slog.LevelDebug, After: fingerscrossed.Rearm, Process: true},
	} {
		t.Run(name, func(t *testing.T) {
			handlertest.Run(t, func(next slog.Handler) slog.Handler {
				h := fingerscrossed.New(next, opts)
				ctx, _ := h.Begin(context.Background())
				return bind(h.Scope(ctx), h)
			})
		})
	}
	t.Run("behind another handler", func(t *testing.T) {
		handlertest.Run(t, func(next slog.Handler) slog.Handler {
			h := fingerscrossed.New(next, nil)
			_, s := h.Begin(context.Background())
			return bind(s, fanout.New(h))
		})
	})
}

// bind returns the handler of a logger of the scope.
func bind(s *fingerscrossed.Scope, h slog.Handler) slog.Handler {
	return s.Logger(slog.New(h)).Handler()
}

func TestHandler_composes(t *testing.T) {
	handlertest.Compose(t,
		handlertest.Stage{Name: "fingerscrossed", New: func(next slog.Handler) slog.Handler {
			return fingerscrossed.New(next, nil)
		}},
		handlertest.Stage{Name: "fingerscrossed with a process", New: func(next slog.Handler) slog.Handler {
			return fingerscrossed.New(next, &fingerscrossed.Options{Process: true})
		}},
		handlertest.Stage{Name: "a scope", New: func(next slog.Handler) slog.Handler {
			h := fingerscrossed.New(next, nil)
			_, s := h.Begin(context.Background())
			return bind(s, h)
		}},
		handlertest.Stage{Name: "queue", New: func(next slog.Handler) slog.Handler { return queue.New(next, nil) }},
		handlertest.Stage{Name: "fanout", New: func(next slog.Handler) slog.Handler { return fanout.New(next) }},
		handlertest.Stage{Name: "AtLeast", New: func(next slog.Handler) slog.Handler { return fanout.AtLeast(next, slog.LevelDebug) }},
		handlertest.Stage{Name: "Lazy", New: func(next slog.Handler) slog.Handler { return lazily(next) }},
	)
}

package limit_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/limit"
	"github.com/slogworks/slogworks/queue"
)

// stages let everything pass that handlertest logs.
func stages() []handlertest.Stage {
	byMessage := func(_ context.Context, v slogworks.View) string { return v.Message() }
	return []handlertest.Stage{
		{Name: "limit", New: func(next slog.Handler) slog.Handler {
			return limit.New(next, &limit.Options{First: 1000})
		}},
		{Name: "limit with all rules", New: func(next slog.Handler) slog.Handler {
			return limit.New(next, &limit.Options{
				First: 1000, Kind: byMessage, MaxKinds: 2,
				Rate:   slogworks.Rate{N: 10_000, Per: time.Second},
				Sample: []limit.Sample{{Below: slog.LevelDebug, Every: 10}, {Below: slog.LevelError, Every: 1}},
			})
		}},
	}
}

func TestHandler_conforms(t *testing.T) {
	for _, stage := range stages() {
		t.Run(stage.Name, func(t *testing.T) { handlertest.Run(t, stage.New) })
	}
}

func TestHandler_composes(t *testing.T) {
	handlertest.Compose(t,
		stages()[1],
		handlertest.Stage{Name: "fanout", New: func(next slog.Handler) slog.Handler { return fanout.New(next) }},
		handlertest.Stage{Name: "queue", New: func(next slog.Handler) slog.Handler { return queue.New(next, nil) }},
		handlertest.Stage{Name: "fingerscrossed", New: func(next slog.Handler) slog.Handler { return fingerscrossed.New(next, nil) }},
	)
}

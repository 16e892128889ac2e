package levels_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/levels"
	"github.com/slogworks/slogworks/queue"
)

func withRules() *levels.Table {
	t := levels.NewTable(slog.LevelWarn)
	t.Set("", slog.LevelInfo, 0)
	t.Set("a.b", slog.LevelError, time.Hour)
	return t
}

func stages() []handlertest.Stage {
	return []handlertest.Stage{
		{Name: "levels", New: func(next slog.Handler) slog.Handler { return levels.New(next, nil) }},
		{Name: "levels with rules", New: func(next slog.Handler) slog.Handler {
			return levels.New(next, &levels.Options{Table: withRules()})
		}},
		{Name: "levels with names on records", New: func(next slog.Handler) slog.Handler {
			return levels.New(next, &levels.Options{Table: withRules(), NamesOnRecords: true})
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
	)
}

package fanout_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"
	"testing/slogtest"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
)

// stages are the handlers of this package, so built that they pass on all that
// next is enabled for.
func stages() []handlertest.Stage {
	ignore := func(context.Context, slogworks.View, error) {}
	never := func(context.Context, slogworks.View) bool { return false }
	return []handlertest.Stage{
		{Name: "New", New: func(next slog.Handler) slog.Handler { return fanout.New(next) }},
		{Name: "New of two", New: func(next slog.Handler) slog.Handler { return fanout.New(slog.DiscardHandler, next) }},
		{Name: "Router", New: func(next slog.Handler) slog.Handler {
			return fanout.Router(fanout.Route{When: never, To: slog.DiscardHandler}, fanout.Route{When: slogworks.Not(never), To: next})
		}},
		{Name: "First", New: func(next slog.Handler) slog.Handler {
			return fanout.First(fanout.Route{To: slog.DiscardHandler}, fanout.Route{To: next})
		}},
		{Name: "Failover", New: func(next slog.Handler) slog.Handler { return fanout.Failover(slog.DiscardHandler, next) }},
		{Name: "AtLeast", New: func(next slog.Handler) slog.Handler { return fanout.AtLeast(next, slog.LevelDebug) }},
		{Name: "OnError", New: func(next slog.Handler) slog.Handler { return fanout.OnError(next, ignore) }},
	}
}

func TestHandlers_passHandlertest(t *testing.T) {
	for _, stage := range stages() {
		t.Run(stage.Name, func(t *testing.T) { handlertest.Run(t, stage.New) })
	}
}

func TestHandlers_passHandlertestTogether(t *testing.T) {
	handlertest.Compose(t, stages()...)
}

func TestWritersHandler_passesHandlertest(t *testing.T) {
	handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
		var written bytes.Buffer
		h := fanout.Writers(nil, fanout.Out{W: &written}, fanout.Out{W: io.Discard, Min: new(slog.LevelVar)})
		return h, handlertest.JSON(t, &written)
	})
}

// TestHandlers_passSlogtest is for each of several outlets what handlertest,
// which looks at one, asks for.
func TestHandlers_passSlogtest(t *testing.T) {
	for name, build := range map[string]func(a, b slog.Handler) slog.Handler{
		"New": func(a, b slog.Handler) slog.Handler { return fanout.New(a, b) },
		"Router": func(a, b slog.Handler) slog.Handler {
			return fanout.Router(fanout.Route{To: a}, fanout.Route{To: b})
		},
	} {
		for outlet := range 2 {
			var written [2]bytes.Buffer
			slogtest.Run(t, func(*testing.T) slog.Handler {
				for i := range written {
					written[i].Reset()
				}
				return build(slog.NewJSONHandler(&written[0], nil), slog.NewJSONHandler(&written[1], nil))
			}, func(t *testing.T) map[string]any {
				results := handlertest.JSON(t, &written[outlet])()
				if len(results) != 1 {
					t.Fatalf("%s wrote %d records to handler %d", name, len(results), outlet+1)
				}
				return results[0]
			})
		}
	}
}

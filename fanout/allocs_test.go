package fanout_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
)

func TestHandlers_allocateNothingPerRecord(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	out := func() slog.Handler { return slog.NewJSONHandler(io.Discard, nil) }
	off := func() slog.Handler {
		return slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError})
	}
	ignore := func(context.Context, slogworks.View, error) {}
	var level slog.LevelVar
	acme := slogworks.AttrIs("tenant", "acme")
	tests := []struct {
		name    string
		handler slog.Handler
	}{
		{"New of two", fanout.New(out(), out())},
		{"New of four", fanout.New(out(), out(), off(), out())},
		{"Router of four", fanout.Router(
			fanout.Route{When: acme, To: out()}, fanout.Route{Min: &level, To: out()},
			fanout.Route{When: slogworks.Not(acme), To: out()}, fanout.Route{Min: slog.LevelError, To: out()})},
		{"First of four", fanout.First(
			fanout.Route{When: slogworks.LoggerIs("db"), To: out()}, fanout.Route{To: off()},
			fanout.Route{When: acme, To: out()}, fanout.Route{To: out()})},
		{"Failover", fanout.Failover(off(), out(), out())},
		{"AtLeast", fanout.AtLeast(out(), &level)},
		{"OnError", fanout.OnError(out(), ignore)},
		{"Writers of two", fanout.Writers(nil, fanout.Out{W: io.Discard}, fanout.Out{W: io.Discard, Min: &level})},
	}
	// They stay below what a record and slog.JSONHandler hold without allocating.
	attrs := []slog.Attr{slog.String("tenant", "acme"), slog.Int("status", 200), slog.Bool("cached", true)}
	for _, test := range tests {
		plain := slog.New(test.handler)
		for name, logger := range map[string]*slog.Logger{
			"":                        plain,
			", derived with attrs":    plain.With("tenant", "acme", "k", 1),
			", derived with a group":  plain.WithGroup("g"),
			", derived with all that": plain.With("tenant", "acme").WithGroup("g").With("k", 1),
		} {
			for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
				log := func() { logger.LogAttrs(context.Background(), level, "message", attrs...) }
				if got := testing.AllocsPerRun(100, log); got > 0 {
					t.Errorf("%s%s allocates %v times per record at %v", test.name, name, got, level)
				}
			}
		}
	}
}

package fanout_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
)

func discardJSON() slog.Handler { return slog.NewJSONHandler(io.Discard, nil) }

// BenchmarkHandlers logs a record of five attributes. Compare New with
// MultiHandler, and the others with Alone.
func BenchmarkHandlers(b *testing.B) {
	ignore := func(context.Context, slogworks.View, error) {}
	tenant := slogworks.AttrIs("tenant", "acme")
	for _, bench := range []struct {
		name    string
		handler slog.Handler
	}{
		{"Alone", discardJSON()},
		{"MultiHandler2", slog.NewMultiHandler(discardJSON(), discardJSON())},
		{"New2", fanout.New(discardJSON(), discardJSON())},
		{"MultiHandler4", slog.NewMultiHandler(discardJSON(), discardJSON(), discardJSON(), discardJSON())},
		{"New4", fanout.New(discardJSON(), discardJSON(), discardJSON(), discardJSON())},
		{"Router4one", fanout.Router(
			fanout.Route{Min: slog.LevelError, To: discardJSON()},
			fanout.Route{Max: slog.LevelDebug, To: discardJSON()},
			fanout.Route{When: slogworks.Not(tenant), To: discardJSON()},
			fanout.Route{When: tenant, To: discardJSON()})},
		{"Failover2", fanout.Failover(discardJSON(), discardJSON())},
		{"AtLeast", fanout.AtLeast(discardJSON(), slog.LevelInfo)},
		{"OnError", fanout.OnError(discardJSON(), ignore)},
		{"Writers2", fanout.Writers(nil, fanout.Out{W: io.Discard}, fanout.Out{W: io.Discard, Min: slog.LevelDebug})},
	} {
		b.Run(bench.name, func(b *testing.B) {
			logger := slog.New(bench.handler)
			attrs := []slog.Attr{
				slog.String("tenant", "acme"), slog.Int("status", 200), slog.String("path", "/orders"),
				slog.Int("bytes", 512), slog.Bool("cached", true),
			}
			b.ReportAllocs()
			for b.Loop() {
				logger.LogAttrs(context.Background(), slog.LevelInfo, "request done", attrs...)
			}
		})
	}
}

package memory_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/slogworks/slogworks/sinks/memory"
)

var fiveScalars = []slog.Attr{
	slog.String("method", "GET"),
	slog.Int("status", 200),
	slog.Duration("took", time.Second),
	slog.Bool("cached", false),
	slog.Float64("ratio", 0.5),
}

// A record costs one allocation for itself and one for its context without
// cancellation; the pointers to the records add up to less than one.
func TestHandler_allocatesTwicePerRecord(t *testing.T) {
	ctx := context.Background()
	for name, opts := range map[string]*memory.Options{"growing": nil, "full": {MaxRecords: 100}} {
		t.Run(name, func(t *testing.T) {
			logger := slog.New(memory.New(opts)).With("service", "shop")
			got := testing.AllocsPerRun(1000, func() {
				logger.LogAttrs(ctx, slog.LevelInfo, "request", fiveScalars...)
			})
			if got > 2 {
				t.Errorf("%v allocations per record, want 2", got)
			}
		})
	}
}

func BenchmarkHandler(b *testing.B) {
	ctx := context.Background()
	for _, bench := range []struct {
		name string
		h    slog.Handler
	}{
		{"memory", memory.New(nil)},
		{"memory/With", memory.New(nil).WithAttrs(fiveScalars)},
		{"slog.DiscardHandler", slog.DiscardHandler},
	} {
		b.Run(bench.name, func(b *testing.B) {
			logger := slog.New(bench.h)
			b.ReportAllocs()
			for b.Loop() {
				logger.LogAttrs(ctx, slog.LevelInfo, "request", fiveScalars...)
			}
		})
	}
}

func BenchmarkQuery(b *testing.B) {
	logs := memory.New(nil)
	for i := range 10_000 {
		slog.New(logs).LogAttrs(context.Background(), slog.LevelInfo, "request", slog.Int("order", i))
	}
	b.ReportAllocs()
	for b.Loop() {
		if logs.Level(slog.LevelInfo).Attr("order", 7).Len() != 1 {
			b.Fatal("wrong answer")
		}
	}
}

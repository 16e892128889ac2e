package queue_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/queue"
)

// burst is how many records a benchmark logs before it lets the worker catch
// up, so that the queue is never full.
const burst = 4096

var fiveAttrs = []slog.Attr{
	slog.String("user", "alice"), slog.Int("status", 200), slog.Duration("took", time.Millisecond),
	slog.Bool("cached", true), slog.Float64("load", 0.5),
}

var (
	plainNop = handleFunc(func(context.Context, slog.Record) error { return nil })
	batchNop = batchFunc(func(context.Context, slogworks.Batch) error { return nil })
)

// BenchmarkHandler_Handle is what a record costs its caller, Logger included;
// without a queue is the same Logger over the same sink.
func BenchmarkHandler_Handle(b *testing.B) {
	b.Run("without a queue", func(b *testing.B) {
		logger := slog.New(plainNop)
		b.ReportAllocs()
		for b.Loop() {
			logger.LogAttrs(context.Background(), slog.LevelInfo, "request served", fiveAttrs...)
		}
	})
	for _, bench := range []struct {
		name string
		next slog.Handler
		with []any
	}{
		{"single", plainNop, nil},
		{"single and With", plainNop, []any{"service", "shop", "version", 3}},
		{"batches", batchNop, nil},
		{"batches and With", batchNop, []any{"service", "shop", "version", 3}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			q := queue.New(bench.next, &queue.Options{Capacity: 2 * burst})
			logger := slog.New(q).With(bench.with...)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%burst == burst-1 {
					b.StopTimer()
					_ = q.Flush(context.Background())
					b.StartTimer()
				}
				logger.LogAttrs(context.Background(), slog.LevelInfo, "request served", fiveAttrs...)
			}
			_ = q.Close()
		})
	}
}

// BenchmarkHandler_Handle_dropping is what a record costs that finds no room.
func BenchmarkHandler_Handle_dropping(b *testing.B) {
	open := make(gate)
	q := queue.New(handleFunc(func(context.Context, slog.Record) error { <-open; return nil }), &queue.Options{Capacity: 1})
	logger := slog.New(q)
	b.ReportAllocs()
	for b.Loop() {
		logger.LogAttrs(context.Background(), slog.LevelInfo, "request served", fiveAttrs...)
	}
	close(open)
	_ = q.Close()
}

// BenchmarkHandler_parallel is throughput, with all records handled.
func BenchmarkHandler_parallel(b *testing.B) {
	for _, bench := range []struct {
		name string
		next slog.Handler
	}{{"single", plainNop}, {"batches", batchNop}} {
		b.Run(bench.name, func(b *testing.B) {
			q := queue.New(bench.next, &queue.Options{BlockAll: true, MaxBlock: time.Minute})
			logger := slog.New(q).With("service", "shop")
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					logger.LogAttrs(context.Background(), slog.LevelInfo, "request served", fiveAttrs...)
				}
			})
			_ = q.Close()
		})
	}
}

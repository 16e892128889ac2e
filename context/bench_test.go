package slogctx_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	slogctx "github.com/slogworks/slogworks/context"
)

type depth int

// deep returns a context made from n others.
func deep(n int) context.Context {
	ctx := context.Background()
	for i := range n {
		ctx = context.WithValue(ctx, depth(i), i)
	}
	return ctx
}

// BenchmarkHandlers logs a record of five attributes. Compare Stack and New
// with Alone, and NewAdding2 with AloneWith2.
func BenchmarkHandlers(b *testing.B) {
	discard := func() slog.Handler { return slog.NewJSONHandler(io.Discard, nil) }
	two := []slog.Attr{slog.String("request_id", "r-1"), slog.Int("user", 7)}
	add := func(_ context.Context, r *slog.Record) { r.AddAttrs(two[0]) }
	one := pushed(slog.DiscardHandler, discard(), nil)
	for _, bench := range []struct {
		name    string
		handler slog.Handler
		ctx     context.Context
	}{
		{"Alone", discard(), deep(1)},
		{"AloneWith2", discard().WithAttrs(two), deep(1)},
		{"StackPushedDepth1", one, deep(1)},
		{"StackPushedDepth8", one, deep(8)},
		{"StackBound", slogctx.NewStack(discard()), slogctx.Bind(deep(1), discard(), nil)},
		{"StackBlackhole", slogctx.NewStack(discard()), slogctx.Bind(deep(1), slogctx.Blackhole(), nil)},
		{"NewDepth1", slogctx.New(discard(), nil), deep(1)},
		{"NewDepth8", slogctx.New(discard(), nil), deep(8)},
		{"NewAdding2", slogctx.New(discard(), nil), slogctx.WithAttrs(deep(1), two...)},
		{"NewAdding2InGroup", slogctx.New(discard(), nil).WithGroup("g"), slogctx.WithAttrs(deep(1), two...)},
		{"NewProcessing", slogctx.New(discard(), nil), slogctx.Process(deep(1), add)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			logger := slog.New(bench.handler)
			attrs := []slog.Attr{
				slog.String("tenant", "acme"), slog.Int("status", 200), slog.String("path", "/orders"),
				slog.Duration("took", 15*time.Millisecond), slog.Bool("cached", true),
			}
			b.ReportAllocs()
			for b.Loop() {
				logger.LogAttrs(bench.ctx, slog.LevelInfo, "request done", attrs...)
			}
		})
	}
}

func BenchmarkWith(b *testing.B) {
	ctx := deep(1)
	b.ReportAllocs()
	for b.Loop() {
		slogctx.With(ctx, "request_id", "r-1", "user", 7)
	}
}

package handlertest_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/slogworks/slogworks"
)

// through passes records on within Handle, rightly unless it is given flaws.
type through struct {
	next slog.Handler
	*throughFlaws
}

// throughFlaws replace what through does.
type throughFlaws struct {
	enabled     func(h *through, ctx context.Context, level slog.Level) bool
	handle      func(h *through, ctx context.Context, r slog.Record) error
	handleBatch func(h *through, ctx context.Context, b slogworks.Batch) error
	withAttrs   func(h *through, attrs []slog.Attr) slog.Handler
	withGroup   func(h *through, name string) slog.Handler
	unwrap      func(h *through) slog.Handler
}

var _ slogworks.BatchHandler = (*through)(nil)

func newThrough(next slog.Handler) slog.Handler { return flawedThrough(throughFlaws{})(next) }

func flawedThrough(flaws throughFlaws) func(slog.Handler) slog.Handler {
	return func(next slog.Handler) slog.Handler {
		requireNext(next)
		return &through{next, &flaws}
	}
}

func requireNext(next slog.Handler) {
	if next == nil {
		panic("handlertest_test: nil Handler")
	}
	if fmt.Sprintf("%T", next) == "*slog.defaultHandler" {
		panic("handlertest_test: use slog.NewTextHandler(os.Stderr, nil)")
	}
}

func (h *through) Enabled(ctx context.Context, level slog.Level) bool {
	if h.enabled != nil {
		return h.enabled(h, ctx, level)
	}
	return h.next.Enabled(ctx, level)
}

func (h *through) Handle(ctx context.Context, r slog.Record) error {
	if h.handle != nil {
		return h.handle(h, ctx, r)
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h *through) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	if h.handleBatch != nil {
		return h.handleBatch(h, ctx, b)
	}
	return handOn(ctx, h.next, b)
}

// handOn hands b to next as it should be done.
func handOn(ctx context.Context, next slog.Handler, b slogworks.Batch) error {
	if next, ok := next.(slogworks.BatchHandler); ok {
		return next.HandleBatch(ctx, b)
	}
	for _, item := range b.Items {
		if err := next.Handle(item.Context, item.Record); err != nil {
			return err
		}
	}
	return nil
}

func (h *through) WithAttrs(attrs []slog.Attr) slog.Handler {
	if h.withAttrs != nil {
		return h.withAttrs(h, attrs)
	}
	if len(attrs) == 0 {
		return h
	}
	return &through{h.next.WithAttrs(slices.Clone(attrs)), h.throughFlaws}
}

func (h *through) WithGroup(name string) slog.Handler {
	if h.withGroup != nil {
		return h.withGroup(h, name)
	}
	if name == "" {
		return h
	}
	return &through{h.next.WithGroup(name), h.throughFlaws}
}

func (h *through) Unwrap() slog.Handler {
	if h.unwrap != nil {
		return h.unwrap(h)
	}
	return h.next
}

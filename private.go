package slogworks

import (
	"context"
	"log/slog"
	"slices"
)

// Private hides h from Flush, Shutdown and Books: for a stage that another
// pipeline uses too and that must outlive this one. Otherwise the handler does
// what h does, batches included. Private panics if h is nil.
func Private(h slog.Handler) slog.Handler {
	if h == nil {
		panic("slogworks: nil Handler")
	}
	if batches, ok := h.(BatchHandler); ok {
		return &privateBatch{batches}
	}
	return &private{h}
}

type private struct{ next slog.Handler }

func (p *private) Enabled(ctx context.Context, level slog.Level) bool {
	return p.next.Enabled(ctx, level)
}

func (p *private) Handle(ctx context.Context, r slog.Record) error {
	return p.next.Handle(ctx, r)
}

func (p *private) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return p
	}
	return Private(p.next.WithAttrs(slices.Clone(attrs)))
}

func (p *private) WithGroup(name string) slog.Handler {
	if name == "" {
		return p
	}
	return Private(p.next.WithGroup(name))
}

// privateBatch is a type of its own because having a HandleBatch method is a
// promise that not every handler can keep.
type privateBatch struct{ next BatchHandler }

func (p *privateBatch) Enabled(ctx context.Context, level slog.Level) bool {
	return p.next.Enabled(ctx, level)
}

func (p *privateBatch) Handle(ctx context.Context, r slog.Record) error {
	return p.next.Handle(ctx, r)
}

func (p *privateBatch) HandleBatch(ctx context.Context, b Batch) error {
	return p.next.HandleBatch(ctx, b)
}

func (p *privateBatch) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return p
	}
	return Private(p.next.WithAttrs(slices.Clone(attrs)))
}

func (p *privateBatch) WithGroup(name string) slog.Handler {
	if name == "" {
		return p
	}
	return Private(p.next.WithGroup(name))
}

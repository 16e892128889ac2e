package fanout

import (
	"context"
	"log/slog"
	"slices"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// LevelHandler lets a handler see only records of a lowest level or above. It
// is safe for concurrent use if the handler is. It guards nothing: errors and
// panics of the handler reach the caller as they are.
type LevelHandler struct {
	next slog.Handler
	min  slog.Leveler
}

var _ slogworks.BatchHandler = (*LevelHandler)(nil)

// AtLeast returns a handler that passes on to h the records of level min and
// above. The level is read for every record, so that a *slog.LevelVar can be
// changed at any time. It can only narrow: h's own level still holds. A nil min
// is slog.LevelInfo. AtLeast panics if h is nil or is slog's own default
// handler.
func AtLeast(h slog.Handler, min slog.Leveler) *LevelHandler {
	return &LevelHandler{stage.Require("fanout", h), stage.Level("fanout", min, slog.LevelInfo)}
}

// Enabled reports whether the level is high enough and the handler enabled.
func (h *LevelHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.min.Level() && h.next.Enabled(ctx, level)
}

// Handle passes the record on if its level is high enough, and returns what
// the handler returns.
func (h *LevelHandler) Handle(ctx context.Context, r slog.Record) error {
	if !h.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// HandleBatch passes on the part of b whose level is high enough. It returns
// what the handler returns, a [*slogworks.DeliveryError] with Accepted counting
// the items of b.
func (h *LevelHandler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	part := stage.Filter(b, func(_ int, item slogworks.Item) bool {
		return h.Enabled(item.Context, item.Record.Level)
	})
	if len(part.Items) == 0 {
		return nil
	}
	return part.InWhole(stage.HandleBatch(ctx, h.next, part.Batch), len(b.Items))
}

// WithAttrs returns a handler whose next handler has the attributes added.
func (h *LevelHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &LevelHandler{h.next.WithAttrs(slices.Clone(attrs)), h.min}
}

// WithGroup returns a handler whose next handler has the group opened.
func (h *LevelHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &LevelHandler{h.next.WithGroup(name), h.min}
}

// Unwrap returns the handler.
func (h *LevelHandler) Unwrap() slog.Handler { return h.next }

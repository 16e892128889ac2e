// Package fanout makes one slog.Handler of several.
//
//   - [New] gives each record to every handler,
//   - [Router] to every route that matches it, [First] to the first one,
//   - [Failover] to the first handler that takes it,
//   - [Writers] encodes it once and writes it to several places,
//   - [AtLeast] sets a lowest level for one handler, and
//   - [OnError] reports the errors that slog.Logger ignores.
//
// Use it when records go to more than one place. For one place, use that
// handler alone; to set the level of one handler, use the options of that
// handler. slog.NewMultiHandler is the standard library's New: choose it where
// no handler ever panics, changes the attributes it is given, or needs to be
// flushed or shut down.
//
// All of it runs on the goroutine that logs, handler after handler, and starts
// no goroutine: a record costs what its handlers cost together, and a slow
// handler delays the others and the caller. Put a slow one behind a queue.
// Nothing is allocated per record except where an error is returned or by a
// predicate. What one handler does, be it failing or panicking, does not reach
// the others; its error reaches the caller.
//
// Nothing is held back, so nothing is lost when the process ends, whichever way.
// What a handler does not take is lost to that handler, since nobody here tries
// again: that, too, is for a queue behind the fan-out.
//
// The smallest program:
//
//	logger := slog.New(fanout.New(
//		slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}),
//		slog.NewJSONHandler(file, nil),
//	))
package fanout

import (
	"context"
	"errors"
	"log/slog"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// Handler gives each record to all of its handlers, in their order. It is safe
// for concurrent use if they are. Each child that is enabled for a record gets
// a clone of it, and each derived child a copy of the attributes; what the
// children return is joined into one error.
//
// A panic of a child is a [*slogworks.PanicError] among them. A child that
// panics in Enabled counts as enabled, so that Handle can return the panic; one
// that panics in WithAttrs or WithGroup fails every record of the derived
// handler with it. A [*slogworks.DeliveryError] of a child is not visible as
// such, since it counts that child's records and nobody else's.
//
// A batch goes to every child that takes batches as one batch, without the
// records that the child is not enabled for; if the last record of an
// Escalation is among these, the child gets a Stream. Other children get it
// record by record.
type Handler struct{ children []*guard }

var _ slogworks.BatchHandler = (*Handler)(nil)

// New returns a handler that gives each record to all of handlers. Without
// handlers it discards every record; a single one is guarded like several. It
// panics if one of them is nil or is slog's own default handler.
func New(handlers ...slog.Handler) *Handler {
	return &Handler{guardAll(handlers)}
}

// Enabled reports whether at least one handler is enabled.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return anyEnabled(h.children, ctx, level)
}

// Handle calls every handler that is enabled for the record.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	var errs []error
	for _, child := range h.children {
		if _, err := child.offer(ctx, &r); err != nil {
			errs = append(errs, opaque(err))
		}
	}
	return errors.Join(errs...)
}

// HandleBatch gives each handler the part of b that it is enabled for. It
// returns the errors of all.
func (h *Handler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	var errs []error
	for _, child := range h.children {
		part := stage.Filter(b, func(_ int, item slogworks.Item) bool {
			return child.enabled(item.Context, item.Record.Level)
		})
		if err := child.handleBatch(ctx, part.Batch, func(int) {}); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// WithAttrs returns a handler whose children have the attributes added, each a
// copy of its own.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &Handler{withAttrs(h.children, attrs)}
}

// WithGroup returns a handler whose children have the group opened.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &Handler{withGroup(h.children, name)}
}

// Unwrap returns the handlers.
func (h *Handler) Unwrap() []slog.Handler { return unwrap(h.children) }

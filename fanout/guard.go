package fanout

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// guard stands between a fan-out and one of its children, so that nothing the
// child does reaches its siblings.
type guard struct{ next slog.Handler }

func guardAll(handlers []slog.Handler) []*guard {
	guards := make([]*guard, len(handlers))
	for i, h := range handlers {
		guards[i] = &guard{stage.Require("fanout", h)}
	}
	return guards
}

func (g *guard) withAttrs(attrs []slog.Attr) *guard {
	return g.derive(func(h slog.Handler) slog.Handler { return h.WithAttrs(slices.Clone(attrs)) })
}

func (g *guard) withGroup(name string) *guard {
	return g.derive(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func withAttrs(guards []*guard, attrs []slog.Attr) []*guard {
	derived := make([]*guard, len(guards))
	for i, g := range guards {
		derived[i] = g.withAttrs(attrs)
	}
	return derived
}

func withGroup(guards []*guard, name string) []*guard {
	derived := make([]*guard, len(guards))
	for i, g := range guards {
		derived[i] = g.withGroup(name)
	}
	return derived
}

// anyEnabled asks the children without their guards, since one deferred call
// for all costs less where it matters most: for records that nobody wants.
func anyEnabled(guards []*guard, ctx context.Context, level slog.Level) (enabled bool) {
	defer enabledIfPanicking(&enabled)
	for _, g := range guards {
		if g.next.Enabled(ctx, level) {
			return true
		}
	}
	return false
}

// enabledIfPanicking makes a child that panics in Enabled an enabled one, so
// that Handle is called, which can say what is wrong.
func enabledIfPanicking(enabled *bool) {
	if recover() != nil {
		*enabled = true
	}
}

func unwrap(guards []*guard) []slog.Handler {
	handlers := make([]slog.Handler, len(guards))
	for i, g := range guards {
		handlers[i] = g.next
	}
	return handlers
}

// derive guards what with makes of the child. A child that panics then, where
// there is nobody to return an error to, fails every record instead.
func (g *guard) derive(with func(slog.Handler) slog.Handler) *guard {
	derived, err := func() (h slog.Handler, err error) {
		defer stage.Rescue(&err)
		return with(g.next), nil
	}()
	if err != nil {
		return &guard{&broken{g.next, err}}
	}
	return &guard{derived}
}

// enabled asks the child; one that panics is enabled, so that it is called and
// can say what is wrong.
func (g *guard) enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer enabledIfPanicking(&enabled)
	return g.next.Enabled(ctx, level)
}

// offer hands the child a clone of r if it is enabled for it, and reports
// whether it did. The record comes by reference because each further copy of
// its 288 bytes can be measured.
func (g *guard) offer(ctx context.Context, r *slog.Record) (handed bool, err error) {
	defer stage.Rescue(&err)
	handed = true // what a panic in Enabled leaves
	if !g.next.Enabled(ctx, r.Level) {
		return false, nil
	}
	return true, g.next.Handle(ctx, r.Clone())
}

// handleBatch hands b to the child and calls delivered with the index of each
// item that the child took. One that takes single records, be it behind others,
// is called even after an item failed: nobody up here tries again, so the rest
// would be lost with it.
func (g *guard) handleBatch(ctx context.Context, b slogworks.Batch, delivered func(n int)) error {
	if len(b.Items) == 0 {
		return nil
	}
	var errs []error
	if _, ok := g.next.(slogworks.BatchHandler); ok {
		at := 0
		deliveredTo := func(end int) {
			for ; at < end; at++ {
				delivered(at)
			}
		}
		stage.HandleAll(ctx, g.next, b, func(err error, first, end int) {
			errs = append(errs, opaque(err))
			deliveredTo(first)
			at = end
		})
		deliveredTo(len(b.Items))
		if len(errs) == 1 {
			return errs[0]
		}
		return errors.Join(errs...)
	}
	for n, item := range b.Items {
		handed, err := g.offer(item.Context, &item.Record)
		if err != nil {
			errs = append(errs, opaque(err))
		} else if handed {
			delivered(n)
		}
	}
	return errors.Join(errs...)
}

// broken is a child that panicked in WithAttrs or WithGroup.
type broken struct {
	next slog.Handler
	err  error
}

func (b *broken) Enabled(ctx context.Context, level slog.Level) bool {
	return b.next.Enabled(ctx, level)
}
func (b *broken) Handle(context.Context, slog.Record) error { return b.err }
func (b *broken) WithAttrs([]slog.Attr) slog.Handler        { return b }
func (b *broken) WithGroup(string) slog.Handler             { return b }
func (b *broken) Unwrap() slog.Handler                      { return b.next }

// opaque hides a DeliveryError, which counts the items of one child, from a
// caller that would take it for its own.
func opaque(err error) error {
	if err == nil {
		return nil
	}
	var delivery *slogworks.DeliveryError
	if errors.As(err, &delivery) {
		return &childError{err}
	}
	return err
}

type childError struct{ err error }

func (e *childError) Error() string        { return e.err.Error() }
func (e *childError) Is(target error) bool { return errors.Is(e.err, target) }
func (e *childError) As(target any) bool {
	if _, ok := target.(**slogworks.DeliveryError); ok {
		return false
	}
	return errors.As(e.err, target)
}

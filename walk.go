package slogworks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
)

// Flush asks every stage of the pipeline h to deliver what it has decided to
// deliver: the records in a queue, the bytes in a file's buffer. Records that a
// stage holds until something happens stay held. It goes from the outside in,
// so that what one stage gives to the next is flushed there too, calls all
// stages whatever errors some return, and joins the errors.
//
// A stage takes part by having any of the methods
//
//	Unwrap() slog.Handler            // or Unwrap() []slog.Handler: what it wraps
//	Flush(context.Context) error
//	Shutdown(context.Context) error
//	Account() Account
//
// A handler that holds other handlers and does not say which, such as
// slog.MultiHandler, hides them. Flush cannot reach what is behind it and its
// error names the type: use fanout.New instead, give the type an Unwrap method,
// or wrap it in [Private] if nothing behind it needs care.
//
// Flush panics if h is nil.
func Flush(ctx context.Context, h slog.Handler) error {
	return each(h, "Flush", func(h slog.Handler) error {
		if stage, ok := h.(interface{ Flush(context.Context) error }); ok {
			return stage.Flush(ctx)
		}
		return nil
	})
}

// Shutdown ends every stage of the pipeline h: each refuses further records,
// delivers what it has and releases its files and goroutines, a stage always
// after all that feed it. If ctx ends first, the stages still release what they
// have, and the error says how many records were lost. Handlers that are
// reached and how errors come back: as for [Flush].
//
// Shutdown panics if h is nil.
func Shutdown(ctx context.Context, h slog.Handler) error {
	return each(h, "Shutdown", func(h slog.Handler) error {
		if stage, ok := h.(interface{ Shutdown(context.Context) error }); ok {
			return stage.Shutdown(ctx)
		}
		return nil
	})
}

// stage is a handler that the walk has reached. Its height is the longest way
// down from it, so that whatever feeds a stage is higher than the stage,
// whichever way it was reached.
type stage struct {
	handler slog.Handler
	height  int
}

// maxDepth ends the walk of a handler whose Unwrap leads back to itself.
const maxDepth = 1000

// stagesOf returns h and the handlers behind it, those above always before
// those below. A handler that is reached twice is there twice: handlers cannot
// be told apart in general, since a legal one may be of a type that == panics
// on, and the verbs may be called again.
func stagesOf(h slog.Handler) []stage {
	if h == nil {
		panic("slogworks: nil Handler")
	}
	var stages []stage
	var visit func(h slog.Handler, depth int) (height int)
	visit = func(h slog.Handler, depth int) int {
		if h == nil || depth > maxDepth {
			return 0
		}
		at := len(stages)
		stages = append(stages, stage{handler: h})
		height := 0
		for _, next := range unwrap(h) {
			height = max(height, visit(next, depth+1))
		}
		stages[at].height = height + 1
		return height + 1
	}
	visit(h, 0)
	slices.SortStableFunc(stages, func(a, b stage) int { return cmp.Compare(b.height, a.height) })
	return stages
}

func unwrap(h slog.Handler) []slog.Handler {
	switch h := h.(type) {
	case interface{ Unwrap() slog.Handler }:
		return []slog.Handler{h.Unwrap()}
	case interface{ Unwrap() []slog.Handler }:
		return h.Unwrap()
	}
	return nil
}

func each(h slog.Handler, verb string, call func(slog.Handler) error) error {
	var errs []error
	for _, s := range stagesOf(h) {
		errs = append(errs, contain(s.handler, call))
		if hidden := hiddenIn(s.handler); hidden != nil {
			errs = append(errs, fmt.Errorf("slogworks: %s cannot see into %T, which holds %v: give it an Unwrap method or use fanout.New", verb, s.handler, hidden))
		}
	}
	return errors.Join(errs...)
}

// contain keeps the panic of one stage from costing the others their turn.
func contain(h slog.Handler, call func(slog.Handler) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("slogworks: %T: %w", h, &PanicError{Value: p, Stack: debug.Stack()})
		}
	}()
	return call(h)
}

package slogworks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
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
	err     error // why the walk cannot go further down from here
}

// identity tells handlers apart that are pointers.
type identity struct {
	kind    reflect.Type
	pointer uintptr
}

// maxStages ends the walk of a handler that is not a pointer and whose Unwrap
// leads back to itself.
const maxStages = 1 << 16

// stagesOf returns h and the handlers behind it, those above always before
// those below. A pointer that is reached twice is there once. Other handlers
// are there as often as they are reached, since a legal one may be of a type
// that == panics on, and the verbs may be called again.
func stagesOf(h slog.Handler) []stage {
	if h == nil {
		panic("slogworks: nil Handler")
	}
	var stages []stage
	heights := map[identity]int{} // 0 while the walk is below the handler
	var visit func(h slog.Handler) (height int)
	visit = func(h slog.Handler) int {
		if h == nil || len(stages) == maxStages {
			return 0
		}
		v := reflect.ValueOf(h)
		var id identity
		if v.Kind() == reflect.Pointer {
			id = identity{v.Type(), v.Pointer()}
			if height, ok := heights[id]; ok {
				return height
			}
			heights[id] = 0
		}
		at := len(stages)
		stages = append(stages, stage{handler: h})
		height := 1
		behind, err := unwrap(h)
		for _, next := range behind {
			height = max(height, visit(next)+1)
		}
		if v.Kind() == reflect.Pointer {
			heights[id] = height
		}
		stages[at].height, stages[at].err = height, err
		return height
	}
	visit(h)
	slices.SortStableFunc(stages, func(a, b stage) int { return cmp.Compare(b.height, a.height) })
	return stages
}

func unwrap(h slog.Handler) (behind []slog.Handler, err error) {
	err = contain(h, func(h slog.Handler) error {
		switch h := h.(type) {
		case interface{ Unwrap() slog.Handler }:
			behind = []slog.Handler{h.Unwrap()}
		case interface{ Unwrap() []slog.Handler }:
			behind = h.Unwrap()
		}
		return nil
	})
	return behind, err
}

func each(h slog.Handler, verb string, call func(slog.Handler) error) error {
	var errs []error
	for _, s := range stagesOf(h) {
		errs = append(errs, contain(s.handler, call), s.err)
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

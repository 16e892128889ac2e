// Package stage is what every stage of a pipeline does alike with the handlers
// it wraps: checking them when it is built, and calling them so that neither a
// panic nor a missing HandleBatch is a matter of the caller.
package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"

	"github.com/slogworks/slogworks"
)

// Require returns h. It panics, in the name of the package pkg, if h is nil or
// is slog's initial default handler. That one writes through the log package,
// which slog.SetDefault points back at slog, so that wrapping it and making the
// result the default ends in a deadlock at the first record.
func Require(pkg string, h slog.Handler) slog.Handler {
	if h == nil {
		panic(pkg + ": nil Handler")
	}
	if fmt.Sprintf("%T", h) == "*slog.defaultHandler" {
		panic(pkg + ": slog's default handler deadlocks once what wraps it is the default: wrap a new handler, such as slog.NewTextHandler(os.Stderr, nil)")
	}
	return h
}

// Level returns l, or def if l is nil. It panics, in the name of the package
// pkg, if l is a nil pointer: asking it for its level would panic at every
// record.
func Level(pkg string, l slog.Leveler, def slog.Level) slog.Leveler {
	if l == nil {
		return def
	}
	if v := reflect.ValueOf(l); v.Kind() == reflect.Pointer && v.IsNil() {
		panic(fmt.Sprintf("%s: nil %T as a level: leave the field nil or set it to new(slog.LevelVar)", pkg, l))
	}
	return l
}

// Rescue is deferred by what calls code that is not ours: it turns a panic into
// a [*slogworks.PanicError] and leaves *err alone otherwise.
func Rescue(err *error) {
	if p := recover(); p != nil {
		*err = &slogworks.PanicError{Value: p, Stack: debug.Stack()}
	}
}

// IsPanic reports whether err is or wraps a [*slogworks.PanicError]. It calls
// methods of an error that is not ours, and that may be a nil pointer.
func IsPanic(err error) (is bool) {
	defer func() { _ = recover() }()
	var panicked *slogworks.PanicError
	return errors.As(err, &panicked)
}

// Handle calls h.Handle; a panic comes back as an error.
func Handle(ctx context.Context, h slog.Handler, r slog.Record) (err error) {
	defer Rescue(&err)
	return h.Handle(ctx, r)
}

// Offer calls h.Handle if h is enabled for the record; a panic in either comes
// back as an error.
func Offer(ctx context.Context, h slog.Handler, r slog.Record) (err error) {
	defer Rescue(&err)
	if !h.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handle(ctx, r)
}

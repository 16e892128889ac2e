package slogworks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
)

// Predicate decides about a record: whether a route takes it, a buffer opens,
// a bound handler sees it. It is called on the goroutine that logs and may be
// called by several at once; it should be quick and must not log. The View is
// only valid during the call unless the record was made to be kept.
type Predicate func(ctx context.Context, v View) bool

// MessageContains accepts records whose message contains substr.
func MessageContains(substr string) Predicate {
	return func(_ context.Context, v View) bool {
		return strings.Contains(v.Message(), substr)
	}
}

// LoggerIs accepts records of the logger of that name and of those below it:
// LoggerIs("a.b") accepts "a.b" and "a.b.c", not "a.bc". LoggerIs("") accepts
// every record.
func LoggerIs(name string) Predicate {
	return func(_ context.Context, v View) bool {
		if name == "" {
			return true
		}
		rest, below := strings.CutPrefix(v.Logger(), name)
		return below && (rest == "" || rest[0] == '.')
	}
}

// AttrIs accepts records that have a value at a path as in [View.Attr]. The
// last argument is the value, those before it are the strings of the path:
// AttrIs("tenant", "acme") or AttrIs("request", "status", 500). Integers are
// equal if they are the same number, whatever their Go type; errors as
// [errors.Is] says; values of other types if they are deeply equal. AttrIs
// panics if there is no path or if it is not made of strings.
func AttrIs(pathAndValue ...any) Predicate {
	last := len(pathAndValue) - 1
	if last < 1 {
		panic("slogworks: AttrIs needs a key and a value")
	}
	path := make([]string, last)
	for i, element := range pathAndValue[:last] {
		key, ok := element.(string)
		if !ok {
			panic(fmt.Sprintf("slogworks: AttrIs: key %d is a %T, not a string", i+1, element))
		}
		path[i] = key
	}
	want := slog.AnyValue(pathAndValue[last]).Resolve()
	return func(_ context.Context, v View) bool {
		have, ok := v.Attr(path...)
		return ok && sameValue(have, want)
	}
}

// sameValue is slog.Value.Equal for any two values: Equal tells the integer
// types apart and panics on values that == cannot compare.
func sameValue(have, want slog.Value) bool {
	if a, ok := integerOf(have); ok {
		if b, ok := integerOf(want); ok && a == b {
			return true
		}
	}
	switch have.Kind() {
	case slog.KindGroup:
		return want.Kind() == slog.KindGroup &&
			slices.EqualFunc(have.Group(), want.Group(), func(a, b slog.Attr) bool {
				return a.Key == b.Key && sameValue(a.Value.Resolve(), b.Value.Resolve())
			})
	case slog.KindAny:
		return sameAny(have.Any(), want.Any())
	}
	return have.Equal(want)
}

// integer is the number that an int64 or a uint64 stands for.
type integer struct {
	negative bool
	bits     uint64
}

// integerOf returns the number if v is an integer, be it of a type that slog
// does not know, such as time.Month. A time.Duration is a kind of its own.
func integerOf(v slog.Value) (integer, bool) {
	switch v.Kind() {
	case slog.KindInt64:
		return integer{v.Int64() < 0, uint64(v.Int64())}, true
	case slog.KindUint64:
		return integer{false, v.Uint64()}, true
	case slog.KindAny:
		switch x := reflect.ValueOf(v.Any()); {
		case x.CanInt():
			return integer{x.Int() < 0, uint64(x.Int())}, true
		case x.CanUint():
			return integer{false, x.Uint()}, true
		}
	}
	return integer{}, false
}

func sameAny(have, want any) bool {
	if frozen, ok := have.(interface{ Is(x any) bool }); ok && frozen.Is(want) {
		return true
	}
	if err, ok := have.(error); ok {
		// errors.Is panics on a target whose type is comparable and whose value
		// is not.
		if target, ok := want.(error); ok && reflect.ValueOf(target).Comparable() {
			return errors.Is(err, target)
		}
	}
	return reflect.DeepEqual(have, want)
}

// Not accepts what p does not.
func Not(p Predicate) Predicate {
	return func(ctx context.Context, v View) bool { return !p(ctx, v) }
}

// Any accepts what at least one of ps accepts; without ps it accepts nothing.
// It asks them in order and stops at the first that accepts.
func Any(ps ...Predicate) Predicate {
	ps = slices.Clone(ps)
	return func(ctx context.Context, v View) bool {
		for _, p := range ps {
			if p(ctx, v) {
				return true
			}
		}
		return false
	}
}

// All accepts what each of ps accepts; without ps it accepts everything. It
// asks them in order and stops at the first that does not accept.
func All(ps ...Predicate) Predicate {
	ps = slices.Clone(ps)
	return func(ctx context.Context, v View) bool {
		for _, p := range ps {
			if !p(ctx, v) {
				return false
			}
		}
		return true
	}
}

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
// kinds apart and panics on values that == cannot compare.
func sameValue(have, want slog.Value) bool {
	switch have.Kind() {
	case slog.KindInt64:
		if want.Kind() == slog.KindUint64 {
			return have.Int64() >= 0 && uint64(have.Int64()) == want.Uint64()
		}
	case slog.KindUint64:
		if want.Kind() == slog.KindInt64 {
			return sameValue(want, have)
		}
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

func sameAny(have, want any) bool {
	if frozen, ok := have.(interface{ Is(x any) bool }); ok && frozen.Is(want) {
		return true
	}
	if err, ok := have.(error); ok {
		if target, ok := want.(error); ok {
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

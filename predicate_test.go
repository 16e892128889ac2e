package slogworks_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"syscall"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
)

// accepts asks p about a record with the given attributes.
func accepts(p slogworks.Predicate, args ...any) bool {
	return p(context.Background(), viewOf(func(l *slog.Logger) { l.Info("message", args...) }))
}

type (
	status   int
	mask     uint16
	point    struct{ X, Y int }
	anyError struct{ cause any }
)

func (s status) String() string  { return fmt.Sprint("status ", int(s)) }
func (e anyError) Error() string { return fmt.Sprint(e.cause) }

func TestAttrIs_compares(t *testing.T) {
	sentinel := errors.New("sentinel")
	now := time.Now()
	self := map[string]any{}
	self["self"] = self
	for _, test := range []struct {
		name       string
		have, want any
		same       bool
	}{
		{"equal strings", "a", "a", true},
		{"other strings", "a", "b", false},
		{"a string and a number", "1", 1, false},
		{"equal bools", true, true, true},
		{"equal floats", 1.5, 1.5, true},
		{"a float and an integer", 1.0, 1, false},
		{"NaN, which equals nothing", math.NaN(), math.NaN(), false},
		{"equal durations", time.Second, time.Second, true},
		{"a duration and its nanoseconds", time.Second, int(time.Second), false},
		{"the same instant in two places", now, now.UTC(), true},
		{"other instants", now, now.Add(1), false},

		{"int and int64", 5, int64(5), true},
		{"int and uint64", 5, uint64(5), true},
		{"uint64 and int", uint64(5), 5, true},
		{"uint8 and int32", uint8(5), int32(5), true},
		{"other integers", 5, uint64(6), false},
		{"the largest uint64 and -1", uint64(math.MaxUint64), -1, false},
		{"-1 and the largest uint64", -1, uint64(math.MaxUint64), false},
		{"the largest uint64 and itself", uint64(math.MaxUint64), uint64(math.MaxUint64), true},
		{"a named integer and an int", status(5), 5, true},
		{"an int and a named integer", -5, status(-5), true},
		{"a named integer and a named unsigned one", status(5), mask(5), true},
		{"a named integer and another number", status(5), 6, false},
		{"a level and a level", slog.LevelWarn, slog.LevelWarn, true},
		{"an integer and a string", 5, "5", false},

		{"nil and nil", nil, nil, true},
		{"nil and something", nil, 1, false},
		{"something and nil", []int{1}, nil, false},
		{"equal structs", point{1, 2}, point{1, 2}, true},
		{"other structs", point{1, 2}, point{1, 3}, false},
		{"a struct and a pointer", point{1, 2}, &point{1, 2}, false},
		{"equal pointers' values", &point{1, 2}, &point{1, 2}, true},
		{"equal slices", []string{"a"}, []string{"a"}, true},
		{"other slices", []string{"a"}, []string{"b"}, false},
		{"slices of other types", []string{"a"}, []any{"a"}, false},
		{"equal maps", map[string][]int{"a": {1}}, map[string][]int{"a": {1}}, true},
		{"other maps", map[string]int{"a": 1}, map[string]int{"a": 2}, false},
		{"a map that contains itself", self, self, true},
		{"functions, which equal nothing", func() {}, func() {}, false},
		{"a slice and a string", []string{"a"}, "a", false},
		{"a string and a slice", "a", []string{"a"}, false},
		{"structs that == cannot compare", struct{ x any }{[]int{1}}, struct{ x any }{[]int{1}}, true},

		{"the same error", sentinel, sentinel, true},
		{"an error that wraps it", fmt.Errorf("open: %w", sentinel), sentinel, true},
		{"an error that it wraps", sentinel, fmt.Errorf("open: %w", sentinel), false},
		{"another error of the same text", errors.New("sentinel"), sentinel, false},
		{"a joined error", errors.Join(io.EOF, sentinel), sentinel, true},
		{"an error that says so itself", &fs.PathError{Err: syscall.ENOENT}, fs.ErrNotExist, true},
		{"an error of an integer type that says so itself", syscall.ENOENT, fs.ErrNotExist, true},
		{"an error of an integer type, wrapped", &fs.PathError{Err: syscall.ENOENT}, syscall.ENOENT, true},
		{"an error and its text", sentinel, "sentinel", false},
		{"errors that == cannot compare", anyError{[]int{1}}, anyError{[]int{1}}, true},
		{"other errors that == cannot compare", anyError{[]int{1}}, anyError{[]int{2}}, false},
		{"an error and one that == cannot compare", sentinel, anyError{[]int{1}}, false},

		{"a LogValuer and what it gives", lazilyTwice("a"), "a", true},
		{"what a LogValuer gives and it", "a", lazilyTwice("a"), true},
		{"equal groups", slog.GroupValue(slog.Int("a", 1), slog.Any("b", lazily([]int{1}))), slog.GroupValue(slog.Uint64("a", 1), slog.Any("b", []int{1})), true},
		{"groups of other values", slog.GroupValue(slog.Int("a", 1)), slog.GroupValue(slog.Int("a", 2)), false},
		{"groups of other keys", slog.GroupValue(slog.Int("a", 1)), slog.GroupValue(slog.Int("b", 1)), false},
		{"groups of other lengths", slog.GroupValue(slog.Int("a", 1)), slog.GroupValue(slog.Int("a", 1), slog.Int("b", 1)), false},
		{"a group and no group", slog.GroupValue(slog.Int("a", 1)), 1, false},
		{"no group and a group", 1, slog.GroupValue(slog.Int("a", 1)), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := accepts(slogworks.AttrIs("key", test.want), "key", test.have); got != test.same {
				t.Errorf("AttrIs(%T) accepts %T: %v", test.want, test.have, got)
			}
			// Where slog keeps no type there must be no difference after freezing.
			if _, isGroup := test.have.(slog.Value); isGroup || test.name == "a map that contains itself" {
				return
			}
			frozen := chain.Freeze(slog.AnyValue(test.have))
			if _, isFrozen := frozen.Any().(*chain.Frozen); !isFrozen || !test.same {
				return
			}
			if !accepts(slogworks.AttrIs("key", test.want), "key", frozen) {
				t.Errorf("AttrIs(%T) does not accept the frozen %T", test.want, test.have)
			}
		})
	}
}

func TestAttrIs_recognisesFrozenValues(t *testing.T) {
	value := map[string]int{"a": 1}
	frozen := chain.Freeze(slog.AnyValue(value))
	if _, ok := frozen.Any().(*chain.Frozen); !ok {
		t.Fatalf("a map freezes to %T", frozen.Any())
	}
	is := slogworks.AttrIs("key", map[string]int{"a": 1})
	if !accepts(is, "key", frozen) {
		t.Error("not recognised")
	}
	if accepts(is, "key", chain.Freeze(slog.AnyValue(map[string]int{"a": 2}))) {
		t.Error("another map accepted")
	}
	if accepts(slogworks.AttrIs("key", nil), "key", frozen) || accepts(slogworks.AttrIs("key", 1), "key", frozen) {
		t.Error("nil or a number accepted")
	}
}

func TestAttrIs_followsAPath(t *testing.T) {
	is := slogworks.AttrIs("request", "status", 500)
	if !accepts(is, slog.Group("request", "status", 500)) {
		t.Error("not found in a group")
	}
	if accepts(is, "status", 500) || accepts(is, "request", 500) || accepts(is) {
		t.Error("found elsewhere")
	}
}

func TestAttrIs_keepsNothingOfItsArguments(t *testing.T) {
	arguments := []any{"key", 1}
	is := slogworks.AttrIs(arguments...)
	arguments[0], arguments[1] = "other", 2
	if !accepts(is, "key", 1) {
		t.Error("changed with the caller's slice")
	}
}

func TestAttrIs_panicsWithoutAPath(t *testing.T) {
	for _, test := range []struct {
		arguments []any
		want      string
	}{
		{nil, "slogworks: AttrIs needs a key and a value"},
		{[]any{"key"}, "slogworks: AttrIs needs a key and a value"},
		{[]any{1, 2}, "slogworks: AttrIs: key 1 is a int, not a string"},
		{[]any{"key", nil, 2}, "slogworks: AttrIs: key 2 is a <nil>, not a string"},
	} {
		func() {
			defer func() {
				if p := recover(); p != test.want {
					t.Errorf("AttrIs(%v) panics with %v, want %q", test.arguments, p, test.want)
				}
			}()
			slogworks.AttrIs(test.arguments...)
		}()
	}
}

func TestLoggerIs_acceptsTheNameAndThoseBelow(t *testing.T) {
	for _, test := range []struct {
		is, logger string
		want       bool
	}{
		{"a.b", "a.b", true},
		{"a.b", "a.b.c", true},
		{"a.b", "a.b.c.d", true},
		{"a.b", "a.bc", false},
		{"a.b", "a", false},
		{"a.b", "x.a.b", false},
		{"a.b", "", false},
		{"", "", true},
		{"", "a", true},
	} {
		if got := accepts(slogworks.LoggerIs(test.is), slogworks.LoggerKey, test.logger); got != test.want {
			t.Errorf("LoggerIs(%q) accepts %q: %v", test.is, test.logger, got)
		}
	}
	if !accepts(slogworks.LoggerIs("")) || accepts(slogworks.LoggerIs("a")) {
		t.Error("wrong about a record without a logger")
	}
}

func TestMessageContains_looksAtTheMessageOnly(t *testing.T) {
	if !accepts(slogworks.MessageContains("ess")) || !accepts(slogworks.MessageContains("")) {
		t.Error("part of the message not found")
	}
	if accepts(slogworks.MessageContains("other"), "key", "other") {
		t.Error("found in an attribute")
	}
}

// asked is a predicate that counts its calls.
func asked(calls *int, answer bool) slogworks.Predicate {
	return func(context.Context, slogworks.View) bool { *calls++; return answer }
}

func TestPredicate_combinations(t *testing.T) {
	var calls int
	yes, no := asked(&calls, true), asked(&calls, false)
	for _, test := range []struct {
		name  string
		p     slogworks.Predicate
		want  bool
		calls int
	}{
		{"Not yes", slogworks.Not(yes), false, 1},
		{"Not no", slogworks.Not(no), true, 1},
		{"Any of none", slogworks.Any(), false, 0},
		{"Any of no and no", slogworks.Any(no, no), false, 2},
		{"Any stops at the first yes", slogworks.Any(no, yes, no), true, 2},
		{"All of none", slogworks.All(), true, 0},
		{"All of yes and yes", slogworks.All(yes, yes), true, 2},
		{"All stops at the first no", slogworks.All(yes, no, yes), false, 2},
	} {
		calls = 0
		if got := accepts(test.p); got != test.want || calls != test.calls {
			t.Errorf("%s: %v after %d calls, want %v after %d", test.name, got, calls, test.want, test.calls)
		}
	}

	list := []slogworks.Predicate{yes}
	any, all := slogworks.Any(list...), slogworks.All(list...)
	list[0] = no
	if !accepts(any) || !accepts(all) {
		t.Error("changed with the caller's slice")
	}
}

func TestPredicate_getsTheContext(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, true)
	has := func(ctx context.Context, _ slogworks.View) bool { return ctx.Value(key{}) != nil }
	p := slogworks.All(slogworks.Any(slogworks.Not(slogworks.Not(has))))
	if !p(ctx, slogworks.View{}) || p(t.Context(), slogworks.View{}) {
		t.Error("the context does not come through")
	}
}

package slogctx_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	slogctx "github.com/slogworks/slogworks/context"
)

// output is what a handler has written, without times, which it prints as
// nothing else.
type output struct{ bytes.Buffer }

// lines returns a handler that writes lines of JSON without the time, from
// LevelInfo on.
func lines(w *output) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: withoutTime})
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// take returns what was written since the last time.
func (w *output) take() string {
	text := w.String()
	w.Reset()
	return text
}

// want fails the test unless these lines, and no others, were written since the
// last time.
func (w *output) want(t *testing.T, lines ...string) {
	t.Helper()
	want := ""
	for _, line := range lines {
		want += line + "\n"
	}
	if got := w.take(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func record(message string, attrs ...slog.Attr) slog.Record {
	r := slog.NewRecord(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), slog.LevelInfo, message, 0)
	r.AddAttrs(attrs...)
	return r
}

func TestWith_returnsTheContextIfThereIsNothingToAdd(t *testing.T) {
	for _, ctx := range []context.Context{context.Background(), slogctx.With(t.Context(), "k", "v"), nil} {
		if got := slogctx.With(ctx); got != ctx {
			t.Errorf("With() returned %v and not %v", got, ctx)
		}
		if got := slogctx.With(ctx, []any{}...); got != ctx {
			t.Errorf("With of an empty slice returned %v and not %v", got, ctx)
		}
		if got := slogctx.WithAttrs(ctx); got != ctx {
			t.Errorf("WithAttrs() returned %v and not %v", got, ctx)
		}
	}
}

func TestWith_makesAttributesAsLoggerWithDoes(t *testing.T) {
	for _, args := range [][]any{
		{"k", "v"},
		{"k", 1, "l", 2.5, "m", true},
		{"k"},
		{"k", 1, "l"},
		{1, "k", "v"},
		{slog.Int("k", 1)},
		{"k", 1, slog.Group("g", "l", 2), "m", nil},
		{slog.Group("g")},
		{slog.Group("", "k", 1)},
		{slog.Attr{}},
		{nil},
		{"k", nil},
		{"k", 1, "k", 2},
		{"", 1},
		{"a", 1, "b", 2, "c", 3, "d", 4, "e", 5, "f", 6, "g", 7},
	} {
		var w output
		slog.New(lines(&w)).With(args...).Info("m", "own", 0)
		want := w.take()
		slog.New(slogctx.New(lines(&w), nil)).InfoContext(slogctx.With(t.Context(), args...), "m", "own", 0)
		if got := w.take(); got != want {
			t.Errorf("With(%v) makes\n%swant\n%s", args, got, want)
		}
	}
}

func TestWithAttrs_addsToWhatTheContextCarries(t *testing.T) {
	var w output
	logger := slog.New(slogctx.New(lines(&w), nil))
	ctx := slogctx.With(t.Context(), "a", 1)
	ctx = slogctx.WithAttrs(ctx, slog.Int("b", 2), slog.Int("c", 3))
	logger.InfoContext(ctx, "m")
	w.want(t, `{"level":"INFO","msg":"m","a":1,"b":2,"c":3}`)
}

func TestWithAttrs_copiesTheSlice(t *testing.T) {
	var w output
	attrs := []slog.Attr{slog.Int("a", 1), slog.Int("b", 2)}
	ctx := slogctx.WithAttrs(t.Context(), attrs...)
	attrs[0] = slog.Int("changed", 0)
	slog.New(slogctx.New(lines(&w), nil)).InfoContext(ctx, "m")
	w.want(t, `{"level":"INFO","msg":"m","a":1,"b":2}`)
}

func TestWith_staysInvisibleToTheParent(t *testing.T) {
	var w output
	logger := slog.New(slogctx.New(lines(&w), nil))
	parent := slogctx.With(t.Context(), "a", 1)
	slogctx.With(parent, "b", 2)
	logger.InfoContext(parent, "m")
	w.want(t, `{"level":"INFO","msg":"m","a":1}`)
}

// Depths differ because a slice that grows has room for one more at some
// lengths only.
func TestWith_siblingsShareNothing(t *testing.T) {
	var w output
	logger := slog.New(slogctx.New(lines(&w), nil))
	parent := t.Context()
	for depth := range 12 {
		a := slogctx.With(parent, "sibling", "a")
		b := slogctx.With(parent, "sibling", "b")
		logger.InfoContext(a, "m", "own", "of a")
		logger.InfoContext(b, "m", "own", "of b")
		logger.InfoContext(a, "m")
		for _, want := range []struct{ sibling, own any }{{"a", "of a"}, {"b", "of b"}, {"a", nil}} {
			line, err := w.ReadBytes('\n')
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal(line, &got); err != nil {
				t.Fatal(err)
			}
			if got["sibling"] != want.sibling || got["own"] != want.own || got["!BUG"] != nil {
				t.Errorf("below %d others: got %swant sibling %v and own %v", depth, line, want.sibling, want.own)
			}
		}
		parent = slogctx.With(parent, "depth", depth)
	}
}

func TestWith_keepsDuplicates(t *testing.T) {
	var w output
	logger := slog.New(slogctx.New(lines(&w), nil)).With("k", "of the logger")
	ctx := slogctx.With(slogctx.With(t.Context(), "k", "older"), "k", "newer")
	logger.InfoContext(ctx, "m", "k", "of the record")
	w.want(t, `{"level":"INFO","msg":"m","k":"of the logger","k":"older","k":"newer","k":"of the record"}`)
}

func TestWith_takesANilContext(t *testing.T) {
	var w output
	var none context.Context
	logger := slog.New(slogctx.New(slogctx.NewStack(lines(&w)), nil))
	logger.InfoContext(slogctx.With(none, "k", "v"), "with")
	logger.InfoContext(slogctx.Process(none, func(_ context.Context, r *slog.Record) { r.Message += "ed" }), "process")
	logger.InfoContext(slogctx.Bind(none, slogctx.Blackhole(), nil), "bind")
	logger.InfoContext(none, "none")
	w.want(t,
		`{"level":"INFO","msg":"with","k":"v"}`,
		`{"level":"INFO","msg":"processed"}`,
		`{"level":"INFO","msg":"none"}`)
}

// absent is a context whose Value knows nothing, whatever it was made from.
type absent struct{ context.Context }

func (absent) Value(any) any { return nil }

func TestWith_isGoneWhereValuesAreHidden(t *testing.T) {
	var w output
	logger := slog.New(slogctx.New(slogctx.NewStack(lines(&w)), nil))
	ctx := slogctx.Bind(slogctx.With(t.Context(), "k", "v"), slogctx.Blackhole(), nil)
	logger.InfoContext(absent{ctx}, "m")
	w.want(t, `{"level":"INFO","msg":"m"}`)
	logger.InfoContext(slogctx.With(absent{ctx}, "l", "w"), "m")
	w.want(t, `{"level":"INFO","msg":"m","l":"w"}`)
}

func TestWith_survivesWithoutCancel(t *testing.T) {
	var w output
	ctx, cancel := context.WithCancel(slogctx.With(t.Context(), "k", "v"))
	cancel()
	logger := slog.New(slogctx.New(lines(&w), nil))
	logger.InfoContext(ctx, "cancelled")
	logger.InfoContext(context.WithoutCancel(ctx), "freed")
	w.want(t,
		`{"level":"INFO","msg":"cancelled","k":"v"}`,
		`{"level":"INFO","msg":"freed","k":"v"}`)
}

// counter is a LogValuer that counts how often it is asked.
type counter struct{ n int }

func (c *counter) LogValue() slog.Value {
	c.n++
	return slog.IntValue(c.n)
}

func TestWith_asksLogValuersForEachRecord(t *testing.T) {
	var w output
	var asked counter
	ctx := slogctx.With(t.Context(), "asked", &asked)
	logger := slog.New(slogctx.New(lines(&w), nil))
	logger.DebugContext(ctx, "not wanted")
	logger.InfoContext(ctx, "m")
	logger.InfoContext(ctx, "m")
	w.want(t,
		`{"level":"INFO","msg":"m","asked":1}`,
		`{"level":"INFO","msg":"m","asked":2}`)
}

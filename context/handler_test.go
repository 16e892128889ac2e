package slogctx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/slogworks/slogworks"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/handlertest"
)

func extracted(context.Context) []slog.Attr {
	return []slog.Attr{slog.String("trace", "t"), slog.Int("span", 1)}
}

// The handler is checked where it adds something too, since it goes another
// way then; but not in a group, of which testing/slogtest wants that it be empty.
func TestHandler_conforms(t *testing.T) {
	extract := []func(context.Context) []slog.Attr{extracted}
	for name, opts := range map[string]*slogctx.Options{
		"without options":             nil,
		"adding":                      {Extract: extract},
		"in the group without adding": {InGroup: true},
	} {
		t.Run(name, func(t *testing.T) {
			handlertest.Run(t, func(next slog.Handler) slog.Handler { return slogctx.New(next, opts) })
		})
	}
}

func TestNew_takesNilOptionsForZeroOnes(t *testing.T) {
	ctx := slogctx.With(t.Context(), "k", "v")
	var nilled, zeroed output
	for _, w := range []*output{&nilled, &zeroed} {
		opts := new(slogctx.Options)
		if w == &nilled {
			opts = nil
		}
		logger := slog.New(slogctx.New(lines(w), opts))
		logger.InfoContext(ctx, "m", "own", 1)
		logger.WithGroup("g").InfoContext(ctx, "m", "own", 1)
		logger.Debug("m")
	}
	if nilled.String() != zeroed.String() || nilled.Len() == 0 {
		t.Errorf("with nil options\n%swith zero ones\n%s", &nilled, &zeroed)
	}
}

func TestNew_copiesItsOptions(t *testing.T) {
	var w output
	opts := &slogctx.Options{Extract: []func(context.Context) []slog.Attr{extracted}}
	logger := slog.New(slogctx.New(lines(&w), opts)).WithGroup("g")
	opts.Extract[0] = nil
	opts.InGroup = true
	logger.Info("m", "own", 1)
	w.want(t, `{"level":"INFO","msg":"m","trace":"t","span":1,"g":{"own":1}}`)
}

func TestNew_panicsOnANilFunction(t *testing.T) {
	wantPanic(t, "slogctx: nil function in Options.Extract", func() {
		slogctx.New(slog.DiscardHandler, &slogctx.Options{Extract: []func(context.Context) []slog.Attr{extracted, nil}})
	})
}

func wantPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
			t.Errorf("panics with %q, want %q", got, want)
		}
	}()
	f()
}

// derivations are loggers as programs make them.
var derivations = map[string]func(*slog.Logger) *slog.Logger{
	"plain":           func(l *slog.Logger) *slog.Logger { return l },
	"With":            func(l *slog.Logger) *slog.Logger { return l.With("a", 1, "b", []int{2}) },
	"WithGroup":       func(l *slog.Logger) *slog.Logger { return l.WithGroup("g") },
	"With in a group": func(l *slog.Logger) *slog.Logger { return l.With("a", 1).WithGroup("g").With("b", 2) },
	"groups in groups": func(l *slog.Logger) *slog.Logger {
		return l.WithGroup("g").With("a", 1, "b", 2).WithGroup("h").WithGroup("i").With("c", 3)
	},
	"an empty group": func(l *slog.Logger) *slog.Logger { return l.WithGroup("g").With(slog.Group("h")) },
}

func logAll(logger *slog.Logger, ctx context.Context) {
	logger.InfoContext(ctx, "none")
	logger.InfoContext(ctx, "one", "k", "v")
	logger.InfoContext(ctx, "odd", slog.Attr{}, slog.Group("empty"), slog.Group("", "inline", 1), "nil", nil)
	logger.WarnContext(ctx, "many", "1", 1, "2", 2, "3", 3, "4", 4, "5", 5, "6", 6, "7", 7, "8", 8, "9", 9, "10", 10, "11", 11)
	logger.DebugContext(ctx, "not wanted")
}

func TestHandler_writesTheSameWhereTheContextCarriesNothing(t *testing.T) {
	for name, derive := range derivations {
		t.Run(name, func(t *testing.T) {
			var w output
			logAll(derive(slog.New(lines(&w))), t.Context())
			want := w.take()
			nothing := func(context.Context) []slog.Attr { return nil }
			for _, opts := range []*slogctx.Options{nil, {InGroup: true}, {Extract: []func(context.Context) []slog.Attr{nothing}}} {
				logger := derive(slog.New(slogctx.New(lines(&w), opts)))
				logAll(logger, t.Context())
				if got := w.take(); got != want {
					t.Errorf("got\n%swant\n%s", got, want)
				}
				logAll(logger, slogctx.Bind(t.Context(), slogctx.Blackhole(), nil))
				if got := w.take(); got != want {
					t.Errorf("with a context that carries what is no matter of the handler, got\n%swant\n%s", got, want)
				}
			}
		})
	}
}

// What a context carries is to stand where Logger.With, called before any other
// method, would have put it, but for the attributes that With was called with
// before a group.
func TestHandler_addsOutsideAllGroups(t *testing.T) {
	ctx := slogctx.With(t.Context(), "ctx", 1, slog.Group("request", "id", 2))
	for name, derive := range derivations {
		if name == "With" || name == "With in a group" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			var w output
			logAll(derive(slog.New(lines(&w)).With("ctx", 1, slog.Group("request", "id", 2))), t.Context())
			want := w.take()
			logAll(derive(slog.New(slogctx.New(lines(&w), nil))), ctx)
			if got := w.take(); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestHandler_addsAfterTheAttributesOfTheLogger(t *testing.T) {
	var w output
	logger := slog.New(slogctx.New(lines(&w), nil)).With("with", 1)
	ctx := slogctx.With(t.Context(), "ctx", 2)
	logger.InfoContext(ctx, "m", "own", 3)
	logger.WithGroup("g").With("in", 4).InfoContext(ctx, "m", "own", 3)
	w.want(t,
		`{"level":"INFO","msg":"m","with":1,"ctx":2,"own":3}`,
		`{"level":"INFO","msg":"m","with":1,"ctx":2,"g":{"in":4,"own":3}}`)
}

func TestHandler_addsInTheOpenGroupIfAsked(t *testing.T) {
	var w output
	logger := slog.New(slogctx.New(lines(&w), &slogctx.Options{InGroup: true})).With("with", 1).WithGroup("g").With("in", 4)
	logger.InfoContext(slogctx.With(t.Context(), "ctx", 2), "m", "own", 3)
	w.want(t, `{"level":"INFO","msg":"m","with":1,"g":{"in":4,"ctx":2,"own":3}}`)
}

func TestHandler_printsTheSameAsText(t *testing.T) {
	text := func(w io.Writer) slog.Handler {
		return slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: withoutTime})
	}
	var w output
	slog.New(text(&w)).With("ctx", 1).WithGroup("g").With("a", "b c").WithGroup("h").Info("m", "own", 3)
	want := w.take()
	logger := slog.New(slogctx.New(text(&w), nil)).WithGroup("g").With("a", "b c").WithGroup("h")
	logger.InfoContext(slogctx.With(t.Context(), "ctx", 1), "m", "own", 3)
	if got := w.take(); got != want {
		t.Errorf("got %swant %s", got, want)
	}
}

type secret struct{ text *string }

// A value that was given to With in a group must not lose its type, by which
// ReplaceAttr may know it.
func TestHandler_keepsTheTypesOfValuesInGroups(t *testing.T) {
	var w output
	text := "hunter2"
	handler := slog.NewJSONHandler(&w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if _, ok := a.Value.Any().(*secret); ok {
			return slog.String(a.Key, "REDACTED")
		}
		return withoutTime(groups, a)
	}})
	logger := slog.New(slogctx.New(handler, nil)).WithGroup("g").With("password", &secret{&text})
	logger.InfoContext(slogctx.With(t.Context(), "k", "v"), "m")
	w.want(t, `{"level":"INFO","msg":"m","k":"v","g":{"password":"REDACTED"}}`)
}

// changing is a LogValuer whose value changes.
type changing struct{ now string }

func (v *changing) LogValue() slog.Value { return slog.StringValue(v.now) }

func TestHandler_asksLogValuersOfTheLoggerWhenItIsMade(t *testing.T) {
	var w output
	v := &changing{"then"}
	logger := slog.New(slogctx.New(lines(&w), nil)).WithGroup("g").With("v", v, slog.Group("h", "v", v))
	v.now = "later"
	want := `"g":{"v":"then","h":{"v":"then"},"own":1}}`
	logger.Info("m", "own", 1)
	logger.InfoContext(slogctx.With(t.Context(), "k", "v"), "m", "own", 1)
	w.want(t, `{"level":"INFO","msg":"m",`+want, `{"level":"INFO","msg":"m","k":"v",`+want)
}

func TestHandler_addsWhatFunctionsExtract(t *testing.T) {
	type key struct{}
	var w output
	logger := slog.New(slogctx.New(lines(&w), &slogctx.Options{Extract: []func(context.Context) []slog.Attr{
		func(context.Context) []slog.Attr { return nil },
		func(ctx context.Context) []slog.Attr {
			if id, ok := ctx.Value(key{}).(int); ok {
				return []slog.Attr{slog.Int("id", id)}
			}
			return nil
		},
		func(context.Context) []slog.Attr { return []slog.Attr{slog.Bool("last", true)} },
	}}))
	ctx := context.WithValue(t.Context(), key{}, 7)
	logger.Info("m")
	logger.InfoContext(ctx, "m", "own", 1)
	logger.WithGroup("g").InfoContext(slogctx.With(ctx, "ctx", 2), "m", "own", 1)
	w.want(t,
		`{"level":"INFO","msg":"m","last":true}`,
		`{"level":"INFO","msg":"m","id":7,"last":true,"own":1}`,
		`{"level":"INFO","msg":"m","ctx":2,"id":7,"last":true,"g":{"own":1}}`)
}

func TestHandler_keepsTheRecordIfAFunctionPanics(t *testing.T) {
	rec := new(handlertest.Recorder)
	boom := errors.New("boom")
	logger := slog.New(slogctx.New(rec, &slogctx.Options{Extract: []func(context.Context) []slog.Attr{
		func(context.Context) []slog.Attr { panic(boom) },
		extracted,
	}}))
	if err := logger.Handler().Handle(t.Context(), record("m", slog.Int("own", 1))); err != nil {
		t.Errorf("Handle returned %v, by which a queue would take the record as not written", err)
	}
	v := slogworks.NewView(rec.Items()[0].Record)
	for _, key := range []string{"trace", "span", "own"} {
		if _, ok := v.Attr(key); !ok {
			t.Errorf("the record has no attribute %q", key)
		}
	}
	wantPanicAttr(t, v, boom, "slogctx: function in Options.Extract: panic: boom")
}

// wantPanicAttr fails the test unless the record says that there was a panic.
func wantPanicAttr(t *testing.T, v slogworks.View, value error, text string) {
	t.Helper()
	value2, _ := v.Attr("!PANIC")
	err, _ := value2.Any().(error)
	if _, ok := errors.AsType[*slogworks.PanicError](err); !ok || !errors.Is(err, value) || err.Error() != text {
		t.Errorf(`the attribute "!PANIC" is %v, want a PanicError that says %q`, err, text)
	}
}

func TestHandler_asksNobodyAboutRecordsThatAreNotWanted(t *testing.T) {
	calls := 0
	h := slogctx.New(lines(new(output)), &slogctx.Options{Extract: []func(context.Context) []slog.Attr{
		func(context.Context) []slog.Attr { calls++; return nil },
	}})
	ctx := slogctx.Process(t.Context(), func(context.Context, *slog.Record) { calls++ })
	r := record("m")
	r.Level = slog.LevelDebug
	if err := h.Handle(ctx, r); err != nil || calls > 0 {
		t.Errorf("Handle of a record that next is not enabled for returned %v and called %d functions", err, calls)
	}
}

func TestHandler_passesErrorsOnUnchanged(t *testing.T) {
	want := &slogworks.DeliveryError{Permanent: true}
	rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error { return want }}
	h := slogctx.New(rec, nil)
	ctx := slogctx.Process(slogctx.With(t.Context(), "k", "v"), func(context.Context, *slog.Record) { panic("boom") })
	for _, ctx := range []context.Context{t.Context(), ctx} {
		if err := h.Handle(ctx, record("m")); err != want {
			t.Errorf("Handle returned %v and not the error of next", err)
		}
		if err := h.HandleBatch(ctx, slogworks.Batch{Items: []slogworks.Item{{Context: ctx, Record: record("m")}}}); err != want {
			t.Errorf("HandleBatch returned %v and not the error of next", err)
		}
	}
}

func TestHandler_leavesTheRecordOfItsCallerAlone(t *testing.T) {
	h := slogctx.New(slog.NewTextHandler(io.Discard, nil), nil)
	ctx := slogctx.With(t.Context(), "k", "v")
	for n := range 12 {
		r := record("m")
		for range n {
			r.AddAttrs(slog.Int("own", n))
		}
		if err := h.Handle(ctx, r); err != nil {
			t.Fatal(err)
		}
		r.AddAttrs(slog.Int("later", n))
		if r.NumAttrs() != n+1 {
			t.Errorf("a record of %d attributes and one more has %d after it was handled", n, r.NumAttrs())
		}
	}
}

func TestHandler_addsToTheItemsOfABatch(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := slogctx.New(rec, &slogctx.Options{InGroup: true})
	value := []byte("then")
	with := slogctx.With(t.Context(), "bytes", value)
	processed := slogctx.Process(t.Context(), func(_ context.Context, r *slog.Record) { r.AddAttrs(slog.Any("processed", value)) })
	b := slogworks.Batch{ID: "id", Kind: slogworks.Escalation, Items: []slogworks.Item{
		{Context: t.Context(), Record: record("plain", slog.Int("own", 1))},
		{Context: with, Record: record("with", slog.Int("own", 2))},
		{Context: processed, Record: record("processed", slog.Int("own", 3))},
	}}
	given := slices.Clone(b.Items)
	if err := h.HandleBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	copy(value, "late")

	var w output
	for _, item := range rec.Items() {
		if err := lines(&w).Handle(item.Context, item.Record); err != nil {
			t.Fatal(err)
		}
	}
	w.want(t,
		`{"level":"INFO","msg":"plain","own":1}`,
		`{"level":"INFO","msg":"with","bytes":"dGhlbg==","own":2}`,
		`{"level":"INFO","msg":"processed","own":3,"processed":"dGhlbg=="}`)
	if n := len(rec.Batches()); n != 1 {
		t.Errorf("one batch became %d", n)
	}
	for i := range given {
		if b.Items[i].Record.NumAttrs() != 1 || b.Items[i].Context != given[i].Context {
			t.Errorf("item %d of the caller's batch was changed", i)
		}
	}
}

func TestHandler_allocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	two := slogctx.With(t.Context(), "request_id", "r-1", "user", 7)
	plain := slogctx.New(slog.NewJSONHandler(io.Discard, nil), nil)
	with := plain.WithAttrs([]slog.Attr{slog.Int("k", 1)})
	group := with.WithGroup("g").WithAttrs([]slog.Attr{slog.Int("k", 1)})
	groups := group.WithGroup("h").WithAttrs([]slog.Attr{slog.Int("k", 1)})
	five := record("m", slog.Int("1", 1), slog.Int("2", 2), slog.String("3", "3"), slog.Bool("4", true), slog.Int("5", 5))
	three := record("m", slog.Int("1", 1), slog.Int("2", 2), slog.String("3", "3"))
	for _, tt := range []struct {
		name string
		h    slog.Handler
		ctx  context.Context
		r    slog.Record
		most float64
	}{
		{"nothing carried", plain, t.Context(), five, 0},
		{"nothing carried, With", with, t.Context(), five, 0},
		{"nothing carried, WithGroup", group, t.Context(), five, 0},
		{"a binding carried", plain, slogctx.Bind(t.Context(), slogctx.Blackhole(), nil), five, 0},
		{"a processor that adds nothing", plain, slogctx.Process(t.Context(), func(context.Context, *slog.Record) {}), five, 3},
		{"two attributes with three", plain, two, three, 0},
		{"two attributes with five", plain, two, five, 1},
		{"two attributes with five, With", with, two, five, 1},
		{"two attributes with five, WithGroup", group, two, five, 1},
		{"two attributes with five, a group in a group", groups, two, five, 2},
	} {
		if got := testing.AllocsPerRun(100, func() { _ = tt.h.Handle(tt.ctx, tt.r) }); got > tt.most {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.most)
		}
	}
}

func TestHandler_isSafeForConcurrentUse(t *testing.T) {
	rec := new(handlertest.Recorder)
	parent := slog.New(slogctx.New(rec, &slogctx.Options{Extract: []func(context.Context) []slog.Attr{extracted}})).With("parent", 1)
	ctx := slogctx.Process(slogctx.With(t.Context(), "ctx", 1), func(_ context.Context, r *slog.Record) { r.AddAttrs(slog.Int("processed", 1)) })
	const goroutines, each = 8, 50
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			ctx := slogctx.With(ctx, "goroutine", g)
			logger := parent.WithGroup("g").With("child", g)
			for range each {
				logger.InfoContext(ctx, "m", "own", g)
				parent.InfoContext(ctx, "m", "own", g)
			}
		})
	}
	wg.Wait()
	items := rec.Items()
	if len(items) != 2*goroutines*each {
		t.Fatalf("%d records arrived, want %d", len(items), 2*goroutines*each)
	}
	for _, item := range items {
		v := slogworks.NewView(item.Record)
		g, _ := v.Attr("goroutine")
		path := []string{"own"}
		if child, ok := v.Attr("g", "child"); ok {
			path = []string{"g", "own"}
			if !child.Equal(g) {
				t.Errorf("a record of goroutine %v has the child %v", g, child)
			}
		}
		if own, _ := v.Attr(path...); !own.Equal(g) {
			t.Errorf("a record of goroutine %v has the attribute %v", g, own)
		}
	}
}

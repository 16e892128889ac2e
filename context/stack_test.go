package slogctx_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/slogworks/slogworks"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/handlertest"
)

func TestStack_conforms(t *testing.T) {
	for name, build := range map[string]func(next slog.Handler) slog.Handler{
		"alone": func(next slog.Handler) slog.Handler { return slogctx.NewStack(next) },
		"with one pushed": func(next slog.Handler) slog.Handler {
			s := slogctx.NewStack(slog.DiscardHandler)
			s.Push(next, nil)
			return s
		},
		"under a bubbling one": func(next slog.Handler) slog.Handler {
			s := slogctx.NewStack(next)
			s.Push(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 100}), &slogctx.Binding{Bubble: true})
			return s
		},
	} {
		t.Run(name, func(t *testing.T) { handlertest.Run(t, build) })
	}
}

// named returns a handler that writes its name in place of the level.
func named(w *output, name string, level slog.Leveler) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.LevelKey {
			return slog.String("to", name)
		}
		return withoutTime(groups, a)
	}})
}

// got returns the names of the handlers that wrote since the last time.
func (w *output) got() (names []string) {
	for line := range strings.Lines(w.take()) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, `{"to":"`), `"`)
		names = append(names, name)
	}
	return names
}

func (w *output) wantFrom(t *testing.T, names ...string) {
	t.Helper()
	if got := w.got(); !slices.Equal(got, names) {
		t.Errorf("the record went to %q, want %q", got, names)
	}
}

func TestStack_asksContextThenProcessThenBaseAndNewestFirst(t *testing.T) {
	var w output
	bubble := &slogctx.Binding{Bubble: true}
	s := slogctx.NewStack(named(&w, "base", nil))
	ctx := slogctx.Bind(t.Context(), named(&w, "bound 1", nil), bubble)
	s.Push(named(&w, "pushed 1", nil), bubble)
	ctx = slogctx.Bind(ctx, named(&w, "bound 2", nil), bubble)
	s.Push(named(&w, "pushed 2", nil), bubble)

	for name, derive := range derivations {
		derive(slog.New(s)).InfoContext(ctx, "m", "k", "v")
		t.Log(name)
		w.wantFrom(t, "bound 2", "bound 1", "pushed 2", "pushed 1", "base")
	}
	slog.New(s).Info("m")
	w.wantFrom(t, "pushed 2", "pushed 1", "base")
}

func TestStack_endsAtTheFirstThatDoesNotBubble(t *testing.T) {
	var w output
	s := slogctx.NewStack(named(&w, "base", nil))
	logger := slog.New(s)
	logger.Info("m")
	w.wantFrom(t, "base")
	s.Push(named(&w, "pushed", nil), nil)
	logger.Info("m")
	w.wantFrom(t, "pushed")
	ctx := slogctx.Bind(t.Context(), named(&w, "bound", nil), &slogctx.Binding{})
	logger.InfoContext(ctx, "m")
	w.wantFrom(t, "bound")
}

func TestStack_goesPastHandlersThatDoNotWantTheRecord(t *testing.T) {
	var w output
	var level slog.LevelVar
	s := slogctx.NewStack(named(&w, "base", slog.LevelDebug))
	s.Push(named(&w, "own level", slog.LevelWarn), nil)
	s.Push(named(&w, "level", slog.LevelDebug), &slogctx.Binding{Level: &level})
	s.Push(named(&w, "when", slog.LevelDebug), &slogctx.Binding{When: slogworks.AttrIs("kind", "input")})
	level.Set(slog.LevelError)
	logger := slog.New(s)

	logger.Debug("m")
	w.wantFrom(t, "base")
	logger.Warn("m")
	w.wantFrom(t, "own level")
	logger.Error("m")
	w.wantFrom(t, "level")
	logger.Debug("m", "kind", "input")
	w.wantFrom(t, "when")
	level.Set(slog.LevelDebug)
	logger.Debug("m")
	w.wantFrom(t, "level")
}

func TestStack_isEnabledWhereOneOfItsHandlersIs(t *testing.T) {
	refuse := func(context.Context, slogworks.View) bool { return false }
	at := func(level slog.Level) slog.Handler {
		return slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: level})
	}
	s := slogctx.NewStack(at(slog.LevelInfo))
	bound := slogctx.Bind(t.Context(), at(slog.LevelDebug), &slogctx.Binding{When: refuse})
	for _, tt := range []struct {
		name  string
		ctx   context.Context
		level slog.Level
		want  bool
	}{
		{"base, too low", t.Context(), slog.LevelDebug, false},
		{"base", t.Context(), slog.LevelInfo, true},
		{"bound, maybe", bound, slog.LevelDebug, true},
		{"bound, too low", bound, slog.LevelDebug - 1, false},
		{"binding too low", slogctx.Bind(t.Context(), at(slog.LevelDebug), &slogctx.Binding{Level: slog.LevelInfo}), slog.LevelDebug, false},
		{"blackhole", slogctx.Bind(bound, slogctx.Blackhole(), nil), slog.LevelError, false},
		{"blackhole that bubbles", slogctx.Bind(bound, slogctx.Blackhole(), &slogctx.Binding{Bubble: true}), slog.LevelError, false},
		{"blackhole for others", slogctx.Bind(bound, slogctx.Blackhole(), &slogctx.Binding{Level: slog.LevelError}), slog.LevelWarn, true},
		{"blackhole with a predicate", slogctx.Bind(t.Context(), slogctx.Blackhole(), &slogctx.Binding{When: refuse}), slog.LevelInfo, true},
		{"blackhole with a predicate, base too low", slogctx.Bind(t.Context(), slogctx.Blackhole(), &slogctx.Binding{When: refuse}), slog.LevelDebug, false},
		{"blackhole under another", slogctx.Bind(slogctx.Bind(t.Context(), slogctx.Blackhole(), nil), at(slog.LevelWarn), nil), slog.LevelWarn, true},
		{"blackhole under another, too low", slogctx.Bind(slogctx.Bind(t.Context(), slogctx.Blackhole(), nil), at(slog.LevelWarn), nil), slog.LevelInfo, false},
	} {
		for name, derive := range derivations {
			if got := derive(slog.New(s)).Enabled(tt.ctx, tt.level); got != tt.want {
				t.Errorf("%s, %s: Enabled is %v", tt.name, name, got)
			}
		}
	}
	if slogctx.NewStack(slogctx.Blackhole()).Enabled(t.Context(), slog.LevelError) {
		t.Error("a Stack over a blackhole is enabled")
	}
}

func TestStack_popsInAnyOrderAndOnce(t *testing.T) {
	var w output
	s := slogctx.NewStack(named(&w, "base", nil))
	logger := slog.New(s).With("k", "v")
	same := named(&w, "same", nil)
	popOld := s.Push(same, nil)
	popOther := s.Push(named(&w, "other", nil), &slogctx.Binding{Level: slog.LevelError})
	popNew := s.Push(same, nil)

	popOld()
	popOld()
	logger.Info("m")
	w.wantFrom(t, "same")
	popNew()
	popOld()
	logger.Info("m")
	w.wantFrom(t, "base")
	logger.Error("m")
	w.wantFrom(t, "other")
	popOther()
	popNew()
	popOther()
	logger.Error("m")
	w.wantFrom(t, "base")
	if n := len(s.Unwrap()); n != 1 {
		t.Errorf("after all were popped, %d handlers are left", n)
	}
}

func TestStack_sharesWhatIsPushedWithDerivedOnes(t *testing.T) {
	var w output
	s := slogctx.NewStack(named(&w, "base", nil))
	derived := s.WithGroup("g").(*slogctx.Stack)
	pop := derived.Push(named(&w, "pushed", nil), nil)
	for _, h := range []slog.Handler{s, derived, s.WithGroup("later")} {
		slog.New(h).Info("m", "k", "v")
		w.wantFrom(t, "pushed")
	}
	pop()
	slog.New(s).Info("m")
	w.wantFrom(t, "base")
}

// What was logged through a Stack must not tell that there was one, whenever
// the handler was put there.
func TestStack_writesTheSameAsItsHandlers(t *testing.T) {
	for name, derive := range derivations {
		t.Run(name, func(t *testing.T) {
			var w output
			logAll(derive(slog.New(lines(&w))), t.Context())
			want := w.take()

			base := slogctx.NewStack(lines(&w))
			before := slogctx.NewStack(slog.DiscardHandler)
			before.Push(lines(&w), nil)
			after := slogctx.NewStack(slog.DiscardHandler)
			afterwards := derive(slog.New(after))
			after.Push(lines(&w), nil)
			bound := slogctx.Bind(t.Context(), lines(&w), nil)
			for _, tt := range []struct {
				name   string
				logger *slog.Logger
				ctx    context.Context
			}{
				{"base", derive(slog.New(base)), t.Context()},
				{"pushed before the logger was derived", derive(slog.New(before)), t.Context()},
				{"pushed after the logger was derived", afterwards, t.Context()},
				{"bound", derive(slog.New(base)), bound},
				{"bound, in a logger that was used before", afterwards, bound},
			} {
				logAll(tt.logger, tt.ctx)
				if got := w.take(); got != want {
					t.Errorf("%s: got\n%swant\n%s", tt.name, got, want)
				}
			}
		})
	}
}

// deriving counts how often it is derived.
type deriving struct {
	slog.Handler
	times *int
}

func (d deriving) WithAttrs(attrs []slog.Attr) slog.Handler {
	*d.times++
	return deriving{d.Handler.WithAttrs(attrs), d.times}
}

func TestStack_derivesEachHandlerOncePerLogger(t *testing.T) {
	times := 0
	discard := deriving{slog.NewTextHandler(io.Discard, nil), &times}
	bubble := &slogctx.Binding{Bubble: true}
	s := slogctx.NewStack(slog.DiscardHandler)
	s.Push(discard, bubble)
	s.Push(discard, bubble)
	ctx := slogctx.Bind(slogctx.Bind(t.Context(), discard, bubble), discard, bubble)
	var loggers []*slog.Logger
	const n = 10
	for range n {
		loggers = append(loggers, slog.New(s).With("k", "v"))
	}
	for range 3 {
		for _, logger := range loggers {
			logger.InfoContext(ctx, "m")
		}
	}
	if times != 4*n {
		t.Errorf("4 handlers were derived %d times for %d loggers", times, n)
	}
}

func TestStack_showsPredicatesTheWholeRecord(t *testing.T) {
	var w output
	all := slogworks.All(
		slogworks.AttrIs("with", 1), slogworks.AttrIs("ctx", 2),
		slogworks.AttrIs("g", "own", 3), slogworks.AttrIs("g", "processed", 4), slogworks.LoggerIs("db"))
	ctx := slogctx.With(t.Context(), "ctx", 2)
	ctx = slogctx.Process(ctx, func(_ context.Context, r *slog.Record) { r.AddAttrs(slog.Int("processed", 4)) })
	for name, bind := range map[string]func(s *slogctx.Stack) context.Context{
		"pushed": func(s *slogctx.Stack) context.Context {
			s.Push(named(&w, "all", nil), &slogctx.Binding{When: all})
			return ctx
		},
		"bound": func(*slogctx.Stack) context.Context {
			return slogctx.Bind(ctx, named(&w, "all", nil), &slogctx.Binding{When: all})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := slogctx.NewStack(named(&w, "base", nil))
			logger := slogworks.Named(slog.New(slogctx.New(s, nil)), "db").With("with", 1).WithGroup("g")
			ctx := bind(s)
			logger.InfoContext(ctx, "m", "own", 3)
			w.wantFrom(t, "all")
			logger.InfoContext(ctx, "m", "own", 0)
			w.wantFrom(t, "base")
		})
	}
}

func TestStack_doesNotShowPredicatesWhatNobodyAdds(t *testing.T) {
	var w output
	s := slogctx.NewStack(named(&w, "base", nil))
	s.Push(named(&w, "pushed", nil), &slogctx.Binding{When: slogworks.AttrIs("ctx", 2)})
	slog.New(s).InfoContext(slogctx.With(t.Context(), "ctx", 2), "m")
	w.wantFrom(t, "base")
}

func TestStack_keepsTheRecordIfAPredicatePanics(t *testing.T) {
	rec := new(handlertest.Recorder)
	boom := errors.New("boom")
	s := slogctx.NewStack(rec)
	s.Push(slogctx.Blackhole(), &slogctx.Binding{When: func(context.Context, slogworks.View) bool { panic(boom) }})
	r := record("m")
	const n = 8
	for range n { // so that the record has room for one more
		r.AddAttrs(slog.Int("own", 1))
	}
	if err := s.Handle(t.Context(), r); err != nil {
		t.Errorf("Handle returned %v", err)
	}
	v := slogworks.NewView(rec.Items()[0].Record)
	if _, ok := v.Attr("own"); !ok {
		t.Error("the record lost an attribute")
	}
	wantPanicAttr(t, v, boom, "slogctx: Binding.When: panic: boom")
	if r.AddAttrs(slog.Int("later", 1)); r.NumAttrs() != n+1 {
		t.Error("the record of the caller was changed")
	}
}

// careless adds to a record that it does not know to be its own.
type careless struct{ slog.Handler }

func (c careless) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.Bool("careless", true))
	return c.Handler.Handle(ctx, r)
}

func TestStack_givesEachHandlerARecordOfItsOwn(t *testing.T) {
	var w output
	bubble := &slogctx.Binding{Bubble: true}
	s := slogctx.NewStack(careless{lines(&w)})
	s.Push(careless{lines(&w)}, bubble)
	s.Push(careless{lines(&w)}, bubble)
	var r slog.Record
	for range 8 { // so that the record has room for one more
		r.AddAttrs(slog.Int("k", 1))
	}
	if err := s.Handle(t.Context(), r); err != nil {
		t.Error(err)
	}
	line := `{"level":"INFO","msg":"","k":1,"k":1,"k":1,"k":1,"k":1,"k":1,"k":1,"k":1,"careless":true}`
	w.want(t, line, line, line)
}

func TestStack_asksLogValuersOfTheLoggerWhenItIsMade(t *testing.T) {
	var w output
	v := &changing{"then"}
	s := slogctx.NewStack(lines(&w))
	logger := slog.New(s).With("v", v, slog.Group("g", "v", v))
	v.now = "later"
	want := `{"level":"INFO","msg":"m","v":"then","g":{"v":"then"}}`
	logger.Info("m")
	s.Push(lines(&w), nil)
	logger.Info("m")
	w.want(t, want, want)
}

// failing is a handler that panics or returns an error.
type failing struct {
	slog.Handler
	err      error
	panics   bool
	deriving bool
}

func (f failing) Handle(context.Context, slog.Record) error {
	if f.panics {
		panic(f.err)
	}
	return f.err
}

func (f failing) WithAttrs([]slog.Attr) slog.Handler {
	if f.deriving {
		panic(f.err)
	}
	return f
}

func (f failing) WithGroup(string) slog.Handler { return f }

func TestStack_returnsErrors(t *testing.T) {
	discard := slog.NewTextHandler(io.Discard, nil)
	first := &slogworks.DeliveryError{Permanent: true}
	second := errors.New("second")

	s := slogctx.NewStack(failing{Handler: discard, err: second})
	if err := s.Handle(t.Context(), record("m")); err != second {
		t.Errorf("the only error is returned as %v", err)
	}
	pop := s.Push(failing{Handler: discard, err: first}, nil)
	if err := s.Handle(t.Context(), record("m")); err != first {
		t.Errorf("the only error is returned as %v", err)
	}
	pop()
	s.Push(failing{Handler: discard, err: first}, &slogctx.Binding{Bubble: true})
	err := s.Handle(t.Context(), record("m"))
	if !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("two errors are returned as %v", err)
	}

	s = slogctx.NewStack(discard)
	s.Push(failing{Handler: discard, err: first}, &slogctx.Binding{Bubble: true})
	err = s.Handle(t.Context(), record("m"))
	if _, ok := err.(*slogworks.DeliveryError); ok || !errors.Is(err, first) {
		t.Errorf("where another handler took the record, a DeliveryError is returned as %T", err)
	}
}

func TestStack_givesTheOthersTheRecordIfABubblingHandlerPanics(t *testing.T) {
	boom := errors.New("boom")
	for name, h := range map[string]slog.Handler{
		"in Handle":    failing{Handler: slog.NewTextHandler(io.Discard, nil), err: boom, panics: true},
		"in WithAttrs": failing{Handler: slog.NewTextHandler(io.Discard, nil), err: boom, deriving: true},
	} {
		for place, build := range map[string]func(s *slogctx.Stack) context.Context{
			"pushed": func(s *slogctx.Stack) context.Context {
				s.Push(h, &slogctx.Binding{Bubble: true})
				return t.Context()
			},
			"bound": func(*slogctx.Stack) context.Context {
				return slogctx.Bind(t.Context(), h, &slogctx.Binding{Bubble: true})
			},
		} {
			t.Run(place+", "+name, func(t *testing.T) {
				rec := new(handlertest.Recorder)
				s := slogctx.NewStack(rec)
				ctx := build(s)
				derived := s.WithAttrs([]slog.Attr{slog.Int("k", 1)}).WithGroup("g")
				if !derived.Enabled(ctx, slog.LevelInfo) {
					t.Error("Enabled is false")
				}
				err := derived.Handle(ctx, record("m", slog.Int("own", 1)))
				if _, ok := errors.AsType[*slogworks.PanicError](err); !ok || !errors.Is(err, boom) {
					t.Errorf("Handle returned %v, want a PanicError", err)
				}
				if len(rec.Items()) != 1 {
					t.Errorf("%d records reached the base handler, want 1", len(rec.Items()))
				}
			})
		}
	}
}

func TestStack_flushesWhatIsPushed(t *testing.T) {
	base, over := new(flushed), new(flushed)
	s := slogctx.NewStack(base)
	pop := s.Push(over, nil)
	if err := slogworks.Flush(t.Context(), s.WithGroup("g")); err != nil {
		t.Error(err)
	}
	pop()
	if err := slogworks.Flush(t.Context(), s); err != nil {
		t.Error(err)
	}
	if base.times != 2 || over.times != 1 {
		t.Errorf("base was flushed %d times and the pushed handler %d times", base.times, over.times)
	}
}

type flushed struct {
	handlertest.Recorder
	times int
}

func (f *flushed) Flush(context.Context) error {
	f.times++
	return nil
}

func (f *flushed) WithGroup(string) slog.Handler { return f }

func TestStack_panicsOnHandlersThatCannotBe(t *testing.T) {
	s := slogctx.NewStack(slog.DiscardHandler)
	var none *slog.LevelVar
	for name, build := range map[string]func(h slog.Handler, opts *slogctx.Binding){
		"Push": func(h slog.Handler, opts *slogctx.Binding) { s.Push(h, opts) },
		"Bind": func(h slog.Handler, opts *slogctx.Binding) { slogctx.Bind(t.Context(), h, opts) },
	} {
		t.Run(name, func(t *testing.T) {
			wantPanic(t, "slogctx: nil Handler", func() { build(nil, nil) })
			wantPanic(t, "slogctx: slog's default handler", func() { build(initialHandler, nil) })
			wantPanic(t, "slogctx: nil *slog.LevelVar", func() { build(slog.DiscardHandler, &slogctx.Binding{Level: none}) })
		})
	}
}

func TestBind_staysInvisibleToTheParent(t *testing.T) {
	var w output
	logger := slog.New(slogctx.NewStack(named(&w, "base", nil)))
	parent := slogctx.Bind(t.Context(), named(&w, "parent", nil), nil)
	child := slogctx.Bind(parent, named(&w, "child", nil), nil)
	sibling := slogctx.Bind(parent, named(&w, "sibling", nil), nil)
	for want, ctx := range map[string]context.Context{"base": t.Context(), "parent": parent, "child": child, "sibling": sibling} {
		logger.InfoContext(ctx, "m")
		w.wantFrom(t, want)
	}
}

func TestBind_takesNilOptionsForZeroOnes(t *testing.T) {
	var w output
	logger := slog.New(slogctx.NewStack(named(&w, "base", nil)))
	for _, opts := range []*slogctx.Binding{nil, {}} {
		ctx := slogctx.Bind(t.Context(), named(&w, "bound", slog.LevelWarn), opts)
		logger.InfoContext(ctx, "m")
		logger.WarnContext(ctx, "m")
		w.wantFrom(t, "base", "bound")
	}
}

func TestBind_copiesItsOptions(t *testing.T) {
	var w output
	logger := slog.New(slogctx.NewStack(named(&w, "base", nil)))
	opts := &slogctx.Binding{Bubble: true}
	ctx := slogctx.Bind(t.Context(), named(&w, "bound", nil), opts)
	*opts = slogctx.Binding{Level: slog.LevelError}
	logger.InfoContext(ctx, "m")
	w.wantFrom(t, "bound", "base")
}

// unmade is a value that must not be asked for its value.
type unmade struct{ t *testing.T }

func (u unmade) LogValue() slog.Value {
	u.t.Error("a value of a record that goes nowhere was asked for")
	return slog.Value{}
}

func TestBlackhole_stopsBeforeTheRecordIsBuilt(t *testing.T) {
	var w output
	s := slogctx.NewStack(named(&w, "base", nil))
	never := slogctx.Process(t.Context(), func(context.Context, *slog.Record) { t.Error("a processor ran") })
	logger := slog.New(slogctx.New(s, nil)).With("k", "v")
	ctx := slogctx.Bind(never, slogctx.Blackhole(), &slogctx.Binding{Bubble: true})
	logger.InfoContext(ctx, "m", "unmade", unmade{t})
	if err := s.Handle(ctx, record("m", slog.Any("unmade", unmade{t}))); err != nil {
		t.Error(err)
	}
	w.wantFrom(t)

	pop := s.Push(slogctx.Blackhole(), nil)
	logger.InfoContext(never, "m", "unmade", unmade{t})
	ctx = slogctx.Bind(t.Context(), named(&w, "bound", nil), &slogctx.Binding{Bubble: true})
	logger.InfoContext(ctx, "m")
	w.wantFrom(t, "bound")
	pop()
	logger.InfoContext(t.Context(), "m")
	w.wantFrom(t, "base")
	if !raceEnabled {
		ctx := slogctx.Bind(t.Context(), slogctx.Blackhole(), nil)
		if n := testing.AllocsPerRun(100, func() { logger.InfoContext(ctx, "m") }); n > 0 {
			t.Errorf("a record that goes nowhere costs %v allocations", n)
		}
	}
}

func TestBlackhole_swallowsWhatItsBindingAccepts(t *testing.T) {
	var w output
	s := slogctx.NewStack(named(&w, "base", nil))
	isInput := &slogctx.Binding{When: slogworks.AttrIs("kind", "input"), Bubble: true}
	pop := s.Push(slogctx.Blackhole(), isInput)
	s.Push(slogctx.Blackhole(), &slogctx.Binding{Level: slog.LevelError})
	logger := slog.New(s)
	logger.Info("m", "kind", "input")
	logger.With("kind", "input").Info("m")
	logger.Error("m")
	w.wantFrom(t)
	logger.Info("m", "kind", "output")
	w.wantFrom(t, "base")

	pop()
	ctx := slogctx.Bind(t.Context(), slogctx.Blackhole(), isInput)
	logger.InfoContext(ctx, "m", "kind", "input")
	w.wantFrom(t)
	logger.InfoContext(ctx, "m")
	w.wantFrom(t, "base")
}

func TestBlackhole_isNeverEnabledElsewhere(t *testing.T) {
	h := slogctx.Blackhole().WithAttrs([]slog.Attr{slog.Int("k", 1)}).WithGroup("g")
	if h.Enabled(t.Context(), slog.LevelError) || h.Handle(t.Context(), record("m")) != nil {
		t.Error("a blackhole is enabled or fails")
	}
}

func TestStack_allocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	discard := func() slog.Handler { return slog.NewJSONHandler(io.Discard, nil) }
	bubble := &slogctx.Binding{Bubble: true, When: func(_ context.Context, v slogworks.View) bool { return v.Level() > 0 || v.Message() != "" }}
	for name, build := range map[string]func() (*slogctx.Stack, context.Context){
		"base": func() (*slogctx.Stack, context.Context) { return slogctx.NewStack(discard()), t.Context() },
		"pushed": func() (*slogctx.Stack, context.Context) {
			return pushed(slog.DiscardHandler, discard(), nil), t.Context()
		},
		"bubbling": func() (*slogctx.Stack, context.Context) {
			s := pushed(discard(), discard(), bubble)
			s.Push(discard(), bubble)
			return s, t.Context()
		},
		"bound": func() (*slogctx.Stack, context.Context) {
			return slogctx.NewStack(discard()), slogctx.Bind(slogctx.Bind(t.Context(), discard(), nil), discard(), bubble)
		},
	} {
		s, ctx := build()
		r := record("m", slog.Int("1", 1), slog.Int("2", 2), slog.String("3", "3"), slog.Bool("4", true), slog.Int("5", 5))
		for _, h := range []slog.Handler{s, s.WithAttrs([]slog.Attr{slog.Int("k", 1)}).WithGroup("g")} {
			if n := testing.AllocsPerRun(100, func() {
				if h.Enabled(ctx, slog.LevelInfo) {
					_ = h.Handle(ctx, r)
				}
			}); n > 0 {
				t.Errorf("%s: a record costs %v allocations", name, n)
			}
		}
	}
}

func TestStack_isSafeForConcurrentUse(t *testing.T) {
	base, bound := new(handlertest.Recorder), new(handlertest.Recorder)
	s := slogctx.NewStack(base)
	parent := slog.New(s).With("parent", 1)
	ctx := slogctx.Bind(t.Context(), bound, &slogctx.Binding{Bubble: true})
	const goroutines, each = 8, 100
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			logger := parent.WithGroup("g").With("child", g)
			for range each {
				logger.InfoContext(ctx, "m", "own", g)
				parent.InfoContext(ctx, "m", "own", g)
			}
		})
		wg.Go(func() {
			var pops []func()
			for range each {
				pops = append(pops, s.Push(slog.NewTextHandler(io.Discard, nil), &slogctx.Binding{Bubble: true}))
				if rand.IntN(2) == 0 {
					pops[rand.IntN(len(pops))]()
				}
			}
			for _, pop := range pops {
				pop()
			}
		})
	}
	wg.Wait()
	for name, rec := range map[string]*handlertest.Recorder{"base": base, "bound": bound} {
		items := rec.Items()
		if len(items) != 2*goroutines*each {
			t.Errorf("%s got %d records, want %d", name, len(items), 2*goroutines*each)
		}
		for _, item := range items {
			v := slogworks.NewView(item.Record)
			_, isParent := v.Attr("parent")
			own, _ := v.Attr("own")
			if child, ok := v.Attr("g", "child"); ok {
				if own, _ = v.Attr("g", "own"); !own.Equal(child) {
					t.Errorf("%s: a record of goroutine %v has the child %v", name, own, child)
				}
			}
			if !isParent || own.Kind() != slog.KindInt64 {
				t.Errorf("%s: a record has lost an attribute", name)
			}
		}
	}
	if n := len(s.Unwrap()); n != 1 {
		t.Errorf("after all were popped, %d handlers are left", n)
	}
}

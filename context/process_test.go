package slogctx_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"

	"github.com/slogworks/slogworks"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/handlertest"
)

// pipelines are those in which processors run, each over next.
var pipelines = map[string]func(next slog.Handler) slog.Handler{
	"Handler":               func(next slog.Handler) slog.Handler { return slogctx.New(next, nil) },
	"Stack":                 func(next slog.Handler) slog.Handler { return slogctx.NewStack(next) },
	"Handler over Stack":    func(next slog.Handler) slog.Handler { return slogctx.New(slogctx.NewStack(next), nil) },
	"Stack over Handler":    func(next slog.Handler) slog.Handler { return slogctx.NewStack(slogctx.New(next, nil)) },
	"Handler over Handler":  func(next slog.Handler) slog.Handler { return slogctx.New(slogctx.New(next, nil), nil) },
	"Stack with one pushed": func(next slog.Handler) slog.Handler { return pushed(slog.DiscardHandler, next, nil) },
	"Stack with a bubbling one": func(next slog.Handler) slog.Handler {
		return pushed(next, slog.NewTextHandler(io.Discard, nil), &slogctx.Binding{Bubble: true})
	},
}

// pushed returns a Stack over base with h on top.
func pushed(base, h slog.Handler, opts *slogctx.Binding) *slogctx.Stack {
	s := slogctx.NewStack(base)
	s.Push(h, opts)
	return s
}

func inEachPipeline(t *testing.T, test func(t *testing.T, build func(next slog.Handler) slog.Handler)) {
	for name, build := range pipelines {
		t.Run(name, func(t *testing.T) { test(t, build) })
	}
}

func TestProcess_runsOldestFirstAndOnce(t *testing.T) {
	inEachPipeline(t, func(t *testing.T, build func(slog.Handler) slog.Handler) {
		var w output
		logger := slog.New(build(lines(&w)))
		ctx := slogctx.Process(t.Context(), func(_ context.Context, r *slog.Record) { r.AddAttrs(slog.Int("first", r.NumAttrs())) })
		ctx = slogctx.Process(ctx, func(_ context.Context, r *slog.Record) { r.AddAttrs(slog.Int("second", r.NumAttrs())) })
		logger.InfoContext(ctx, "m", "own", 1)
		logger.With("with", 1).WithGroup("g").InfoContext(ctx, "m", "own", 1)
		w.want(t,
			`{"level":"INFO","msg":"m","own":1,"first":1,"second":2}`,
			`{"level":"INFO","msg":"m","with":1,"g":{"own":1,"first":1,"second":2}}`)
	})
}

func TestProcess_changesAnything(t *testing.T) {
	inEachPipeline(t, func(t *testing.T, build func(slog.Handler) slog.Handler) {
		var w output
		ctx := slogctx.Process(t.Context(), func(_ context.Context, r *slog.Record) {
			*r = slog.NewRecord(r.Time, slog.LevelError, "failed: "+r.Message, r.PC)
			r.AddAttrs(slog.Int("new", 2))
		})
		slog.New(build(lines(&w))).InfoContext(ctx, "m", "own", 1)
		w.want(t, `{"level":"ERROR","msg":"failed: m","new":2}`)
	})
}

func TestProcess_staysInvisibleToParentAndSiblings(t *testing.T) {
	inEachPipeline(t, func(t *testing.T, build func(slog.Handler) slog.Handler) {
		var w output
		logger := slog.New(build(lines(&w)))
		adding := func(ctx context.Context, key string) context.Context {
			return slogctx.Process(ctx, func(_ context.Context, r *slog.Record) { r.AddAttrs(slog.Bool(key, true)) })
		}
		parent := t.Context()
		for range 3 {
			parent = adding(parent, "p")
		}
		a, b := adding(parent, "a"), adding(parent, "b")
		logger.InfoContext(parent, "m")
		logger.InfoContext(a, "m")
		logger.InfoContext(b, "m")
		w.want(t,
			`{"level":"INFO","msg":"m","p":true,"p":true,"p":true}`,
			`{"level":"INFO","msg":"m","p":true,"p":true,"p":true,"a":true}`,
			`{"level":"INFO","msg":"m","p":true,"p":true,"p":true,"b":true}`)
	})
}

func TestProcess_worksOnACopy(t *testing.T) {
	inEachPipeline(t, func(t *testing.T, build func(slog.Handler) slog.Handler) {
		h := build(slog.NewTextHandler(io.Discard, nil))
		ctx := slogctx.Process(t.Context(), func(_ context.Context, r *slog.Record) { r.AddAttrs(slog.Int("added", 1)) })
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
	})
}

func TestProcess_losesOnlyTheChangeOfAProcessorThatPanics(t *testing.T) {
	inEachPipeline(t, func(t *testing.T, build func(slog.Handler) slog.Handler) {
		rec := new(handlertest.Recorder)
		boom := errors.New("boom")
		ctx := slogctx.Process(t.Context(), func(_ context.Context, r *slog.Record) {
			for range 3 { // so that the record has room for one more
				r.AddAttrs(slog.Int("first", 1))
			}
		})
		ctx = slogctx.Process(ctx, func(_ context.Context, r *slog.Record) {
			r.Message = "half done"
			r.AddAttrs(slog.Int("begun", 0))
			r.AddAttrs(slog.Int("half", 1), slog.Int("done", 2))
			panic(boom)
		})
		ctx = slogctx.Process(ctx, func(_ context.Context, r *slog.Record) { r.AddAttrs(slog.Int("third", 3)) })
		own := []slog.Attr{slog.Int("own1", 1), slog.Int("own2", 2), slog.Int("own3", 3), slog.Int("own4", 4), slog.Int("own5", 5)}
		if err := build(rec).Handle(ctx, record("m", own...)); err != nil {
			t.Errorf("Handle returned %v, by which a queue would take the record as not written", err)
		}
		r := rec.Items()[0].Record
		var keys []string
		r.Attrs(func(a slog.Attr) bool {
			keys = append(keys, a.Key)
			return true
		})
		want := []string{"own1", "own2", "own3", "own4", "own5", "first", "first", "first", "!PANIC", "third"}
		if r.Message != "m" || !slices.Equal(keys, want) {
			t.Errorf("the record is %q with %q, want %q", r.Message, keys, want)
		}
		wantPanicAttr(t, slogworks.NewView(r), boom, "slogctx: processor: panic: boom")
	})
}

func TestProcess_runsOnlyForRecordsThatAreWanted(t *testing.T) {
	inEachPipeline(t, func(t *testing.T, build func(slog.Handler) slog.Handler) {
		h := build(&handlertest.Recorder{Level: slog.LevelWarn})
		if s, ok := h.(*slogctx.Stack); ok && len(s.Unwrap()) > 1 {
			t.Skip("another handler wants the record")
		}
		ran := false
		ctx := slogctx.Process(t.Context(), func(context.Context, *slog.Record) { ran = true })
		slog.New(h).InfoContext(ctx, "m")
		if err := h.Handle(ctx, record("m")); err != nil || ran {
			t.Errorf("Handle returned %v; the processor ran: %v", err, ran)
		}
	})
}

// The level that a processor sets does not take a record back from a handler
// that wanted it, nor give it to one that did not.
func TestProcess_doesNotDecideAgainWhoWantsTheRecord(t *testing.T) {
	var low, high output
	s := slogctx.NewStack(lines(&low))
	s.Push(slog.NewJSONHandler(&high, &slog.HandlerOptions{Level: slog.LevelError, ReplaceAttr: withoutTime}), nil)
	logger := slog.New(s)
	setting := func(level slog.Level) context.Context {
		return slogctx.Process(t.Context(), func(_ context.Context, r *slog.Record) { r.Level = level })
	}
	logger.InfoContext(setting(slog.LevelError), "raised")
	logger.InfoContext(setting(slog.LevelDebug), "lowered")
	logger.ErrorContext(setting(slog.LevelInfo), "lowered")
	low.want(t, `{"level":"ERROR","msg":"raised"}`, `{"level":"DEBUG","msg":"lowered"}`)
	high.want(t, `{"level":"INFO","msg":"lowered"}`)

	s.Push(slog.NewTextHandler(io.Discard, nil), &slogctx.Binding{Bubble: true})
	logger.ErrorContext(setting(slog.LevelInfo), "lowered before the others are asked")
	low.want(t)
	high.want(t, `{"level":"INFO","msg":"lowered before the others are asked"}`)
}

func TestProcess_mayLogWithItsContext(t *testing.T) {
	inEachPipeline(t, func(t *testing.T, build func(slog.Handler) slog.Handler) {
		var w output
		logger := slog.New(build(lines(&w)))
		type key struct{}
		ctx := slogctx.Process(context.WithValue(t.Context(), key{}, 7), func(ctx context.Context, r *slog.Record) {
			logger.InfoContext(ctx, "from within", "value", ctx.Value(key{}))
		})
		logger.InfoContext(ctx, "m")
		w.want(t, `{"level":"INFO","msg":"from within","value":7}`, `{"level":"INFO","msg":"m"}`)
	})
}

func TestProcess_leavesWhatElseTheContextCarries(t *testing.T) {
	var w, bound output
	logger := slog.New(slogctx.New(slogctx.NewStack(lines(&w)), nil))
	ctx := slogctx.With(t.Context(), "k", "v")
	ctx = slogctx.Process(ctx, func(_ context.Context, r *slog.Record) { r.AddAttrs(slog.Int("processed", 1)) })
	ctx = slogctx.Bind(ctx, lines(&bound), &slogctx.Binding{Bubble: true})
	logger.InfoContext(ctx, "m")
	want := `{"level":"INFO","msg":"m","k":"v","processed":1}`
	w.want(t, want)
	bound.want(t, want)
}

func TestProcess_panicsOnNil(t *testing.T) {
	wantPanic(t, "slogctx: nil processor", func() { slogctx.Process(t.Context(), nil) })
}

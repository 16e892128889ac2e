package slogworks_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
)

// leaf is a handler that does nothing; the test handlers are built on it.
type leaf struct{}

func (leaf) Enabled(context.Context, slog.Level) bool  { return true }
func (leaf) Handle(context.Context, slog.Record) error { return nil }
func (leaf) WithAttrs([]slog.Attr) slog.Handler        { return leaf{} }
func (leaf) WithGroup(string) slog.Handler             { return leaf{} }

// calls are what the stages of a test were asked to do, in order.
type calls []string

func (c *calls) check(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(*c, want) {
		t.Errorf("calls %q, want %q", *c, want)
	}
	*c = nil
}

// step is a stage that wraps any number of handlers.
type step struct {
	leaf
	name   string
	calls  *calls
	behind []slog.Handler
	err    error
	panics any
	dies   bool // Unwrap panics
}

func (s *step) Unwrap() []slog.Handler {
	if s.dies {
		panic("no way down")
	}
	return s.behind
}

func (s *step) Flush(ctx context.Context) error    { return s.called("flush", ctx) }
func (s *step) Shutdown(ctx context.Context) error { return s.called("shutdown", ctx) }

func (s *step) called(verb string, ctx context.Context) error {
	call := verb + " " + s.name
	if ctx.Err() != nil {
		call += " late"
	}
	*s.calls = append(*s.calls, call)
	if s.panics != nil {
		panic(s.panics)
	}
	return s.err
}

func (s *step) WithGroup(string) slog.Handler {
	derived := *s
	return &derived
}

// single is a stage of the other form of Unwrap, without verbs of its own.
type single struct {
	leaf
	next slog.Handler
}

func (s single) Unwrap() slog.Handler { return s.next }

// listed is a legal handler that == panics on.
type listed struct {
	leaf
	next []slog.Handler
}

func (l listed) Unwrap() []slog.Handler { return l.next }

func TestWalk_callsFromTheOutsideIn(t *testing.T) {
	var called calls
	sink := &step{name: "sink", calls: &called}
	middle := &step{name: "middle", calls: &called, behind: []slog.Handler{single{next: sink}}}
	outer := &step{name: "outer", calls: &called, behind: []slog.Handler{middle}}
	if err := slogworks.Flush(t.Context(), outer); err != nil {
		t.Error(err)
	}
	called.check(t, "flush outer", "flush middle", "flush sink")
	if err := slogworks.Shutdown(t.Context(), single{next: outer}); err != nil {
		t.Error(err)
	}
	called.check(t, "shutdown outer", "shutdown middle", "shutdown sink")
}

func TestWalk_reachesASharedStageOnceAndAfterAllThatFeedIt(t *testing.T) {
	var called calls
	sink := &step{name: "sink", calls: &called}
	queue := &step{name: "queue", calls: &called, behind: []slog.Handler{sink}}
	late := &step{name: "late", calls: &called, behind: []slog.Handler{single{next: queue}}}
	for _, behind := range [][]slog.Handler{{sink, queue, late}, {late, queue, sink}, {queue, sink, late, queue}} {
		fan := &step{name: "fan", calls: &called, behind: behind}
		if err := slogworks.Shutdown(t.Context(), fan); err != nil {
			t.Error(err)
		}
		called.check(t, "shutdown fan", "shutdown late", "shutdown queue", "shutdown sink")
	}
}

func TestWalk_ordersDerivedHandlersLikeTheirStage(t *testing.T) {
	var called calls
	sink := &step{name: "sink", calls: &called}
	queue := &step{name: "queue", calls: &called, behind: []slog.Handler{sink}}
	fan := &step{name: "fan", calls: &called, behind: []slog.Handler{sink.WithGroup("g"), queue.WithGroup("g")}}
	if err := slogworks.Shutdown(t.Context(), fan.WithGroup("g")); err != nil {
		t.Error(err)
	}
	// The derived sink is a pointer of its own; both come after the queue.
	called.check(t, "shutdown fan", "shutdown queue", "shutdown sink", "shutdown sink")
}

func TestWalk_goesThroughHandlersThatCannotBeCompared(t *testing.T) {
	var called calls
	sink := &step{name: "sink", calls: &called}
	h := listed{next: []slog.Handler{listed{next: []slog.Handler{sink, nil}}, nil}}
	if err := slogworks.Flush(t.Context(), h); err != nil {
		t.Error(err)
	}
	called.check(t, "flush sink")
	if accounts := slogworks.Books(h); len(accounts) != 0 {
		t.Errorf("Books = %v", accounts)
	}
}

// endless is a handler that is no pointer and unwraps to itself.
type endless struct{ leaf }

func (e endless) Unwrap() slog.Handler { return e }

func TestWalk_endsWhereUnwrapLeadsBack(t *testing.T) {
	var called calls
	inner := &step{name: "inner", calls: &called}
	outer := &step{name: "outer", calls: &called, behind: []slog.Handler{inner}}
	inner.behind = []slog.Handler{outer, inner, outer}
	if err := slogworks.Flush(t.Context(), outer); err != nil {
		t.Error(err)
	}
	called.check(t, "flush outer", "flush inner")
	if err := slogworks.Flush(t.Context(), endless{}); err != nil {
		t.Error(err)
	}
}

func TestWalk_isNotSlowedByManyWaysToAStage(t *testing.T) {
	var called calls
	h := &step{name: "sink", calls: &called}
	for range 64 {
		h = &step{name: "fan", calls: &called, behind: []slog.Handler{h, h}}
	}
	if err := slogworks.Flush(t.Context(), h); err != nil {
		t.Error(err)
	}
	if len(called) != 65 {
		t.Errorf("%d calls, want one of each of 65 stages", len(called))
	}
}

func TestWalk_callsAllStagesWhateverSomeReturn(t *testing.T) {
	var called calls
	full, boom := errors.New("disk full"), errors.New("boom")
	sink := &step{name: "sink", calls: &called, err: full}
	bad := &step{name: "bad", calls: &called, behind: []slog.Handler{sink}, panics: boom}
	outer := &step{name: "outer", calls: &called, behind: []slog.Handler{bad}, err: io.ErrShortWrite}
	err := slogworks.Flush(t.Context(), outer)
	called.check(t, "flush outer", "flush bad", "flush sink")
	for _, want := range []error{full, boom, io.ErrShortWrite} {
		if !errors.Is(err, want) {
			t.Errorf("error %v does not contain %v", err, want)
		}
	}
	var panicked *slogworks.PanicError
	if !errors.As(err, &panicked) || panicked.Value != boom || !bytes.Contains(panicked.Stack, []byte("(*step).called")) {
		t.Errorf("no PanicError with the stack of the panic in %v", err)
	}
	if !strings.Contains(err.Error(), "slogworks: *slogworks_test.step: panic: boom") {
		t.Errorf("error %q does not name the stage", err)
	}
}

func TestWalk_callsTheOthersIfAnUnwrapPanics(t *testing.T) {
	var called calls
	bad := &step{name: "bad", calls: &called, dies: true}
	good := &step{name: "good", calls: &called}
	err := slogworks.Shutdown(t.Context(), &step{name: "fan", calls: &called, behind: []slog.Handler{bad, good}})
	called.check(t, "shutdown fan", "shutdown bad", "shutdown good")
	var panicked *slogworks.PanicError
	if !errors.As(err, &panicked) || panicked.Value != "no way down" {
		t.Errorf("error %v does not tell of the panic", err)
	}
}

func TestWalk_reachesAllStagesWithACancelledContext(t *testing.T) {
	var called calls
	sink := &step{name: "sink", calls: &called}
	queue := &step{name: "queue", calls: &called, behind: []slog.Handler{sink}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := slogworks.Shutdown(ctx, queue); err != nil {
		t.Error(err)
	}
	called.check(t, "shutdown queue late", "shutdown sink late")
}

func TestWalk_acceptsHandlersThatAreNoStages(t *testing.T) {
	for _, h := range []slog.Handler{leaf{}, slog.NewJSONHandler(io.Discard, nil), slog.DiscardHandler, single{}, (*viewer)(nil)} {
		if err := slogworks.Flush(t.Context(), h); err != nil {
			t.Errorf("Flush of %T: %v", h, err)
		}
		if err := slogworks.Shutdown(t.Context(), h); err != nil {
			t.Errorf("Shutdown of %T: %v", h, err)
		}
	}
}

func TestWalk_panicsOnANilHandler(t *testing.T) {
	for name, call := range map[string]func(){
		"Flush":    func() { slogworks.Flush(t.Context(), nil) },
		"Shutdown": func() { slogworks.Shutdown(t.Context(), nil) },
		"Books":    func() { slogworks.Books(nil) },
		"Private":  func() { slogworks.Private(nil) },
	} {
		func() {
			defer func() {
				if p := recover(); p != "slogworks: nil Handler" {
					t.Errorf("%s panics with %v", name, p)
				}
			}()
			call()
		}()
	}
}

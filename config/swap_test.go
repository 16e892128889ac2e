package config_test

import (
	"context"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/config"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/levels"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/memory"
)

// newSwap is a swap over what a pipeline begins with.
func newSwap(next slog.Handler) slog.Handler { return config.NewSwap(levels.New(next, nil)) }

func TestSwap_conforms(t *testing.T) { handlertest.Run(t, newSwap) }

func TestSwap_composes(t *testing.T) {
	handlertest.Compose(t,
		handlertest.Stage{Name: "swap", New: newSwap},
		handlertest.Stage{Name: "fanout", New: func(next slog.Handler) slog.Handler { return fanout.New(next) }},
		handlertest.Stage{Name: "queue", New: func(next slog.Handler) slog.Handler { return queue.New(next, nil) }},
	)
}

// messages returns what was recorded, each message with the attribute "with".
func messages(m *memory.Handler) []string {
	var all []string
	for v := range m.Records() {
		with, _ := v.Attr("group", "with")
		all = append(all, v.Message()+" "+with.String())
	}
	return all
}

func TestSwap_derivedHandlersFollow(t *testing.T) {
	first, second := memory.New(nil), memory.New(nil)
	s := config.NewSwap(first)
	used := slog.New(s).WithGroup("group").With("with", "used")
	unused := slog.New(s).WithGroup("group").With("with", "unused")
	used.Info("before")
	s.Replace(second)
	used.Info("after")
	unused.Info("after")
	used.With("with", "later").Info("after")

	if got, want := messages(first), []string{"before used"}; !slices.Equal(got, want) {
		t.Errorf("the first handler got %q, want %q", got, want)
	}
	if got, want := messages(second), []string{"after used", "after unused", "after later"}; !slices.Equal(got, want) {
		t.Errorf("the second handler got %q, want %q", got, want)
	}
	if s.Unwrap() != slog.Handler(second) {
		t.Error("Unwrap shows another handler than the current one")
	}
}

// gate holds each record until it is told to let it go.
type gate struct{ in, out chan struct{} }

func newGate() *gate                                     { return &gate{make(chan struct{}), make(chan struct{})} }
func (g *gate) Enabled(context.Context, slog.Level) bool { return true }
func (g *gate) WithAttrs([]slog.Attr) slog.Handler       { return g }
func (g *gate) WithGroup(string) slog.Handler            { return g }
func (g *gate) Handle(context.Context, slog.Record) error {
	g.in <- struct{}{}
	<-g.out
	return nil
}

func (g *gate) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	return g.Handle(ctx, b.Items[0].Record)
}

func TestSwap_drainsTheFormerHandler(t *testing.T) {
	for name, call := range map[string]func(h slog.Handler) error{
		"of records":                  func(h slog.Handler) error { return h.Handle(t.Context(), slog.Record{}) },
		"of records of a derived one": func(h slog.Handler) error { return h.WithGroup("g").Handle(t.Context(), slog.Record{}) },
		"of batches":                  func(h slog.Handler) error { return h.(slogworks.BatchHandler).HandleBatch(t.Context(), batchOf("one")) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate()
			s := config.NewSwap(g)
			var calls sync.WaitGroup
			for range 3 {
				calls.Go(func() {
					if err := call(s); err != nil {
						t.Error(err)
					}
				})
				<-g.in
			}
			next := memory.New(nil)
			drain := s.Replace(next)
			slog.New(s).Info("not held up")
			over, cancel := context.WithCancel(t.Context())
			cancel()
			if left := drain(over); left != 3 {
				t.Errorf("%d calls are left, want 3", left)
			}
			drained := make(chan int)
			go func() { drained <- drain(t.Context()) }()
			for range 3 {
				select {
				case <-drained:
					t.Fatal("drained before the last call returned")
				default:
				}
				g.out <- struct{}{}
			}
			if left := <-drained; left != 0 {
				t.Errorf("%d calls are left after all returned", left)
			}
			calls.Wait()
			if next.Len() != 1 {
				t.Error("a record after the replacement waited for those before")
			}
		})
	}
}

func batchOf(messages ...string) slogworks.Batch {
	var b slogworks.Batch
	for _, m := range messages {
		b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: slog.NewRecord(time.Now(), slog.LevelInfo, m, 0)})
	}
	return b
}

// retiring is a handler that must get nothing once it has retired.
type retiring struct {
	retired atomic.Bool
	late    *atomic.Int64
}

func (h *retiring) Enabled(context.Context, slog.Level) bool { return true }
func (h *retiring) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *retiring) WithGroup(string) slog.Handler            { return h }

// Handle lets others run in its midst, where a pipeline must not retire either.
func (h *retiring) Handle(context.Context, slog.Record) error {
	for range 3 {
		if h.retired.Load() {
			h.late.Add(1)
		}
		runtime.Gosched()
	}
	return nil
}

func TestSwap_neverHandlesInARetiredHandler(t *testing.T) {
	var late atomic.Int64
	now := &retiring{late: &late}
	s := config.NewSwap(now)
	done := make(chan struct{})
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					_ = s.Handle(context.Background(), slog.Record{})
				}
			}
		})
	}
	for range 1000 {
		next := &retiring{late: &late}
		s.Replace(next)(context.Background())
		now.retired.Store(true)
		now = next
	}
	close(done)
	writers.Wait()
	check(t, "records in retired handlers", late.Load(), 0)
}

func TestSwap_doesNotEnterWhatWasReplaced(t *testing.T) {
	s := config.NewSwap(memory.New(nil))
	early, late := s.Enter(), s.Enter()
	if !early() {
		t.Error("the current handler was not entered")
	}
	drain := s.Replace(memory.New(nil))
	if late() {
		t.Error("a handler was entered whose successor need not wait for it")
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	check(t, "calls left", drain(over), 1) // the early one
}

// replacing is replaced while it is asked whether it is enabled, and is not.
type replacing struct {
	slog.Handler
	replace func()
}

func (r *replacing) Enabled(context.Context, slog.Level) bool { r.replace(); return false }

func TestSwap_asksTheNewHandlerIfTheFormerRefuses(t *testing.T) {
	former := &replacing{Handler: slog.DiscardHandler}
	s := config.NewSwap(former)
	next := memory.New(nil)
	former.replace = func() { s.Replace(next) }
	slog.New(s).Info("while replaced")
	if next.Len() != 1 {
		t.Error("the record was lost: the former handler's Enabled counted although it was replaced")
	}
}

func TestSwap_logsFromWithinWhileReplaced(t *testing.T) {
	s := config.NewSwap(memory.New(nil))
	next := memory.New(nil)
	inner := handlerFunc(func(ctx context.Context, r slog.Record) error {
		s.Replace(next)
		slog.New(s).Info("from within")
		return nil
	})
	s.Replace(inner)
	slog.New(s).Info("outer")
	if next.Len() != 1 {
		t.Error("the record logged by a handler did not arrive")
	}
}

// handlerFunc is a handler made of its Handle.
type handlerFunc func(ctx context.Context, r slog.Record) error

func (f handlerFunc) Enabled(context.Context, slog.Level) bool        { return true }
func (f handlerFunc) Handle(ctx context.Context, r slog.Record) error { return f(ctx, r) }
func (f handlerFunc) WithAttrs([]slog.Attr) slog.Handler              { return f }
func (f handlerFunc) WithGroup(string) slog.Handler                   { return f }

func TestSwap_allocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := context.Background()
	s := config.NewSwap(slog.NewJSONHandler(io.Discard, nil))
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "message", 0)
	r.AddAttrs(slog.Int("n", 1))
	for name, h := range map[string]slog.Handler{
		"as built": s,
		"derived":  s.WithGroup("g").WithAttrs([]slog.Attr{slog.Int("with", 1)}),
	} {
		if n := testing.AllocsPerRun(100, func() {
			if h.Enabled(ctx, r.Level) {
				_ = h.Handle(ctx, r)
			}
			_ = h.Enabled(ctx, slog.LevelDebug)
		}); n != 0 {
			t.Errorf("%s: a record costs %v allocations", name, n)
		}
	}
}

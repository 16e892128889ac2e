package config

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// A swap is a handler that can be given another next handler while it is used.
// Handlers derived from it follow: each remembers its With chain and derives
// from a new next handler when it first meets it.
//
// What is enabled may change between Enabled and Handle, with the handler. So
// the next handler has to decide in Handle as well, as a Pipeline does with the
// levels in front; asking its Enabled again would cost every record.
type swap struct {
	to   *atomic.Pointer[generation]
	with *chain.Node
}

// generation is one next handler, and how many calls are in it.
type generation struct {
	target   chain.Target
	inFlight [stripes]stripe
}

// Calls are counted in stripes, since one counter that all cores write to costs
// more than the calls that it counts. A call goes by its goroutine's stack: two
// at once have two stacks, and mostly two stripes.
const stripes = 16

type stripe struct {
	calls atomic.Int64
	_     [120]byte // no two stripes share a cache line, nor a pair that is fetched together
}

var _ slogworks.BatchHandler = (*swap)(nil)

func newSwap(next slog.Handler) *swap {
	s := &swap{to: new(atomic.Pointer[generation])}
	s.replace(next)
	return s
}

// replace makes next the next handler and returns the generation of the former.
// Calls that began before may still be in that one.
func (s *swap) replace(next slog.Handler) (former *generation) {
	return s.to.Swap(&generation{target: chain.Target{Handler: next}})
}

// enter returns the current generation with the call counted in.
func (s *swap) enter() (*generation, *atomic.Int64) {
	var here byte
	// Multiplying mixes the bits above the 2 KiB that a stack has at least; the
	// highest 4 are one of 16 stripes.
	i := uint64(uintptr(unsafe.Pointer(&here))>>11) * 0x9E3779B97F4A7C15 >> 60
	for {
		g := s.to.Load()
		if calls := &g.inFlight[i].calls; s.counts(g, calls) {
			return g, calls
		}
	}
}

// counts counts a call in, unless g was replaced since it was the current
// generation: whoever waits for g may have looked at the stripe before. If g is
// current after it was counted, whoever replaces it will look later.
func (s *swap) counts(g *generation, calls *atomic.Int64) bool {
	calls.Add(1)
	if s.to.Load() == g {
		return true
	}
	calls.Add(-1)
	return false
}

// drain waits until no call is in g, which was replaced, and returns how many
// still are when ctx is over.
func (g *generation) drain(ctx context.Context) (left int) {
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		if left = g.calls(); left == 0 {
			return 0
		}
		runtime.Gosched()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return g.calls()
		}
	}
}

// calls may be read stripe after stripe: once the generation was replaced, a
// stripe that was 0 gets no call that goes through.
func (g *generation) calls() int {
	n := 0
	for i := range g.inFlight {
		n += int(g.inFlight[i].calls.Load())
	}
	return n
}

func (s *swap) Enabled(ctx context.Context, level slog.Level) bool {
	for g := s.to.Load(); ; {
		if s.with.Handler(&g.target).Enabled(ctx, level) {
			return true
		}
		// A handler that was shut down meanwhile may refuse what the one in its
		// place would take.
		now := s.to.Load()
		if now == g {
			return false
		}
		g = now
	}
}

func (s *swap) Handle(ctx context.Context, r slog.Record) error {
	g, calls := s.enter()
	defer calls.Add(-1)
	return s.with.Handler(&g.target).Handle(ctx, r)
}

func (s *swap) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	g, calls := s.enter()
	defer calls.Add(-1)
	return stage.HandleBatch(ctx, g.target.Handler, b)
}

func (s *swap) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return s
	}
	return &swap{s.to, s.with.WithAttrs(attrs)}
}

func (s *swap) WithGroup(name string) slog.Handler {
	if name == "" {
		return s
	}
	return &swap{s.to, s.with.WithGroup(name)}
}

// Unwrap returns the next handler of the moment.
func (s *swap) Unwrap() slog.Handler { return s.to.Load().target.Handler }

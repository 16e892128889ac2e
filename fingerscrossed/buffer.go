package fingerscrossed

import (
	"context"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/slogworks/slogworks/internal/chain"
)

// buffer is what a scope holds. The handler knows all buffers that are in use.
// They do not lead back to their scopes, which therefore become garbage when
// nobody can use them any more. Each scope makes one, so that what most scopes
// never need is behind pointers.
type buffer struct {
	core   *core
	parent *Scope // released first; nil at the outermost
	began  time.Time
	depth  int32 // how many there are above it

	state  atomic.Int32                 // changed under mu
	opened atomic.Pointer[chain.Target] // by Options.Open, or next if that failed; nil before

	mu       sync.Mutex
	changed  *sync.Cond // on mu: the state, or how far the writing has come; nil until somebody waits
	held     list
	contexts weak.Pointer[contexts]
	granted  int64 // of Options.TotalBytes
	pushed   uint64
	put      uint64 // how many of those pushed are no longer on their way
	lost     *loss  // since the last release; nil for nothing
	rounds   int32  // of the work that is going on
	passes   int32  // records on their way to what Options.Open opened
	closer   io.Closer
	stats    Stats

	asked     bool // to be released
	following bool // released, and what queues behind that is to be written too
	endAsked  bool // by what the buffer is writing to

	// In the handler's list of buffers in use; changed under both locks.
	listed     bool
	prev, next *buffer
}

// The states of a buffer. Only one goroutine writes what it has held, so that
// the order stays; the others queue behind that.
const (
	armed   int32 = iota // holds
	busy                 // is being written, and holds
	passing              // was released; records go straight to the next handler
	ending               // holds no longer, and the rest is being written
	ended
)

func newBuffer(c *core, parent *Scope) *buffer {
	b := &buffer{core: c, parent: parent}
	if parent != nil {
		b.depth = parent.buffer.depth + 1
	}
	return b
}

// wants reports whether records of the level are held or written.
func (b *buffer) wants(level slog.Level) bool {
	c := b.core
	if c.After == PassLevel && b.state.Load() == passing {
		return level >= c.Level.Level()
	}
	return level >= c.Hold.Level() || level >= c.Level.Level() || level >= c.Trigger.Level()
}

// handle holds the record, or writes it. A frozen one need not be frozen. It
// reports false if the scope has ended meanwhile.
func (s *Scope) handle(ctx context.Context, with *chain.Node, r *slog.Record, frozen bool) (handled bool, err error) {
	b, c := s.buffer, s.buffer.core
	if !b.wants(r.Level) {
		return true, nil
	}
	state := b.state.Load()
	if state == passing && !b.isToOpen() {
		return s.pass(ctx, with, r)
	}
	level := c.Level.Level()
	triggers := r.Level >= c.Trigger.Level() || c.When != nil && c.asks(ctx, with.View(*r))
	live := c.Live && !triggers && r.Level >= level
	if live && state == armed {
		return s.pass(ctx, with, r)
	}
	size, attrs, plain := measure(r)
	switch {
	case !plain && !frozen:
		// Not under the lock: it calls methods of the values, which may log.
		own := c.frozen(r)
		r, size = &own, measureAll(&own)
	case !plain:
		own := r.Clone()
		r, size = &own, measureAll(&own)
	case attrs > inlineAttrs:
		own := r.Clone()
		r = &own
	}
	mayDrop := r.Level < level && !triggers

	b.mu.Lock()
	if b.state.Load() == busy && !b.awaitRoom(size) && mayDrop && b.isCrowded(size) {
		b.stats.Accepted++
		b.drop(r.Level)
		b.mu.Unlock()
		return true, nil
	}
	switch state = b.state.Load(); {
	case state >= ending:
		b.mu.Unlock()
		return false, nil
	case state == passing && !b.isToOpen(), state == armed && live:
		b.mu.Unlock()
		return s.pass(ctx, with, r)
	case !c.use(s):
		b.mu.Unlock()
		return true, c.refuse(1)
	}
	b.stats.Accepted++
	if state == armed && mayDrop && size > c.MaxBytes {
		b.drop(r.Level) // or all others would have to go, and this one next
		b.mu.Unlock()
		return true, nil
	}
	b.held.push(with, r, size, triggers)
	s.contexts.push(ctx)
	b.pushed++
	if state == passing || state == armed && (triggers || !b.trim(s.contexts, level)) {
		b.following = state == passing
		b.state.Store(busy)
		b.mu.Unlock()
		err = b.work()
		runtime.KeepAlive(s)
		return true, wrap(err)
	}
	if triggers {
		// Somebody else writes it. Whoever logs an error may be about to exit.
		b.await(b.pushed)
	}
	b.mu.Unlock()
	return true, nil
}

// pass writes a record at once. It reports false if the scope has ended.
func (s *Scope) pass(ctx context.Context, with *chain.Node, r *slog.Record) (handled bool, err error) {
	b := s.buffer
	if b.core.Open != nil {
		return s.passOpened(ctx, with, r)
	}
	wanted, err := offer(ctx, with.Handler(b.core.next), r)
	if wanted {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.countPassed(s, err)
	}
	return true, err
}

// passOpened is pass where there is Options.Open. What that has opened is not
// closed before this returns. isWriting looks for it on the stack.
//
//go:noinline
func (s *Scope) passOpened(ctx context.Context, with *chain.Node, r *slog.Record) (handled bool, err error) {
	b := s.buffer
	b.mu.Lock()
	if b.state.Load() >= ending {
		b.mu.Unlock()
		return false, nil
	}
	to := b.target()
	b.passes++
	b.mu.Unlock()
	wanted := false
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.passes--
		b.tell()
		if wanted {
			b.countPassed(s, err)
		}
	}()
	wanted, err = offer(ctx, with.Handler(to), r)
	return true, err
}

// offer hands r to h if h is enabled for it.
func offer(ctx context.Context, h slog.Handler, r *slog.Record) (wanted bool, err error) {
	if !h.Enabled(ctx, r.Level) {
		return false, nil
	}
	return true, h.Handle(ctx, *r)
}

// countPassed counts a record that was not held. The lock is held.
func (b *buffer) countPassed(s *Scope, err error) {
	b.core.use(s)
	if err != nil {
		b.count(Stats{Accepted: 1, Failed: 1})
	} else {
		b.count(Stats{Accepted: 1, Written: 1})
	}
}

// count adds to the counts, of the handler too if the scope has ended since.
// The lock is held.
func (b *buffer) count(more Stats) {
	b.stats.add(more)
	if !b.listed {
		b.core.count(more)
	}
}

// drop counts a record that is dropped for want of room. The lock is held.
func (b *buffer) drop(level slog.Level) {
	b.stats.Evicted++
	if b.lost == nil {
		b.lost = new(loss)
	}
	b.lost.add(level)
}

// isToOpen reports whether the next record of a release is for Options.Open.
func (b *buffer) isToOpen() bool { return b.core.Open != nil && b.opened.Load() == nil }

// target returns where records of this buffer are written.
func (b *buffer) target() *chain.Target {
	if to := b.opened.Load(); to != nil {
		return to
	}
	return b.core.next
}

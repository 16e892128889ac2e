package fingerscrossed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// ErrClosed is what Handle returns after Shutdown or Close.
var ErrClosed = errors.New("fingerscrossed: closed")

// core is what derived handlers share. It is the key under which a context has
// the scope of this handler.
type core struct {
	Options
	next    *chain.Target
	process *Scope          // nil unless Options.Process
	life    context.Context // of the calls made after Handle has returned
	endLife context.CancelFunc

	scopes  atomic.Int64 // begun and not ended; without any, no context is searched for one
	granted atomic.Int64 // of TotalBytes
	checked atomic.Bool
	closed  atomic.Bool // set under mu

	written, failed, refused atomic.Uint64 // of records outside of scopes

	mu    sync.Mutex
	first *buffer // those in use, the newest first
	gone  Stats   // of those no longer in use
}

func newCore(next slog.Handler, opts *Options) *core {
	c := &core{
		Options: settingsOf(opts),
		next:    &chain.Target{Handler: stage.Require("fingerscrossed", next)},
	}
	c.life, c.endLife = context.WithCancel(context.Background())
	if c.Process {
		c.process = &Scope{buffer: newBuffer(c, nil)}
		c.use(c.process)
		c.check(context.Background())
	}
	return c
}

// check tells OnError, once, of a next handler that could never write what is
// held.
func (c *core) check(ctx context.Context) {
	if c.checked.Load() || c.checked.Swap(true) || c.Open != nil {
		return
	}
	if hold := c.Hold.Level(); !c.next.Handler.Enabled(ctx, hold) {
		c.report(fmt.Errorf("fingerscrossed: the next handler is not open at %v, so that what it is not open at is not held: open it at Options.Hold, and gate what is beside it", hold))
	}
}

// after says what follows a trigger in b.
func (c *core) after(b *buffer) After {
	switch {
	case c.After != AfterDefault:
		return c.After
	case c.process != nil && b == c.process.buffer:
		return Rearm
	}
	return PassAll
}

func (c *core) asks(ctx context.Context, v slogworks.View) bool {
	yes, err := func() (yes bool, err error) {
		defer stage.Rescue(&err)
		return c.When(ctx, v), nil
	}()
	if err != nil {
		c.report(fmt.Errorf("fingerscrossed: When: %w", err))
	}
	return yes
}

// frozen returns r as it can be kept.
func (c *core) frozen(r *slog.Record) slog.Record {
	if c.Freeze == nil {
		return chain.FreezeRecord(*r)
	}
	own := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		a.Value = c.ownFreeze(a.Value)
		own.AddAttrs(a)
		return true
	})
	return chain.FreezeRecord(own)
}

// ownFreeze applies Options.Freeze.
func (c *core) ownFreeze(v slog.Value) slog.Value {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		return slog.GroupValue(c.ownFreezeAttrs(v.Group())...)
	case slog.KindAny:
		if _, ok := v.Any().(*chain.Frozen); ok {
			return v
		}
	default:
		return v
	}
	frozen, err := func() (frozen slog.Value, err error) {
		defer stage.Rescue(&err)
		return c.Freeze(v), nil
	}()
	if err != nil {
		c.report(fmt.Errorf("fingerscrossed: Freeze: %w", err))
		return v
	}
	return frozen
}

func (c *core) ownFreezeAttrs(attrs []slog.Attr) []slog.Attr {
	attrs = slices.Clone(attrs)
	for i := range attrs {
		attrs[i].Value = c.ownFreeze(attrs[i].Value)
	}
	return attrs
}

// write writes a record that is in no scope.
func (c *core) write(ctx context.Context, next slog.Handler, r *slog.Record) error {
	err := next.Handle(ctx, *r)
	if err != nil {
		c.failed.Add(1)
	} else {
		c.written.Add(1)
	}
	return err
}

// writeBatch hands a batch to the next handler as it is.
func (c *core) writeBatch(ctx context.Context, b slogworks.Batch) error {
	err := stage.HandleBatch(ctx, c.next.Handler, b)
	accepted := stage.Accepted(err, len(b.Items))
	c.written.Add(uint64(accepted))
	c.failed.Add(uint64(len(b.Items) - accepted))
	return err
}

// refuse counts n records that come after Shutdown.
func (c *core) refuse(n int) error {
	c.refused.Add(uint64(n))
	return ErrClosed
}

// report tells OnError of err, if there is one.
func (c *core) report(err error) {
	if c.OnError == nil || err == nil {
		return
	}
	var ignored error // there is nobody left to tell
	defer stage.Rescue(&ignored)
	c.OnError(err)
}

// use lists the buffer of s among those in use, which Shutdown has to end. It
// reports false if it is too late for that. The buffer's lock is held, which
// comes before c.mu.
func (c *core) use(s *Scope) bool { return s.buffer.listed || c.list(s) }

func (c *core) list(s *Scope) bool {
	b := s.buffer
	if b.state.Load() >= ending {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return false
	}
	s.contexts = newContexts(b)
	b.contexts = s.contexts.self
	b.listed = true
	if b.next = c.first; b.next != nil {
		b.next.prev = b
	}
	c.first = b
	return true
}

// unlist removes b. Its lock is held.
func (c *core) unlist(b *buffer) {
	if !b.listed {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone.add(b.stats)
	b.listed = false
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		c.first = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	}
	b.prev, b.next = nil, nil
}

// close lets no buffer come into use any more.
func (c *core) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed.Store(true)
}

// count adds to the counts of buffers that are not in use.
func (c *core) count(more Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone.add(more)
}

// inUse returns the buffers in use, the oldest first, and the counts of those
// that were.
func (c *core) inUse() (all []*buffer, gone Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for b := c.first; b != nil; b = b.next {
		all = append(all, b)
	}
	slices.Reverse(all)
	return all, c.gone
}

// innermostFirst returns the buffers in use in the order in which they can be
// ended. That of the process is the last.
func (c *core) innermostFirst() []*buffer {
	all, _ := c.inUse()
	slices.SortStableFunc(all, func(a, b *buffer) int { return cmp.Compare(b.depth, a.depth) })
	return all
}

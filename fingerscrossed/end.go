package fingerscrossed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
	"weak"

	"github.com/slogworks/slogworks/internal/stage"
)

// wrap marks an error as ours. A *DeliveryError among them is not for those
// who log: it counts the records of a release.
func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("fingerscrossed: %w", err)
}

// isSlow reports whether the scope has taken longer than Options.Slow.
func (b *buffer) isSlow() bool {
	return !b.began.IsZero() && time.Since(b.began) > b.core.Slow
}

// end ends the buffer's scope s, which is nil if it is not at hand: it releases
// what is held, or settles it. It returns when that is done, whoever does it.
func (b *buffer) end(s *Scope, failed bool) {
	c := b.core
	isProcess := c.process != nil && b == c.process.buffer
	level := c.Level.Level() // not under the lock, since it is not ours
	var err error
	b.mu.Lock()
	if failed && b.state.Load() < passing {
		err = b.releaseToEnd(s)
		b.mu.Lock()
	}
	if !b.awaitIdle() {
		b.endAsked = true // for whoever writes
		b.mu.Unlock()
		c.report(wrap(err))
		return
	}
	if b.state.Load() == ended {
		b.mu.Unlock()
		c.report(wrap(err))
		return
	}
	// What is logged in the process meanwhile queues, and in a scope is late.
	rearms := isProcess && !c.closed.Load()
	if rearms {
		b.state.Store(busy)
	} else {
		b.state.Store(ending)
	}
	if !isProcess {
		c.scopes.Add(-1)
	}
	b.following, b.asked, b.endAsked = false, false, false
	out := b.take(b.contexts.Value(), b.held.len)
	if b.parent.live() == nil && out.highest < level {
		// Nothing is to be written, as at most ends.
		b.stats.Discarded += uint64(out.len)
		out.clear()
	}
	if out.len == 0 {
		b.finish(s, rearms, out.contexts, err)
		return
	}
	b.mu.Unlock()
	b.settleToEnd(s, rearms, &out, level, err)
}

// releaseToEnd is release, and ends the scope all the same if the next handler
// calls runtime.Goexit.
func (b *buffer) releaseToEnd(s *Scope) error {
	released := false
	defer func() {
		if !released {
			b.end(s, false)
		}
	}()
	err := b.release()
	released = true
	return err
}

// settleToEnd settles what is left and finishes, also if the next handler calls
// runtime.Goexit.
func (b *buffer) settleToEnd(s *Scope, rearms bool, out *records, level slog.Level, err error) {
	defer func() {
		b.mu.Lock()
		b.finish(s, rearms, out.contexts, err)
	}()
	err = join(err, b.settle(out, level))
}

// finish is the end of end, when all is written. The lock is held, and not on
// return.
func (b *buffer) finish(s *Scope, rearms bool, last []context.Context, err error) {
	c := b.core
	b.wait(func() bool { return b.passes == 0 })
	closer := b.closer
	b.closer = nil
	b.opened.Store(nil)
	if !rearms {
		b.giveBack()
		b.state.Store(ended)
		c.unlist(b)
		if s != nil && s.contexts != nil {
			s.contexts.release(last)
			s.contexts, b.contexts = nil, weak.Pointer[contexts]{} // they are another's now
		}
		b.tell()
	}
	b.mu.Unlock()
	if rearms {
		err = join(err, b.work())
	}
	// Not before: what Close logs in the process would queue for this goroutine.
	err = join(err, closeIt(closer))
	c.report(wrap(err))
}

// awaitIdle waits until nothing is being written. It reports false where that
// would be for ever. The lock is held, and not meanwhile.
func (b *buffer) awaitIdle() bool { return b.wait(func() bool { return !b.isWritten() }) }

// isWritten reports whether records of the buffer are being written.
func (b *buffer) isWritten() bool {
	state := b.state.Load()
	return state == busy || state == ending
}

// settle gives what nothing has triggered to the outer scope if that one still
// holds; else it writes the records of Level and above and drops the others.
func (b *buffer) settle(out *records, level slog.Level) error {
	if outer := b.parent.live(); outer != nil {
		if moved, err := b.moveTo(outer, out, level); moved {
			return err
		}
	}
	return b.write(settle, out, level)
}

// moveTo has outer hold the records. It reports false if outer does not hold.
func (b *buffer) moveTo(outer *Scope, out *records, level slog.Level) (moved bool, err error) {
	n := uint64(out.len)
	b.mu.Lock()
	b.giveBack() // what outer will need
	lost := b.lost
	b.lost = nil
	b.mu.Unlock()
	o := outer.buffer
	o.mu.Lock()
	if !o.awaitIdle() || o.state.Load() != armed || !o.core.use(outer) {
		o.mu.Unlock()
		return false, nil
	}
	for ; out.len > 0; out.pop() {
		e, ctx := out.front()
		o.held.push(e.with, &e.record, out.frontSize(), false)
		outer.contexts.push(ctx)
	}
	o.pushed += n
	o.stats.Accepted += n
	o.lost = lost.merged(o.lost)
	fits := o.trim(outer.contexts, level)
	if !fits {
		o.state.Store(busy)
	}
	o.mu.Unlock()
	b.mu.Lock()
	b.count(Stats{Accepted: -n})
	b.mu.Unlock()
	if !fits {
		err = o.work()
	}
	return true, err
}

// abandoned ends a scope that has become garbage.
func (b *buffer) abandoned() {
	b.mu.Lock()
	if b.state.Load() < ending {
		b.count(Stats{Abandoned: 1})
	}
	b.mu.Unlock()
	b.end(nil, false)
}

// closeIt closes c; a panic comes back as an error.
func closeIt(c io.Closer) (err error) {
	if c == nil {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("close: %w", err)
		}
	}()
	defer stage.Rescue(&err)
	return c.Close()
}

// errWriting is returned to those who would wait for themselves.
var errWriting = errors.New("called by the next handler, while that is written to: it would wait for itself")

// Flush waits until the releases that have begun are written. What is held
// stays held.
func (h *Handler) Flush(ctx context.Context) error {
	buffers, _ := h.core.inUse()
	for _, b := range buffers {
		if err := b.flush(ctx); err != nil {
			return fmt.Errorf("fingerscrossed: flush: %w", err)
		}
	}
	return nil
}

func (b *buffer) flush(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isWritten() {
		return nil
	}
	if isWriting() {
		return errWriting
	}
	stop := context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.tell()
	})
	defer stop()
	for b.isWritten() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.changing().Wait()
	}
	return nil
}

// Shutdown refuses further records and ends every scope that is live, the inner
// before the outer, as End(nil) does, and the buffer of the process last. If
// ctx ends first, what is held then is dropped, the context of what is being
// written is cancelled, and the error says how many records were not written.
// It may be called again.
func (h *Handler) Shutdown(ctx context.Context) error {
	c := h.core
	c.close()
	if ctx.Err() == nil {
		if isWriting() {
			return fmt.Errorf("fingerscrossed: shutdown: %w", errWriting)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, b := range c.innermostFirst() {
				b.end(nil, b.isSlow())
			}
		}()
		select {
		case <-done:
			return nil
		case <-ctx.Done():
		}
	}
	c.endLife()
	lost := uint64(0)
	for _, b := range c.innermostFirst() {
		lost += b.giveUp()
	}
	if lost == 0 {
		return nil
	}
	return fmt.Errorf("fingerscrossed: shutdown: %w with %d records not written", ctx.Err(), lost)
}

// giveUp drops what is held and ends the scope as soon as nothing is being
// written. It returns how many records were not.
func (b *buffer) giveUp() uint64 {
	b.mu.Lock()
	n := b.snapshot().Held
	b.stats.Discarded += uint64(b.held.len)
	b.contexts.Value().clear()
	b.held.clear()
	b.tell()
	if b.isWritten() {
		b.endAsked = true
		b.mu.Unlock()
		return n
	}
	b.mu.Unlock()
	b.end(nil, false)
	return n
}

// closeTimeout is the time that Close gives to Shutdown.
const closeTimeout = 5 * time.Second

// Close is Shutdown with 5 seconds of time.
func (h *Handler) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return h.Shutdown(ctx)
}

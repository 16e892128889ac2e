package queue

import (
	"log/slog"
	"slices"
	"time"
)

// waiter waits until settled has reached a number.
type waiter struct {
	until uint64
	told  bool // of what was dropped, or not interested
	done  chan struct{}
}

// awaits reports whether the caller is to wait until a record of the level is
// handled. The handler behind the queue would wait for itself.
func (c *core) awaits(level slog.Level) bool {
	return c.SyncLevel != nil && level >= c.SyncLevel.Level() && !c.onWorker()
}

// await waits for SyncTimeout at most.
func (c *core) await(settled <-chan struct{}) {
	timeout := time.NewTimer(c.SyncTimeout)
	defer timeout.Stop()
	select {
	case <-settled:
	case <-timeout.C:
		c.forget(settled)
	}
}

// notifyAt returns a channel that is closed when what w waits for has come. The
// lock is held, and has been since it was known what that is, so that waiters
// stand in order.
func (c *core) notifyAt(w waiter) <-chan struct{} {
	w.done = make(chan struct{})
	c.waiters = append(c.waiters, w)
	c.waiting.Store(true)
	if c.settled.Load() >= w.until && !c.lossPending() {
		c.notify() // the worker may have looked at waiting just before
	}
	return w.done
}

// forget removes a waiter that waits no longer.
func (c *core) forget(done <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiters = slices.DeleteFunc(c.waiters, func(w waiter) bool { return w.done == done })
}

// notify wakes those whose waiting is over. If one of them waits for what was
// dropped to be told, it is told. The lock is held on entry and on return, and
// in between unless something is told.
func (c *core) notify() {
	n := 0
	for n < len(c.waiters) && c.waiters[n].until <= c.settled.Load() {
		if c.waiters[n].told || !c.lossPending() {
			n++
			continue
		}
		c.report()
		n = 0
	}
	for _, w := range c.waiters[:n] {
		close(w.done)
	}
	c.waiters = slices.Delete(c.waiters, 0, n)
	if c.room != nil && c.used() <= c.roomAt {
		c.giveRoom()
	}
	c.waiting.Store(c.room != nil || len(c.waiters) > 0)
}

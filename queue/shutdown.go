package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/slogworks/slogworks/internal/stage"
)

func (c *core) flush(ctx context.Context) error {
	if c.onWorker() {
		return errors.New("queue: Flush called by the handler behind the queue: it would wait for itself")
	}
	c.mu.Lock()
	target := c.queued
	untold := c.lossPending() && (c.running || !c.closed)
	if c.settled.Load() >= target && !untold {
		c.mu.Unlock()
		return nil
	}
	abandoned := c.abandoned.Total()
	done := c.notifyAt(waiter{until: target})
	c.rouse()
	c.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		c.forget(done)
		waiting := target - min(target, c.settled.Load())
		return fmt.Errorf("queue: flush: %w: %d records waiting", ctx.Err(), waiting)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gaveUp != nil {
		if n := c.abandoned.Total() - abandoned; n > 0 {
			return fmt.Errorf("queue: flush: %d records abandoned by Shutdown: %w", n, c.gaveUp)
		}
	}
	return nil
}

func (c *core) shutdown(ctx context.Context) error {
	if c.onWorker() {
		return errors.New("queue: Shutdown called by the handler behind the queue: it would wait for itself")
	}
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.closing)
		c.giveRoom()
		if c.running || c.lossPending() {
			c.rouse()
		}
	}
	running, ended := c.running, c.ended
	before := c.abandoned.Total()
	c.mu.Unlock()
	if running {
		select {
		case <-ended:
		case <-ctx.Done():
			return c.giveUp(ctx.Err(), before)
		}
	}
	c.endLife()
	c.mu.Lock()
	left := c.leftSince(before)
	failed, last := c.tellFailures(), c.lastFailure
	c.mu.Unlock()
	err := left.err()
	if failed > 0 {
		refused := fmt.Errorf("queue: shutdown: records not taken by the handler: %d", failed)
		if last != nil {
			refused = fmt.Errorf("%w; the last: %w", refused, stage.Final(last))
		}
		err = errors.Join(err, refused)
	}
	return err
}

// tellFailures returns how many records the handler did not take of which nobody
// has heard: by OnError, from a Fallback, or here before. The lock is held.
func (c *core) tellFailures() (untold uint64) {
	if c.OnError != nil || c.Fallback != nil {
		return 0
	}
	failed := c.failed.Load()
	untold, c.failuresTold = failed-c.failuresTold, failed
	return untold
}

// remainder is what a Shutdown leaves behind.
type remainder struct {
	abandoned uint64
	held      int // by the handler
	cause     error
	failure   error // of the last attempt, if there is one that did not succeed
}

// leftSince says how many records were abandoned by this Shutdown and those
// that ran at the same time, of which one gave up. The lock is held.
func (c *core) leftSince(before uint64) remainder {
	left := remainder{abandoned: c.abandoned.Total() - before, held: c.used(), cause: c.gaveUp}
	for _, d := range c.destinations {
		if d.failure != nil {
			left.failure = d.failure
		}
	}
	return left
}

// err calls methods of an error that is not ours, which may log to the queue:
// the lock is not held.
func (left remainder) err() error {
	if left.abandoned == 0 && left.held == 0 {
		return nil
	}
	err := fmt.Errorf("queue: shutdown: %w: %d records abandoned, %d still with the handler", left.cause, left.abandoned, left.held)
	if left.failure != nil {
		err = fmt.Errorf("%w; last attempt: %w", err, stage.Final(left.failure))
	}
	return err
}

// giveUp abandons all records but those that the next handler has in its hands,
// whose context it cancels. These are counted by what becomes of them.
func (c *core) giveUp(cause error, before uint64) error {
	c.mu.Lock()
	claimed := 0
	if c.inHand > 0 {
		claimed = int(min(c.claimed.Swap(1<<62), int64(c.inHand)))
	}
	n := c.queue.abandon(claimed, c.inHand, &c.abandoned)
	c.settled.Add(uint64(n))
	c.gaveUp = cause
	for _, w := range c.waiters {
		close(w.done)
	}
	c.waiters = nil
	left := c.leftSince(before) // before the handler hears of it
	c.endLife()
	if c.pausing {
		// The worker is about to abandon what it was going to try again.
		ended := c.ended
		c.mu.Unlock()
		<-ended
		c.mu.Lock()
		left = c.leftSince(before)
	}
	c.mu.Unlock()
	return left.err()
}

package queue

import (
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// attemptFailed keeps what an attempt met. What one meets after a Shutdown gave up is
// most likely the end of its context, which would hide why there was a backlog.
func (c *core) attemptFailed(to *destination, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gaveUp == nil {
		to.failure, c.lastError = err, err
	}
}

// recovered ends a stall. It is called for each success and has to cost nothing
// then: the worker alone writes failure, and may read it without the lock.
func (c *core) recovered(to *destination) {
	if to.failure == nil {
		return
	}
	c.mu.Lock()
	to.failure = nil
	c.mu.Unlock()
	to.stallTold = time.Time{}
}

// stalled is what an attempt comes to that will be made again: not each of them
// is told, since there can be twenty in a second.
func (c *core) stalled(to *destination, err error) {
	c.attemptFailed(to, err)
	first := to.stallTold.IsZero()
	if c.life.Err() != nil || !first && time.Since(to.stallTold) < c.ReportEvery {
		return
	}
	to.stallTold = time.Now() // before OnError, which may end the goroutine
	c.reportError(err)
}

// fail gives up on what is not worth trying again.
func (c *core) fail(to *destination, b slogworks.Batch, err error) {
	c.attemptFailed(to, err)
	c.mu.Lock()
	c.lastFailure = err
	c.mu.Unlock()
	if !to.stallTold.IsZero() {
		to.stallTold = time.Now()
	}
	c.reportError(err)
	if c.Fallback != nil {
		_ = c.fallBack(c.life, b)
	}
	c.failed.Add(uint64(len(b.Items)))
	if stage.IsPanic(err) {
		c.panics.Add(uint64(len(b.Items)))
	}
	c.settle(len(b.Items))
}

func (c *core) reportError(err error) {
	if c.OnError == nil {
		return
	}
	var ignored error
	defer stage.Rescue(&ignored)
	c.OnError(err)
}

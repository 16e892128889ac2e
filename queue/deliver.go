package queue

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// handleOne hands one record, which was logged with the given chain, to a
// handler derived with it, and settles it.
func (c *core) handleOne(ctx context.Context, h slog.Handler, with *chain.Node, r slog.Record) {
	err := stage.Handle(ctx, h, r)
	if err == nil {
		c.succeed(1)
		return
	}
	one := []slogworks.Item{{Context: ctx, Record: with.Flatten(r)}}
	c.persist(one, err, func([]slogworks.Item, *slogworks.DeliveryError) error {
		return stage.Handle(ctx, h, r.Clone())
	})
}

// handleBatch hands on a batch and settles its items.
func (c *core) handleBatch(to *destination, b slogworks.Batch) {
	c.due = len(b.Items)
	if c.life.Err() != nil {
		c.abandon(b.Items)
		return
	}
	b.Attempt = max(1, b.Attempt)
	if b.ID == "" {
		b.ID = c.newID()
	}
	err := stage.HandleBatch(c.life, to.batches, b)
	if err == nil {
		c.succeed(len(b.Items))
		return
	}
	done := b.Done
	c.persist(b.Items, err, func(rest []slogworks.Item, last *slogworks.DeliveryError) error {
		b.Attempt++
		b.Items = rest
		done = slices.Clip(done) // the sink may have kept it
		for _, recipient := range last.Done {
			if !slices.Contains(done, recipient) {
				done = append(done, recipient)
			}
		}
		b.Done = done
		return stage.HandleBatch(c.life, to.batches, b)
	})
}

// succeed settles n records that were handled.
func (c *core) succeed(n int) {
	c.handled.Add(uint64(n))
	c.settle(n)
}

// persist is what follows when items met err: it settles those that were
// accepted and tries the rest again for as long as that is worth it.
func (c *core) persist(items []slogworks.Item, err error, again func([]slogworks.Item, *slogworks.DeliveryError) error) {
	started := time.Now()
	closing := c.closing
	for failures := 1; ; failures++ {
		delivery, ok := err.(*slogworks.DeliveryError)
		if !ok || delivery == nil {
			c.fail(items, err)
			return
		}
		if accepted := min(max(delivery.Accepted, 0), len(items)); accepted > 0 {
			c.succeed(accepted)
			items = items[accepted:]
			started, failures = time.Now(), 1
		}
		if len(items) == 0 {
			return
		}
		wait := max(delivery.After, c.Retry.Delay(failures))
		if delivery.Permanent || c.Retry.MaxElapsed > 0 && time.Since(started)+wait > c.Retry.MaxElapsed {
			c.fail(items, err)
			return
		}
		if !c.pause(wait, closing) {
			c.abandon(items)
			return
		}
		select {
		case <-closing:
			closing = nil
		default:
		}
		if err = again(items, delivery); err == nil {
			c.succeed(len(items))
			return
		}
	}
}

// pause waits, or less long if closing is closed: then little time is left and
// it is better to try once more at once. It reports false if a Shutdown has
// given up.
func (c *core) pause(wait time.Duration, closing <-chan struct{}) bool {
	c.mu.Lock()
	c.pausing = true
	c.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-closing:
	case <-c.life.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pausing = false
	return c.gaveUp == nil
}

// fail gives up on items that are not worth trying again.
func (c *core) fail(items []slogworks.Item, err error) {
	c.reportError(err)
	if c.Fallback != nil {
		for _, item := range items {
			_ = handleIfEnabled(item.Context, c.Fallback, item.Record)
		}
	}
	c.failed.Add(uint64(len(items)))
	if isPanic(err) {
		c.panics.Add(uint64(len(items)))
	}
	c.settle(len(items))
}

func (c *core) reportError(err error) {
	if c.OnError == nil {
		return
	}
	var ignored error
	defer stage.Rescue(&ignored)
	c.OnError(err)
}

// isPanic calls methods of an error that is not ours, and may be a nil pointer.
func isPanic(err error) (is bool) {
	defer func() { _ = recover() }()
	var panicked *slogworks.PanicError
	return errors.As(err, &panicked)
}

// abandon gives up on items because a Shutdown did.
func (c *core) abandon(items []slogworks.Item) {
	c.mu.Lock()
	for _, item := range items {
		c.abandoned.add(item.Record.Level)
	}
	c.mu.Unlock()
	c.settle(len(items))
}

// settle frees n places and wakes whoever waits for that.
func (c *core) settle(n int) {
	c.due -= n
	c.settled.Add(uint64(n))
	if c.waiting.Load() {
		c.mu.Lock()
		c.notify()
		c.mu.Unlock()
	}
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

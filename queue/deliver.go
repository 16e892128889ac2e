package queue

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// handleOne hands one record, which was logged with the given chain, to the
// destination's handler derived with it, and settles it.
func (c *core) handleOne(ctx context.Context, to *destination, h slog.Handler, with *chain.Node, r slog.Record) {
	err := stage.Handle(ctx, h, r)
	if err == nil {
		c.recovered(to)
		c.succeed(1)
		return
	}
	one := slogworks.Item{Context: ctx, Record: with.Flatten(r)}
	c.persist(to, slogworks.Batch{Items: []slogworks.Item{one}}, err, func([]slogworks.Item, *slogworks.DeliveryError) error {
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
		c.recovered(to)
		c.succeed(len(b.Items))
		return
	}
	done := b.Done
	c.persist(to, b, err, func(rest []slogworks.Item, last *slogworks.DeliveryError) error {
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

// succeed settles n records that the handler took.
func (c *core) succeed(n int) {
	c.handled.Add(uint64(n))
	c.settle(n)
}

// persist is what follows when b met err: it settles the items that were
// accepted and tries the rest again for as long as that is worth it.
func (c *core) persist(to *destination, b slogworks.Batch, err error, again func(rest []slogworks.Item, last *slogworks.DeliveryError) error) {
	started := time.Now()
	closing := c.closing
	for failures := 1; ; failures++ {
		delivery, ok := err.(*slogworks.DeliveryError)
		if !ok || delivery == nil {
			c.fail(to, b, err)
			return
		}
		accepted := min(max(delivery.Accepted, 0), len(b.Items))
		if accepted == len(b.Items) {
			c.recovered(to)
			c.succeed(accepted)
			return
		}
		if accepted > 0 {
			c.succeed(accepted)
			b.Items = b.Items[accepted:]
			started, failures = time.Now(), 1
		}
		if cause, alone := stage.FailedAlone(err); alone {
			// Behind other stages is a handler of single records, which would
			// not be tried again if it stood here.
			c.fail(to, slogworks.Batch{Items: b.Items[:1]}, cause)
			b.Items = b.Items[1:]
			if len(b.Items) == 0 {
				return
			}
			if c.life.Err() != nil {
				c.abandon(b.Items)
				return
			}
			started, failures = time.Now(), 0
		} else {
			wait := max(delivery.After, c.Retry.Delay(failures))
			if delivery.Permanent || c.Retry.MaxElapsed > 0 && wait > c.Retry.MaxElapsed-time.Since(started) {
				c.fail(to, b, err)
				return
			}
			c.stalled(to, err)
			if !c.pause(wait, closing) {
				c.abandon(b.Items)
				return
			}
			select {
			case <-closing:
				closing = nil
			default:
			}
		}
		if err = again(b.Items, delivery); err == nil {
			c.recovered(to)
			c.succeed(len(b.Items))
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

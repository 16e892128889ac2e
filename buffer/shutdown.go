package buffer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/slogworks/slogworks/internal/stage"
)

// shutdown ends the Handler. Those that call it again wait for the first.
func (c *core) shutdown(ctx context.Context) error {
	if c.isWithin(ctx) {
		return errWithin("Shutdown")
	}
	c.mu.Lock()
	c.closed = true
	for _, timer := range []**time.Timer{&c.timer, &c.syncTimer} {
		if *timer != nil {
			(*timer).Stop()
			*timer = nil
		}
	}
	working := c.working
	c.mu.Unlock()
	if working != nil {
		select {
		case <-working:
		case <-ctx.Done():
		}
	}
	leave, err := c.enter(ctx)
	if err != nil {
		// A delivery has used up the time: the handler behind is told, and who
		// delivers tidies up when it returns.
		c.endLife()
		defer c.tidy()
		return c.end(err, true)
	}
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	if over {
		leave()
		return nil
	}
	ended := make(chan struct{})
	cause := errUnfinished
	go func() {
		defer close(ended) // also if the handler behind ends the goroutine
		cause = c.deliverLast(ctx)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		select {
		case <-ended:
		case <-time.After(answerTime):
			c.endLife()
			err := c.end(ctx.Err(), true)
			go func() {
				<-ended
				leave()
			}()
			return err
		}
	}
	defer leave()
	c.endLife()
	return c.end(cause, false)
}

// answerTime is how long Shutdown waits, when its time is over, for a handler
// behind that heeds the context and is about to say what it has delivered.
const answerTime = 100 * time.Millisecond

var errUnfinished = errors.New("the handler behind ended the goroutine")

// deliverLast does the deliveries of Shutdown, and returns why records are left
// that no disk has.
func (c *core) deliverLast(ctx context.Context) error {
	if c.Dir == "" {
		return c.deliverAll(ctx)
	}
	if ctx.Err() == nil {
		c.note(c.decide(ctx, final))
	}
	return nil
}

// deliverAll delivers what is held in memory, and returns why it could not.
func (c *core) deliverAll(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		o := c.decide(ctx, last)
		c.note(o)
		switch {
		case o.Status == Empty:
			return nil
		case o.Status == Sent || o.Status == Rejected:
		case ctx.Err() != nil:
			return ctx.Err()
		case o.Err != nil:
			return o.Err
		default:
			return fmt.Errorf("buffer: %v: %s", o.Status, o.Cause)
		}
	}
}

// end closes the books; whoever has the turn closes the store. A batch that the
// handler behind still has is counted when that returns.
func (c *core) end(cause error, delivering bool) error {
	err := c.store.sync()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return nil
	}
	c.over = true
	if c.Dir != "" {
		if err == nil {
			err = c.syncErr
		}
		return err
	}
	lost := c.lost
	c.lost += uint64(c.store.held().records())
	if !delivering {
		c.abandon()
	}
	lost = c.lost - lost
	atWork := c.held()
	if lost+atWork == 0 {
		return nil
	}
	return fmt.Errorf("buffer: shutdown: %w: %d records lost, %d still being delivered", stage.Final(cause), lost, atWork)
}

// abandon gives up the batches in memory. The lock is held.
func (c *core) abandon() {
	for _, p := range slices.Clone(c.store.batches()) {
		c.lost += uint64(p.waiting())
		_ = c.store.finish(p)
	}
}

// tidy closes the store when Shutdown is through and nobody delivers any more,
// and gives up what came back after a Shutdown that had no time left. Both
// Shutdown and whoever delivers call it at the end, so that one of them is last.
func (c *core) tidy() {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	default:
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over || c.tidied {
		return
	}
	c.tidied = true
	if c.Dir == "" {
		c.abandon()
	}
	_ = c.store.close() // nothing is written any more, and sync has told what there was to tell
}

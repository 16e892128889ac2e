package queue

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// admit waits, if the level may, until there are n places. The lock is held on
// entry and on return, and not in between: what a Leveler does is not ours.
func (c *core) admit(level slog.Level, n int) error {
	c.mu.Unlock()
	limit, mayWait := c.open, c.BlockAll
	if level >= c.ReserveLevel.Level() {
		limit, mayWait = c.Capacity, true
	}
	c.mu.Lock()
	var timeout *time.Timer
	for {
		if c.closed {
			return ErrClosed
		}
		if c.used()+n <= limit {
			return nil
		}
		if !mayWait || n > limit || c.MaxBlock == 0 || c.stalledAt == c.settled.Load() {
			return ErrFull
		}
		if timeout == nil {
			if c.onWorker() {
				return ErrFull // it would wait for itself
			}
			timeout = time.NewTimer(c.MaxBlock)
			defer timeout.Stop()
		}
		if c.room == nil {
			c.room, c.roomAt = make(chan struct{}), 0
		}
		c.roomAt = max(c.roomAt, limit-max(n, c.chunk(limit)))
		room := c.room
		c.waiting.Store(true)
		if c.used()+n <= limit {
			continue // the worker looked at waiting just before
		}
		c.rouse()
		c.mu.Unlock()
		select {
		case <-room:
			c.mu.Lock()
		case <-timeout.C:
			c.mu.Lock()
			if c.used()+n > limit {
				c.stalledAt = c.settled.Load()
				c.giveRoom() // the others that wait need not be as patient
				return ErrFull
			}
		}
	}
}

// chunk is how many places are given back at once to those that wait for room.
// Waking them for each place as it comes free would have them run in single
// file.
func (c *core) chunk(limit int) int { return max(1, min(c.MaxBatch, limit/8)) }

func (c *core) giveRoom() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// elsewhere offers what was dropped to the Fallback. Without the pause, callers
// that drop in a loop keep the worker from running for whole time slices of
// 10ms, and drop a hundred times as much.
func (c *core) elsewhere(err error, offer func() error) error {
	if err != ErrFull {
		return err
	}
	runtime.Gosched()
	if c.Fallback != nil && offer() == nil {
		return nil
	}
	return err
}

// handleIfEnabled hands r to h; not being enabled is an error, since then h has
// not taken it.
func handleIfEnabled(ctx context.Context, h slog.Handler, r slog.Record) (err error) {
	defer stage.Rescue(&err)
	if ctx == nil {
		ctx = context.Background()
	}
	if !h.Enabled(ctx, r.Level) {
		return errDisabled
	}
	return h.Handle(ctx, r)
}

var errDisabled = errors.New("queue: not enabled")

// fallBack hands b to the Fallback, whole if it takes batches. Otherwise it
// offers every item, whatever becomes of the others.
func (c *core) fallBack(ctx context.Context, b slogworks.Batch) error {
	var failed error
	alone := b.Kind == slogworks.Stream && len(b.Items) == 1
	if batches, ok := c.Fallback.(slogworks.BatchHandler); ok && !alone {
		stage.HandleAll(ctx, batches, b, func(err error, _, _ int) { failed = err })
		return failed
	}
	for _, item := range b.Items {
		if err := stage.Offer(item.Context, c.Fallback, item.Record.Clone()); err != nil {
			failed = err
		}
	}
	return failed
}

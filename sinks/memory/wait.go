package memory

import (
	"context"
	"fmt"
	"slices"

	"github.com/slogworks/slogworks"
)

// WaitFor returns the oldest record with exactly that message, waiting for one
// if none is there; [Query.Wait] waits for more than a message.
func (h *Handler) WaitFor(ctx context.Context, msg string) (slogworks.View, error) {
	return h.Message(msg).Wait(ctx)
}

// Wait returns the oldest chosen record, waiting for one if none is there. It
// sees every record that is logged while it waits, those included that are
// dropped at once to make room. If ctx ends first, the error wraps ctx.Err() and
// says what is there. A ctx that is over finds what is there.
func (q Query) Wait(ctx context.Context) (slogworks.View, error) {
	w, entries := q.core.enlist()
	defer q.core.dismiss(w)
	for over := false; ; {
		for _, e := range entries {
			if q.accepts(e) {
				return e.view, nil
			}
		}
		if over {
			return slogworks.View{}, fmt.Errorf("memory: no record%s: %w; %s",
				q.suffix(), ctx.Err(), q.core.snapshot().inventory(maxListed))
		}
		select {
		case <-w.arrived:
		case <-ctx.Done():
			over = true
		}
		entries = q.core.take(w)
	}
}

// waiter is a Wait that is under way. It is handed the records rather than told
// to look at those that are kept, which may be others by the time it runs. The
// filters are asked on the waiting goroutine, not on the one that logs: if one
// panics, it is the test that fails.
type waiter struct {
	arrived chan struct{} // holds a token if pending may not be empty
	pending []*entry      // under core.mu
}

// enlist returns a new waiter and what was logged before it is handed records.
func (c *core) enlist() (*waiter, []*entry) {
	w := &waiter{arrived: make(chan struct{}, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiters = append(c.waiters, w)
	return w, c.kept.entries
}

func (c *core) dismiss(w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.waiters, w)
	c.waiters = slices.Delete(c.waiters, i, i+1)
}

func (c *core) take(w *waiter) []*entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := w.pending
	w.pending = nil
	return entries
}

// hand is called under core.mu.
func (w *waiter) hand(e *entry) {
	w.pending = append(w.pending, e)
	select {
	case w.arrived <- struct{}{}:
	default:
	}
}

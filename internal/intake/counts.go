package intake

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/slogworks/slogworks/internal/stage"
)

// Counts is what became of everything that a receiver was sent. The zero Counts
// has none. It is safe for concurrent use.
type Counts struct {
	written, dropped, ignored atomic.Uint64

	mu      sync.Mutex
	refused map[string]uint64
}

// Hand hands a record to a handler that is enabled for it, and counts what comes
// of it. The error is the handler's; a panic is a [*slogworks.PanicError].
func (c *Counts) Hand(ctx context.Context, h slog.Handler, r slog.Record) error {
	if !IsEnabled(ctx, h, r.Level) {
		c.ignored.Add(1)
		return nil
	}
	return c.handle(ctx, h, r)
}

// HandFrom is Hand for a record of a peer, of which one that is not wanted costs
// less. It reports whether it was.
func (c *Counts) HandFrom(ctx context.Context, h slog.Handler, r *Record, peer string) (wanted bool, err error) {
	if !IsEnabled(ctx, h, r.Level) {
		c.ignored.Add(1)
		return false, nil
	}
	return true, c.handle(ctx, h, r.From(peer))
}

func (c *Counts) handle(ctx context.Context, h slog.Handler, r slog.Record) error {
	if err := stage.Handle(ctx, h, r); err != nil {
		c.dropped.Add(1)
		return err
	}
	c.written.Add(1)
	return nil
}

// IsEnabled asks the handler; if it panics, it is left to Handle to do so again.
func IsEnabled(ctx context.Context, h slog.Handler, level slog.Level) (enabled bool) {
	defer func() {
		if recover() != nil {
			enabled = true
		}
	}()
	return h.Enabled(ctx, level)
}

// Refuse counts a refusal.
func (c *Counts) Refuse(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil {
		c.refused = map[string]uint64{}
	}
	c.refused[reason]++
}

// Totals are the counts at one time. Received is the sum of Written, Dropped and
// what was Refused.
type Totals struct {
	Received, Written, Dropped, Ignored uint64
	Refused                             map[string]uint64 // by reason, never nil
}

// Totals returns the counts.
func (c *Counts) Totals() Totals {
	t := Totals{Refused: map[string]uint64{}}
	c.mu.Lock()
	maps.Copy(t.Refused, c.refused)
	c.mu.Unlock()
	t.Written = c.written.Load()
	t.Dropped = c.dropped.Load()
	t.Ignored = c.ignored.Load()
	t.Received = t.Written + t.Dropped
	for _, n := range t.Refused {
		t.Received += n
	}
	return t
}

// Report calls f, unless it is nil, and does not let it panic.
func Report(f func(error), err error) {
	if f == nil {
		return
	}
	var ignored error
	defer stage.Rescue(&ignored)
	f(err)
}

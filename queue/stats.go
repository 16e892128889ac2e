package queue

import (
	"log/slog"
	"time"

	"github.com/slogworks/slogworks"
)

// Stats are counts since the queue was made. At rest,
//
//	Enqueued == Handled + Failed + DroppedAbandoned.Total()
//
// Records refused by overflow or after Shutdown were never enqueued.
type Stats struct {
	Enqueued uint64 // records that found room
	Handled  uint64 // records that the next handler took
	Failed   uint64 // records that it did not take, for good
	Panics   uint64 // those of the failed on which it panicked

	DroppedOverflow  Counts // for want of room, those the Fallback took included
	DroppedClosed    Counts // after Shutdown
	DroppedAbandoned Counts // by a Shutdown that ran out of time

	Len       int           // records that wait or are being handled
	HighWater int           // the largest Len there was
	Oldest    time.Duration // how long ago the oldest of these was logged, to within a batch; 0 if there is none

	LastError error // of the last attempt that failed, however long ago; not one after a Shutdown gave up
}

// Counts are numbers of records by level: below Info, below Warn, below Error,
// and the others.
type Counts struct{ Debug, Info, Warn, Error uint64 }

// Total returns the sum.
func (c Counts) Total() uint64 { return c.Debug + c.Info + c.Warn + c.Error }

func (c *Counts) add(level slog.Level) {
	switch {
	case level < slog.LevelInfo:
		c.Debug++
	case level < slog.LevelWarn:
		c.Info++
	case level < slog.LevelError:
		c.Warn++
	default:
		c.Error++
	}
}

func (c *Counts) merge(other Counts) {
	c.Debug += other.Debug
	c.Info += other.Info
	c.Warn += other.Warn
	c.Error += other.Error
}

// value is the group of those that are not zero.
func (c Counts) value() slog.Value {
	var attrs []slog.Attr
	for _, n := range []struct {
		level slog.Level
		count uint64
	}{
		{slog.LevelDebug, c.Debug}, {slog.LevelInfo, c.Info}, {slog.LevelWarn, c.Warn}, {slog.LevelError, c.Error},
	} {
		if n.count > 0 {
			attrs = append(attrs, slog.Uint64(n.level.String(), n.count))
		}
	}
	return slog.GroupValue(attrs...)
}

// Stats returns the counts of the queue, for all handlers that share it.
func (h *Handler) Stats() Stats {
	c := h.core
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{
		DroppedOverflow:  c.overflow,
		DroppedClosed:    c.refused,
		DroppedAbandoned: c.abandoned,
		HighWater:        c.highWater,
		LastError:        c.lastError,
	}
	// Nothing else is read twice, so that the counts balance at any time.
	s.Panics = c.panics.Load()
	s.Failed = c.failed.Load()
	s.Handled = c.handled.Load()
	s.Enqueued = c.queued
	s.Len = int(s.Enqueued - s.Handled - s.Failed - s.DroppedAbandoned.Total())
	if s.Len == 0 {
		return s
	}
	oldest := c.taken
	if oldest.IsZero() && c.inHand == 0 && c.queue.len > 0 {
		oldest = c.queue.peek(1)[0].time()
	}
	if !oldest.IsZero() {
		s.Oldest = max(0, time.Since(oldest))
	}
	return s
}

// Account gives the same counts as part of [slogworks.Books].
func (h *Handler) Account() slogworks.Account {
	s := h.Stats()
	return slogworks.Account{
		Stage:     "queue",
		Accepted:  s.Enqueued + s.DroppedOverflow.Total() + s.DroppedClosed.Total(),
		Delivered: s.Handled,
		Held:      uint64(s.Len),
		Dropped: map[string]uint64{
			"overflow":  s.DroppedOverflow.Total(),
			"closed":    s.DroppedClosed.Total(),
			"abandoned": s.DroppedAbandoned.Total(),
			"failed":    s.Failed,
		},
	}
}

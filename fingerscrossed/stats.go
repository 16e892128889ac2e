package fingerscrossed

import (
	"log/slog"
	"time"

	"github.com/slogworks/slogworks"
)

// Stats are counts of a [Handler] or of one [Scope]. While nothing is on its
// way,
//
//	Accepted == Written + Discarded + Evicted + Failed + Held
type Stats struct {
	Accepted    uint64 // records held or written; not those that an outer scope took over
	Written     uint64 // records that the next handler took
	Discarded   uint64 // held and not needed: nothing triggered, or Discard was called; or given up by Shutdown
	Evicted     uint64 // below Level and dropped because a buffer was full
	Failed      uint64 // records that the next handler did not take
	Held        uint64 // records that wait
	Escalations uint64 // releases
	Abandoned   uint64 // scopes that were never ended
}

func (s *Stats) add(more Stats) {
	s.Accepted += more.Accepted
	s.Written += more.Written
	s.Discarded += more.Discarded
	s.Evicted += more.Evicted
	s.Failed += more.Failed
	s.Held += more.Held
	s.Escalations += more.Escalations
	s.Abandoned += more.Abandoned
}

// snapshot returns the counts of b. The lock is held.
func (b *buffer) snapshot() Stats {
	s := b.stats
	s.Held = s.Accepted - s.Written - s.Discarded - s.Evicted - s.Failed
	return s
}

// Stats returns the counts of the handler: of all its scopes and of the records
// outside of them.
func (h *Handler) Stats() Stats {
	c := h.core
	buffers, s := c.inUse()
	for _, b := range buffers {
		// One that has ended since is not in s, and its counts are still there.
		b.mu.Lock()
		s.add(b.snapshot())
		b.mu.Unlock()
	}
	written, failed := c.written.Load(), c.failed.Load()
	s.Accepted += written + failed
	s.Written += written
	s.Failed += failed
	return s
}

// Account gives the same counts as part of [slogworks.Books], and those of the
// records that were refused after Shutdown.
func (h *Handler) Account() slogworks.Account {
	s := h.Stats()
	refused := h.core.refused.Load()
	return slogworks.Account{
		Stage:     "fingerscrossed",
		Accepted:  s.Accepted + refused,
		Delivered: s.Written,
		Held:      s.Held,
		Dropped: map[string]uint64{
			"discarded": s.Discarded,
			"evicted":   s.Evicted,
			"failed":    s.Failed,
			"closed":    refused,
		},
	}
}

// loss is what was dropped for want of room and not told yet.
type loss struct {
	debug, info, warn, more uint64
	since                   time.Time
}

// total is also for a nil loss.
func (l *loss) total() uint64 {
	if l == nil {
		return 0
	}
	return l.debug + l.info + l.warn + l.more
}

func (l *loss) add(level slog.Level) {
	if l.since.IsZero() {
		l.since = time.Now()
	}
	switch {
	case level < slog.LevelInfo:
		l.debug++
	case level < slog.LevelWarn:
		l.info++
	case level < slog.LevelError:
		l.warn++
	default:
		l.more++
	}
}

// merged returns l with what is in other, either of which may be nil.
func (l *loss) merged(other *loss) *loss {
	switch {
	case l == nil:
		return other
	case other == nil:
		return l
	}
	if other.since.Before(l.since) {
		l.since = other.since
	}
	l.debug += other.debug
	l.info += other.info
	l.warn += other.warn
	l.more += other.more
	return l
}

// record is what the log says about the loss.
func (l *loss) record() slog.Record {
	var byLevel []slog.Attr
	for _, of := range []struct {
		level slog.Level
		n     uint64
	}{
		{slog.LevelDebug, l.debug}, {slog.LevelInfo, l.info}, {slog.LevelWarn, l.warn}, {slog.LevelError, l.more},
	} {
		if of.n > 0 {
			byLevel = append(byLevel, slog.Uint64(of.level.String(), of.n))
		}
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "slogworks: records dropped", 0)
	r.AddAttrs(
		slog.String("stage", "fingerscrossed"),
		slog.Uint64("dropped", l.total()),
		slog.Attr{Key: "by_level", Value: slog.GroupValue(byLevel...)},
		slog.String("reason", "evicted"),
		slog.Time("since", l.since),
	)
	return r
}

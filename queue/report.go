package queue

import (
	"log/slog"
	"time"

	"github.com/slogworks/slogworks"
)

// loss is what one destination has lost by overflow and was not told yet.
type loss struct {
	Counts
	since time.Time
}

func (l *loss) add(level slog.Level) {
	if l.Total() == 0 {
		l.since = time.Now()
	}
	l.Counts.add(level)
}

// countDrop counts a record that was not put into the queue. The lock is held.
func (c *core) countDrop(to *destination, err error, level slog.Level) {
	if err == ErrClosed {
		c.refused.add(level)
		return
	}
	c.overflow.add(level)
	to.lost.add(level)
}

// lossPending reports whether there is something to tell, or being told. The
// lock is held.
func (c *core) lossPending() bool {
	if c.telling {
		return true
	}
	for _, d := range c.destinations {
		if d.lost.Total() > 0 {
			return true
		}
	}
	return false
}

// reportDue reports whether there is something to tell even though the backlog
// lasts. The lock is held.
func (c *core) reportDue() bool {
	return c.lossPending() && time.Since(c.reported) >= c.ReportEvery
}

// report tells each destination what it has lost. The lock is held on entry and
// on return, and not in between. Once a Shutdown has given up it tells nothing,
// since that Shutdown may be waiting for the worker to end.
func (c *core) report() {
	for i := range c.waiters {
		w := &c.waiters[i]
		w.told = w.told || w.until <= c.settled.Load()
	}
	for i := 0; i < len(c.destinations) && c.gaveUp == nil; i++ {
		d := c.destinations[i]
		if d.lost.Total() == 0 {
			continue
		}
		told := d.lost
		d.lost = loss{}
		c.telling = true
		c.mu.Unlock()
		err := handleIfEnabled(c.life, d.target.Handler, told.record())
		delivery, _ := err.(*slogworks.DeliveryError)
		down := delivery != nil && !delivery.Permanent
		switch {
		case err == nil:
			c.recovered(d)
		case down:
			c.stalled(d, err)
		case err != errDisabled:
			c.attemptFailed(d, err)
			c.reportError(err)
		}
		c.mu.Lock()
		c.telling = false
		c.reported = time.Now()
		if down {
			d.lost.merge(told) // until it is up again
		}
	}
}

// merge adds an earlier loss.
func (l *loss) merge(earlier loss) {
	l.Counts.merge(earlier.Counts)
	l.since = earlier.since
}

// record is what the log says about the loss.
func (l *loss) record() slog.Record {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "slogworks: records dropped", 0)
	r.AddAttrs(
		slog.String("stage", "queue"),
		slog.Uint64("dropped", l.Total()),
		slog.Attr{Key: "by_level", Value: l.value()},
		slog.String("reason", "overflow"),
		slog.Time("since", l.since),
	)
	return r
}

package limit

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/slogworks/slogworks/internal/stage"
)

// report is what is to be told of records that were dropped.
type report struct {
	summaries         []summary
	sampled, overRate loss

	owed int           // records that are not told yet; under core.mu
	told chan struct{} // closed when nobody tells it any more
}

// len returns how many records tell it.
func (p *report) len() int {
	n := len(p.summaries)
	for _, l := range []*loss{&p.sampled, &p.overRate} {
		if l.total > 0 {
			n++
		}
	}
	return n
}

// loss is what Sample or Rate dropped.
type loss struct {
	total   uint64
	byLevel [len(levels)]uint64
	since   time.Time
}

// levels are the lowest of each group that losses are counted by; the first
// has all below it too.
var levels = [...]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func (l *loss) add(r *slog.Record) {
	if l.total == 0 {
		l.since = timeOf(r)
	}
	l.total++
	group := 0
	for i, lowest := range levels {
		if r.Level >= lowest {
			group = i
		}
	}
	l.byLevel[group]++
}

func (l *loss) record(reason string) slog.Record {
	var byLevel []slog.Attr
	for i, n := range l.byLevel {
		if n > 0 {
			byLevel = append(byLevel, slog.Uint64(levels[i].String(), n))
		}
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "slogworks: records dropped", 0)
	r.AddAttrs(
		slog.String("stage", "limit"),
		slog.Uint64("dropped", l.total),
		slog.GroupAttrs("by_level", byLevel...),
		slog.String("reason", reason),
		slog.Time("since", l.since),
	)
	return r
}

func (s *summary) record() slog.Record {
	r := slog.NewRecord(time.Now(), s.level, fmt.Sprintf("%s (%d more)", s.message, s.count), s.pc)
	r.AddAttrs(slog.GroupAttrs("limit",
		slog.Uint64("count", s.count),
		slog.Time("first", s.first),
		slog.Time("last", s.last),
	))
	return r
}

// promise notes that the report is going to be told. The lock is held.
func (c *core) promise(due *report) {
	due.owed, due.told = due.len(), make(chan struct{})
	c.telling[due] = struct{}{}
}

// tell hands on what was promised, until a Shutdown gives up.
func (c *core) tell(due *report) {
	defer c.told(due)
	for i := range due.summaries {
		s := &due.summaries[i]
		c.hand(due, s.from, s.record())
	}
	if due.sampled.total > 0 {
		c.hand(due, c.root, due.sampled.record("sampled"))
	}
	if due.overRate.total > 0 {
		c.hand(due, c.root, due.overRate.record("rate"))
	}
}

// told ends a report, also for a handler that has ended the goroutine, as
// testing.T.FailNow does.
func (c *core) told(due *report) {
	c.mu.Lock()
	delete(c.telling, due)
	c.owed += due.owed
	close(due.told)
	c.mu.Unlock()
	if due.owed > 0 && c.life.Err() == nil {
		c.report(fmt.Errorf("limit: %d summaries not written: the next handler has ended its goroutine", due.owed))
	}
}

func (c *core) hand(due *report, h *Handler, r slog.Record) {
	if c.life.Err() != nil {
		return
	}
	err := stage.Offer(c.life, h.next, r)
	c.mu.Lock()
	due.owed--
	if err == nil {
		c.stats.Summaries++
	}
	c.mu.Unlock()
	if err != nil {
		c.report(fmt.Errorf("limit: summary not written: %w", err))
	}
}

// report calls OnError.
func (c *core) report(err error) {
	if c.OnError == nil {
		return
	}
	var ignored error
	defer stage.Rescue(&ignored)
	c.OnError(err)
}

// wait waits until what is being told is told, but not for what others begin to
// tell meanwhile: of many kinds, one may always be. Its error is about what was
// not told before ctx ended.
func (c *core) wait(ctx context.Context) error {
	c.mu.Lock()
	reports := slices.Collect(maps.Keys(c.telling))
	c.mu.Unlock()
	for _, due := range reports {
		select {
		case <-due.told:
		case <-ctx.Done():
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	owed := c.owed
	for _, due := range reports {
		if _, ok := c.telling[due]; ok {
			owed += due.owed
		}
	}
	if owed > 0 && ctx.Err() != nil {
		return fmt.Errorf("limit: %d summaries not written: %w", owed, ctx.Err())
	}
	return nil
}

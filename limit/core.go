package limit

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// core is what a handler and those derived from it share.
type core struct {
	Options // with the defaults
	root    *Handler
	life    context.Context // of what is told; ends when a Shutdown gives up
	giveUp  context.CancelFunc

	mu     sync.Mutex
	closed bool

	// The window is over when ends is reached. While there is something to tell
	// the timer ends it, so that a record which is dropped need not ask for the
	// time; otherwise the next record does.
	ends  time.Time
	timer *time.Timer

	kinds       map[kindID]*kind
	calm, noisy queue // of the kinds: those of which nothing was dropped, and the others

	samplers []*sampler
	sampled  loss
	bucket   bucket
	overRate loss

	telling map[*report]struct{} // what goroutines tell at present
	owed    int                  // records that those that gave up have not told

	stats Stats
}

func newCore(opts *Options) *core {
	c := &core{kinds: map[kindID]*kind{}, telling: map[*report]struct{}{}}
	if opts != nil {
		c.Options = *opts
	}
	if c.First == 0 {
		c.First = 100
	}
	if c.Window <= 0 {
		c.Window = time.Minute
	}
	if c.MaxKinds <= 0 {
		c.MaxKinds = 10_000
	}
	for _, s := range c.Sample {
		c.samplers = append(c.samplers, &sampler{below: stage.Level("limit", s.Below, slog.LevelInfo), every: s.Every})
	}
	c.bucket = newBucket(c.Rate)
	c.life, c.giveUp = context.WithCancel(context.Background())
	return c
}

// callKind returns what Options.Kind says.
func (c *core) callKind(ctx context.Context, v slogworks.View) (name string) {
	var err error
	defer func() {
		if err != nil {
			name = ""
			c.report(err)
		}
	}()
	defer stage.Rescue(&err)
	return c.Kind(ctx, v)
}

// samplerOf returns which sampler is for the level, or -1. It is asked without
// the lock, since what a Leveler does is not ours.
func (c *core) samplerOf(level slog.Level) int {
	return slices.IndexFunc(c.samplers, func(s *sampler) bool { return level < s.below.Level() })
}

// admit counts the record and reports whether it passes. If a kind had to be
// forgotten for it, evicted is to be told first.
func (c *core) admit(h *Handler, r *slog.Record, id kindID, limited bool, sampler int) (pass bool, evicted *report, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.stats.Closed++
		return false, nil, ErrClosed
	}
	if c.timer == nil {
		c.turn(time.Now())
	}
	if sampler >= 0 && !c.samplers[sampler].take() {
		c.stats.Sampled++
		c.lose(&c.sampled, r)
		return false, nil, nil
	}
	var k *kind
	if limited {
		if k = c.kinds[id]; k != nil && k.passed >= c.First {
			c.suppress(k, h, r)
			return false, nil, nil
		}
	}
	if !c.bucket.take() {
		c.stats.OverRate++
		c.lose(&c.overRate, r)
		return false, nil, nil
	}
	if limited {
		if k == nil {
			k, evicted = c.add(id)
		}
		k.passed++
	}
	c.stats.Passed++
	return true, evicted, nil
}

// pass counts n records that nothing is decided about.
func (c *core) pass(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.stats.Closed += uint64(n)
		return ErrClosed
	}
	c.stats.Passed += uint64(n)
	return nil
}

// turn begins another window if this one is over. The lock is held.
func (c *core) turn(now time.Time) {
	if now.Before(c.ends) {
		return
	}
	c.forget()
	c.ends = now.Add(c.Window)
}

// forget forgets all kinds. The lock is held.
func (c *core) forget() {
	clear(c.kinds)
	c.calm, c.noisy = queue{}, queue{}
}

// add remembers a new kind and, if they are too many, forgets another. The
// lock is held.
func (c *core) add(id kindID) (k *kind, evicted *report) {
	if len(c.kinds) >= c.MaxKinds {
		victim := c.calm.first
		if victim != nil {
			c.calm.remove(victim)
		} else {
			victim = c.noisy.first
			c.noisy.remove(victim)
			evicted = &report{summaries: []summary{victim.more}}
			c.promise(evicted)
		}
		delete(c.kinds, victim.id)
		c.stats.Evicted++
	}
	k = newKind(id)
	c.kinds[k.id] = k
	c.calm.push(k)
	return k, evicted
}

// suppress drops the record. The lock is held.
func (c *core) suppress(k *kind, h *Handler, r *slog.Record) {
	if k.more.count == 0 {
		c.calm.remove(k)
		c.noisy.push(k)
		c.wake()
	}
	k.more.add(h, r)
	c.stats.Suppressed++
}

// lose drops the record. The lock is held.
func (c *core) lose(l *loss, r *slog.Record) {
	l.add(r)
	c.wake()
}

// wake makes sure that what is dropped is told. The lock is held.
func (c *core) wake() {
	if c.timer == nil {
		c.timer = time.AfterFunc(time.Until(c.ends), c.end)
	}
}

// end ends the window; the next begins with the next record.
func (c *core) end() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	due := c.collect()
	c.forget()
	c.timer = nil
	c.mu.Unlock()
	c.tell(due)
}

// collect takes what there is to tell, which the caller then has to tell. The
// lock is held.
func (c *core) collect() *report {
	due := new(report)
	for k := c.noisy.first; k != nil; k = c.noisy.first {
		due.summaries = append(due.summaries, k.more)
		k.more = summary{}
		c.noisy.remove(k)
		c.calm.push(k)
	}
	due.sampled, c.sampled = c.sampled, loss{}
	due.overRate, c.overRate = c.overRate, loss{}
	c.promise(due)
	return due
}

func (c *core) flush(ctx context.Context) error {
	c.mu.Lock()
	due := c.collect()
	c.mu.Unlock()
	return c.tellWithin(ctx, due)
}

func (c *core) shutdown(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	due := c.collect()
	c.forget()
	c.mu.Unlock()
	defer c.giveUp()
	if ctx.Err() != nil {
		c.giveUp()
	}
	return c.tellWithin(ctx, due)
}

// tellWithin tells what is due and waits, until ctx ends, for others that tell
// something too. What the next handler does may take longer.
func (c *core) tellWithin(ctx context.Context, due *report) error {
	if due.len() > 0 && c.life.Err() == nil {
		go c.tell(due)
	} else {
		c.tell(due)
	}
	return c.wait(ctx)
}

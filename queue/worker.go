package queue

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strconv"
	"time"

	"github.com/slogworks/slogworks"
)

// lingers is how many times the worker looks at an empty queue before it ends.
const lingers = 50

// work hands on what is in the queue until it is empty for a while. There is
// never more than one worker.
func (c *core) work() {
	ended := false
	defer func() {
		if !ended {
			c.replaceWorker()
		}
	}()
	c.worker.Store(goroutine())
	c.mu.Lock()
	for c.waitForWork() {
		first := &c.queue.peek(1)[0]
		c.taken = first.time()
		switch to := first.from.to; {
		case first.batch != nil:
			c.handleKept(to, first)
		case to.batches != nil:
			c.handleGathered(to)
		default:
			c.handleRun(to)
		}
		c.taken = time.Time{}
		c.settledSeen = c.settled.Load()
		if c.reportDue() {
			c.report()
			c.notify()
		}
	}
	c.running = false
	c.items = nil
	c.queue.shrink()
	c.worker.Store(0)
	close(c.ended)
	ended = true
	c.mu.Unlock()
}

// replaceWorker is what is left to do for a worker whose goroutine the handler
// has ended by runtime.Goexit, as testing.T.FailNow does: what the handler had
// in its hands has failed, and the rest is for a new worker.
func (c *core) replaceWorker() {
	c.mu.Lock()
	if c.inHand > 0 {
		claimed := c.queue.peek(int(min(c.claimed.Load(), int64(c.inHand))))
		clear(claimed)
		c.queue.pop(len(claimed))
		c.inHand = 0
	}
	c.taken, c.telling = time.Time{}, false
	c.mu.Unlock()
	c.failed.Add(uint64(c.due))
	c.settle(c.due)
	go c.work()
}

// waitForWork reports whether there is something in the queue. If not, it tells
// what was dropped, wakes whoever waits, and lingers. The lock is held on entry
// and on return.
func (c *core) waitForWork() bool {
	for nap := 0; nap < lingers; nap++ {
		if c.queue.len > 0 {
			return true
		}
		if nap == 0 {
			c.report()
		}
		c.notify()
		if c.queue.len > 0 {
			return true
		}
		if c.closed || c.Linger == 0 {
			return false
		}
		c.lingering = true
		c.mu.Unlock()
		timer := time.NewTimer(c.Linger)
		select {
		case <-timer.C:
			c.mu.Lock()
			if !c.lingering { // somebody roused it at the same moment
				<-c.wake
				nap = -1
			}
			c.lingering = false
		case <-c.wake:
			timer.Stop()
			c.mu.Lock()
			nap = -1
		}
	}
	return c.queue.len > 0
}

// handleRun hands on the records at the head of the queue that go to one
// handler, where they stand. The lock is held on entry and on return.
//
// The worker claims each record before it hands it on. A Shutdown that gives up
// claims all the rest, so that each record is counted once and what a handler
// that never returns holds back is one record and not a run of them.
func (c *core) handleRun(to *destination) {
	run := c.run(to, c.MaxBatch)
	c.inHand = len(run)
	c.claimed.Store(0)
	c.mu.Unlock()
	gaveUp := false
	for i := range run {
		if c.claimed.Add(1) > int64(len(run)) {
			gaveUp = true
			break
		}
		s := &run[i]
		c.due = 1
		c.handleOne(c.during(s.ctx), to, s.from.with.Handler(to.target), s.from.with, s.record)
		*s = slot{}
	}
	c.mu.Lock()
	if gaveUp {
		clear(run)
	}
	c.inHand = 0
	c.queue.pop(len(run))
}

// run returns the slots at the head, side by side and at most n, that hold
// records for one destination. The lock is held.
func (c *core) run(to *destination, n int) []slot {
	run := c.queue.peek(n)
	for i := range run {
		if run[i].batch != nil || run[i].from.to != to {
			return run[:i]
		}
	}
	return run
}

// handleGathered hands on up to MaxBatch records at once. The lock is held on
// entry and on return.
func (c *core) handleGathered(to *destination) {
	items := c.items[:0]
	for len(items) < c.MaxBatch && c.queue.len > 0 {
		run := c.run(to, c.MaxBatch-len(items))
		if len(run) == 0 {
			break
		}
		c.inHand = len(run)
		c.claimed.Store(int64(len(run)))
		// Folding the chain into the records takes its time.
		c.mu.Unlock()
		for i := range run {
			s := &run[i]
			items = append(items, slogworks.Item{Context: keptContext(s.ctx), Record: s.from.with.Flatten(s.record)})
			*s = slot{}
		}
		c.mu.Lock()
		c.inHand = 0
		c.queue.pop(len(run))
	}
	c.mu.Unlock()
	c.handleBatch(to, slogworks.Batch{Kind: slogworks.Stream, Items: items})
	clear(items)
	c.items = items
	c.mu.Lock()
}

// handleKept hands on a batch that came as one. The lock is held on entry and
// on return.
func (c *core) handleKept(to *destination, first *slot) {
	b := first.batch
	*first = slot{}
	c.queue.pop(1)
	c.mu.Unlock()
	if to.batches != nil {
		c.handleBatch(to, *b)
	} else {
		c.handleItems(to, b.Items)
	}
	c.mu.Lock()
}

// handleItems hands on the items of a batch to a handler that takes none, as
// far as it is enabled for them: whoever made the batch may not have asked.
func (c *core) handleItems(to *destination, items []slogworks.Item) {
	c.due = len(items)
	for i, item := range items {
		if c.life.Err() != nil {
			c.abandon(items[i:])
			return
		}
		ctx := c.during(item.Context)
		if !to.enabled(ctx, item.Record.Level) {
			c.succeed(1)
			continue
		}
		c.handleOne(ctx, to, to.target.Handler, nil, item.Record.Clone())
	}
}

// enabled reports whether the handler wants to see records of the level. If it
// panics, it is left to Handle to panic again.
func (d *destination) enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer func() {
		if recover() != nil {
			enabled = true
		}
	}()
	return d.target.Handler.Enabled(ctx, level)
}

// during returns the context for handling a record that was logged with ctx:
// its values, for as long as the queue lives.
func (c *core) during(ctx context.Context) context.Context {
	if ctx == nil || ctx == context.Background() {
		return c.life
	}
	return lifetime{c.life, context.WithoutCancel(ctx)}
}

// lifetime ends with its Context and has the values of another.
type lifetime struct {
	context.Context
	values context.Context
}

// Value also asks the Context, which has no values but knows itself by a key of
// package context: without that, each context derived from l has a goroutine.
func (l lifetime) Value(key any) any {
	if v := l.values.Value(key); v != nil {
		return v
	}
	return l.Context.Value(key)
}

// keptContext returns what an Item carries of ctx.
func keptContext(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return context.WithoutCancel(ctx)
}

// goroutine returns the number of the goroutine that runs. Nothing in Go gives
// it but the text of a stack, which takes about 2us: the worker asks once in
// its life, callers only before they wait.
func goroutine() uint64 {
	var buf [64]byte
	text := buf[:runtime.Stack(buf[:], false)]
	text, _ = bytes.CutPrefix(text, []byte("goroutine "))
	number, _, _ := bytes.Cut(text, []byte(" "))
	n, _ := strconv.ParseUint(string(number), 10, 64)
	return n
}

// onWorker reports whether the caller is the handler behind the queue.
func (c *core) onWorker() bool {
	worker := c.worker.Load()
	return worker != 0 && worker == goroutine()
}

// newID returns an ID for a batch that is this queue's own.
func (c *core) newID() string {
	c.batches++
	return c.name + "-" + strconv.FormatUint(c.batches, 36)
}

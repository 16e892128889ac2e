package queue

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// core is the queue that derived and shared handlers have in common.
type core struct {
	settings
	life    context.Context // of the calls to the next handler
	endLife context.CancelFunc
	closing chan struct{} // closed by the first Shutdown

	mu           sync.Mutex
	queue        fifo
	queued       uint64 // places ever taken; those not settled are in use
	highWater    int
	closed       bool
	gaveUp       error     // why a Shutdown has abandoned what was waiting
	running      bool      // there is a worker,
	lingering    bool      // which sleeps because the queue is empty,
	pausing      bool      // or before it tries something again,
	telling      bool      // or tells what was dropped
	taken        time.Time // when the first record that the worker has was made
	ended        chan struct{}
	stalledAt    uint64        // what settled was when somebody waited in vain
	room         chan struct{} // closed when there is room; nil if nobody waits
	roomAt       int           // how many places may be taken then
	waiters      []waiter      // in the order of what they wait for
	destinations []*destination
	overflow     Counts
	refused      Counts // after Shutdown
	abandoned    Counts
	reported     time.Time // when the last loss was told
	lastError    error     // of the last attempt that failed
	failuresTold uint64    // records that failed, when Shutdown told of it
	lastFailure  error     // of those

	settledSeen uint64 // what settled was when somebody last looked

	// The worker alone writes these for each record, without the lock, on cache
	// lines that callers do not need; abandoning adds to settled.
	_                                [64]byte
	settled, handled, failed, panics atomic.Uint64
	claimed                          atomic.Int64 // see handleRun
	due                              int          // places that it is about to settle
	_                                [64]byte

	waiting atomic.Bool   // somebody is to be told of progress
	inHand  int           // how many slots at the head are the worker's
	worker  atomic.Uint64 // its goroutine's number
	wake    chan struct{}
	items   []slogworks.Item // the worker's, for batches
	batches uint64           // the worker's, made so far
	name    string           // of this queue in this process, for batches
}

// destination is a handler behind the queue.
type destination struct {
	target  *chain.Target
	batches slogworks.BatchHandler // nil if it takes none
	lost    loss

	failure   error     // of the last attempt; nil if it succeeded
	stallTold time.Time // when OnError was last told of the stall; the worker's
}

func newCore(opts *Options) *core {
	c := &core{
		settings: settingsOf(opts),
		closing:  make(chan struct{}),
		wake:     make(chan struct{}, 1),
		name:     strconv.FormatUint(rand.Uint64(), 36),
	}
	c.stalledAt = neverStalled
	c.life, c.endLife = context.WithCancel(context.Background())
	return c
}

const neverStalled = ^uint64(0)

func (c *core) addDestination(next slog.Handler) *destination {
	d := &destination{target: &chain.Target{Handler: stage.Require("queue", next)}}
	d.batches, _ = next.(slogworks.BatchHandler)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.destinations = append(c.destinations, d)
	return d
}

func (c *core) unwrap() []slog.Handler {
	c.mu.Lock()
	defer c.mu.Unlock()
	var handlers []slog.Handler
	for _, d := range c.destinations {
		handlers = append(handlers, d.target.Handler)
	}
	if c.Fallback != nil {
		handlers = append(handlers, c.Fallback)
	}
	return handlers
}

// used is how many places are taken. The lock is held.
func (c *core) used() int {
	c.settledSeen = c.settled.Load()
	return c.atMost()
}

// atMost is how many places may be taken, without a look at what the worker has
// done since somebody last looked: that look costs as much as all the rest when
// the worker runs on another processor. The lock is held.
func (c *core) atMost() int { return int(c.queued - c.settledSeen) }

// put queues a settled record. It comes by reference because each further copy
// of its 288 bytes can be measured.
func (c *core) put(ctx context.Context, from *Handler, r *slog.Record) error {
	if c.DropContext || ctx == context.Background() {
		ctx = nil
	}
	level := r.Level
	await := c.awaits(level)
	c.mu.Lock()
	if c.closed || c.atMost() >= c.open {
		if err := c.admit(level, 1); err != nil {
			c.countDrop(from.to, err, level)
			c.mu.Unlock()
			return c.elsewhere(err, func() error {
				return handleIfEnabled(ctx, c.Fallback, from.with.Flatten(*r))
			})
		}
	}
	s := c.queue.push()
	s.from, s.ctx, s.record = from, ctx, r.Clone()
	settled := c.added(1, await)
	c.mu.Unlock()
	if await {
		c.await(settled)
	}
	return nil
}

func (c *core) putBatch(from *Handler, b slogworks.Batch) error {
	if len(b.Items) == 0 {
		return nil
	}
	b.Items, b.Done = slices.Clone(b.Items), slices.Clone(b.Done)
	if c.DropContext {
		for i := range b.Items {
			b.Items[i].Context = context.Background()
		}
	}
	level := highest(b.Items)
	await := c.awaits(level)
	c.mu.Lock()
	if err := c.admit(level, len(b.Items)); err != nil {
		for _, item := range b.Items {
			c.countDrop(from.to, err, item.Record.Level)
		}
		if err == ErrFull && c.queue.len == 0 {
			c.rouse() // a batch can be too large for an empty queue, too
		}
		c.mu.Unlock()
		return c.elsewhere(err, func() error {
			return c.fallBack(context.Background(), b)
		})
	}
	s := c.queue.push()
	s.from, s.batch = from, &b
	settled := c.added(len(b.Items), await)
	c.mu.Unlock()
	if await {
		c.await(settled)
	}
	return nil
}

// added accounts for n places just taken and sees to it that there is a worker
// awake. If somebody awaits them, it returns a channel that is closed when they
// are settled. The lock is held.
func (c *core) added(n int, await bool) (settled <-chan struct{}) {
	c.queued += uint64(n)
	if c.atMost() > c.highWater {
		c.highWater = max(c.highWater, c.used())
	}
	if !c.running || c.lingering && (await || c.atMost() >= c.Capacity/4) {
		c.rouse()
	}
	if await {
		settled = c.notifyAt(waiter{until: c.queued, told: true})
	}
	return settled
}

// rouse has the worker look at the queue soon. The lock is held.
func (c *core) rouse() {
	if !c.running {
		c.running = true
		c.ended = make(chan struct{})
		go c.work()
	}
	if c.lingering {
		c.lingering = false
		c.wake <- struct{}{}
	}
}

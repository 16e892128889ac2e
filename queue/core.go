package queue

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime"
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
	telling      bool      // or tells what was dropped,
	pausing      bool      // or before it tries something again
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

	settledSeen uint64 // what settled was when somebody last looked

	// The worker alone adds to these for each record, without the lock, on
	// cache lines that callers do not need; abandoning adds to settled.
	_                                [64]byte
	settled, handled, failed, panics atomic.Uint64
	claimed                          atomic.Int64 // see handleRun
	_                                [64]byte

	waiting atomic.Bool   // somebody is to be told of progress
	inHand  int           // how many slots at the head are the worker's
	worker  atomic.Uint64 // its goroutine's number
	wake    chan struct{}
	items   []slogworks.Item // the worker's, for batches
	batches uint64           // the worker's, made so far
	due     int              // the worker's, places that it is about to settle
	name    string           // of this queue in this process, for batches
}

// destination is a handler behind the queue.
type destination struct {
	target  *chain.Target
	batches slogworks.BatchHandler // nil if it takes none
	lost    loss
}

// waiter waits until settled has reached a number.
type waiter struct {
	until uint64
	told  bool // of what was dropped, or does not wait for that
	done  chan struct{}
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
			return c.elsewhere(err, func(fallback slog.Handler) error {
				return handleIfEnabled(ctx, fallback, from.with.Flatten(*r))
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
		return c.elsewhere(err, func(fallback slog.Handler) error {
			return stage.HandleBatch(context.Background(), fallback, b)
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

// awaits reports whether the caller is to wait until a record of the level is
// handled. The handler behind the queue would wait for itself.
func (c *core) awaits(level slog.Level) bool {
	return c.SyncLevel != nil && level >= c.SyncLevel.Level() && !c.onWorker()
}

// await waits for SyncTimeout at most.
func (c *core) await(settled <-chan struct{}) {
	timeout := time.NewTimer(c.SyncTimeout)
	defer timeout.Stop()
	select {
	case <-settled:
	case <-timeout.C:
		c.forget(settled)
	}
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
func (c *core) elsewhere(err error, offer func(slog.Handler) error) error {
	if err != ErrFull {
		return err
	}
	runtime.Gosched()
	if c.Fallback != nil && offer(c.Fallback) == nil {
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

// notifyAt returns a channel that is closed when what w waits for has come. The
// lock is held, and has been since it was known what that is, so that waiters
// stand in order.
func (c *core) notifyAt(w waiter) <-chan struct{} {
	w.done = make(chan struct{})
	c.waiters = append(c.waiters, w)
	c.waiting.Store(true)
	if c.settled.Load() >= w.until && !c.lossPending() {
		c.notify() // the worker may have looked at waiting just before
	}
	return w.done
}

// forget removes a waiter that waits no longer.
func (c *core) forget(done <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiters = slices.DeleteFunc(c.waiters, func(w waiter) bool { return w.done == done })
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

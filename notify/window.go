package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// core is what a handler and those derived from it share.
type core struct {
	Options // with the defaults
	sender  Sender
	life    context.Context // of what is sent; ends when a Shutdown does
	giveUp  context.CancelFunc

	mu      sync.Mutex
	closed  bool
	gaveUp  error // why a Shutdown left something undone
	pending draft // what the next message will tell

	// A window is open while there is a timer. Its end, or that of the message
	// which is being sent, whichever is later, is when the next may be sent.
	timer  *time.Timer
	ends   time.Time
	window time.Duration // how long the last window was, or 0 before the first

	sending  int           // records in the message that is being sent, 0: none is
	started  uint64        // messages
	finished uint64        // those that were sent or have failed
	changed  chan struct{} // closed when finished changes; nil: nobody waits

	sent, failed                           uint64 // messages
	failuresTold                           uint64 // of failed, those that Shutdown has told of
	lastError                              error  // of those
	told, coalesced                        uint64 // records
	lostToFailure, lostToClose, lostToTime uint64 // records
}

func newCore(s Sender, opts *Options) *core {
	c := &core{Options: settingsOf(opts), sender: s}
	c.pending.max = c.MaxRecords
	c.life, c.giveUp = context.WithCancel(context.Background())
	return c
}

// count settles the record if its number is all that is going to be told of it,
// which takes no copy of it.
func (c *core) count(level slog.Level) (settled bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.lostToClose++
		return true, ErrClosed
	}
	if c.pending.wants(level) {
		return false, nil
	}
	c.pending.count()
	return true, nil
}

func (c *core) add(r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.lostToClose++
		return ErrClosed
	}
	c.pending.add(r)
	c.sendIfDue()
	return nil
}

func (c *core) addBatch(with *chain.Node, b slogworks.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.lostToClose += uint64(len(b.Items))
		return ErrClosed
	}
	if b.Kind != slogworks.Stream {
		c.pending.takeBatch(with, b)
		c.sendIfDue()
		return nil
	}
	c.pending.lost += b.Dropped
	for _, item := range b.Items {
		c.pending.take(with, item.Record)
		c.sendIfDue()
	}
	return nil
}

// due reports whether the next message may be sent, but for one that is still
// being sent. The lock is held.
func (c *core) due() bool { return c.pending.given > 0 && (c.timer == nil || c.closed) }

// sendIfDue sends what is pending unless that has to wait, and opens the next
// window. The lock is held.
func (c *core) sendIfDue() {
	if !c.due() || c.sending > 0 {
		return
	}
	d := c.pending
	c.pending = draft{max: c.MaxRecords}
	c.sending = d.given
	c.started++
	if !c.closed {
		c.window = min(max(c.Window, 2*c.window), c.MaxWindow)
		c.open(c.window)
	}
	go c.send(d)
}

// open opens a window or makes the open one longer. The lock is held.
func (c *core) open(d time.Duration) {
	ends := time.Now().Add(d)
	if c.timer != nil {
		if !ends.After(c.ends) {
			return
		}
		c.timer.Stop()
	}
	c.ends = ends
	c.timer = time.AfterFunc(d, func() { c.end(ends) })
}

// end ends the window that was to end at that time, unless it was made longer
// or the handler was closed while the timer went off.
func (c *core) end(ends time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || !ends.Equal(c.ends) {
		return
	}
	c.timer = nil
	if c.pending.given == 0 {
		c.window = 0
	}
	c.sendIfDue()
}

// errGone is the error of a message whose Sender never returned.
var errGone = errors.New("notify: the sender ended its goroutine")

// send sends the draft. It is the function of its goroutine.
func (c *core) send(d draft) {
	m := d.message()
	err := errGone
	// Deferred, because a Sender may call runtime.Goexit, as t.FailNow does.
	defer func() { c.finish(&d, err) }()
	defer func() { c.result(m, err) }()
	m.render(c.Render)
	err = c.try(m)
}

func (c *core) try(m *Message) (err error) {
	ctx, cancel := context.WithTimeout(c.life, c.Timeout)
	defer cancel()
	defer stage.Rescue(&err)
	return c.sender.Send(ctx, m)
}

func (c *core) result(m *Message, err error) {
	if c.OnResult == nil {
		return
	}
	var ignored error
	defer stage.Rescue(&ignored)
	c.OnResult(m, err)
}

// finish counts what became of a message and sends the next if it is due.
func (c *core) finish(d *draft, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.sent++
		c.told += uint64(len(d.records))
		c.coalesced += uint64(d.given - len(d.records))
	} else {
		c.failed++
		c.lastError = err
		c.lostToFailure += uint64(d.given)
		if after := stage.DeliveryOf(err).After; after > 0 && !c.closed {
			c.open(after)
		}
	}
	c.sending = 0
	c.finished++
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
	if c.life.Err() == nil {
		c.sendIfDue()
	}
}

// wait waits until what is decided has been sent or has failed, and reports
// whether it has before ctx ended. A message that a Sender's error puts off
// meanwhile, or a Shutdown gives up, is not waited for. The lock is held, but
// not while it waits.
func (c *core) wait(ctx context.Context) bool {
	for target := c.decided(); ; {
		target = min(target, c.decided())
		if c.finished >= target {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		c.mu.Lock()
	}
}

// decided returns the number of the last message that is going to be sent. The
// lock is held.
func (c *core) decided() uint64 {
	if c.due() {
		return c.started + 1
	}
	return c.started
}

func (c *core) flush(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.wait(ctx) {
		return fmt.Errorf("notify: flush: %w: %d records waiting", ctx.Err(), c.pending.given+c.sending)
	}
	return nil
}

func (c *core) shutdown(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		if c.timer != nil {
			c.timer.Stop()
		}
		if ctx.Err() == nil {
			c.sendIfDue()
		}
	}
	before := c.lostToTime
	c.wait(ctx)
	if c.pending.given > 0 {
		c.lostToTime += uint64(c.pending.given)
		c.pending = draft{max: c.MaxRecords}
		c.gaveUp = ctx.Err()
	}
	if c.sending > 0 {
		c.gaveUp = ctx.Err()
	}
	c.giveUp()
	var err error
	if lost := c.lostToTime - before; lost > 0 || c.sending > 0 {
		err = fmt.Errorf("notify: shutdown: %w: %d records lost, %d still with the sender", c.gaveUp, lost, c.sending)
	}
	if untold := c.failed - c.failuresTold; untold > 0 && c.OnResult == nil {
		c.failuresTold = c.failed
		err = errors.Join(err, fmt.Errorf("notify: shutdown: messages not sent: %d, the last: %w", untold, stage.Final(c.lastError)))
	}
	return err
}

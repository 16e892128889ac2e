// Package outlet is what the sinks do alike that write records to a connection:
// where it goes to, having one when there is something to write, noticing that
// it has ended, saying when to try again, and what is counted.
package outlet

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks"
)

// Options are options for an [Outlet].
type Options struct {
	Name   string // of the package, for errors and the account
	Closed error  // what Acquire returns after Shutdown

	Target Target
	// Dial connects, below TLS. Default nil: to the target.
	Dial func(ctx context.Context) (net.Conn, error)
	// TLS is for a target that has it. Default nil: the roots of the system, and
	// the host of the target as the name of the server.
	TLS *tls.Config
	// Greet is called with each new stream, whose deadline is then that of
	// connecting, by who acquires the outlet. What it returns reads the stream
	// until it ends, on a goroutine of its own. Default nil, or a nil read: what
	// comes is of no interest.
	Greet func(conn net.Conn) (read func(), err error)

	DialTimeout, WriteTimeout time.Duration     // default 5s and 10s
	Backoff                   slogworks.Backoff // default 1s to 30s
}

// Outlet is where the records of a sink go out. It has one connection, which one
// call at a time has for itself, from Acquire to Release.
type Outlet struct {
	Options

	sent, failed, refused, tooLong atomic.Uint64

	life    context.Context // ends when a Shutdown gives up
	endLife context.CancelFunc
	closing chan struct{}
	close   sync.Once
	inUse   atomic.Pointer[link] // what a Shutdown that gives up has to close
	links   sync.WaitGroup

	// busy is a lock that can be waited for with a context; who holds it owns
	// what follows.
	busy      chan struct{}
	link      *link
	failures  int // in a row
	notBefore time.Time
	lastErr   error
}

// New returns an outlet that has no connection yet.
func New(opts Options) *Outlet {
	o := &Outlet{Options: opts, busy: make(chan struct{}, 1), closing: make(chan struct{})}
	o.TLS = o.Target.config(o.TLS)
	if o.Dial == nil {
		o.Dial = o.Target.dial
	}
	if o.DialTimeout <= 0 {
		o.DialTimeout = 5 * time.Second
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = 10 * time.Second
	}
	if o.Backoff.Min <= 0 {
		o.Backoff.Min = time.Second
	}
	if o.Backoff.Max <= 0 {
		o.Backoff.Max = 30 * time.Second
	}
	o.life, o.endLife = context.WithCancel(context.Background())
	return o
}

// Acquire waits until nobody else writes, and connects if there is no
// connection. If it returns an error, which is that of the batch, the batch is
// counted and there is nothing to release.
func (o *Outlet) Acquire(ctx context.Context, b slogworks.Batch) error {
	if err := o.lock(ctx); err != nil {
		if err == o.Closed {
			o.refused.Add(uint64(len(b.Items)))
			return err
		}
		return o.account(b, &slogworks.DeliveryError{Err: err})
	}
	connected := false
	defer func() {
		if !connected { // or the goroutine has ended in a function of the user's TLS
			o.Release()
		}
	}()
	if failure := o.connect(ctx, b.Attempt > 0); failure != nil {
		return o.account(b, failure)
	}
	connected = true
	return nil
}

// Release lets the next in.
func (o *Outlet) Release() { <-o.busy }

func (o *Outlet) lock(ctx context.Context) error {
	select {
	case <-o.closing:
		return o.Closed
	default:
	}
	select {
	case o.busy <- struct{}{}:
	default:
		select {
		case o.busy <- struct{}{}:
		case <-o.closing:
			return o.Closed
		case <-ctx.Done():
			return fmt.Errorf("%s: %w while others were sending", o.Name, ctx.Err())
		}
	}
	select {
	case <-o.closing:
		o.Release()
		return o.Closed
	default:
		return nil
	}
}

// Outcome is what became of a batch.
type Outcome struct {
	Accepted  int // items that are done with, those among them that were skipped
	Skipped   int // items that nobody will take
	Uncertain bool
	Err       error // nil if all items are done with
}

// Settle counts the batch and returns its error. To be called before Release, by
// who has written. After an error there is no connection any more.
func (o *Outlet) Settle(ctx context.Context, b slogworks.Batch, done Outcome) error {
	o.sent.Add(uint64(done.Accepted - done.Skipped))
	o.tooLong.Add(uint64(done.Skipped))
	if done.Err == nil {
		o.failures, o.lastErr, o.notBefore = 0, nil, time.Time{}
		return nil
	}
	o.disconnect()
	if ctx.Err() != nil {
		done.Err = ctx.Err()
	}
	failure := o.down(ctx, done.Err, true)
	failure.Accepted, failure.Uncertain = done.Accepted, done.Uncertain
	return o.account(b, failure)
}

// account counts what is lost unless somebody tries again.
func (o *Outlet) account(b slogworks.Batch, err *slogworks.DeliveryError) error {
	if b.Attempt == 0 {
		o.failed.Add(uint64(len(b.Items) - err.Accepted))
	}
	return err
}

// Account gives the counts as part of [slogworks.Books].
func (o *Outlet) Account() slogworks.Account {
	a := slogworks.Account{
		Stage:     o.Name,
		Delivered: o.sent.Load(),
		Dropped: map[string]uint64{
			"closed":   o.refused.Load(),
			"failed":   o.failed.Load(),
			"too long": o.tooLong.Load(),
		},
	}
	a.Accepted = a.Delivered
	for _, n := range a.Dropped {
		a.Accepted += n
	}
	return a
}

// Shutdown refuses whoever comes, waits for who is there, and closes the
// connection. If ctx ends first, the connection is closed at once, whoever
// writes gets an error, and so does the caller, wrapping ctx.Err().
func (o *Outlet) Shutdown(ctx context.Context) error {
	o.close.Do(func() { close(o.closing) })
	var err error
	select {
	case o.busy <- struct{}{}: // even if ctx is over
	default:
		select {
		case o.busy <- struct{}{}:
		case <-ctx.Done():
			o.endLife()
			if l := o.inUse.Load(); l != nil {
				l.cut()
			}
			o.busy <- struct{}{}
			err = fmt.Errorf("%s: shutdown: %w: the records that were being sent got an error", o.Name, ctx.Err())
		}
	}
	defer o.Release()
	if o.link != nil {
		stop := context.AfterFunc(ctx, o.link.cut)
		_ = o.link.conn.Close() // tells TLS, which waits for a peer that takes nothing
		stop()
	}
	o.disconnect()
	o.links.Wait()
	o.endLife()
	return err
}

package socket

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks"
)

// link is a connection. Of a stream, a goroutine reads what comes back.
type link struct {
	raw  net.Conn // below TLS
	conn net.Conn

	acked atomic.Uint64
	news  chan struct{} // after acked has changed

	gone chan struct{} // closed when the peer, or cut, has ended the stream
	why  error         // set before gone is closed
}

// cut ends the link, whoever uses it. TLS is not told, because that might wait
// for the peer. To close a connection twice is harmless.
func (l *link) cut() { _ = l.raw.Close() }

// connect returns the link, and makes one if there is none or the peer has ended
// it. To be called by who holds the lock, as the others here.
func (c *core) connect(ctx context.Context, atOnce bool) (*link, *slogworks.DeliveryError) {
	if c.link != nil {
		select {
		case <-c.link.gone:
			c.disconnect()
		default:
			return c.link, nil
		}
	}
	if wait := time.Until(c.notBefore); wait > 0 && !atOnce {
		return nil, &slogworks.DeliveryError{
			After: wait,
			Err:   fmt.Errorf("socket: no connection, the next attempt is in %v: %w", wait.Round(time.Millisecond), c.lastErr),
		}
	}
	dialing, cancel := context.WithTimeout(ctx, c.DialTimeout)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	l, err := c.dial(dialing)
	if err != nil {
		return nil, c.down(fmt.Errorf("connect: %w", err), false)
	}
	c.link = l
	c.inUse.Store(l)
	if c.life.Err() != nil { // a Shutdown that gave up came before the link was there to see
		l.cut()
	}
	return l, nil
}

// down notes a failure and says when the next attempt makes sense: at once if a
// connection broke that had worked, later if there is none to be had or the peer
// takes nothing.
func (c *core) down(err error, worked bool) *slogworks.DeliveryError {
	c.failures++
	wait := c.Backoff.Delay(c.failures)
	if worked && c.failures == 1 {
		wait = 0
	}
	c.notBefore, c.lastErr = time.Now().Add(wait), err
	return &slogworks.DeliveryError{After: wait, Err: fmt.Errorf("socket: %w", err)}
}

func (c *core) dial(ctx context.Context) (*link, error) {
	raw, err := new(net.Dialer).DialContext(ctx, c.target.network, c.target.address)
	if err != nil {
		return nil, err
	}
	l := &link{raw: raw, conn: raw, news: make(chan struct{}, 1), gone: make(chan struct{})}
	if c.target.isDatagram {
		return l, nil
	}
	if c.target.isTLS {
		secure := tls.Client(raw, c.TLS)
		l.conn = secure
		err = secure.HandshakeContext(ctx)
	}
	if err == nil && len(c.hello) > 0 {
		err = c.greet(ctx, l.conn)
	}
	if err != nil {
		l.cut()
		return nil, err
	}
	c.links.Go(func() { l.watch(c.Ack) })
	return l, nil
}

// greet says hello and learns how long a frame may be.
func (c *core) greet(ctx context.Context, conn net.Conn) error {
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(c.hello); err != nil {
		return fmt.Errorf("greeting the receiver: %w", err)
	}
	var answer [8]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it closed the connection: check the token")
		}
		return fmt.Errorf("waiting for the receiver's answer: %w", err)
	}
	// What is not a receiver of this package may answer anything.
	if n := binary.BigEndian.Uint64(answer[:]); minFrame <= n && n < uint64(c.limit.Load()) {
		c.limit.Store(int64(n))
	}
	return nil
}

// watch reads until the stream ends: the acknowledgements, or what is of no
// interest. Without it, what is written to a peer that went away long ago would
// be taken by the system and lost.
func (l *link) watch(acks bool) {
	defer close(l.gone)
	if !acks {
		_, l.why = io.Copy(io.Discard, l.conn)
		return
	}
	var number [8]byte
	for {
		if _, l.why = io.ReadFull(l.conn, number[:]); l.why != nil {
			return
		}
		l.acked.Store(binary.BigEndian.Uint64(number[:]))
		select {
		case l.news <- struct{}{}:
		default:
		}
	}
}

// await waits until the record with the given number is acknowledged.
func (l *link) await(ctx context.Context, number uint64, timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for l.acked.Load() < number {
		select {
		case <-l.news:
		case <-l.gone:
			if l.acked.Load() >= number {
				return nil
			}
			if l.why == nil || errors.Is(l.why, io.EOF) || errors.Is(l.why, io.ErrUnexpectedEOF) {
				return errors.New("the receiver closed the connection without an acknowledgement")
			}
			return l.why
		case <-timer.C:
			return fmt.Errorf("no acknowledgement within %v: %w", timeout, context.DeadlineExceeded)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (c *core) disconnect() {
	if c.link == nil {
		return
	}
	c.link.cut()
	c.link = nil
	c.inUse.Store(nil)
}

package outlet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// link is a connection. Of a stream, a goroutine reads what comes back.
type link struct {
	raw        net.Conn // below TLS
	conn       net.Conn
	isDatagram bool
	isCut      atomic.Bool
	gone       chan struct{} // closed when the peer, or cut, has ended the stream
	hangup     hangup
	lastWrite  time.Time
}

// cut ends the link, whoever uses it. TLS is not told, because that might wait
// for the peer. To close a connection twice is harmless.
func (l *link) cut() {
	l.isCut.Store(true)
	_ = l.raw.Close()
}

// idle is how long nothing is written before a link is asked whether it has
// ended: between writes that are closer together, the question would cost more
// than it tells.
const idle = time.Millisecond

// hasEnded reports whether what is written now would be lost for sure.
func (l *link) hasEnded() bool {
	select {
	case <-l.gone:
		return true
	default:
	}
	if l.isCut.Load() {
		return true
	}
	// The end may be there before watch, which waits for its turn to run, has
	// seen it.
	return !l.isDatagram && time.Since(l.lastWrite) > idle && l.hangup.happened()
}

// connect sees that there is a link, and makes one if the peer has ended the
// last. To be called by who holds the lock, as the others here.
func (o *Outlet) connect(ctx context.Context, atOnce bool) *slogworks.DeliveryError {
	if o.link != nil {
		if !o.link.hasEnded() {
			return nil
		}
		o.disconnect()
	}
	if wait := time.Until(o.notBefore); wait > 0 && !atOnce {
		return &slogworks.DeliveryError{
			After: wait,
			Err:   fmt.Errorf("%s: waiting after a failure: %w", o.Name, o.lastErr),
		}
	}
	dialing, cancel := context.WithTimeout(ctx, o.DialTimeout)
	defer cancel()
	defer context.AfterFunc(o.life, cancel)()
	l, err := o.dial(dialing)
	if err != nil {
		return o.down(ctx, fmt.Errorf("connect: %w", err), false)
	}
	o.link = l
	o.inUse.Store(l)
	if o.life.Err() != nil { // a Shutdown that gave up came before the link was there to see
		l.cut()
	}
	return nil
}

// down notes a failure and says when the next attempt makes sense: at once if a
// connection broke that had worked, later if there is none to be had or the peer
// takes nothing.
func (o *Outlet) down(ctx context.Context, err error, worked bool) *slogworks.DeliveryError {
	if ctx.Err() == context.Canceled { // which says nothing about the peer
		return &slogworks.DeliveryError{Err: fmt.Errorf("%s: %w", o.Name, context.Canceled)}
	}
	o.failures++
	wait := o.Backoff.Delay(o.failures)
	if worked && o.failures == 1 && !isTimeout(err) {
		wait = 0
	}
	o.notBefore, o.lastErr = time.Now().Add(wait), err
	return &slogworks.DeliveryError{After: wait, Err: fmt.Errorf("%s: %w", o.Name, err)}
}

func (o *Outlet) dial(ctx context.Context) (*link, error) {
	raw, err := o.Dial(ctx)
	if err != nil {
		return nil, err
	}
	l := &link{raw: raw, conn: raw, gone: make(chan struct{})}
	switch raw.RemoteAddr().Network() {
	case "udp", "unixgram":
		l.isDatagram = true
		return l, nil
	}
	begun := false
	defer func() {
		if !begun {
			l.cut()
		}
	}()
	read, err := o.begin(ctx, l)
	if err != nil {
		return nil, err
	}
	begun = true
	l.hangup.of(raw)
	o.links.Go(func() { l.watch(read) })
	return l, nil
}

// begin begins a stream. A function in the user's TLS may panic, which must not
// keep everybody else from the outlet.
func (o *Outlet) begin(ctx context.Context, l *link) (read func(), err error) {
	defer stage.Rescue(&err)
	if o.TLS != nil {
		secure := tls.Client(l.raw, o.TLS)
		l.conn = secure
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
	}
	if o.Greet != nil {
		return o.greet(ctx, l.conn)
	}
	return nil, nil
}

func (o *Outlet) greet(ctx context.Context, conn net.Conn) (read func(), err error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	read, err = o.Greet(conn)
	if err == nil && !stop() { // the deadline may come to be set, and would end what follows
		err = ctx.Err()
	}
	return read, err
}

// watch reads until the stream ends. Without it, what is written to a peer that
// went away long ago would be taken by the system and lost.
func (l *link) watch(read func()) {
	defer close(l.gone)
	if read != nil {
		read()
		return
	}
	_, _ = io.Copy(io.Discard, l.conn)
}

func (o *Outlet) disconnect() {
	if o.link == nil {
		return
	}
	o.link.cut()
	o.link = nil
	o.inUse.Store(nil)
}

// IsDatagram reports whether the connection is one of datagrams.
func (o *Outlet) IsDatagram() bool { return o.link.isDatagram }

// WriteFrames writes frames of a stream at once, given where they end, and
// returns how many were written in whole: of one that was written in part, the
// receiver will not see the end.
func (o *Outlet) WriteFrames(ctx context.Context, frames []byte, ends []int) (whole int, err error) {
	n, err := o.write(ctx, frames)
	for whole < len(ends) && ends[whole] <= n {
		whole++
	}
	return whole, err
}

// WriteDatagrams writes the n datagrams that next returns, which need hold only
// until it is called again. One that is too long for the system is skipped,
// because it would be so again and hold up the others.
func (o *Outlet) WriteDatagrams(ctx context.Context, n int, next func(i int) []byte) (done Outcome) {
	for i := range n {
		_, err := o.write(ctx, next(i))
		switch {
		case errors.Is(err, syscall.EMSGSIZE):
			done.Skipped++
		case err != nil:
			done.Err = err
			return done
		}
		done.Accepted++
	}
	return done
}

func (o *Outlet) write(ctx context.Context, p []byte) (int, error) {
	l := o.link
	l.lastWrite = time.Now()
	if err := l.conn.SetWriteDeadline(l.lastWrite.Add(o.WriteTimeout)); err != nil {
		return 0, err
	}
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, l.cut)()
	}
	return l.conn.Write(p)
}

// isTimeout reports whether err is that of a deadline.
func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

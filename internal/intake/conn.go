package intake

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// ErrDrained ends a connection in a Shutdown.
var ErrDrained = errors.New("intake: drained")

// Conn is a connection that a Server has accepted.
type Conn struct {
	Peer string

	server *Server
	raw    net.Conn // below TLS
	conn   net.Conn
	below  *watched // what TLS reads from, nil without

	// Since the Shutdown: bytes that were read, whether all that had arrived was
	// among them at some time, and if so, how long the rest of a frame is read
	// that may have been on its way, and whether nothing came in time.
	drained  int
	caughtUp bool
	lastCall time.Time
	ended    bool

	mu sync.Mutex // for the deadlines
}

// secure does the TLS handshake and reports whether there is something to be
// read now.
func (c *Conn) secure() bool {
	s := c.server
	c.below = &watched{Conn: c.raw}
	secure := tls.Server(c.below, s.tls)
	ctx, cancel := context.WithTimeout(s.life, s.Limits.FrameTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		// Who connects and says nothing is not refused without TLS either.
		if !errors.Is(err, io.EOF) && !s.IsDraining() {
			s.Refuse(c.Peer, Refuse(BadTLS, "%v", err))
		}
		return false
	}
	c.conn = secure
	return true
}

// IsDone reports whether a Shutdown has read enough. It is asked between two
// frames, and what is in a buffer then came too late.
func (c *Conn) IsDone() bool { return c.ended || !c.lastCall.IsZero() || c.drained > backlog }

// Read reads until deadline, of which the zero Time is none. inFrame says that
// what is read belongs to a frame that has begun. The error is
// os.ErrDeadlineExceeded only for deadline. Where a Shutdown ends the connection
// it is ErrDrained, and within a frame io.EOF.
func (c *Conn) Read(p []byte, deadline time.Time, inFrame bool) (int, error) {
	draining, err := c.setDeadline(deadline)
	switch {
	case err != nil:
		return 0, err
	case c.ended && inFrame:
		return 0, io.EOF
	case c.IsDone() && !inFrame:
		return 0, ErrDrained
	}
	if draining && c.below != nil {
		c.below.isWatched = true
	}
	n, err := c.conn.Read(p)
	if draining {
		c.drained += n
		if c.below != nil {
			c.caughtUp = c.below.caughtUp
		} else {
			c.caughtUp = c.caughtUp || n < len(p)
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && c.server.IsDraining() && (deadline.IsZero() || time.Now().Before(deadline)) {
		// What comes later would be taken for the beginning of something.
		c.ended = true
		if err = ErrDrained; inFrame {
			err = io.EOF
		}
	}
	return n, err
}

func (c *Conn) setDeadline(deadline time.Time) (draining bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	draining = c.server.IsDraining()
	if draining {
		by := c.server.drainDeadline()
		if c.lastCall.IsZero() && c.caughtUp && c.server.isLate() {
			c.lastCall = time.Now().Add(patience)
		}
		if !c.lastCall.IsZero() && c.lastCall.Before(by) {
			by = c.lastCall
		}
		if deadline.IsZero() || by.Before(deadline) {
			deadline = by
		}
	}
	return draining, c.raw.SetReadDeadline(deadline)
}

// hurry makes a read or write that waits for the peer wait no longer than a
// Shutdown does.
func (c *Conn) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.raw.SetReadDeadline(c.server.drainDeadline())
	_ = c.raw.SetWriteDeadline(time.Now().Add(patience))
}

// Write tells the peer something, within the time that a frame has, or that a
// Shutdown has patience.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.setWriteDeadline(); err != nil {
		return 0, err
	}
	return c.conn.Write(p)
}

func (c *Conn) setWriteDeadline() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := c.server.Limits.FrameTimeout
	if c.server.IsDraining() {
		limit = min(limit, patience)
	}
	return c.raw.SetWriteDeadline(time.Now().Add(limit))
}

// Finish ends a connection whose sender may have sent more: closing it at once
// could destroy what it was told last.
func (c *Conn) Finish() {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if c.conn.SetReadDeadline(time.Now().Add(quiet)) == nil {
		_, _ = io.CopyN(io.Discard, c.conn, 1<<20)
	}
}

// watched is what TLS reads from. TLS gives less than there is, so that only
// below it can be seen that all that had arrived was read.
type watched struct {
	net.Conn
	isWatched, short, caughtUp bool
}

func (w *watched) Read(p []byte) (int, error) {
	// TLS comes back for more when it has given away what it had.
	w.caughtUp = w.caughtUp || w.short
	n, err := w.Conn.Read(p)
	w.short = w.isWatched && n < len(p)
	return n, err
}

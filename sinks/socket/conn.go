package socket

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// ackEvery is after how many records the sender is told even though more of them
// have arrived already.
const ackEvery = 64

// errDrained ends a connection in a Shutdown.
var errDrained = errors.New("socket: drained")

// conn is a connection that is read.
type conn struct {
	receiver *Receiver
	raw      net.Conn // below TLS
	conn     net.Conn
	peer     string
	frames   frames

	greeted bool // the first frame has been read
	acks    bool // the sender wants to be told
	number  uint64
	unacked int
	origin  *origin // whose records came last

	// Since the Shutdown: bytes that were read, whether all that had arrived was
	// among them at some time, and whether more was read after that.
	drained        int
	caughtUp, past bool

	mu       sync.Mutex // for the deadline
	deadline time.Time  // by which the frame has to be complete; zero between frames
}

func (c *conn) serve() {
	r := c.receiver
	defer r.running.Done()
	defer func() {
		_ = c.conn.Close()
		r.mu.Lock()
		delete(r.conns, c)
		r.mu.Unlock()
	}()
	if r.TLS != nil {
		secure := tls.Server(c.raw, r.TLS)
		ctx, cancel := context.WithTimeout(r.life, r.limits.frameTimeout)
		err := secure.HandshakeContext(ctx)
		cancel()
		if err != nil {
			r.refuse(c.peer, refuse(badTLS, "%v", err))
			return
		}
		c.conn = secure
	}
	c.frames = frames{conn: c, max: r.limits.maxFrame, budget: r.budget, wait: r.limits.frameTimeout}
	defer c.frames.free()
	defer func() { r.origins.release(c.origin) }()
	err := c.readAll()
	_ = c.acknowledge() // if the connection is broken, it makes no difference
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		r.refuse(c.peer, refusal)
	case err == errDrained:
		c.finish()
	}
}

// readAll handles frame after frame. It returns nil or errDrained when there is
// nothing more, a *Refusal for what is wrong, and any other error if the
// connection ended between two frames.
func (c *conn) readAll() error {
	for {
		c.setFrame(false)
		frame, err := c.frames.next()
		if err != nil {
			return err
		}
		if !c.greeted {
			isHello, err := c.greet(frame)
			if err != nil {
				return err
			}
			if isHello {
				continue
			}
		}
		if err := c.handle(frame); err != nil {
			return err
		}
		if c.unacked >= ackEvery {
			if err := c.acknowledge(); err != nil {
				return err
			}
		}
		if c.past || c.drained > backlog {
			return errDrained
		}
	}
}

// greet reads the first frame of the connection as far as it is a hello.
func (c *conn) greet(frame []byte) (isHello bool, err error) {
	c.greeted = true
	h, isHello := readHello(frame)
	if token := c.receiver.Token; token != "" {
		switch {
		case !isHello:
			return false, refuse(badToken, "the first frame has none")
		case !isToken(h.Token, token):
			return false, refuse(badToken, "not the receiver's")
		}
	}
	if !isHello {
		return false, nil
	}
	c.acks = h.Ack
	return true, c.tell(uint64(c.receiver.limits.maxFrame))
}

func (c *conn) handle(frame []byte) error {
	r := c.receiver
	if len(frame) > freeBuffer {
		// One at a time, because a record takes several times the memory of its
		// frame.
		r.large <- struct{}{}
		defer func() { <-r.large }()
	}
	d, refusal := r.decode(frame)
	if refusal != nil {
		if c.frames.last {
			refusal = refuse(cutShort, "the stream ended within a line")
		}
		return refusal
	}
	if !c.acks || d.origin.Seq == 0 || d.origin.Boot == "" || len(d.origin.Boot) > maxBoot {
		r.take(c.peer, d)
		return nil
	}
	if c.origin == nil || c.origin.boot != d.origin.Boot {
		r.origins.release(c.origin)
		c.origin = r.origins.get(d.origin.Boot)
	}
	// The lock is held while the record is handled: when the sender comes back on
	// another connection, what the first has still in its hands is done before it
	// is acknowledged as a duplicate.
	c.origin.mu.Lock()
	defer c.origin.mu.Unlock()
	if d.origin.Seq > c.origin.last {
		c.origin.last = d.origin.Seq
		r.take(c.peer, d)
	} else {
		r.duplicates.Add(1)
	}
	c.number = d.origin.Seq
	c.unacked++
	return nil
}

// take hands a record on if it is wanted.
func (r *Receiver) take(peer string, d decoded) {
	if !r.isEnabled(d.record.Level) {
		r.ignored.Add(1)
		return
	}
	r.handle(peer, d)
}

// acknowledge tells the sender what was handled.
func (c *conn) acknowledge() error {
	if c.unacked == 0 {
		return nil
	}
	c.unacked = 0
	return c.tell(c.number)
}

func (c *conn) tell(n uint64) error {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], n)
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.receiver.limits.frameTimeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(number[:])
	return err
}

// finish ends a connection whose sender may have sent more: closing it at once
// could destroy what it was told last.
func (c *conn) finish() {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if c.conn.SetReadDeadline(time.Now().Add(quiet)) == nil {
		_, _ = io.CopyN(io.Discard, c.conn, 1<<20)
	}
}

// setFrame notes where a frame begins, for its timeout.
func (c *conn) setFrame(inFrame bool) {
	if !inFrame {
		c.deadline = time.Time{}
	} else if c.deadline.IsZero() {
		c.deadline = time.Now().Add(c.receiver.limits.frameTimeout)
	}
}

// read reads from the connection. Between two frames, it returns io.EOF where
// the peer has been silent for too long.
func (c *conn) read(p []byte, inFrame bool) (int, error) {
	// Before it waits for more, the sender should know what is done.
	if err := c.acknowledge(); err != nil {
		return 0, err
	}
	c.setFrame(inFrame)
	draining, err := c.setDeadline(inFrame)
	if err != nil {
		return 0, err
	}
	if draining && c.caughtUp && c.receiver.isLate() {
		c.past = true // the rest of a frame may have been on its way
	}
	if draining && (c.acks || c.past && !inFrame) {
		return 0, errDrained
	}
	n, err := c.conn.Read(p)
	if draining {
		c.drained += n
		// TLS gives less than there is.
		c.caughtUp = c.caughtUp || n < len(p) && c.conn == c.raw
	}
	if err != nil && isTimeout(err) {
		switch {
		case c.receiver.isDraining():
			err = errDrained
			if inFrame && !c.acks {
				err = io.EOF // cut short
			}
		case !inFrame && !c.greeted && c.receiver.Token != "":
			err = refuse(badToken, "none came in time")
		case !inFrame:
			err = io.EOF
		}
	}
	return n, err
}

func (c *conn) setDeadline(inFrame bool) (draining bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	limits := &c.receiver.limits
	deadline := c.deadline
	switch {
	case inFrame:
	case !c.greeted && c.receiver.Token != "":
		deadline = time.Now().Add(limits.frameTimeout)
	case limits.idleTimeout > 0:
		deadline = time.Now().Add(limits.idleTimeout)
	}
	draining = c.receiver.isDraining()
	if draining {
		if d := c.receiver.drainDeadline(); deadline.IsZero() || d.Before(deadline) {
			deadline = d
		}
	}
	return draining, c.raw.SetReadDeadline(deadline)
}

// hurry makes a read that waits for the peer wait no longer than a Shutdown does.
func (c *conn) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.raw.SetReadDeadline(c.receiver.drainDeadline())
}

package socket

import (
	"encoding/binary"
	"errors"
	"os"
	"time"

	"github.com/slogworks/slogworks/internal/intake"
)

// ackEvery is after how many records the sender is told even though more of them
// have arrived already.
const ackEvery = 64

// conn is a connection that is read.
type conn struct {
	*intake.Conn
	receiver *Receiver
	frames   frames

	greeted bool // the first frame has been read
	acks    bool // the sender wants to be told
	number  uint64
	unacked int
	origin  *origin // whose records came last
}

func (r *Receiver) serve(accepted *intake.Conn) {
	c := &conn{Conn: accepted, receiver: r}
	c.frames = frames{Stream: r.server.Stream(c, "frame"), max: r.server.Limits.MaxFrame}
	if r.Token != "" {
		c.frames.max = minFrame // nobody has memory for who has no token
		c.frames.Idle = -1
		c.frames.By = time.Now().Add(r.server.Limits.FrameTimeout) // however often something comes
	}
	defer c.frames.Free()
	defer func() { r.origins.release(c.origin) }()
	err := c.readAll()
	_ = c.acknowledge() // if the connection is broken, it makes no difference
	if refusal := refusalOf(err); refusal != nil {
		r.refuse(c.Peer, refusal)
	} else if err == intake.ErrDrained {
		c.Finish()
	}
}

// refusalOf returns the Refusal that an error is, or nil.
func refusalOf(err error) *Refusal {
	var ours *Refusal
	var theirs *intake.Refusal
	if !errors.As(err, &ours) && errors.As(err, &theirs) {
		ours = (*Refusal)(theirs)
	}
	return ours
}

// readAll handles frame after frame. It returns intake.ErrDrained when a Shutdown
// has read enough, a refusal for what is wrong, and any other error if the
// connection ended between two frames.
func (c *conn) readAll() error {
	for {
		frame, err := c.frames.next()
		if err != nil {
			if c.isStranger() {
				return strange(err)
			}
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
	}
}

// Read is what frames are read with.
func (c *conn) Read(p []byte, deadline time.Time, inFrame bool) (int, error) {
	// Before it waits for more, the sender should know what is done.
	if err := c.acknowledge(); err != nil {
		return 0, err
	}
	if c.resends() {
		return 0, intake.ErrDrained
	}
	n, err := c.Conn.Read(p, deadline, inFrame)
	if n == 0 && err != nil && c.resends() {
		err = intake.ErrDrained
	}
	return n, err
}

// resends reports whether the sender will have to send again what it is not told
// of, so that a Shutdown need not read it.
func (c *conn) resends() bool { return c.acks && c.receiver.server.IsDraining() }

// greet reads the first frame of the connection as far as it is a hello.
func (c *conn) greet(frame []byte) (isHello bool, err error) {
	limits := &c.receiver.server.Limits
	c.greeted = true
	c.frames.max, c.frames.Idle, c.frames.By = limits.MaxFrame, limits.IdleTimeout, time.Time{}
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
	return true, c.tell(uint64(limits.MaxFrame))
}

// isStranger reports whether there is a token that has not come yet.
func (c *conn) isStranger() bool { return !c.greeted && c.receiver.Token != "" }

// strange is what is wrong when there is no token before err.
func strange(err error) error {
	refusal := refusalOf(err)
	switch {
	case refusal != nil && refusal.Reason == frameTooLong:
		return refuse(badToken, "the first frame has none")
	case refusal != nil && refusal.Reason == frameTimeout, errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(badToken, "none came in time")
	}
	return err
}

func (c *conn) handle(frame []byte) error {
	r := c.receiver
	d, refusal, isLarge := decodeShort(frame)
	if !isLarge {
		return c.handleRecord(&d, refusal)
	}
	return r.server.Budget.Alone(r.server.Life().Done(), func() error {
		d, refusal := r.decode(frame)
		return c.handleRecord(&d, refusal)
	})
}

// handleRecord handles what was decoded of a frame.
func (c *conn) handleRecord(d *decoded, refusal *Refusal) error {
	r := c.receiver
	if refusal != nil {
		if c.frames.last {
			refusal = refuse(cutShort, "the stream ended within a line")
		}
		return refusal
	}
	if !c.acks || d.Origin.Seq == 0 || d.Origin.Boot == "" || len(d.Origin.Boot) > maxBoot {
		r.take(c.Peer, d)
		return nil
	}
	if c.origin == nil || c.origin.boot != d.Origin.Boot {
		r.origins.release(c.origin)
		c.origin = r.origins.get(d.Origin.Boot)
	}
	// The lock is held while the record is handled: when the sender comes back on
	// another connection, what the first has still in its hands is done before it
	// is acknowledged as a duplicate.
	c.origin.mu.Lock()
	defer c.origin.mu.Unlock()
	if d.Origin.Seq > c.origin.last {
		c.origin.last = d.Origin.Seq
		r.take(c.Peer, d)
	} else {
		r.duplicates.Add(1)
	}
	c.number = d.Origin.Seq
	c.unacked++
	return nil
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
	_, err := c.Write(number[:])
	return err
}

package socket

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks/internal/wire"
)

// greet says hello on a new connection and learns how long a frame may be.
func (c *core) greet(conn net.Conn) (read func(), err error) {
	if _, err := conn.Write(c.hello); err != nil {
		return nil, fmt.Errorf("greeting the receiver: %w", err)
	}
	var answer [8]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it closed the connection: check the token")
		}
		return nil, fmt.Errorf("waiting for the receiver's answer: %w", err)
	}
	n := binary.BigEndian.Uint64(answer[:])
	if n < minFrame || n > wire.MaxLine {
		return nil, fmt.Errorf("what answers is no slogworks receiver, as Ack and Token need one: its answer begins %q", answer[:])
	}
	c.limit.Store(min(c.limit.Load(), int64(n)))
	if !c.Ack {
		return nil, nil
	}
	c.acks = &acks{conn: conn, news: make(chan struct{}, 1), ended: make(chan struct{})}
	return c.acks.read, nil
}

// acks are what comes back on a connection.
type acks struct {
	conn  net.Conn
	last  atomic.Uint64 // the number that is acknowledged
	news  chan struct{} // after last has changed
	ended chan struct{} // closed when nothing more comes
	why   error         // set before ended is closed
}

func (a *acks) read() {
	defer close(a.ended)
	var number [8]byte
	for {
		if _, a.why = io.ReadFull(a.conn, number[:]); a.why != nil {
			return
		}
		a.last.Store(binary.BigEndian.Uint64(number[:]))
		select {
		case a.news <- struct{}{}:
		default:
		}
	}
}

// await waits until the record with the given number, the last that was sent, is
// acknowledged.
func (a *acks) await(ctx context.Context, number uint64, timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for a.last.Load() < number {
		select {
		case <-a.news:
		case <-a.ended:
			if a.last.Load() >= number {
				continue
			}
			if errors.Is(a.why, io.EOF) || errors.Is(a.why, io.ErrUnexpectedEOF) {
				return errors.New("the receiver closed the connection without an acknowledgement")
			}
			return a.why
		case <-timer.C:
			return fmt.Errorf("no acknowledgement within %v: %w", timeout, context.DeadlineExceeded)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if a.last.Load() > number {
		return errors.New("what answers is no slogworks receiver: it acknowledges what was not sent")
	}
	return nil
}

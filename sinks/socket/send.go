package socket

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/wire"
)

// scratch is where records are encoded, before anybody waits for the connection:
// encoding runs methods of values, which may log.
type scratch struct {
	one   [1]slogworks.Item
	lines []byte
	ends  []int // where the lines end
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxKept is how large a buffer may be that is kept for the next records.
const maxKept = 1 << 20

func (s *scratch) free() {
	s.one[0].Record = slog.Record{}
	if cap(s.lines) <= maxKept {
		scratches.Put(s)
	}
}

// tailRoom is what a frame has beyond its line: the number and the boot id.
const tailRoom = 80

func (c *core) encode(s *scratch, items []slogworks.Item, limit int) {
	s.lines, s.ends = s.lines[:0], s.ends[:0]
	for _, item := range items {
		s.lines = wire.AppendRecord(s.lines, item.Record, c.about, limit-tailRoom)
		s.ends = append(s.ends, len(s.lines))
	}
}

// errShorter means that the receiver has said that it takes shorter frames.
var errShorter = errors.New("socket: the receiver takes shorter frames")

func (c *core) send(ctx context.Context, s *scratch, b slogworks.Batch) error {
	if len(b.Items) == 0 {
		return nil
	}
	for {
		limit := int(c.limit.Load())
		c.encode(s, b.Items, limit)
		// A limit that was learned is lower than the last, so that this ends.
		if err := c.sendLines(ctx, s, b, limit); err != errShorter {
			return err
		}
	}
}

func (c *core) sendLines(ctx context.Context, s *scratch, b slogworks.Batch, limit int) error {
	if err := c.lock(ctx); err != nil {
		if err == ErrClosed {
			c.refused.Add(uint64(len(b.Items)))
			return err
		}
		return c.account(b, 0, &slogworks.DeliveryError{Err: err})
	}
	defer func() { <-c.busy }()

	l, failure := c.connect(ctx, b.Attempt > 0)
	if failure != nil {
		return c.account(b, 0, failure)
	}
	if int(c.limit.Load()) < limit {
		return errShorter
	}
	first := c.seq + 1
	if b.ID != "" && b.ID == c.repeated.id {
		first = c.repeated.next
	}
	c.seq = max(c.seq, first+uint64(len(s.ends))-1)
	var accepted, skipped int
	var err error
	if c.target.isDatagram {
		accepted, skipped, err = c.writeDatagrams(ctx, l, s, first)
	} else {
		accepted, err = c.writeStream(ctx, l, s, first)
	}
	c.sent.Add(uint64(accepted - skipped))
	c.tooLong.Add(uint64(skipped))
	if err == nil {
		c.failures, c.lastErr, c.notBefore, c.repeated.id = 0, nil, time.Time{}, ""
		return nil
	}
	c.disconnect()
	c.repeated.id, c.repeated.next = b.ID, first+uint64(accepted)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	failure = c.down(err, !isTimeout(err))
	failure.Accepted = accepted
	failure.Uncertain = c.Ack
	return c.account(b, accepted, failure)
}

// account counts what is lost unless somebody tries again.
func (c *core) account(b slogworks.Batch, accepted int, err *slogworks.DeliveryError) error {
	if b.Attempt == 0 {
		c.failed.Add(uint64(len(b.Items) - accepted))
	}
	return err
}

func (c *core) lock(ctx context.Context) error {
	select {
	case <-c.closing:
		return ErrClosed
	default:
	}
	select {
	case c.busy <- struct{}{}:
	default:
		select {
		case c.busy <- struct{}{}:
		case <-c.closing:
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("socket: %w while others were sending", ctx.Err())
		}
	}
	select {
	case <-c.closing:
		<-c.busy
		return ErrClosed
	default:
		return nil
	}
}

// writeStream writes all frames at once and returns how many are delivered, as
// far as can be known.
func (c *core) writeStream(ctx context.Context, l *link, s *scratch, first uint64) (accepted int, err error) {
	c.out, c.ends = c.out[:0], c.ends[:0]
	begin := 0
	for i, end := range s.ends {
		c.appendFrame(s.lines[begin:end], first+uint64(i))
		c.ends = append(c.ends, len(c.out))
		begin = end
	}
	n, err := c.write(ctx, l, c.out)
	if cap(c.out) > maxKept {
		c.out = nil
	}
	if !c.Ack {
		// A frame that was written in part will be cut short for the receiver.
		for accepted < len(c.ends) && c.ends[accepted] <= n {
			accepted++
		}
		return accepted, err
	}
	if err == nil {
		err = l.await(ctx, first+uint64(len(c.ends))-1, c.WriteTimeout)
	}
	if acked := l.acked.Load(); acked >= first {
		accepted = int(min(acked-first+1, uint64(len(c.ends))))
	}
	return accepted, err
}

func (c *core) write(ctx context.Context, l *link, p []byte) (int, error) {
	if err := l.conn.SetWriteDeadline(time.Now().Add(c.WriteTimeout)); err != nil {
		return 0, err
	}
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, l.cut)()
	}
	return l.conn.Write(p)
}

// writeDatagrams writes one datagram per record. One that is too long for the
// system is skipped, because it would be so again and hold up the others.
func (c *core) writeDatagrams(ctx context.Context, l *link, s *scratch, first uint64) (accepted, skipped int, err error) {
	begin := 0
	for i, end := range s.ends {
		c.out = append(c.out[:0], c.hello...)
		c.appendNumbered(s.lines[begin:end], first+uint64(i))
		begin = end
		_, err := c.write(ctx, l, c.out)
		switch {
		case errors.Is(err, syscall.EMSGSIZE):
			skipped++
		case err != nil:
			return i, skipped, err
		}
	}
	return len(s.ends), skipped, nil
}

func (c *core) appendFrame(line []byte, number uint64) {
	begin := len(c.out)
	switch c.Framing {
	case LF:
		c.appendNumbered(line, number)
		c.out = append(c.out, '\n')
	case Octet:
		var digits [20]byte
		length := strconv.AppendInt(digits[:0], int64(len(line)+c.tailLen(number)), 10)
		c.out = append(append(c.out, length...), ' ')
		c.appendNumbered(line, number)
	default:
		c.out = append(c.out, 0, 0, 0, 0)
		c.appendNumbered(line, number)
		binary.BigEndian.PutUint32(c.out[begin:], uint32(len(c.out)-begin-4))
	}
}

// appendNumbered appends a line with its number and the boot id, which are known
// only once the connection is free.
func (c *core) appendNumbered(line []byte, number uint64) {
	c.out = append(c.out, line[:len(line)-1]...)
	c.out = append(c.out, `,"q":`...)
	c.out = strconv.AppendUint(c.out, number, 10)
	c.out = append(c.out, `,"b":"`...)
	c.out = append(c.out, c.boot...)
	c.out = append(c.out, `"}`...)
}

func (c *core) tailLen(number uint64) int {
	var digits [20]byte
	return len(`,"q":,"b":""`) + len(strconv.AppendUint(digits[:0], number, 10)) + len(c.boot)
}

// isTimeout reports whether err is that of a deadline.
func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

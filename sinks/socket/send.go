package socket

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"strconv"
	"sync"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/outlet"
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
	if err := c.outlet.Acquire(ctx, b); err != nil {
		return err
	}
	defer c.outlet.Release()
	if int(c.limit.Load()) < limit {
		return errShorter
	}
	first := c.seq + 1
	// The numbers are those of before only if it is the same records: one that got
	// the number of another would be taken for a repetition.
	if b.ID != "" && b.ID == c.repeated.id && len(s.ends) == c.repeated.items {
		first = c.repeated.next
	}
	c.seq = max(c.seq, first+uint64(len(s.ends))-1)
	var done outlet.Outcome
	if c.outlet.IsDatagram() {
		done = c.writeDatagrams(ctx, s, first)
	} else {
		done = c.writeStream(ctx, s, first)
	}
	if done.Err == nil {
		c.repeated.id = ""
	} else {
		c.repeated.id, c.repeated.next, c.repeated.items = b.ID, first+uint64(done.Accepted), len(s.ends)-done.Accepted
	}
	return c.outlet.Settle(ctx, b, done)
}

// writeStream writes all frames at once. What is accepted is what is delivered,
// as far as can be known.
func (c *core) writeStream(ctx context.Context, s *scratch, first uint64) (done outlet.Outcome) {
	c.out, c.ends = c.out[:0], c.ends[:0]
	begin := 0
	for i, end := range s.ends {
		c.appendFrame(s.lines[begin:end], first+uint64(i))
		c.ends = append(c.ends, len(c.out))
		begin = end
	}
	done.Accepted, done.Err = c.outlet.WriteFrames(ctx, c.out, c.ends)
	if cap(c.out) > maxKept {
		c.out = nil
	}
	if !c.Ack {
		return done
	}
	if done.Err == nil {
		done.Err = c.acks.await(ctx, first+uint64(len(c.ends))-1, c.outlet.WriteTimeout)
	}
	done.Accepted, done.Uncertain = 0, true
	// What is acknowledged of earlier records wraps around to more than there are.
	if n := c.acks.last.Load() - (first - 1); n <= uint64(len(c.ends)) {
		done.Accepted = int(n)
	}
	return done
}

func (c *core) writeDatagrams(ctx context.Context, s *scratch, first uint64) outlet.Outcome {
	begin := 0
	return c.outlet.WriteDatagrams(ctx, len(s.ends), func(i int) []byte {
		c.out = append(c.out[:0], c.hello...)
		c.appendNumbered(s.lines[begin:s.ends[i]], first+uint64(i))
		begin = s.ends[i]
		return c.out
	})
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

package syslog

import (
	"context"
	"log/slog"
	"strconv"
	"sync"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/outlet"
)

// scratch is where records are encoded, before anybody waits for the connection:
// encoding runs methods of values, which may log.
type scratch struct {
	one      [1]slogworks.Item
	messages []byte
	ends     []int // where the messages end
	enc      encoder
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxKept is how large a buffer may be that is kept for the next records.
const maxKept = 1 << 20

func (s *scratch) free() {
	s.one[0].Record = slog.Record{}
	if cap(s.messages) <= maxKept {
		scratches.Put(s)
	}
}

func (c *core) send(ctx context.Context, s *scratch, b slogworks.Batch) error {
	if len(b.Items) == 0 {
		return nil
	}
	s.messages, s.ends = s.messages[:0], s.ends[:0]
	for i := range b.Items {
		s.messages = s.enc.append(s.messages, &c.form, b.Items[i].Record)
		s.ends = append(s.ends, len(s.messages))
	}
	if err := c.outlet.Acquire(ctx, b); err != nil {
		return err
	}
	defer c.outlet.Release()
	var done outlet.Outcome
	if c.outlet.IsDatagram() {
		done = c.writeDatagrams(ctx, s)
	} else {
		done = c.writeStream(ctx, s)
	}
	return c.outlet.Settle(ctx, b, done)
}

func (c *core) writeStream(ctx context.Context, s *scratch) (done outlet.Outcome) {
	c.out, c.ends = c.out[:0], c.ends[:0]
	begin := 0
	for _, end := range s.ends {
		if c.Framing == Octet {
			c.out = strconv.AppendInt(c.out, int64(end-begin), 10)
			c.out = append(c.out, ' ')
		}
		c.out = append(c.out, s.messages[begin:end]...)
		if c.Framing == LF {
			c.out = append(c.out, '\n')
		}
		c.ends = append(c.ends, len(c.out))
		begin = end
	}
	done.Accepted, done.Err = c.outlet.WriteFrames(ctx, c.out, c.ends)
	if cap(c.out) > maxKept {
		c.out = nil
	}
	return done
}

func (c *core) writeDatagrams(ctx context.Context, s *scratch) outlet.Outcome {
	begin := 0
	return c.outlet.WriteDatagrams(ctx, len(s.ends), func(i int) []byte {
		message := s.messages[begin:s.ends[i]]
		begin = s.ends[i]
		return message
	})
}

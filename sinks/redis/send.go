package redis

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
	"github.com/slogworks/slogworks/internal/wire"
)

// scratch is where records are encoded, before anybody waits for the connection:
// encoding runs methods of values, which may log.
type scratch struct {
	one      [1]slogworks.Item
	lines    []byte
	ends     []int    // where the lines end
	channels []string // of the records, as ChannelFunc says
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxKept is how large a buffer may be that is kept for the next records.
const maxKept = 1 << 20

func (s *scratch) free() {
	s.one[0].Record = slog.Record{}
	clear(s.channels)
	if cap(s.lines) <= maxKept {
		scratches.Put(s)
	}
}

// tailRoom is what a record has beyond its line: the number and the boot id.
const tailRoom = 80

// encode fails if ChannelFunc panics.
func (c *core) encode(s *scratch, items []slogworks.Item) (err error) {
	defer stage.Rescue(&err)
	s.lines, s.ends, s.channels = s.lines[:0], s.ends[:0], s.channels[:0]
	for _, item := range items {
		if c.Format == RedisLog {
			s.lines = c.appendRedisLog(s.lines, item.Record)
		} else {
			s.lines = wire.AppendRecord(s.lines, item.Record, c.about, c.MaxRecordBytes-tailRoom)
		}
		s.ends = append(s.ends, len(s.lines))
		if c.ChannelFunc != nil {
			s.channels = append(s.channels, c.ChannelFunc(slogworks.NewView(item.Record)))
		}
	}
	return nil
}

// places are the ways that a record takes, as bits.
type places uint8

const (
	published places = 1 << iota
	added
	pushed
)

// repeated is a batch that failed, if it has an ID: what of it was accepted is
// not sent again.
type repeated struct {
	id   string
	next uint64   // the number of its first item that was not accepted; 0 for a new one
	done []places // of the items that were not accepted
}

func (c *core) send(ctx context.Context, s *scratch, b slogworks.Batch) error {
	if len(b.Items) == 0 {
		return nil
	}
	if err := c.encode(s, b.Items); err != nil {
		return c.account(b, 0, &slogworks.DeliveryError{Permanent: true, Err: fmt.Errorf("redis: ChannelFunc: %w", err)})
	}
	if err := c.lock(ctx); err != nil {
		if err == ErrClosed {
			c.refused.Add(uint64(len(b.Items)))
			return err
		}
		return c.account(b, 0, &slogworks.DeliveryError{Err: err})
	}
	defer func() { <-c.busy }()
	if err := ctx.Err(); err != nil { // which says nothing about the server
		return c.account(b, 0, &slogworks.DeliveryError{Err: fmt.Errorf("redis: %w", err)})
	}

	if wait := time.Until(c.notBefore); wait > 0 && b.Attempt == 0 {
		return c.account(b, 0, &slogworks.DeliveryError{
			After: wait,
			Err:   fmt.Errorf("redis: waiting after a failure: %w", c.lastErr),
		})
	}
	first, done := c.seq+1, []places(nil)
	if b.ID != "" && b.ID == c.repeated.id && len(c.repeated.done) == len(b.Items) {
		done = c.repeated.done
		if c.repeated.next > 0 {
			first = c.repeated.next
		}
	}
	c.seq = max(c.seq, first+uint64(len(b.Items))-1)
	c.commands.build(c, s, first, done)
	defer c.commands.forget()
	err := c.exchange(ctx)
	if cap(c.out) > maxKept {
		c.out = nil
	}
	accepted, failure := c.commands.outcome(c.link, err)
	c.sent.Add(uint64(accepted))
	if failure == nil {
		c.failures, c.lastErr, c.notBefore, c.repeated = 0, nil, time.Time{}, repeated{}
		return nil
	}
	c.repeated = repeated{}
	if b.ID != "" {
		c.repeated = repeated{b.ID, first + uint64(accepted), c.commands.undone(accepted)}
		if c.commands.overtaken(accepted) {
			// A reader that has seen a higher number takes a lower one for known.
			c.repeated.next = 0
		}
	}
	if failure.replica {
		c.link.cut() // so that the next attempt looks the name up again
	}
	if ctx.Err() != nil {
		failure.Err = ctx.Err()
	}
	c.failures++
	failure.After = c.Backoff.Delay(c.failures)
	if failure.operator {
		failure.After = c.Backoff.Max
	}
	failure.Accepted = accepted
	failure.Err = fmt.Errorf("redis: %w", c.link.withoutSecrets(failure.Err))
	c.lastErr, c.notBefore = failure.Err, time.Now().Add(failure.After)
	return c.account(b, accepted, &failure.DeliveryError)
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
			return fmt.Errorf("redis: %w while others were sending", ctx.Err())
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

// exchange sends the commands and reads their answers.
func (c *core) exchange(ctx context.Context) error {
	limit := c.Timeout
	if c.link.own && !c.link.ready.Load() {
		limit += c.DialTimeout
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, c.link.cut)()
	}
	pipe := c.link.client.Pipeline()
	_ = pipe.BatchProcess(bounded, c.commands.list...) // only collects
	_, err := pipe.Exec(bounded)
	return err
}

// number appends the line with its number and the boot id, which are known only
// once the connection is free, and returns it.
func (c *core) number(line []byte, number uint64) []byte {
	begin := len(c.out)
	if c.Format == RedisLog {
		c.out = append(c.out, line...)
		return c.out[begin:]
	}
	c.out = append(c.out, line[:len(line)-1]...)
	c.out = append(c.out, `,"q":`...)
	c.out = strconv.AppendUint(c.out, number, 10)
	c.out = append(c.out, `,"b":"`...)
	c.out = append(c.out, c.boot...)
	c.out = append(c.out, `"}`...)
	return c.out[begin:]
}

package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/internal/stage"
)

// settle hands on the entries, and acknowledges what was handled and what never
// can be.
func (c *consumer) settle(ctx context.Context, entries []goredis.XMessage) error {
	if len(entries) == 0 {
		return nil
	}
	var ids []string // of the items
	var b slogworks.Batch
	gone := 0
	for _, e := range entries {
		item, ok := slogworks.Item{Context: context.WithoutCancel(ctx)}, false
		if e.Values == nil { // trimmed since it was given to a consumer
			gone++
		} else if text, hasText := c.textOf(c.group.Stream, e); hasText {
			var r intake.Record
			if r, ok = c.read("stream "+c.group.Stream+" "+e.ID, text); ok {
				item.Record = r.From("")
				if ok = intake.IsEnabled(item.Context, c.Handler, item.Record.Level); !ok {
					c.ignored.Add(1)
				}
			}
		}
		if !ok {
			c.unacked = append(c.unacked, e.ID)
			continue
		}
		ids = append(ids, e.ID)
		b.Items = append(b.Items, item)
	}
	if gone > 0 {
		c.tell(ctx, loss{"trimmed", int64(gone)})
	}
	n, err := 0, error(nil)
	if len(ids) > 0 {
		// What is left of a batch ends with the same entry.
		b.ID = strings.Join([]string{c.group.Stream, c.group.Name, ids[len(ids)-1]}, " ")
		c.retry.begin(&b)
		n, err = c.handle(ctx, b)
	}
	c.unacked = append(c.unacked, ids[:n]...)
	if err == nil {
		c.retry = retry{}
	}
	return errors.Join(err, c.acknowledge(ctx))
}

// retry is a batch that the handler has not taken yet.
type retry struct {
	id       string
	attempts int
	done     []string      // the recipients that have it
	after    time.Duration // to the next attempt, at least
}

// begin fills in what the handler is told of earlier attempts.
func (r *retry) begin(b *slogworks.Batch) {
	if r.id != b.ID {
		*r = retry{id: b.ID}
	}
	r.attempts++
	b.Attempt, b.Done = r.attempts, r.done
}

// failed notes what the handler said.
func (r *retry) failed(d *slogworks.DeliveryError) {
	r.after = d.After
	r.done = slices.Clip(r.done) // the handler may have kept it
	for _, recipient := range d.Done {
		if !slices.Contains(r.done, recipient) {
			r.done = append(r.done, recipient)
		}
	}
}

// handle hands on a batch and returns how many items, from the first on, are
// settled.
func (c *consumer) handle(ctx context.Context, b slogworks.Batch) (settled int, err error) {
	all := b.Items
	for settled < len(all) {
		b.Items = all[settled:]
		err := stage.HandleBatch(ctx, c.Handler, b)
		n := stage.Accepted(err, len(b.Items))
		c.handed.Add(uint64(n))
		if settled += n; settled == len(all) {
			break
		}
		cause, isAlone := stage.FailedAlone(err)
		switch {
		case isAlone && isFinal(cause):
			c.lose(1, cause)
			settled++
		case !isAlone && isFinal(err) && stage.IsPanic(err):
			// Which record it was can only be found out one by one.
			n, err := c.handleEach(all[settled:])
			return settled + n, err
		case stage.DeliveryOf(err).Permanent:
			c.lose(len(all)-settled, err)
			return len(all), nil
		default:
			c.retry.failed(stage.DeliveryOf(err))
			return settled, c.handlerError(err)
		}
	}
	return settled, nil
}

func (c *consumer) handleEach(items []slogworks.Item) (settled int, err error) {
	for i, item := range items {
		switch err := stage.Offer(item.Context, c.Handler, item.Record.Clone()); {
		case err == nil:
			c.handed.Add(1)
		case isFinal(err):
			c.lose(1, err)
		default:
			c.retry.failed(stage.DeliveryOf(err))
			return i, c.handlerError(err)
		}
	}
	return len(items), nil
}

// isFinal reports whether what a record met would be met again. Of a panic, that
// is said where a DeliveryError does not say otherwise: another handler of a
// Failover may take the record yet.
func isFinal(err error) bool {
	if delivery, ok := err.(*slogworks.DeliveryError); ok && delivery != nil {
		return delivery.Permanent
	}
	return stage.IsPanic(err)
}

func (c *consumer) lose(n int, err error) {
	c.lost.Add(uint64(n))
	intake.Report(c.OnError, c.handlerError(err))
}

func (c *consumer) handlerError(err error) error {
	return fmt.Errorf("redis: %s: handler: %w", c.name, err)
}

// acknowledge tells the server what was handled, also when ctx is over: what it
// is not told comes again.
func (c *consumer) acknowledge(ctx context.Context) error {
	if len(c.unacked) == 0 {
		return nil
	}
	err := c.do(context.WithoutCancel(ctx), func(ctx context.Context) error {
		return c.link.client.XAck(ctx, c.group.Stream, c.group.Name, c.unacked...).Err()
	})
	if err != nil {
		return err
	}
	c.acknowledged.Add(uint64(len(c.unacked)))
	c.unacked = c.unacked[:0]
	return nil
}

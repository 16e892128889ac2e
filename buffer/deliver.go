package buffer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// deliver hands a batch to the handler behind and acts on its answer.
func (c *core) deliver(ctx context.Context, p *parcel) Outcome {
	items := make([]slogworks.Item, 0, p.records)
	records, corrupt, err := c.store.read(p, func(item slogworks.Item) { items = append(items, item) })
	if err == nil {
		err = c.store.secure(p)
	}
	if err == nil {
		c.recount(p, records, corrupt)
		err = c.begin(p)
	}
	o := Outcome{
		Cause: p.state.Cause, BatchID: p.id,
		Dropped: p.state.Dropped, Corrupt: corrupt, Attempt: p.state.Attempt,
	}
	if err != nil {
		// What cannot be noted is not tried, or a program that is killed in
		// each attempt would make one at each start.
		c.mu.Lock()
		p.rest = time.Now().Add(c.Retry.Delay(1))
		c.mu.Unlock()
		o.Status, o.Err, o.Next = Failed, err, p.rest
		return o
	}
	items = items[min(p.state.Accepted, len(items)):]
	o.Records = len(items)
	if o.Records > 0 || o.Dropped+corrupt > 0 {
		within, cancel := c.within(ctx)
		err = stage.HandleBatch(within, c.next, slogworks.Batch{
			ID:      p.id,
			Kind:    slogworks.Digest,
			Items:   items,
			Dropped: o.Dropped + corrupt,
			Attempt: p.state.Attempt,
			Done:    slices.Clone(p.state.Done),
		})
		cancel()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle(p, len(items), err, &o)
	return o
}

// recount corrects what is known of a batch now that it was read: what was
// stored and is not there any more has been damaged since.
func (c *core) recount(p *parcel, records, corrupt int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.held().corrupt += max(0, corrupt-p.corrupt)
	if gone := p.records - records; gone >= 0 {
		c.unread += uint64(gone)
	} else {
		c.store.held().adopted -= gone
	}
	p.records, p.corrupt = records, corrupt
	p.state.Accepted = min(p.state.Accepted, records)
}

// begin notes that a batch is about to be tried: first that it counts towards the
// limit, then the attempt, and when the next one may be if nothing is heard of
// this one any more.
func (c *core) begin(p *parcel) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now().Round(0) // the clock that other processes have
	if p.state.Attempt == 0 {
		if err := c.store.update(func(s *spoolState) { s.stamp(c.Limit, now) }); err != nil {
			return err
		}
	}
	before := p.state
	p.state.Attempt++
	if p.state.First.IsZero() || p.state.First.After(now) {
		p.state.First = now
	}
	p.state.Tried, p.state.Wait = now, c.Retry.Delay(p.state.Attempt)
	if err := c.store.save(p); err != nil {
		p.state = before
		return err
	}
	return nil
}

// settle acts on the answer to an attempt with n records. The lock is held.
func (c *core) settle(p *parcel, n int, err error, o *Outcome) {
	accepted := stage.Accepted(err, n)
	if err == nil || n > 0 && accepted == n {
		o.Status, o.Err = Sent, nil
		c.sent += uint64(n)
		err := c.store.finish(p)
		now := time.Now()
		if updateErr := c.store.update(func(s *spoolState) { s.Last = now }); err == nil {
			err = updateErr
		}
		// That the batch is out is the news; that it could not be removed means
		// that it goes out again.
		o.Err = err
		return
	}
	if delivery, ok := err.(*slogworks.DeliveryError); ok && delivery == nil {
		err = errNil // whose methods would panic
	}
	answer := stage.DeliveryOf(err)
	c.sent += uint64(accepted)
	p.state.Accepted += accepted
	for _, recipient := range answer.Done {
		if !slices.Contains(p.state.Done, recipient) {
			p.state.Done = append(p.state.Done, recipient)
		}
	}
	p.state.Wait = max(p.state.Wait, answer.After)
	p.state.Error = textOf(err)
	o.Err = err
	next := time.Now().Round(0).Add(p.state.Wait)
	switch {
	case answer.Permanent:
		c.reject(p, o)
		return
	case c.Retry.MaxElapsed > 0 && next.Sub(p.state.First) > c.Retry.MaxElapsed:
		o.Err = fmt.Errorf("buffer: given up after %d attempts: %w", p.state.Attempt, err)
		c.reject(p, o)
		return
	case answer.Uncertain:
		o.Status = Unknown
	case accepted > 0 || len(answer.Done) > 0:
		o.Status = Partial
	default:
		o.Status = Failed
	}
	p.state.Wait = next.Sub(p.state.Tried)
	o.Next = next
	if err := c.store.save(p); err != nil {
		o.Err = fmt.Errorf("%w; %w", o.Err, err)
	}
}

var errNil = errors.New("buffer: the handler behind returned a nil *slogworks.DeliveryError")

// maxError is how many bytes of an error the state of a batch has; a server may
// send any number.
const maxError = 4 << 10

// textOf calls a method of an error that is not ours.
func textOf(err error) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprintf("%T, which panics when asked what it is", err)
		}
	}()
	text = err.Error()
	return text[:min(len(text), maxError)]
}

// reject gives a batch up.
func (c *core) reject(p *parcel, o *Outcome) {
	o.Status = Rejected
	n := p.waiting()
	if err := c.store.bury(p); err != nil {
		// It stays where it is, to be tried again.
		o.Err = fmt.Errorf("%w; %w", o.Err, err)
		o.Next = p.state.next()
		return
	}
	c.rejected += uint64(n)
}

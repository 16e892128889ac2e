package httpsink

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// enter reports false after a Shutdown has begun.
func (c *core) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isClosed {
		return false
	}
	c.running++
	return true
}

func (c *core) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	if c.isClosed && c.running == 0 {
		close(c.idle)
	}
}

func (c *core) send(ctx context.Context, b slogworks.Batch) error {
	if len(b.Items) == 0 {
		return nil
	}
	if !c.enter() {
		c.closed.Add(uint64(len(b.Items)))
		return ErrClosed
	}
	defer c.leave()
	e := c.encoders.Get().(*encoder)
	e.encode(b.Items)
	d := delivery{core: c, encoder: e, batch: b}
	failure := d.settle(d.deliver(ctx))
	lost := d.lost
	if cap(e.lines) <= maxKept {
		c.encoders.Put(e)
	}
	for _, err := range lost {
		c.report(err)
	}
	if failure != nil {
		return failure
	}
	return nil
}

// delivery is a batch on its way.
type delivery struct {
	*core
	*encoder
	batch slogworks.Batch

	done     int        // lines that the collector has decided about
	unwanted []unwanted // the last requests among these, if it took none of them
	lost     []error    // of records that nobody else will hear of
}

// unwanted is a request of which the collector will never take anything.
type unwanted struct {
	first int // line
	err   *slogworks.DeliveryError
}

// deliver sends all lines, in as many requests as MaxBytes asks for, and stops at
// a temporary error.
func (d *delivery) deliver(ctx context.Context) *slogworks.DeliveryError {
	if len(d.ends) == 0 {
		return nil // nothing that the collector could be down for
	}
	if err := d.isDown(d.batch.Attempt > 0); err != nil {
		return err
	}
	most := d.MaxBytes
	if d.Format == Array {
		most-- // each line feed becomes a comma or a bracket, and there is one bracket more
	}
	for d.done < len(d.ends) {
		end := d.done + 1
		for end < len(d.ends) && d.size(d.done, end+1) <= most {
			end++
		}
		if err := d.part(ctx, d.done, end); err != nil {
			return err
		}
	}
	return nil
}

// part sends some lines in one request, or in several if the collector says that
// they are too large. What it refuses for good does not hold up what comes after.
func (d *delivery) part(ctx context.Context, first, end int) *slogworks.DeliveryError {
	n := end - first
	status, accepted, err := d.post(ctx, d.key(first, end), d.encoder, first, end)
	switch {
	case err != nil && !err.Permanent:
		return err
	case accepted > 0:
		d.sent.Add(uint64(accepted))
		d.refused.Add(uint64(n - accepted))
		d.giveUp()
		if err != nil {
			d.lost = append(d.lost, err) // of lines that it does not name
		}
	case status != http.StatusRequestEntityTooLarge:
		d.refused.Add(uint64(n))
		d.unwanted = append(d.unwanted, unwanted{first, err})
	case n == 1:
		d.tooLarge.Add(1)
		d.unwanted = append(d.unwanted, unwanted{first, err})
	default:
		if err := d.part(ctx, first, first+n/2); err != nil {
			return err
		}
		return d.part(ctx, first+n/2, end)
	}
	d.done = end
	return nil
}

// giveUp leaves to OnError what is unwanted, because the error of the batch cannot
// say it: that can only be of the last items, and something else comes after it.
func (d *delivery) giveUp() {
	for _, u := range d.unwanted {
		d.lost = append(d.lost, u.err)
	}
	d.unwanted = d.unwanted[:0]
}

// key returns what the collector recognises the lines by. It counts from the end
// of the batch, because what is tried again lacks what was accepted.
func (d *delivery) key(first, end int) string {
	if d.batch.ID == "" {
		return ""
	}
	items := len(d.batch.Items)
	after := items
	if end < len(d.items) {
		after = d.items[end]
	}
	return d.batch.ID + "-" + strconv.Itoa(items-d.items[first]) + "-" + strconv.Itoa(items-after)
}

// settle counts what has not been counted on the way, which ended with the
// temporary error or without, and returns the error of the batch.
func (d *delivery) settle(err *slogworks.DeliveryError) *slogworks.DeliveryError {
	items := len(d.batch.Items)
	lines, notEncoded := d.done, len(d.encoder.lost)
	switch {
	case err != nil:
		d.giveUp()
		notEncoded = d.items[lines] - lines
		if d.batch.Attempt == 0 {
			d.failed.Add(uint64(items - d.items[lines]))
		}
	case len(d.unwanted) > 0:
		lines, err = d.unwanted[0].first, d.unwanted[0].err
	case items == 1 && notEncoded == 1:
		d.notEncoded.Add(1)
		return &slogworks.DeliveryError{Permanent: true, Err: d.encoder.lost[0]}
	}
	d.notEncoded.Add(uint64(notEncoded))
	d.lost = append(d.lost, d.encoder.lost[:notEncoded]...)
	if err != nil {
		err.Accepted = d.items[lines]
	}
	return err
}

func (c *core) report(err error) {
	if c.OnError == nil {
		return
	}
	var ignored error
	defer stage.Rescue(&ignored)
	c.OnError(err)
}

// isDown returns an error while a request makes no sense.
func (c *core) isDown(atOnce bool) *slogworks.DeliveryError {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := time.Until(c.notBefore)
	if wait <= 0 || atOnce {
		return nil
	}
	return &slogworks.DeliveryError{
		After: wait,
		Err:   fmt.Errorf("httpsink: waiting after a failure: %w", c.lastErr),
	}
}

// down notes the temporary failure of a request that began then, and says when
// the next attempt makes sense.
func (c *core) down(began time.Time, err error, retryAfter time.Duration) *slogworks.DeliveryError {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	// Requests that fail side by side tell of one outage, however many they are.
	if c.failures == 0 || began.After(c.failedAt) {
		c.failures++
		c.failedAt = now
	}
	wait := max(c.Backoff.Delay(c.failures), retryAfter)
	// The longest Retry-After counts.
	if until := now.Add(wait); until.After(c.notBefore) {
		c.notBefore, c.lastErr = until, err
	}
	return &slogworks.DeliveryError{After: wait, Err: err}
}

// up notes that the collector has answered.
func (c *core) up() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures, c.notBefore, c.lastErr = 0, time.Time{}, nil
}

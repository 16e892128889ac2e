package httpsink

import (
	"context"
	"fmt"
	"net/url"
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
	lines, err := d.deliver(ctx)
	failure := d.settle(lines, err)
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
	lost  []error // of records that nobody else will hear of
}

// deliver sends all lines, in as many requests as MaxBytes asks for, and returns
// how many are done with.
func (d *delivery) deliver(ctx context.Context) (done int, err *slogworks.DeliveryError) {
	if len(d.ends) == 0 {
		return 0, nil // nothing that the collector could be down for
	}
	if err := d.isDown(d.batch.Attempt > 0); err != nil {
		return 0, err
	}
	most := d.MaxBytes
	if d.Format == Array {
		most-- // each line feed becomes a comma or a bracket, and there is one bracket more
	}
	for done < len(d.ends) {
		end := done + 1
		for end < len(d.ends) && d.size(done, end+1) <= most {
			end++
		}
		n, err := d.part(ctx, done, end)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// part sends some lines in one request, or in several if the collector says that
// they are too large.
func (d *delivery) part(ctx context.Context, first, end int) (done int, err *slogworks.DeliveryError) {
	n := end - first
	tooLarge, err := d.post(ctx, d.key(first, end), d.encoder, first, end)
	switch {
	case err == nil:
		d.sent.Add(uint64(n))
		return n, nil
	case !tooLarge:
		return 0, err
	case n == 1 && len(d.batch.Items) == 1:
		return 0, err
	case n == 1:
		// The others are not to be held up by it.
		d.tooLarge.Add(1)
		d.lost = append(d.lost, err)
		return 1, nil
	}
	done, err = d.part(ctx, first, first+n/2)
	if err != nil {
		return done, err
	}
	more, err := d.part(ctx, first+n/2, end)
	return done + more, err
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
	id := d.batch.ID
	if !isHeaderValue(id) {
		id = url.QueryEscape(id)
	}
	return id + "-" + strconv.Itoa(items-d.items[first]) + "-" + strconv.Itoa(items-after)
}

// settle counts what has become of the items, of which so many lines are done
// with, and returns the error of the batch.
func (d *delivery) settle(lines int, err *slogworks.DeliveryError) *slogworks.DeliveryError {
	items := len(d.batch.Items)
	accepted := items
	if lines < len(d.items) {
		accepted = d.items[lines]
	}
	if notEncoded := accepted - lines; notEncoded > 0 {
		d.notEncoded.Add(uint64(notEncoded))
		if items == 1 {
			return &slogworks.DeliveryError{Permanent: true, Err: d.encoder.lost[0]}
		}
		d.lost = append(d.lost, d.encoder.lost[:notEncoded]...)
	}
	if err == nil {
		return nil
	}
	err.Accepted = accepted
	rest := uint64(items - accepted)
	switch {
	case err.Permanent && items == 1 && isTooLarge(err):
		d.tooLarge.Add(rest)
	case err.Permanent:
		d.refused.Add(rest)
	case d.batch.Attempt == 0:
		d.failed.Add(rest)
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
		Err:   fmt.Errorf("httpsink: the next attempt is in %v: %w", wait.Round(time.Millisecond), c.lastErr),
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

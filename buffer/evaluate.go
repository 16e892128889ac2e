package buffer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/slogworks/slogworks/internal/stage"
)

// reason is who wants to know whether to deliver.
type reason int

const (
	background reason = iota
	asked             // by Evaluate
	forced            // by Deliver
	final             // by Shutdown, with a directory
	last              // by Shutdown, without one
)

// insists reports whether trigger, limit and backoff do not matter.
func (r reason) insists() bool { return r == forced || r == last }

// withinKey marks the context of a delivery, by the core that delivers.
type withinKey struct{ *core }

func (c *core) isWithin(ctx context.Context) bool {
	return ctx != nil && ctx.Value(withinKey{c}) != nil
}

func errWithin(verb string) error {
	return fmt.Errorf("buffer: %s called by the handler behind the buffer: it would wait for itself", verb)
}

// enter waits until nobody else evaluates. What it returns has to be called at
// the end.
func (c *core) enter(ctx context.Context) (leave func(), err error) {
	select {
	case c.turn <- struct{}{}:
	default:
		select {
		case c.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return func() {
		<-c.turn
		c.tidy()
	}, nil
}

func (c *core) evaluate(ctx context.Context, why reason) Outcome {
	if ctx == nil {
		ctx = context.Background()
	}
	if c.isWithin(ctx) {
		verb := "Evaluate"
		if why == forced {
			verb = "Deliver"
		}
		return Outcome{Status: Kept, Err: errWithin(verb)}
	}
	leave, err := c.enter(ctx)
	if err != nil {
		return Outcome{Status: Kept, Cause: "a delivery goes on", Err: err}
	}
	defer leave()
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return Outcome{Status: Kept, Err: ErrClosed}
	}
	o := c.decide(ctx, why)
	c.note(o)
	c.mu.Lock()
	defer c.mu.Unlock()
	if why != background {
		c.setTimer()
	}
	return o
}

// note remembers an outcome and tells it.
func (c *core) note(o Outcome) {
	c.mu.Lock()
	tell := o.Status.tried() || o.Status == Limited && c.last.Status != Limited
	c.last = o
	c.mu.Unlock()
	if tell && c.OnOutcome != nil {
		var ignored error
		defer stage.Rescue(&ignored)
		c.OnOutcome(o)
	}
}

func (c *core) ask(state State) (cause string, err error) {
	if state.Total == 0 {
		return "", nil
	}
	defer stage.Rescue(&err)
	return c.Trigger(state), nil
}

func keptOrEmpty(state State) Outcome {
	if state.Total == 0 {
		return Outcome{}
	}
	return Outcome{Status: Kept, Records: state.Total}
}

// decide delivers one batch if it is time to. It has the turn.
func (c *core) decide(ctx context.Context, why reason) Outcome {
	release, err := c.store.claim(ctx, why == forced)
	switch {
	case err == errElsewhere:
		return c.kept(err.Error(), nil)
	case err != nil:
		return c.kept("", err)
	}
	defer release()

	p, o := c.choose(why)
	if p == nil {
		return o
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		p.busy = false
	}()
	return c.deliver(ctx, p)
}

// choose returns the batch to deliver now, which is busy from then on, or why
// there is none. It asks the trigger without the lock.
func (c *core) choose(why reason) (*parcel, Outcome) {
	c.mu.Lock()
	c.lookAround = false
	err := c.store.refresh()
	if err != nil {
		c.mu.Unlock()
		return nil, c.kept("", err)
	}
	c.notBefore = time.Time{}
	state := c.store.held().state(c.store.state().Last)
	permitted, next := c.store.state().permits(c.Limit, time.Now())
	permitted = permitted || why.insists()
	p, waits := c.due(why)
	if p != nil {
		defer c.mu.Unlock()
		if p.state.Cause == "" {
			p.state.Cause = "found in the spool"
		}
		switch {
		case waits:
			return nil, backoff(p)
		case p.state.Attempt == 0 && !permitted:
			return nil, Outcome{Status: Limited, Cause: p.state.Cause, BatchID: p.id, Records: p.waiting(), Next: next}
		}
		p.busy = true
		return p, Outcome{}
	}
	unreadable := slices.ContainsFunc(c.store.held().segments, func(s *segment) bool { return s.corrupt > 0 })
	c.mu.Unlock()

	cause := "asked for"
	if !why.insists() {
		if cause, err = c.ask(state); cause == "" {
			o := keptOrEmpty(state)
			o.Err = err
			return nil, o
		}
	} else if state.Total == 0 && !unreadable {
		return nil, Outcome{} // lines that cannot be read are news to who insists
	}
	if !permitted {
		return nil, Outcome{Status: Limited, Cause: cause, Records: state.Total, Next: next}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err = c.store.take(time.Now(), cause)
	switch {
	case err != nil:
		c.notBefore = time.Now().Add(c.Retry.Min)
		return nil, Outcome{Status: Failed, Cause: cause, Records: state.Total, Next: c.notBefore, Err: err}
	case p == nil:
		return nil, Outcome{}
	}
	p.busy = true
	return p, Outcome{}
}

// due returns the batch to try again, if there is one: of several, which Requeue
// makes possible, the oldest that need not wait. The lock is held.
func (c *core) due(why reason) (p *parcel, waits bool) {
	var next *parcel
	now := time.Now()
	for _, p := range c.store.batches() {
		if why.insists() || p.due(now) {
			return p, false
		}
		if next == nil || p.next().Before(next.next()) {
			next = p
		}
	}
	return next, next != nil
}

// backoff is the outcome while a batch waits.
func backoff(p *parcel) Outcome {
	o := Outcome{
		Status: Kept, Cause: "waits to be tried again", BatchID: p.id,
		Records: p.waiting(), Dropped: p.state.Dropped, Corrupt: p.corrupt, Attempt: p.state.Attempt, Next: p.next(),
	}
	if p.state.Error != "" {
		o.Err = errors.New(p.state.Error)
	}
	return o
}

// kept is the outcome if something prevents a look.
func (c *core) kept(cause string, err error) Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notBefore = time.Now().Add(c.Retry.Min)
	return Outcome{Status: Kept, Cause: cause, Records: int(c.held()), Err: err}
}

// within returns the context of a delivery.
func (c *core) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithValue(ctx, withinKey{c}, true))
	stop := context.AfterFunc(c.life, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

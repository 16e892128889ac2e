package buffer

import "time"

// poke has the trigger asked in the background. The lock is held.
func (c *core) poke() {
	if c.closed || c.Manual {
		return
	}
	c.poked = true
	if c.working == nil {
		c.working = make(chan struct{})
		go c.work()
	}
}

// work asks the trigger as often as there is a reason to, and ends. It leaves a
// timer behind if something is held.
func (c *core) work() {
	// Deferred, because the handler behind may end the goroutine by
	// runtime.Goexit, as testing.T.FailNow does.
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		close(c.working)
		c.working = nil
		if c.poked {
			c.poke()
		}
		c.setTimer()
	}()
	for {
		c.mu.Lock()
		if !c.poked || c.closed {
			c.poked = false
			c.mu.Unlock()
			return
		}
		c.poked = false
		c.mu.Unlock()
		if !c.isEarly() {
			for again := true; again; {
				status := c.evaluate(c.life, background).Status
				again = status == Sent || status == Rejected
			}
		}
	}
}

// isEarly asks trigger, backoff and limit about what is known without a look at
// the disk, so that a record which makes no difference costs little.
func (c *core) isEarly() bool {
	c.mu.Lock()
	if lookAround := c.lookAround; lookAround || time.Now().Before(c.notBefore) {
		c.mu.Unlock()
		return !lookAround
	}
	if _, waits := c.due(background); waits || len(c.store.batches()) > 0 {
		c.mu.Unlock()
		return waits
	}
	state := c.store.held().state(c.store.state().Last)
	permitted, next := c.store.state().permits(c.Limit, time.Now())
	c.mu.Unlock()
	cause, err := c.ask(state)
	switch {
	case err != nil:
		return false
	case cause == "":
		c.note(keptOrEmpty(state))
		return true
	case !permitted:
		c.note(Outcome{Status: Limited, Cause: cause, Records: state.Total, Next: next})
		return true
	}
	return false
}

// setTimer sees to it that the trigger is asked again while something is held.
// The lock is held.
func (c *core) setTimer() {
	if c.closed || c.Manual || c.held() == 0 {
		return
	}
	now := time.Now()
	var at time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if c.Every > 0 {
		sooner(now.Add(c.Every))
	}
	sooner(c.last.Next)
	for _, p := range c.store.batches() {
		sooner(p.next())
	}
	if at.IsZero() {
		return
	}
	if at.Before(c.notBefore) {
		at = c.notBefore
	}
	if c.timer != nil {
		if !at.Before(c.timerAt) {
			return
		}
		c.timer.Stop()
	}
	c.timerAt = at
	var timer *time.Timer
	timer = time.AfterFunc(max(0, at.Sub(now)), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.timer == timer {
			c.timer = nil
			c.lookAround = true
			c.poke()
		}
	})
	c.timer = timer
}

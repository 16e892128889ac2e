package redis

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// subscribe reads channels until ctx is over.
func (f *feed) subscribe(ctx context.Context, channels, patterns []string) {
	for {
		err := f.listen(ctx, channels, patterns)
		f.down()
		if ctx.Err() != nil || !f.failed(ctx, fmt.Errorf("redis: %s: %w", f.name, f.link.explain(err, "")), 0) {
			return
		}
	}
}

// errSilent ends a subscription that does not answer.
var errSilent = errors.New("the server does not answer")

// listen reads a subscription until it ends. The client would make a new one by
// itself, but not say that it did.
func (f *feed) listen(ctx context.Context, channels, patterns []string) error {
	s := f.link.client.Subscribe(ctx) // to nothing yet
	defer s.Close()
	var heard, isSilent, isHandling atomic.Bool
	defer context.AfterFunc(ctx, func() {
		f.link.cut()
		_ = s.Close()
	})()
	if len(channels) > 0 {
		if err := s.Subscribe(ctx, channels...); err != nil {
			return err
		}
	}
	if len(patterns) > 0 {
		if err := s.PSubscribe(ctx, patterns...); err != nil {
			return err
		}
	}

	// A deadline for reading could strike within a message, so what is silent is
	// found out by asking, from another goroutine.
	ended := make(chan struct{})
	watched := make(chan struct{})
	defer func() {
		close(ended)
		_ = s.Close()
		<-watched
	}()
	go func() {
		defer close(watched)
		tick := time.NewTicker(f.timeout)
		defer tick.Stop()
		asked := false
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			// While the handler takes its time, what the server says is not read.
			if heard.Swap(false) || isHandling.Load() {
				asked = false
				continue
			}
			bounded, cancel := context.WithTimeout(ctx, f.timeout)
			if asked || s.Ping(bounded) != nil {
				isSilent.Store(true)
				f.link.cut()
				_ = s.Close()
			}
			cancel()
			asked = true
		}
	}()

	since := f.lastSeen // zero before the first subscription
	missing := len(channels) + len(patterns)
	var last *goredis.Message
	for {
		message, err := s.Receive(ctx)
		if err != nil {
			if isSilent.Load() {
				err = errSilent
			}
			return err
		}
		heard.Store(true)
		switch m := message.(type) {
		case *goredis.Subscription:
			if missing--; missing != 0 {
				continue
			}
			f.failures = 0
			f.up()
			if !since.IsZero() {
				f.gap(ctx, Gap{Reason: "disconnected", Since: since})
			}
		case *goredis.Message:
			if isCopy(m, last) {
				f.duplicates.Add(1)
				break
			}
			last = m
			isHandling.Store(true)
			f.hand(ctx, "channel "+m.Channel, m.Channel, m.Payload)
			isHandling.Store(false)
			heard.Store(true)
		}
		if f.isUp {
			f.lastSeen = time.Now()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// isCopy reports whether the server sends a message once more, because another
// pattern matches: it sends all copies of one message in a row.
func isCopy(m, last *goredis.Message) bool {
	return last != nil && m.Pattern != last.Pattern && m.Channel == last.Channel && m.Payload == last.Payload
}

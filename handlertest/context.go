package handlertest

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/slogworks/slogworks"
)

var contextRules = []rule{
	{"a cancelled context drops nothing", false, cancelledContext},
	{"a nil context does not panic", false, nilContext},
	{"the values of the context reach next", true, contextValues},
	{"the end of the caller's context does not reach a kept record", true, endedContext},
}

type contextKey struct{}

func cancelledContext(c *check) {
	s := c.subject()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	all := variants(s.handler)
	for _, v := range all {
		if !v.handler.Enabled(ctx, slog.LevelInfo) {
			c.Errorf("Enabled of %s is false with a cancelled context: what is logged about a cancellation is often what is looked for", v.name)
		}
		// Whether the handler holds the context against a record shows in what
		// arrives; an error would only say it twice.
		_ = c.handleError(v.handler, ctx, record(v.name, attr("k", "v")))
	}
	results := s.arrived()
	for _, v := range all {
		if n := count(results, v.name); n != 1 {
			c.Errorf("a record that %s was given with a cancelled context arrived %d times: do not look at ctx.Err in Handle; context.WithoutCancel keeps the values alone; %s", v.name, n, whatArrived(results))
		}
	}
}

func nilContext(c *check) {
	s := c.subject()
	var none context.Context
	all := variants(s.handler)
	for _, v := range all {
		c.call("Enabled with a nil context", func() { v.handler.Enabled(none, slog.LevelInfo) })
		var err error
		c.call("Handle with a nil context", func() { err = v.handler.Handle(none, record(v.name, attr("k", "v"))) })
		if err != nil {
			c.Errorf("Handle with a nil context returned %q", err)
		}
	}
	results := s.arrived()
	for _, v := range all {
		c.one(results, v.name)
	}
}

func contextValues(c *check) {
	rec := new(Recorder)
	h := c.wrap(c.next(rec))
	ctx := context.WithValue(context.Background(), contextKey{}, "value")
	all := variants(h)
	for _, v := range all {
		c.handle(v.handler, ctx, record(v.name, attr("k", "v")))
	}
	c.flush(h)
	c.shutdown(h)

	items := rec.Items()
	if len(items) < len(all) {
		c.Errorf("%d of %d records arrived", len(items), len(all))
	}
	for _, item := range items {
		if item.Context == nil || item.Context.Value(contextKey{}) != "value" {
			c.Errorf("record %q reached next without the values of the context it was logged with: pass ctx on, and keep context.WithoutCancel(ctx) with what is kept", item.Record.Message)
		}
	}
}

// endedContext ends each context as soon as Handle has returned, and next looks
// at the context as a sink that writes to a network would.
func endedContext(c *check) {
	var ended atomic.Int64
	rec := &Recorder{Before: func(ctx context.Context, b slogworks.Batch) error {
		if ctx != nil && ctx.Err() != nil {
			ended.Add(1)
		}
		for _, item := range b.Items {
			if item.Context != nil && item.Context.Err() != nil {
				ended.Add(1)
			}
		}
		return nil
	}}
	h := c.wrap(c.next(rec))
	const n = 50
	for i := range n {
		ctx, cancel := context.WithCancel(context.Background())
		c.handle(h, ctx, record(fmt.Sprint("record ", i)))
		cancel()
	}
	c.flush(h)
	c.shutdown(h)
	if ended.Load() > 0 {
		c.Errorf("records that were kept past Handle reached next with a context that had ended since, so that a sink would fail them: keep context.WithoutCancel(ctx)")
	}
	if got := len(rec.Items()); got < n {
		c.Errorf("%d of %d records arrived", got, n)
	}
}

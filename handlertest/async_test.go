package handlertest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
)

// async hands records to a goroutine, which hands them on in one of the ways
// that there are.
type async struct {
	*asyncCore
	with *chain.Node
}

type asyncCore struct {
	next    *chain.Target
	handOn  asyncWay
	queue   chan asyncJob
	drained chan struct{}

	mu      sync.Mutex
	closed  bool
	abandon bool
	account slogworks.Account
}

type asyncWay int

const (
	derived   asyncWay = iota // by a handler with the With chain
	flattened                 // with the With chain in the record
	batched                   // as a batch of one
)

// asyncJob is a record, a batch, or a mark that Flush waits for.
type asyncJob struct {
	ctx    context.Context
	record slog.Record
	with   *chain.Node
	batch  *slogworks.Batch
	mark   chan struct{}
}

var (
	errAsyncClosed = errors.New("async: closed")
	errAsyncFull   = errors.New("async: full")
)

func newAsync(way asyncWay) func(next slog.Handler) slog.Handler {
	return func(next slog.Handler) slog.Handler {
		requireNext(next)
		h := &async{asyncCore: &asyncCore{
			next:    &chain.Target{Handler: next},
			handOn:  way,
			queue:   make(chan asyncJob, 250),
			drained: make(chan struct{}),
			account: slogworks.Account{Stage: "async", Dropped: map[string]uint64{}},
		}}
		go h.work()
		return h
	}
}

func (h *async) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Handler.Enabled(ctx, level)
}

func (h *async) Handle(ctx context.Context, r slog.Record) error {
	if ctx == nil {
		ctx = context.Background()
	}
	if !h.Enabled(ctx, r.Level) {
		return nil
	}
	return h.add(1, asyncJob{ctx: context.WithoutCancel(ctx), record: chain.FreezeRecord(r), with: h.with})
}

func (h *async) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	return h.add(uint64(len(b.Items)), asyncJob{ctx: context.WithoutCancel(ctx), batch: &b})
}

func (c *asyncCore) add(records uint64, j asyncJob) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.account.Accepted += records
	if c.closed {
		c.account.Dropped["closed"] += records
		return errAsyncClosed
	}
	select {
	case c.queue <- j:
		c.account.Held += records
		return nil
	default:
		c.account.Dropped["full"] += records
		return errAsyncFull
	}
}

func (c *asyncCore) work() {
	defer close(c.drained)
	for j := range c.queue {
		if j.mark != nil {
			close(j.mark)
			continue
		}
		c.mu.Lock()
		abandon := c.abandon
		c.mu.Unlock()
		records, err := uint64(1), context.Canceled
		if j.batch != nil {
			records = uint64(len(j.batch.Items))
		}
		if !abandon {
			err = c.deliver(j)
		}
		c.mu.Lock()
		c.account.Held -= records
		if err == nil {
			c.account.Delivered += records
		} else {
			c.account.Dropped["failed"] += records
		}
		c.mu.Unlock()
	}
}

func (c *asyncCore) deliver(j asyncJob) error {
	if j.batch != nil {
		return handOn(j.ctx, c.next.Handler, *j.batch)
	}
	switch c.handOn {
	case flattened:
		return c.next.Handler.Handle(j.ctx, j.with.Flatten(j.record))
	case batched:
		item := slogworks.Item{Context: j.ctx, Record: j.with.Flatten(j.record)}
		return handOn(context.Background(), c.next.Handler, slogworks.Batch{Items: []slogworks.Item{item}})
	}
	return j.with.Handler(c.next).Handle(j.ctx, j.record)
}

func (c *asyncCore) Flush(ctx context.Context) error {
	mark := make(chan struct{})
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	select {
	case c.queue <- asyncJob{mark: mark}:
		c.mu.Unlock()
	case <-ctx.Done():
		c.mu.Unlock()
		return ctx.Err()
	}
	select {
	case <-mark:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *asyncCore) Shutdown(ctx context.Context) error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.queue)
	}
	c.mu.Unlock()
	select {
	case <-c.drained:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		c.abandon = true
		return fmt.Errorf("async: %d records lost: %w", c.account.Held, ctx.Err())
	}
}

func (c *asyncCore) Account() slogworks.Account {
	c.mu.Lock()
	defer c.mu.Unlock()
	account := c.account
	account.Dropped = map[string]uint64{}
	for reason, n := range c.account.Dropped {
		account.Dropped[reason] = n
	}
	return account
}

func (c *asyncCore) Unwrap() slog.Handler { return c.next.Handler }

func (h *async) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &async{h.asyncCore, h.with.WithAttrs(attrs)}
}

func (h *async) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &async{h.asyncCore, h.with.WithGroup(name)}
}

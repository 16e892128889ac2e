package handlertest_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
)

// holder keeps records until Shutdown, or until Flush, rightly unless it is
// given flaws. It has no goroutine, so that flaws are no data races.
type holder struct {
	*holderCore
	with *chain.Node
}

type holderCore struct {
	next *chain.Target
	holderFlaws

	mu      sync.Mutex
	closed  bool
	held    []func() (records uint64, err error)
	account slogworks.Account
}

// holderFlaws replace what holder does; each gets the right way to do it.
type holderFlaws struct {
	freeze      func(r slog.Record) slog.Record
	keepContext func(ctx context.Context) context.Context
	flush       func(ctx context.Context, right func() error) error
	shutdown    func(ctx context.Context, right func() error) error
	accounts    func(right slogworks.Account) slogworks.Account
	releases    bool // at Flush
	neverCloses bool
	backwards   bool
}

var errHolderClosed = errors.New("holder: closed")

func newHolder(next slog.Handler) slog.Handler { return flawedHolder(holderFlaws{})(next) }

func flawedHolder(flaws holderFlaws) func(next slog.Handler) slog.Handler {
	return func(next slog.Handler) slog.Handler {
		requireNext(next)
		return &holder{holderCore: &holderCore{
			next:        &chain.Target{Handler: next},
			holderFlaws: flaws,
			account:     slogworks.Account{Stage: "holder", Dropped: map[string]uint64{}},
		}}
	}
}

func (h *holder) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Handler.Enabled(ctx, level)
}

func (h *holder) Handle(ctx context.Context, r slog.Record) error {
	if ctx == nil {
		ctx = context.Background()
	}
	if !h.Enabled(ctx, r.Level) {
		return nil
	}
	freeze, keepContext := chain.FreezeRecord, context.WithoutCancel
	if h.freeze != nil {
		freeze = h.freeze
	}
	if h.keepContext != nil {
		keepContext = h.keepContext
	}
	kept, keptContext := freeze(r), keepContext(ctx)
	return h.hold(1, func() error {
		return h.with.Handler(h.next).Handle(keptContext, kept)
	})
}

func (h *holder) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	return h.hold(uint64(len(b.Items)), func() error { return handOn(context.WithoutCancel(ctx), h.next.Handler, b) })
}

func (c *holderCore) hold(records uint64, deliver func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.account.Accepted += records
	if c.closed {
		c.account.Dropped["closed"] += records
		return errHolderClosed
	}
	c.account.Held += records
	c.held = append(c.held, func() (uint64, error) { return records, deliver() })
	return nil
}

func (c *holderCore) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.held {
		if c.backwards {
			i = len(c.held) - 1 - i
		}
		records, err := c.held[i]()
		c.account.Held -= records
		if err == nil {
			c.account.Delivered += records
		} else {
			c.account.Dropped["failed"] += records
		}
	}
	c.held = nil
}

func (c *holderCore) Flush(ctx context.Context) error {
	right := func() error {
		if c.releases {
			c.release()
		}
		return nil
	}
	if c.flush != nil {
		return c.flush(ctx, right)
	}
	return right()
}

func (c *holderCore) Shutdown(ctx context.Context) error {
	right := func() error {
		c.release()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.closed = !c.neverCloses
		return nil
	}
	if c.shutdown != nil {
		return c.shutdown(ctx, right)
	}
	return right()
}

func (c *holderCore) Account() slogworks.Account {
	c.mu.Lock()
	defer c.mu.Unlock()
	account := c.account
	account.Dropped = maps.Clone(account.Dropped)
	if c.accounts != nil {
		return c.accounts(account)
	}
	return account
}

func (c *holderCore) Unwrap() slog.Handler { return c.next.Handler }

func (h *holder) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &holder{h.holderCore, h.with.WithAttrs(attrs)}
}

func (h *holder) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &holder{h.holderCore, h.with.WithGroup(name)}
}

// Package memory keeps log records in memory, for tests that ask what was
// logged.
//
// Use it where the log is part of what a test is about: that a failure was
// logged once, with the order's number, and nothing was logged at Error by
// accident. To merely see the log of a failed test, slog.NewTextHandler on
// t.Output() is enough; to be rid of it, slog.DiscardHandler.
//
// Every test has a Handler of its own and hands it to what it tests, so that
// tests can run in parallel; slog.SetDefault is for the whole process and
// mixes up the records of tests that do.
//
// Handle takes two allocations and a mutex that is held for an append; a record
// takes about 400 bytes and what its values hold. Nothing blocks except waiting
// for a record, and there is no goroutine and nothing to close. A query looks at
// the records as they are when it is asked; logging may go on meanwhile.
//
// Records live as long as the process: os.Exit, SIGKILL and a panic that ends
// it lose them. Beyond [Options].MaxRecords the oldest are dropped and counted.
//
//	func TestCharge_logsTheFailure(t *testing.T) {
//		logs := memory.New(nil)
//		logs.Dump(t)
//
//		charge(slog.New(logs), 7)
//
//		logs.Level(slog.LevelError).Message("payment failed").Attr("order", 7).One(t)
//	}
//
// The package does not import testing, so a program may keep its last records
// in a Handler as well.
package memory

import (
	"context"
	"log/slog"
	"math"
	"sync"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// Options say what a Handler keeps. The zero Options are the defaults.
type Options struct {
	// Level is the lowest level that Enabled accepts. The default, nil, is every
	// level, because a test wants to see everything.
	Level slog.Leveler

	// MaxRecords is how many records are kept; the oldest are dropped to make
	// room, and failures say how many were. The default, for 0 and below, is
	// 10,000.
	MaxRecords int
}

const defaultMaxRecords = 10_000

// Handler keeps the records it is given, each with the attributes and groups of
// the logger that made it and the values of its context. Values are frozen when
// they are logged: what a record says does not change with a value that is
// changed later. Records stand in the order in which Handle took them.
//
// A Handler is safe for concurrent use, also after its test has ended. Handlers
// derived by WithAttrs and WithGroup share its records: each of them answers
// for all. Make one with [New]; the zero Handler is of no use.
type Handler struct {
	core  *core
	chain *chain.Node
}

var _ slogworks.BatchHandler = (*Handler)(nil)

// New returns a Handler without records. Options may be nil. It panics if their
// Level is a nil pointer.
func New(opts *Options) *Handler {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.MaxRecords <= 0 {
		o.MaxRecords = defaultMaxRecords
	}
	return &Handler{core: &core{level: stage.Level("memory", o.Level, math.MinInt), maxRecords: o.MaxRecords}}
}

// Enabled reports whether level is at least [Options].Level.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.core.level.Level()
}

// Handle keeps the record, whatever its level, and the values of ctx. The error
// is nil.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if ctx == nil {
		ctx = context.Background()
	}
	h.core.add(&entry{
		ctx:  context.WithoutCancel(ctx),
		view: h.chain.View(chain.FreezeRecord(r)),
	})
	return nil
}

// HandleBatch keeps the records of the batch next to each other and as they
// are, since they are frozen. The error is nil.
func (h *Handler) HandleBatch(_ context.Context, b slogworks.Batch) error {
	entries := make([]*entry, len(b.Items))
	for i, item := range b.Items {
		entries[i] = &entry{ctx: item.Context, view: h.chain.View(item.Record)}
	}
	h.core.add(entries...)
	return nil
}

// WithAttrs returns a Handler that adds attrs to each record and keeps it where
// h does.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &Handler{core: h.core, chain: h.chain.WithAttrs(attrs)}
}

// WithGroup returns a Handler that opens a group in each record and keeps it
// where h does.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &Handler{core: h.core, chain: h.chain.WithGroup(name)}
}

// Reset forgets all records, those that [Handler.FailOn] has yet to look at
// included. The account goes on.
func (h *Handler) Reset() {
	h.core.mu.Lock()
	defer h.core.mu.Unlock()
	h.core.kept = kept{}
}

// Account returns the stage "memory". Delivered are the records that can be
// read, or could until a Reset: for a reader, memory is where they were going,
// so none is Held. A record that is dropped to make room moves from Delivered
// to Dropped, as "overflow".
func (h *Handler) Account() slogworks.Account {
	h.core.mu.Lock()
	defer h.core.mu.Unlock()
	a := slogworks.Account{
		Stage:     "memory",
		Accepted:  h.core.accepted,
		Delivered: h.core.accepted - h.core.overflowed,
	}
	if h.core.overflowed > 0 {
		a.Dropped = map[string]uint64{"overflow": h.core.overflowed}
	}
	return a
}

// core is what the handlers derived from one New share.
type core struct {
	level      slog.Leveler
	maxRecords int

	mu         sync.Mutex // held for moments only, and never while a query is decided
	kept       kept
	accepted   uint64
	overflowed uint64
	waiters    []*waiter
}

// entry is a record that is kept. It never changes.
type entry struct {
	ctx  context.Context
	view slogworks.View
}

// kept is what was logged since the last Reset. A copy of it is a snapshot:
// entries is appended to and cut at the front, and what it shares with a copy is
// never written again. An append that needs more memory moves the few thousand
// pointers that are left, so that the cost per record is constant; a ring would
// save that, and have every query copy it.
type kept struct {
	entries []*entry
	dropped int        // how many made room
	worst   slog.Level // the highest level among those
}

func (c *core) add(entries ...*entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		c.accepted++
		if len(c.kept.entries) == c.maxRecords {
			c.overflowed++
			c.kept.dropOldest()
		}
		c.kept.entries = append(c.kept.entries, e)
		for _, w := range c.waiters {
			w.hand(e)
		}
	}
}

func (k *kept) dropOldest() {
	level := k.entries[0].view.Level()
	if k.dropped == 0 || level > k.worst {
		k.worst = level
	}
	k.dropped++
	k.entries = k.entries[1:]
}

func (c *core) snapshot() kept {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept
}

package handlertest

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
)

// Recorder is a handler that keeps all that it is given, single records and
// batches, for the tests of handlers that pass records on. It can refuse, fail
// or block, and it keeps the contexts. It only ever grows.
//
// The zero Recorder is ready for use. It is safe for concurrent use, and must
// not be copied. Derived recorders keep what they are given in the one they
// were derived from, and have its settings.
type Recorder struct {
	// Level is the lowest level that Enabled accepts; nil is every level.
	Level slog.Leveler

	// Before, if set, is called before a record, as a batch of one, or a batch
	// is kept. If it returns an error, nothing is kept and the error returned.
	// It may block, and several calls may run at once. ctx is that of Handle or
	// HandleBatch.
	Before func(ctx context.Context, b slogworks.Batch) error

	root *Recorder // nil in the root
	with *chain.Node

	mu      sync.Mutex
	items   []slogworks.Item
	batches []slogworks.Batch
}

var _ slogworks.BatchHandler = (*Recorder)(nil)

// Items returns all records in the order in which they came, those of batches
// among them. The attributes of With are folded into the records. A record that
// came alone is frozen and has the context that Handle was called with, which
// may be cancelled or nil; one that came in a batch is as it was.
func (r *Recorder) Items() []slogworks.Item {
	root := r.core()
	root.mu.Lock()
	defer root.mu.Unlock()
	return slices.Clone(root.items)
}

// Batches returns the batches in the order in which they came.
func (r *Recorder) Batches() []slogworks.Batch {
	root := r.core()
	root.mu.Lock()
	defer root.mu.Unlock()
	return slices.Clone(root.batches)
}

// Plain returns a handler that hands its records to r and does not take
// batches.
func (r *Recorder) Plain() slog.Handler { return &plain{r} }

// Enabled reports whether level is at least Level.
func (r *Recorder) Enabled(_ context.Context, level slog.Level) bool {
	lowest := r.core().Level
	return lowest == nil || level >= lowest.Level()
}

// Handle keeps the record.
func (r *Recorder) Handle(ctx context.Context, record slog.Record) error {
	item := slogworks.Item{Context: ctx, Record: chain.FreezeRecord(r.with.Flatten(record))}
	return r.core().keep(ctx, slogworks.Batch{Items: []slogworks.Item{item}}, false)
}

// HandleBatch keeps the batch.
func (r *Recorder) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	b.Items = slices.Clone(b.Items)
	b.Done = slices.Clone(b.Done)
	return r.core().keep(ctx, b, true)
}

func (r *Recorder) keep(ctx context.Context, b slogworks.Batch, isBatch bool) error {
	if r.Before != nil {
		if err := r.Before(ctx, b); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items = append(r.items, b.Items...)
	if isBatch {
		r.batches = append(r.batches, b)
	}
	return nil
}

// WithAttrs returns a recorder that adds attrs to each record.
func (r *Recorder) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return r
	}
	return &Recorder{root: r.core(), with: r.with.WithAttrs(attrs)}
}

// WithGroup returns a recorder that opens a group in each record.
func (r *Recorder) WithGroup(name string) slog.Handler {
	if name == "" {
		return r
	}
	return &Recorder{root: r.core(), with: r.with.WithGroup(name)}
}

func (r *Recorder) core() *Recorder {
	if r.root != nil {
		return r.root
	}
	return r
}

// plain hides that next takes batches. To embed next would show it.
type plain struct{ next slog.Handler }

func (p *plain) Enabled(ctx context.Context, level slog.Level) bool {
	return p.next.Enabled(ctx, level)
}

func (p *plain) Handle(ctx context.Context, r slog.Record) error { return p.next.Handle(ctx, r) }

func (p *plain) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return p
	}
	return &plain{p.next.WithAttrs(slices.Clone(attrs))}
}

func (p *plain) WithGroup(name string) slog.Handler {
	if name == "" {
		return p
	}
	return &plain{p.next.WithGroup(name)}
}

// asJSON returns r as slog.JSONHandler prints it.
func asJSON(r slog.Record) []byte {
	var line bytes.Buffer
	// A bytes.Buffer takes everything, so that there is no error.
	_ = slog.NewJSONHandler(&line, nil).Handle(context.Background(), r)
	return line.Bytes()
}

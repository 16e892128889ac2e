package fingerscrossed

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"runtime"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// write hands on the records and empties the list. Whatever goes wrong with one,
// the next is tried. It calls everything that is not ours, so that isWriting can
// find it on the stack.
//
//go:noinline
func (b *buffer) write(how step, out *records, level slog.Level) error {
	c := b.core
	to := b.target()
	if out.len == 0 {
		return nil
	}
	if how == escalate || how == follow {
		to = b.open(out)
	}
	if how == escalate {
		if next, ok := to.Handler.(slogworks.BatchHandler); ok && takesBatches(next, out) {
			return b.writeBatch(next, out)
		}
	}
	made := replay{core: c}
	below := how == settle || how == follow && c.After == PassLevel
	var written, discarded uint64
	var failed failures
	trying, returns := false, false
	defer func() {
		if trying {
			failed.n++
			out.pop()
		}
		b.mu.Lock()
		b.count(Stats{Written: written, Failed: failed.n, Discarded: discarded})
		b.mu.Unlock()
		if !returns {
			_ = b.write(how, out, level) // what is left, after a runtime.Goexit of the next handler
		}
	}()
	if lost := out.lost; lost.total() > 0 {
		out.lost = nil
		_, ctx := out.front()
		_, err := deliver(made.context(ctx), to, &entry{record: lost.record()})
		failed.add(err, 0)
	}
	for ; out.len > 0; out.pop() {
		e, ctx := out.front()
		if below && e.record.Level < level || c.life.Err() != nil {
			discarded++
			continue
		}
		trying = true
		wanted, err := deliver(made.context(ctx), to, e)
		trying = false
		switch {
		case err != nil:
			failed.add(err, 1)
		case wanted:
			written++
		default:
			discarded++
		}
	}
	returns = true
	return failed.err()
}

// deliver hands on one record if it is wanted.
func deliver(ctx context.Context, to *chain.Target, e *entry) (wanted bool, err error) {
	defer stage.Rescue(&err)
	next := e.with.Handler(to)
	if !next.Enabled(ctx, e.record.Level) {
		return false, nil
	}
	return true, next.Handle(ctx, e.record)
}

// failures keep the first error of many that are probably alike.
type failures struct {
	first error
	n     uint64
}

func (f *failures) add(err error, records uint64) {
	if f.first == nil {
		f.first = err
	}
	f.n += records
}

func (f *failures) err() error {
	if f.n > 1 {
		return fmt.Errorf("%d records not written, the first: %w", f.n, f.first)
	}
	return f.first
}

// writeBatch hands on the records that are wanted as one batch.
func (b *buffer) writeBatch(next slogworks.BatchHandler, out *records) error {
	made := replay{core: b.core}
	batch := slogworks.Batch{Dropped: int(out.lost.total())}
	var all Stats
	for ; out.len > 0; out.pop() {
		e, ctx := out.front()
		ctx = made.context(ctx)
		if b.core.life.Err() != nil || !enabled(ctx, next, e.record.Level) {
			all.Discarded++
			batch.Kind = slogworks.Stream // without its last record
			continue
		}
		batch.Kind = slogworks.Escalation
		batch.Items = append(batch.Items, slogworks.Item{Context: ctx, Record: e.with.Flatten(e.record)})
	}
	n := len(batch.Items)
	defer func() {
		all.Failed = uint64(n) - all.Written
		b.mu.Lock()
		defer b.mu.Unlock()
		b.count(all)
	}()
	if n == 0 {
		return nil
	}
	var failed failures
	stage.HandleAll(made.made, next, batch, func(err error, first, end int) { failed.add(err, uint64(end-first)) })
	all.Written = uint64(n) - failed.n
	return failed.err()
}

// takesBatches reports whether h, which has HandleBatch, does not only unpack
// what it gets.
func takesBatches(h slogworks.BatchHandler, out *records) bool {
	l, ok := h.(*LazyHandler)
	if !ok {
		return true
	}
	e, _ := out.last()
	return l.takesBatches(e.record.Level)
}

// enabled asks h. One that panics is asked again by what it is given.
func enabled(ctx context.Context, h slog.Handler, level slog.Level) bool {
	yes := true
	var ignored error
	func() {
		defer stage.Rescue(&ignored)
		yes = h.Enabled(ctx, level)
	}()
	return yes
}

// open returns the target after Options.Open was asked, once. Only the goroutine
// that works calls it.
func (b *buffer) open(out *records) *chain.Target {
	c := b.core
	if c.Open == nil || b.opened.Load() != nil {
		return b.target()
	}
	made := replay{core: c}
	e, ctx := out.last()
	view, ctx := e.with.View(e.record), made.context(ctx)
	to := c.next
	var closer io.Closer
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.closer = closer
		b.opened.Store(to)
	}()
	handler, opened, err := callOpen(func() (slog.Handler, io.Closer, error) { return c.Open(ctx, view) })
	if err != nil {
		c.report(fmt.Errorf("fingerscrossed: Open: %w", err))
	} else {
		to, closer = &chain.Target{Handler: handler}, opened
	}
	return to
}

// isWriting reports whether the caller was called by write, on this goroutine:
// the next handler, or what it calls, is logging or ending a scope. To wait for
// a write to end would be to wait for itself then.
func isWriting() bool { return isOnStack((*buffer).write) || isOnStack((*Scope).passOpened) }

// isOnStack reports whether f, which must not be inlined, is one of the callers.
// It takes microseconds, and is asked only by those who would wait.
func isOnStack(f any) bool {
	entry := reflect.ValueOf(f).Pointer()
	var pcs [64]uintptr
	for skip := 2; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		for _, pc := range pcs[:n] {
			if caller := runtime.FuncForPC(pc - 1); caller != nil && caller.Entry() == entry {
				return true
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}

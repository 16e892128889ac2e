package fanout

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/slogworks/slogworks/internal/stage"
)

// outs are places that are open at the same levels at all times. Since none is
// ever written to without the others, one lock does for all of them.
type outs struct {
	min     slog.Leveler
	mu      sync.Mutex
	writers []io.Writer
	closed  *atomic.Bool
}

// groupOuts puts outs with the same lowest level together, be it a constant or a
// variable. It returns the groups with a constant, lowest first, and the others.
func groupOuts(all []Out, closed *atomic.Bool) (fixed, varying []*outs) {
	groups := map[slog.Leveler]*outs{}
	for _, o := range all {
		if o.W == nil {
			panic("fanout: nil Writer")
		}
		min := stage.Level("fanout", o.Min, slog.LevelInfo)
		isKey := reflect.ValueOf(min).Comparable() // a map panics on other keys
		if isKey && groups[min] != nil {
			groups[min].writers = append(groups[min].writers, o.W)
			continue
		}
		group := &outs{min: min, writers: []io.Writer{o.W}, closed: closed}
		if isKey {
			groups[min] = group
		}
		if _, constant := min.(slog.Level); constant {
			fixed = append(fixed, group)
		} else {
			varying = append(varying, group)
		}
	}
	slices.SortFunc(fixed, func(a, b *outs) int { return cmp.Compare(a.min.Level(), b.min.Level()) })
	return fixed, varying
}

// write asks again whether the handler is closed: a record that comes after
// Shutdown has flushed would stay in the buffer of a *bufio.Writer.
func (o *outs) write(p []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed.Load() {
		return ErrClosed
	}
	var errs []error
	for _, w := range o.writers {
		if err := write(w, p); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func write(w io.Writer, p []byte) (err error) {
	defer stage.Rescue(&err)
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		return io.ErrShortWrite
	}
	return err
}

// flush holds the lock only for a writer such as a *bufio.Writer, which cannot
// be flushed and written to at once. One that takes a context has a lock of its
// own, and waiting for ours would not end with the context.
func (o *outs) flush(ctx context.Context, w io.Writer) (err error) {
	defer stage.Rescue(&err)
	switch w := w.(type) {
	case interface{ Flush(context.Context) error }:
		return w.Flush(ctx)
	case interface{ Flush() error }:
		o.mu.Lock()
		defer o.mu.Unlock()
		return w.Flush()
	}
	return nil
}

func shutdown(ctx context.Context, w io.Writer) (err error) {
	defer stage.Rescue(&err)
	if w, ok := w.(interface{ Shutdown(context.Context) error }); ok {
		return w.Shutdown(ctx)
	}
	return nil
}

// setWriter writes to the outs of several groups: io.MultiWriter, but for going
// on after an error.
type setWriter []*outs

func (s setWriter) Write(p []byte) (int, error) {
	var errs []error
	for _, group := range s {
		if err := group.write(p); err != nil {
			errs = append(errs, err)
		}
	}
	return len(p), errors.Join(errs...)
}

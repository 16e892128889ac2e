package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/sharedfile"
	"github.com/slogworks/slogworks/rotate"
)

// fileHandler is a handler of kind file.
//
// Two that have one file open rotate it under each other's hands: one moves
// aside, or compresses and removes, what the other still writes to. So of a file
// that two pipelines have in a row there is one at a time: when the second has
// taken the place of the first, it takes over the file, and what is still on its
// way through the first, such as what its queues hold, is written by the second.
type fileHandler struct {
	*swap   // to what writes to the file at present
	path    string
	options *rotate.Options
	lines   func(io.Writer) slog.Handler

	own     *rotate.Handler       // nil until it is begun
	early   *swap                 // to own, once there is one
	former  *fileHandler          // that has the file; nil if there is none
	ready   chan struct{}         // closed when own may be written to, or never will be
	release func()                // closes ready
	waited  *generation           // calls that came before
	ended   atomic.Pointer[error] // of own, when another took over
}

var _ slogworks.BatchHandler = (*fileHandler)(nil)

// newFileHandler returns what begin is to be called for. It finds out whether the
// file can be opened, but does not open it by its rules: by these it is rotated,
// and backups are removed, and the document may still be refused. A rehearsal
// opens and makes nothing.
func newFileHandler(path string, opts *rotate.Options, lines func(io.Writer) slog.Handler, rehearsal bool) (slog.Handler, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	h := &fileHandler{path: absolute, options: opts, lines: lines, early: newSwap(closed{lines(io.Discard)}), ready: make(chan struct{})}
	h.swap = newSwap(&waiting{h.early, h.ready})
	h.release = sync.OnceFunc(func() { close(h.ready) })
	info, err := os.Stat(path)
	rotates := err != nil || info.Mode().IsRegular()
	switch {
	case rehearsal && !rotates:
		return h.swap, couldWrite(path)
	case rehearsal:
		return h, couldWrite(path)
	case !rotates: // and to open a pipe twice would be noticed
		f, err := rotate.Open(path, opts)
		if err != nil {
			return nil, err
		}
		return rotate.NewHandler(f, lines), nil
	case opts.Shared:
		// Several may have it open, and have to agree now.
		err := h.begin()
		if errors.Is(err, sharedfile.ErrSettings) {
			err = fmt.Errorf("%w; if it is this process, end it first or name another path: what is shared is not changed while it is open", err)
		}
		return h, err
	case opts.Lazy:
		return h, couldWrite(path)
	}
	return h, canWrite(path, opts.Mode)
}

var errShared = errors.New("shared cannot be changed while this process has the file open: end it first, or name another path")

// canWrite opens the file, creating it if need be, and closes it.
func canWrite(path string, mode fs.FileMode) error {
	f, err := rotate.Open(path, &rotate.Options{Mode: mode, ReopenEvery: -1})
	if err != nil {
		return err
	}
	return f.Close()
}

// begin opens the file. While a former handler has it, records wait until that has
// given it up, and the first of them opens it.
func (h *fileHandler) begin() error {
	if h.own != nil { // it is shared
		return nil
	}
	opts := *h.options
	opts.Lazy = opts.Lazy || h.former != nil
	f, err := rotate.Open(h.path, &opts)
	if err != nil {
		return err
	}
	h.own = rotate.NewHandler(f, h.lines)
	h.early.replace(h.own)
	if h.former == nil {
		h.admit()
	}
	return nil
}

// admit has records no longer wait.
func (h *fileHandler) admit() {
	h.release()
	h.waited = h.replace(h.own)
}

// patience is how long a record waits for its file at most. It is over only if a
// disk hangs, or if a handler logs while it is being built: files are opened when
// all is built, and only the records of a spool, and the like, can wait for that.
const patience = 5 * time.Second

// maxWait is how long records wait for those that former handlers are writing at
// the moment. It is too short only if a disk hangs, or if what is logged logs
// itself, and then two have the file for a while.
const maxWait = time.Second

// takeOver takes the file from the former handler, which from then on hands on
// what it gets in lines of its own format.
func (h *fileHandler) takeOver(ctx context.Context) {
	former := h.former
	h.former = nil // which would keep all that were before it
	late := rotate.NewHandler(h.own.File(), former.lines)
	writing := former.replace(&waiting{late, h.ready})
	if writing.drain(ctx)+former.waited.drain(ctx) == 0 {
		err := former.end(ctx)
		former.ended.Store(&err)
	}
	h.admit()
}

// end closes the file without waiting for a compression, which is cut short and
// left to who opens the file next.
func (h *fileHandler) end(ctx context.Context) error {
	now, cancel := context.WithCancel(ctx)
	cancel()
	err := h.own.Shutdown(now)
	_ = h.own.Shutdown(ctx) // until it has noticed
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var lost []error
		for _, err := range joined.Unwrap() {
			if !errors.Is(err, context.Canceled) {
				lost = append(lost, err)
			}
		}
		return errors.Join(lost...)
	}
	return err
}

// isOf reports whether both are of one file.
func (h *fileHandler) isOf(other *fileHandler) bool {
	if h.path == other.path {
		return true
	}
	a, err := os.Stat(h.path)
	if err != nil {
		return false
	}
	b, err := os.Stat(other.path)
	return err == nil && os.SameFile(a, b)
}

// Unwrap returns what writes to its own file, whoever has taken it over.
func (h *fileHandler) Unwrap() slog.Handler {
	if h.own == nil {
		return slog.DiscardHandler
	}
	return h.own
}

// Shutdown returns what was lost when another took over; what it unwraps to does
// the rest.
func (h *fileHandler) Shutdown(ctx context.Context) error {
	select {
	case <-h.ready:
	default: // it will not have the file
		if h.own != nil {
			_ = h.own.Shutdown(ctx) // there is nothing in it to lose
		}
		h.release()
	}
	if err := h.ended.Load(); err != nil {
		return *err
	}
	return nil
}

// closed is a handler whose file was never opened.
type closed struct{ slog.Handler }

func (closed) Handle(context.Context, slog.Record) error { return rotate.ErrClosed }

func (c closed) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c closed) WithGroup(string) slog.Handler      { return c }

// waiting is a handler that waits until it may pass on records, or has no more
// patience.
type waiting struct {
	next  slog.Handler // a slogworks.BatchHandler
	ready <-chan struct{}
}

var _ slogworks.BatchHandler = (*waiting)(nil)

func (w *waiting) Enabled(ctx context.Context, level slog.Level) bool {
	return w.next.Enabled(ctx, level)
}

func (w *waiting) wait() {
	select {
	case <-w.ready:
	case <-time.After(patience):
	}
}

func (w *waiting) Handle(ctx context.Context, r slog.Record) error {
	w.wait()
	return w.next.Handle(ctx, r)
}

func (w *waiting) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	w.wait()
	return w.next.(slogworks.BatchHandler).HandleBatch(ctx, b)
}

func (w *waiting) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &waiting{w.next.WithAttrs(attrs), w.ready}
}

func (w *waiting) WithGroup(name string) slog.Handler {
	return &waiting{w.next.WithGroup(name), w.ready}
}

// begin begins the files of the components that are new, and has those wait that
// the old pipeline has. It looks at all of them first, with which a rehearsal ends:
// what begins is rotated, and backups are removed.
func (b *builder) begin() {
	for i, c := range b.opened {
		if h, ok := c.handler.(*fileHandler); ok {
			b.refuse(b.doc.byName[c.name], b.findFormer(h, b.opened[:i]))
		}
	}
	if len(b.found.mistakes) > 0 || b.rehearsal {
		return
	}
	for _, c := range b.opened {
		if h, ok := c.handler.(*fileHandler); ok {
			b.refuse(b.doc.byName[c.name], h.begin())
		}
	}
}

// findFormer finds what has the file of h in the old pipeline. The error says why
// h cannot have it.
func (b *builder) findFormer(h *fileHandler, before []*component) error {
	var former *component
	if b.old != nil {
		former = fileIn(b.old.components, h)
	}
	if fileIn(before, h) != nil || former != nil && b.built[former.name] == former {
		return errors.New("path leads to the file of another handler")
	}
	if former == nil {
		return nil
	}
	has := former.handler.(*fileHandler)
	switch {
	case has.options.Shared != h.options.Shared:
		return errShared
	case !h.options.Shared: // else both have it
		h.former = has
	}
	return nil
}

// fileIn returns the one of the components that has the file of h, or nil.
func fileIn(components []*component, h *fileHandler) *component {
	for _, c := range components {
		if other, ok := c.handler.(*fileHandler); ok && h.isOf(other) {
			return c
		}
	}
	return nil
}

// takeOver has the new components take over files from the former pipeline,
// whose place this one has taken: all at once, for a disk that hangs is not to
// cost what is on another its time.
func (p *Pipeline) takeOver() {
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	var files sync.WaitGroup
	for _, c := range p.core.components {
		if h, ok := c.handler.(*fileHandler); ok && h.former != nil {
			files.Go(func() { h.takeOver(ctx) })
		}
	}
	files.Wait()
}

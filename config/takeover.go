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

	own    *rotate.Handler // nil until it is begun
	former *fileHandler    // that has the file; nil if there is none
	ready  chan struct{}   // closed when former has it no more
	waited *generation     // calls that came before; nil if there was no former
	ended  error           // of own, when another took over
}

var _ slogworks.BatchHandler = (*fileHandler)(nil)

// newFileHandler returns what begin or follow is to be called for. It finds out
// whether the file can be opened, but does not open it by its rules: by these it
// is rotated, and backups are removed, and the document may still be refused.
func newFileHandler(path string, opts *rotate.Options, lines func(io.Writer) slog.Handler) (slog.Handler, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	h := &fileHandler{swap: newSwap(slog.DiscardHandler), path: absolute, options: opts, lines: lines}
	switch info, err := os.Stat(path); {
	case err == nil && !info.Mode().IsRegular():
		// It is not rotated, and to open a pipe twice would be noticed.
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

// begin opens the file.
func (h *fileHandler) begin() error {
	f, err := rotate.Open(h.path, h.options)
	if err != nil {
		return err
	}
	h.own = rotate.NewHandler(f, h.lines)
	h.replace(h.own)
	return nil
}

// follow has records wait until the former has given up the file. The first of
// them then opens it.
func (h *fileHandler) follow(former *fileHandler) error {
	opts := *h.options
	opts.Lazy = true
	f, err := rotate.Open(h.path, &opts)
	if err != nil {
		return err
	}
	h.own, h.former, h.ready = rotate.NewHandler(f, h.lines), former, make(chan struct{})
	h.replace(&waiting{h.own, h.ready})
	return nil
}

// maxWait is how long records wait for those that former handlers are writing at
// the moment. It is too short only if a disk hangs, or if what is logged logs
// itself, and then two have the file for a while.
const maxWait = time.Second

// takeOver takes the file from the former handler, which from then on hands on
// what it gets in lines of its own format.
func (h *fileHandler) takeOver(ctx context.Context) {
	former := h.former
	if former == nil {
		return
	}
	h.former = nil // which would keep all that were before it
	f := h.own.File()
	late := rotate.NewHandler(f, former.lines)
	writing := former.replace(&waiting{late, h.ready})
	left := writing.drain(ctx)
	if former.waited != nil {
		left += former.waited.drain(ctx)
	}
	if left == 0 {
		former.ended = former.end(ctx)
	}
	close(h.ready)
	former.replace(late)
	h.waited = h.replace(h.own)
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
func (h *fileHandler) Shutdown(context.Context) error { return h.ended }

// waiting is a handler that waits until it may pass on records.
type waiting struct {
	next  slog.Handler // a *rotate.Handler
	ready <-chan struct{}
}

var _ slogworks.BatchHandler = (*waiting)(nil)

func (w *waiting) Enabled(ctx context.Context, level slog.Level) bool {
	return w.next.Enabled(ctx, level)
}

func (w *waiting) Handle(ctx context.Context, r slog.Record) error {
	<-w.ready
	return w.next.Handle(ctx, r)
}

func (w *waiting) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	<-w.ready
	return w.next.(slogworks.BatchHandler).HandleBatch(ctx, b)
}

func (w *waiting) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &waiting{w.next.WithAttrs(attrs), w.ready}
}

func (w *waiting) WithGroup(name string) slog.Handler {
	return &waiting{w.next.WithGroup(name), w.ready}
}

// begin begins the files of the components that are new, and has those wait that
// the old pipeline has.
func (b *builder) begin() {
	for i, c := range b.opened {
		h, ok := c.handler.(*fileHandler)
		if !ok {
			continue
		}
		var err error
		former := fileIn(b.opened[:i], h)
		if former != nil {
			err = errors.New("path leads to the file of another handler")
		} else if b.old != nil {
			former = fileIn(b.old.components, h)
		}
		switch {
		case err != nil:
		case former != nil && former.options.Shared != h.options.Shared:
			err = errShared
		case h.options.Shared: // is open
		case former != nil:
			err = h.follow(former)
		default:
			err = h.begin()
		}
		if err != nil {
			d := b.doc.byName[c.name]
			b.found.addMistake(failed(d.line, d.path(), err))
		}
	}
}

// fileIn returns the handler among the components that has the file of h, or nil.
func fileIn(components []*component, h *fileHandler) *fileHandler {
	for _, c := range components {
		if other, ok := c.handler.(*fileHandler); ok && h.isOf(other) {
			return other
		}
	}
	return nil
}

// takeOver has the new components take over files from the former pipeline,
// whose place this one has taken.
func (p *Pipeline) takeOver() {
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	for _, c := range p.core.components {
		if h, ok := c.handler.(*fileHandler); ok {
			h.takeOver(ctx)
		}
	}
}

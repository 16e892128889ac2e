package rotate

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// Handler is a [slog.Handler] at the end of a pipeline that writes records to a
// [File]. It does what a handler of log/slog on the File does, and two things
// more: a batch, as a queue in front makes them, becomes one write, and
// [slogworks.Flush], [slogworks.Shutdown] and [slogworks.Books] reach the file.
//
// Handler is safe for concurrent use. It blocks for as long as File.Write does.
// The account is that of the File, so that several handlers on one have the
// same. There is no useful zero Handler.
type Handler struct {
	core *handlerCore

	// single and batched are the same but for where they write to.
	single, batched slog.Handler
}

var _ slogworks.BatchHandler = (*Handler)(nil)

// handlerCore is what derived handlers share.
type handlerCore struct {
	file *File

	mu    sync.Mutex // held while a batch is encoded and written
	lines lines
	ends  []int
}

// lines is what batched handlers write to.
type lines []byte

func (l *lines) Write(p []byte) (int, error) {
	*l = append(*l, p...)
	return len(p), nil
}

// NewHandler returns a handler that writes to f what newHandler encodes, JSON
// from slog.LevelInfo on if newHandler is nil. newHandler is called twice before
// NewHandler returns, once for single records and once for batches: what it makes
// must do the same both times, and must write each record in one Write.
//
// NewHandler panics if f is nil, or if newHandler returns nil or slog's own
// default handler.
func NewHandler(f *File, newHandler func(io.Writer) slog.Handler) *Handler {
	if f == nil {
		panic("rotate: nil File")
	}
	if newHandler == nil {
		newHandler = func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }
	}
	core := &handlerCore{file: f}
	return &Handler{
		core:    core,
		single:  stage.Require("rotate", newHandler(f)),
		batched: stage.Require("rotate", newHandler(&core.lines)),
	}
}

// File returns the file that h writes to.
func (h *Handler) File() *File { return h.core.file }

// Enabled reports whether what newHandler made is enabled.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.single.Enabled(ctx, level)
}

// Handle writes the record. Errors are those of File.Write and of what
// newHandler made; a panic there is a [*slogworks.PanicError].
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	err := stage.Handle(ctx, h.single, r)
	if err != nil && !isCounted(err) {
		h.core.file.failed()
	}
	return err
}

// isCounted reports whether the error came from the File, which has counted the
// record.
func isCounted(err error) bool {
	var loss lossError
	return errors.Is(err, ErrClosed) || errors.As(err, &loss)
}

// HandleBatch writes all records in one write to each file they go to: where a
// rotation is due in their midst, the file gets those that fit. The error is a
// [*slogworks.DeliveryError] that says how many records are written: fewer than
// all if a write fails. A record that cannot be encoded is left out and counted
// as dropped, and the error says why; as it must not be tried again, it counts
// as accepted there.
func (h *Handler) HandleBatch(_ context.Context, b slogworks.Batch) error {
	c := h.core
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines, c.ends = c.lines[:0], c.ends[:0]
	var errs []error
	for _, item := range b.Items {
		before := len(c.lines)
		if err := stage.Offer(item.Context, h.batched, item.Record.Clone()); err != nil {
			c.lines = c.lines[:before]
			c.file.failed()
			errs = append(errs, err)
		}
		c.ends = append(c.ends, len(c.lines))
	}
	done, err := c.file.putAll(c.lines, c.ends)
	if cap(c.lines) > maxKept {
		c.lines = nil
	}
	if err == nil && errs == nil {
		return nil
	}
	return &slogworks.DeliveryError{
		Accepted:  done,
		Permanent: err == nil || errors.Is(err, ErrClosed),
		Err:       errors.Join(append(errs, err)...),
	}
}

// maxKept is how large a buffer may be that is kept for the next batch.
const maxKept = 1 << 20

func (f *File) putAll(p []byte, ends []int) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.put(p, ends)
}

// WithAttrs returns a handler that adds the attributes to its records.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &Handler{h.core, h.single.WithAttrs(slices.Clone(attrs)), h.batched.WithAttrs(slices.Clone(attrs))}
}

// WithGroup returns a handler that puts what follows into a group.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &Handler{h.core, h.single.WithGroup(name), h.batched.WithGroup(name)}
}

// Unwrap returns what newHandler made.
func (h *Handler) Unwrap() slog.Handler { return h.single }

// Flush is that of the [File].
func (h *Handler) Flush(ctx context.Context) error { return h.core.file.Flush(ctx) }

// Shutdown is that of the [File].
func (h *Handler) Shutdown(ctx context.Context) error { return h.core.file.Shutdown(ctx) }

// Close is that of the [File].
func (h *Handler) Close() error { return h.core.file.Close() }

// Account says what became of the records that were written to the [File].
func (h *Handler) Account() slogworks.Account { return h.core.file.account() }

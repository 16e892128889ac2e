package fingerscrossed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// LazyHandler opens a handler when there is a record for it. It is safe for
// concurrent use; derived handlers share what is opened. It holds nothing back:
// a record that comes while the handler is being opened waits in Handle, which
// otherwise blocks as long as that handler does.
type LazyHandler struct {
	core *lazy
	with *chain.Node
}

var _ slogworks.BatchHandler = (*LazyHandler)(nil)

// Lazy returns a handler that calls open for the first record of level min or
// above, and hands that and all later ones to the handler that open returns: a
// file that is created only if something is written to it. A nil min is
// slog.LevelInfo. The Closer, which may be nil, is closed by Shutdown.
//
// If open returns an error, the record is lost and Handle returns the error, as
// it does for all records of the next second; after that, open is called again.
// What open logs to the handler that it opens is refused in the same way. Lazy
// panics if open is nil.
func Lazy(min slog.Leveler, open func() (slog.Handler, io.Closer, error)) *LazyHandler {
	if open == nil {
		panic("fingerscrossed: nil open function")
	}
	return &LazyHandler{core: &lazy{
		min:  stage.Level("fingerscrossed", min, slog.LevelInfo),
		open: open,
	}}
}

// retryAfter is how long after a failure open is called again.
const retryAfter = time.Second

// lazy is what derived handlers share.
type lazy struct {
	min  slog.Leveler
	open func() (slog.Handler, io.Closer, error)

	opened atomic.Pointer[chain.Target] // set under mu
	closed atomic.Bool                  // set under mu

	delivered, failed, refused atomic.Uint64 // records

	opening  sync.Mutex // held while open runs, before mu
	failure  error      // of open
	failedAt time.Time

	mu     sync.Mutex
	closer io.Closer
}

// target returns what is open, and opens it if need be.
func (l *lazy) target() (*chain.Target, error) {
	if to := l.opened.Load(); to != nil {
		return to, nil
	}
	if !l.opening.TryLock() {
		if isOnStack((*lazy).openNow) {
			return nil, errors.New("fingerscrossed: open logs to the handler that it opens")
		}
		l.opening.Lock()
	}
	defer l.opening.Unlock()
	if to := l.opened.Load(); to != nil {
		return to, nil
	}
	if l.closed.Load() {
		return nil, ErrClosed
	}
	if l.failure != nil && time.Since(l.failedAt) < retryAfter {
		return nil, l.failure
	}
	to, err := l.openNow()
	if err != nil && !l.closed.Load() {
		l.failure, l.failedAt = fmt.Errorf("fingerscrossed: open: %w", err), time.Now()
		return nil, l.failure
	}
	return to, err
}

// openNow calls open. It does not return before open does, so that isOnStack
// finds it.
//
//go:noinline
func (l *lazy) openNow() (*chain.Target, error) {
	h, closer, err := callOpen(l.open)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() {
		return nil, join(ErrClosed, closeIt(closer))
	}
	to := &chain.Target{Handler: h}
	l.closer = closer
	l.opened.Store(to)
	return to, nil
}

// callOpen calls open; a panic comes back as an error, and so does a handler
// that is none.
func callOpen(open func() (slog.Handler, io.Closer, error)) (h slog.Handler, closer io.Closer, err error) {
	defer stage.Rescue(&err)
	h, closer, err = open()
	if err == nil && h == nil {
		err = join(errors.New("nil Handler"), closeIt(closer))
	}
	return h, closer, err
}

// refuse counts n records that were not taken because of err.
func (l *lazy) refuse(err error, n int) error {
	if errors.Is(err, ErrClosed) {
		l.refused.Add(uint64(n))
	} else {
		l.failed.Add(uint64(n))
	}
	return err
}

// Enabled reports whether the level is at least min and, once there is one, the
// opened handler is enabled. It opens nothing.
func (h *LazyHandler) Enabled(ctx context.Context, level slog.Level) bool {
	if level < h.core.min.Level() {
		return false
	}
	to := h.core.opened.Load()
	return to == nil || h.with.Handler(to).Enabled(ctx, level)
}

// Handle hands the record to the opened handler, which it opens before if need
// be.
func (h *LazyHandler) Handle(ctx context.Context, r slog.Record) error {
	l := h.core
	if l.closed.Load() {
		return l.refuse(ErrClosed, 1)
	}
	if r.Level < l.min.Level() {
		return nil
	}
	to, err := l.target()
	if err != nil {
		return l.refuse(err, 1)
	}
	next := h.with.Handler(to)
	if !next.Enabled(ctx, r.Level) {
		return nil
	}
	if err := next.Handle(ctx, r); err != nil {
		return l.refuse(err, 1)
	}
	l.delivered.Add(1)
	return nil
}

// HandleBatch hands on the part of b that is of level min or above, as one batch
// if the opened handler takes batches.
func (h *LazyHandler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	l := h.core
	if l.closed.Load() {
		return l.refuse(ErrClosed, len(b.Items))
	}
	min := l.min.Level()
	part := stage.Filter(b, func(_ int, item slogworks.Item) bool { return item.Record.Level >= min })
	n := len(part.Items)
	if n == 0 {
		return nil
	}
	to, err := l.target()
	if err != nil {
		return l.refuse(err, n)
	}
	err = stage.HandleBatch(ctx, to.Handler, part.Batch)
	accepted := stage.Accepted(err, n)
	if err != nil {
		_ = l.refuse(err, n-accepted)
	}
	l.delivered.Add(uint64(accepted))
	return part.InWhole(err, len(b.Items))
}

// takesBatches reports whether the opened handler, which is to get a record of
// the level, takes batches: one that does not would not see how many records a
// batch has lost.
func (h *LazyHandler) takesBatches(level slog.Level) bool {
	if level < h.core.min.Level() {
		return true // it is not to be opened for that one
	}
	to, err := h.core.target()
	if err != nil {
		return true
	}
	_, ok := to.Handler.(slogworks.BatchHandler)
	return ok
}

// WithAttrs returns a handler that adds the attributes, frozen, to its records.
func (h *LazyHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &LazyHandler{h.core, h.with.WithAttrs(attrs)}
}

// WithGroup returns a handler that puts what follows into a group.
func (h *LazyHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &LazyHandler{h.core, h.with.WithGroup(name)}
}

// Unwrap returns the opened handler, nil if there is none.
func (h *LazyHandler) Unwrap() slog.Handler {
	if to := h.core.opened.Load(); to != nil {
		return to.Handler
	}
	return nil
}

// Flush does nothing, since nothing is held; [slogworks.Flush] reaches the
// opened handler.
func (h *LazyHandler) Flush(context.Context) error { return nil }

// Shutdown refuses further records, shuts down the opened handler and all that
// is behind it, and closes the Closer. It opens nothing. It may be called again.
func (h *LazyHandler) Shutdown(ctx context.Context) error {
	l := h.core
	l.mu.Lock()
	l.closed.Store(true)
	to, closer := l.opened.Load(), l.closer
	l.closer = nil
	l.mu.Unlock()
	var err error
	if to != nil {
		// A queue behind this needs what the Closer closes.
		err = slogworks.Shutdown(ctx, to.Handler)
	}
	return join(err, wrap(closeIt(closer)))
}

// Close is Shutdown with 5 seconds of time.
func (h *LazyHandler) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return h.Shutdown(ctx)
}

// Account gives the counts as part of [slogworks.Books].
func (h *LazyHandler) Account() slogworks.Account {
	l := h.core
	delivered, failed, refused := l.delivered.Load(), l.failed.Load(), l.refused.Load()
	return slogworks.Account{
		Stage:     "fingerscrossed.Lazy",
		Accepted:  delivered + failed + refused,
		Delivered: delivered,
		Dropped:   map[string]uint64{"failed": failed, "closed": refused},
	}
}

package fanout

import (
	"context"
	"errors"
	"log/slog"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// ErrorHandler reports the errors of a handler, and returns them too. It is
// safe for concurrent use if the handler and the report function are.
type ErrorHandler struct {
	child  *guard
	report func(ctx context.Context, v slogworks.View, err error)
	with   stage.Steps
}

var _ slogworks.BatchHandler = (*ErrorHandler)(nil)

// OnError returns a handler that passes every record on to h and calls report
// with each error that h returns, because slog.Logger ignores them. A panic in
// h becomes an error as in [Handler].
//
// The report function runs on the goroutine that logs, several at a time
// perhaps; it must not log to the pipeline it watches, and what it panics with
// is returned with the error. It gets the context and the record as h was to
// see them; where a batch failed it is called once, with the first item that
// was not delivered.
//
// OnError panics if h or report is nil, or if h is slog's own default handler.
func OnError(h slog.Handler, report func(ctx context.Context, v slogworks.View, err error)) *ErrorHandler {
	if report == nil {
		panic("fanout: nil report function")
	}
	return &ErrorHandler{child: &guard{stage.Require("fanout", h)}, report: report}
}

// Enabled reports whether the handler is enabled.
func (h *ErrorHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.child.enabled(ctx, level)
}

// Handle passes the record on and returns the error it has reported.
func (h *ErrorHandler) Handle(ctx context.Context, r slog.Record) error {
	if err := stage.Offer(ctx, h.child.next, r); err != nil {
		return h.reported(ctx, r, err)
	}
	return nil
}

// HandleBatch passes on the part of b that the handler is enabled for. It
// returns what the handler returns, a [*slogworks.DeliveryError] with Accepted
// counting the items of b.
func (h *ErrorHandler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	part := stage.Filter(b, func(_ int, item slogworks.Item) bool {
		return h.child.enabled(item.Context, item.Record.Level)
	})
	if len(part.Items) == 0 {
		return nil
	}
	err := stage.HandleBatch(ctx, h.child.next, part.Batch)
	if err == nil {
		return nil
	}
	first := part.Items[min(stage.Accepted(err, len(part.Items)), len(part.Items)-1)]
	return h.reported(first.Context, first.Record, part.InWhole(err, len(b.Items)))
}

// reported reports err and returns it, as it is unless report panics.
func (h *ErrorHandler) reported(ctx context.Context, r slog.Record, err error) error {
	panicked := func() (err2 error) {
		defer stage.Rescue(&err2)
		h.report(ctx, h.with.View(r), err)
		return nil
	}()
	if panicked == nil {
		return err
	}
	if delivery, ok := err.(*slogworks.DeliveryError); ok && delivery != nil {
		// Whoever tries again must still learn what was delivered.
		whole := *delivery
		if cause, alone := stage.FailedAlone(err); alone {
			whole.Err = &stage.Alone{Err: errors.Join(cause, panicked)}
		} else {
			whole.Err = errors.Join(delivery.Err, panicked)
		}
		return &whole
	}
	return errors.Join(err, panicked)
}

// WithAttrs returns a handler whose next handler has the attributes added.
func (h *ErrorHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &ErrorHandler{h.child.withAttrs(attrs), h.report, h.with.WithAttrs(attrs)}
}

// WithGroup returns a handler whose next handler has the group opened.
func (h *ErrorHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &ErrorHandler{h.child.withGroup(name), h.report, h.with.WithGroup(name)}
}

// Unwrap returns the handler.
func (h *ErrorHandler) Unwrap() slog.Handler { return h.child.next }

package fanout

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// FailoverHandler gives each record to its handlers in order until one of them
// returns nil. It is safe for concurrent use if they are. It helps only over
// handlers that return their errors when they are called: a queue that has room
// has taken the record, whatever happens behind it.
type FailoverHandler struct{ children []*guard }

var _ slogworks.BatchHandler = (*FailoverHandler)(nil)

// Failover returns a handler that gives each record to the first of handlers
// that is enabled for it and takes it without an error or a panic. If none
// does, it returns the errors of all. Without handlers it discards every
// record. It panics if one of them is nil or is slog's own default handler.
func Failover(handlers ...slog.Handler) *FailoverHandler {
	return &FailoverHandler{guardAll(handlers)}
}

// Enabled reports whether at least one handler is enabled.
func (h *FailoverHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return anyEnabled(h.children, ctx, level)
}

// Handle calls the handlers that are enabled for the record until one returns
// nil.
func (h *FailoverHandler) Handle(ctx context.Context, r slog.Record) error {
	var errs []error
	for _, child := range h.children {
		handed, err := child.offer(ctx, &r)
		if handed && err == nil {
			return nil
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// HandleBatch gives b to the first handler, and what that one did not accept to
// the next. If something is left over it returns a [*slogworks.DeliveryError]
// of its own. Accepted counts the items of b before the first one that was
// offered and that nobody took; Uncertain is set too if a later one was taken.
// It is Permanent if all handlers that were asked say so; After is the shortest
// wait of those that do not.
func (h *FailoverHandler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	var (
		errs   []error
		waits  []time.Duration // of the children that may be tried again
		total  slogworks.DeliveryError
		taken  = make([]bool, len(b.Items))
		missed = make([]bool, len(b.Items))
	)
	for _, child := range h.children {
		part := stage.Filter(b, func(i int, item slogworks.Item) bool {
			return !taken[i] && child.enabled(item.Context, item.Record.Level)
		})
		if len(part.Items) == 0 {
			continue
		}
		err := stage.HandleBatch(ctx, child.next, part.Batch)
		if err != nil {
			errs = append(errs, opaque(err))
			one := stage.DeliveryOf(err)
			b.Done = slices.Concat(b.Done, one.Done)
			total.Done = append(total.Done, one.Done...)
			total.Uncertain = total.Uncertain || one.Uncertain
			if !one.Permanent {
				waits = append(waits, one.After)
			}
		}
		first := stage.Accepted(err, len(part.Items))
		for n := range part.Items {
			i := part.Origin(n)
			taken[i], missed[i] = n < first, n >= first
		}
	}
	total.Accepted = slices.Index(missed, true)
	if total.Accepted < 0 {
		return nil
	}
	if slices.Contains(taken[total.Accepted:], true) {
		total.Uncertain = true
	}
	if total.Permanent = len(waits) == 0; !total.Permanent {
		total.After = slices.Min(waits)
	}
	total.Err = errors.Join(errs...)
	return &total
}

// WithAttrs returns a handler whose children have the attributes added, each a
// copy of its own.
func (h *FailoverHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &FailoverHandler{withAttrs(h.children, attrs)}
}

// WithGroup returns a handler whose children have the group opened.
func (h *FailoverHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &FailoverHandler{withGroup(h.children, name)}
}

// Unwrap returns the handlers.
func (h *FailoverHandler) Unwrap() []slog.Handler { return unwrap(h.children) }

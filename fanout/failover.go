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
// nil. If none does and one of them returned a [*slogworks.DeliveryError], it
// returns one of its own as HandleBatch does, so that a queue in front knows
// whether and when to try again.
func (h *FailoverHandler) Handle(ctx context.Context, r slog.Record) error {
	var met refusals
	for _, child := range h.children {
		handed, err := child.offer(ctx, &r)
		switch {
		case handed && stage.Accepted(err, 1) == 1:
			return nil
		case err != nil:
			met.add(err, true)
		}
	}
	if !met.delivery {
		return errors.Join(met.errs...)
	}
	return met.inAll(0)
}

// HandleBatch gives b to the first handler, and what that one did not accept to
// the next. If something is left over it returns a [*slogworks.DeliveryError]
// of its own. Accepted counts the items of b before the first one that was
// offered and that nobody took; Uncertain is set too if a later one was taken.
// It is Permanent if all handlers that were asked say so, or panicked, or take
// no batches and returned another error; After is the shortest wait of the rest.
func (h *FailoverHandler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	var (
		met    refusals
		alone  []int // the items that failed alone
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
		first := stage.Accepted(err, len(part.Items))
		if cause, ok := stage.FailedAlone(err); ok {
			alone = append(alone, part.Origin(first))
			met.add(cause, true)
		} else if err != nil {
			met.add(err, stage.IsPanic(err))
		}
		if err != nil {
			b.Done = slices.Concat(b.Done, stage.DeliveryOf(err).Done)
		}
		for n := range part.Items {
			i := part.Origin(n)
			taken[i], missed[i] = n < first, n >= first
		}
	}
	accepted := slices.Index(missed, true)
	if accepted < 0 {
		return nil
	}
	for _, i := range alone {
		if i < accepted {
			met.waits = append(met.waits, 0) // that handler has not seen it yet
		} else {
			met.alone = true // nor what is behind i, and the one that is left is not for it
		}
	}
	total := met.inAll(accepted)
	if slices.Contains(taken[accepted:], true) {
		total.Uncertain = true
	}
	return total
}

// refusals are the errors of the handlers that did not take a record or batch.
type refusals struct {
	errs      []error
	delivery  bool            // one of them is a DeliveryError
	alone     bool            // one of them is about one item, and not about those behind it
	waits     []time.Duration // of the handlers that may be tried again
	done      []string
	uncertain bool
}

// add takes note of an error, of which final says whether trying again is out
// of the question unless it is a DeliveryError.
func (r *refusals) add(err error, final bool) {
	r.errs = append(r.errs, opaque(err))
	one, ok := err.(*slogworks.DeliveryError)
	if ok = ok && one != nil; !ok {
		one = &slogworks.DeliveryError{Permanent: final}
	}
	r.delivery = r.delivery || ok
	r.done = append(r.done, one.Done...)
	r.uncertain = r.uncertain || one.Uncertain
	if !one.Permanent {
		r.waits = append(r.waits, one.After)
	}
}

// inAll is what the refusals come to where so many items were accepted.
func (r *refusals) inAll(accepted int) *slogworks.DeliveryError {
	all := &slogworks.DeliveryError{Accepted: accepted, Done: r.done, Uncertain: r.uncertain, Err: errors.Join(r.errs...)}
	if len(r.waits) > 0 {
		all.After = slices.Min(r.waits)
		return all
	}
	all.Permanent = true
	if r.alone {
		// The items behind it may find a handler yet.
		all.Err = &stage.Alone{Err: all.Err}
	}
	return all
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

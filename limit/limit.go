// Package limit keeps storms and repeats out of a log: of each kind of record,
// the first few in a window of time pass, and one record then tells how many
// more there were.
//
// Use it in front of what a storm would fill or cost money: a disk, a network
// sink, somebody's mailbox. Put it in front of a queue or a buffer and not
// behind, since what these try again would count again; and below
// fingerscrossed, fingerscrossed.New(limit.New(sink, nil), nil), so that an
// escalation keeps all that led up to it. To see less of a level, raise the
// level in slog.HandlerOptions instead.
//
// Three rules can drop a record, in this order:
//
//   - Sample thins out levels: of each so many records, one passes.
//   - First and Window: of each kind, which is level, source and message, the
//     first so many in a window pass.
//   - Rate bounds all records together.
//
// Everything dropped is counted and told in the log. For each kind, a summary
// comes when the window ends, even if nothing follows:
//
//	level=ERROR msg="disk full" disk=3
//	level=ERROR msg="disk full (57 more)" limit.count=57 limit.first=… limit.last=…
//
// for Sample and Rate, one record at Warn, "slogworks: records dropped".
//
// A record that is dropped costs a lock and a map look-up, about half of writing
// it as JSON with what slog.Logger does before, and allocates nothing; nor does
// one that passes, unless it is the first of its kind. At most 10,000 kinds are
// remembered, each by 1 KiB of its message at most; messages that begin alike
// for longer are of one kind. There is no goroutine but for the time that
// summaries take: a timer runs while there is something to tell. Handle blocks
// as long as the next handler.
//
// What is lost besides: os.Exit, a panic that ends the program and SIGKILL lose
// the summaries of the last window, and with them the numbers.
//
// The smallest program:
//
//	h := limit.New(slog.NewJSONHandler(os.Stderr, nil), nil)
//	defer h.Close()
//	slog.New(h).Error("said a hundred times a minute at most")
package limit

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// ErrClosed is what Handle returns after Shutdown or Close.
var ErrClosed = errors.New("limit: closed")

// Options are options for a [Handler]. A zero Options consists entirely of
// default values.
type Options struct {
	// First is how many records of a kind pass in a window. Default 100; below
	// 0: all, so that only Sample and Rate drop records.
	First int

	// Window is how long a window lasts; it begins with the first record after
	// the end of the last one, and is the same for all kinds. Default 1m.
	Window time.Duration

	// Kind names the kind of a record, instead of its level, source and
	// message. Records of the kind "" are not limited by First. It is called
	// on the goroutine that logs, on several at once perhaps, and must not log.
	// If it panics the record is of no kind and OnError is told. Default nil.
	Kind func(ctx context.Context, v slogworks.View) string

	// MaxKinds is how many kinds are remembered in a window. When there is one
	// too many, the oldest of those of which nothing was dropped is forgotten; if
	// there are none of these, the oldest of all, whose summary comes at once.
	// Default 10000.
	MaxKinds int

	// Rate bounds all records: N of them at once, and then N in each Per,
	// evenly. Default none, also if N or Per is not above 0.
	Rate slogworks.Rate

	// Sample thins out records by their level; the first entry that a record is
	// below decides. Default nil: none.
	Sample []Sample

	// OnError is called with the errors of the next handler for summaries, whose
	// numbers the log then lacks, and with panics of Kind, as
	// [*slogworks.PanicError]. It may be called by several goroutines at once,
	// and must not log to the handler. A panic in it is ignored. Default nil.
	OnError func(error)
}

// Sample lets one of each Every records pass that are below a level: of each
// Every in a row exactly one, which of them is random. Records that an earlier
// Sample is about do not count.
type Sample struct {
	Below slog.Leveler // read for every record; nil is slog.LevelInfo
	Every int          // 1 or less: all pass
}

// Handler passes on a bounded number of records of each kind. It is safe for
// concurrent use if the next handler is. Records that pass go on at once and
// keep their order. Derived handlers share what is counted.
//
// A summary has the level, the source and the message of the records that it
// stands for, of which it counts no record that passed; of a kind that
// Options.Kind has named, the highest level, and source and message of the
// first. Its attributes stand in the group "limit": count is how many were
// dropped, first and last are the times of the first and the last of these. It
// goes to the next handler by the nearest handler from which all those that
// logged the records were derived, and so has the attributes of With, and the
// group, that all of them had; it has no values of a context.
//
// A batch of Kind Stream is handled record by record, and what passes goes on
// as one batch. An Escalation or a Digest has been decided on already: it
// passes whole, and counts towards nothing.
type Handler struct {
	core   *core
	next   slog.Handler
	parent *Handler // nil in the handler as it was built
	depth  int      // how many parents there are
	with   []slogworks.GroupOrAttrs
}

var _ slogworks.BatchHandler = (*Handler)(nil)

// New returns a handler that passes on to next what opts let pass. It panics if
// next is nil or is slog's own default handler.
func New(next slog.Handler, opts *Options) *Handler {
	h := &Handler{core: newCore(opts), next: stage.Require("limit", next)}
	h.core.root = h
	return h
}

// Enabled reports whether the next handler is enabled. What a record counts
// towards is decided in Handle.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle passes the record on, and returns what the next handler returns, or
// drops and counts it, and returns nil. After Shutdown it returns [ErrClosed]
// and counts the record. A record that the next handler is not enabled for is
// ignored. The end of ctx changes nothing.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	if pass, err := h.decide(ctx, &r); !pass {
		return err
	}
	return h.next.Handle(ctx, r)
}

// decide reports whether the record passes; the error is for the caller.
func (h *Handler) decide(ctx context.Context, r *slog.Record) (pass bool, err error) {
	c := h.core
	id, limited := h.kindOf(ctx, r)
	pass, evicted, err := c.admit(h, r, id, limited, c.samplerOf(r.Level))
	if evicted != nil {
		c.tell(evicted)
	}
	return pass, err
}

// kindOf returns the kind of the record, if it is limited by its kind.
func (h *Handler) kindOf(ctx context.Context, r *slog.Record) (id kindID, limited bool) {
	c := h.core
	switch {
	case c.First < 0:
		return kindID{}, false
	case c.Kind == nil:
		return kindID{level: r.Level, pc: r.PC, text: cut(r.Message)}, true
	}
	if ctx == nil {
		ctx = context.Background()
	}
	name := c.callKind(ctx, slogworks.NewView(*r, h.with...))
	return kindID{text: cut(name)}, name != ""
}

// HandleBatch passes on the items of a Stream that pass, as one batch, and any
// other batch whole. It returns what the next handler returns, a
// [*slogworks.DeliveryError] with Accepted counting the items of b, and after
// Shutdown [ErrClosed].
func (h *Handler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	if b.Kind != slogworks.Stream {
		if err := h.core.pass(len(b.Items)); err != nil {
			return err
		}
		return stage.HandleBatch(ctx, h.next, b)
	}
	var refused error
	part := stage.Filter(b, func(_ int, item slogworks.Item) bool {
		if !h.next.Enabled(item.Context, item.Record.Level) {
			return false
		}
		pass, err := h.decide(item.Context, &item.Record)
		if err != nil {
			refused = err
		}
		return pass
	})
	if len(part.Items) == 0 {
		return refused
	}
	return part.InWhole(stage.HandleBatch(ctx, h.next, part.Batch), len(b.Items))
}

// WithAttrs returns a handler whose next handler has the attributes added.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return h.derive(h.next.WithAttrs(slices.Clone(attrs)), slogworks.GroupOrAttrs{Attrs: slices.Clone(attrs)})
}

// WithGroup returns a handler whose next handler has the group opened.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.derive(h.next.WithGroup(name), slogworks.GroupOrAttrs{Group: name})
}

func (h *Handler) derive(next slog.Handler, step slogworks.GroupOrAttrs) *Handler {
	derived := &Handler{core: h.core, next: next, parent: h, depth: h.depth + 1}
	if h.core.Kind != nil {
		derived.with = append(slices.Clip(h.with), step)
	}
	return derived
}

// nearest returns the nearest handler from which both were derived.
func nearest(a, b *Handler) *Handler {
	for a != b {
		if a.depth >= b.depth {
			a = a.parent
		} else {
			b = b.parent
		}
	}
	return a
}

// Unwrap returns the next handler.
func (h *Handler) Unwrap() slog.Handler { return h.next }

// Flush writes the summaries of what was dropped so far, and waits until those
// that others are writing at the time are written. The window goes on, so that
// what is dropped after it has a summary of its own. If ctx ends first the error
// says how many were not written yet. Called by the next handler from within a
// summary, it waits for itself until ctx ends.
func (h *Handler) Flush(ctx context.Context) error { return h.core.flush(ctx) }

// Shutdown refuses further records, writes the summaries that are due, and
// stops the timer. If ctx ends first it cancels the context of the summary that
// is being written, gives up the others, and returns an error that wraps
// ctx.Err() and says how many were not written; Stats has the numbers all the
// same.
func (h *Handler) Shutdown(ctx context.Context) error { return h.core.shutdown(ctx) }

// closeTimeout is the time that Close gives to Shutdown.
const closeTimeout = 5 * time.Second

// Close is Shutdown with 5 seconds of time.
func (h *Handler) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return h.Shutdown(ctx)
}

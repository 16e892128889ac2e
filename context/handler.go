package slogctx

import (
	"context"
	"log/slog"
	"slices"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// Options are for [New]. The zero Options add what [With] and [Process] put
// into the context.
type Options struct {
	// Extract are asked, in this order, for the attributes that a context
	// carries in ways of its own, such as a trace id. What they return stands
	// after the attributes of With; it may be nil, and is not changed. They run
	// for each record that is wanted, on the goroutine that logs, on several at
	// once perhaps, and must not log. The ctx is never nil. One that panics adds
	// nothing but the attribute "!PANIC", as in [Process].
	Extract []func(ctx context.Context) []slog.Attr

	// InGroup puts the attributes into the group that the logger has open,
	// where the record's own are, instead of outside all groups.
	InGroup bool
}

// Handler adds to each record what its context carries: attributes and
// processors. It is safe for concurrent use if its next handler is.
//
// The attributes stand outside all groups, because a request's id is the same
// thing whatever group a logger has open. Under WithGroup that takes handing on
// the record as next would have had it without the group, with the group as an
// attribute, which slog's handlers print alike. The attributes that the logger
// was given in the group are formatted anew for each such record, and what a
// pointer among them leads to is read then.
//
// One Handler in a pipeline is enough, and its place is outside: behind a stage
// that keeps records it adds to them only when they are let go. Two in one
// pipeline add everything twice, except that processors run once.
type Handler struct {
	next    slog.Handler
	root    slog.Handler // next without the groups in under and what is in them
	under   stage.Steps  // since the first group; empty if it is all the same
	extract []func(ctx context.Context) []slog.Attr
	inGroup bool
}

var _ slogworks.BatchHandler = (*Handler)(nil)

// New returns a handler that adds to each record what its context carries, and
// passes it on to next. It panics if next or one of the functions is nil, or if
// next is slog's own default handler.
func New(next slog.Handler, opts *Options) *Handler {
	var o Options
	if opts != nil {
		o = *opts
	}
	for _, f := range o.Extract {
		if f == nil {
			panic("slogctx: nil function in Options.Extract")
		}
	}
	stage.Require("slogctx", next)
	return &Handler{next: next, root: next, extract: slices.Clone(o.Extract), inGroup: o.InGroup}
}

// Enabled reports whether next is enabled.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(known(ctx), level)
}

// Handle passes the record on, with what ctx carries, and returns what next
// returns.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	ctx = known(ctx)
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	c := scopeOf(ctx)
	if c == nil {
		if len(h.extract) == 0 {
			return h.next.Handle(ctx, r)
		}
		c = nothing
	}
	return h.inject(ctx, c, &r)
}

// inject hands on r with what its context carries.
func (h *Handler) inject(ctx context.Context, c *scope, r *slog.Record) error {
	if len(c.processors) > 0 {
		ctx, *r = c.process(ctx, *r)
	}
	whole := *c.attrs
	n := c.n
	if len(h.extract) > 0 {
		h.addExtracted(&whole, ctx)
		n = whole.NumAttrs() // which copies the record
	}
	if n == 0 {
		return h.next.Handle(ctx, *r)
	}
	join(&whole, r, h.under)
	return h.root.Handle(ctx, whole)
}

func (h *Handler) addExtracted(r *slog.Record, ctx context.Context) {
	for _, f := range h.extract {
		attrs, err := ask(ctx, f)
		if err != nil {
			attrs = []slog.Attr{panicAttr("function in Options.Extract", err)}
		}
		r.AddAttrs(attrs...)
	}
}

func ask(ctx context.Context, f func(context.Context) []slog.Attr) (attrs []slog.Attr, err error) {
	defer stage.Rescue(&err)
	return f(ctx), nil
}

// join makes whole, which has the attributes of a context and nothing else, r
// together with these. What r has stands in the groups of under. It comes last,
// for readers take the last of two attributes that have one key, and who logs
// knows best.
func join(whole, r *slog.Record, under stage.Steps) {
	whole.Time, whole.Level, whole.Message, whole.PC = r.Time, r.Level, r.Message, r.PC
	if len(under) > 0 {
		whole.AddAttrs(group(under, r))
	} else {
		addAttrs(whole, r)
	}
}

// addAttrs adds the attributes of r to whole, several at a time because slog
// allocates for each call.
func addAttrs(whole, r *slog.Record) {
	var some [8]slog.Attr
	n := 0
	r.Attrs(func(a slog.Attr) bool {
		if n == len(some) {
			whole.AddAttrs(some[:]...)
			n = 0
		}
		some[n] = a
		n++
		return true
	})
	whole.AddAttrs(some[:n]...)
}

// WithAttrs returns a handler whose next handler has the attributes added.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	derived := *h
	derived.next = h.next.WithAttrs(slices.Clone(attrs))
	if len(h.under) == 0 {
		derived.root = derived.next
	} else {
		derived.under = h.under.WithAttrs(attrs)
	}
	return &derived
}

// WithGroup returns a handler whose next handler has the group opened.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	derived := *h
	derived.next = h.next.WithGroup(name)
	if h.inGroup {
		derived.root = derived.next
	} else {
		derived.under = h.under.WithGroup(name)
	}
	return &derived
}

// Unwrap returns the next handler.
func (h *Handler) Unwrap() slog.Handler { return h.next }

package slogctx

import (
	"context"
	"errors"
	"log/slog"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// destination is a handler that may get a record, derived as the Stack is.
type destination struct {
	*binding
	handler slog.Handler
}

// wants reports whether d is open to a record of that level, before any
// predicate is asked. A blackhole is open to all that its level lets in.
func (d *destination) wants(ctx context.Context, level slog.Level) bool {
	if d.level != nil && level < d.level.Level() {
		return false
	}
	return d.blackhole || d.handler.Enabled(ctx, level)
}

// isSieve reports whether d swallows some records and lets others go on, which
// is what a blackhole with a predicate does.
func (d *destination) isSieve() bool { return d.blackhole && d.when != nil }

func (d *destination) accepts(ctx context.Context, with stage.Steps, r *slog.Record) (ok bool, err error) {
	defer stage.Rescue(&err)
	return d.when(ctx, slogworks.NewView(*r, with...)), nil
}

// first returns the first destination, sieves apart, that wants a record of that
// level, and whether there is a sieve in front of it that does. The zero
// destination is none.
func (s *Stack) first(ctx context.Context, c *scope, level slog.Level) (d destination, sieved bool) {
	if c != nil {
		for b := c.bindings; b != nil; b = b.outer {
			d := destination{b, b.handlerFor(s)}
			if d.wants(ctx, level) {
				if !d.isSieve() {
					return d, sieved
				}
				sieved = true
			}
		}
	}
	pushed := s.pushed()
	for i := range pushed {
		if d := &pushed[i]; d.wants(ctx, level) {
			if !d.isSieve() {
				return *d, sieved
			}
			sieved = true
		}
	}
	if s.base.wants(ctx, level) {
		return s.base, sieved
	}
	return destination{}, sieved
}

// Enabled reports whether there is a handler that is enabled, before any
// [Blackhole] without a When. Predicates, which need the record, are not asked.
func (s *Stack) Enabled(ctx context.Context, level slog.Level) bool {
	ctx = known(ctx)
	d, _ := s.first(ctx, scopeOf(ctx), level)
	return d.binding != nil && !d.blackhole
}

// Handle passes the record on to the handlers that are to have it.
func (s *Stack) Handle(ctx context.Context, r slog.Record) error {
	ctx = known(ctx)
	c := scopeOf(ctx)
	d, sieved := s.first(ctx, c, r.Level)
	switch {
	case d.binding == nil || d.blackhole:
		return nil
	case sieved || d.bubble || d.when != nil || c != nil && len(c.processors) > 0:
		return s.dispatch(ctx, c, &r)
	}
	// One handler and nothing to be asked about the record: what nearly all
	// records come to does without the cost of the rest.
	return d.handler.Handle(ctx, r)
}

// dispatch is apart so that the other records do without its room on the stack.
//
//go:noinline
func (s *Stack) dispatch(ctx context.Context, c *scope, r *slog.Record) error {
	v := visit{stack: s, ctx: ctx, scope: c, level: r.Level}
	v.walk(r)
	return v.err
}

// visit is the way of one record through a Stack.
type visit struct {
	stack *Stack
	ctx   context.Context
	scope *scope     // that of ctx at the start; may be nil
	level slog.Level // at the start

	// gather, if it is not nil, gets the destinations of the record instead of
	// these getting the record.
	gather func(d destination)

	processed bool
	handed    bool // to one handler at least
	err       error
}

// walk offers r to one destination after the other.
func (v *visit) walk(r *slog.Record) {
	if v.scope != nil {
		for b := v.scope.bindings; b != nil; b = b.outer {
			d := destination{b, b.handlerFor(v.stack)}
			if v.offer(&d, r) {
				return
			}
		}
	}
	pushed := v.stack.pushed()
	for i := range pushed {
		if v.offer(&pushed[i], r) {
			return
		}
	}
	v.offer(&v.stack.base, r)
}

// offer gives r to d if that is to have it, and reports whether r is to go no
// further. What processors change stays changed for those after d.
func (v *visit) offer(d *destination, r *slog.Record) (ends bool) {
	if !d.wants(v.ctx, v.level) {
		return false
	}
	v.process(r)
	if !v.accepted(d, r) {
		return false
	}
	switch {
	case d.blackhole:
		return true
	case v.gather != nil:
		v.gather(*d)
	default:
		v.hand(d, r)
	}
	return !d.bubble
}

func (v *visit) process(r *slog.Record) {
	if v.processed || v.scope == nil || len(v.scope.processors) == 0 {
		return
	}
	v.processed = true
	v.ctx, *r = v.scope.process(v.ctx, *r)
}

// accepted asks the predicate of d.
func (v *visit) accepted(d *destination, r *slog.Record) bool {
	if d.when == nil {
		return true
	}
	ok, err := d.accepts(v.ctx, v.stack.with, r)
	if err != nil {
		*r = r.Clone()
		r.AddAttrs(panicAttr("Binding.When", err))
	}
	return ok
}

func (v *visit) hand(d *destination, r *slog.Record) {
	var err error
	if d.bubble {
		err = stage.Handle(v.ctx, d.handler, r.Clone())
	} else {
		err = d.handler.Handle(v.ctx, *r)
	}
	if v.handed {
		// Joined, a DeliveryError is none any more: it is about one handler, and
		// whoever tries again would take it to be about all.
		err = errors.Join(v.err, err)
	}
	v.handed, v.err = true, err
}

package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// Route says which records go to a handler. A record matches if its level is
// from Min to Max, both included, and if When accepts it. When sees the
// attributes of With too; what a pointer among them leads to, it sees as it is
// by then.
type Route struct {
	Min  slog.Leveler        // lowest level; nil: no lower bound; read for every record
	Max  slog.Leveler        // highest level; nil: no upper bound; read for every record
	When slogworks.Predicate // nil: every record; not asked outside of the levels
	To   slog.Handler        // must not be nil
}

// RouterHandler gives records to the routes that match them. It is safe for
// concurrent use if the handlers and predicates are. A record that no route
// takes is dropped and counted in [slogworks.Books], as "no route" if no enabled
// one matched, else as "error". A predicate that panics does not match; the
// panic comes back as a [*slogworks.PanicError], and the other routes are asked.
// Isolation, errors and batches are as in [Handler].
type RouterHandler struct {
	routes []route
	with   stage.Steps
	core   *routerCore
}

type route struct {
	min, max slog.Leveler
	when     slogworks.Predicate
	to       *guard
}

// routerCore is what derived handlers share.
type routerCore struct {
	name                      string
	first                     bool
	accepted, noRoute, failed atomic.Uint64
}

var _ slogworks.BatchHandler = (*RouterHandler)(nil)

// Router returns a handler that gives each record to every route that matches
// it, in their order. It panics if a route's handler is nil or is slog's own
// default handler.
func Router(routes ...Route) *RouterHandler {
	return newRouter(&routerCore{name: "fanout.Router"}, routes)
}

// First returns a handler that gives each record to the first route that
// matches it and whose handler is enabled for it, whatever that handler returns.
// A last route that has only a handler is the default. First panics as [Router]
// does.
func First(routes ...Route) *RouterHandler {
	return newRouter(&routerCore{name: "fanout.First", first: true}, routes)
}

func newRouter(core *routerCore, routes []Route) *RouterHandler {
	h := &RouterHandler{core: core, routes: make([]route, len(routes))}
	for i, r := range routes {
		h.routes[i] = route{
			min:  stage.Level("fanout", r.Min, slog.Level(math.MinInt)),
			max:  stage.Level("fanout", r.Max, slog.Level(math.MaxInt)),
			when: r.When,
			to:   &guard{stage.Require("fanout", r.To)},
		}
	}
	return h
}

func (r *route) enabled(ctx context.Context, level slog.Level) bool {
	return r.min.Level() <= level && level <= r.max.Level() && r.to.enabled(ctx, level)
}

// accepts asks the predicate; a panic there is the error.
func (r *route) accepts(ctx context.Context, v slogworks.View) (ok bool, err error) {
	defer stage.Rescue(&err)
	return r.when(ctx, v), nil
}

// Enabled reports whether there is a route whose levels include level and whose
// handler is enabled for it. Predicates, which need the record, are not asked.
func (h *RouterHandler) Enabled(ctx context.Context, level slog.Level) bool {
	for i := range h.routes {
		if h.routes[i].enabled(ctx, level) {
			return true
		}
	}
	return false
}

// Handle calls the handlers of the routes that match the record.
func (h *RouterHandler) Handle(ctx context.Context, r slog.Record) error {
	var errs []error
	delivered := false
	for i := range h.routes {
		handed, err := h.matches(ctx, i, h.with, &r)
		if handed {
			handed, err = h.routes[i].to.offer(ctx, &r)
		}
		if err != nil {
			errs = append(errs, opaque(err))
		} else if handed {
			delivered = true
		}
		if handed && h.core.first {
			break
		}
	}
	h.core.count(delivered, len(errs) > 0)
	return errors.Join(errs...)
}

// HandleBatch gives each route the items that match it as one batch.
func (h *RouterHandler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	var errs []error
	matched := make([]bool, len(b.Items))
	delivered := make([]bool, len(b.Items))
	failed := make([]bool, len(b.Items))
	for i := range h.routes {
		part := stage.Filter(b, func(n int, item slogworks.Item) bool {
			if matched[n] && h.core.first {
				return false
			}
			matches, err := h.matches(item.Context, i, nil, &item.Record)
			if err != nil {
				errs = append(errs, err)
				failed[n] = true
			}
			matched[n] = matched[n] || matches
			return matches
		})
		err := h.routes[i].to.handleBatch(ctx, part.Batch, func(n int) {
			delivered[part.Origin(n)] = true
		})
		if err == nil {
			continue
		}
		errs = append(errs, err)
		for n := range part.Items {
			failed[part.Origin(n)] = true
		}
	}
	for n := range b.Items {
		h.core.count(delivered[n], failed[n])
	}
	return errors.Join(errs...)
}

// matches reports whether route i takes r, which was logged by a handler that
// was derived with the given steps.
func (h *RouterHandler) matches(ctx context.Context, i int, with stage.Steps, r *slog.Record) (bool, error) {
	route := &h.routes[i]
	if !route.enabled(ctx, r.Level) {
		return false, nil
	}
	if route.when == nil {
		return true, nil
	}
	ok, err := route.accepts(ctx, with.View(*r))
	if err != nil {
		return false, fmt.Errorf("fanout: predicate of route %d: %w", i+1, err)
	}
	return ok, nil
}

func (c *routerCore) count(delivered, failed bool) {
	c.accepted.Add(1)
	switch {
	case delivered:
	case failed:
		c.failed.Add(1)
	default:
		c.noRoute.Add(1)
	}
}

// WithAttrs returns a handler whose children have the attributes added, each a
// copy of its own, and whose predicates see them.
func (h *RouterHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return h.derive(h.with.WithAttrs(attrs), func(g *guard) *guard { return g.withAttrs(attrs) })
}

// WithGroup returns a handler whose children have the group opened, as the
// predicates see it.
func (h *RouterHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.derive(h.with.WithGroup(name), func(g *guard) *guard { return g.withGroup(name) })
}

func (h *RouterHandler) derive(with stage.Steps, each func(*guard) *guard) *RouterHandler {
	routes := slices.Clone(h.routes)
	for i := range routes {
		routes[i].to = each(routes[i].to)
	}
	return &RouterHandler{routes, with, h.core}
}

// Unwrap returns the handlers of the routes.
func (h *RouterHandler) Unwrap() []slog.Handler {
	handlers := make([]slog.Handler, len(h.routes))
	for i := range h.routes {
		handlers[i] = h.routes[i].to.next
	}
	return handlers
}

// Account says how many records came and how many no route took.
func (h *RouterHandler) Account() slogworks.Account {
	failed, noRoute := h.core.failed.Load(), h.core.noRoute.Load()
	accepted := h.core.accepted.Load()
	return slogworks.Account{
		Stage:     h.core.name,
		Accepted:  accepted,
		Delivered: accepted - failed - noRoute,
		Dropped:   map[string]uint64{"error": failed, "no route": noRoute},
	}
}

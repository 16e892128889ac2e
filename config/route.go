package config

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/internal/stage"
)

// routes say where the records of which logger go.
type routes struct {
	byLogger map[string]*destination // of the loggers that have a rule
	root     *destination
	all      []*destination
	handlers []slog.Handler // each that a destination has, once
}

// destination is the handlers that the records of a logger go to.
type destination struct {
	at       int // in routes.all
	handler  slog.Handler
	handlers []int // in routes.handlers
}

func newRoutes(d *Document, handler func(name string) slog.Handler) *routes {
	rs := &routes{byLogger: map[string]*destination{}}
	places := map[string]int{}
	add := func(r rule) *destination {
		dest := &destination{at: len(rs.all)}
		var handlers []slog.Handler
		for _, name := range d.namesFor(r) {
			place, ok := places[name]
			if !ok {
				place = len(rs.handlers)
				places[name] = place
				rs.handlers = append(rs.handlers, handler(name))
			}
			dest.handlers = append(dest.handlers, place)
			handlers = append(handlers, rs.handlers[place])
		}
		if dest.handler = fanout.New(handlers...); len(handlers) == 1 {
			dest.handler = handlers[0]
		}
		rs.all = append(rs.all, dest)
		return dest
	}
	rs.root = add(d.root)
	for _, r := range d.loggers {
		rs.byLogger[r.logger] = add(r)
	}
	return rs
}

// namesFor returns the handlers of a rule's loggers, each once: those of the
// rule, then those of the shorter ones that cover it, the root last.
func (d *Document) namesFor(r rule) []string {
	var names []string
	for {
		for _, name := range r.to {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if r.logger == "" || !r.bubble {
			return names
		}
		r = d.above(r.logger)
	}
}

// above returns the longest rule that covers the logger and is not its own.
func (d *Document) above(logger string) rule {
	for logger != "" {
		logger = logger[:max(strings.LastIndexByte(logger, '.'), 0)]
		if i, ok := d.ruleOf[logger]; ok {
			return d.loggers[i]
		}
	}
	return d.root
}

// of returns where the records of the logger go.
func (rs *routes) of(logger string) *destination {
	if len(rs.byLogger) == 0 {
		return rs.root
	}
	for logger != "" {
		if dest := rs.byLogger[logger]; dest != nil {
			return dest
		}
		logger = logger[:max(strings.LastIndexByte(logger, '.'), 0)]
	}
	return rs.root
}

// router gives each record to the destination of its logger.
type router struct {
	core    *core
	open    bool // names may stand on records
	logger  string
	grouped bool // attributes that come now are in a group and name nothing
	dest    *destination
	handler slog.Handler // of dest, derived

	// steps is how the router was derived; the handlers of destinations that
	// records alone lead to are derived when the first of these comes.
	steps   []slogworks.GroupOrAttrs
	derived []atomic.Pointer[slog.Handler]
}

func newRouter(c *core, open bool) *router {
	dest := c.routes.root
	return &router{core: c, open: open, dest: dest, handler: dest.handler}
}

// Enabled reports whether the handlers that the logger's records go to are
// enabled; if records may have names of their own, whether any are.
func (h *router) Enabled(ctx context.Context, level slog.Level) bool {
	if h.handler.Enabled(ctx, level) {
		return true
	}
	if !h.open || h.grouped {
		return false
	}
	for _, handler := range h.core.routes.handlers {
		if handler.Enabled(ctx, level) {
			return true
		}
	}
	return false
}

// Handle gives the record to its destination.
func (h *router) Handle(ctx context.Context, r slog.Record) error {
	handler, asked := h.handler, !h.open // in front of it, by Enabled
	if len(h.core.routes.byLogger) > 0 { // else all go where root's do
		if name, ok := h.nameOn(&r); ok {
			if dest := h.core.routes.of(name); dest != h.dest {
				handler, asked = h.handlerOf(dest), false
			}
		}
	}
	if !asked && !handler.Enabled(ctx, r.Level) {
		return nil
	}
	return handler.Handle(ctx, r)
}

// nameOn returns the logger's name if it stands on the record.
func (h *router) nameOn(r *slog.Record) (name string, ok bool) {
	if h.grouped {
		return "", false
	}
	r.Attrs(func(a slog.Attr) bool {
		ok = a.Key == slogworks.LoggerKey || a.Key == ""
		return !ok
	})
	if !ok {
		return "", false
	}
	return slogworks.NewView(*r, named(h.logger)...).Logger(), true
}

// named is a With chain that names a logger.
func named(logger string) []slogworks.GroupOrAttrs {
	if logger == "" {
		return nil
	}
	return []slogworks.GroupOrAttrs{{Attrs: []slog.Attr{slog.String(slogworks.LoggerKey, logger)}}}
}

// handlerOf returns the handler of another destination than the router's own,
// derived as the router is.
func (h *router) handlerOf(dest *destination) slog.Handler {
	if len(h.steps) == 0 {
		return dest.handler
	}
	slot := &h.derived[dest.at]
	if known := slot.Load(); known != nil {
		return *known
	}
	handler := derive(dest.handler, h.steps)
	slot.Store(&handler) // two that do so at once derive the same
	return handler
}

func derive(handler slog.Handler, steps []slogworks.GroupOrAttrs) slog.Handler {
	for _, s := range steps {
		if s.Group != "" {
			handler = handler.WithGroup(s.Group)
		}
		if len(s.Attrs) > 0 {
			handler = handler.WithAttrs(slices.Clone(s.Attrs))
		}
	}
	return handler
}

// HandleBatch gives each handler the items of its loggers as one batch. Loggers'
// levels are asked here, by the names on the items: what a stage in front has
// kept comes without the handlers that With has named.
func (h *router) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	loggers := make([]string, len(b.Items))
	for i, item := range b.Items {
		loggers[i] = h.logger
		if name, ok := h.nameOn(&item.Record); ok {
			loggers[i] = name
		}
	}
	whole := stage.Filter(b, func(i int, item slogworks.Item) bool {
		return item.Record.Level >= h.core.table.Level(loggers[i])
	})
	if len(whole.Items) == 0 {
		return nil
	}
	dests, one := make([]*destination, len(whole.Items)), true
	for i := range whole.Items {
		dests[i] = h.core.routes.of(loggers[whole.Origin(i)])
		one = one && dests[i] == dests[0]
	}
	if one {
		handler := h.handler
		if dests[0] != h.dest {
			handler = h.handlerOf(dests[0])
		}
		err := h.give(ctx, handler, whole.Batch, func(int) bool { return true })
		return whole.InWhole(err, len(b.Items))
	}
	var errs []error
	for place, handler := range h.core.routes.handlers {
		errs = append(errs, h.giveGuarded(ctx, derive(handler, h.steps), whole.Batch, func(i int) bool {
			return slices.Contains(dests[i].handlers, place)
		}))
	}
	return errors.Join(errs...)
}

// giveGuarded keeps the panic of one handler from costing the others their part.
func (h *router) giveGuarded(ctx context.Context, handler slog.Handler, b slogworks.Batch, isFor func(i int) bool) (err error) {
	defer stage.Rescue(&err)
	return h.give(ctx, handler, b, isFor)
}

// give hands on the items that are for the handler and that it is enabled for.
func (h *router) give(ctx context.Context, handler slog.Handler, b slogworks.Batch, isFor func(i int) bool) error {
	part := stage.Filter(b, func(i int, item slogworks.Item) bool {
		return isFor(i) && handler.Enabled(item.Context, item.Record.Level)
	})
	if len(part.Items) == 0 {
		return nil
	}
	return part.InWhole(stage.HandleBatch(ctx, handler, part.Batch), len(b.Items))
}

// WithAttrs returns a router that adds the attributes; a name among them is that
// of the logger from then on.
func (h *router) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	attrs = slices.Clone(attrs)
	d := h.with(slogworks.GroupOrAttrs{Attrs: attrs})
	if !h.grouped {
		d.logger = slogworks.NewView(slog.Record{}, append(named(h.logger), slogworks.GroupOrAttrs{Attrs: attrs})...).Logger()
	}
	if dest := h.core.routes.of(d.logger); dest != h.dest {
		d.dest, d.handler = dest, derive(dest.handler, d.steps)
	} else {
		d.handler = h.handler.WithAttrs(slices.Clone(attrs))
	}
	return d
}

// WithGroup returns a router that puts what follows into a group.
func (h *router) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	d := h.with(slogworks.GroupOrAttrs{Group: name})
	d.grouped = true
	d.handler = h.handler.WithGroup(name)
	return d
}

// with returns a copy of h with a further step and its handler to be set.
func (h *router) with(step slogworks.GroupOrAttrs) *router {
	return &router{
		core: h.core, open: h.open, logger: h.logger, grouped: h.grouped, dest: h.dest,
		steps:   append(slices.Clip(h.steps), step),
		derived: make([]atomic.Pointer[slog.Handler], len(h.core.routes.all)),
	}
}

// Flush flushes all handlers of the document.
func (h *router) Flush(ctx context.Context) error {
	return h.core.each("flush", func(c *component) error { return slogworks.Flush(ctx, c.handler) })
}

// Shutdown shuts down all handlers of the document.
func (h *router) Shutdown(ctx context.Context) error {
	return h.core.each("shut down", func(c *component) error { return slogworks.Shutdown(ctx, c.handler) })
}

// Unwrap returns the handlers of the document for their accounts alone: the
// walk knows no order among handlers that are hidden from one another, so that
// Flush and Shutdown are those above.
func (h *router) Unwrap() []slog.Handler {
	handlers := make([]slog.Handler, len(h.core.components))
	for i, c := range h.core.components {
		handlers[i] = accountsOf(c.handler)
	}
	return handlers
}

// books is a handler of which the walk sees only the accounts behind it, and
// account one that has an account itself.
type (
	books   struct{ slog.Handler }
	account struct{ books }
)

func accountsOf(h slog.Handler) slog.Handler {
	if _, ok := h.(interface{ Account() slogworks.Account }); ok {
		return &account{books{h}}
	}
	return &books{h}
}

func (a *account) Account() slogworks.Account {
	return a.Handler.(interface{ Account() slogworks.Account }).Account()
}

func (b *books) Unwrap() []slog.Handler {
	var behind []slog.Handler
	switch h := b.Handler.(type) {
	case interface{ Unwrap() slog.Handler }:
		behind = []slog.Handler{h.Unwrap()}
	case interface{ Unwrap() []slog.Handler }:
		behind = slices.Clone(h.Unwrap())
	}
	for i, h := range behind {
		if h != nil {
			behind[i] = accountsOf(h)
		}
	}
	return behind
}

package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/levels"
)

// Pipeline is the handlers of a document, and what routes records to them by the
// names of their loggers. It is a slog.Handler, safe for concurrent use.
//
// Flush, Shutdown and Books of slogworks reach all its handlers, each after
// those that feed it. A Pipeline that is not used any more has to be shut down.
type Pipeline struct {
	front *levels.Handler // in front of a router
	core  *core
}

var _ slogworks.BatchHandler = (*Pipeline)(nil)

// core is what the derived handlers of a pipeline share.
type core struct {
	components []*component // each before those that it wraps
	byName     map[string]*component
	routes     *routes
	table      *levels.Table
}

// retire shuts down the components that the successor, which may be nil, does
// not share, each after those that feed it.
func (p *Pipeline) retire(ctx context.Context, successor *Pipeline) error {
	kept := map[*component]bool{}
	if successor != nil {
		for _, c := range successor.core.components {
			kept[c] = true
		}
	}
	return p.core.each("shut down", func(c *component) error {
		if kept[c] {
			return nil
		}
		return slogworks.Shutdown(ctx, c.handler)
	})
}

// each calls f for all components and joins the errors.
func (c *core) each(verb string, f func(*component) error) error {
	var errs []error
	for _, c := range c.components {
		if err := f(c); err != nil {
			errs = append(errs, fmt.Errorf("config: %s %s: %w", verb, legible(c.name), err))
		}
	}
	return errors.Join(errs...)
}

// Lookup returns the handler of that name as its kind has built it, or nil.
func (p *Pipeline) Lookup(name string) slog.Handler {
	if c := p.core.byName[name]; c != nil {
		return c.handler
	}
	return nil
}

// Names returns the names of the handlers, each before those that it wraps, as
// records pass them.
func (p *Pipeline) Names() []string {
	names := make([]string, len(p.core.components))
	for i, c := range p.core.components {
		names[i] = c.name
	}
	return names
}

// Enabled reports whether the level is at least that of the logger, and a
// handler that its records go to is enabled.
func (p *Pipeline) Enabled(ctx context.Context, level slog.Level) bool {
	return p.front.Enabled(ctx, level)
}

// Handle passes the record on to the handlers that its logger's rules name. The
// errors of several are joined.
func (p *Pipeline) Handle(ctx context.Context, r slog.Record) error {
	return p.front.Handle(ctx, r)
}

// HandleBatch passes on to each handler, as one batch, the items that it would
// have got had they come alone.
func (p *Pipeline) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	return p.front.Unwrap().(*router).HandleBatch(ctx, b)
}

// WithAttrs returns a handler that adds the attributes. A logger's name among
// them decides where its records go.
func (p *Pipeline) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return p
	}
	return &Pipeline{p.front.WithAttrs(attrs).(*levels.Handler), p.core}
}

// WithGroup returns a handler that puts what follows into a group.
func (p *Pipeline) WithGroup(name string) slog.Handler {
	if name == "" {
		return p
	}
	return &Pipeline{p.front.WithGroup(name).(*levels.Handler), p.core}
}

// Unwrap returns what routes the records, through which Flush, Shutdown and
// Books reach the handlers.
func (p *Pipeline) Unwrap() slog.Handler { return p.front }

// String says which handlers there are.
func (p *Pipeline) String() string {
	return "config.Pipeline(" + strings.Join(p.Names(), ", ") + ")"
}

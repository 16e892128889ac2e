package slogctx

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// Binding says which records a handler of a [Stack] takes, and whether it is
// the last that gets them. The zero Binding is every record that the handler is
// enabled for, and the last.
type Binding struct {
	// Bubble lets a record that the handler has got go on to the next one. If
	// it is false the record goes nowhere else, whatever error the handler
	// returns.
	Bubble bool

	// Level is the lowest level that the handler gets; nil: every level that
	// the handler itself is enabled for. It is read for every record.
	Level slog.Leveler

	// When decides which records the handler gets; nil: all. The others go on
	// to the next one. It sees the record as it has come to the Stack, with
	// the attributes of Logger.With and what processors made of it; the
	// attributes of [With] are among these if a handler of [New] stands in
	// front of the Stack. One that panics accepts nothing; the record that
	// goes on has the attribute "!PANIC" then, as in [Process].
	When slogworks.Predicate
}

// binding is a handler as it is bound, to the process or to a context. Its
// address is what tells it from others: handlers may not be comparable.
type binding struct {
	handler   slog.Handler
	bubble    bool
	level     slog.Leveler // may be nil
	when      slogworks.Predicate
	blackhole bool

	// Of a context only: what was bound before, and the last derivations.
	outer   *binding
	derived atomic.Pointer[derivation]
}

func newBinding(h slog.Handler, opts *Binding) *binding {
	var o Binding
	if opts != nil {
		o = *opts
	}
	b := &binding{handler: stage.Require("slogctx", h), bubble: o.Bubble, when: o.When}
	if o.Level != nil {
		b.level = stage.Level("slogctx", o.Level, slog.LevelInfo)
	}
	_, b.blackhole = h.(blackhole)
	return b
}

// Bind returns a context whose records go to h before they go to any other
// handler of a [Stack]: to what was bound last first, then to what was pushed.
// Unless the Binding says otherwise, h is the last to get them. The context
// itself and others made from it are not concerned. nil opts are as zero ones.
// Without a Stack in the pipeline of the logger Bind changes nothing.
//
// h must not lead back to the Stack, say by way of slog.Default().Handler():
// the record would go round in circles until the process is out of memory. To
// have records in h and elsewhere too, use Bubble.
//
// Nobody flushes h or shuts it down when the context ends: that is up to who
// opened it. If a stage that keeps records stands in front of the Stack, h may
// get some later than that.
//
// Bind panics if h is nil or is slog's own default handler.
func Bind(ctx context.Context, h slog.Handler, opts *Binding) context.Context {
	b := newBinding(h, opts)
	return extend(ctx, func(c *scope) {
		b.outer = c.bindings
		c.bindings = b
	})
}

// derivation is a handler derived as a Stack is. Several make a list.
type derivation struct {
	stack   *Stack
	handler slog.Handler
	next    *derivation
	length  int
}

// maxDerivations is how many loggers a handler can be bound for without being
// derived more than once for each.
const maxDerivations = 16

// handlerFor returns the handler derived as s is.
//
// What has been derived is remembered here and not with s, since a context most
// often lasts as long as a request and loggers last as long as the program.
func (b *binding) handlerFor(s *Stack) slog.Handler {
	if len(s.with) == 0 {
		return b.handler
	}
	newest := b.derived.Load()
	for d := newest; d != nil; d = d.next {
		if d.stack == s {
			return d.handler
		}
	}
	d := &derivation{stack: s, handler: derive(s.with, b.handler), length: 1}
	if newest != nil && newest.length < maxDerivations {
		d.next, d.length = newest, newest.length+1
	}
	b.derived.Store(d) // what another goroutine stores now is derived again
	return d.handler
}

// Blackhole returns a handler that swallows every record. In a [Stack] it ends
// the way of the records that its Binding accepts, even with Bubble; without a
// When that happens before a record is built. Elsewhere it is a handler that is
// never enabled, as slog.DiscardHandler is. Wrapped into another handler it is
// not recognised by the Stack.
func Blackhole() slog.Handler { return blackhole{} }

type blackhole struct{}

func (blackhole) Enabled(context.Context, slog.Level) bool  { return false }
func (blackhole) Handle(context.Context, slog.Record) error { return nil }
func (blackhole) WithAttrs([]slog.Attr) slog.Handler        { return blackhole{} }
func (blackhole) WithGroup(string) slog.Handler             { return blackhole{} }

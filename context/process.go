package slogctx

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/slogworks/slogworks/internal/stage"
)

type processor = func(ctx context.Context, r *slog.Record)

// Process returns a context that carries f. It is called once for each record
// that is logged with the context or one made from it, by whichever comes
// first, a handler of [New] or a [Stack], and only if the record is wanted.
// Several are called oldest first.
//
// f gets a copy of the record, which it may change as it likes until it
// returns: the level, the message, the attributes. What it adds with AddAttrs
// stands with the record's own attributes, in the logger's open group; those of
// the context and of Logger.With are not in the record. Whether the record is
// wanted is settled by then, so that it is not asked again because of a level
// that f sets; stages further on go by that level.
//
// f runs on the goroutine that logs, on several at once perhaps. It may log
// with the ctx it is given, which does not carry the processors. If it panics,
// what it has done is undone, and the record has the attribute "!PANIC", whose
// value is an error that wraps a [*slogworks.PanicError]. It is not returned by
// Handle, because to a queue or a fanout.Failover an error means that the
// record was not taken.
//
// Process panics if f is nil.
func Process(ctx context.Context, f func(ctx context.Context, r *slog.Record)) context.Context {
	if f == nil {
		panic("slogctx: nil processor")
	}
	return extend(ctx, func(c *scope) {
		c.processors = append(slices.Clip(c.processors), f)
	})
}

// process returns r as the processors change it, and ctx without them, so that
// a stage behind does not call them again. It allocates the record, and must
// not be inlined where records stay on the stack.
//
//go:noinline
func (c *scope) process(ctx context.Context, r slog.Record) (context.Context, slog.Record) {
	ctx = extend(ctx, func(c *scope) { c.processors = nil })
	r = r.Clone()
	for _, f := range c.processors {
		before := r.Clone()
		if err := run(ctx, f, &r); err != nil {
			r = before
			r.AddAttrs(panicAttr("processor", err))
		}
	}
	return ctx, r
}

func run(ctx context.Context, f processor, r *slog.Record) (err error) {
	defer stage.Rescue(&err)
	f(ctx, r)
	return nil
}

// panicAttr is what a record has of a function that panicked.
func panicAttr(what string, err error) slog.Attr {
	return slog.Any("!PANIC", fmt.Errorf("slogctx: %s: %w", what, err))
}

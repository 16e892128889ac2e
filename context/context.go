// Package slogctx makes what a context carries part of logging: attributes,
// processors that change records, and handlers for what runs under it.
//
//   - [With] puts attributes into a context; the handler of [New] adds them to
//     every record that is logged with it,
//   - [Process] puts a function there that changes every such record,
//   - [NewStack] makes a handler that can be overruled while the program runs:
//     by [Stack.Push] for the whole process, by [Bind] for one context,
//   - [RedirectLog] and [LogWriter] bring in what is logged by package log.
//
// The package's directory is named context, so it is imported as
//
//	slogctx "github.com/slogworks/slogworks/context"
//
// Use it where code that logs should not have to know for whom it works: the
// request's id on the records of a database driver, a file of its own for one
// job, a window for errors once there is a window. It works for records that
// are logged with a context, by InfoContext and the like. slog.Info and
// Logger.Info pass none on, and Go has nothing else that belongs to one
// goroutine; for them there are only the handlers of Push. Where every function
// gets its logger handed to it, slog.Logger.With does without this package.
//
// All of it runs on the goroutine that logs. Nothing starts a goroutine, waits,
// or takes a lock to log. A record whose context carries nothing costs a few
// nanoseconds and no allocation. Attributes of a context cannot be formatted in
// advance as those of Logger.With are; they cost an allocation at most, and one
// for each group that the logger has open. Processors cost three, and what they
// add.
//
// Nothing is held back, so nothing is lost when the process ends, whichever
// way. If one of the functions that this package is given panics, the record
// goes without what the function would have done, and says so.
//
// The smallest program:
//
//	slog.SetDefault(slog.New(slogctx.New(slog.NewJSONHandler(os.Stderr, nil), nil)))
//	ctx := slogctx.With(context.Background(), "request_id", 7)
//	slog.InfoContext(ctx, "hello") // … "msg":"hello","request_id":7
package slogctx

import (
	"context"
	"log/slog"
)

// scope is all that a context carries for this package, under one key, because
// each stage looks for it with each record. It never changes.
type scope struct {
	attrs      *slog.Record // that has these and nothing else, as a start for others
	n          int          // of attrs
	processors []processor  // oldest first
	bindings   *binding     // newest first
}

// nothing is what a context carries that carries nothing.
var nothing = &scope{attrs: new(slog.Record)}

type scopeKey struct{}

// scopeOf returns what ctx carries, which may be nil.
func scopeOf(ctx context.Context) *scope {
	c, _ := ctx.Value(scopeKey{}).(*scope)
	return c
}

// known returns ctx, or the empty context if it is nil, as slog does.
func known(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

// extend returns a ctx that carries what ctx does, with the change made.
func extend(ctx context.Context, change func(c *scope)) context.Context {
	ctx = known(ctx)
	c := *nothing
	if outer := scopeOf(ctx); outer != nil {
		c = *outer
	}
	change(&c)
	return context.WithValue(ctx, scopeKey{}, &c)
}

// With returns a context that carries the attributes that args make by the
// rules of [slog.Logger.With]: keys and values in turn, or slog.Attrs; what has
// no key gets the key "!BADKEY". If there is nothing to add it returns ctx.
//
// The handler of [New] adds the attributes to each record that is logged with
// the context or one made from it. They stand after those of Logger.With and
// before the record's own, the oldest first. As everywhere in slog, none of
// several that have one key is removed; readers take the last. Values are kept
// as they are and printed with each record, so that a [slog.LogValuer] is asked
// each time.
//
// A nil ctx is taken for context.Background(), here and wherever this package
// gets one.
func With(ctx context.Context, args ...any) context.Context {
	return add(ctx, len(args), func(r *slog.Record) { r.Add(args...) })
}

// WithAttrs is [With] for attributes. The slice is copied.
func WithAttrs(ctx context.Context, attrs ...slog.Attr) context.Context {
	return add(ctx, len(attrs), func(r *slog.Record) { r.AddAttrs(attrs...) })
}

func add(ctx context.Context, n int, to func(r *slog.Record)) context.Context {
	if n == 0 {
		return ctx
	}
	return extend(ctx, func(c *scope) {
		r := *c.attrs
		to(&r)
		r = r.Clone() // leaves no room that several could grow into
		c.attrs, c.n = &r, r.NumAttrs()
	})
}

// Package fingerscrossed holds records back until it is known whether they are
// needed: the debug detail of a request is kept in memory and written only if
// the request fails, is slow, or is asked for.
//
// Use it per request or job, with [Handler.Begin], where debug records cost too
// much to write always and are missed each time that something goes wrong; use
// it for the whole process, with Options.Process, in command-line tools and
// before a log file is worth having, see [Lazy]. To drop what is below a level,
// the Level of slog.HandlerOptions does; to look at the last records of a
// process that works, use a ring in memory.
//
// Outside a scope a record costs what the next handler costs. In a scope each
// record from Hold on is made and kept, about 340 bytes, which costs less than
// half of writing it as JSON; nothing is allocated per record unless a value
// has to be frozen. Buffers are bounded in records and bytes, each and together.
// Handle returns when what its record releases is written. Others that log in
// the scope meanwhile go on and have their records queue behind the release;
// they wait only for one that is four buffers behind. Scopes do not wait for
// each other, but for those around them. No goroutine is started except by
// Shutdown and for a scope that nobody ended.
//
// With nil Options the handler never writes less than the next handler would
// behind a gate at LevelInfo: what is at that level or above is written when
// the scope ends, whatever happens, and when a buffer is full. What is held is
// lost by os.Exit, a panic outside the scope's Do or deferred End, and SIGKILL.
// With Options.Live, records of that level are not held and so not lost.
//
// The smallest program:
//
//	h := fingerscrossed.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}), nil)
//	logger := slog.New(h)
//	err := h.Do(ctx, func(ctx context.Context) error {
//		logger.DebugContext(ctx, "written only if f fails")
//		return f(ctx)
//	})
package fingerscrossed

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// After says what becomes of the records that follow a trigger.
type After int

const (
	// AfterDefault is PassAll for scopes and Rearm for the process.
	AfterDefault After = iota
	// PassAll writes all of them until the scope ends.
	PassAll
	// PassLevel writes those of Level and above and drops the others.
	PassLevel
	// Rearm holds them again until the next trigger.
	Rearm
)

// Options are options for a [Handler]. A zero Options consists entirely of
// default values. Levels are read for every record.
type Options struct {
	// Level is the lowest level that is written without a trigger: outside of
	// scopes, and when a scope ends. Default slog.LevelInfo.
	Level slog.Leveler

	// Hold is the lowest level that is held in a scope. Default
	// slog.LevelDebug. The next handler must be open at Hold, or what is held
	// could never be written; if it is not, OnError is told once.
	Hold slog.Leveler

	// Trigger is the lowest level that releases what is held. Default
	// slog.LevelError.
	Trigger slog.Leveler

	// When releases as well; it is asked for records below Trigger. A panic in
	// it counts as no and goes to OnError.
	When slogworks.Predicate

	// Live writes records of Level and above at once and holds only those
	// below, so that a release comes out of order. Default: all are held,
	// and written in order.
	Live bool

	// After says what becomes of records after a trigger. Default PassAll for
	// scopes and Rearm for the process.
	After After

	// Process holds records outside of scopes too, in one buffer for the
	// process, which is around all scopes and ended by Process().End. It implies
	// Live. To write nothing at all before a trigger, set Level above Trigger.
	Process bool

	// MaxRecords and MaxBytes bound one buffer: default 256 records, 256 KiB.
	// When it is full, its oldest record is written if it is of Level or above,
	// else dropped and counted. Bytes are estimated from what a record needs in
	// memory.
	MaxRecords, MaxBytes int

	// TotalBytes bounds all buffers of the handler together: default 64 MiB.
	// The buffer that asks for more drops its own oldest, if need be all of it.
	TotalBytes int64

	// Slow releases what a scope holds if it ends more than this long after it
	// began. Default 0: never.
	Slow time.Duration

	// Open makes a handler for each scope that is released, to be used instead
	// of the next handler from then on: a file for each failing request, say. It
	// is called when the first record is to be written there, with the record
	// that triggered the release or, if it was not a record that did, with the
	// last one held. The Closer, which may be nil, is closed when the scope
	// ends; Flush and Shutdown do not reach the handler. If Open fails, which
	// goes to OnError, the records go to the next handler.
	Open func(ctx context.Context, trigger slogworks.View) (slog.Handler, io.Closer, error)

	// Freeze is asked to make a value safe to keep, for values of
	// slog.KindAny, in groups and in With too, after LogValuers are resolved.
	// What it returns is frozen as usual: printed now, unless its type shows
	// that it cannot change. A panic in it counts as the value itself and goes
	// to OnError. Default nil.
	Freeze func(slog.Value) slog.Value

	// OnError is called with errors that no caller gets to see: of what is
	// written or closed when a scope ends, of Open, of panics in When and Freeze,
	// and of a next handler that is not open at Hold. It may be called by
	// several goroutines at once. A panic in it is ignored. Default nil.
	OnError func(error)
}

// Handler holds records. It is safe for concurrent use. Records of one scope
// come out in the order in which they were logged, none before those that a
// trigger releases. Those that were held come with the values of their contexts,
// which do not end before a Shutdown gives up. A next handler that is a
// [slogworks.BatchHandler] gets a release as one batch, an Escalation whose last
// record is the trigger; for others, a record at Warn before the release says
// how many were dropped for want of room. The next handler may log, but must not
// wait for another goroutine that does: a record that triggers waits for what is
// being written. If it ends the goroutine by runtime.Goexit, the record or batch
// that it was given has failed, and the others of the release are written all the
// same. Handlers derived by With share the scopes.
type Handler struct {
	core  *core
	with  *chain.Node
	bound *Scope // by Scope.Logger; nil: the context says
}

var _ slogworks.BatchHandler = (*Handler)(nil)

// New returns a handler that writes to next what is needed. It panics if next
// is nil or is slog's own default handler.
func New(next slog.Handler, opts *Options) *Handler {
	return &Handler{core: newCore(next, opts)}
}

// Enabled reports whether a record of the level would be held or written: in a
// scope from Hold on, elsewhere from Level on, and if the handler that it is
// for is enabled.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	c := h.core
	to := c.next
	if s := h.scope(ctx); s != nil {
		if !s.buffer.wants(level) {
			return false
		}
		if opened := s.buffer.opened.Load(); opened != nil {
			to = opened
		} else if c.Open != nil {
			return true // nobody knows yet
		}
	} else if level < c.Level.Level() {
		return false
	}
	return h.with.Handler(to).Enabled(ctx, level)
}

// Handle holds the record or writes it. If it triggers a release, it returns
// when that is written, and with the errors of that.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	return h.handle(ctx, &r, false)
}

// handle takes the record by reference, because each further copy of its 288
// bytes can be measured.
func (h *Handler) handle(ctx context.Context, r *slog.Record, frozen bool) error {
	if ctx == nil {
		ctx = context.Background()
	}
	c := h.core
	if c.closed.Load() {
		return c.refuse(1)
	}
	for s := h.scope(ctx); s != nil; s = s.live() {
		if handled, err := s.handle(ctx, h.with, r, frozen); handled {
			return err
		}
	}
	if c.closed.Load() {
		return c.refuse(1) // its scope was ended by a Shutdown just now
	}
	next := h.with.Handler(c.next)
	if r.Level < c.Level.Level() || !next.Enabled(ctx, r.Level) {
		return nil
	}
	return c.write(ctx, next, r)
}

// HandleBatch handles the items of a Stream as if they were logged one by one,
// each with its context; those that are in no scope go on as one batch. An
// Escalation or a Digest has been decided on already and is passed on whole.
func (h *Handler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	c := h.core
	if c.closed.Load() {
		return c.refuse(len(b.Items))
	}
	level := c.Level.Level()
	stays := func(item slogworks.Item) bool {
		return h.scope(item.Context) != nil || item.Record.Level < level || !c.next.Handler.Enabled(item.Context, item.Record.Level)
	}
	if b.Kind != slogworks.Stream || !slices.ContainsFunc(b.Items, stays) {
		return c.writeBatch(ctx, b)
	}
	var errs []error
	var rest []slogworks.Item
	for _, item := range b.Items {
		if stays(item) {
			errs = append(errs, h.handle(item.Context, &item.Record, true))
		} else {
			rest = append(rest, item)
		}
	}
	if b.Items = rest; len(rest) > 0 {
		errs = append(errs, c.writeBatch(ctx, b))
	}
	return errors.Join(errs...)
}

// scope returns the scope that the records of ctx belong to: one that has not
// ended, or nil.
func (h *Handler) scope(ctx context.Context) *Scope {
	s := h.bound
	if s == nil {
		s = h.core.process
		if ctx != nil && (h.core.scopes.Load() > 0 || s != nil) {
			// Each record is asked twice, and most often with Begin's own context.
			if begun, ok := ctx.(*scopeContext); ok && begun.scope.buffer.core == h.core {
				s = &begun.scope
			} else if inner, ok := ctx.Value(h.core).(*Scope); ok {
				s = inner
			}
		}
	}
	return s.live()
}

// WithAttrs returns a handler that adds the attributes, frozen, to its records.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	if h.core.Freeze != nil {
		attrs = h.core.ownFreezeAttrs(attrs)
	}
	return &Handler{core: h.core, with: h.with.WithAttrs(attrs), bound: h.bound}
}

// WithGroup returns a handler that puts what follows into a group.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &Handler{core: h.core, with: h.with.WithGroup(name), bound: h.bound}
}

// Unwrap returns the next handler.
func (h *Handler) Unwrap() slog.Handler { return h.core.next.Handler }

// settingsOf returns a copy of the options with their defaults.
func settingsOf(opts *Options) Options {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Level = stage.Level("fingerscrossed", o.Level, slog.LevelInfo)
	o.Hold = stage.Level("fingerscrossed", o.Hold, slog.LevelDebug)
	o.Trigger = stage.Level("fingerscrossed", o.Trigger, slog.LevelError)
	if o.MaxRecords <= 0 {
		o.MaxRecords = 256
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 10
	}
	if o.TotalBytes <= 0 {
		o.TotalBytes = 64 << 20
	}
	if o.Process {
		o.Live = true
	}
	return o
}

// Package console prints log records for people to read, one line each, in
// colour on a terminal.
//
// Use it for the terminal of a developer or an operator. Do not use it where
// programs read the output: the message stands bare between the level and the
// attributes, so that no parser can tell for certain where it ends. That is
// what [slog.TextHandler] and [slog.JSONHandler] are for.
//
// It formats with github.com/lmittmann/tint and adds what a terminal needs: no
// record, whatever is in it, can start a second line, move the cursor or set a
// colour of its own.
//
// A record is one Write, made on the goroutine that logs, under a lock that all
// derived handlers share: a writer that blocks, blocks them all. There is no
// goroutine and no buffer. A record whose attributes are numbers, booleans,
// times, durations, and strings that need no quotes allocates nothing, in
// colour or not. A string that needs quotes costs an allocation, one with
// control characters two, an inline group two, a value of another type what fmt
// or its MarshalText costs, and AddSource two; with ReplaceAttr it is one more
// for each attribute and one for the level.
//
// What Handle has returned for is written: os.Exit, SIGKILL and a panic lose
// nothing of it. A record is lost only if the writer fails; Handle returns the
// error, which slog.Logger ignores, and [Handler.Account] counts it. A map, a
// slice or a LogValuer that contains itself ends the process, as it does in
// slog's own TextHandler.
//
//	slog.SetDefault(slog.New(console.New(os.Stderr, nil)))
package console

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/lmittmann/tint"
	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// Options are options for a [Handler]. A zero Options consists entirely of
// default values.
type Options struct {
	// Level is the lowest level that is printed. It is asked for each record,
	// so that a *slog.LevelVar changes it at run time. If Level is nil, it is
	// slog.LevelInfo.
	Level slog.Leveler

	// AddSource prints the file and the line of the log call, with the last
	// directory of the path: "server/main.go:42".
	AddSource bool

	// ReplaceAttr changes or removes attributes, the time, level, source and
	// message among them, as in [slog.HandlerOptions]. It may be called by
	// several goroutines at once. If it panics, the attribute's value is the
	// text of the panic. A colour that it gives with tint.Attr is used.
	ReplaceAttr func(groups []string, a slog.Attr) slog.Attr

	// TimeFormat is how the time of a record is printed, as a layout of
	// [time.Time.Format]. If it is empty, it is "15:04:05.000". To print no
	// time, remove it with ReplaceAttr. Times in attributes are always printed
	// in full.
	TimeFormat string

	// Color says whether to use colour; the zero value is ColorAuto.
	Color Color
}

// Handler is a [slog.Handler] that prints records for people to read:
//
//	15:04:05.000 INF server started addr=:8080 http.tls=true
//
// The parts are those of tint. A level between two names is printed as in
// slog, "INF+2"; a group becomes a prefix of the keys in it; a value with a
// space, a quote or an equals sign is quoted as in Go. Errors are red.
//
// Text is never trusted. A message, a key, a group's name or a value with
// control characters, text direction marks, invisible characters or invalid
// UTF-8 is printed with Go's escapes in their place, "a\nb" or "\x1b[2J".
//
// A bad value is printed as far as it goes: a MarshalText that fails gives
// "!ERROR:" and the error, one that panics "!PANIC: " and the panic. A zero
// time and an unknown source are omitted, and so are empty groups.
//
// Handler is safe for concurrent use, and records of all handlers derived from
// one are written one after the other.
type Handler struct {
	core *core

	// groups are the names of the open groups as ReplaceAttr gets them, and
	// prefix is the same as it is printed.
	groups []string
	prefix string

	// Of tint's handlers, flat has the attributes so far and no open group,
	// and nested is flat with one group called prefix. It is never two: tint
	// appends the names of groups to a slice that handlers share, and races.
	flat, nested slog.Handler
}

var _ slog.Handler = (*Handler)(nil)

// core is what derived handlers share.
type core struct {
	level   slog.Leveler
	replace func(groups []string, a slog.Attr) slog.Attr
	color   bool

	scratch sync.Pool // of *[]slog.Attr

	accepted, delivered, failed atomic.Uint64
}

// New returns a handler that prints records to w, each with one call of Write.
// It panics if w is nil or Options.Level a nil pointer. nil options are the same
// as a zero Options.
func New(w io.Writer, opts *Options) *Handler {
	if w == nil {
		panic("console: nil Writer")
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Level = stage.Level("console", o.Level, slog.LevelInfo)
	if o.TimeFormat == "" {
		o.TimeFormat = "15:04:05.000"
	}

	c := &core{level: o.Level, replace: o.ReplaceAttr, color: o.Color.on(w)}
	c.scratch.New = func() any { return new([]slog.Attr) }

	// The level is decided here, so tint's is not set. Nor is tint's NoColor:
	// it rebuilds each key and each string rune by rune, at an allocation or
	// more for each, and cuts them off at the first U+FFFD or invalid byte.
	t := &tint.Options{AddSource: o.AddSource, TimeFormat: o.TimeFormat}
	if c.replace != nil {
		t.ReplaceAttr = c.replaceBuiltin
	}
	root := tint.NewTextHandler(&output{w: w, color: c.color}, t)
	return &Handler{core: c, flat: root, nested: root}
}

// Enabled reports whether level is at least Options.Level.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.core.level.Level()
}

// Handle prints r. It returns the error of the writer, and if the writer wrote
// less than the whole line without one, [io.ErrShortWrite]. It does not recover
// from a panic of the writer.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	c := h.core
	c.accepted.Add(1)
	ok := false
	defer func() { // also when the writer panics
		if ok {
			c.delivered.Add(1)
		} else {
			c.failed.Add(1)
		}
	}()

	attrs := c.scratch.Get().(*[]slog.Attr)
	r.Attrs(func(a slog.Attr) bool {
		a, _ = c.settle(h.groups, a)
		*attrs = append(*attrs, a)
		return true
	})
	msg := r.Message
	if c.replace == nil { // else replaceBuiltin does it, after ReplaceAttr
		msg = quoteUnsafe(msg)
	}
	line := slog.NewRecord(r.Time, r.Level, msg, r.PC)
	// As a group without a name, any number of attributes fits into a record
	// without an allocation.
	line.AddAttrs(slog.Attr{Value: slog.GroupValue(*attrs...)})

	err := h.nested.Handle(ctx, line)
	clear(*attrs)
	*attrs = (*attrs)[:0]
	c.scratch.Put(attrs)
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	ok = true
	return nil
}

// WithAttrs returns a handler that prints attrs before those of each record.
// They are formatted now. It returns the receiver if attrs is empty.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	attrs, _ = h.core.settleAll(h.groups, attrs)
	return h.derive(h.groups, h.prefix, h.flat.WithAttrs([]slog.Attr{
		{Key: h.prefix, Value: slog.GroupValue(attrs...)},
	}))
}

// WithGroup returns a handler that prints name and a dot before the keys of
// the attributes that follow. It returns the receiver if name is empty.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	prefix := escapeKey(name)
	if h.prefix != "" {
		prefix = h.prefix + "." + prefix
	}
	return h.derive(append(slices.Clip(h.groups), name), prefix, h.flat)
}

func (h *Handler) derive(groups []string, prefix string, flat slog.Handler) *Handler {
	return &Handler{core: h.core, groups: groups, prefix: prefix, flat: flat, nested: flat.WithGroup(prefix)}
}

// Account returns the counts of the handler and of all that it shares its
// writer with by derivation: Accepted are records given to Handle, Delivered
// those written without an error. The one reason for a drop is "write error".
func (h *Handler) Account() slogworks.Account {
	c := h.core
	account := slogworks.Account{Stage: "console", Delivered: c.delivered.Load()}
	if n := c.failed.Load(); n > 0 {
		account.Dropped = map[string]uint64{"write error": n}
	}
	// Last, so that it is never less than the others together.
	account.Accepted = c.accepted.Load()
	return account
}

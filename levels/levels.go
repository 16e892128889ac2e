// Package levels gives each logger a level of its own that can be changed while
// the program runs: one logger to debug for ten minutes, by one curl.
//
// Use it outermost in a pipeline, where an operator is to see more of one part
// of a program, or less of a noisy one, without a restart. For one level for
// the whole program a *slog.LevelVar in slog.HandlerOptions does.
//
// A logger is known by its name, which [slogworks.Named] gives it. Rules are by
// name and cover the names below: a rule for "shop.db" covers "shop.db" and
// "shop.db.pool", not "shop.dbx"; of several the longest decides. The next
// handler has to be open at the most verbose level that a rule may ask for, as
// slog.HandlerOptions{Level: slog.LevelDebug}: a [Handler] never reaches past
// the level of what it wraps.
//
// Enabled costs an atomic load while there is no rule, and one more with any
// number of them. Nothing is allocated per record. Changing a rule copies all
// of them. There is no goroutine; a rule that ends by itself holds a timer
// until then. Handle blocks as long as the next handler.
//
// What is lost: records below the level of their logger, which are meant to
// be and are not counted. Rules are in memory and end with the program.
//
// The smallest program:
//
//	h := levels.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}), nil)
//	slog.SetDefault(slog.New(h))
//	http.Handle("/log/level", h.Table())
//
// and the operator's side of it:
//
//	curl -X PUT localhost:8080/log/level -d logger=shop.db -d level=debug -d ttl=10m
package levels

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// Options are options for a [Handler]. A zero Options consists entirely of
// default values.
type Options struct {
	// Table has the rules. Several handlers may share one. Default: a table of
	// its own at slog.LevelInfo.
	Table *Table

	// NamesOnRecords is for places where records carry the name of their logger
	// themselves, and not the handler by With: behind a receiver of records from
	// elsewhere, or below a stage that hands on what it has kept. Enabled is
	// then true from the lowest level on that any logger has, since the name
	// comes later, and Handle decides: while one logger is at debug, the debug
	// records of all are made.
	NamesOnRecords bool
}

// Handler passes on records of the level of their logger and above. It is safe
// for concurrent use if the next handler is, while rules change too; a change
// holds from the next record on. Errors of the next handler reach the caller as
// they are.
//
// The name of a logger is the last top-level attribute of the key
// [slogworks.LoggerKey]. Enabled knows the one that With gave. A name that
// stands on a record alone is known to Handle, which goes by it in place of
// With's; but a slog.Logger makes no record that Enabled refuses, so unless
// Options.NamesOnRecords is set such a name can make a logger quieter and not
// more verbose.
type Handler struct {
	next    slog.Handler
	table   *Table
	open    bool // Options.NamesOnRecords
	grouped bool // attributes that come now are in a group and name nothing
	name    string
	with    []slogworks.GroupOrAttrs // the name as it stands before a record's attributes

	// memo is what the table last said about name: the rules' generation above
	// the lowest 16 bits, which are the level, or noRule. It is no pointer,
	// because Enabled must not allocate after a change either.
	memo atomic.Uint64
}

// noRule is the level in a memo if no rule covers the name. Neither this level
// nor any that 16 bits cannot hold is kept in a memo.
const noRule = math.MinInt16

var _ slogworks.BatchHandler = (*Handler)(nil)

// New returns a handler that passes on to next what the rules of its table let
// through. It panics if next is nil or is slog's own default handler.
func New(next slog.Handler, opts *Options) *Handler {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Table == nil {
		o.Table = new(Table)
	}
	return &Handler{next: stage.Require("levels", next), table: o.Table, open: o.NamesOnRecords}
}

// Table returns the rules, that of the Options or the handler's own.
func (h *Handler) Table() *Table { return h.table }

// Enabled reports whether the level is at least that of the logger, as far as
// its name is known by now, and the next handler is enabled.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	rules := h.table.rules.Load()
	lowest := h.level(rules)
	if h.open && !h.grouped {
		lowest = h.table.lowest(rules)
	}
	return level >= lowest && h.next.Enabled(ctx, level)
}

// level returns the level of the logger that With named.
func (h *Handler) level(rules *ruleset) slog.Level {
	if rules == nil {
		return h.table.baseLevel()
	}
	memo := h.memo.Load()
	if memo>>16 == rules.generation {
		if l := int16(memo); l != noRule {
			return slog.Level(l)
		}
		return h.table.baseLevel()
	}
	level, ok := rules.level(h.name)
	switch {
	case !ok:
		h.memo.Store(rules.generation<<16 | 1<<15)
		return h.table.baseLevel()
	case level > noRule && level <= math.MaxInt16:
		h.memo.Store(rules.generation<<16 | uint64(uint16(level)))
	}
	return level
}

// Handle passes the record on if it is of the level of its logger or above and
// the next handler is enabled, and returns what the next handler returns.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < h.levelOf(&r) || !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// levelOf returns the level of the logger that the record is of.
func (h *Handler) levelOf(r *slog.Record) slog.Level {
	rules := h.table.rules.Load()
	if rules == nil || h.grouped || !mayBeNamed(r) {
		return h.level(rules)
	}
	return h.table.level(rules, slogworks.NewView(*r, h.with...).Logger())
}

// mayBeNamed reports whether the record has an attribute that can be a name or,
// being a group without a name, have one in it.
func mayBeNamed(r *slog.Record) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == slogworks.LoggerKey || a.Key == ""
		return !found
	})
	return found
}

// WithAttrs returns a handler whose next handler has the attributes added. A
// name among them is that of the logger from then on.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	derived := h.derive(h.next.WithAttrs(slices.Clone(attrs)))
	if !h.grouped {
		steps := slices.Concat(h.with, []slogworks.GroupOrAttrs{{Attrs: attrs}})
		derived.setName(slogworks.NewView(slog.Record{}, steps...).Logger())
	}
	return derived
}

// WithGroup returns a handler whose next handler has the group opened.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	derived := h.derive(h.next.WithGroup(name))
	derived.grouped = true
	return derived
}

func (h *Handler) derive(next slog.Handler) *Handler {
	return &Handler{next: next, table: h.table, open: h.open, grouped: h.grouped, name: h.name, with: h.with}
}

func (h *Handler) setName(name string) {
	if name != h.name {
		h.name = name
		h.with = []slogworks.GroupOrAttrs{{Attrs: []slog.Attr{slog.String(slogworks.LoggerKey, name)}}}
	}
}

// Unwrap returns the next handler.
func (h *Handler) Unwrap() slog.Handler { return h.next }

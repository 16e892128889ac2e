// Package redact keeps secrets out of the log: it masks or removes them from a
// record before any handler behind it sees the record.
//
// Secrets are told by key, by path, by patterns of keys and of text, and by Go
// type. They are found in attributes and in those of Logger.With, in groups,
// behind LogValuers, in errors and in the message, and inside of structs, maps,
// slices, pointers and JSON text.
//
// Use it where one rule has to hold for all that a program and its libraries
// log. Put it outside of every handler that keeps, sends or prints records; a
// handler beside it under a fan-out gets the original. For a few keys that are
// logged as plain attributes, slog.HandlerOptions.ReplaceAttr does without this
// package: it sees neither inside of structs and maps, nor a group by its key.
// A type of your own that is always a secret is best given a LogValue method.
// No rule knows a secret that stands under an innocent key and looks like
// nothing in particular.
//
// All of it runs on the goroutine that logs. Nothing starts a goroutine, waits,
// or takes a lock. An attribute of a basic type costs a look at its key, without
// an allocation as long as nothing is to be masked; what With adds is looked at
// once. A struct, map, slice or pointer is marshalled, by encoding/json and by
// fmt, once and for all handlers behind; patterns of text cost what the regexp
// package takes for each string.
//
// Nothing is held back, so nothing is lost when the process ends, whichever way.
// Records are never dropped. What cannot be looked into, because a method of
// it panics, say, is masked.
//
// The smallest program:
//
//	h := redact.New(slog.NewJSONHandler(os.Stderr, nil), nil)
//	slog.New(h).Info("login", "user", "bob", "password", "hunter2")
//	// … "msg":"login","user":"bob","password":"[REDACTED]"
package redact

import (
	"context"
	"log/slog"
	"reflect"
	"regexp"
	"slices"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// Redacted is what stands in the place of a secret, unless Options say
// otherwise.
const Redacted = "[REDACTED]"

// unreadable stands in the place of what could not be looked into.
const unreadable = "[REDACTED: unreadable]"

// Options say what is a secret, and what becomes of it. The zero Options mask
// what stands under one of [CommonKeys].
//
// A secret is masked as a whole, whatever it is: a group under the key
// "password" becomes one string, and so does a map. One kind of mask holds for
// all rules; for two kinds, put one Handler in front of another.
type Options struct {
	// Keys are keys of secrets, in whichever group. Case does not matter, nor
	// do the separators "-", "_", "." and space: "api_key" is also "API-Key"
	// and "apiKey". A key with dots is also known by what follows the last one,
	// so that "password" covers "db.password"; "password" does not cover
	// "db_password". Keys of maps and of JSON, and fields of structs, count too,
	// a field by its name in Go as well as by that in JSON. Letters that only
	// look alike are others. Nil means CommonKeys(); an empty slice that is not
	// nil means none.
	Keys []string

	// Paths are keys of secrets with the groups they stand in, outermost
	// first, separated by dots: "req.headers.authorization". The path starts
	// outside all groups and runs through WithGroup, groups, structs, maps and
	// keys with dots alike; lists are passed through, so that "users.name" is
	// the name of every user. Case, "-", "_" and space do not matter. All below
	// a path is secret. A field of a struct has its name in JSON here.
	Paths []string

	// KeyPatterns match keys of secrets, as they are written and without their
	// groups.
	KeyPatterns []*regexp.Regexp

	// ValuePatterns match secrets in text: the message, strings, errors, bytes,
	// strings and keys inside of structs and maps, and what a value prints of
	// itself. Only the match is masked. A group named "secret", as in
	// `Bearer (?P<secret>\S+)`, narrows that down to what the group matched;
	// other groups mean nothing. Numbers are not text. Passwords in URLs need a
	// pattern: `://[^/\s:@]*:(?P<secret>[^/\s@]+)@`.
	ValuePatterns []*regexp.Regexp

	// Types are Go types whose values are secrets, behind pointers and inside
	// of structs, maps and slices too; an interface type stands for all types
	// that implement it. An error is as secret as any error that it wraps. A
	// list with such an element is masked as a whole, and so is a value with
	// its own MarshalJSON or MarshalText that holds one. To find these, fields
	// that are not exported are read too, without the locks that methods take.
	//
	// Types that slog has a Kind for, such as string and time.Time, cannot be
	// told from others: New panics.
	Types []reflect.Type

	// Text stands in the place of a secret. Empty means Redacted.
	Text string

	// Mask returns what stands in the place of a secret instead of Text; see
	// Hash and Last. What is given is the secret as text: JSON, if it is a
	// struct, map or slice. It may be called from several goroutines at once,
	// and must not log. If it panics, Text is used.
	Mask func(secret string) string

	// Remove leaves secrets out, key and all, instead of masking them. A group
	// that this leaves empty goes too. What ValuePatterns match is cut out of
	// its text.
	Remove bool

	// MaskAny masks structs, maps, slices, arrays, pointers and JSON as a whole
	// instead of looking into them. Errors and bytes are text, and remain.
	MaskAny bool
}

// Handler redacts records and passes them on. It is safe for concurrent use if
// its next handler is.
//
// Time, level and source of a record are left alone, and so are values of the
// kinds bool, number, time and duration, unless their key makes them a secret.
// A group that Logger.WithGroup opens under the key of a secret keeps its name,
// and everything in it is masked.
//
// Nothing that is given is changed: a record with a secret goes on as another
// record. What it had to marshal to look inside, it passes on as it was then,
// so that what was looked at is what is printed: slog's handlers print it as
// they would have printed the value, and another handler no longer meets the
// value's type. If there is a secret inside, or the name of one in what fmt
// prints of unexported fields, slog.TextHandler prints the value as JSON does.
// With a ValuePattern that begins or ends at the end of a text, as "^" and "$"
// have it, it does so for each value that JSON or fmt has braces or brackets
// for. An error without a secret stays the error it is; one with a secret
// becomes an error with another text, that wraps nothing.
//
// Strings and bytes that hold a JSON object, array or string are looked into, also
// behind space or a byte order mark. If they begin like one and are not, they are
// masked as a whole if the name of a secret is in them. Base64, other encodings,
// and bytes behind a pointer or inside of a struct, which encoding/json writes in
// base64, are not looked into.
type Handler struct {
	next  slog.Handler
	rules *rules
	at    *branch // where the paths of secrets go on from here
	// sealed is set in a group whose name makes all in it a secret.
	sealed bool
}

var _ slogworks.BatchHandler = (*Handler)(nil)

// New returns a handler that redacts records and passes them on to next. It
// panics if next is nil or slog's own default handler, if a key or a part of a
// path is empty, if a pattern or a type is nil, or if slog has a Kind for a
// type.
func New(next slog.Handler, opts *Options) *Handler {
	var o Options
	if opts != nil {
		o = *opts
	}
	r := newRules(o)
	return &Handler{next: stage.Require("redact", next), rules: r, at: r.paths}
}

// Enabled reports whether next is enabled.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle passes the record on without its secrets, and returns what next
// returns.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	if h.isPlain(&r) {
		return h.next.Handle(ctx, r)
	}
	var clean slog.Record
	if h.redact(&r, &clean) {
		return h.next.Handle(ctx, clean)
	}
	return h.next.Handle(ctx, r)
}

// isPlain reports whether a glance at r is enough to see that there is nothing
// to redact. It is for the time it saves: most records are plain.
func (h *Handler) isPlain(r *slog.Record) bool {
	plain := !h.sealed && h.rules.isPlainText(r.Message)
	if plain {
		r.Attrs(func(a slog.Attr) bool {
			plain = h.rules.isPlain(h.at, &a)
			return plain
		})
	}
	return plain
}

// redact makes clean what r is without its secrets, and reports whether that is
// another record. If not, clean is left alone.
func (h *Handler) redact(r, clean *slog.Record) (changed bool) {
	message, changed := h.rules.inText(h.at, r.Message)
	if changed {
		*clean = slog.NewRecord(r.Time, r.Level, message, r.PC)
	}
	passed := 0
	r.Attrs(func(a slog.Attr) bool {
		b, v := h.attr(a)
		if v != kept && !changed {
			changed = true
			*clean = slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
			addFirst(clean, r, passed)
		}
		if changed && v != removed {
			clean.AddAttrs(b)
		}
		passed++
		return true
	})
	return changed
}

// addFirst adds the first n attributes of r to clean.
func addFirst(clean, r *slog.Record, n int) {
	r.Attrs(func(a slog.Attr) bool {
		if n == 0 {
			return false
		}
		clean.AddAttrs(a)
		n--
		return true
	})
}

func (h *Handler) attr(a slog.Attr) (slog.Attr, verdict) {
	if h.sealed {
		return h.rules.seal(a)
	}
	return h.rules.attr(h.at, a)
}

// HandleBatch passes b on as one batch, each item without its secrets. It
// returns what next returns.
func (h *Handler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	shared := true
	for i := range b.Items {
		var clean slog.Record
		if !h.redact(&b.Items[i].Record, &clean) {
			continue
		}
		if shared {
			b.Items = slices.Clone(b.Items)
			shared = false
		}
		b.Items[i].Record = clean
	}
	return stage.HandleBatch(ctx, h.next, b)
}

// WithAttrs returns a handler whose next handler has the attributes added,
// without their secrets.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	clean := make([]slog.Attr, 0, len(attrs))
	for _, a := range attrs {
		if b, v := h.attr(a); v != removed {
			clean = append(clean, b)
		}
	}
	if len(clean) == 0 {
		return h
	}
	derived := *h
	derived.next = h.next.WithAttrs(clean)
	return &derived
}

// WithGroup returns a handler whose next handler has the group opened.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	derived := *h
	secret, below := h.rules.key(h.at, name)
	derived.sealed = h.sealed || secret
	derived.at = below
	derived.next = h.next.WithGroup(name)
	return &derived
}

// Unwrap returns the next handler.
func (h *Handler) Unwrap() slog.Handler { return h.next }

package handlertest

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync/atomic"
)

var derivationRules = []rule{
	{"a derived handler is still the wrapper", true, derivedType},
	{"WithAttrs of nothing returns the receiver", true, withoutAttrs},
	{"WithGroup of an empty name returns the receiver", true, withoutGroup},
	{"an empty group name does not reach next", true, emptyGroupForwarded},
	{"next gets an attribute slice of its own", true, ownSlice},
	{"WithAttrs and WithGroup leave the receiver as it was", false, receiverUnchanged},
	{"handlers derived from one handler share no memory", false, siblings},
}

func derivedType(c *check) {
	h := c.wrap(c.next(new(Recorder)))
	for _, v := range variants(h) {
		if reflect.TypeOf(v.handler) != reflect.TypeOf(h) {
			c.Errorf("%s is a %T, while the handler is a %T, so With ends what the handler does: write all four methods, and do not embed slog.Handler, whose WithAttrs and WithGroup return next alone", v.name, v.handler, h)
		}
	}
}

func withoutAttrs(c *check) {
	for _, v := range variants(c.wrap(c.next(new(Recorder)))) {
		for name, none := range map[string][]slog.Attr{"nil": nil, "an empty slice": {}} {
			if !same(v.handler.WithAttrs(none), v.handler) {
				c.Errorf("WithAttrs of %s on %s returns another handler: return the receiver if len(attrs) == 0", name, v.name)
			}
		}
	}
}

func withoutGroup(c *check) {
	for _, v := range variants(c.wrap(c.next(new(Recorder)))) {
		if !same(v.handler.WithGroup(""), v.handler) {
			c.Errorf("WithGroup of an empty name on %s returns another handler: return the receiver if name == \"\"", v.name)
		}
	}
}

// same reports whether two handlers are one as far as can be told: a handler
// may be of a type that == panics on.
func same(a, b slog.Handler) bool {
	if reflect.TypeOf(a) != reflect.TypeOf(b) {
		return false
	}
	return !reflect.ValueOf(a).Comparable() || a == b
}

func emptyGroupForwarded(c *check) {
	var forwarded atomic.Int64
	h := c.wrap(&spy{next: new(Recorder), onGroup: func(name string) {
		if name == "" {
			forwarded.Add(1)
		}
	}})
	for _, v := range variants(h) {
		c.handle(v.handler.WithGroup(""), context.Background(), record("in a group without a name"))
	}
	c.flush(h)
	c.shutdown(h)
	if forwarded.Load() > 0 {
		c.Errorf("WithGroup(\"\") was forwarded to next: only slog.Logger keeps it from handlers, and slog.JSONHandler would print a group without a name; return the receiver if name == \"\"")
	}
}

// ownSlice lets next use what slog.Handler grants it: "The Handler owns the
// slice: it may retain, modify or discard it."
func ownSlice(c *check) {
	rec := new(Recorder)
	h := c.wrap(&spy{next: rec, onAttrs: func(attrs []slog.Attr) {
		attrs = attrs[:cap(attrs)]
		for i := range attrs {
			attrs[i] = attr("scribbled", "by next")
		}
	}})
	ctx := context.Background()
	given := append(make([]slog.Attr, 0, 4), attr("first", "1"), attr("second", "2"))
	kept := slices.Clone(given[:cap(given)])

	one := h.WithAttrs(given)
	two := h.WithAttrs(given)
	inGroup := one.WithGroup("group")
	for round := range 2 {
		c.handle(one, ctx, record(fmt.Sprintf("one, round %d", round)))
		c.handle(two, ctx, record(fmt.Sprintf("two, round %d", round)))
		c.handle(inGroup, ctx, record(fmt.Sprintf("in a group, round %d", round), attr("k", "v")))
	}
	c.flush(h)
	c.shutdown(h)

	const remedy = "WithAttrs must hand next a slice that nobody else has, slices.Clone(attrs), because next may change it"
	if !slices.EqualFunc(kept, given[:cap(given)], slog.Attr.Equal) {
		c.Errorf("next changed the slice that WithAttrs was called with, which slog.MultiHandler, for one, gives to others too: %s", remedy)
	}
	results := c.resultsOf(rec)
	for round := range 2 {
		for _, logger := range []string{"one", "two", "in a group"} {
			result, ok := c.one(results, fmt.Sprintf("%s, round %d", logger, round))
			if ok && (at(result, "first") != "1" || at(result, "second") != "2") {
				c.Errorf("a record has the attributes %v, not those that WithAttrs was called with, after next changed the slice it was given: %s", result, remedy)
			}
		}
	}
}

// spy is a next that shows how handlers are derived from it.
type spy struct {
	next    slog.Handler
	onAttrs func(attrs []slog.Attr) // once next has them
	onGroup func(name string)
}

func (s *spy) Enabled(ctx context.Context, level slog.Level) bool { return s.next.Enabled(ctx, level) }

func (s *spy) Handle(ctx context.Context, r slog.Record) error { return s.next.Handle(ctx, r) }

func (s *spy) WithAttrs(attrs []slog.Attr) slog.Handler {
	derived := *s
	derived.next = s.next.WithAttrs(slices.Clone(attrs))
	if s.onAttrs != nil {
		s.onAttrs(attrs)
	}
	return &derived
}

func (s *spy) WithGroup(name string) slog.Handler {
	derived := *s
	derived.next = s.next.WithGroup(name)
	if s.onGroup != nil {
		s.onGroup(name)
	}
	return &derived
}

func receiverUnchanged(c *check) {
	s := c.subject()
	ctx := context.Background()
	parent := s.handler.WithAttrs([]slog.Attr{attr("parent", "p")})
	for _, h := range []slog.Handler{s.handler, parent} {
		h.WithAttrs([]slog.Attr{attr("child", "c")})
		h.WithGroup("group")
		h.WithGroup("group").WithAttrs([]slog.Attr{attr("child", "c")})
	}
	c.handle(s.handler, ctx, record("root", attr("own", "o")))
	c.handle(parent, ctx, record("parent", attr("own", "o")))

	results := s.arrived()
	for _, message := range []string{"root", "parent"} {
		result, ok := c.one(results, message)
		if !ok {
			continue
		}
		if at(result, "own") != "o" || at(result, "child") != nil || at(result, "group") != nil {
			c.Errorf("after handlers were derived from it, a handler writes %v: WithAttrs and WithGroup must return a new handler and not change the receiver", result)
		}
		if message == "parent" && at(result, "parent") != "p" {
			c.Errorf("a handler lost the attribute that it was derived with, and writes %v", result)
		}
	}
}

// siblings derives from parents of several depths, because a slice that grows
// by append has room for one more at some lengths only.
func siblings(c *check) {
	s := c.subject()
	ctx := context.Background()
	const depths = 9
	parent := s.handler
	for depth := range depths {
		a := parent.WithAttrs([]slog.Attr{attr("sibling", "a")})
		b := parent.WithAttrs([]slog.Attr{attr("sibling", "b")})
		groupA := parent.WithGroup("a")
		groupB := parent.WithGroup("b")
		c.handle(a, ctx, record(fmt.Sprintf("a%d", depth)))
		c.handle(b, ctx, record(fmt.Sprintf("b%d", depth)))
		c.handle(groupA, ctx, record(fmt.Sprintf("group a%d", depth), attr("k", "v")))
		c.handle(groupB, ctx, record(fmt.Sprintf("group b%d", depth), attr("k", "v")))
		parent = parent.WithAttrs([]slog.Attr{attr(fmt.Sprint("depth", depth), "d")})
	}

	results := s.arrived()
	const remedy = "siblings must not append to one slice; copy it, or clip it with slices.Clip, before the append"
	for depth := range depths {
		for _, name := range []string{"a", "b"} {
			if result, ok := c.one(results, fmt.Sprint(name, depth)); ok && at(result, "sibling") != name {
				c.Errorf("handler %q has the attribute of its sibling and writes %v: %s", name, result, remedy)
			}
			if result, ok := c.one(results, fmt.Sprint("group ", name, depth)); ok && at(result, name, "k") != "v" {
				c.Errorf("handler %q has the group of its sibling and writes %v: %s", name, result, remedy)
			}
		}
	}
}

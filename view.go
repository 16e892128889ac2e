package slogworks

import (
	"iter"
	"log/slog"
	"slices"
	"time"
)

// View is a record as a reader of the log sees it: with the attributes and
// groups of the logger that made it. A View is a value; it shares the record's
// attributes, which must not be changed. Like a slog.Record it is safe to read
// from several goroutines.
//
// The zero View is an empty record.
type View struct {
	record slog.Record
	with   []GroupOrAttrs
}

// GroupOrAttrs is one step in the making of a derived handler: a call of
// WithGroup or of WithAttrs. If both fields are set, the group is opened first.
type GroupOrAttrs struct {
	Group string
	Attrs []slog.Attr
}

// NewView returns r as seen through a handler that was derived by the given
// steps, oldest first. Handlers that accept a [Predicate] call it once per
// record, and tests of a Predicate once per case. It does not copy the steps.
func NewView(r slog.Record, with ...GroupOrAttrs) View {
	return View{record: r, with: with}
}

// Level returns the record's level.
func (v View) Level() slog.Level { return v.record.Level }

// Message returns the record's message.
func (v View) Message() string { return v.record.Message }

// Time returns when the record was made; zero means not known.
func (v View) Time() time.Time { return v.record.Time }

// Source returns where the record was made, or nil if that is not known.
func (v View) Source() *slog.Source {
	if source := v.record.Source(); source != nil {
		return source
	}
	// A record that came from another process cannot carry a program counter:
	// it has its source as an attribute.
	if value, ok := v.Attr(slog.SourceKey); ok && value.Kind() == slog.KindAny {
		source, _ := value.Any().(*slog.Source)
		return source
	}
	return nil
}

// Logger returns the logger's name, or "" if it has none. See [LoggerKey].
func (v View) Logger() string {
	name := ""
	for _, step := range v.with {
		if step.Group != "" {
			return name
		}
		for _, a := range step.Attrs {
			name = renamed(name, a)
		}
	}
	v.record.Attrs(func(a slog.Attr) bool {
		name = renamed(name, a)
		return true
	})
	return name
}

func renamed(name string, a slog.Attr) string {
	if a.Key != LoggerKey && a.Key != "" {
		return name
	}
	value := a.Value.Resolve()
	switch {
	case a.Key == LoggerKey && value.Kind() == slog.KindString:
		return value.String()
	case a.Key == "" && value.Kind() == slog.KindGroup:
		// A group without a name is no group: its members stand outside.
		for _, member := range value.Group() {
			name = renamed(name, member)
		}
	}
	return name
}

// Attrs yields the attributes from the outside in and oldest first, duplicates
// included. What stands in a group that WithGroup opened comes as one attribute
// that holds the rest. Groups that hold nothing and zero Attrs are left out, as
// slog's handlers do. Values are as they were logged: a reader calls
// [slog.Value.Resolve].
func (v View) Attrs() iter.Seq[slog.Attr] {
	return func(yield func(slog.Attr) bool) {
		for i, step := range v.with {
			if step.Group != "" {
				if group := v.within(i); len(group) > 0 {
					yield(slog.Attr{Key: step.Group, Value: slog.GroupValue(group...)})
				}
				return
			}
			for _, a := range step.Attrs {
				if !isNothing(a) && !yield(a) {
					return
				}
			}
		}
		v.record.Attrs(func(a slog.Attr) bool { return isNothing(a) || yield(a) })
	}
}

// isNothing reports whether handlers ignore a by the rules of slog.Handler.
func isNothing(a slog.Attr) bool {
	if a.Value.Kind() == slog.KindGroup {
		return len(a.Value.Group()) == 0
	}
	return a.Equal(slog.Attr{})
}

// within returns what the group holds that step i opens.
func (v View) within(i int) []slog.Attr {
	inner := View{record: v.record, with: slices.Clone(v.with[i:])}
	inner.with[0].Group = ""
	return slices.Collect(inner.Attrs())
}

// Attr returns the value at a path of group names that ends in a key, resolved:
// Attr("user") or Attr("request", "id"). It finds the attributes of With and of
// the record alike, in groups however they were made; of duplicates the newest.
// A path that ends at a group gives the group. It reports false if there is
// nothing at the path.
func (v View) Attr(path ...string) (found slog.Value, ok bool) {
	if len(path) == 0 {
		return found, false
	}
	for i, step := range v.with {
		if step.Group != "" {
			if step.Group != path[0] {
				return found, ok
			}
			if len(path) == 1 {
				if group := v.within(i); len(group) > 0 {
					return slog.GroupValue(group...), true
				}
				return found, ok
			}
			path = path[1:]
		}
		if value, has := newest(step.Attrs, path); has {
			found, ok = value, true
		}
	}
	v.record.Attrs(func(a slog.Attr) bool {
		if value, has := lookUp(a, path); has {
			found, ok = value, true
		}
		return true
	})
	return found, ok
}

func newest(attrs []slog.Attr, path []string) (slog.Value, bool) {
	for _, a := range slices.Backward(attrs) {
		if value, ok := lookUp(a, path); ok {
			return value, true
		}
	}
	return slog.Value{}, false
}

// lookUp follows the path into one attribute. The members of a group without a
// name stand where the group stands, as in slog.
func lookUp(a slog.Attr, path []string) (slog.Value, bool) {
	if a.Key == "" {
		if value := a.Value.Resolve(); value.Kind() == slog.KindGroup {
			return newest(value.Group(), path)
		}
	}
	if a.Key != path[0] {
		return slog.Value{}, false
	}
	value := a.Value.Resolve()
	if len(path) == 1 {
		return value, true
	}
	if value.Kind() != slog.KindGroup {
		return slog.Value{}, false
	}
	return newest(value.Group(), path[1:])
}

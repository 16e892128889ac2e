package handlertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strings"
)

var valueRules = []rule{
	{"a LogValuer is evaluated before Handle returns", false, evaluatedValuers},
	{"a value that may change is read before Handle returns", false, readValues},
	{"a LogValuer may log", false, loggingValuer},
	{"groups and values are not modified in place", false, untouchedValues},
	{"an odd value costs no record", false, oddValues},
}

// changing is a LogValuer whose value changes. It does without a lock, so that
// the race detector sees a handler that is late.
type changing struct{ now string }

func (v *changing) LogValue() slog.Value { return slog.StringValue(v.now) }

func evaluatedValuers(c *check) {
	s := c.subject()
	paths := [][]string{{"attr"}, {"group", "attr"}, {"with"}, {"withgroup", "attr"}}
	const n = 50
	for i := range n {
		values := []*changing{{"then"}, {"then"}, {"then"}, {"then"}}
		h := s.handler.WithAttrs([]slog.Attr{
			slog.Any("with", values[2]),
			slog.GroupAttrs("withgroup", slog.Any("attr", values[3])),
		})
		c.handle(h, context.Background(), record(fmt.Sprint("record ", i),
			slog.Any("attr", values[0]),
			slog.GroupAttrs("group", slog.Any("attr", values[1]))))
		for _, v := range values {
			v.now = "later"
		}
	}

	results := s.arrived()
	for _, path := range paths {
		for i := range n {
			result, ok := c.one(results, fmt.Sprint("record ", i))
			if got := at(result, path...); ok && got != "then" {
				c.Errorf("the LogValuer at %q was \"then\" when it was logged and arrived as %q: call Resolve on each value that is kept past Handle, in groups and in the attributes of With too", strings.Join(path, "."), got)
				break
			}
		}
	}
}

// readValues compares records with values that change after Handle with one
// whose values do not, since how handlers print such values is their matter.
func readValues(c *check) {
	type pointed struct{ Text string }
	type values struct {
		pointer *pointed
		table   map[string]string
		list    []string
		bytes   []byte
	}
	then := func() values {
		return values{&pointed{"then"}, map[string]string{"k": "then"}, []string{"then"}, []byte("then")}
	}
	log := func(s *subject, message string, v values) {
		h := s.handler.WithAttrs([]slog.Attr{
			slog.Any("withpointer", v.pointer), slog.Any("withtable", v.table),
			slog.Any("withlist", v.list), slog.Any("withbytes", v.bytes),
		})
		c.handle(h, context.Background(), record(message,
			slog.Any("pointer", v.pointer), slog.Any("table", v.table),
			slog.Any("list", v.list), slog.Any("bytes", v.bytes),
			slog.GroupAttrs("group", slog.Any("pointer", v.pointer))))
	}

	s := c.subject()
	log(s, "reference", then())
	const n = 50
	for i := range n {
		v := then()
		log(s, fmt.Sprint("record ", i), v)
		v.pointer.Text, v.table["k"], v.list[0] = "late", "late", "late"
		copy(v.bytes, "late")
	}

	results := s.arrived()
	reference, ok := c.one(results, "reference")
	if !ok {
		return
	}
	for i := range n {
		result, ok := c.one(results, fmt.Sprint("record ", i))
		if !ok {
			continue
		}
		for _, key := range []string{
			"pointer", "table", "list", "bytes", "group",
			"withpointer", "withtable", "withlist", "withbytes",
		} {
			if !reflect.DeepEqual(result[key], reference[key]) {
				c.Errorf("the value of %q was changed after Handle had returned, and the record shows it: %v instead of %v; what is kept must be copied or printed first", key, result[key], reference[key])
				return
			}
		}
	}
}

// logging is a LogValuer that logs, as one that fetches what it stands for may.
type logging struct{ h slog.Handler }

func (v logging) LogValue() slog.Value {
	// An error shows as a record that is missing.
	_ = v.h.Handle(context.Background(), record("from within LogValue"))
	return slog.StringValue("value")
}

func loggingValuer(c *check) {
	s := c.subject()
	c.call("Handle of a record with a LogValuer that logs through the same handler", func() {
		_ = s.handler.Handle(context.Background(), record("with a LogValuer that logs", slog.Any("k", logging{s.handler})))
	})
	results := s.arrived()
	if result, ok := c.one(results, "with a LogValuer that logs"); ok && at(result, "k") != "value" {
		c.Errorf("a LogValuer that logs arrived as %v", at(result, "k"))
	}
	if count(results, "from within LogValue") == 0 {
		c.Errorf("a record that was logged while another was handled did not arrive; %s", whatArrived(results))
	}
}

func untouchedValues(c *check) {
	s := c.subject()
	group := []slog.Attr{
		attr("text", "t"),
		slog.Any("valuer", &changing{"v"}),
		slog.GroupAttrs("inner", attr("k", "v")),
	}
	bytes := []byte("bytes")
	table := map[string]string{"k": "v"}
	wantGroup, wantBytes, wantTable := slices.Clone(group), "bytes", map[string]string{"k": "v"}

	attrs := []slog.Attr{
		{Key: "group", Value: slog.GroupValue(group...)},
		slog.Any("bytes", bytes),
		slog.Any("table", table),
	}
	for _, v := range variants(s.handler.WithAttrs(slices.Clone(attrs))) {
		c.handle(v.handler, context.Background(), record(v.name, attrs...))
	}
	s.arrived()

	const remedy = "which other handlers and later records share; Record.Clone does not copy it, so build a new one"
	if !slices.EqualFunc(group, wantGroup, slog.Attr.Equal) {
		c.Errorf("a slice of group members was changed to %v, %s", group, remedy)
	}
	if string(bytes) != wantBytes {
		c.Errorf("a byte slice was changed to %q, %s", bytes, remedy)
	}
	if !reflect.DeepEqual(table, wantTable) {
		c.Errorf("a map was changed to %v, %s", table, remedy)
	}
}

type (
	panickingValuer  struct{}
	panickingString  struct{}
	panickingJSON    struct{}
	panickingText    struct{}
	panickingError   struct{}
	failingJSON      struct{}
	endlessValuer    struct{}
	pointerlessError struct{ text string }
)

func (panickingValuer) LogValue() slog.Value             { panic("LogValue panics") }
func (panickingString) String() string                   { panic("String panics") }
func (panickingJSON) MarshalJSON() ([]byte, error)       { panic("MarshalJSON panics") }
func (panickingText) MarshalText() ([]byte, error)       { panic("MarshalText panics") }
func (panickingError) Error() string                     { panic("Error panics") }
func (failingJSON) MarshalJSON() ([]byte, error)         { return nil, errors.New("MarshalJSON fails") }
func (v endlessValuer) LogValue() slog.Value             { return slog.AnyValue(v) }
func (e *pointerlessError) Error() string                { return e.text }
func (e *pointerlessError) MarshalJSON() ([]byte, error) { return json.Marshal(e.text) }

func oddValues(c *check) {
	nested := attr("k", "v")
	for range 100 {
		nested = slog.GroupAttrs("g", nested)
	}
	odd := []struct {
		what string
		attr slog.Attr
	}{
		{"a LogValuer that panics", slog.Any("k", panickingValuer{})},
		{"a LogValuer without an end", slog.Any("k", endlessValuer{})},
		{"a nil pointer to a LogValuer", slog.Any("k", (*changing)(nil))},
		{"a Stringer that panics", slog.Any("k", panickingString{})},
		{"a json.Marshaler that panics", slog.Any("k", panickingJSON{})},
		{"a json.Marshaler that fails", slog.Any("k", failingJSON{})},
		{"a TextMarshaler that panics", slog.Any("k", panickingText{})},
		{"an error that panics", slog.Any("k", panickingError{})},
		{"a nil pointer to an error", slog.Any("k", (*pointerlessError)(nil))},
		{"a nil error", slog.Any("k", error(nil))},
		{"a channel", slog.Any("k", make(chan int))},
		{"a function", slog.Any("k", func() {})},
		{"a value that == panics on", slog.Any("k", [1]any{[]int{1}})},
		{"an empty attribute", slog.Attr{}},
		{"an empty key", attr("", "v")},
		{"an empty key and nil", slog.Any("", nil)},
		{"an empty group", slog.GroupAttrs("g")},
		{"a group in a group, a hundred times", nested},
		{"a number that is none", slog.Float64("k", math.NaN())},
		{"an infinite number", slog.Float64("k", math.Inf(-1))},
		{"invalid UTF-8", attr("k\xff", "v\xff")},
		{"control characters", attr("k\n\x00", "v\r\n\x1b[31m")},
		{"a key of slog's own", attr(slog.LevelKey, "v")},
	}
	s := c.subject()
	logged := func(message string, h slog.Handler, attrs ...slog.Attr) {
		var err error
		c.call("Handle of "+message, func() { err = h.Handle(context.Background(), record(message, attrs...)) })
		if err != nil {
			c.Errorf("Handle of %s returned %q", message, err)
		}
	}
	for _, o := range odd {
		logged(o.what, s.handler, o.attr)
		logged(o.what+" in a group", s.handler, slog.GroupAttrs("group", attr("before", "b"), o.attr))
		var h slog.Handler
		c.call("WithAttrs of "+o.what, func() { h = s.handler.WithAttrs([]slog.Attr{o.attr}) })
		logged(o.what+" in With", h)
	}
	const megabyte = "a string of a megabyte"
	logged(megabyte, s.handler, attr("k", strings.Repeat("x", 1<<20)))
	logged("a message with \xff in it", s.handler, attr("identified", "by this"))

	results := s.arrived()
	messages := []string{megabyte}
	for _, o := range odd {
		messages = append(messages, o.what, o.what+" in a group", o.what+" in With")
	}
	for _, message := range messages {
		if n := count(results, message); n != 1 {
			c.Errorf("a record with %s arrived %d times: print something in place of what cannot be printed, and keep the rest; %s", message, n, whatArrived(results))
		}
	}
	if !slices.ContainsFunc(results, func(result map[string]any) bool { return at(result, "identified") == "by this" }) {
		c.Errorf("a record whose message is invalid UTF-8, with the attribute identified=this, did not arrive; %s", whatArrived(results))
	}
}

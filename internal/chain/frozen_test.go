package chain_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks/internal/chain"
)

func TestFreeze_survivesWhatContainsItself(t *testing.T) {
	m := map[string]any{}
	m["self"] = m
	list := []any{nil}
	list[0] = list
	type named map[string]named
	recursive := named{}
	recursive["self"] = recursive
	part := make([]any, 2)
	part[1] = part[:2]
	// encoding/json gives up on the channel before it meets the loop, does not
	// look at the private field, and knows nothing of what the marshaler holds.
	channel := []any{make(chan int), nil}
	channel[1] = channel
	private := struct{ loop map[string]any }{m}
	inArray := [1]any{m}
	for name, x := range map[string]any{
		"a map":                        m,
		"a pointer to a map":           &m,
		"a slice":                      list,
		"a recursive map type":         recursive,
		"a part of a slice":            part,
		"a loop in a struct":           struct{ X any }{map[string]any{"a": []any{1, m}}},
		"a loop in an array":           inArray,
		"a loop after a channel":       channel,
		"a loop in a private field":    private,
		"a loop in what a pointer has": &private,
		"a loop that marshals as JSON": quietJSON(m),
		"a loop deep down":             []any{[]any{map[string]any{"x": struct{ Y any }{list}}}},
		"a private loop with String":   struct{ x quietLoop }{quietLoop(m)}, // fmt calls no methods of private fields
	} {
		t.Run(name, func(t *testing.T) {
			frozen, ok := chain.Freeze(slog.AnyValue(x)).Any().(*chain.Frozen)
			if !ok {
				t.Fatal("not a Frozen")
			}
			if want := fmt.Sprintf("!ERROR:%T contains itself", x); frozen.String() != want {
				t.Errorf("text %q, want %q", frozen.String(), want)
			}
			// The JSON handler has a guard of its own, whose words are kept.
			var want, got bytes.Buffer
			slog.New(slog.NewJSONHandler(&want, dropTime)).Info("", "key", x)
			slog.New(slog.NewJSONHandler(&got, dropTime)).Info("", "key", frozen)
			if got.String() != want.String() {
				t.Errorf("JSON\n got %s\nwant %s", &got, &want)
			}
		})
	}
}

var dropTime = &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}}

type quietJSON map[string]any

func (quietJSON) MarshalJSON() ([]byte, error) { return []byte(`"fine"`), nil }

func TestFrozen_isWhatFreezesToTheSame(t *testing.T) {
	frozen := chain.Freeze(slog.AnyValue(map[string]int{"a": 1})).Any().(*chain.Frozen)
	for _, x := range []any{map[string]int{"a": 1}, map[string]any{"a": 1}, stringerMap{"a": 1}, frozen} {
		_, differs := x.(stringerMap)
		if got := frozen.Is(x); got == differs {
			t.Errorf("Is(%T) = %v", x, got)
		}
	}
	for _, x := range []any{nil, 1, "map[a:1]", map[string]int{"a": 2}, (*flatStruct)(nil), make(chan int), panicsJSON{[]any{1}}} {
		if frozen.Is(x) {
			t.Errorf("Is(%T) = true", x)
		}
	}
	if null := chain.Freeze(slog.AnyValue((*flatStruct)(nil))).Any().(*chain.Frozen); !null.Is(nil) {
		t.Error("a nil pointer does not freeze to what nil prints")
	}
}

type stringerMap map[string]int

func (stringerMap) String() string { return "a map" }

func TestFrozen_marshalsWhatTheHandlersPrint(t *testing.T) {
	frozen := chain.Freeze(slog.AnyValue(struct{ X []string }{[]string{"<a>"}})).Any().(*chain.Frozen)
	doc, err := frozen.MarshalJSON()
	if err != nil || string(doc) != `{"X":["<a>"]}` {
		t.Errorf("MarshalJSON = %s, %v", doc, err)
	}
	text, err := frozen.MarshalText()
	if err != nil || string(text) != "{X:[<a>]}" || frozen.String() != string(text) {
		t.Errorf("MarshalText = %s, %v; String = %s", text, err, frozen)
	}
	text[0] = '!'
	if frozen.String() != "{X:[<a>]}" {
		t.Error("MarshalText gives away the text itself")
	}
}

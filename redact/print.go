package redact

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	"github.com/slogworks/slogworks/internal/chain"
)

// printed is what slog's handlers print of a value.
type printed struct {
	json []byte
	text string
	as   *chain.Frozen // what they can be given instead; nil for a value that cannot change
}

// show returns what is printed of x. It reports false if a method of x panics:
// what that panics with may be a secret.
func show(x any) (p printed, ok bool) {
	frozen, isFrozen := x.(*chain.Frozen)
	if !isFrozen {
		if _, isError := x.(error); !isError {
			frozen, isFrozen = chain.Freeze(slog.AnyValue(x)).Any().(*chain.Frozen)
		}
	}
	if isFrozen {
		doc, _ := frozen.MarshalJSON()
		p = printed{doc, frozen.String(), frozen}
	} else {
		if panics(func() { p = printed{json: jsonOf(x), text: textOf(x)} }) {
			return p, false
		}
	}
	const fromSlog, fromFmt = "!PANIC: ", "(PANIC="
	if bytes.HasPrefix(p.json, []byte(`"`+fromSlog)) || strings.HasPrefix(p.text, fromSlog) || strings.Contains(p.text, fromFmt) {
		return p, false
	}
	return p, true
}

// panics calls f and reports whether that panics.
func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return
}

func jsonOf(x any) []byte {
	if e, ok := x.(error); ok {
		if _, marshals := x.(json.Marshaler); !marshals {
			x = e.Error()
		}
	}
	doc, err := marshal(x)
	if err != nil {
		doc, _ = marshal("!ERROR:" + err.Error())
	}
	return doc
}

func marshal(x any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(x)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func textOf(x any) string {
	if m, ok := x.(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			return "!ERROR:" + err.Error()
		}
		return string(text)
	}
	if v := reflect.ValueOf(x); v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		return string(v.Bytes())
	}
	return fmt.Sprintf("%+v", x)
}

// MarshalJSON and MarshalText make a Frozen of what is printed.
func (p printed) MarshalJSON() ([]byte, error) { return p.json, nil }
func (p printed) MarshalText() ([]byte, error) { return []byte(p.text), nil }

func (p printed) frozen() *chain.Frozen {
	return chain.Freeze(slog.AnyValue(p)).Any().(*chain.Frozen)
}

// inPrinted redacts what is printed of a value; typed leads to secrets in it. In
// the text nobody can tell where a secret ends, so if there may be one, JSON is
// the text.
func (r *rules) inPrinted(at *branch, typed *branch, was printed) (is printed, differs bool) {
	is = was
	is.json, differs = r.inDocument(at, typed, was.json)
	isContainer := bytes.HasPrefix(is.json, []byte("{")) || bytes.HasPrefix(is.json, []byte("["))
	if differs || typed != nil || r.anchored && (isContainer || isPrintedContainer(was.text)) || r.isNamedIn(was.text) {
		is.text = string(is.json)
		if !isContainer {
			is.text = unquote(is.json)
		}
	} else {
		is.text, _ = r.inText(at, was.text)
	}
	return is, differs || is.text != was.text
}

// isPrintedContainer reports whether text looks as fmt prints what holds values.
func isPrintedContainer(text string) bool {
	return strings.HasPrefix(text, "map[") || text != "" && strings.IndexByte("{[&", text[0]) >= 0
}

package redact

import (
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"

	"github.com/slogworks/slogworks/internal/chain"
)

// verdict is what became of an attribute or of a value.
type verdict int

const (
	kept    verdict = iota // nothing: what was given is to be used
	changed                // another is to be used
	removed                // none is to be used
)

// isPlain reports whether a glance is enough to see that there is nothing to
// redact.
func (r *rules) isPlain(at *branch, a *slog.Attr) bool {
	switch a.Value.Kind() {
	case slog.KindString:
		if !r.isPlainText(a.Value.String()) {
			return false
		}
	case slog.KindGroup, slog.KindAny, slog.KindLogValuer:
		return false
	}
	if len(r.keyPatterns) > 0 {
		return false
	}
	if !r.names.mayHave(a.Key) {
		return true
	}
	secret, _ := r.name(at, a.Key)
	return !secret
}

func (r *rules) isPlainText(text string) bool {
	return len(r.patterns) == 0 && !beginsLikeJSON(bare(text))
}

// attr redacts an attribute that stands at the given place.
func (r *rules) attr(at *branch, a slog.Attr) (slog.Attr, verdict) {
	below := at
	if a.Key != "" { // else, if it is a group, its members stand where it stands
		var secret bool
		if secret, below = r.key(at, a.Key); secret {
			return r.seal(a)
		}
	}
	switch a.Value.Kind() {
	case slog.KindString, slog.KindGroup, slog.KindAny, slog.KindLogValuer:
		value, v := r.value(below, a.Value)
		if v == kept {
			return a, kept
		}
		return slog.Attr{Key: a.Key, Value: value}, v
	}
	return a, kept
}

// value redacts a value that is not secret as such.
func (r *rules) value(at *branch, value slog.Value) (slog.Value, verdict) {
	switch value.Kind() {
	case slog.KindString:
		if text, differs := r.inText(at, value.String()); differs {
			return slog.StringValue(text), changed
		}
	case slog.KindGroup:
		return r.group(at, value)
	case slog.KindLogValuer:
		return r.valuer(at, value)
	case slog.KindAny:
		return r.any(at, value)
	}
	return value, kept
}

func (r *rules) group(at *branch, value slog.Value) (slog.Value, verdict) {
	members := value.Group()
	var clean []slog.Attr
	result := kept
	for i, a := range members {
		b, v := r.attr(at, a)
		if v != kept && clean == nil {
			clean = append(make([]slog.Attr, 0, len(members)), members[:i]...)
			result = changed
		}
		if clean != nil && v != removed {
			clean = append(clean, b)
		}
	}
	if result == kept {
		return value, kept
	}
	// slog.JSONHandler writes invalid JSON for a group that has members, none of
	// which it prints.
	if isHollow(clean) {
		return slog.Value{}, removed
	}
	return slog.GroupValue(clean...), changed
}

// isHollow reports whether nothing of the attributes is printed.
func isHollow(attrs []slog.Attr) bool {
	for _, a := range attrs {
		if a.Value.Kind() == slog.KindGroup {
			if !isHollow(a.Value.Group()) {
				return false
			}
		} else if !a.Equal(slog.Attr{}) {
			return false
		}
	}
	return true
}

// maxValuers is how many LogValuers may lead to one another, as in slog.
const maxValuers = 100

func (r *rules) valuer(at *branch, value slog.Value) (slog.Value, verdict) {
	for range maxValuers {
		if r.isSecretType(value.Any()) {
			return r.hide(value)
		}
		valuer := value.LogValuer()
		if panics(func() { value = valuer.LogValue() }) {
			break
		}
		if value.Kind() == slog.KindLogValuer {
			continue
		}
		clean, v := r.value(at, value)
		return clean, max(v, changed) // what LogValue returns next time is another matter
	}
	return slog.StringValue(unreadable), changed
}

// any redacts what slog has no Kind for.
func (r *rules) any(at *branch, value slog.Value) (slog.Value, verdict) {
	x := value.Any()
	if x == nil {
		return value, kept
	}
	if r.isSecretType(x) {
		return r.hide(value)
	}
	switch x := x.(type) {
	case *slog.Source:
		return value, kept
	case error:
		return r.err(at, x)
	}
	if b, ok := bytesIn(x); ok {
		if text, differs := r.inText(at, string(b)); differs {
			return slog.AnyValue([]byte(text)), changed
		}
		return value, kept
	}
	if r.maskAny && isComposite(x) {
		return r.hide(value)
	}
	if raw, ok := x.(json.RawMessage); ok {
		return r.raw(at, raw)
	}
	was, ok := show(x)
	if !ok {
		return slog.StringValue(unreadable), changed
	}
	is, differs := r.inPrinted(at, r.typesIn(x), was)
	switch {
	case differs:
		return slog.AnyValue(is.frozen()), changed
	case was.as != nil && was.as != x:
		return slog.AnyValue(was.as), changed
	}
	return value, kept
}

// raw redacts JSON that prints as it is, in the form of slog.TextHandler too.
func (r *rules) raw(at *branch, raw json.RawMessage) (slog.Value, verdict) {
	if !json.Valid(raw) {
		if text, differs := r.inText(at, string(raw)); differs {
			return slog.StringValue(text), changed
		}
	} else if doc, differs := r.inDocument(at, nil, raw); differs {
		return slog.AnyValue(json.RawMessage(doc)), changed
	}
	return slog.AnyValue(raw), kept
}

// bytesIn returns the bytes of a byte slice of whatever type that does not print
// itself, and so prints as any other.
func bytesIn(x any) (b []byte, ok bool) {
	if b, ok = x.([]byte); ok {
		return b, true
	}
	t := reflect.TypeOf(x)
	if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Uint8 || printsItself(t) {
		return nil, false
	}
	return reflect.ValueOf(x).Bytes(), true
}

func isComposite(x any) bool {
	switch reflect.TypeOf(x).Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array, reflect.Pointer, reflect.Func, reflect.Chan:
		return true
	}
	return false
}

// err redacts an error. One that does not print itself in ways of its own is
// nothing but its text to handlers.
func (r *rules) err(at *branch, e error) (slog.Value, verdict) {
	var message string
	if panics(func() { message = e.Error() }) {
		if v := reflect.ValueOf(e); v.Kind() == reflect.Pointer && v.IsNil() {
			return slog.AnyValue(e), kept // slog prints <nil>
		}
		return slog.StringValue(unreadable), changed
	}
	clean, differs := r.inText(at, message)
	switch e.(type) {
	case json.Marshaler, encoding.TextMarshaler, fmt.Formatter:
		was, ok := show(e)
		if !ok {
			return slog.StringValue(unreadable), changed
		}
		is, printsOther := r.inPrinted(at, r.typesIn(e), was)
		if printsOther || differs {
			return slog.AnyValue(&printedError{is.frozen(), clean}), changed
		}
	}
	if differs {
		return slog.AnyValue(&plainError{clean}), changed
	}
	return slog.AnyValue(e), kept
}

// plainError stands for an error whose text had a secret in it. It does not
// unwrap to that: who prints what an error wraps would print the secret.
type plainError struct{ text string }

func (e *plainError) Error() string { return e.text }

// printedError stands for an error that prints itself, with a secret in it.
type printedError struct {
	*chain.Frozen
	text string
}

func (e *printedError) Error() string { return e.text }

package chain

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Frozen is what is kept of a value that could have changed: what
// slog.JSONHandler and slog.TextHandler would have printed for it. Both print
// a Frozen byte for byte as they would have printed the value; a marshaler
// that failed or panicked is reported in their words. Freezing a Frozen gives
// the same Frozen.
//
// There are two exceptions. A map or slice that contains itself, on which
// slog.TextHandler ends the process, is reported as an error. And JSON nested
// deeper than the 10000 levels that encoding/json reads is one to
// slog.JSONHandler.
type Frozen struct {
	json []byte
	text string
}

var (
	_ json.Marshaler         = (*Frozen)(nil)
	_ encoding.TextMarshaler = (*Frozen)(nil)
	_ fmt.Stringer           = (*Frozen)(nil)
)

// Print returns what is kept of x, even if x could not change.
func Print(x any) *Frozen {
	doc, err := Attempt(encodeJSON, x)
	if err != nil {
		doc, _ = encodeJSON(err.Error())
		doc = []byte(controls.Replace(string(doc)))
	}
	text, err := Attempt(encodeText, x)
	if err != nil {
		text = []byte(err.Error())
	}
	return &Frozen{json: doc, text: string(text)}
}

// controls turns the two escapes of encoding/json that slog does not use, which
// writes its own words without encoding/json, into those that it does.
var controls = strings.NewReplacer(`\\`, `\\`, `\b`, `\u0008`, `\f`, `\u000c`)

// MarshalJSON returns what slog.JSONHandler prints. The bytes are shared and
// must not be changed.
func (f *Frozen) MarshalJSON() ([]byte, error) { return f.json, nil }

// MarshalText returns what slog.TextHandler prints, before it adds quotes.
func (f *Frozen) MarshalText() ([]byte, error) { return []byte(f.text), nil }

// String returns what slog.TextHandler prints, before it adds quotes.
func (f *Frozen) String() string { return f.text }

// Is reports whether x would freeze to the same. It is how a predicate, which
// was given a value to look for, recognises it in a frozen record.
func (f *Frozen) Is(x any) bool {
	other, ok := x.(*Frozen)
	if !ok {
		other = Print(x)
	}
	return bytes.Equal(f.json, other.json) && f.text == other.text
}

// Attempt calls encode and gives a failure or a panic the words that slog's
// handlers have for it.
func Attempt[T, R any](encode func(T) (R, error), x T) (out R, err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if v := reflect.ValueOf(x); v.Kind() == reflect.Pointer && v.IsNil() {
			err = errors.New("<nil>")
			return
		}
		err = fmt.Errorf("!PANIC: %v", p)
	}()
	out, err = encode(x)
	if err != nil {
		err = fmt.Errorf("!ERROR:%w", err)
	}
	return out, err
}

func encodeJSON(x any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(x); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func encodeText(x any) ([]byte, error) {
	if m, ok := x.(encoding.TextMarshaler); ok {
		return m.MarshalText()
	}
	if isEndless(reflect.ValueOf(x)) {
		return nil, fmt.Errorf("%T contains itself", x)
	}
	return fmt.Appendf(nil, "%+v", x), nil
}

// container is a map or a slice, told apart from all others in memory.
type container struct {
	kind    reflect.Type
	pointer uintptr
	length  int
}

// isEndless reports whether fmt would follow v until the stack ends the
// process, because a map or a slice in it contains itself.
func isEndless(v reflect.Value) bool {
	if !v.IsValid() || formatsItself(v.Type()) {
		return false
	}
	// Only this pointer is followed; those further in print as addresses.
	if v.Kind() == reflect.Pointer {
		if v = v.Elem(); v.Kind() == reflect.Interface {
			return false
		}
	}
	return comesBack(v, map[container]bool{})
}

// comesBack reports whether v leads to a map or slice that v is in. It goes
// the way that fmt goes.
func comesBack(v reflect.Value, above map[container]bool) bool {
	switch v.Kind() {
	case reflect.Interface:
		return comesBack(v.Elem(), above)
	case reflect.Struct, reflect.Array, reflect.Slice, reflect.Map:
	default:
		return false
	}
	if v.CanInterface() && formatsItself(v.Type()) {
		return false
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if comesBack(v.Field(i), above) {
				return true
			}
		}
		return false
	case reflect.Array:
		return comesBackIn(v, above)
	}
	if !hasParts(v.Type().Elem()) {
		return false
	}
	here := container{v.Type(), v.Pointer(), v.Len()}
	if above[here] {
		return true
	}
	above[here] = true
	defer delete(above, here)
	if v.Kind() == reflect.Slice {
		return comesBackIn(v, above)
	}
	for entries := v.MapRange(); entries.Next(); {
		if comesBack(entries.Value(), above) {
			return true
		}
	}
	return false
}

func comesBackIn(list reflect.Value, above map[container]bool) bool {
	if !hasParts(list.Type().Elem()) {
		return false
	}
	for i := range list.Len() {
		if comesBack(list.Index(i), above) {
			return true
		}
	}
	return false
}

func hasParts(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface, reflect.Struct, reflect.Array, reflect.Slice, reflect.Map:
		return true
	}
	return false
}

// formatsItself reports whether fmt calls a method of values of type t.
func formatsItself(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[fmt.Formatter]()) ||
		t.Implements(reflect.TypeFor[fmt.Stringer]()) ||
		t.Implements(reflect.TypeFor[error]())
}

// Size returns how many bytes of memory f takes, about.
func (f *Frozen) Size() int { return 64 + len(f.json) + len(f.text) }

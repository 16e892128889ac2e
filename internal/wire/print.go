package wire

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// print returns what slog.JSONHandler and slog.TextHandler print for a value
// that could not change and so was not frozen, in their words if it fails.
func print(x any) (doc []byte, text string) {
	doc, err := attempt(encodeJSON, x)
	if err != nil {
		doc = appendString(nil, err.Error())
	}
	text, err = attempt(encodeText, x)
	if err != nil {
		text = err.Error()
	}
	return doc, text
}

// attempt calls f and words a failure or a panic as slog's handlers do.
func attempt[T, R any](f func(T) (R, error), x T) (out R, err error) {
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
	out, err = f(x)
	if err != nil {
		err = fmt.Errorf("!ERROR:%w", err)
	}
	return out, err
}

func encodeJSON(x any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(x)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func encodeText(x any) (string, error) {
	if m, ok := x.(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		return string(text), err
	}
	if isBytes(x) {
		return string(reflect.ValueOf(x).Bytes()), nil
	}
	return fmt.Sprintf("%+v", x), nil
}

func errorText(err error) (string, error) { return err.Error(), nil }

func isBytes(x any) bool {
	t := reflect.TypeOf(x)
	return t != nil && t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// isPlainBytes reports whether the handlers print x as they print a []byte.
func isPlainBytes(x any) bool {
	if !isBytes(x) || reflect.TypeOf(x).Elem().NumMethod() > 0 {
		return false
	}
	_, isJSON := x.(json.Marshaler)
	_, isText := x.(encoding.TextMarshaler)
	return !isJSON && !isText
}

// An Error is what is left of an error that came from another process, or from
// this one in earlier times.
type Error struct{ text, kind, verbose string }

// Error returns the text of the original.
func (e *Error) Error() string { return e.text }

// Type returns the Go type of the original, as in "*net.OpError".
func (e *Error) Type() string { return e.kind }

// MarshalText returns what slog.TextHandler prints, which is more than the text
// if the original formatted itself, perhaps with its stack.
func (e *Error) MarshalText() ([]byte, error) { return []byte(e.verbose), nil }

// printed is a value that prints itself as another did, until it is frozen.
type printed struct {
	doc  []byte
	text string
}

func (p *printed) MarshalJSON() ([]byte, error) { return p.doc, nil }
func (p *printed) MarshalText() ([]byte, error) { return []byte(p.text), nil }

// validUTF8 replaces what is no part of a character.
func validUTF8(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

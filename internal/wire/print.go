package wire

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/slogworks/slogworks/internal/chain"
)

// print returns what slog.JSONHandler and slog.TextHandler print for a value
// that could not change and so was not frozen, in their words if it fails.
func print(x any) (doc []byte, text string) {
	f := chain.Print(x)
	doc, _ = f.MarshalJSON() // never fails
	if _, ok := x.(encoding.TextMarshaler); !ok && isBytes(x) {
		return doc, string(reflect.ValueOf(x).Bytes())
	}
	return doc, f.String()
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

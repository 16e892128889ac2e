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
type Frozen struct {
	json []byte
	text string
}

var (
	_ json.Marshaler         = (*Frozen)(nil)
	_ encoding.TextMarshaler = (*Frozen)(nil)
	_ fmt.Stringer           = (*Frozen)(nil)
)

func newFrozen(x any) *Frozen {
	doc, err := attempt(encodeJSON, x)
	if err != nil {
		doc, _ = encodeJSON(err.Error())
	}
	f := &Frozen{json: doc}
	if isCycle(err) {
		// fmt would follow the cycle until the stack ends the process.
		f.text = err.Error()
		return f
	}
	text, err := attempt(encodeText, x)
	if err != nil {
		text = []byte(err.Error())
	}
	f.text = string(text)
	return f
}

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
		other = newFrozen(x)
	}
	return bytes.Equal(f.json, other.json) && f.text == other.text
}

// attempt calls encode and gives a failure or a panic the words that slog's
// handlers have for it.
func attempt(encode func(any) ([]byte, error), x any) (out []byte, err error) {
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
	return fmt.Appendf(nil, "%+v", x), nil
}

func isCycle(err error) bool {
	var unsupported *json.UnsupportedValueError
	return errors.As(err, &unsupported) && strings.HasPrefix(unsupported.Str, "encountered a cycle")
}

package syslog

import (
	"encoding"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/slogworks/slogworks/internal/chain"
)

// attrs writes the attributes of a record, and what else its head has no room
// for.
func (e *encoder) attrs(r *slog.Record, exact bool) {
	if !exact {
		e.param("level", slog.StringValue(r.Level.String()))
	}
	if e.addSource {
		if source := r.Source(); source != nil {
			e.param(slog.SourceKey, slog.AnyValue(source))
		}
	}
	r.Attrs(e.attr)
	if e.limit > 0 {
		e.end, e.name = 0, e.name[:0] // there is room for it
		e.param(truncated, slog.IntValue(e.size))
	}
}

func (e *encoder) param(name string, v slog.Value) {
	e.attr(slog.Attr{Key: name, Value: v})
}

// attr reports false if the attribute was left out because there is no room for
// it.
func (e *encoder) attr(a slog.Attr) bool {
	v := a.Value.Resolve()
	outer := len(e.name)
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			e.appendName(a.Key)
			e.name = append(e.name, '.')
		}
		for _, member := range v.Group() {
			if !e.attr(member) {
				return false
			}
		}
		e.name = e.name[:outer]
		return true
	}
	if a.Key == "" && v.Kind() == slog.KindAny && v.Any() == nil {
		return true // the zero Attr, which handlers leave out
	}
	e.appendName(a.Key)
	if len(e.name) == outer {
		e.name = append(e.name, '_')
	}
	before := len(e.buf)
	if e.is5424 {
		e.structured(v)
	} else {
		e.plain(v)
	}
	e.name = e.name[:outer]
	if e.end > 0 && len(e.buf) > e.end-tailRoom {
		e.buf = e.buf[:before]
		return false
	}
	e.params++
	return true
}

// tailRoom is what may come behind the attributes of a message that is too long:
// the mark, and a text of the least length, of which each byte may become four.
const tailRoom = 128

// appendName appends what is allowed in a name.
func (e *encoder) appendName(name string) {
	for _, r := range name {
		if r < utf8.RuneSelf && isNameByte(byte(r)) {
			e.name = append(e.name, byte(r))
		} else {
			e.name = append(e.name, '_')
		}
	}
}

// structured writes an SD-PARAM of RFC 5424, section 6.3.3.
func (e *encoder) structured(v slog.Value) {
	if e.params == 0 {
		e.buf = append(e.buf, '[')
		e.buf = append(e.buf, e.sdID...)
	}
	e.buf = append(e.buf, ' ')
	e.buf = append(e.buf, e.name[max(0, len(e.name)-maxName):]...)
	e.buf = append(e.buf, '=', '"')
	e.value(v, `"\]`)
	e.buf = append(e.buf, '"')
}

// plain writes name=value as slog.TextHandler does.
func (e *encoder) plain(v slog.Value) {
	e.buf = append(e.buf, ' ')
	e.buf = append(e.buf, e.name...)
	e.buf = append(e.buf, '=')
	begin := len(e.buf)
	e.value(v, "")
	if needsQuotes(e.buf[begin:]) {
		text := string(e.buf[begin:])
		e.buf = strconv.AppendQuote(e.buf[:begin], text)
	}
}

func needsQuotes(text []byte) bool {
	if len(text) == 0 {
		return true
	}
	for _, r := range string(text) {
		if r == ' ' || r == '"' || r == '=' || !unicode.IsPrint(r) {
			return true
		}
	}
	return false
}

// value writes what slog.TextHandler prints, before it adds quotes, but times
// with all their digits.
func (e *encoder) value(v slog.Value, special string) {
	switch v.Kind() {
	case slog.KindString:
		e.text(v.String(), special)
	case slog.KindInt64:
		e.buf = strconv.AppendInt(e.buf, v.Int64(), 10)
	case slog.KindUint64:
		e.buf = strconv.AppendUint(e.buf, v.Uint64(), 10)
	case slog.KindFloat64:
		e.buf = strconv.AppendFloat(e.buf, v.Float64(), 'g', -1, 64)
	case slog.KindBool:
		e.buf = strconv.AppendBool(e.buf, v.Bool())
	case slog.KindDuration:
		e.buf = append(e.buf, v.Duration().String()...)
	case slog.KindTime:
		e.text(v.Time().Format(time.RFC3339Nano), special)
	default:
		e.text(textOf(v), special)
	}
}

func textOf(v slog.Value) string {
	switch x := v.Any().(type) {
	case nil:
		return "<nil>"
	case *chain.Frozen:
		return x.String()
	case *slog.Source:
		if x != nil {
			return x.File + ":" + strconv.Itoa(x.Line)
		}
	case []byte:
		return string(x)
	case error:
		_, formats := x.(fmt.Formatter)
		_, marshals := x.(encoding.TextMarshaler)
		if formats || marshals {
			break
		}
		text, err := chain.Attempt(func(err error) (string, error) { return err.Error(), nil }, x)
		if err == nil {
			return text
		}
	}
	x := chain.Freeze(v).Any() // guards against what would end the process
	if frozen, ok := x.(*chain.Frozen); ok {
		return frozen.String()
	}
	if _, ok := x.(encoding.TextMarshaler); !ok {
		if t := reflect.TypeOf(x); t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			return string(reflect.ValueOf(x).Bytes())
		}
	}
	return chain.Print(x).String()
}

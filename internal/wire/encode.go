package wire

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
)

const loggerKey = slogworks.LoggerKey

// encoder writes one line.
type encoder struct {
	buf   []byte
	attrs int // written so far

	// In a record that is too long: how many bytes a string may have, how many
	// the line would have had, and where the buffer must end, if that matters.
	limit, size, end int
}

// markRoom is what the last attribute of a truncated record needs, and the end
// of the line.
const markRoom = len(`,{"k":"!truncated","t":"i","v":"9223372036854775807"}]}`)

func (e *encoder) record(r *slog.Record, o *Origin) {
	e.lit(`{`)
	if !r.Time.IsZero() {
		e.lit(`"t":`)
		e.time(r.Time)
		e.lit(`,`)
	}
	e.lit(`"l":`)
	e.int(int64(r.Level))
	e.lit(`,"m":`)
	e.str(r.Message)

	var name string
	var source *slog.Source
	names, last, i := 0, r.NumAttrs()-1, 0
	nameIsFirst := false
	r.Attrs(func(a slog.Attr) bool {
		name, names = nameOf(name, names, a)
		if i == 0 && names == 1 && a.Key == loggerKey {
			nameIsFirst = true
		}
		if i == last && r.PC == 0 {
			source = sourceOf(a)
		}
		i++
		return true
	})
	if name != "" {
		e.lit(`,"n":`)
		e.str(name)
	}
	if source != nil {
		e.source(source)
	} else {
		e.sourceAt(r.PC)
	}
	e.origin(o)

	// A name that stands first, as Named puts it, need not be said twice.
	skipFirst := nameIsFirst && names == 1 && name != ""
	e.lit(`,"a":[`)
	i = 0
	complete := true
	r.Attrs(func(a slog.Attr) bool {
		if !(i == 0 && skipFirst) && !(i == last && source != nil) {
			complete = e.topAttr(a)
		}
		i++
		return complete
	})
	if e.limit > 0 {
		e.attr(slog.Int(truncated, e.size), 0)
	}
	e.lit(`]}`)
}

// topAttr reports false if the attribute was left out because there is no room
// for it.
func (e *encoder) topAttr(a slog.Attr) bool {
	before := len(e.buf)
	e.attr(a, 0)
	if e.limit > 0 && (e.attrs >= maxAttrs || e.end > 0 && len(e.buf) > e.end-markRoom) {
		e.buf = e.buf[:before]
		return false
	}
	return true
}

func (e *encoder) origin(o *Origin) {
	if o.Host != "" {
		e.lit(`,"h":`)
		e.str(o.Host)
	}
	if o.Process != "" {
		e.lit(`,"p":`)
		e.str(o.Process)
	}
	if o.PID != 0 {
		e.lit(`,"pid":`)
		e.int(int64(o.PID))
	}
	if o.Seq != 0 {
		e.lit(`,"q":`)
		e.uint(o.Seq)
	}
	if o.Boot != "" {
		e.lit(`,"b":`)
		e.str(o.Boot)
	}
}

func (e *encoder) attr(a slog.Attr, depth int) {
	if e.buf[len(e.buf)-1] != '[' {
		e.lit(`,`)
	}
	e.attrs++
	v := a.Value
	if v.Kind() == slog.KindLogValuer {
		v = v.Resolve()
	}
	if v.Kind() == slog.KindAny {
		if source, ok := v.Any().(*slog.Source); ok && isEmpty(source) {
			// The handlers leave it out, as they do a zero Attr.
			a.Key, v = "", slog.Value{}
		}
	}
	e.lit(`{"k":`)
	e.str(a.Key)
	e.value(v, depth)
	e.lit(`}`)
}

func (e *encoder) value(v slog.Value, depth int) {
	switch v.Kind() {
	case slog.KindString:
		e.lit(`,"t":"s","v":`)
		e.str(v.String())
	case slog.KindInt64:
		e.lit(`,"t":"i","v":`)
		e.int(v.Int64())
	case slog.KindUint64:
		e.lit(`,"t":"u","v":`)
		e.uint(v.Uint64())
	case slog.KindFloat64:
		e.lit(`,"t":"f","v":`)
		e.float(v.Float64())
	case slog.KindBool:
		e.lit(`,"t":"b","v":`)
		e.buf = strconv.AppendBool(e.buf, v.Bool())
	case slog.KindDuration:
		e.lit(`,"t":"d","v":`)
		e.int(int64(v.Duration()))
	case slog.KindTime:
		e.lit(`,"t":"t","v":`)
		e.time(v.Time())
	case slog.KindGroup:
		e.group(v.Group(), depth+1)
	default:
		e.any(v)
	}
}

func (e *encoder) group(attrs []slog.Attr, depth int) {
	if depth > maxDepth {
		e.lit(`,"t":"s","v":"` + truncated + `"`)
		return
	}
	e.lit(`,"t":"g","v":[`)
	for _, a := range attrs {
		e.attr(a, depth)
	}
	e.lit(`]`)
}

// What stays itself because a handler prints it as it prints nothing else.
const (
	rawType    = "json.RawMessage"
	sourceType = "*slog.Source"
)

func (e *encoder) any(v slog.Value) {
	switch x := v.Any().(type) {
	case nil:
		e.lit(`,"t":"n","v":null`)
	case *chain.Frozen:
		e.frozen(x)
	case *Error:
		e.error(x.text, x.kind, x.verbose)
	case *slog.Source:
		e.printed(appendSource(nil, x), x.File+":"+strconv.Itoa(x.Line), sourceType)
	case []byte:
		e.bytes(x)
	case json.RawMessage:
		doc, text := print(x)
		kind := ""
		if json.Valid(x) {
			kind = rawType
		}
		e.printed(doc, text, kind)
	case json.Marshaler: // an error among them
		e.printedAny(v)
	case error:
		text, err := chain.Attempt(errorText, x)
		verbose := text
		_, formats := x.(fmt.Formatter)
		_, marshals := x.(encoding.TextMarshaler)
		if err != nil || formats || marshals {
			_, verbose = print(x)
		}
		if err != nil {
			text = err.Error()
		}
		e.error(text, reflect.TypeOf(x).String(), verbose)
	default:
		e.printedAny(v)
	}
}

// printedAny writes a value that slog's handlers leave to encoding/json and fmt.
func (e *encoder) printedAny(v slog.Value) {
	// Freezing guards against what would end the process.
	x := chain.Freeze(v).Any()
	if frozen, ok := x.(*chain.Frozen); ok {
		e.frozen(frozen)
		return
	}
	if isPlainBytes(x) {
		e.bytes(reflect.ValueOf(x).Bytes())
		return
	}
	doc, text := print(x)
	e.printed(doc, text, "")
}

func (e *encoder) frozen(f *chain.Frozen) {
	doc, _ := f.MarshalJSON() // never fails
	e.printed(doc, f.String(), "")
}

func (e *encoder) printed(doc []byte, text, kind string) {
	e.lit(`,"t":"j","v":[`)
	switch {
	case e.limit > 0 && len(doc) > e.limit:
		e.lit(`"` + truncated + `"`)
		kind = ""
	case utf8.Valid(doc):
		e.buf = append(e.buf, doc...)
	default:
		e.lit(validUTF8(string(doc)))
	}
	e.lit(`,`)
	e.str(text)
	if kind != "" && (e.limit == 0 || len(text) <= e.limit) {
		e.lit(`,"` + kind + `"`)
	}
	e.lit(`]`)
}

func (e *encoder) error(text, kind, verbose string) {
	e.lit(`,"t":"e","v":[`)
	e.str(text)
	e.lit(`,`)
	e.str(kind)
	if verbose != text {
		e.lit(`,`)
		e.str(verbose)
	}
	e.lit(`]`)
}

func (e *encoder) bytes(b []byte) {
	switch {
	case b == nil:
		e.lit(`,"t":"y","v":null`)
	case e.limit > 0 && base64.StdEncoding.EncodedLen(len(b)) > e.limit:
		e.lit(`,"t":"s","v":"` + truncated + `"`)
	default:
		e.lit(`,"t":"y","v":"`)
		e.buf = base64.StdEncoding.AppendEncode(e.buf, b)
		e.lit(`"`)
	}
}

package socket

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"math"
	"strconv"
)

// printer turns values into attributes. A value that is in several places is
// printed in each, so that a short pickle may be a long record.
type printer struct {
	left    int // bytes
	values  int // that may still be printed
	objects uint64
	err     *Refusal
	doc     bytes.Buffer
}

func (p *printer) refuse(reason, format string, args ...any) {
	if p.err == nil {
		p.err = refuse(reason, format, args...)
	}
}

// count is called for each value. A pickle has no more than maxValues, so that
// only what repeats can exceed that.
func (p *printer) count() {
	if p.values--; p.values < 0 {
		p.spend(p.left + 1)
	}
}

func (p *printer) spend(n int) {
	if p.left -= n; p.left < 0 {
		p.refuse(recordTooLong, "values that are in several places make it longer than a frame may be")
	}
}

// enter reports whether the container may be printed, and what stands there
// otherwise.
func (p *printer) enter(v value, depth int) (instead string, ok bool) {
	if v.items.open {
		return "!cycle", false
	}
	if depth > maxNesting {
		p.refuse(tooDeep, "a value in more than %d others", maxNesting)
		return "", false
	}
	v.items.open = true
	return "", true
}

// members returns what is in a dict.
func (p *printer) members(v value, depth int) []slog.Attr {
	v.items.open = true
	defer func() { v.items.open = false }()
	pairs := v.items.values
	attrs := make([]slog.Attr, 0, len(pairs)/2)
	for i := 0; i < len(pairs) && p.err == nil; i += 2 {
		key := p.key(pairs[i], depth+1)
		attrs = append(attrs, slog.Attr{Key: key, Value: p.value(key, pairs[i+1], depth+1)})
	}
	return attrs
}

func (p *printer) key(v value, depth int) string {
	var key string
	switch v.kind {
	case text, bigInteger:
		key = v.text
	case none:
		key = "None"
	case boolean:
		key = "False"
		if v.bits != 0 {
			key = "True"
		}
	case list, dict: // a tuple
		key = string(p.document(v, depth))
	default:
		key = p.value("key", v, 0).String()
	}
	p.spend(len(key) + 1)
	return key
}

// value returns what handlers print for v. Without a key, an attribute without
// value or a group would be something else.
func (p *printer) value(key string, v value, depth int) slog.Value {
	if p.count(); p.err != nil {
		return slog.Value{}
	}
	switch v.kind {
	case none:
		p.spend(len("null"))
		if key == "" {
			return slog.AnyValue(document("null"))
		}
		return slog.Value{}
	case boolean:
		p.spend(1)
		return slog.BoolValue(v.bits != 0)
	case integer:
		p.spend(1)
		return slog.Int64Value(int64(v.bits))
	case bigInteger:
		p.spend(len(v.text))
		if n, err := strconv.ParseUint(v.text, 10, 64); err == nil {
			return slog.Uint64Value(n)
		}
		return slog.AnyValue(document(v.text))
	case float:
		p.spend(1)
		if name := notFinite(v); name != "" {
			return slog.StringValue(name)
		}
		return slog.Float64Value(math.Float64frombits(v.bits))
	case text:
		p.spend(len(v.text))
		return slog.StringValue(v.text)
	case object:
		return slog.StringValue(p.mark(v))
	case dict:
		if len(v.items.values) == 0 || key == "" {
			break
		}
		if instead, ok := p.enter(v, depth); !ok {
			p.spend(len(instead))
			return slog.StringValue(instead)
		}
		return slog.GroupValue(p.members(v, depth)...)
	}
	return slog.AnyValue(p.document(v, depth))
}

func (p *printer) mark(v value) string {
	p.objects++
	mark := "!refused " + v.text
	p.spend(len(mark))
	return mark
}

// notFinite returns the name of a number that JSON has not.
func notFinite(v value) string {
	switch f := math.Float64frombits(v.bits); {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "+Inf"
	case math.IsInf(f, -1):
		return "-Inf"
	}
	return ""
}

// document is JSON that all handlers print as it is.
type document string

func (d document) MarshalJSON() ([]byte, error) { return []byte(d), nil }
func (d document) MarshalText() ([]byte, error) { return []byte(d), nil }
func (d document) String() string               { return string(d) }

// document returns v as JSON, since slog has no lists.
func (p *printer) document(v value, depth int) document {
	begin := p.doc.Len()
	p.print(v, depth)
	d := document(p.doc.Bytes()[begin:])
	p.doc.Truncate(begin)
	return d
}

func (p *printer) print(v value, depth int) {
	if p.count(); p.err != nil {
		return
	}
	before := p.doc.Len()
	switch v.kind {
	case none:
		p.doc.WriteString("null")
	case boolean:
		p.doc.WriteString(strconv.FormatBool(v.bits != 0))
	case integer:
		p.doc.WriteString(strconv.FormatInt(int64(v.bits), 10))
	case bigInteger:
		p.doc.WriteString(v.text)
	case float:
		if name := notFinite(v); name != "" {
			p.quote(name)
		} else {
			p.doc.WriteString(jsonFloat(math.Float64frombits(v.bits)))
		}
	case text:
		p.spend(len(v.text))
		p.quote(v.text)
		return
	case object:
		p.quote(p.mark(v))
		return
	case list, dict:
		p.printItems(v, depth)
		return
	}
	p.spend(p.doc.Len() - before)
}

func (p *printer) printItems(v value, depth int) {
	p.spend(len("[]"))
	instead, ok := p.enter(v, depth)
	if !ok {
		p.quote(instead)
		return
	}
	defer func() { v.items.open = false }()
	ends := "[]"
	if v.kind == dict {
		ends = "{}"
	}
	p.doc.WriteByte(ends[0])
	for i, item := range v.items.values {
		if p.err != nil {
			return
		}
		isKey := v.kind == dict && i%2 == 0
		switch {
		case v.kind == dict && !isKey:
			p.doc.WriteByte(':')
		case i > 0:
			p.doc.WriteByte(',')
		}
		p.spend(1)
		if isKey {
			p.quote(p.key(item, depth+1))
		} else {
			p.print(item, depth+1)
		}
	}
	p.doc.WriteByte(ends[1])
}

func (p *printer) quote(s string) {
	e := json.NewEncoder(&p.doc)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a bytes.Buffer takes everything
	p.doc.Truncate(p.doc.Len() - 1)
}

// jsonFloat is f in a form that stays a float for those who tell them apart.
func jsonFloat(f float64) string {
	s, _ := json.Marshal(f) // f is finite
	if !bytes.ContainsAny(s, ".e") {
		s = append(s, ".0"...)
	}
	return string(s)
}

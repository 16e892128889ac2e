package wire

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// pyValue is a value as JSON carries one of Python's. Its kind is 'n' for None,
// 'b', 'i' (digits), 'f', 's', 'l' for a list and 'd' for a dict, whose keys and
// values alternate.
type pyValue struct {
	kind  byte
	text  string
	float float64
	items []pyValue
	size  int // of its JSON
}

func (v pyValue) isEmpty() bool {
	return v.kind == 'n' || (v.kind == 'l' || v.kind == 'd') && len(v.items) == 0
}

func parsePython(doc string) (pyValue, bool) {
	if len(doc) > maxArgs {
		return pyValue{}, false
	}
	d := decoder{s: doc}
	v := d.python(0)
	return v, d.err == nil
}

func (d *decoder) python(depth int) pyValue {
	begin := d.i
	v := d.pythonValue(depth)
	v.size = d.i - begin
	return v
}

func (d *decoder) pythonValue(depth int) (v pyValue) {
	if depth > maxDepth {
		d.fail(d.i, "too deep")
		return v
	}
	switch c := d.peek(); {
	case c == '"':
		return pyValue{kind: 's', text: d.str()}
	case c == '[':
		v.kind = 'l'
		for more := d.open('[', ']'); more; more = d.more(']') {
			v.items = append(v.items, d.python(depth+1))
		}
		return v
	case c == '{':
		v.kind = 'd'
		for more := d.open('{', '}'); more; more = d.more('}') {
			v.items = append(v.items, pyValue{kind: 's', text: d.key()}, d.python(depth+1))
		}
		return v
	case c == 't' || c == 'f':
		if d.bool() {
			return pyValue{kind: 'b', text: "1"}
		}
		return pyValue{kind: 'b', text: "0"}
	case d.null():
		return pyValue{kind: 'n'}
	}
	if text, ok := d.notFinite(); ok {
		v.kind = 'f'
		v.float, _ = strconv.ParseFloat(text, 64)
		return v
	}
	text := d.number()
	if !strings.ContainsAny(text, ".eE") {
		if _, ok := new(big.Int).SetString(text, 10); !ok {
			d.fail(d.i, "want a value")
		}
		return pyValue{kind: 'i', text: text}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		d.fail(d.i, "want a value")
	}
	return pyValue{kind: 'f', float: f}
}

// str is Python's str(v), and repr its repr(v).
func (v pyValue) str() string {
	if v.kind == 's' {
		return v.text
	}
	return v.repr()
}

func (v pyValue) repr() string {
	switch v.kind {
	case 'n':
		return "None"
	case 'b':
		if v.text == "1" {
			return "True"
		}
		return "False"
	case 'i':
		return v.text
	case 'f':
		return floatRepr(v.float)
	case 's':
		return stringRepr(v.text)
	}
	var b strings.Builder
	ends := "[]"
	if v.kind == 'd' {
		ends = "{}"
	}
	b.WriteByte(ends[0])
	for i, item := range v.items {
		switch {
		case v.kind == 'd' && i%2 == 1:
			b.WriteString(": ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(item.repr())
	}
	b.WriteByte(ends[1])
	return b.String()
}

func floatRepr(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 0):
		return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'g', -1, 64), "+"))
	}
	if abs := math.Abs(f); abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func stringRepr(s string) string {
	quote := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteRune(quote)
	for _, r := range s {
		switch {
		case r == quote || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' || strconv.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteRune(quote)
	return b.String()
}

func (v pyValue) integer(fromFloat bool) (*big.Int, bool) {
	n := new(big.Int)
	switch {
	case v.kind == 'i' || v.kind == 'b':
		n.SetString(v.text, 10)
		return n, true
	case v.kind == 'f' && fromFloat && !math.IsNaN(v.float) && !math.IsInf(v.float, 0):
		n, _ = big.NewFloat(v.float).Int(nil)
		return n, true
	}
	return n, false
}

func (v pyValue) number() (float64, bool) {
	switch v.kind {
	case 'f':
		return v.float, true
	case 'i', 'b':
		f, err := strconv.ParseFloat(v.text, 64)
		return f, err == nil
	}
	return 0, false
}

func character(v pyValue) (string, bool) {
	switch v.kind {
	case 's':
		return v.text, utf8.RuneCountInString(v.text) == 1
	case 'i':
		n, err := strconv.ParseInt(v.text, 10, 32)
		return string(rune(n)), err == nil && utf8.ValidRune(rune(n))
	}
	return "", false
}

func asciiOnly(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

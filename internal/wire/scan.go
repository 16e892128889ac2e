package wire

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// document reads any JSON value.
func (d *decoder) document() string {
	d.space()
	begin := d.i
	d.skip()
	doc := d.s[begin:d.i]
	if d.err == nil && !json.Valid([]byte(doc)) {
		d.fail(begin, "not JSON")
	}
	return validUTF8(doc)
}

// skip passes a JSON value, be it valid or not.
func (d *decoder) skip() {
	depth := 0
	for begin := d.i; d.i < len(d.s); {
		switch d.s[d.i] {
		case '"':
			d.skipString()
		case '{', '[':
			depth++
			d.i++
		case '}', ']':
			if depth == 0 {
				return
			}
			depth--
			d.i++
		case ',':
			if depth == 0 {
				return
			}
			d.i++
		default:
			d.i++
			continue
		}
		if depth == 0 && d.i > begin {
			return
		}
	}
}

func (d *decoder) skipString() {
	for d.i++; d.i < len(d.s); d.i++ {
		switch d.s[d.i] {
		case '\\':
			d.i++
		case '"':
			d.i++
			return
		}
	}
	d.fail(len(d.s), "the line ends in a string")
}

func (d *decoder) space() {
	for d.i < len(d.s) && (d.s[d.i] == ' ' || d.s[d.i] == '\n' || d.s[d.i] == '\t' || d.s[d.i] == '\r') {
		d.i++
	}
}

// peek returns the byte that comes next, behind space, and 0 at the end.
func (d *decoder) peek() byte {
	d.space()
	if d.i < len(d.s) {
		return d.s[d.i]
	}
	return 0
}

// want passes c.
func (d *decoder) want(c byte) {
	if d.i < len(d.s) && d.s[d.i] == c {
		d.i++ // without looking for space, which few lines have
		return
	}
	if d.peek() != c {
		d.fail(d.i, "want '%c'", c)
		return
	}
	d.i++
}

// open passes the beginning of an object or array and reports whether there is
// something in it.
func (d *decoder) open(begin, end byte) bool {
	d.want(begin)
	if d.err == nil && d.peek() == end {
		d.i++
		return false
	}
	return d.err == nil
}

// more passes what follows an element, and reports whether it is a comma.
func (d *decoder) more(end byte) bool {
	switch {
	case d.err != nil:
		return false
	case d.peek() == ',':
		d.i++
		return true
	case d.peek() == end:
		d.i++
		return false
	}
	d.fail(d.i, "want ',' or '%c'", end)
	return false
}

func (d *decoder) key() string {
	key := d.str()
	d.want(':')
	return key
}

func (d *decoder) null() bool {
	if d.peek() != 'n' || !strings.HasPrefix(d.s[d.i:], "null") {
		return false
	}
	d.i += len("null")
	return true
}

func (d *decoder) bool() bool {
	d.space()
	switch rest := d.s[d.i:]; {
	case strings.HasPrefix(rest, "true"):
		d.i += len("true")
		return true
	case strings.HasPrefix(rest, "false"):
		d.i += len("false")
	default:
		d.fail(d.i, "want true or false")
	}
	return false
}

// number returns the next number, or the string around one.
func (d *decoder) number() string {
	if d.peek() == '"' {
		return d.str()
	}
	begin := d.i
	for d.i < len(d.s) && isNumeric(d.s[d.i]) {
		d.i++
	}
	return d.s[begin:d.i]
}

func isNumeric(c byte) bool {
	return '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

func (d *decoder) int(bits int) int64 {
	at := d.i
	n, err := strconv.ParseInt(d.number(), 10, bits)
	if err != nil {
		d.fail(at, "want an integer of %d bits", bits)
	}
	return n
}

func (d *decoder) uint() uint64 {
	at := d.i
	n, err := strconv.ParseUint(d.number(), 10, 64)
	if err != nil {
		d.fail(at, "want an unsigned integer of 64 bits")
	}
	return n
}

func (d *decoder) float() float64 {
	at := d.i
	isString := d.peek() == '"'
	text := d.number()
	f, err := strconv.ParseFloat(text, 64)
	isFinite := !math.IsNaN(f) && !math.IsInf(f, 0)
	if err != nil || isFinite == isString {
		d.fail(at, "want a number")
	}
	return f
}

func (d *decoder) time() time.Time {
	at := d.i
	t, ok := parseTime(d.str())
	if !ok {
		d.fail(at, "want a time as in RFC 3339")
	}
	return t
}

// str reads a string. It is part of the line if nothing is escaped in it.
func (d *decoder) str() string {
	d.want('"')
	line, begin := d.s, d.i
	ascii := true
	for i := begin; i < len(line); i++ {
		c := line[i]
		switch {
		case isPlain[c]:
		case c >= utf8.RuneSelf:
			ascii = false
		case c == '"':
			d.i = i + 1
			if ascii {
				return line[begin:i]
			}
			return validUTF8(line[begin:i])
		case c == '\\':
			d.i = i
			return d.escaped(begin)
		default:
			d.fail(i, "a control character in a string")
			return ""
		}
	}
	d.fail(len(line), "the line ends in a string")
	return ""
}

// escaped reads on from the first escape of a string.
func (d *decoder) escaped(begin int) string {
	var b strings.Builder
	b.Grow(d.i - begin + max(strings.IndexByte(d.s[d.i:], '"'), 0))
	b.WriteString(d.s[begin:d.i])
	for d.i < len(d.s) {
		c := d.s[d.i]
		switch {
		case c == '"':
			d.i++
			return validUTF8(b.String())
		case c < ' ':
			d.fail(d.i, "a control character in a string")
			return ""
		case c != '\\':
			b.WriteByte(c)
			d.i++
		default:
			r, ok := d.escape()
			if !ok {
				return ""
			}
			b.WriteRune(r)
		}
	}
	d.fail(len(d.s), "the line ends in a string")
	return ""
}

func (d *decoder) escape() (rune, bool) {
	if d.i+1 >= len(d.s) {
		d.fail(len(d.s), "the line ends in a string")
		return 0, false
	}
	c := d.s[d.i+1]
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		d.i += 2
		return rune("\"\\/\b\f\n\r\t"[i]), true
	}
	r, ok := unit(d.s[d.i:])
	if !ok {
		d.fail(d.i, "not an escape")
		return 0, false
	}
	d.i += 6
	if utf16.IsSurrogate(r) {
		// A half that stands alone stands for no character.
		low, ok := unit(d.s[d.i:])
		if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
			d.i += 6
		}
	}
	return r, true
}

// unit reads \uXXXX.
func unit(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n := rune(0)
	for i := 2; i < 6; i++ {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			n = n<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

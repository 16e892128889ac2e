package redact

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// document is JSON that is being copied without its secrets. The source is
// valid, so that nothing runs past its end.
type document struct {
	rules   *rules
	src     []byte
	pos     int
	out     []byte
	differs bool
}

// inDocument redacts JSON; typed leads to what is secret besides. JSON that is
// not valid, or nested deeper than encoding/json reads, becomes a mask.
func (r *rules) inDocument(at, typed *branch, src []byte) (clean []byte, differs bool) {
	if !json.Valid(src) || typed != nil && typed.end {
		return quote(r.masked(string(src))), true
	}
	d := document{rules: r, src: src, out: make([]byte, 0, len(src))}
	d.value(at, typed)
	if !d.differs {
		return src, false
	}
	return d.out, true
}

func (d *document) value(at, typed *branch) {
	switch d.peek() {
	case '{':
		d.object(at, typed)
	case '[':
		d.array(at, typed)
	case '"':
		d.text(at)
	default:
		d.out = append(d.out, d.skip()...)
	}
}

func (d *document) object(at, typed *branch) {
	d.out = append(d.out, '{')
	d.pos++
	for first := true; d.peek() != '}'; {
		if d.src[d.pos] == ',' {
			d.pos++
			d.peek()
		}
		mark := len(d.out)
		if !first {
			d.out = append(d.out, ',')
		}
		name := d.text(nil)
		d.peek()
		d.out = append(d.out, ':')
		d.pos++ // the colon
		secret, below := d.rules.key(at, name)
		_, _, typedBelow := simplify(nil, typed, name)
		if secret || typedBelow != nil && typedBelow.end {
			d.peek()
			value := d.skip()
			d.differs = true
			if d.rules.remove {
				d.out = d.out[:mark]
				continue
			}
			d.out = append(d.out, quote(d.rules.masked(unquote(value)))...)
		} else {
			d.value(below, typedBelow)
		}
		first = false
	}
	d.out = append(d.out, '}')
	d.pos++
}

func (d *document) array(at, typed *branch) {
	d.out = append(d.out, '[')
	d.pos++
	for d.peek() != ']' {
		if d.src[d.pos] == ',' {
			d.out = append(d.out, ',')
			d.pos++
		}
		d.value(at, typed)
	}
	d.out = append(d.out, ']')
	d.pos++
}

// text copies a string, redacted, and returns what it was.
func (d *document) text(at *branch) string {
	raw := d.skip()
	was := unquote(raw)
	if is, differs := d.rules.inText(at, was); differs {
		d.out = append(d.out, quote(is)...)
		d.differs = true
	} else {
		d.out = append(d.out, raw...)
	}
	return was
}

// peek returns the byte at which the next token begins.
func (d *document) peek() byte {
	for strings.IndexByte(" \t\r\n", d.src[d.pos]) >= 0 {
		d.pos++
	}
	return d.src[d.pos]
}

// skip returns the value that begins here, as it is written.
func (d *document) skip() []byte {
	start := d.pos
	for depth := 0; d.pos < len(d.src); {
		switch c := d.src[d.pos]; c {
		case '"':
			for d.pos++; d.src[d.pos] != '"'; d.pos++ {
				if d.src[d.pos] == '\\' {
					d.pos++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		default:
			// A number, true, false or null ends where something else begins.
			if depth == 0 {
				n := bytes.IndexAny(d.src[d.pos:], ",]} \t\r\n")
				if n < 0 {
					n = len(d.src) - d.pos
				}
				d.pos += n
				return d.src[start:d.pos]
			}
		}
		d.pos++
		if depth == 0 {
			break
		}
	}
	return d.src[start:d.pos]
}

func quote(text string) []byte {
	quoted, _ := marshal(text) // which does not fail for a string
	return quoted
}

// unquote returns what a JSON string stands for, and other JSON as it is.
func unquote(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return string(raw)
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return string(raw)
	}
	return text
}

// inText redacts text: JSON in it by all rules, and what patterns match.
func (r *rules) inText(at *branch, text string) (clean string, differs bool) {
	if doc := bare(text); beginsLikeJSON(doc) {
		if json.Valid([]byte(doc)) {
			if redacted, inside := r.inDocument(at, nil, []byte(doc)); inside {
				text, differs = text[:len(text)-len(doc)]+string(redacted), true
			}
		} else if isCutJSON(doc) && r.isNamedIn(unescaped(doc)) {
			return r.masked(text), true
		}
	}
	for _, p := range r.patterns {
		if masked, found := p.mask(r, text); found {
			text, differs = masked, true
		}
	}
	return text, differs
}

// bare returns text without what may stand in front of JSON: space, and what a
// file or a socket leaves there, such as a byte order mark.
func bare(text string) string {
	if text == "" || ' ' < text[0] && text[0] < utf8.RuneSelf {
		return text
	}
	return strings.TrimLeftFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\uFEFF'
	})
}

// beginsLikeJSON reports whether text, which is bare, begins like a JSON object
// or array, or like a JSON string, in which one may be.
func beginsLikeJSON(text string) bool {
	return text != "" && (text[0] == '{' || text[0] == '[' || text[0] == '"')
}

// isCutJSON reports whether text, which beginsLikeJSON and is none, goes on like
// it, as a message such as "[http] token: expired" does not.
func isCutJSON(text string) bool {
	inner := bare(text[1:])
	if inner == "" {
		return false
	}
	next := `"'\` // quotes of another language, or with what escaped them
	switch text[0] {
	case '[':
		if first, _, more := strings.Cut(inner, ","); more && json.Valid([]byte(first)) {
			return true
		}
		next = `"'\{[`
	case '"':
		next = "{["
	}
	return strings.IndexByte(next, inner[0]) >= 0
}

var escapes = regexp.MustCompile(`\\+u[0-9a-fA-F]{4}`)

// unescaped returns text with characters in place of their escapes, also where
// these are escaped once more: a name can be written with them.
func unescaped(text string) string {
	return escapes.ReplaceAllStringFunc(text, func(escape string) string {
		code, _ := strconv.ParseUint(escape[len(escape)-4:], 16, 16)
		return string(rune(code))
	})
}

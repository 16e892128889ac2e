package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// form is what a value of a document is.
type form int

const (
	nothing form = iota
	truth
	number // its text is a number of JSON
	text
	list
	object
	broken // a mistake was found in it; nothing more is to be said about it
)

func (f form) String() string {
	return [...]string{"nothing", "true or false", "a number", "text", "a list", "a mapping", "broken"}[f]
}

// node is a value of a document, whether it came as YAML or as JSON. Nodes do
// not change once they are read.
type node struct {
	form form
	line int
	text string // of a truth, a number or a text
	// written is what a text was before variables and secrets were put in, ""
	// if there are none. It is what others are told.
	written string
	items   []*node
	keys    []entry
}

// entry is a key of an object, with its value.
type entry struct {
	name  string
	line  int
	value *node
}

// shown returns the text of n as others may read it.
func (n *node) shown() string {
	return withoutPasswords(cmp.Or(n.written, n.text))
}

// at returns the value of the key, or nil.
func (n *node) at(key string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.keys {
		if e.name == key {
			return e.value
		}
	}
	return nil
}

// appendJSON appends n as JSON. Keys are sorted if canonical is set, so that
// equal objects are equal bytes.
func (n *node) appendJSON(b []byte, canonical bool) []byte {
	switch n.form {
	case truth, number:
		return append(b, n.text...)
	case text:
		return appendString(b, n.text)
	case list:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b, canonical)
		}
		return append(b, ']')
	case object:
		keys := n.keys
		if canonical {
			keys = slices.SortedFunc(slices.Values(keys), func(a, b entry) int { return strings.Compare(a.name, b.name) })
		}
		b = append(b, '{')
		for i, e := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, e.name), ':')
			b = e.value.appendJSON(b, canonical)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

func appendString(b []byte, s string) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string cannot fail, and a buffer neither
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// isEmpty reports whether n is a text or a list with nothing in it.
func (n *node) isEmpty() bool {
	return n.form == text && n.text == "" || n.form == list && len(n.items) == 0
}

// byteOrderMark is what some editors put in front.
const byteOrderMark = "\ufeff"

// read returns nil or a broken node if there is nothing to go on with.
func read(data []byte, found *findings) *node {
	if len(data) > maxDocument {
		found.add(0, "", "the document has %d bytes and may have %d", len(data), maxDocument)
		return nil
	}
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	if line, message := unreadable(data); message != "" {
		found.add(line, "", "%s", message)
		return nil
	}
	braced := bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
	if braced && json.Valid(data) {
		return readJSON(data, found)
	}
	before := len(found.mistakes)
	n := readYAML(data, found)
	if n == nil && braced && len(found.mistakes) > before && bytes.Contains(data, []byte(`"`)) {
		// It was meant to be JSON, whatever YAML makes of it.
		found.mistakes = found.mistakes[:before]
		line, message := jsonError(data)
		found.add(line, "", "%s", message)
	}
	return n
}

// unreadable returns where and why data is no text.
func unreadable(data []byte) (line int, message string) {
	line = 1
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		switch {
		case r == utf8.RuneError && size == 1:
			return line, "not UTF-8"
		case r == '\n':
			line++
		case r < ' ' && r != '\t' && r != '\r', r >= 0x7f && r < 0xa0 && r != 0x85:
			return line, fmt.Sprintf("the control character %U is not for documents", r)
		}
		at += size
	}
	return 0, ""
}

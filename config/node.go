package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
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

package config

import (
	"fmt"
	"slices"

	"github.com/slogworks/slogworks/internal/nearest"
)

// Only returns the document reduced to these handlers and what they wrap: root
// sends them all records at info and above, and loggers have no rules. Options
// and secrets, the values of variables among them, are those of d, which stays
// as it is. The error is Mistakes, one for each name that d does not have or that
// is given twice, and one if there are no names.
func (d *Document) Only(names ...string) (*Document, error) {
	found := &findings{file: d.options.File}
	if len(names) == 0 {
		found.add(0, "", "name the handlers that are to be left")
	}
	known := make([]string, len(d.handlers))
	for i, h := range d.handlers {
		known[i] = h.name
	}
	left := map[string]bool{}
	var keep func(name string)
	keep = func(name string) {
		if !left[name] {
			left[name] = true
			for _, use := range d.byName[name].uses {
				keep(use.name)
			}
		}
	}
	for i, name := range names {
		switch {
		case slices.Contains(names[:i], name):
			found.add(0, "", "the handler %q is named a second time", abridged(name))
		case d.byName[name] == nil:
			found.addMistake(Mistake{Message: fmt.Sprintf("unknown handler %q", abridged(name)), Nearest: nearest.Of(name, known)})
		default:
			keep(name)
		}
	}
	if err := found.err(); err != nil {
		return nil, err
	}
	only := &Document{
		options: d.options, written: d.written.only(left, names), resolved: d.resolved.only(left, names),
		byName: map[string]*declaration{}, root: rule{to: slices.Clone(names), bubble: true}, ruleOf: map[string]int{},
	}
	for _, h := range d.handlers {
		if left[h.name] {
			only.handlers = append(only.handlers, h)
			only.byName[h.name] = h
		}
	}
	return only, nil
}

// only returns the document n with the handlers that are left, and a root that
// sends records to those named.
func (n *node) only(left map[string]bool, names []string) *node {
	handlers := *n.at("handlers")
	handlers.keys = slices.DeleteFunc(slices.Clone(handlers.keys), func(e entry) bool { return !left[e.name] })
	to := &node{form: list}
	for _, name := range names {
		to.items = append(to.items, &node{form: text, text: name})
	}
	return &node{form: object, line: n.line, keys: []entry{
		{name: "version", value: n.at("version")},
		{name: "handlers", value: &handlers},
		{name: "root", value: &node{form: object, keys: []entry{{name: "to", value: to}}}},
	}}
}

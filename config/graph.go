package config

import (
	"fmt"
	"slices"
	"strings"
)

// graph checks what is named: that it is there, leads back to nothing that
// names it, and that nothing is left over.
func (p *parser) graph(rules []reference) {
	names := make([]string, len(p.doc.handlers))
	used := map[string]bool{}
	refs := slices.Clone(rules)
	for i, d := range p.doc.handlers {
		names[i] = d.name
		refs = append(refs, d.uses...)
	}
	for _, r := range refs {
		used[r.name] = true
		if p.doc.byName[r.name] == nil {
			if p.nameless {
				continue
			}
			if p.found.full() {
				return
			}
			p.mentions(p.unknown(r.node, r.path, "handler", names))
		}
	}
	for _, n := range p.found.repeated {
		p.mention(n)
	}
	for _, d := range p.doc.handlers {
		if !used[d.name] && !p.mentioned[d.name] {
			p.found.add(d.line, d.path(), "nothing sends it records: name it in a to, or remove it")
		}
	}
	p.cycles()
}

// mention takes the texts in n for names of handlers that are used: n is part of
// a mistake, and that one mistake is not to become two.
func (d *decoder) mention(n *node) {
	if n.form == text {
		d.mentions(n.text)
	}
	for _, item := range n.items {
		d.mention(item)
	}
	for _, key := range n.keys {
		d.mention(key.value)
	}
}

func (d *decoder) mentions(name string) {
	if d.mentioned == nil {
		d.mentioned = map[string]bool{}
	}
	d.mentioned[name] = true
}

// circle returns the names in it, or as many as tell where it is.
func circle(names []string) string {
	const most = 10
	var told []string
	for i, n := range names {
		switch left := len(names) - most; {
		case left <= 0 || i < most/2 || i >= left+most/2:
			told = append(told, legible(n))
		case i == most/2:
			told = append(told, fmt.Sprintf("%d more", left))
		}
	}
	return strings.Join(told, " → ")
}

// cycles finds handlers that lead back to themselves, each cycle once.
func (p *parser) cycles() {
	done := map[string]bool{}
	var way []string
	var visit func(d *declaration)
	visit = func(d *declaration) {
		way = append(way, d.name)
		for _, r := range d.uses {
			if at := slices.Index(way, r.name); at >= 0 {
				p.found.add(r.node.line, r.path, "leads back to itself: %s", circle(append(way[at:], r.name)))
				continue
			}
			if next := p.doc.byName[r.name]; next != nil && !done[next.name] {
				visit(next)
			}
		}
		way = way[:len(way)-1]
		done[d.name] = true
	}
	for _, d := range p.doc.handlers {
		if !done[d.name] {
			visit(d)
		}
	}
}

package config

import (
	"path/filepath"
	"reflect"
	"slices"
)

const (
	// maxDocument is how long a document may be. A pipeline of a thousand
	// handlers is a tenth of it.
	maxDocument = 1 << 20

	// maxDepth is how deep values may be nested. Handlers need six.
	maxDepth = 32

	// maxKey is how long a key, and so a name, may be: it is told in each mistake
	// about what it stands for.
	maxKey = 256

	// maxHandlers and maxLoggers keep what is done for each pair of them short.
	maxHandlers, maxLoggers = 1000, 5000
)

// Parse reads a document, YAML or JSON. The error is Mistakes: all that can be
// known to be wrong without opening anything, in the order of lines, the first
// 100 of them. Parse builds nothing and opens nothing that the document names.
//
// A document may have 1 MiB, 32 levels, 1,000 handlers and 5,000 loggers, and keys
// of 256 bytes. What it has beside version: 1 the package comment shows.
func Parse(data []byte, opts *Options) (*Document, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Registry == nil {
		o.Registry = NewRegistry()
	}
	o.Env = slices.Clone(o.Env)
	found := &findings{file: o.File}
	written := read(data, found)
	if written == nil || written.form == broken {
		return nil, found.err()
	}
	p := &parser{decoder: decoder{found: found, registry: o.Registry}, doc: &Document{options: o, written: written, byName: map[string]*declaration{}, ruleOf: map[string]int{}}}
	p.parse()
	if err := found.err(); err != nil {
		return nil, err
	}
	p.doc.options.keep = nil // or each document would hold all that were before it
	return p.doc, nil
}

// registered are kinds for sinks of this module that a program has to register,
// with where it is told how: their modules are for those only who want them.
var registered = map[string]string{
	"mail":  "see docs/python-dictconfig.md for the lines that do",
	"redis": "see docs/python-dictconfig.md for the lines that do for mail; here they call redis.New of sinks/redis",
}

// parser checks a document.
type parser struct {
	decoder
	doc  *Document
	uses []reference // of the handler that is being read
	// nameless is set if a mistake keeps the names of handlers from being known.
	nameless bool
}

func (p *parser) parse() {
	p.refer = func(n *node, path string) {
		p.uses = append(p.uses, reference{n.text, n, path})
	}
	root := p.resolve()
	p.doc.resolved = root
	if root.form != object {
		p.wrong(root, "", "a mapping with version, handlers and root")
		return
	}
	known := []string{"version", "handlers", "root", "loggers"}
	meant := p.keys(root, "", "key", known)
	p.nameless = meant["handlers"]
	switch version := root.at("version"); {
	case version == nil && meant["version"]:
	case version == nil:
		p.found.add(root.line, "version", "is missing: write version: 1")
	case version.form != number || version.text != "1":
		p.wrong(version, "version", "1")
	}
	p.handlers(root.at("handlers"))
	rules := p.routes(root, meant["root"])
	p.graph(rules)
}

func (p *parser) handlers(n *node) {
	if n == nil {
		return
	}
	if n.form != object {
		p.wrong(n, "handlers", "a mapping of names")
		p.nameless = true
		return
	}
	if len(n.keys) > maxHandlers {
		p.nameless = true
		p.found.add(n.line, "handlers", "are %d, and there may be %d", len(n.keys), maxHandlers)
		return
	}
	for _, key := range n.keys {
		p.handler(key)
	}
	p.files()
}

// files finds files that two handlers would write to: each would rotate what the
// other has open.
func (p *parser) files() {
	by := map[string]*declaration{}
	for _, d := range p.doc.handlers {
		if d.kind == nil || d.kind.options.typ != reflect.TypeFor[fileOptions]() {
			continue
		}
		n := d.node.at("path")
		if n == nil || n.form != text || n.text == "" {
			continue
		}
		path := filepath.Clean(n.text)
		if other := by[path]; other != nil {
			p.found.add(n.line, join(d.path(), "path"), "is the file of %s", other.path())
			continue
		}
		by[path] = d
	}
}

func (p *parser) handler(key entry) {
	n, path := key.value, join("handlers", key.name)
	d := &declaration{name: key.name, line: key.line, node: n}
	p.doc.handlers = append(p.doc.handlers, d)
	p.doc.byName[d.name] = d
	if key.name == "" {
		p.found.add(key.line, path, "a handler needs a name")
	}
	if n.form != object {
		p.wrong(n, path, "a mapping with a kind")
		return
	}
	kindNode := n.at("kind")
	if kindNode == nil {
		asIs := []string{"kind"}
		for _, name := range fromDictConfig {
			asIs = append(asIs, name)
		}
		if n.at("class") == nil {
			p.found.add(key.line, path, "needs kind%s", thereIs(p.registry.kindNames()))
		}
		for _, k := range n.keys {
			p.dictConfig(k, path, asIs)
		}
		p.mention(n)
		return
	}
	name, ok := p.text(kindNode, join(path, "kind"))
	if !ok {
		p.mention(n)
		return
	}
	if d.kind = p.registry.kind(name); d.kind == nil {
		if how, ok := registered[name]; ok {
			p.found.add(kindNode.line, join(path, "kind"), "kind %s is not registered in this program: %s", name, how)
		} else {
			p.unknown(kindNode, join(path, "kind"), "kind", p.registry.kindNames())
		}
		p.mention(n)
		return
	}
	if floor := n.at("level"); floor != nil && d.kind.floor {
		if l, ok := p.level(floor, join(path, "level")); ok {
			d.level = &l
		}
	}
	p.uses = nil
	p.optionsOf(d)
	d.uses = p.uses
}

// optionsOf reads the options of a handler as its kind has them.
func (d *decoder) optionsOf(h *declaration) reflect.Value {
	opts := reflect.New(h.kind.options.typ).Elem()
	taken := []string{"kind"}
	if h.kind.floor {
		taken = append(taken, "level") // which the floor is
	}
	d.options(h.node, opts, h.kind.options.options, h.path(), taken...)
	return opts
}

// routes reads root and loggers and returns where they name handlers.
func (p *parser) routes(root *node, misspelt bool) []reference {
	p.uses = nil
	if n := root.at("root"); n == nil && !misspelt {
		p.found.add(root.line, "root", "is missing: write root: {to: [NAME]}, or to: [] for none")
	} else if n != nil {
		p.doc.root = p.rule(n, "", "root")
	}
	if n := root.at("loggers"); n != nil {
		if n.form != object {
			p.wrong(n, "loggers", "a mapping of names")
		}
		if len(n.keys) > maxLoggers {
			p.found.add(n.line, "loggers", "are %d, and there may be %d", len(n.keys), maxLoggers)
			return p.uses
		}
		for _, key := range n.keys {
			path := join("loggers", key.name)
			if key.name == "" {
				p.found.add(key.line, path, "the logger without a name is root")
				continue
			}
			p.doc.ruleOf[key.name] = len(p.doc.loggers)
			p.doc.loggers = append(p.doc.loggers, p.rule(key.value, key.name, path))
		}
	}
	return p.uses
}

func (p *parser) rule(n *node, logger, path string) rule {
	r := rule{logger: logger, bubble: true}
	if n.form != object {
		p.wrong(n, path, "a mapping with level and to")
		return r
	}
	known := []string{"level", "to"}
	if logger != "" {
		known = append(known, "bubble")
	}
	meant := p.keys(n, path, "key", known)
	if level := n.at("level"); level != nil {
		if l, ok := p.level(level, join(path, "level")); ok {
			r.level = &l
		}
	}
	to := n.at("to")
	switch {
	case to != nil && logger == "" && to.form == list && len(to.items) == 0:
	case to != nil:
		r.to = p.names(to, join(path, "to"))
	case logger == "" && !meant["to"]:
		p.found.add(n.line, path, "needs to: a list of handlers, or [] for none")
	}
	if bubble := n.at("bubble"); bubble != nil && logger != "" {
		if bubble.form != truth {
			p.wrong(bubble, join(path, "bubble"), "true or false")
		} else if r.bubble = bubble.text == "true"; !r.bubble && to == nil {
			p.found.add(bubble.line, join(path, "bubble"), "keeps the records from every handler: say where they go by to")
		}
	}
	return r
}

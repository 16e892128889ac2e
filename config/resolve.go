package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
)

// variable finds a variable, and what stands for a ${ that is none.
var variable = regexp.MustCompile(`\$\$\{|\$\{([^}]*)\}`)

// resolve returns the document with variables put into its texts, and with the
// secrets of the document that holds at present where it has ***.
func (p *parser) resolve() *node {
	var kept *node
	if d := p.doc.options.keep; d != nil {
		kept = d.resolved
	}
	return p.put(p.doc.written, kept, nil, "")
}

// put resolves n, which is of the shape s, nil if that is not known; kept is what
// stands at its place at present, or nil.
func (p *parser) put(n, kept *node, s *shape, path string) *node {
	c := *n
	switch n.form {
	case text:
		if c.text = p.textOf(n, kept, s, path); c.text != n.text {
			c.written = n.text
		}
	case list:
		c.items = make([]*node, len(n.items))
		for i, item := range n.items {
			var k *node
			// Of a list of another length nobody knows which item is which.
			if kept != nil && len(kept.items) == len(n.items) {
				k = kept.items[i]
			}
			c.items[i] = p.put(item, k, s.within(""), index(path, i))
		}
	case object:
		c.keys = slices.Clone(n.keys)
		for i, key := range n.keys {
			inner, k := s.within(key.name), kept.at(key.name)
			if path == "handlers" {
				inner = p.optionsShape(key.value)
				if p.optionsShape(k) != inner {
					k = nil // a handler of another kind has secrets of its own
				}
			}
			c.keys[i].value = p.put(key.value, k, inner, join(path, key.name))
		}
	}
	return &c
}

// optionsShape returns the shape of a handler's options, nil if its kind is not
// known.
func (p *parser) optionsShape(handler *node) *shape {
	kind := handler.at("kind")
	if kind == nil {
		return nil
	}
	if k := p.registry.kind(kind.text); k != nil {
		return k.options
	}
	return nil
}

func (p *parser) textOf(n, kept *node, s *shape, path string) string {
	if n.text == redacted && s.isSecret() && kept != nil && kept.form == text {
		return kept.text
	}
	t := n.text
	if strings.Contains(t, "${") {
		t = p.expand(n, path)
	}
	t, ok := keepPasswords(t, kept)
	if !ok {
		p.found.add(n.line, path, "has the password *** and there is nothing that it stands for; it is kept for the same user and host only")
	}
	return t
}

// expand puts variables into the text, once: what is in a variable is text.
func (p *parser) expand(n *node, path string) string {
	if strings.Contains(variable.ReplaceAllString(n.text, "{}"), "${") {
		p.found.add(n.line, path, "has a ${ without a }: write $${ if it is to stand for itself")
	}
	return variable.ReplaceAllStringFunc(n.text, func(found string) string {
		if found == "$${" {
			return "${"
		}
		name := found[2 : len(found)-1]
		if !strings.HasPrefix(name, "SLOGWORKS_") && !slices.Contains(p.doc.options.Env, name) {
			p.found.add(n.line, path, "the variable %q is not for documents: only SLOGWORKS_… are, and those that the program allows", abridged(name))
			return ""
		}
		value, ok := os.LookupEnv(name)
		if !ok {
			p.found.add(n.line, path, "the variable %s is not set", abridged(name))
		}
		return value
	})
}

// passwordIn finds the passwords of URLs, wherever in a text these stand.
var passwordIn = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^/?#@]*?:)([^/?#]*)(@)`)

// withoutPasswords returns s with *** for the passwords of URLs.
func withoutPasswords(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	return passwordIn.ReplaceAllString(s, "${1}"+redacted+"${3}")
}

// keepPasswords puts the passwords of kept where s has *** for one. They are
// kept for the same user of the same host only; ok is false if there is none.
func keepPasswords(s string, kept *node) (with string, ok bool) {
	if !strings.Contains(s, ":"+redacted+"@") {
		return s, true
	}
	present := map[string]string{}
	if kept != nil {
		for _, at := range passwordIn.FindAllStringSubmatchIndex(kept.text, -1) {
			present[access(kept.text, at)] = kept.text[at[4]:at[5]]
		}
	}
	var b strings.Builder
	end := 0
	for _, at := range passwordIn.FindAllStringSubmatchIndex(s, -1) {
		if s[at[4]:at[5]] != redacted {
			continue
		}
		password, known := present[access(s, at)]
		if !known {
			return s, false
		}
		b.WriteString(s[end:at[4]] + password)
		end = at[5]
	}
	return b.String() + s[end:], true
}

// access returns what a password is for: the URL up to it, and the host.
func access(s string, at []int) string {
	host := s[at[1]:]
	if i := strings.IndexAny(host, "/?# \t\r\n"); i >= 0 {
		host = host[:i]
	}
	return s[at[2]:at[3]] + redacted + "@" + host
}

package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/slogworks/slogworks/internal/level"
	"github.com/slogworks/slogworks/internal/nearest"
)

// decoder makes values of Go from those of a document.
type decoder struct {
	found    *findings
	registry *Registry
	// refer is told where a handler is named.
	refer func(n *node, path string)
	// mentioned are names that stand where nobody can know what they are for.
	mentioned map[string]bool
}

func (d *decoder) wrong(n *node, path, want string) {
	d.mention(n)
	if n.form == broken {
		return
	}
	d.found.add(n.line, path, "is %s and has to be %s", n.describe(), want)
}

// describe says what n is, for a mistake.
func (n *node) describe() string {
	switch n.form {
	case nothing:
		return "empty"
	case text:
		return strconv.Quote(abridged(n.shown()))
	case truth, number:
		return abridged(n.text)
	}
	return n.form.String()
}

func abridged(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// text reads what has to be text.
func (d *decoder) text(n *node, path string) (string, bool) {
	if n.form == number || n.form == truth {
		d.found.add(n.line, path, "is %s and has to be text: write %q", n.describe(), abridged(n.text))
		return "", false
	}
	if n.form != text {
		d.wrong(n, path, "text")
		return "", false
	}
	return n.text, true
}

// oneOf reads one of a few words.
func (d *decoder) oneOf(n *node, path string, words []string) (string, bool) {
	s, ok := d.text(n, path)
	if ok && !slices.Contains(words, s) {
		d.unknown(n, path, "value", words)
		return "", false
	}
	return s, ok
}

// maxSlip is how long a name is that others are tried for: that takes a step for
// each pair of letters, and there may be a thousand others.
const maxSlip = 40

// unknown adds the mistake that a text is none of those known, and returns what
// was perhaps meant.
func (d *decoder) unknown(n *node, path, what string, known []string) (meant string) {
	if d.found.full() {
		return ""
	}
	m := Mistake{Line: n.line, Path: path}
	if len(n.text) <= maxSlip {
		m.Nearest = nearest.Of(n.text, known)
	}
	m.Message = fmt.Sprintf("unknown %s %q", what, abridged(n.shown()))
	if m.Nearest == "" {
		m.Message += thereIs(known)
	}
	d.found.addMistake(m)
	return m.Nearest
}

// thereIs says what is known, unless it is too much for a line.
func thereIs(known []string) string {
	if len(known) == 0 || len(known) > 40 {
		return ""
	}
	return ", there is " + strings.Join(known, ", ")
}

// keys finds keys that are none of those known, and returns what was perhaps
// meant by them: that such a key is missing is no mistake of its own.
func (d *decoder) keys(n *node, path, what string, known []string) (meant map[string]bool) {
	for _, key := range n.keys {
		if slices.Contains(known, key.name) {
			continue
		}
		if name, ok := d.dictConfig(key, path, known); ok {
			if meant == nil {
				meant = map[string]bool{}
			}
			meant[name] = true
			d.mention(key.value)
			continue
		}
		at := &node{form: text, line: key.line, text: key.name}
		if name := d.unknown(at, join(path, key.name), what, known); name != "" {
			if meant == nil {
				meant = map[string]bool{}
			}
			meant[name] = true
		}
		d.mention(key.value)
	}
	return meant
}

// level reads a level.
func (d *decoder) level(n *node, path string) (slog.Level, bool) {
	if n.form == text || n.form == number {
		if name := pythonLevels[n.text]; name != "" {
			d.found.add(n.line, path, "%s is above ERROR here; Python's %s is %s: write %s", n.text, n.text, name, name)
			return 0, false
		}
		if l, ok := level.Parse(n.text); ok {
			return l, true
		}
		d.found.addMistake(Mistake{
			Line: n.line, Path: path, Nearest: nearest.Of(strings.ToLower(n.text), levelNames),
			Message: fmt.Sprintf("is %s and has to be a level such as info, error+4 or -4", n.describe()),
		})
		return 0, false
	}
	d.wrong(n, path, "a level such as info, error+4 or -4")
	return 0, false
}

var levelNames = []string{"debug", "info", "warn", "error", "trace", "warning", "critical", "fatal"}

// names reads a name or a list of names.
func (d *decoder) names(n *node, path string) []string {
	if n.form != list {
		if s, ok := d.text(n, path); ok {
			d.refer(n, path)
			return []string{s}
		}
		return nil
	}
	if len(n.items) == 0 {
		d.found.add(n.line, path, "names no handler")
	}
	var names []string
	seen := map[string]bool{}
	for i, item := range n.items {
		at := index(path, i)
		s, ok := d.text(item, at)
		switch {
		case !ok:
		case seen[s]:
			d.found.add(item.line, at, "%q stands here a second time", abridged(item.shown()))
		default:
			seen[s] = true
			names = append(names, s)
			d.refer(item, at)
		}
	}
	return names
}

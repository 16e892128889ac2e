package notify

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// template is a text with placeholders. It is expanded in a single pass: what
// stands in a value is never looked at. text/template, the path not taken, can
// fail when it is too late, calls methods of what it is given, and does not say
// which text comes before the first value.
type template []part

// part is a literal text, or a placeholder if it has a name.
type part struct{ literal, name string }

// attrPrefix begins the names of placeholders for attributes.
const attrPrefix = "attr:"

func parseTemplate(s string) (template, error) {
	var t template
	var literal strings.Builder
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			i = len(s)
		}
		literal.WriteString(s[:i])
		s = s[i:]
		switch {
		case s == "":
		case strings.HasPrefix(s, "{{"), strings.HasPrefix(s, "}}"):
			literal.WriteByte(s[0])
			s = s[2:]
		case s[0] == '}':
			return nil, errors.New(`a "}" without "{": write "}}" for one that is meant literally`)
		default:
			name, rest, ok := strings.Cut(s[1:], "}")
			if !ok {
				return nil, errors.New(`a "{" without "}": write "{{" for one that is meant literally`)
			}
			if !isPlaceholder(name) {
				return nil, fmt.Errorf(`there is no placeholder {%s}: there are {title}, {body}, {level}, {count}, {time}, {json}, {urgency} and {attr:key}; "{{" is a literal "{"`, name)
			}
			if literal.Len() > 0 {
				t = append(t, part{literal: literal.String()})
				literal.Reset()
			}
			t = append(t, part{name: name})
			s = rest
		}
	}
	if literal.Len() > 0 {
		t = append(t, part{literal: literal.String()})
	}
	return t, nil
}

func isPlaceholder(name string) bool {
	switch name {
	case "title", "body", "level", "count", "time", "json", "urgency":
		return true
	}
	key, ok := strings.CutPrefix(name, attrPrefix)
	return ok && key != ""
}

// prefix returns the literal text before the first placeholder, and whether
// there is a placeholder.
func (t template) prefix() (literal string, dynamic bool) {
	for _, p := range t {
		if p.name != "" {
			return literal, true
		}
		literal += p.literal
	}
	return literal, false
}

func (t template) expand(value func(name string) (string, error)) (string, error) {
	var b strings.Builder
	for _, p := range t {
		if p.name == "" {
			b.WriteString(p.literal)
			continue
		}
		v, err := value(p.name)
		if err != nil {
			return "", err
		}
		b.WriteString(v)
	}
	return b.String(), nil
}

// value returns what the placeholder stands for.
func (m *Message) value(name string) (string, error) {
	switch name {
	case "title":
		return oneLine(m.Title), nil
	case "body":
		return clean(m.Body), nil
	case "level":
		return m.Level.String(), nil
	case "count":
		return strconv.Itoa(m.Count), nil
	case "time":
		if m.Time.IsZero() {
			return "", nil
		}
		return m.Time.Format(time.RFC3339), nil
	case "json":
		doc, err := m.MarshalJSON()
		return clean(string(doc)), err
	case "urgency":
		return m.urgency(), nil
	}
	return clean(m.attr(strings.TrimPrefix(name, attrPrefix))), nil
}

// literal returns s so that a template has it as it is.
func literal(s string) string { return strings.NewReplacer("{", "{{", "}", "}}").Replace(s) }

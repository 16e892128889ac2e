package config

import (
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/slogworks/slogworks/internal/level"
	"github.com/slogworks/slogworks/internal/nearest"
	"github.com/slogworks/slogworks/internal/stage"
	"github.com/slogworks/slogworks/internal/units"
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

// unknown adds the mistake that a text is none of those known, and returns what
// was perhaps meant.
func (d *decoder) unknown(n *node, path, what string, known []string) (meant string) {
	if d.found.full() {
		return ""
	}
	m := Mistake{Line: n.line, Path: path, Nearest: nearest.Of(n.text, known)}
	m.Message = fmt.Sprintf("unknown %s %q", what, abridged(n.shown()))
	if m.Nearest == "" && len(known) > 0 && len(known) <= 40 {
		m.Message += ", there is " + strings.Join(known, ", ")
	}
	d.found.addMistake(m)
	return m.Nearest
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

// fromDictConfig are keys of a dictionary for Python's dictConfig, by what they
// are called here; "" is what there is no need of.
var fromDictConfig = map[string]string{
	"class": "kind", "formatter": "format", "filename": "path", "maxBytes": "max_size", "backupCount": "max_backups",
	"handlers": "to", "propagate": "bubble",
	"formatters": "", "disable_existing_loggers": "",
}

// dictConfig adds a mistake and returns what the key is called here, if it is one
// of a dictionary for Python's dictConfig and there is such a key here.
func (d *decoder) dictConfig(key entry, path string, known []string) (name string, ok bool) {
	name, ok = fromDictConfig[key.name]
	switch {
	case !ok || name != "" && !slices.Contains(known, name):
		return "", false
	case name == "":
		d.found.add(key.line, join(path, key.name), "is not needed: leave it out")
	default:
		d.found.addMistake(Mistake{Line: key.line, Path: join(path, key.name), Message: "is of Python's dictConfig", Nearest: name})
	}
	return name, true
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

// pythonLevels are the numbers of Python's logging, which are too high here to
// be meant.
var pythonLevels = map[string]string{"10": "debug", "20": "info", "30": "warn", "40": "error", "50": "critical"}

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

// options reads the keys of n into the fields of v. Keys that others have read
// are in taken.
func (d *decoder) options(n *node, v reflect.Value, options []option, path string, taken ...string) {
	before := len(d.found.mistakes)
	known := slices.Clone(taken)
	for _, o := range options {
		known = append(known, o.name)
		if o.shape.meaning == asSecret {
			known = append(known, o.name+"_file")
		}
	}
	meant := d.keys(n, path, "option", known)
	for _, o := range options {
		field := v.FieldByIndex(o.index)
		value := n.at(o.name)
		if o.shape.meaning == asSecret {
			if !meant[o.name] && !meant[o.name+"_file"] {
				d.secret(n, field, o, path)
			}
			continue
		}
		switch {
		case value != nil && o.required && value.isEmpty() && !o.shape.isRef():
			d.found.add(value.line, join(path, o.name), "is empty and has to be given")
		case value != nil:
			d.value(value, field, o.shape, o.enum, join(path, o.name))
		case o.required && !meant[o.name]:
			d.found.add(n.line, path, "needs %s", o.name)
		}
	}
	if len(d.found.mistakes) == before {
		if err := d.check(v); err != nil {
			line, path := n.line, path
			if about := (*optionError)(nil); errors.As(err, &about) {
				line, path = n.at(about.option).line, join(path, about.option)
			}
			d.found.add(line, path, "%s", hide(err.Error(), n, v, &shape{meaning: asStruct, options: options}))
		}
	}
}

// optionError is an error of a Check that is about one option, which is there.
type optionError struct{ option, text string }

func (e *optionError) Error() string { return e.text }

// check asks options that can tell whether they are right.
func (d *decoder) check(v reflect.Value) (err error) {
	defer stage.Rescue(&err)
	switch c := v.Addr().Interface().(type) {
	case interface{ Check() error }:
		return c.Check()
	case interface{ checkIn(*Registry) error }:
		return c.checkIn(d.registry)
	}
	return nil
}

func (d *decoder) secret(n *node, field reflect.Value, o option, path string) {
	var s Secret
	value, file := n.at(o.name), n.at(o.name+"_file")
	switch {
	case value != nil && file != nil:
		d.found.add(file.line, join(path, o.name+"_file"), "is there beside %s: one of the two", o.name)
	case value != nil:
		s.text = d.secretText(value, join(path, o.name))
		if o.required && value.isEmpty() {
			d.found.add(value.line, join(path, o.name), "is empty and has to be given")
		}
	case file != nil:
		at := join(path, o.name+"_file")
		if s.file, _ = d.text(file, at); s.file == "" && file.form == text {
			d.found.add(file.line, at, "is empty and has to be a path")
		}
	case o.required:
		d.found.add(n.line, path, "needs %s or %s_file", o.name, o.name)
	}
	field.Set(reflect.ValueOf(s))
}

// secretText reads a secret, of which a mistake must not tell.
func (d *decoder) secretText(n *node, path string) string {
	switch n.form {
	case number, truth:
		d.found.add(n.line, path, "has to be text: put it in quotes")
		return ""
	case text:
		if n.text == redacted {
			d.found.add(n.line, path, "is *** and there is nothing that it stands for")
		}
		return n.text
	}
	d.wrong(n, path, "text")
	return ""
}

// value reads n into v.
func (d *decoder) value(n *node, v reflect.Value, s *shape, enum []string, path string) {
	switch s.meaning {
	case asText:
		if enum != nil {
			word, _ := d.oneOf(n, path, enum)
			v.SetString(word)
			return
		}
		t, _ := d.text(n, path)
		v.SetString(t)
	case asTruth:
		if n.form != truth {
			d.wrong(n, path, "true or false")
			return
		}
		v.SetBool(n.text == "true")
	case asWhole:
		d.whole(n, v, path)
	case asReal:
		f, err := strconv.ParseFloat(n.text, s.typ.Bits())
		if n.form != number || err != nil || math.IsInf(f, 0) {
			d.wrong(n, path, "a number")
			return
		}
		v.SetFloat(f)
	case asDuration:
		if n.form == number && n.text == "0" {
			return
		}
		t, err := units.Duration(n.text)
		if n.form != text || err != nil {
			d.wrong(n, path, "a duration such as 10s, 1h30m or 7d")
			return
		}
		v.SetInt(int64(t))
	case asSize:
		size, err := units.Size(n.text)
		if n.form != text && n.form != number || err != nil {
			d.wrong(n, path, "a size such as 1048576, 64KiB or 100MB")
			return
		}
		v.SetInt(size)
	case asLevel:
		if l, ok := d.level(n, path); ok {
			v.Set(reflect.ValueOf(l))
		}
	case asSecret: // of a list or a map; that of a struct has a file, too
		v.Set(reflect.ValueOf(Secret{text: d.secretText(n, path)}))
	case asRef:
		v.Set(reflect.ValueOf(Ref{names: d.names(n, path)}))
	case asUnmarshaler:
		t := n.text
		if n.form != number && n.form != truth {
			var ok bool
			if t, ok = d.text(n, path); !ok {
				return
			}
		}
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(t)); err != nil {
			d.found.add(n.line, path, "is %s: %s", n.describe(), hideText(err.Error(), n.text, n.shown()))
		}
	case asList:
		items := n.items
		if n.form != list {
			if m := s.element.meaning; m != asRef && m != asText && m != asSecret {
				d.wrong(n, path, "a list")
				return
			}
			items = []*node{n} // a list of one
		} else if len(items) == 0 && s.element.meaning == asRef {
			d.found.add(n.line, path, "names no handler")
		}
		v.Set(reflect.MakeSlice(s.typ, len(items), len(items)))
		for i, item := range items {
			at := path
			if n.form == list {
				at = index(path, i)
			}
			d.value(item, v.Index(i), s.element, enum, at)
		}
		if s.element.meaning == asRef {
			d.distinct(items, v, path)
		}
	case asMap:
		if n.form != object {
			d.wrong(n, path, "a mapping")
			return
		}
		v.Set(reflect.MakeMapWithSize(s.typ, len(n.keys)))
		for _, key := range n.keys {
			element := reflect.New(s.element.typ).Elem()
			d.value(key.value, element, s.element, nil, join(path, key.name))
			v.SetMapIndex(reflect.ValueOf(key.name).Convert(s.typ.Key()), element)
		}
	case asStruct:
		if n.form == text {
			for _, o := range s.options {
				if o.short {
					d.value(n, v.FieldByIndex(o.index), o.shape, o.enum, path)
					return
				}
			}
		}
		if n.form != object {
			d.wrong(n, path, "a mapping")
			return
		}
		d.options(n, v, s.options, path)
	}
}

// distinct finds handlers that a list of several names twice: they would get
// each record twice.
func (d *decoder) distinct(items []*node, refs reflect.Value, path string) {
	seen := map[string]bool{}
	for i, item := range items {
		names := refs.Index(i).Interface().(Ref).names
		if slices.ContainsFunc(names, func(name string) bool { return seen[name] }) {
			d.found.add(item.line, index(path, i), "names a handler that stands before it already")
		}
		for _, name := range names {
			seen[name] = true
		}
	}
}

func (d *decoder) whole(n *node, v reflect.Value, path string) {
	if n.form != number {
		d.wrong(n, path, "a whole number")
		return
	}
	if v.CanUint() {
		u, err := strconv.ParseUint(n.text, 10, v.Type().Bits())
		if err != nil {
			d.wrong(n, path, fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-v.Type().Bits())))
			return
		}
		v.SetUint(u)
		return
	}
	i, err := strconv.ParseInt(n.text, 10, v.Type().Bits())
	if err != nil {
		most := int64(math.MaxInt64) >> (64 - v.Type().Bits())
		d.wrong(n, path, fmt.Sprintf("a whole number from %d to %d", -most-1, most))
		return
	}
	if i < 0 && v.Type() == countType {
		d.wrong(n, path, "a whole number from 0 on")
		return
	}
	v.SetInt(i)
}

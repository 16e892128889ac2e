package config

import (
	"errors"
	"reflect"
	"slices"

	"github.com/slogworks/slogworks/internal/stage"
)

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

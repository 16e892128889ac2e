package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"

	"github.com/slogworks/slogworks/internal/units"
)

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
		d.list(n, v, s, enum, path)
	case asMap:
		d.mapping(n, v, s, path)
	case asStruct:
		d.structure(n, v, s, path)
	}
}

func (d *decoder) list(n *node, v reflect.Value, s *shape, enum []string, path string) {
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
}

func (d *decoder) mapping(n *node, v reflect.Value, s *shape, path string) {
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
}

func (d *decoder) structure(n *node, v reflect.Value, s *shape, path string) {
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

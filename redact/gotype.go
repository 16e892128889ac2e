package redact

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/slogworks/slogworks/internal/chain"
)

// isSecretType reports whether x is a secret by its type, or by that of an
// error it wraps.
func (r *rules) isSecretType(x any) bool {
	if len(r.types) == 0 {
		return false
	}
	if r.isSecret(reflect.TypeOf(x)) {
		return true
	}
	var wrapped []error
	switch e := x.(type) {
	case interface{ Unwrap() error }:
		if panics(func() { wrapped = []error{e.Unwrap()} }) {
			return true
		}
	case interface{ Unwrap() []error }:
		if panics(func() { wrapped = e.Unwrap() }) {
			return true
		}
	}
	return slices.ContainsFunc(wrapped, func(e error) bool { return e != nil && r.isSecretType(e) })
}

func (r *rules) isSecret(t reflect.Type) bool {
	for {
		for _, secret := range r.types {
			if t == secret || secret.Kind() == reflect.Interface && (t.Implements(secret) || reflect.PointerTo(t).Implements(secret)) {
				return true
			}
		}
		if t.Kind() != reflect.Pointer {
			return false
		}
		t = t.Elem()
	}
}

// typesIn returns branches to all that is a secret in x by its type, under the
// names that JSON has for it, or nil if nothing is.
func (r *rules) typesIn(x any) *branch {
	if _, ok := x.(*chain.Frozen); ok || len(r.types) == 0 {
		return nil
	}
	s := typeSearch{rules: r, above: map[address]bool{}}
	root := new(branch)
	if !s.inside(reflect.ValueOf(x), root) {
		return nil
	}
	return root
}

type typeSearch struct {
	rules *rules
	above map[address]bool // what leads to the value that is looked at
}

type address struct {
	kind    reflect.Type
	pointer uintptr
}

// inside reports whether v is or holds a secret, and grows branches to all that
// do. A list and its elements share a branch.
func (s *typeSearch) inside(v reflect.Value, at *branch) (found bool) {
	if !v.IsValid() {
		return false
	}
	t := v.Type()
	if s.rules.isSecret(t) {
		at.end = true
		return true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return false
		}
		here := address{t, v.Pointer()}
		if s.above[here] {
			return false
		}
		s.above[here] = true
		defer delete(s.above, here)
	}
	if printsItself(t) {
		// Nobody knows what it prints of what it holds.
		found = s.below(v, new(branch))
		at.end = at.end || found
		return found
	}
	return s.below(v, at)
}

func (s *typeSearch) below(v reflect.Value, at *branch) (found bool) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return s.inside(v.Elem(), at)
	case reflect.Struct:
		for i := range v.NumField() {
			if s.inField(v.Type().Field(i), v.Field(i), at) {
				found = true
			}
		}
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			if s.inside(entries.Key(), new(branch)) {
				at.end = true
				return true
			}
			if s.inEntry(entries.Key(), entries.Value(), at) {
				found = true
			}
		}
	case reflect.Slice, reflect.Array:
		if !holds(v.Type().Elem()) {
			found = s.rules.isSecret(v.Type().Elem()) && v.Len() > 0
			at.end = at.end || found
			return found
		}
		for i := range v.Len() {
			if s.inside(v.Index(i), at) {
				found = true
			}
		}
	}
	return found
}

func (s *typeSearch) inField(f reflect.StructField, v reflect.Value, at *branch) bool {
	tag := f.Tag.Get("json")
	name, _, _ := strings.Cut(tag, ",")
	switch {
	case tag == "-" || !f.IsExported() && !f.Anonymous:
		return s.inside(v, new(branch))
	case name != "":
	case f.Anonymous && isStruct(f.Type):
		// encoding/json writes its fields as if they were those of the outer
		// struct. If all of them are secret, so is that, for their names are not
		// known.
		return s.inside(v, at)
	default:
		name = f.Name
	}
	return s.inNamed(name, v, at)
}

func isStruct(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}

// inEntry looks at what a map has under a key.
func (s *typeSearch) inEntry(key, v reflect.Value, at *branch) bool {
	if key.Kind() == reflect.String && !printsItself(key.Type()) {
		return s.inNamed(key.String(), v, at)
	}
	found := s.inside(v, new(branch))
	at.end = at.end || found
	return found
}

func (s *typeSearch) inNamed(name string, v reflect.Value, at *branch) bool {
	inner := new(branch)
	if !s.inside(v, inner) {
		return false
	}
	for part := range strings.SplitSeq(name, ".") {
		at = at.grow(simple(part))
	}
	at.merge(inner)
	return true
}

func (b *branch) merge(other *branch) {
	b.end = b.end || other.end
	for part, below := range other.next {
		b.grow(part).merge(below)
	}
}

// holds reports whether values of type t can have others in them.
func holds(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Struct, reflect.Map, reflect.Slice, reflect.Array:
		return true
	}
	return false
}

func printsItself(t reflect.Type) bool {
	for _, m := range []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()} {
		if t.Implements(m) || t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(m) {
			return true
		}
	}
	return false
}

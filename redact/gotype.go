package redact

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/slogworks/slogworks/internal/chain"
)

// isSecretType reports whether x is a secret by its type, or by that of an
// error it wraps.
func (r *rules) isSecretType(x any) bool { return len(r.types) > 0 && r.wrapsSecret(x, maxWraps) }

// maxWraps is how many errors may wrap one another: one may wrap itself, and
// what is not looked into is a secret.
const maxWraps = 1000

func (r *rules) wrapsSecret(x any, deep int) bool {
	if deep == 0 || r.isSecret(reflect.TypeOf(x)) {
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
	return slices.ContainsFunc(wrapped, func(e error) bool { return e != nil && r.wrapsSecret(e, deep-1) })
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

// typesIn returns branches to all that is a secret in x by its type or by its
// name in Go, under the names that JSON has for it, or nil if nothing is.
func (r *rules) typesIn(x any) *branch {
	if _, ok := x.(*chain.Frozen); ok || len(r.types) == 0 && !r.mayRename(reflect.TypeOf(x)) {
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
	// opaque is set in what prints itself, whose fields may have nothing to do
	// with what it prints.
	opaque bool
	// hidden is set in what is not exported: encoding/json leaves it out, and fmt
	// follows no pointers in it. Whoever changes what is behind them may do so.
	hidden bool
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
	if !holds(t) || len(s.rules.types) == 0 && !s.rules.mayRename(t) {
		return false
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
	if printsItself(t) && !s.hidden {
		// Nobody knows what it prints of what it holds.
		was := s.opaque
		s.opaque = true
		found = s.below(v, new(branch))
		s.opaque = was
		at.end = at.end || found
		return found
	}
	return s.below(v, at)
}

func (s *typeSearch) below(v reflect.Value, at *branch) (found bool) {
	switch v.Kind() {
	case reflect.Pointer:
		return !s.hidden && s.inside(v.Elem(), at)
	case reflect.Interface:
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
		if v.Len() == 0 || !holds(v.Type().Elem()) && !s.rules.isSecret(v.Type().Elem()) {
			return false
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
	name, tagged := jsonName(f)
	switch {
	case name == "":
		if len(s.rules.types) == 0 {
			return false
		}
		was := s.hidden
		s.hidden = was || !s.opaque && !f.IsExported()
		defer func() { s.hidden = was }()
		return s.inside(v, new(branch))
	case f.Anonymous && !tagged && isStruct(f.Type):
		// encoding/json writes its fields as if they were those of the outer
		// struct. If all of them are secret, so is that, for their names are not
		// known.
		return s.inside(v, at)
	}
	inner := new(branch)
	if !s.opaque && s.rules.isRenamed(f) {
		inner.end = true
	} else if !s.inside(v, inner) {
		return false
	}
	at.graft(name, inner)
	at.graft(f.Name, inner) // which encoding/json takes if the tag's is no good
	return true
}

// jsonName returns the name that the field asks encoding/json for, or "" if it is
// left out, and whether a tag says so.
func jsonName(f reflect.StructField) (name string, tagged bool) {
	tag := f.Tag.Get("json")
	name, _, _ = strings.Cut(tag, ",")
	switch {
	case tag == "-" || !f.IsExported() && !f.Anonymous:
		return "", false
	case name == "":
		return f.Name, false
	}
	return name, true
}

// isRenamed reports whether the field has a key of a secret as its name in Go,
// and another in JSON.
func (r *rules) isRenamed(f reflect.StructField) bool {
	name, tagged := jsonName(f)
	if !tagged || name == f.Name {
		return false
	}
	secret, _ := r.key(nil, f.Name)
	return secret
}

// mayRename reports whether a value of type t can hold a field that isRenamed is
// true of.
func (r *rules) mayRename(t reflect.Type) bool {
	if !holds(t) {
		return false
	}
	if known, ok := r.renaming.Load(t); ok {
		return known.(bool)
	}
	may := r.renames(t, map[reflect.Type]bool{})
	r.renaming.Store(t, may)
	return may
}

func (r *rules) renames(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] || printsItself(t) {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Array:
		return r.renames(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if name, _ := jsonName(f); name != "" && (r.isRenamed(f) || r.renames(f.Type, seen)) {
				return true
			}
		}
	}
	return false
}

func isStruct(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}

// inEntry looks at what a map has under a key.
func (s *typeSearch) inEntry(key, v reflect.Value, at *branch) bool {
	inner := new(branch)
	if !s.inside(v, inner) {
		return false
	}
	switch {
	case printsItself(key.Type()):
		at.end = true
	case key.Kind() == reflect.String:
		at.graft(key.String(), inner)
	case key.CanInt():
		at.graft(strconv.FormatInt(key.Int(), 10), inner)
	case key.CanUint():
		at.graft(strconv.FormatUint(key.Uint(), 10), inner)
	default:
		at.end = true
	}
	return true
}

// graft makes the other branch, which may not be used otherwise then, a part of
// b, under a name.
func (b *branch) graft(name string, other *branch) {
	for part := range strings.SplitSeq(name, ".") {
		b = b.grow(simple(part))
	}
	b.merge(other)
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

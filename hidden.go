package slogworks

import (
	"context"
	"log/slog"
	"reflect"
)

var (
	handlerType = reflect.TypeFor[slog.Handler]()

	// stageTypes are the methods that make a handler a matter of the walk.
	stageTypes = []reflect.Type{
		reflect.TypeFor[interface{ Flush(context.Context) error }](),
		reflect.TypeFor[interface{ Shutdown(context.Context) error }](),
		reflect.TypeFor[interface{ Unwrap() slog.Handler }](),
		reflect.TypeFor[interface{ Unwrap() []slog.Handler }](),
	}
)

// maxNesting bounds the look into handlers that hold themselves without being
// pointers.
const maxNesting = 16

// hiddenIn returns the type of a stage that h holds in its fields and does not
// give away by Unwrap, or nil. It looks at types only and calls nothing, since
// the fields are not ours; what a closure or a map holds it cannot see, the map
// because somebody may be writing to it.
//
// Naming every handler that has handlers and no Unwrap would be simpler, and
// wrong for the many that are built on a slog.JSONHandler.
func hiddenIn(h slog.Handler) reflect.Type {
	switch h.(type) {
	case interface{ Unwrap() slog.Handler }, interface{ Unwrap() []slog.Handler }, *private, *privateBatch:
		return nil
	}
	s := search{seen: map[identity]bool{}}
	return s.inside(reflect.ValueOf(h), 0)
}

// search remembers the pointers it has been at, because handlers may hold each
// other.
type search struct{ seen map[identity]bool }

// inside looks at what v holds: the fields of a struct, or the elements of a
// slice of handlers.
func (s search) inside(v reflect.Value, depth int) reflect.Type {
	if v.Kind() == reflect.Pointer {
		id := identity{v.Type(), v.Pointer()}
		if s.seen[id] {
			return nil
		}
		s.seen[id] = true
		v = v.Elem()
	}
	if depth > maxNesting {
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if t := s.at(v.Field(i), depth); t != nil {
				return t
			}
		}
	case reflect.Slice, reflect.Array:
		if !v.Type().Elem().Implements(handlerType) {
			return nil
		}
		for i := range v.Len() {
			if t := s.at(v.Index(i), depth); t != nil {
				return t
			}
		}
	}
	return nil
}

// at looks at v itself and then inside.
func (s search) at(v reflect.Value, depth int) reflect.Type {
	if !v.Type().Implements(handlerType) {
		if v.Kind() == reflect.Slice || v.Kind() == reflect.Array {
			return s.inside(v, depth)
		}
		return nil
	}
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() || isPrivate(v.Type()) {
		return nil
	}
	if isStage(v.Type()) {
		return v.Type()
	}
	return s.inside(v, depth+1)
}

func isStage(t reflect.Type) bool {
	for _, stage := range stageTypes {
		if t.Implements(stage) {
			return true
		}
	}
	return false
}

func isPrivate(t reflect.Type) bool {
	return t == reflect.TypeFor[*private]() || t == reflect.TypeFor[*privateBatch]()
}

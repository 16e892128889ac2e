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

// maxNesting bounds the look into handlers within handlers within h.
const maxNesting = 16

// hiddenIn returns the type of a stage that h holds in its fields and does not
// give away by Unwrap, or nil. It looks at types only and calls nothing, since
// the fields are not ours; what a closure holds it cannot see.
//
// Naming every handler that has handlers and no Unwrap would be simpler, and
// wrong for the many that are built on a slog.JSONHandler.
func hiddenIn(h slog.Handler) reflect.Type {
	switch h.(type) {
	case interface{ Unwrap() slog.Handler }, interface{ Unwrap() []slog.Handler }, *private, *privateBatch:
		return nil
	}
	return hiddenInFields(reflect.ValueOf(h), 0)
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

func hiddenInFields(v reflect.Value, depth int) reflect.Type {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || depth > maxNesting {
		return nil
	}
	for i := range v.NumField() {
		if t := hiddenInValue(v.Field(i), depth); t != nil {
			return t
		}
	}
	return nil
}

func hiddenInValue(v reflect.Value, depth int) reflect.Type {
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Array {
		if !v.Type().Elem().Implements(handlerType) {
			return nil
		}
		for i := range v.Len() {
			if t := hiddenInValue(v.Index(i), depth); t != nil {
				return t
			}
		}
		return nil
	}
	if !v.Type().Implements(handlerType) {
		return nil
	}
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if !v.IsValid() || isPrivate(v.Type()) {
		return nil
	}
	if isStage(v.Type()) {
		return v.Type()
	}
	return hiddenInFields(v, depth+1)
}

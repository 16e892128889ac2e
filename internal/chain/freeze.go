package chain

import (
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"
)

// Freeze returns a value that prints later what v prints now.
//
// LogValuers are resolved, inside groups too. Byte slices and *slog.Source are
// copied. Any other value whose type can reach memory that somebody may still
// change becomes one [Frozen]. Errors stay as they are, because whoever handles
// the record later may want their type. A group that holds such a value is
// rebuilt, never changed. A value that needs none of this comes back as it is,
// without an allocation.
//
// To know what either handler would print, Freeze runs both encoding/json and
// fmt over a value, and fmt reads unexported fields too. A value that others
// change under a lock needs a marshaler for each that takes the lock, or a
// LogValue method, whichever handler it goes to.
func Freeze(v slog.Value) slog.Value {
	if isSettled(v) {
		return v
	}
	switch v.Kind() {
	case slog.KindLogValuer:
		return Freeze(v.Resolve())
	case slog.KindGroup:
		return slog.GroupValue(FreezeAttrs(v.Group())...)
	}
	x := v.Any()
	if source, ok := x.(*slog.Source); ok {
		return slog.AnyValue(cloneSource(source))
	}
	if isByteSlice(x) {
		return slog.AnyValue(cloneBytes(x))
	}
	return slog.AnyValue(Print(x))
}

// FreezeAttrs returns a copy of attrs with every value frozen.
func FreezeAttrs(attrs []slog.Attr) []slog.Attr {
	frozen := slices.Clone(attrs)
	for i := range frozen {
		frozen[i].Value = Freeze(frozen[i].Value)
	}
	return frozen
}

// FreezeRecord returns r with every value frozen, ready to be kept. It
// allocates nothing if r is [Settled].
func FreezeRecord(r slog.Record) slog.Record {
	if Settled(&r) {
		return r.Clone()
	}
	frozen := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		a.Value = Freeze(a.Value)
		frozen.AddAttrs(a)
		return true
	})
	return frozen
}

// Settled reports whether r needs no freezing, so that a clone of it can be
// kept. It asks by reference for those who must not copy a record more often
// than once.
func Settled(r *slog.Record) bool {
	settled := true
	r.Attrs(func(a slog.Attr) bool {
		settled = isSettled(a.Value)
		return settled
	})
	return settled
}

// isSettled reports whether v needs no freezing.
func isSettled(v slog.Value) bool {
	switch v.Kind() {
	case slog.KindAny:
		return isSettledAny(v.Any())
	case slog.KindLogValuer:
		return false
	case slog.KindGroup:
		for _, a := range v.Group() {
			if !isSettled(a.Value) {
				return false
			}
		}
	}
	return true
}

func isSettledAny(x any) bool {
	switch x := x.(type) {
	case nil, *Frozen, error:
		return true
	case *slog.Source:
		return x == nil
	}
	return isImmutable(reflect.TypeOf(x))
}

var immutableTypes sync.Map // reflect.Type -> bool

// isImmutable reports whether a value of type t, once it is in an interface,
// reaches no memory that can change.
func isImmutable(t reflect.Type) bool {
	if known, ok := immutableTypes.Load(t); ok {
		return known.(bool)
	}
	immutable := inspect(t)
	immutableTypes.Store(t, immutable)
	return immutable
}

func inspect(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return true
	case reflect.Array:
		return inspect(t.Elem())
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return true // its pointer leads to a *time.Location, which never changes
		}
		for i := range t.NumField() {
			if !inspect(t.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return false
}

func isByteSlice(x any) bool {
	t := reflect.TypeOf(x)
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// cloneBytes copies a byte slice and keeps its type, on which a handler's
// output depends: json.RawMessage and net.IP print in their own ways.
func cloneBytes(x any) any {
	if b, ok := x.([]byte); ok {
		return slices.Clone(b)
	}
	v := reflect.ValueOf(x)
	if v.IsNil() {
		return x
	}
	c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
	reflect.Copy(c, v)
	return c.Interface()
}

func cloneSource(s *slog.Source) *slog.Source {
	c := *s
	return &c
}

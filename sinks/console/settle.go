package console

import (
	"encoding"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/lmittmann/tint"
)

const (
	noColor = -1
	red     = 9 // as tint.Err has it
)

// settled is an attribute that has been through ReplaceAttr. It marks
// attributes for replaceBuiltin, which tint calls for them too.
type settled slog.Attr

// settle returns a as it is given to tint, and whether it was changed for that:
// resolved, replaced, without anything that tint would let through to the
// terminal or leave out. tint drops it if it is zero.
func (c *core) settle(groups []string, a slog.Attr) (_ slog.Attr, changed bool) {
	changed = a.Value.Kind() == slog.KindLogValuer
	color := colorOf(a.Value)
	a.Value = a.Value.Resolve()

	if a.Value.Kind() == slog.KindGroup {
		return c.settleGroup(groups, a, color, changed)
	}
	if c.replace != nil {
		a = c.callReplace(groups, a)
		if replaced := colorOf(a.Value); replaced != noColor {
			color = replaced
		}
		a.Value = a.Value.Resolve()
		if a.Value.Kind() == slog.KindGroup {
			return c.settleGroup(groups, a, color, true)
		}
		a, _ = c.settleLeaf(a, color)
		return slog.Attr{Value: slog.AnyValue(settled(a))}, true
	}
	a, leafChanged := c.settleLeaf(a, color)
	return a, changed || leafChanged
}

func (c *core) settleLeaf(a slog.Attr, color int) (_ slog.Attr, changed bool) {
	if a.Equal(slog.Attr{}) {
		return a, false
	}
	if !isSafe(a.Key) {
		a.Key = escapeKey(a.Key)
		changed = true
	}
	switch a.Value.Kind() {
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindDuration, slog.KindTime:
	case slog.KindString:
		if s := a.Value.String(); !isSafe(s) {
			a.Value = safeValue(s)
			changed = true
		}
	default:
		if _, ok := a.Value.Any().(error); ok && color == noColor {
			color = red
		}
		a.Value = safeValue(textOf(a.Value))
		changed = true
	}
	return c.tint(a, color, changed)
}

func (c *core) settleGroup(groups []string, a slog.Attr, color int, changed bool) (slog.Attr, bool) {
	if c.replace != nil && a.Key != "" {
		groups = append(slices.Clip(groups), a.Key)
	}
	if !isSafe(a.Key) {
		a.Key = escapeKey(a.Key)
		changed = true
	}
	if attrs, ok := c.settleAll(groups, a.Value.Group()); ok {
		a.Value = slog.GroupValue(attrs...)
		changed = true
	}
	return c.tint(a, color, changed)
}

// settleAll settles attrs and copies them if any changed: they are not ours.
func (c *core) settleAll(groups []string, attrs []slog.Attr) (_ []slog.Attr, changed bool) {
	for i, a := range attrs {
		a, ok := c.settle(groups, a)
		if !ok {
			continue
		}
		if !changed {
			attrs = slices.Clone(attrs)
			changed = true
		}
		attrs[i] = a
	}
	return attrs, changed
}

func (c *core) tint(a slog.Attr, color int, changed bool) (slog.Attr, bool) {
	if color == noColor || !c.color {
		return a, changed
	}
	return tint.Attr(uint8(color), a), true
}

// replaceBuiltin is tint's ReplaceAttr. tint prints as it is whatever text it
// gets for a built-in attribute, and nothing for a group.
func (c *core) replaceBuiltin(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindAny {
		if s, ok := a.Value.Any().(settled); ok {
			return slog.Attr(s)
		}
	}
	a = c.callReplace(nil, a)
	color := colorOf(a.Value)
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindDuration, slog.KindTime:
	default:
		if _, ok := a.Value.Any().(slog.Level); !ok {
			a.Value = slog.StringValue(quoteUnsafe(textOf(a.Value)))
		}
	}
	a, _ = c.tint(a, color, false)
	return a
}

func (c *core) callReplace(groups []string, a slog.Attr) (replaced slog.Attr) {
	defer func() {
		if p := recover(); p != nil {
			replaced = slog.String(a.Key, fmt.Sprintf("!PANIC: %v", p))
		}
	}()
	return c.replace(groups, a)
}

// tinted is the type of the values that tint.Attr makes. tint does not export
// it, and they must be looked into like any other.
var tinted = reflect.TypeOf(tint.Attr(0, slog.Attr{}).Value.Any())

// colorOf returns the colour that v was given by tint.Attr, if it was.
func colorOf(v slog.Value) int {
	if v.Kind() != slog.KindLogValuer || reflect.TypeOf(v.Any()) != tinted {
		return noColor
	}
	color := reflect.ValueOf(v.Any()).FieldByName("Color")
	if !color.CanUint() {
		return noColor
	}
	return int(color.Uint())
}

// textOf returns what slog.TextHandler prints for v, before it adds quotes.
// It is not left to tint, which prints nothing for a MarshalText that fails.
func textOf(v slog.Value) (text string) {
	if v.Kind() != slog.KindAny {
		return v.String()
	}
	x := v.Any()
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		text = fmt.Sprintf("!PANIC: %v", p)
		if v := reflect.ValueOf(x); v.Kind() == reflect.Pointer && v.IsNil() {
			text = "<nil>" // the method did not expect it
		}
	}()
	switch x := x.(type) {
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil {
			return fmt.Sprintf("!ERROR:%v", err)
		}
		return string(text)
	case *slog.Source:
		dir, file := filepath.Split(x.File)
		return fmt.Sprintf("%s:%d", filepath.Join(filepath.Base(dir), file), x.Line)
	}
	if t := reflect.TypeOf(x); t != nil && t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
		return string(reflect.ValueOf(x).Bytes())
	}
	return fmt.Sprintf("%+v", x)
}

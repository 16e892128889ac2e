package redact

import (
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"
)

// rules are Options made ready. They never change but for what they remember.
type rules struct {
	keys        map[string]struct{} // simplified
	paths       *branch
	names       filter              // of keys and of parts of paths
	ends        map[string]struct{} // the last parts of paths
	keyPatterns []*regexp.Regexp
	patterns    []pattern
	anchored    bool // a pattern is
	types       []reflect.Type
	renaming    sync.Map // what mayRename says of a reflect.Type
	text        string
	mask        func(string) string
	remove      bool
	maskAny     bool
}

func newRules(o Options) *rules {
	r := &rules{keys: map[string]struct{}{}, ends: map[string]struct{}{}, text: o.Text, mask: o.Mask, remove: o.Remove, maskAny: o.MaskAny}
	if r.text == "" {
		r.text = Redacted
	}
	if o.Keys == nil {
		o.Keys = commonKeys
	}
	for _, key := range o.Keys {
		name := simple(key)
		if name == "" {
			panic(fmt.Sprintf("redact: key %q in Options.Keys has nothing but separators", key))
		}
		r.keys[name] = struct{}{}
		r.names.add(name)
	}
	if len(o.Paths) > 0 {
		r.paths = new(branch)
	}
	for _, path := range o.Paths {
		if !r.paths.plant(path, &r.names) {
			panic(fmt.Sprintf("redact: path %q in Options.Paths has an empty part: write group.key", path))
		}
		r.ends[simple(path[strings.LastIndexByte(path, '.')+1:])] = struct{}{}
	}
	for _, p := range o.KeyPatterns {
		if p == nil {
			panic("redact: nil pattern in Options.KeyPatterns")
		}
		r.keyPatterns = append(r.keyPatterns, p)
	}
	for _, p := range o.ValuePatterns {
		if p == nil {
			panic("redact: nil pattern in Options.ValuePatterns")
		}
		known := newPattern(p)
		r.patterns = append(r.patterns, known)
		r.anchored = r.anchored || known.anchored
	}
	for _, t := range o.Types {
		if t == nil {
			panic("redact: nil type in Options.Types")
		}
		if hasKind(t) {
			panic(fmt.Sprintf("redact: type %v in Options.Types has a slog.Kind of its own, which hides the type: declare a type for secrets", t))
		}
		r.types = append(r.types, t)
	}
	return r
}

// hasKind reports whether slog.AnyValue turns values of type t into another kind
// than KindAny.
func hasKind(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration](), reflect.TypeFor[[]slog.Attr](), reflect.TypeFor[slog.Value]():
		return true
	}
	if t.PkgPath() != "" {
		return false
	}
	switch t.Kind() {
	case reflect.Complex64, reflect.Complex128:
		return false
	}
	return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Float64 || t.Kind() == reflect.String
}

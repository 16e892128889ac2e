package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// meaning is how a value of a document becomes one of Go.
type meaning int

const (
	asText meaning = iota
	asTruth
	asWhole
	asReal
	asDuration
	asSize
	asLevel
	asSecret
	asRef
	asUnmarshaler
	asList
	asMap
	asStruct
)

// shape is what values of a type look like in a document.
type shape struct {
	meaning meaning
	typ     reflect.Type
	element *shape   // of a list or a map
	options []option // of a struct
}

// option is a field of a struct.
type option struct {
	name     string
	doc      string
	enum     []string
	required bool
	short    bool // a plain text in place of the struct's mapping is this option
	shape    *shape
	index    []int
}

// isSecret reports whether a text of this shape is a secret.
func (s *shape) isSecret() bool {
	return s != nil && (s.meaning == asSecret || s.meaning == asList && s.element.meaning == asSecret)
}

// isRef reports whether values of this shape name handlers.
func (s *shape) isRef() bool {
	return s.meaning == asRef || s.meaning == asList && s.element.meaning == asRef
}

var optionName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// shapeOf panics, in the name of the kind, if values of the type cannot be read
// from a document.
func shapeOf(t reflect.Type, kind, path string) *shape {
	bad := func(format string, args ...any) {
		panic(fmt.Sprintf("config: Register %q: %s: ", kind, path) + fmt.Sprintf(format, args...))
	}
	s := &shape{typ: t}
	switch {
	case t == durationType:
		s.meaning = asDuration
	case t == sizeType:
		s.meaning = asSize
	case t == levelerType:
		s.meaning = asLevel
	case t == secretType:
		s.meaning = asSecret
	case t == refType:
		s.meaning = asRef
	case reflect.PointerTo(t).Implements(unmarshalerType):
		s.meaning = asUnmarshaler
	default:
		switch t.Kind() {
		case reflect.String:
			s.meaning = asText
		case reflect.Bool:
			s.meaning = asTruth
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
			reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
			if t.PkgPath() == "time" {
				bad("%s: use config.Duration", t)
			}
			s.meaning = asWhole
		case reflect.Float32, reflect.Float64:
			s.meaning = asReal
		case reflect.Slice:
			s.meaning, s.element = asList, shapeOf(t.Elem(), kind, path+"[]")
		case reflect.Map:
			if t.Key().Kind() != reflect.String {
				bad("%s: keys have to be text", t)
			}
			s.meaning, s.element = asMap, shapeOf(t.Elem(), kind, path+"{}")
			if m := s.element.meaning; m == asRef || m >= asList {
				bad("%s: in a map there can be values only", t)
			}
		case reflect.Struct:
			s.meaning = asStruct
			s.options = optionsOf(t, kind, path)
		default:
			bad("a document cannot say what a %s is", t)
		}
	}
	return s
}

func optionsOf(t reflect.Type, kind, path string) []option {
	var options []option
	names := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			continue // where the doc of the kind stands
		}
		at := path + "." + f.Name
		bad := func(text string) { panic(fmt.Sprintf("config: Register %q: %s: %s", kind, at, text)) }
		if f.Anonymous && f.Type.Kind() == reflect.Struct && f.Tag.Get("config") == "" {
			for _, o := range optionsOf(f.Type, kind, at) {
				o.index = append([]int{i}, o.index...)
				if names[o.name] {
					bad("the option " + o.name + " is there twice")
				}
				names[o.name] = true
				options = append(options, o)
			}
			continue
		}
		if !f.IsExported() {
			bad("an option has to be exported")
		}
		name, flags, _ := strings.Cut(f.Tag.Get("config"), ",")
		if name == "" {
			name = snake(f.Name)
		}
		if !optionName.MatchString(name) {
			bad(fmt.Sprintf("%q cannot be an option's name: use lower case, digits and _", name))
		}
		if path == kind && name == "kind" {
			bad("every handler has a kind already")
		}
		if names[name] {
			bad("the option " + name + " is there twice")
		}
		names[name] = true
		o := option{name: name, doc: f.Tag.Get("doc"), index: []int{i}, shape: shapeOf(f.Type, kind, at)}
		for flag := range strings.SplitSeq(flags, ",") {
			switch flag {
			case "":
			case "required":
				o.required = true
			case "short":
				if o.shape.meaning != asText {
					bad("only text can be short for a mapping")
				}
				o.short = true
			case "secret":
				if o.shape.meaning != asSecret {
					bad("a secret has to be a config.Secret")
				}
			default:
				bad(fmt.Sprintf("unknown word %q in the tag", flag))
			}
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			if o.shape.meaning != asText {
				bad("only text can be one of several words")
			}
			o.enum = strings.Split(enum, ",")
		}
		options = append(options, o)
	}
	return options
}

// walk calls f for v and for each value in it that options may be made of.
func walk(v reflect.Value, s *shape, f func(v reflect.Value) error) error {
	switch s.meaning {
	case asSecret, asRef:
		return f(v)
	case asList:
		for i := range v.Len() {
			if err := walk(v.Index(i), s.element, f); err != nil {
				return err
			}
		}
	case asMap: // of values; f cannot change them
		for entry := v.MapRange(); entry.Next(); {
			if err := walk(entry.Value(), s.element, f); err != nil {
				return err
			}
		}
	case asStruct:
		if s.typ == tlsType {
			return f(v)
		}
		for _, o := range s.options {
			if err := walk(v.FieldByIndex(o.index), o.shape, f); err != nil {
				return err
			}
		}
	}
	return nil
}

var (
	wordEnd = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	lastCap = regexp.MustCompile(`([A-Z]+)([A-Z][a-z])`)
)

// snake returns max_bytes for MaxBytes and ca_file for CAFile.
func snake(name string) string {
	name = lastCap.ReplaceAllString(name, "${1}_${2}")
	return strings.ToLower(wordEnd.ReplaceAllString(name, "${1}_${2}"))
}

package chain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/chain"
)

// printed returns what slog's two handlers print for records with the attrs.
func printed(attrs ...slog.Attr) string {
	var b bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&b, nil), slog.NewTextHandler(&b, nil)} {
		r := slog.NewRecord(time.Time{}, slog.LevelInfo, "", 0)
		r.AddAttrs(attrs...)
		h.Handle(context.Background(), r)
	}
	return b.String()
}

// checkPrintsAlike checks that v prints alike before and after it is frozen.
func checkPrintsAlike(t *testing.T, v slog.Value) {
	t.Helper()
	frozen := chain.Freeze(v)
	for _, key := range []string{"key", ""} {
		want := printed(slog.Attr{Key: key, Value: v})
		if got := printed(slog.Attr{Key: key, Value: frozen}); got != want {
			t.Errorf("frozen %v of %T prints differently\n got %s\nwant %s", v.Kind(), v.Any(), got, want)
		}
	}
	if again := chain.Freeze(frozen); !same(frozen, again) {
		t.Errorf("freezing %v of %T twice makes another value", v.Kind(), v.Any())
	}
}

// same reports whether freezing v into w changed nothing.
func same(v, w slog.Value) bool {
	if v.Kind() != w.Kind() {
		return false
	}
	switch v.Kind() {
	case slog.KindGroup:
		return slices.EqualFunc(v.Group(), w.Group(), func(a, b slog.Attr) bool { return a.Key == b.Key && same(a.Value, b.Value) })
	case slog.KindAny:
		a, b := reflect.ValueOf(v.Any()), reflect.ValueOf(w.Any())
		_, isSource := v.Any().(*slog.Source) // copied each time
		if a.IsValid() && b.IsValid() && (isSource || !a.Comparable()) {
			return reflect.DeepEqual(v.Any(), w.Any())
		}
		return v.Any() == w.Any()
	case slog.KindFloat64:
		return math.Float64bits(v.Float64()) == math.Float64bits(w.Float64())
	}
	return v.Equal(w)
}

type (
	textValue    struct{ s *string }
	textPointer  struct{ s string }
	jsonValue    struct{ s *string }
	jsonPointer  struct{ s string }
	stringPtr    struct{ s string }
	stringValue  struct{ s *string }
	failsJSON    struct{ err *string }
	failsText    struct{ err *string }
	panicsJSON   struct{ with []any }
	panicsText   struct{ with []any }
	panicsString struct{ with []any }
	rawJSON      struct{ doc []byte }
	formatter    struct{ x []int }
	goStringer   struct{ x []int }
	jsonError    struct{ code *int }
	valueError   struct{ msg []string }
	pointerError struct{ msg string }
	flatStruct   struct {
		A int
		B string
		c [2]float64
		T time.Time
	}
	deepStruct struct {
		Public  map[string]any `json:"public,omitempty"`
		Skipped []int          `json:"-"`
		private map[string]int
		*flatStruct
	}
	color     int
	bytesOf   []octet
	octet     byte
	hexBytes  []byte
	stringMap map[string]string
	keyStruct struct{ a, b int }
)

func (v textValue) MarshalText() ([]byte, error)    { return []byte(*v.s), nil }
func (v *textPointer) MarshalText() ([]byte, error) { return []byte(v.s), nil }
func (v jsonValue) MarshalJSON() ([]byte, error)    { return json.Marshal(*v.s) }
func (v *jsonPointer) MarshalJSON() ([]byte, error) { return json.Marshal(v.s) }
func (v *stringPtr) String() string                 { return "<" + v.s + ">" }
func (v stringValue) String() string                { return "<" + *v.s + ">" }
func (v failsJSON) MarshalJSON() ([]byte, error)    { return nil, errors.New(*v.err) }
func (v failsText) MarshalText() ([]byte, error)    { return nil, errors.New(*v.err) }
func (v panicsJSON) MarshalJSON() ([]byte, error)   { panic(v.with[0]) }
func (v panicsText) MarshalText() ([]byte, error)   { panic(v.with[0]) }
func (v panicsString) String() string               { panic(v.with[0]) }
func (v rawJSON) MarshalJSON() ([]byte, error)      { return v.doc, nil }
func (v formatter) Format(f fmt.State, verb rune)   { fmt.Fprintf(f, "%c %v %d", verb, f.Flag('+'), v.x) }
func (v goStringer) GoString() string               { return "not used" }
func (e jsonError) Error() string                   { return fmt.Sprint("code ", *e.code) }
func (e jsonError) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]int{"code": *e.code})
}
func (e valueError) Error() string               { return strings.Join(e.msg, " ") }
func (e *pointerError) Error() string            { return e.msg }
func (c color) String() string                   { return [...]string{"red", "blue"}[c] }
func (b hexBytes) MarshalText() ([]byte, error)  { return fmt.Appendf(nil, "%x", []byte(b)), nil }
func (k keyStruct) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%d/%d", k.a, k.b), nil }

// panickyError is an error that cannot say what it is.
type panickyError struct{}

func (panickyError) Error() string { panic("no words") }

type failsWith struct{ err []error }

func (f failsWith) MarshalJSON() ([]byte, error) { return nil, f.err[0] }
func (f failsWith) MarshalText() ([]byte, error) { return nil, f.err[0] }

// linked contains itself by way of pointers, which fmt does not follow.
type linked struct {
	Name string
	Next *linked
}

// quietLoop and safeLoop contain themselves and print themselves.
type (
	quietLoop map[string]any
	safeLoop  struct{ inner []any }
)

func (quietLoop) String() string                   { return "a loop" }
func (safeLoop) MarshalText() ([]byte, error)      { return []byte("a safe loop"), nil }
func (l loopFormatter) Format(f fmt.State, _ rune) { io.WriteString(f, "a formatted loop") }

type (
	loopFormatter map[string]any
	pointerLoop   struct{ inner []any }
)

func (*pointerLoop) String() string { return "a loop behind a pointer" }

const awkward = "<a href=\"x\">&amp;</a> \u2028\u2029 \b\f\n\r\t\x00\x7f \xff\xe2\x80 é 世界 \\b \\\\f = \""

func TestFreeze_printsTheSame(t *testing.T) {
	s, n := awkward, 7
	var nilMap map[string]int
	ring := &linked{Name: "ring"}
	ring.Next = &linked{"next", ring}
	quiet, loop := quietLoop{}, loopFormatter{}
	quiet["self"], loop["self"] = quiet, loop
	safe := safeLoop{make([]any, 1)}
	safe.inner[0] = safe.inner
	holder := []any{"quiet", quiet, loop}
	var deep any = "bottom"
	for range 2000 {
		deep = []any{deep}
	}
	var pointerToAny, pointerToLoop any = []int{1}, safe.inner
	beginning := []any{"a", nil}
	beginning[1] = beginning[:1]
	shared := []any{1, 2}

	for name, x := range map[string]any{
		"nil":                           nil,
		"string":                        awkward,
		"int":                           -5,
		"uint64":                        uint64(math.MaxUint64),
		"float":                         1e21,
		"small float":                   1e-7,
		"NaN":                           math.NaN(),
		"infinity":                      math.Inf(-1),
		"bool":                          true,
		"duration":                      time.Hour,
		"time":                          time.Date(2024, 1, 2, 3, 4, 5, 6789, time.FixedZone("X", 3600)),
		"zero time":                     time.Time{},
		"time far away":                 time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC),
		"time pointer":                  &time.Time{},
		"times":                         []time.Time{time.Unix(0, 1)},
		"complex":                       complex(1, 2),
		"slog.Kind":                     slog.KindAny,
		"slog.Level":                    slog.LevelWarn + 1,
		"slog.LevelVar":                 new(slog.LevelVar),
		"slog.Attr":                     slog.Any("a", []int{1}),
		"slog.Attr pointer":             &slog.Attr{},
		"slog.Values":                   []slog.Value{slog.IntValue(1), slog.AnyValue([]int{1})},
		"slog.Source":                   slog.Source{Function: "f", File: "x.go", Line: 3},
		"slog.Source pointer":           &slog.Source{Function: "f", File: "x.go", Line: 3},
		"slog.Source, part of it":       &slog.Source{Line: 3},
		"slog.Source, nothing in it":    &slog.Source{},
		"slog.Source, nil":              (*slog.Source)(nil),
		"named integer with String":     color(1),
		"named integer out of range":    color(5),
		"array":                         [2]int{1, 2},
		"bytes":                         []byte(awkward),
		"empty bytes":                   []byte{},
		"nil bytes":                     []byte(nil),
		"json.RawMessage":               json.RawMessage(`{"a": [1, 2] , "b":"<&>"}`),
		"nil json.RawMessage":           json.RawMessage(nil),
		"invalid json.RawMessage":       json.RawMessage(`{"a":`),
		"pointer to json.RawMessage":    &json.RawMessage{'1'},
		"net.IP":                        net.IPv4(1, 2, 3, 4),
		"nil net.IP":                    net.IP(nil),
		"bad net.IP":                    net.IP{1},
		"net.HardwareAddr":              net.HardwareAddr{1, 2, 3, 4, 5, 6},
		"named bytes with MarshalText":  hexBytes("abc"),
		"named bytes of named bytes":    bytesOf{1, 255},
		"pointer to bytes":              &[]byte{1, 2},
		"byte array":                    [3]byte{1, 2, 3},
		"pointer to byte array":         &[3]byte{1, 2, 3},
		"slice of bytes":                [][]byte{{1}, nil},
		"netip.Addr":                    netip.MustParseAddr("fe80::1%eth0"),
		"url.URL":                       &url.URL{Scheme: "http", Host: "h", RawQuery: "a=b&c=d"},
		"map":                           map[string]any{"b": 1, "a": []string{awkward}, "": nil},
		"nil map":                       nilMap,
		"empty map":                     map[int]int{},
		"map of unsupported keys":       map[float64]int{math.NaN(): 1},
		"map of marshalled keys":        map[keyStruct]int{{1, 2}: 3, {0, 1}: 2},
		"map of named strings":          stringMap{"a": awkward},
		"strings":                       []string{awkward, ""},
		"nil slice":                     []int(nil),
		"slice of any":                  []any{nil, 1, "a", 1.5, []int{}, map[string]int{}, io.EOF},
		"slice twice in a slice":        []any{shared, shared, map[string]any{"x": shared}},
		"struct":                        flatStruct{A: 1, B: awkward},
		"pointer to struct":             &flatStruct{A: 1},
		"nil pointer to struct":         (*flatStruct)(nil),
		"pointer to pointer":            &ring,
		"pointer to any":                &pointerToAny,
		"pointer to int":                &n,
		"deep struct":                   deepStruct{Public: map[string]any{"a": 1}, Skipped: []int{1}, private: map[string]int{"p": 1}, flatStruct: &flatStruct{}},
		"deep struct, empty":            deepStruct{},
		"anonymous struct":              struct{ X any }{map[string]any{"a": []byte("x")}},
		"NaN in a struct":               struct{ X []float64 }{[]float64{math.NaN()}},
		"infinity in a map":             map[string]any{"a": math.Inf(1)},
		"json.Number":                   []json.Number{"12", "1e5"},
		"bad json.Number":               []json.Number{"<x>"},
		"channel":                       make(chan int),
		"nil channel":                   (chan int)(nil),
		"function":                      strings.ToUpper,
		"nil function":                  (func())(nil),
		"function in a map":             map[string]any{"f": fmt.Sprint},
		"mutex":                         &sync.Mutex{},
		"reflect.Type":                  reflect.TypeFor[int](),
		"reflect.Value":                 reflect.ValueOf([]int{1}),
		"context":                       context.WithoutCancel(context.Background()),
		"nested 2000 deep":              deep,
		"MarshalText of a value":        textValue{&s},
		"MarshalText of a pointer":      &textPointer{s},
		"MarshalText of a nil pointer":  (*textPointer)(nil),
		"MarshalText of no pointer":     textPointer{s},
		"value method, nil pointer":     (*textValue)(nil),
		"MarshalText on a nil field":    textValue{},
		"MarshalJSON of a value":        jsonValue{&s},
		"MarshalJSON of a pointer":      &jsonPointer{s},
		"MarshalJSON of a nil pointer":  (*jsonPointer)(nil),
		"MarshalJSON of no pointer":     jsonPointer{s},
		"value MarshalJSON, nil":        (*jsonValue)(nil),
		"String of a value":             stringValue{&s},
		"String of a pointer":           &stringPtr{s},
		"String of a nil pointer":       (*stringPtr)(nil),
		"value String, nil pointer":     (*stringValue)(nil),
		"Format":                        formatter{[]int{1}},
		"GoString":                      goStringer{[]int{1}},
		"failing MarshalJSON":           failsJSON{&s},
		"failing MarshalText":           failsText{&s},
		"failing with a panicky error":  failsWith{[]error{panickyError{}}},
		"failing with a nil *error":     failsWith{[]error{(*pointerError)(nil)}},
		"failing in a slice":            []any{1, failsJSON{&s}},
		"panicking MarshalJSON":         panicsJSON{[]any{awkward}},
		"panicking MarshalText":         panicsText{[]any{awkward}},
		"panicking String":              panicsString{[]any{awkward}},
		"panicking with an error":       panicsJSON{[]any{io.EOF}},
		"panicking with panic(nil)":     panicsJSON{[]any{nil}},
		"panicking with a panicky one":  panicsJSON{[]any{panickyError{}}},
		"panicking in a slice":          []any{panicsJSON{[]any{1}}},
		"pointer to a panicking one":    &panicsText{[]any{1}},
		"MarshalJSON of invalid JSON":   rawJSON{[]byte(`{"a" 1}`)},
		"MarshalJSON of nothing":        rawJSON{},
		"MarshalJSON of two values":     rawJSON{[]byte(`1 2`)},
		"MarshalJSON with space":        rawJSON{[]byte("{ \"a\" :\n[1 , 2]}\n")},
		"MarshalJSON with raw U+2028":   rawJSON{[]byte("\"<\u2028>\\u003c\"")},
		"MarshalJSON of invalid UTF-8":  rawJSON{[]byte("\"\xff\"")},
		"error":                         errors.New(awkward),
		"wrapped error":                 fmt.Errorf("open: %w", fs.ErrNotExist),
		"error that marshals itself":    jsonError{&n},
		"nil error that marshals":       (*jsonError)(nil),
		"error in a slice":              []error{io.EOF, jsonError{&n}},
		"value error":                   valueError{[]string{"a", "b"}},
		"nil pointer error":             (*pointerError)(nil),
		"panicking error":               panickyError{},
		"ring of pointers":              ring,
		"slice of pointers in a ring":   []*linked{ring},
		"loop with String":              quiet,
		"loop with Format":              loop,
		"pointer to a loop with String": &quiet,
		"loop with MarshalText":         safe,
		"pointer String before a loop":  &pointerLoop{safe.inner},
		"pointer to any with a loop":    &pointerToLoop,
		"slice of its own beginning":    beginning,
		"slice of loops with methods":   holder,
	} {
		t.Run(name, func(t *testing.T) {
			v := slog.AnyValue(x)
			checkPrintsAlike(t, v)
			checkPrintsAlike(t, slog.GroupValue(slog.Int("before", 1), slog.Attr{Key: "in", Value: v}, slog.Int("after", 2)))
			checkPrintsAlike(t, slog.AnyValue(valuer{valuer{v}}))
		})
	}
}

func FuzzFreeze(f *testing.F) {
	for _, doc := range []string{
		`null`, `{}`, `[1,2,{"a":"<b>"}]`, `{"a":{"b":[null,true,1e5,"x"]}}`, `"\u2028\b\f"`, awkward, "", "\xff",
	} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		// What is longer finds nothing new, and a megabyte takes seconds.
		if len(doc) > 4<<10 {
			return
		}
		s := doc
		values := []any{doc, []byte(doc), json.RawMessage(doc), []string{doc}, map[string]string{doc: doc}, errors.New(doc),
			failsJSON{&s}, failsText{&s}, textValue{&s}, stringValue{&s}, rawJSON{[]byte(doc)}, panicsJSON{[]any{doc}}, panicsText{[]any{doc}}}
		var tree any
		if json.Unmarshal([]byte(doc), &tree) == nil {
			values = append(values, tree, &tree, []any{tree, tree})
		}
		for _, x := range values {
			checkPrintsAlike(t, slog.AnyValue(x))
		}
	})
}

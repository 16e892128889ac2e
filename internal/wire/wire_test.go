package wire_test

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
	"math/big"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/wire"
)

// valuer is a LogValuer.
type valuer struct{ v slog.Value }

func (v valuer) LogValue() slog.Value { return v.v }

type (
	color      int
	point      struct{ X, Y float64 }
	octets     []byte
	hexBytes   []byte
	idError    struct{ ID int }
	stackError struct{ msg string }
	textError  struct{ msg string }
	nilError   struct{ msg string }
	mute       struct{}
	panicker   struct{ N int }
	failer     struct{ N int }
	dirty      struct{ N int }
)

func (c color) String() string                  { return "color " + fmt.Sprint(int(c)) }
func (b hexBytes) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", []byte(b)), nil }
func (e idError) Error() string                 { return fmt.Sprint("no ", e.ID) }
func (e idError) MarshalJSON() ([]byte, error)  { return fmt.Appendf(nil, `{ "id" : %d }`, e.ID), nil }
func (e stackError) Error() string              { return e.msg }
func (e stackError) Format(f fmt.State, verb rune) {
	io.WriteString(f, e.msg)
	if verb == 'v' && f.Flag('+') {
		io.WriteString(f, "\n\tmain.main\n\t\tmain.go:42")
	}
}
func (e textError) Error() string                { return e.msg }
func (e textError) MarshalText() ([]byte, error) { return []byte("as text: " + e.msg), nil }
func (e *nilError) Error() string                { return e.msg }
func (mute) Error() string                       { panic("no words \b\f\\") }
func (p panicker) MarshalJSON() ([]byte, error)  { panic("no JSON \b\f\\") }
func (p panicker) MarshalText() ([]byte, error)  { panic(io.EOF) }
func (failer) MarshalJSON() ([]byte, error)      { return nil, errors.New("no JSON <&> \b\f\\") }
func (failer) MarshalText() ([]byte, error)      { return nil, errors.New("no text") }
func (dirty) MarshalJSON() ([]byte, error)       { return []byte("{\"a\" :\n[\"<&>\u2028\" , 2]}\n"), nil }

const awkward = "<a href=\"x\">&amp;</a> \u2028\u2029 \b\f\n\r\t\x00\x7f é 世界 🙂 \ufffd \\b \\\\f = \""

// printedBy returns what slog's two handlers write for the record.
func printedBy(r slog.Record) string {
	var b bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&b, nil), slog.NewTextHandler(&b, nil)} {
		h.Handle(context.Background(), r.Clone())
	}
	return b.String()
}

// checkReplays checks that the line of r is one, that r comes back from it as it
// was, and that it comes back the same the second time.
func checkReplays(t *testing.T, r slog.Record) slog.Record {
	t.Helper()
	want := r.Clone()
	if source := r.Source(); source != nil {
		want.AddAttrs(slog.Any(slog.SourceKey, source))
	}
	origin := wire.Origin{Host: "web1", Process: "shop", PID: 7, Seq: 31, Boot: "k3f9"}
	line := wire.AppendRecord(nil, r, origin, wire.MaxLine)
	if !json.Valid(line) || !utf8.Valid(line) || bytes.ContainsAny(line, "\n\r") {
		t.Errorf("not a line of JSON: %q", line)
	}
	decoded, from, err := wire.Decode(line)
	if err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	if from != origin {
		t.Errorf("from %+v, want %+v", from, origin)
	}
	if !decoded.Time.Round(0).Equal(r.Time.Round(0)) || decoded.Level != r.Level || decoded.Message != r.Message || decoded.PC != 0 {
		t.Errorf("%+v became %+v", r, decoded)
	}
	if got, want := printedBy(decoded), printedBy(want); got != want {
		t.Errorf("replayed as\n%swant\n%sline\n%s", got, want, line)
	}
	if again := wire.AppendRecord(nil, decoded, from, wire.MaxLine); !bytes.Equal(again, line) {
		t.Errorf("written again as\n%s\nwant\n%s", again, line)
	}
	return decoded
}

func newRecord(attrs ...slog.Attr) slog.Record {
	r := slog.NewRecord(noon, slog.LevelInfo, "message", 0)
	r.AddAttrs(attrs...)
	return r
}

var values = map[string]any{
	"string":                      awkward,
	"empty string":                "",
	"int":                         -5,
	"smallest int":                int64(math.MinInt64),
	"largest exact int":           int64(1 << 53),
	"int beyond":                  int64(-1<<53 - 1),
	"uint":                        uint64(7),
	"largest uint":                uint64(math.MaxUint64),
	"float":                       0.1,
	"integral float":              float64(3),
	"negative zero":               math.Copysign(0, -1),
	"large float":                 1e21,
	"small float":                 -1e-7,
	"smallest float":              math.SmallestNonzeroFloat64,
	"NaN":                         math.NaN(),
	"infinity":                    math.Inf(1),
	"negative infinity":           math.Inf(-1),
	"true":                        true,
	"false":                       false,
	"duration":                    90 * time.Second,
	"longest duration":            time.Duration(math.MaxInt64),
	"time":                        noon,
	"time with a clock":           time.Now(),
	"time in a zone":              noon.In(time.FixedZone("X", 5*3600+1800)),
	"time in a zone of half":      noon.In(time.FixedZone("X", -1800)),
	"time in a zone of seconds":   noon.In(time.FixedZone("X", 3208)),
	"zero time":                   time.Time{},
	"time far away":               time.Date(12345, 1, 1, 0, 0, 0, 1, time.UTC),
	"time in the last year":       time.Unix(1<<62, 5).UTC(),
	"time in the first year":      time.Unix(-1<<62, 5).UTC(),
	"time long ago":               time.Date(-12, 1, 1, 0, 0, 0, 0, time.UTC),
	"group":                       []slog.Attr{slog.Int("a", 1), slog.Group("b", "c", awkward), slog.Any("d", nil)},
	"group with a nameless group": []slog.Attr{slog.Group("", "a", 1), slog.Int("b", 2)},
	"empty group":                 []slog.Attr{},
	"group of empty groups":       []slog.Attr{slog.Group("a", slog.Group("b"))},
	"group of an empty valuer":    []slog.Attr{slog.Any("a", valuer{slog.GroupValue()})},
	"group of a zero Attr":        []slog.Attr{{}},
	"group of an empty source":    []slog.Attr{slog.Any("a", &slog.Source{})},
	"valuer":                      valuer{slog.AnyValue(valuer{slog.StringValue("v")})},
	"valuer of a group":           valuer{slog.GroupValue(slog.Any("a", valuer{slog.IntValue(1)}))},
	"valuer of nothing":           valuer{},
	"error":                       fmt.Errorf("open: %w", fs.ErrNotExist),
	"awkward error":               errors.New(awkward),
	"error that marshals itself":  idError{7},
	"error with a stack":          stackError{"no"},
	"error that is a text":        textError{"no"},
	"error that panics":           mute{},
	"nil pointer error":           (*nilError)(nil),
	"pointer error":               &net.OpError{Op: "dial", Net: "tcp", Err: io.EOF},
	"nil":                         nil,
	"bytes":                       []byte(awkward + "\xff"),
	"empty bytes":                 []byte{},
	"nil bytes":                   []byte(nil),
	"named bytes":                 octets("a\xff"),
	"nil named bytes":             octets(nil),
	"named bytes of hex":          hexBytes("abc"),
	"json.RawMessage":             json.RawMessage(`{"a": [1, 2] , "b":"<&>"}`),
	"short json.RawMessage":       json.RawMessage(` 12 `),
	"nil json.RawMessage":         json.RawMessage(nil),
	"bad json.RawMessage":         json.RawMessage(`{"a":`),
	"net.IP":                      net.IPv4(1, 2, 3, 4),
	"netip.Addr":                  netip.MustParseAddr("fe80::1%eth0"),
	"url":                         &url.URL{Scheme: "http", Host: "h", RawQuery: "a=b&c=d"},
	"big integer":                 big.NewInt(0).Lsh(big.NewInt(1), 200),
	"level":                       slog.LevelWarn + 1,
	"map":                         map[string]any{"b": 1, "a": []string{awkward}, "": nil},
	"nil map":                     map[string]int(nil),
	"slice":                       []any{nil, 1, "a", 1.5, []int{}},
	"struct":                      point{1, 2.5},
	"pointer to a struct":         &point{1, 2.5},
	"nil pointer":                 (*point)(nil),
	"named int":                   color(3),
	"array":                       [2]int{1, 2},
	"array of bytes":              [2]byte{1, 2},
	"complex":                     complex(1, 2),
	"NaN in an array":             [1]float64{math.NaN()},
	"panicking":                   panicker{},
	"panicking, behind a pointer": &panicker{},
	"failing":                     failer{},
	"failing, behind a pointer":   &failer{},
	"dirty JSON":                  dirty{},
	"dirty JSON of a pointer":     &dirty{},
	"channel":                     make(chan int),
	"function":                    fmt.Sprint,
	"source":                      &slog.Source{Function: "f", File: "a b.go", Line: 3},
	"source, part of it":          &slog.Source{Line: 3},
	"empty source":                &slog.Source{},
	"nil source":                  (*slog.Source)(nil),
	"source by value":             slog.Source{Line: 3},
}

func TestAppendRecord_replaysEveryKind(t *testing.T) {
	for name, x := range values {
		for _, key := range []string{"key", "", awkward, "source", "logger"} {
			t.Run(name+" as "+key, func(t *testing.T) {
				a := slog.Attr{Key: key, Value: slog.AnyValue(x)}
				checkReplays(t, newRecord(a))
				checkReplays(t, newRecord(slog.Int("before", 1), a, slog.Int("after", 2)))
				if !strings.Contains(name, "valuer") {
					frozen := a
					frozen.Value = chain.Freeze(a.Value)
					checkReplays(t, newRecord(frozen))
					checkReplays(t, newRecord(slog.Group("g", "before", 1, frozen, "after", 2)))
				}
				checkReplays(t, newRecord(slog.Group("g", "before", 1, a, a)))
				checkReplays(t, newRecord(slog.Group("g", a)))
			})
		}
	}
}

func TestAppendRecord_writesTheFormat(t *testing.T) {
	r := slog.NewRecord(noon.In(time.FixedZone("", 3600)), slog.LevelError, "no\nanswer", 0)
	r.AddAttrs(
		slog.String(slogworks.LoggerKey, "db.pool"),
		slog.String("s", "<é>"), slog.Int("i", 3), slog.Uint64("u", math.MaxUint64), slog.Float64("f", math.Inf(1)), slog.Bool("b", true),
		slog.Duration("d", time.Second), slog.Time("t", noon), slog.Group("g", "x", int64(-1<<60)),
		slog.Any("e", io.EOF), slog.Any("e2", stackError{"no"}), slog.Any("n", nil), slog.Any("y", []byte("abc")), slog.Any("j", point{1, 2}),
		slog.Any("r", json.RawMessage("12")),
		slog.Any("source", &slog.Source{Function: "main.run", File: "main.go", Line: 42}))
	got := wire.AppendRecord([]byte("before "), r, wire.Origin{Host: "web1", Process: "shop", PID: 7, Seq: 1 << 60, Boot: "k3f9"}, 0)
	want := `before {"t":"2026-01-02T13:00:00.123456789+01:00","l":8,"m":"no\nanswer","n":"db.pool","src":{"fn":"main.run","f":"main.go","l":42},` +
		`"h":"web1","p":"shop","pid":7,"q":"1152921504606846976","b":"k3f9","a":[` +
		`{"k":"s","t":"s","v":"<é>"},{"k":"i","t":"i","v":3},{"k":"u","t":"u","v":"18446744073709551615"},{"k":"f","t":"f","v":"+Inf"},{"k":"b","t":"b","v":true},` +
		`{"k":"d","t":"d","v":1000000000},{"k":"t","t":"t","v":"2026-01-02T12:00:00.123456789Z"},{"k":"g","t":"g","v":[{"k":"x","t":"i","v":"-1152921504606846976"}]},` +
		`{"k":"e","t":"e","v":["EOF","*errors.errorString"]},{"k":"e2","t":"e","v":["no","wire_test.stackError","no\n\tmain.main\n\t\tmain.go:42"]},` +
		`{"k":"n","t":"n","v":null},{"k":"y","t":"y","v":"YWJj"},{"k":"j","t":"j","v":[{"X":1,"Y":2},"{X:1 Y:2}"]},{"k":"r","t":"j","v":[12,"12","json.RawMessage"]}]}`
	if string(got) != want {
		t.Errorf("wrote\n%s\nwant\n%s", got, want)
	}
	r = slog.NewRecord(time.Time{}, 0, "\u2028<\u2029", 0)
	r.AddAttrs(slog.Int64("", 1<<53), slog.Int64("", -1<<53), slog.Int64("", 1<<53+1), slog.Int64("", -1<<53-1), slog.Uint64("", 1<<53), slog.Uint64("", 1<<53+1))
	got = wire.AppendRecord(nil, r, wire.Origin{}, 0)
	want = `{"l":0,"m":"\u2028<\u2029","a":[{"k":"","t":"i","v":9007199254740992},{"k":"","t":"i","v":-9007199254740992},{"k":"","t":"i","v":"9007199254740993"},` +
		`{"k":"","t":"i","v":"-9007199254740993"},{"k":"","t":"u","v":9007199254740992},{"k":"","t":"u","v":"9007199254740993"}]}`
	if string(got) != want {
		t.Errorf("wrote\n%s\nwant\n%s", got, want)
	}
	if got := wire.AppendRecord(nil, slog.Record{}, wire.Origin{}, 0); string(got) != `{"l":0,"m":"","a":[]}` {
		t.Errorf("an empty record is %s", got)
	}
}

func TestAppendRecord_putsTheNameWhereItStood(t *testing.T) {
	name, other := slog.String("logger", "a.b"), slog.Int("x", 1)
	for text, test := range map[string]struct {
		attrs    []slog.Attr
		name     string
		repeated bool
	}{
		"first":                   {[]slog.Attr{name, other}, "a.b", false},
		"alone":                   {[]slog.Attr{name}, "a.b", false},
		"later":                   {[]slog.Attr{other, name}, "a.b", true},
		"twice":                   {[]slog.Attr{slog.String("logger", "a"), name}, "a.b", true},
		"in a nameless group":     {[]slog.Attr{{Value: slog.GroupValue(name)}}, "a.b", true},
		"first and in a group":    {[]slog.Attr{slog.String("logger", "a"), {Value: slog.GroupValue(name, other)}}, "a.b", true},
		"first, then not one":     {[]slog.Attr{name, slog.Int("logger", 1)}, "a.b", false},
		"in a group with a name":  {[]slog.Attr{slog.Group("g", name)}, "", true},
		"empty":                   {[]slog.Attr{slog.String("logger", ""), other}, "", true},
		"behind one that is none": {[]slog.Attr{slog.Int("logger", 1), name}, "a.b", true},
	} {
		t.Run(text, func(t *testing.T) {
			decoded := checkReplays(t, newRecord(test.attrs...))
			line := wire.AppendRecord(nil, decoded, wire.Origin{}, 0)
			var fields struct{ N string }
			json.Unmarshal(line, &fields)
			if fields.N != test.name || slogworks.NewView(decoded).Logger() != test.name {
				t.Errorf("n is %q and the name %q, want %q", fields.N, slogworks.NewView(decoded).Logger(), test.name)
			}
			if repeated := bytes.Contains(line, []byte(`"k":"logger","t":"s"`)); repeated != test.repeated {
				t.Errorf("among the attributes: %v, want %v in %s", repeated, test.repeated, line)
			}
		})
	}
}

func TestAppendRecord_keepsTheSource(t *testing.T) {
	var pcs [1]uintptr
	runtime.Callers(1, pcs[:])
	for range 2 {
		r := slog.NewRecord(noon, slog.LevelInfo, "here", pcs[0])
		r.AddAttrs(slog.Int("x", 1))
		decoded := checkReplays(t, r)
		got, want := slogworks.NewView(decoded).Source(), r.Source()
		if got == nil || *got != *want {
			t.Errorf("source %+v, want %+v", got, want)
		}
	}
	t.Run("of calls that share a slot", func(t *testing.T) {
		for offset := range uintptr(5000) {
			r := slog.NewRecord(noon, slog.LevelInfo, "here", pcs[0]+offset)
			line := string(wire.AppendRecord(nil, r, wire.Origin{}, 0))
			if source := r.Source(); *source != (slog.Source{}) && !strings.Contains(line, fmt.Sprintf(`"l":%d}`, source.Line)) {
				t.Fatalf("line %d became %s", source.Line, line)
			}
		}
	})
	t.Run("and AddSource does not print it twice", func(t *testing.T) {
		r, _, err := wire.Decode(wire.AppendRecord(nil, slog.NewRecord(noon, slog.LevelInfo, "here", pcs[0]), wire.Origin{}, 0))
		if err != nil {
			t.Fatal(err)
		}
		for _, addSource := range []bool{false, true} {
			var b bytes.Buffer
			slog.NewJSONHandler(&b, &slog.HandlerOptions{AddSource: addSource}).Handle(t.Context(), r)
			if strings.Count(b.String(), `"source":{"function":`) != 1 {
				t.Errorf("AddSource %v: %s", addSource, &b)
			}
		}
	})
	t.Run("that says nothing is left out", func(t *testing.T) {
		checkReplays(t, newRecord(slog.Int("x", 1), slog.Any("source", &slog.Source{})))
		line := wire.AppendRecord(nil, slog.NewRecord(noon, slog.LevelInfo, "here", 42), wire.Origin{}, 0)
		if bytes.Contains(line, []byte("src")) {
			t.Errorf("wrote %s", line)
		}
	})
	t.Run("and one that is not the record's", func(t *testing.T) {
		r := slog.NewRecord(noon, slog.LevelInfo, "here", pcs[0])
		r.AddAttrs(slog.Any("source", &slog.Source{File: "other.go", Line: 1}))
		checkReplays(t, r)
		checkReplays(t, newRecord(slog.Any("source", &slog.Source{File: "other.go", Line: 1}), slog.Int("x", 1)))
	})
}

func TestAppendRecord_replacesInvalidUTF8(t *testing.T) {
	r := slog.NewRecord(noon, slog.LevelInfo, "a\xffb\xe2\x80", 0)
	r.AddAttrs(slog.String("k\xff", "\xff\xfe"), slog.Any("j", json.RawMessage("\"\xff\"")), slog.Any("err", errors.New("\xff")))
	line := wire.AppendRecord(nil, r, wire.Origin{Host: "\xff"}, 0)
	if !utf8.Valid(line) || !json.Valid(line) {
		t.Fatalf("wrote %q", line)
	}
	decoded, from, err := wire.Decode(line)
	if err != nil {
		t.Fatal(err)
	}
	if decoded.Message != "a\ufffdb\ufffd\ufffd" || from.Host != "\ufffd" {
		t.Errorf("message %q, host %q", decoded.Message, from.Host)
	}
	if value, _ := slogworks.NewView(decoded).Attr("k\ufffd"); value.String() != "\ufffd\ufffd" {
		t.Errorf("value %q", value)
	}
}

func TestError_saysWhatItWas(t *testing.T) {
	decoded := checkReplays(t, newRecord(slog.Any("err", stackError{"no"})))
	value, _ := slogworks.NewView(decoded).Attr("err")
	err, ok := value.Any().(*wire.Error)
	if !ok || err.Error() != "no" || err.Type() != "wire_test.stackError" || !strings.HasSuffix(fmt.Sprint(slog.Any("", err)), "no") {
		t.Errorf("became %#v", value.Any())
	}
}

func TestDecode_returnsWhatNeedsNoFreezing(t *testing.T) {
	for name, x := range values {
		if strings.Contains(name, "valuer") || strings.HasPrefix(name, "source") || strings.Contains(name, "RawMessage") || strings.Contains(name, "bytes") {
			continue // copied each time, or resolved
		}
		line := wire.AppendRecord(nil, newRecord(slog.Any("k", x)), wire.Origin{}, 0)
		if r, _, err := wire.Decode(line); err != nil || !chain.Settled(&r) {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}

func TestAppendRecord_doesNotAllocateForScalars(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var pcs [1]uintptr
	runtime.Callers(1, pcs[:])
	r := scalarRecord()
	r.PC = pcs[0]
	line := wire.AppendRecord(nil, r, wire.Origin{}, 0)
	if n := testing.AllocsPerRun(100, func() {
		line = wire.AppendRecord(line[:0], r, wire.Origin{Host: "web1", PID: 7}, 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	frozen := newRecord(slog.Any("list", []int{1}), slog.Any("err", io.EOF), slog.Group("g", "a", 1), slog.Any("bytes", []byte("a")))
	frozen = chain.FreezeRecord(frozen)
	if n := testing.AllocsPerRun(100, func() {
		line = wire.AppendRecord(line[:0], frozen, wire.Origin{}, 0)
	}); n != 0 {
		t.Errorf("%v allocations for a frozen record", n)
	}
}

// randomValue returns a value of any kind, in groups up to depth deep.
func randomValue(rng *rand.Rand, names []string, depth int) slog.Value {
	switch n := rng.IntN(8); {
	case n < 2 && depth > 0:
		var members []slog.Attr
		for range rng.IntN(4) {
			members = append(members, randomAttr(rng, names, depth-1))
		}
		if n == 0 {
			return slog.AnyValue(valuer{slog.GroupValue(members...)})
		}
		return slog.GroupValue(members...)
	case n == 2:
		return slog.TimeValue(time.Unix(rng.Int64N(1<<33), rng.Int64N(1e9)).In(time.FixedZone("", 60*(rng.IntN(28*60)-14*60))))
	case n == 3:
		return slog.Int64Value(int64(rng.Uint64()) >> rng.IntN(64))
	case n == 4:
		return slog.Float64Value(math.Float64frombits(rng.Uint64()))
	case n == 5:
		runes := make([]rune, rng.IntN(8))
		for i := range runes {
			runes[i] = rune(rng.IntN(1 << (5 + rng.IntN(16))))
		}
		return slog.StringValue(string(runes))
	}
	return slog.AnyValue(values[names[rng.IntN(len(names))]])
}

func randomAttr(rng *rand.Rand, names []string, depth int) slog.Attr {
	keys := []string{"", "a", "b", "logger", "source", "a.b", awkward}
	return slog.Attr{Key: keys[rng.IntN(len(keys))], Value: randomValue(rng, names, depth)}
}

func TestAppendRecord_replaysAnyTree(t *testing.T) {
	var names []string
	for name := range values {
		names = append(names, name)
	}
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		r := slog.NewRecord(noon.Add(time.Duration(rng.Int64N(1e18))), slog.Level(rng.IntN(20)-10), randomValue(rng, []string{"string"}, 0).String(), 0)
		for range rng.IntN(9) {
			r.AddAttrs(randomAttr(rng, names, 3))
		}
		if checkReplays(t, r); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		var node *chain.Node
		node = node.WithAttrs([]slog.Attr{randomAttr(rng, names, 1)}).WithGroup("g").WithAttrs([]slog.Attr{randomAttr(rng, names, 1)})
		if checkReplays(t, node.Flatten(chain.FreezeRecord(r))); t.Failed() {
			t.Fatalf("seed %d, flattened", seed)
		}
	}
}

// slog prints a time in any zone, so that there is a line for it that can be
// read.
func TestAppendRecord_timeInAZoneOfDays(t *testing.T) {
	for _, hours := range []int{24, -24, 100, -100, 1 << 20} {
		there := noon.In(time.FixedZone("", hours*3600))
		r := slog.NewRecord(there, slog.LevelInfo, "m", 0)
		r.AddAttrs(slog.Time("t", there))
		got, _, err := wire.Decode(wire.AppendRecord(nil, r, wire.Origin{}, 0))
		if err != nil {
			t.Errorf("%d hours: %v", hours, err)
			continue
		}
		got.Attrs(func(a slog.Attr) bool {
			if !got.Time.Equal(noon) || !a.Value.Time().Equal(noon) {
				t.Errorf("%d hours: %v, %v", hours, got.Time, a)
			}
			return true
		})
	}
}

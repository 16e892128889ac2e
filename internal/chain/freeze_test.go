package chain_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/chain"
)

// valuer is a LogValuer.
type valuer struct{ x any }

func (v valuer) LogValue() slog.Value { return slog.AnyValue(v.x) }

type panickingValuer struct{}

func (panickingValuer) LogValue() slog.Value { panic("no value") }

// loopingValuer never comes to a value.
type loopingValuer struct{}

func (v loopingValuer) LogValue() slog.Value { return slog.AnyValue(v) }

func TestFreeze_resolvesLogValuers(t *testing.T) {
	for name, test := range map[string]struct {
		v    slog.Value
		want string
	}{
		"alone":                {slog.AnyValue(valuer{1}), "1"},
		"twice":                {slog.AnyValue(valuer{valuer{1}}), "1"},
		"in a group":           {slog.GroupValue(slog.Int("a", 1), slog.Any("b", valuer{2})), "[a=1 b=2]"},
		"in a group's group":   {slog.GroupValue(slog.Group("g", "a", valuer{slog.GroupValue(slog.Any("b", valuer{2}))})), "[g=[a=[b=2]]]"},
		"to a group":           {slog.AnyValue(valuer{slog.GroupValue(slog.Any("a", valuer{1}))}), "[a=1]"},
		"that call themselves": {slog.AnyValue(loopingValuer{}), "LogValue called too many times on Value of type chain_test.loopingValuer"},
	} {
		t.Run(name, func(t *testing.T) {
			frozen := chain.Freeze(test.v)
			if got := frozen.String(); got != test.want {
				t.Errorf("frozen to %s, want %s", got, test.want)
			}
			checkPrintsAlike(t, test.v)
		})
	}
	t.Run("that panic", func(t *testing.T) {
		for _, v := range []slog.Value{slog.AnyValue(panickingValuer{}), slog.GroupValue(slog.Any("a", panickingValuer{}))} {
			frozen := chain.Freeze(v)
			if frozen.Kind() == slog.KindGroup {
				frozen = frozen.Group()[0].Value
			}
			if err, ok := frozen.Any().(error); !ok || !strings.HasPrefix(err.Error(), "LogValue panicked\n") {
				t.Errorf("frozen to %v", frozen)
			}
		}
	})
	t.Run("once only", func(t *testing.T) {
		calls := 0
		frozen := chain.Freeze(slog.AnyValue(countingValuer{&calls}))
		printed(slog.Attr{Key: "a", Value: frozen})
		if calls != 1 {
			t.Errorf("LogValue called %d times", calls)
		}
	})
}

type countingValuer struct{ calls *int }

func (v countingValuer) LogValue() slog.Value { *v.calls++; return slog.IntValue(*v.calls) }

func TestFreeze_keepsWhatCannotChange(t *testing.T) {
	sentinel := &pointerError{"sentinel"}
	for name, x := range map[string]any{
		"an error":             error(sentinel),
		"an error by value":    jsonError{new(int)},
		"a nil error":          (*pointerError)(nil),
		"a struct":             flatStruct{A: 1, B: "b", c: [2]float64{1, 2}, T: time.Now()},
		"an array":             [2]string{"a", "b"},
		"an array of structs":  [1]flatStruct{},
		"an empty struct":      struct{}{},
		"a named integer":      color(1),
		"a time in a struct":   struct{ T time.Time }{time.Now()},
		"a level":              slog.LevelError,
		"a source by value":    slog.Source{Line: 1},
		"a nil source":         (*slog.Source)(nil),
		"a complex number":     complex(1, 2),
		"a slog.Kind":          slog.KindBool,
		"nil":                  nil,
		"a string":             "a",
		"a time":               time.Now(),
		"a zero time":          time.Time{},
		"a group of the above": slog.GroupValue(slog.Any("a", sentinel), slog.Group("g", "b", flatStruct{})),
	} {
		t.Run(name, func(t *testing.T) {
			v := slog.AnyValue(x)
			frozen := chain.Freeze(v)
			if !same(v, frozen) {
				t.Errorf("%v of %T became %v of %T", v.Kind(), x, frozen.Kind(), frozen.Any())
			}
			if n := testing.AllocsPerRun(100, func() { chain.Freeze(v) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func TestFreeze_keepsTheTypeOfByteSlicesAndSources(t *testing.T) {
	for _, x := range []any{
		[]byte("a"), []byte{}, []byte(nil), json.RawMessage("1"), json.RawMessage(nil), net.IP{1, 2, 3, 4}, net.IP(nil), bytesOf{1}, hexBytes("a"),
		&slog.Source{File: "x.go"},
	} {
		frozen := chain.Freeze(slog.AnyValue(x)).Any()
		if !reflect.DeepEqual(frozen, x) {
			t.Errorf("%T %#v became %T %#v", x, x, frozen, frozen)
		}
		if v := reflect.ValueOf(x); (v.Kind() == reflect.Pointer || v.Len() > 0) && v.Pointer() == reflect.ValueOf(frozen).Pointer() {
			t.Errorf("%T is not a copy", x)
		}
	}
}

func TestFreeze_turnsTheRestIntoOneFrozen(t *testing.T) {
	for _, x := range []any{
		map[string]int{}, []int{1}, &flatStruct{}, struct{ X any }{1}, struct{ p *int }{}, [1][]int{}, [1]chan int{},
		make(chan int), func() {}, &[]byte{1}, [1]error{}, new(slog.LevelVar), netip.Addr{},
	} {
		v := chain.Freeze(slog.AnyValue(x))
		frozen, ok := v.Any().(*chain.Frozen)
		if !ok {
			t.Errorf("%T became %T", x, v.Any())
			continue
		}
		if again := chain.Freeze(v).Any(); again != any(frozen) {
			t.Errorf("%T: frozen twice it is another Frozen", x)
		}
		if inGroup := chain.Freeze(slog.GroupValue(slog.Attr{Key: "a", Value: v})).Group()[0].Value.Any(); inGroup != any(frozen) {
			t.Errorf("%T: frozen again in a group it is another Frozen", x)
		}
	}
}

func TestFreeze_printsTheOldAfterAChange(t *testing.T) {
	m, list, b, raw := map[string]any{"a": 1}, []string{"a"}, []byte("abc"), json.RawMessage("1")
	pointer, source := &flatStruct{A: 1}, &slog.Source{File: "x.go", Line: 1}
	nested := map[string][]int{"n": {1, 2}}
	attrs := []slog.Attr{
		slog.Any("map", m), slog.Any("list", list), slog.Any("bytes", b), slog.Any("raw", raw), slog.Any("pointer", pointer),
		slog.Any("source", source), slog.Any("valuer", valuer{nested}), slog.Group("group", "map", m, slog.Group("group", "bytes", b, "valuer", valuer{list})),
	}
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "", 0)
	r.AddAttrs(attrs...)
	want := printed(attrs...)

	frozen, record := chain.FreezeAttrs(attrs), chain.FreezeRecord(r)
	m["a"], list[0], b[0], raw[0], pointer.A, source.Line, nested["n"][0] = 2, "b", 'x', '2', 2, 2, 9

	if printed(attrs...) == want {
		t.Fatal("the test changes nothing")
	}
	if got := printed(frozen...); got != want {
		t.Errorf("FreezeAttrs:\n got %s\nwant %s", got, want)
	}
	var kept []slog.Attr
	record.Attrs(func(a slog.Attr) bool { kept = append(kept, a); return true })
	if got := printed(kept...); got != want {
		t.Errorf("FreezeRecord:\n got %s\nwant %s", got, want)
	}
}

func TestFreeze_neverChangesGroups(t *testing.T) {
	inner := []slog.Attr{slog.Any("valuer", valuer{1}), slog.Any("list", []int{1})}
	outer := []slog.Attr{slog.Int("a", 1), {Key: "inner", Value: slog.GroupValue(inner...)}}
	group := slog.GroupValue(outer...)
	frozen := chain.Freeze(group)
	if outer[0].Value.Kind() != slog.KindInt64 || inner[0].Value.Kind() != slog.KindLogValuer {
		t.Error("LogValuer was resolved in place")
	}
	if _, ok := inner[1].Value.Any().([]int); !ok {
		t.Errorf("list was replaced by a %T", inner[1].Value.Any())
	}
	if &frozen.Group()[0] == &outer[0] {
		t.Error("the frozen group is the original")
	}

	attrs := []slog.Attr{slog.Any("valuer", valuer{1})}
	chain.FreezeAttrs(attrs)
	if attrs[0].Value.Kind() != slog.KindLogValuer {
		t.Error("FreezeAttrs changed the caller's slice")
	}
}

// scalarRecord is a record with five attributes that need no freezing.
func scalarRecord() slog.Record {
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "message", 0)
	r.AddAttrs(slog.String("method", "GET"), slog.Int("status", 200), slog.Duration("took", time.Second), slog.Bool("cached", true), slog.Time("at", time.Now()))
	return r
}

func TestFreezeRecord_doesNotAllocateForScalars(t *testing.T) {
	groups := slog.NewRecord(time.Now(), slog.LevelInfo, "message", 0)
	for i := range 8 {
		groups.AddAttrs(slog.Group("g", "a", i, slog.Group("h", "b", "c", "err", io.EOF)))
	}
	for name, r := range map[string]slog.Record{"five scalars": scalarRecord(), "groups of scalars": groups, "nothing": {}} {
		if n := testing.AllocsPerRun(100, func() { chain.FreezeRecord(r) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestFreezeRecord_keepsTheRecord(t *testing.T) {
	for name, extra := range map[string]any{"settled": 1, "unsettled": []int{1}} {
		t.Run(name, func(t *testing.T) {
			r := slog.NewRecord(time.Now(), slog.LevelWarn, "message", 42)
			for i := range 7 {
				r.AddAttrs(slog.Int("i", i))
			}
			r.AddAttrs(slog.Any("extra", extra))
			frozen := chain.FreezeRecord(r)
			if frozen.Time != r.Time || frozen.Level != r.Level || frozen.Message != r.Message || frozen.PC != r.PC || frozen.NumAttrs() != 8 {
				t.Errorf("%+v became %+v", r, frozen)
			}
			var keys []string
			frozen.Attrs(func(a slog.Attr) bool { keys = append(keys, a.String()); return true })
			if want := []string{"i=0", "i=1", "i=2", "i=3", "i=4", "i=5", "i=6"}; !slices.Equal(keys[:7], want) {
				t.Errorf("attributes %q", keys)
			}

			r.AddAttrs(slog.Int("theirs", 1))
			frozen.AddAttrs(slog.Int("ours", 2))
			if frozen.NumAttrs() != 9 { // slog adds another to a copy that was not cloned
				t.Errorf("the frozen record shares memory with the original")
			}
		})
	}
}

func TestSettled_saysWhetherFreezingWouldChangeTheRecord(t *testing.T) {
	for name, test := range map[string]struct {
		x    any
		want bool
	}{
		"a scalar":                 {1, true},
		"an error":                 {io.EOF, true},
		"a group of scalars":       {slog.GroupValue(slog.Group("g", "a", 1)), true},
		"a Frozen":                 {chain.Freeze(slog.AnyValue([]int{1})), true},
		"a list":                   {[]int{1}, false},
		"bytes":                    {[]byte("a"), false},
		"a LogValuer":              {valuer{1}, false},
		"a LogValuer in a group":   {slog.GroupValue(slog.Group("g", "a", valuer{1})), false},
		"a list in a group":        {slog.GroupValue(slog.Int("a", 1), slog.Any("b", []int{1})), false},
		"a group of frozen values": {chain.Freeze(slog.GroupValue(slog.Any("b", []int{1}))), true},
	} {
		for before := range 7 {
			r := slog.NewRecord(time.Time{}, slog.LevelInfo, "", 0)
			for range before {
				r.AddAttrs(slog.Int("before", 1))
			}
			r.AddAttrs(slog.Any("key", test.x), slog.Int("after", 1))
			if got := chain.Settled(&r); got != test.want {
				t.Errorf("%s after %d others: %v", name, before, got)
			}
		}
	}
}

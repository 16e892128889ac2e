package slogworks_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
)

// viewer is a handler that shows each record as a View.
type viewer struct {
	with []slogworks.GroupOrAttrs
	show func(slogworks.View)
}

func (h viewer) Enabled(context.Context, slog.Level) bool { return true }

func (h viewer) Handle(_ context.Context, r slog.Record) error {
	h.show(slogworks.NewView(r, h.with...))
	return nil
}

func (h viewer) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.with = append(slices.Clip(h.with), slogworks.GroupOrAttrs{Attrs: attrs})
	return h
}

func (h viewer) WithGroup(name string) slog.Handler {
	h.with = append(slices.Clip(h.with), slogworks.GroupOrAttrs{Group: name})
	return h
}

// viewOf returns the View of the last record that log writes.
func viewOf(log func(*slog.Logger)) (view slogworks.View) {
	log(slog.New(viewer{show: func(v slogworks.View) { view = v }}))
	return view
}

func recordOf(attrs ...slog.Attr) slog.Record {
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "message", 0)
	r.AddAttrs(attrs...)
	return r
}

// valuer is a LogValuer.
type valuer struct{ value slog.Value }

func (v valuer) LogValue() slog.Value { return v.value }

func lazily(x any) slog.Value { return slog.AnyValue(valuer{slog.AnyValue(x)}) }

// lazilyTwice returns a value that needs resolving twice.
func lazilyTwice(x any) slog.Value { return slog.AnyValue(valuer{lazily(x)}) }

type panickingValuer struct{}

func (panickingValuer) LogValue() slog.Value { panic("no value") }

func TestView_attrFollowsPaths(t *testing.T) {
	path := func(keys ...string) []string { return keys }
	for _, test := range []struct {
		name string
		log  func(*slog.Logger)
		path []string
		want string // as slog.Value.String prints it; "" if nothing is there
	}{
		{"an attribute of the record", func(l *slog.Logger) { l.Info("", "a", 1) }, path("a"), "1"},
		{"an attribute of With", func(l *slog.Logger) { l.With("a", 1).Info("") }, path("a"), "1"},
		{"the sixth attribute of the record", func(l *slog.Logger) { l.Info("", "a", 1, "b", 2, "c", 3, "d", 4, "e", 5, "f", 6) }, path("f"), "6"},
		{"an attribute that is not there", func(l *slog.Logger) { l.Info("", "a", 1) }, path("b"), ""},
		{"no path", func(l *slog.Logger) { l.Info("", "a", 1) }, nil, ""},
		{"a nil value is a value", func(l *slog.Logger) { l.Info("", "a", nil) }, path("a"), "<nil>"},

		{"in a group of WithGroup", func(l *slog.Logger) { l.WithGroup("g").Info("", "a", 1) }, path("g", "a"), "1"},
		{"in a group of WithGroup, from With", func(l *slog.Logger) { l.WithGroup("g").With("a", 1).Info("") }, path("g", "a"), "1"},
		{"in a group within a group", func(l *slog.Logger) { l.WithGroup("g").WithGroup("h").Info("", "a", 1) }, path("g", "h", "a"), "1"},
		{"not above its group", func(l *slog.Logger) { l.WithGroup("g").Info("", "a", 1) }, path("a"), ""},
		{"not in another group", func(l *slog.Logger) { l.WithGroup("g").Info("", "a", 1) }, path("h", "a"), ""},
		{"above a group that was opened later", func(l *slog.Logger) { l.With("a", 1).WithGroup("g").Info("", "a", 2) }, path("a"), "1"},
		{"not in a group that was opened later", func(l *slog.Logger) { l.With("a", 1).WithGroup("g").Info("") }, path("g", "a"), ""},
		{"not by half a path", func(l *slog.Logger) { l.WithGroup("g").WithGroup("h").Info("", "a", 1) }, path("g", "a"), ""},
		{"not below a value", func(l *slog.Logger) { l.Info("", "a", 1) }, path("a", "b"), ""},

		{"in a group of the record", func(l *slog.Logger) { l.Info("", slog.Group("g", "a", 1)) }, path("g", "a"), "1"},
		{"in a group of With", func(l *slog.Logger) { l.With(slog.Group("g", "a", 1)).Info("") }, path("g", "a"), "1"},
		{"in a group of the record in a group of WithGroup", func(l *slog.Logger) { l.WithGroup("g").Info("", slog.Group("h", "a", 1)) }, path("g", "h", "a"), "1"},
		{"in an inline group", func(l *slog.Logger) { l.Info("", slog.Group("", "a", 1)) }, path("a"), "1"},
		{"in an inline group of With in a group", func(l *slog.Logger) { l.WithGroup("g").With(slog.Group("", "a", 1)).Info("") }, path("g", "a"), "1"},
		{"in a group in an inline group", func(l *slog.Logger) { l.Info("", slog.Group("", slog.Group("", slog.Group("g", "a", 1)))) }, path("g", "a"), "1"},
		{"in an inline group that a LogValuer makes", func(l *slog.Logger) { l.Info("", slog.Attr{Value: lazily(slog.GroupValue(slog.Int("a", 1)))}) }, path("a"), "1"},
		{"a value without a key", func(l *slog.Logger) { l.Info("", slog.Int("", 1)) }, path(""), "1"},

		{"a LogValuer, resolved", func(l *slog.Logger) { l.Info("", "a", lazily(1)) }, path("a"), "1"},
		{"a LogValuer of a LogValuer", func(l *slog.Logger) { l.With("a", lazilyTwice(1)).Info("") }, path("a"), "1"},
		{"in a group that a LogValuer makes", func(l *slog.Logger) { l.Info("", "g", lazily(slog.GroupValue(slog.Int("a", 1)))) }, path("g", "a"), "1"},
		{"a LogValuer in a group", func(l *slog.Logger) { l.Info("", slog.Group("g", "a", lazilyTwice(1))) }, path("g", "a"), "1"},

		{"the newest in the record", func(l *slog.Logger) { l.Info("", "a", 1, "a", 2) }, path("a"), "2"},
		{"the newest in one With", func(l *slog.Logger) { l.With("a", 1, "a", 2).Info("") }, path("a"), "2"},
		{"the newest With", func(l *slog.Logger) { l.With("a", 1).With("b", 3).With("a", 2).Info("") }, path("a"), "2"},
		{"the record rather than With", func(l *slog.Logger) { l.With("a", 1).Info("", "a", 2) }, path("a"), "2"},
		{"the newest in a group", func(l *slog.Logger) { l.Info("", slog.Group("g", "a", 1, "a", 2)) }, path("g", "a"), "2"},
		{"the newest of an inline group and what stands beside it", func(l *slog.Logger) { l.Info("", "a", 1, slog.Group("", "a", 2)) }, path("a"), "2"},
		{"the newest of what stands beside an inline group", func(l *slog.Logger) { l.Info("", slog.Group("", "a", 1), "a", 2) }, path("a"), "2"},
		{"the newest of two groups", func(l *slog.Logger) { l.Info("", slog.Group("g", "a", 1), slog.Group("g", "a", 2)) }, path("g", "a"), "2"},
		{"the older of two groups if only it has the key", func(l *slog.Logger) { l.Info("", slog.Group("g", "a", 1), slog.Group("g", "b", 2)) }, path("g", "a"), "1"},
		{"the newest over levels of groups", func(l *slog.Logger) {
			l.With(slog.Group("g", slog.Group("h", "a", 1))).WithGroup("g").With(slog.Group("h", "a", 2)).WithGroup("h").Info("", "a", 3)
		}, path("g", "h", "a"), "3"},
		{"what an outer level has and the inner has not", func(l *slog.Logger) {
			l.With(slog.Group("g", slog.Group("h", "a", 1))).WithGroup("g").With(slog.Group("h", "b", 2)).WithGroup("h").Info("", "c", 3)
		}, path("g", "h", "a"), "1"},

		{"a group of the record", func(l *slog.Logger) { l.Info("", slog.Group("g", "a", 1)) }, path("g"), "[a=1]"},
		{"a group of WithGroup", func(l *slog.Logger) {
			l.With("a", 0).WithGroup("g").With("a", 1).WithGroup("h").Info("", "b", 2)
		}, path("g"), "[a=1 h=[b=2]]"},
		{"a group of WithGroup that holds nothing", func(l *slog.Logger) { l.WithGroup("g").WithGroup("h").Info("") }, path("g"), ""},
		{"a group of WithGroup rather than an attribute of its name", func(l *slog.Logger) {
			l.With(slog.Group("g", "a", 1)).WithGroup("g").Info("", "b", 2)
		}, path("g"), "[b=2]"},
		{"the attribute of its name if the group holds nothing", func(l *slog.Logger) { l.With("g", 1).WithGroup("g").Info("") }, path("g"), "1"},
		{"in a group of the same name within the group", func(l *slog.Logger) { l.WithGroup("g").Info("", slog.Group("g", "a", 1)) }, path("g", "g", "a"), "1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			value, ok := viewOf(test.log).Attr(test.path...)
			if ok != (test.want != "") {
				t.Fatalf("Attr(%q) = %v, %v", test.path, value, ok)
			}
			if ok && value.String() != test.want {
				t.Errorf("Attr(%q) = %v, want %v", test.path, value, test.want)
			}
		})
	}
}

func TestView_attrTellsOfAPanickingLogValuer(t *testing.T) {
	v := slogworks.NewView(recordOf(slog.Any("a", panickingValuer{})))
	value, ok := v.Attr("a")
	if err, isError := value.Any().(error); !ok || !isError || !strings.HasPrefix(err.Error(), "LogValue panicked") {
		t.Errorf("Attr = %v, %v; want the error of slog.Value.Resolve", value, ok)
	}
}

func TestView_opensTheGroupOfAStepBeforeItsAttrs(t *testing.T) {
	v := slogworks.NewView(recordOf(slog.Int("b", 2)),
		slogworks.GroupOrAttrs{Group: "g", Attrs: []slog.Attr{slog.Int("a", 1), slog.String(slogworks.LoggerKey, "x")}})
	if value, _ := v.Attr("g", "a"); value.String() != "1" {
		t.Errorf(`Attr("g", "a") = %v, want 1`, value)
	}
	if attrs := slices.Collect(v.Attrs()); len(attrs) != 1 || attrs[0].String() != "g=[a=1 logger=x b=2]" {
		t.Errorf("Attrs = %v", attrs)
	}
	if name := v.Logger(); name != "" {
		t.Errorf("Logger = %q, want none: it is in a group", name)
	}
}

func TestView_attrsComeOldestFirst(t *testing.T) {
	v := viewOf(func(l *slog.Logger) {
		l.With("a", 1, slog.Attr{}).With("b", 2, slog.Group("empty")).With("a", 3).
			WithGroup("g").With("c", 4).WithGroup("h").Info("", "d", lazily(5), slog.Attr{})
	})
	var got []string
	for a := range v.Attrs() {
		got = append(got, fmt.Sprint(a.Key, " ", a.Value.Kind()))
	}
	if want := []string{"a Int64", "b Int64", "a Int64", "g Group"}; !slices.Equal(got, want) {
		t.Fatalf("Attrs = %q, want %q", got, want)
	}
	d, _ := v.Attr("g", "h")
	if members := d.Group(); len(members) != 1 || members[0].Value.Kind() != slog.KindLogValuer {
		t.Errorf("g.h = %v, want the LogValuer as it was logged and no zero Attr", members)
	}

	t.Run("and stop when told to", func(t *testing.T) {
		for n := 1; n <= 4; n++ {
			count := 0
			for range v.Attrs() {
				if count++; count == n {
					break
				}
			}
			if count != n {
				t.Errorf("%d attributes after a break at %d", count, n)
			}
		}
	})
	t.Run("and leave out groups that hold nothing", func(t *testing.T) {
		v := viewOf(func(l *slog.Logger) {
			l.WithGroup("g").With(slog.Attr{}).WithGroup("h").Info("", slog.Attr{}, slog.Group("x"))
		})
		if attrs := slices.Collect(v.Attrs()); len(attrs) != 0 {
			t.Errorf("Attrs = %v, want none", attrs)
		}
	})
}

// derivation is a random way to derive a handler, and a record for it.
type derivation struct {
	steps []slogworks.GroupOrAttrs
	attrs []slog.Attr
}

// newDerivation makes of a seed what users do, and all that slog allows. It
// leaves out what slog's handlers do not print alike by themselves: a group
// whose members are all zero Attrs, after which they lose a comma, and a
// LogValuer that makes an empty group.
func newDerivation(seed uint64) derivation {
	rng := rand.New(rand.NewPCG(seed, 0))
	name := func() string { return []string{"a", "b", "c d", "g", "h", "é=\n"}[rng.IntN(6)] }
	var attr func(depth int) slog.Attr
	group := func(depth int) slog.Value {
		members := []slog.Attr{slog.Int(name(), rng.IntN(10))}
		for range rng.IntN(3) {
			members = append(members, attr(depth-1))
		}
		rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		return slog.GroupValue(members...)
	}
	attr = func(depth int) slog.Attr {
		kinds := 10
		if depth == 0 {
			kinds = 6
		}
		switch rng.IntN(kinds) {
		case 0:
			return slog.Attr{}
		case 1:
			return slog.Group(name())
		case 2:
			return slog.Any(name(), lazily(rng.IntN(10)))
		case 3:
			return slog.Any(name(), []int{1, 2})
		case 4:
			return slog.String("", "no key")
		case 6:
			return slog.Attr{Key: "", Value: group(depth)}
		case 7:
			return slog.Attr{Key: name(), Value: lazily(group(depth))}
		case 8, 9:
			return slog.Attr{Key: name(), Value: group(depth)}
		}
		return slog.String(name(), "value <of> =")
	}
	list := func(n int) (attrs []slog.Attr) {
		for range n {
			attrs = append(attrs, attr(3))
		}
		return attrs
	}
	var d derivation
	for range rng.IntN(6) {
		if rng.IntN(2) == 0 {
			d.steps = append(d.steps, slogworks.GroupOrAttrs{Group: name()})
		} else {
			d.steps = append(d.steps, slogworks.GroupOrAttrs{Attrs: append(list(rng.IntN(4)), slog.Bool(name(), true))})
		}
	}
	d.attrs = list(rng.IntN(8))
	return d
}

func TestView_attrsPrintAsADerivedHandlerDoes(t *testing.T) {
	upper := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key != "" {
			a.Key = fmt.Sprint(groups, a.Key)
		}
		return a
	}}
	handlers := map[string]func(*bytes.Buffer) slog.Handler{
		"JSON":              func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text":              func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"JSON, ReplaceAttr": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, upper) },
	}
	for seed := range uint64(3000) {
		d := newDerivation(seed)
		r := recordOf(d.attrs...)
		flat := recordOf(slices.Collect(slogworks.NewView(r, d.steps...).Attrs())...)
		for name, newHandler := range handlers {
			var want, got bytes.Buffer
			derived := newHandler(&want)
			for _, step := range d.steps {
				if step.Group != "" {
					derived = derived.WithGroup(step.Group)
				} else {
					derived = derived.WithAttrs(slices.Clone(step.Attrs))
				}
			}
			derived.Handle(t.Context(), r)
			newHandler(&got).Handle(t.Context(), flat)
			if got.String() != want.String() {
				t.Fatalf("seed %d, %s:\nwith %v\nattrs %v\n got %s\nwant %s", seed, name, d.steps, d.attrs, &got, &want)
			}
		}
	}
}

func TestView_loggerIsTheLastStringOutsideGroups(t *testing.T) {
	for _, test := range []struct {
		name string
		log  func(*slog.Logger)
		want string
	}{
		{"none", func(l *slog.Logger) { l.Info("", "a", "b") }, ""},
		{"Named", func(l *slog.Logger) { slogworks.Named(l, "db").Info("") }, "db"},
		{"Named twice", func(l *slog.Logger) { slogworks.Named(slogworks.Named(l, "db"), "db.pool").Info("") }, "db.pool"},
		{"given with the record", func(l *slog.Logger) { slogworks.Named(l, "db").Info("", "logger", "http") }, "http"},
		{"twice with the record", func(l *slog.Logger) { l.Info("", "logger", "a", "logger", "b") }, "b"},
		{"twice in one With", func(l *slog.Logger) { l.With("logger", "a", "logger", "b").Info("") }, "b"},
		{"before a group", func(l *slog.Logger) { slogworks.Named(l, "db").WithGroup("g").Info("", "logger", "x") }, "db"},
		{"only in a group of WithGroup", func(l *slog.Logger) { slogworks.Named(l.WithGroup("g"), "db").Info("", "logger", "x") }, ""},
		{"only in a group of the record", func(l *slog.Logger) { l.Info("", slog.Group("g", "logger", "x")) }, ""},
		{"in an inline group", func(l *slog.Logger) { l.Info("", slog.Group("", slog.Group("", "logger", "x"))) }, "x"},
		{"in an inline group of a LogValuer", func(l *slog.Logger) {
			l.With(slog.Attr{Value: lazily(slog.GroupValue(slog.String("logger", "x")))}).Info("")
		}, "x"},
		{"a LogValuer", func(l *slog.Logger) { l.Info("", "logger", lazilyTwice("x")) }, "x"},
		{"not a string", func(l *slog.Logger) { slogworks.Named(l, "db").Info("", "logger", 5) }, "db"},
		{"a group of that name", func(l *slog.Logger) { slogworks.Named(l, "db").Info("", slog.Group("logger", "logger", "x")) }, "db"},
		{"a panicking LogValuer", func(l *slog.Logger) { slogworks.Named(l, "db").Info("", "logger", panickingValuer{}) }, "db"},
		{"an empty string", func(l *slog.Logger) { slogworks.Named(l, "db").Info("", "logger", "") }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if name := viewOf(test.log).Logger(); name != test.want {
				t.Errorf("Logger = %q, want %q", name, test.want)
			}
		})
	}
}

func TestView_sourceComesFromTheRecordThenFromAnAttribute(t *testing.T) {
	received := &slog.Source{Function: "f", File: "far.go", Line: 7}
	t.Run("from the program counter", func(t *testing.T) {
		_, _, line, _ := runtime.Caller(0)
		v := viewOf(func(l *slog.Logger) { l.Info("", slog.SourceKey, received) })
		if s := v.Source(); s == nil || s.Line != line+1 || !strings.HasSuffix(s.File, "view_test.go") {
			t.Errorf("Source = %+v, want this file, line %d", s, line+1)
		}
	})
	t.Run("from the attribute", func(t *testing.T) {
		if s := slogworks.NewView(recordOf(slog.Any(slog.SourceKey, received))).Source(); s == nil || *s != *received {
			t.Errorf("Source = %+v, want %+v", s, received)
		}
	})
	t.Run("not from an attribute that means something else", func(t *testing.T) {
		for _, x := range []any{"app", 5, []int{1}, (*slog.Source)(nil), nil} {
			if s := slogworks.NewView(recordOf(slog.Any(slog.SourceKey, x))).Source(); s != nil {
				t.Errorf("Source = %+v from %v", s, x)
			}
		}
	})
}

func TestView_tellsTheFieldsOfTheRecord(t *testing.T) {
	when := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	v := slogworks.NewView(slog.NewRecord(when, slog.LevelWarn+1, "hello", 0))
	if v.Level() != slog.LevelWarn+1 || v.Message() != "hello" || !v.Time().Equal(when) {
		t.Errorf("view of %v, %q, %v", v.Level(), v.Message(), v.Time())
	}
}

func TestView_zeroIsAnEmptyRecord(t *testing.T) {
	var v slogworks.View
	if v.Level() != slog.LevelInfo || v.Message() != "" || v.Logger() != "" || !v.Time().IsZero() || v.Source() != nil {
		t.Errorf("zero view: %+v", v)
	}
	if _, ok := v.Attr("a"); ok {
		t.Error("the zero View has an attribute")
	}
	for a := range v.Attrs() {
		t.Errorf("the zero View yields %v", a)
	}
}

// busyView is a record with five attributes and a chain of two steps.
func busyView() slogworks.View {
	return slogworks.NewView(
		recordOf(slog.String("method", "GET"), slog.Int("status", 200), slog.Duration("took", time.Second), slog.Bool("cached", true), slog.Float64("ratio", .5)),
		slogworks.GroupOrAttrs{Attrs: []slog.Attr{slog.String(slogworks.LoggerKey, "http.server"), slog.String("host", "a")}},
		slogworks.GroupOrAttrs{Group: "request"},
	)
}

func TestView_readingDoesNotAllocate(t *testing.T) {
	ctx := context.Background()
	view := busyView()
	predicate := func(p slogworks.Predicate) func() bool { return func() bool { return p(ctx, view) } }
	for name, read := range map[string]func() bool{
		"Attr":                 func() bool { _, ok := view.Attr("request", "ratio"); return ok },
		"Attr of With":         func() bool { _, ok := view.Attr("host"); return ok },
		"Logger":               func() bool { return view.Logger() == "http.server" },
		"Level":                func() bool { return view.Level() == slog.LevelInfo },
		"AttrIs of a string":   predicate(slogworks.AttrIs("request", "method", "GET")),
		"AttrIs of an integer": predicate(slogworks.AttrIs("request", "status", 200)),
		"AttrIs of a duration": predicate(slogworks.AttrIs("request", "took", time.Second)),
		"LoggerIs":             predicate(slogworks.LoggerIs("http")),
		"MessageContains":      predicate(slogworks.MessageContains("ess")),
		"All":                  predicate(slogworks.All(slogworks.LoggerIs("http"), slogworks.Not(slogworks.Any(slogworks.LoggerIs("db"))))),
	} {
		if !read() {
			t.Errorf("%s: not as expected", name)
		}
		if n := testing.AllocsPerRun(100, func() { read() }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

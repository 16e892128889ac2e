package console_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/lmittmann/tint"
	"github.com/slogworks/slogworks/sinks/console"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC)

// lineOf returns what a handler with opts prints for one record at noon, with
// the final newline removed. derive may be nil.
func lineOf(t *testing.T, opts *console.Options, derive func(slog.Handler) slog.Handler, msg string, attrs ...slog.Attr) string {
	t.Helper()
	var out bytes.Buffer
	var h slog.Handler = console.New(&out, opts)
	if derive != nil {
		h = derive(h)
	}
	r := slog.NewRecord(noon, slog.LevelInfo, msg, 0)
	r.AddAttrs(attrs...)
	if err := h.Handle(context.Background(), r); err != nil {
		t.Errorf("Handle: %v", err)
	}
	line, ok := strings.CutSuffix(out.String(), "\n")
	if !ok || strings.Contains(line, "\n") {
		t.Errorf("printed %q, want one line", out.String())
	}
	return line
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func identity(_ []string, a slog.Attr) slog.Attr { return a }

// parse reads a line back. It is sound for single-word messages and a time
// format without spaces.
func parse(t *testing.T, line string) map[string]any {
	t.Helper()
	var words []string
	for line != "" {
		word := ""
		for line != "" && line[0] != ' ' {
			part := line[:1]
			if line[0] == '"' {
				quoted, err := strconv.QuotedPrefix(line)
				if err != nil {
					t.Fatalf("cannot parse %q: %v", line, err)
				}
				part, _ = strconv.Unquote(quoted)
				line = line[len(quoted):]
			} else {
				line = line[1:]
			}
			word += part
		}
		words = append(words, word)
		line = strings.TrimPrefix(line, " ")
	}

	m := map[string]any{}
	if at, err := time.Parse(time.RFC3339Nano, words[0]); err == nil {
		m[slog.TimeKey] = at
		words = words[1:]
	}
	m[slog.LevelKey], m[slog.MessageKey] = words[0], words[1]
	for _, word := range words[2:] {
		path, value, ok := strings.Cut(word, "=")
		if !ok {
			t.Fatalf("not an attribute: %q", word)
		}
		groups := strings.Split(path, ".")
		in := m
		for _, group := range groups[:len(groups)-1] {
			inner, ok := in[group].(map[string]any)
			if !ok {
				inner = map[string]any{}
				in[group] = inner
			}
			in = inner
		}
		in[groups[len(groups)-1]] = value
	}
	return m
}

func TestHandler_conforms(t *testing.T) {
	for name, opts := range map[string]*console.Options{
		"plainly":             {},
		"with ReplaceAttr":    {ReplaceAttr: identity},
		"with source":         {AddSource: true},
		"with all of this on": {ReplaceAttr: identity, AddSource: true},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			opts.TimeFormat = time.RFC3339Nano
			opts.Color = console.ColorNever
			slogtest.Run(t, func(*testing.T) slog.Handler {
				out.Reset()
				return console.New(&out, opts)
			}, func(t *testing.T) map[string]any {
				line := strings.TrimSuffix(out.String(), "\n")
				if opts.AddSource { // parse does not know of it
					words := strings.Split(line, " ")
					words = slices.DeleteFunc(words, func(word string) bool {
						return strings.HasPrefix(word, "slogtest/slogtest.go:")
					})
					line = strings.Join(words, " ")
				}
				return parse(t, line)
			})
		})
	}
}

func TestNew_panicsWithoutWriter(t *testing.T) {
	defer func() {
		if got := recover(); got != "console: nil Writer" {
			t.Errorf("New(nil) panicked with %v", got)
		}
	}()
	console.New(nil, nil)
}

func TestNew_takesNilOptionsForZero(t *testing.T) {
	attrs := []slog.Attr{slog.Int("n", 1), slog.Any("err", errors.New("no"))}
	want := `12:00:00.005 INF hello n=1 err=no`
	check(t, "nil", lineOf(t, nil, nil, "hello", attrs...), want)
	check(t, "zero", lineOf(t, &console.Options{}, nil, "hello", attrs...), want)
	for _, opts := range []*console.Options{nil, {}} {
		h := console.New(io.Discard, opts)
		if h.Enabled(t.Context(), slog.LevelInfo-1) || !h.Enabled(t.Context(), slog.LevelInfo) {
			t.Errorf("options %v: the lowest level is not Info", opts)
		}
	}
}

func TestNew_leavesOptionsAlone(t *testing.T) {
	var opts console.Options
	h := console.New(io.Discard, &opts)
	if opts.Level != nil || opts.TimeFormat != "" || opts.ReplaceAttr != nil || opts.Color != 0 || opts.AddSource {
		t.Errorf("New wrote to its options: %+v", opts)
	}
	opts.Level = slog.LevelError
	if !h.Enabled(t.Context(), slog.LevelInfo) {
		t.Error("a change to the options after New had an effect")
	}
}

func TestHandler_Enabled(t *testing.T) {
	t.Run("asks for the level each time", func(t *testing.T) {
		var level slog.LevelVar
		h := console.New(io.Discard, &console.Options{Level: &level})
		derived := h.WithGroup("g").WithAttrs([]slog.Attr{slog.Int("n", 1)})
		for _, l := range []slog.Level{slog.LevelWarn, slog.LevelDebug} {
			level.Set(l)
			for _, h := range []slog.Handler{h, derived} {
				if h.Enabled(t.Context(), l-1) || !h.Enabled(t.Context(), l) || !h.Enabled(t.Context(), l+1) {
					t.Errorf("Enabled does not follow the level %v", l)
				}
			}
		}
	})
}

func TestNew_panicsWithANilPointerAsALevel(t *testing.T) {
	defer func() {
		if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "console: nil *slog.LevelVar as a level") {
			t.Errorf("it panicked with %q", p)
		}
	}()
	console.New(io.Discard, &console.Options{Level: (*slog.LevelVar)(nil)})
}

func TestHandler_Handle(t *testing.T) {
	with := func(attrs ...slog.Attr) func(slog.Handler) slog.Handler {
		return func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) }
	}
	tests := []struct {
		name   string
		opts   console.Options
		derive func(slog.Handler) slog.Handler
		attrs  []slog.Attr
		want   string
	}{
		{name: "prints every kind",
			attrs: []slog.Attr{
				slog.String("s", "text"), slog.Int("i", -1), slog.Uint64("u", math.MaxUint64), slog.Float64("f", 1.5), slog.Bool("b", true),
				slog.Duration("d", time.Minute), slog.Time("t", noon), slog.Any("any", struct{ A int }{1}), slog.Any("bytes", []byte("raw")),
				slog.Any("nil", nil), slog.Any("level", slog.LevelWarn+1), slog.Any("named", named("raw")),
			},
			want: `12:00:00.005 INF m s=text i=-1 u=18446744073709551615 f=1.5 b=true d=1m0s t=2026-03-01T12:00:00.005Z any={A:1} bytes=raw nil=<nil> level=WARN+1 named=raw`},
		{name: "quotes what would be ambiguous",
			attrs: []slog.Attr{slog.String("empty", ""), slog.String("space", "a b"), slog.String("equals", "a=b"), slog.String("quote", `a"b`), slog.Int("a key", 1), slog.Int("", 2)},
			want:  `12:00:00.005 INF m empty="" space="a b" equals="a=b" quote="a\"b" "a key"=1 ""=2`},
		{name: "prints groups as prefixes and omits empty ones",
			attrs: []slog.Attr{slog.Group("g", slog.Int("a", 1), slog.Group("h", slog.Int("b", 2)), slog.Group("none")), slog.Group("none"), slog.Group("", slog.Int("c", 3)), {}},
			want:  `12:00:00.005 INF m g.a=1 g.h.b=2 c=3`},
		{name: "prints attributes in the group that was open",
			derive: func(h slog.Handler) slog.Handler {
				return with(slog.Int("c", 3))(with(slog.Int("b", 2))(with(slog.Int("a", 1))(h).WithGroup("g")).WithGroup("h").WithGroup("i"))
			},
			attrs: []slog.Attr{slog.Int("d", 4), slog.Group("j", slog.Int("e", 5))},
			want:  `12:00:00.005 INF m a=1 g.b=2 g.h.i.c=3 g.h.i.d=4 g.h.i.j.e=5`},
		{name: "resolves values in groups and of With",
			derive: with(slog.Any("v", valuer{"x"}), slog.Group("g", slog.Any("v", valuer{slog.GroupValue(slog.Any("w", valuer{2}))}))),
			attrs:  []slog.Attr{slog.Any("v", valuer{valuer{"y"}}), slog.Any("h", valuer{slog.GroupValue()})},
			want:   `12:00:00.005 INF m v=x g.v.w=2 v=y`},
		{name: "prints an attribute of an *slog.Source like its own",
			attrs: []slog.Attr{slog.Any("source", &slog.Source{File: "/a/b/c.go", Line: 7})},
			want:  `12:00:00.005 INF m source=b/c.go:7`},
		{name: "prints bad values as far as it can",
			attrs: []slog.Attr{
				slog.Any("fails", marshaler{err: errors.New("no luck")}), slog.Any("panics", marshaler{panic: "at the disco"}), slog.Any("nil", (*marshaler)(nil)),
				slog.Any("stringer", panicStringer{}), slog.Any("error", (*panicError)(nil)), slog.Any("valuer", (*valuer)(nil)), slog.Int("after", 1),
			},
			want: `12:00:00.005 INF m fails="!ERROR:no luck" panics="!PANIC: at the disco" nil=<nil> stringer="%!v(PANIC=String method: no)" error=<nil> valuer=`},
		{name: "uses the time format", opts: console.Options{TimeFormat: time.DateOnly},
			want: `2026-03-01 INF m`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, replace := range []func([]string, slog.Attr) slog.Attr{nil, identity} {
				test.opts.ReplaceAttr = replace
				got := lineOf(t, &test.opts, test.derive, "m", test.attrs...)
				if open, ok := strings.CutSuffix(test.want, "valuer="); ok { // a stack follows
					if !strings.HasPrefix(got, open) || !strings.HasSuffix(got, " after=1") {
						t.Errorf("got %q\nwant %q, and more", got, test.want)
					}
					continue
				}
				check(t, fmt.Sprintf("ReplaceAttr %t", replace != nil), got, test.want)
			}
		})
	}
}

type named []byte

type valuer struct{ v any }

func (v valuer) LogValue() slog.Value { return slog.AnyValue(v.v) }

type marshaler struct {
	err   error
	panic any
}

func (m marshaler) MarshalText() ([]byte, error) {
	if m.panic != nil {
		panic(m.panic)
	}
	return nil, m.err
}

type panicStringer struct{}

func (panicStringer) String() string { panic("no") }

type panicError struct{ text string }

func (e *panicError) Error() string { return e.text }

func TestHandler_Handle_levels(t *testing.T) {
	for level, want := range map[slog.Level]string{
		-8: "DBG-4", -4: "DBG", -1: "DBG+3", 0: "INF", 2: "INF+2", 4: "WRN", 8: "ERR", 12: "ERR+4",
	} {
		var out bytes.Buffer
		h := console.New(&out, nil)
		if err := h.Handle(context.Background(), slog.NewRecord(time.Time{}, level, "m", 0)); err != nil {
			t.Error(err)
		}
		check(t, level.String(), out.String(), want+" m\n")
	}
}

func TestHandler_Handle_writesTheCaller(t *testing.T) {
	for _, replace := range []func([]string, slog.Attr) slog.Attr{nil, identity} {
		var out bytes.Buffer
		slog.New(console.New(&out, &console.Options{AddSource: true, ReplaceAttr: replace, TimeFormat: "-"})).Info("m")
		if got := out.String(); !strings.HasPrefix(got, "- INF console/console_test.go:") || !strings.HasSuffix(got, " m\n") {
			t.Errorf("printed %q", got)
		}
	}
}

func TestHandler_ReplaceAttr(t *testing.T) {
	t.Run("is called once for each attribute, with its groups", func(t *testing.T) {
		var calls []string
		replace := func(groups []string, a slog.Attr) slog.Attr {
			calls = append(calls, strings.Join(append(slices.Clone(groups), a.Key), "/"))
			return a
		}
		lineOf(t, &console.Options{ReplaceAttr: replace}, func(h slog.Handler) slog.Handler {
			return h.WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g.x").WithAttrs([]slog.Attr{slog.Int("msg", 2)}).WithGroup("\n")
		}, "m", slog.Int("level", 3), slog.Group("h", slog.Int("d", 4), slog.Group("", slog.Any("e", valuer{5}))))
		want := []string{"a", "g.x/msg", "time", "level", "msg", "g.x/\n/level", "g.x/\n/h/d", "g.x/\n/h/e"}
		slices.Sort(calls)
		slices.Sort(want)
		if !slices.Equal(calls, want) {
			t.Errorf("called for\n     %q\nwant %q", calls, want)
		}
	})
	t.Run("removes and replaces", func(t *testing.T) {
		replace := func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, "drop":
				return slog.Attr{}
			case slog.LevelKey:
				return slog.String("severity", "NOTICE")
			case slog.MessageKey:
				return slog.Any(a.Key, valuer{[]byte("other words")})
			case "group":
				return slog.Group("made", slog.Int("drop", 1), slog.Int("keep", 2))
			}
			return a
		}
		got := lineOf(t, &console.Options{ReplaceAttr: replace}, nil, "m",
			slog.Int("drop", 1), slog.Int("group", 2), slog.Group("g", slog.Int("drop", 3)), slog.Int("last", 4))
		// As in slog, what a group contains is replaced, if the group came from a
		// replacement too.
		check(t, "line", got, "NOTICE other words made.keep=2 last=4")
	})
	t.Run("can remove everything", func(t *testing.T) {
		none := func([]string, slog.Attr) slog.Attr { return slog.Attr{} }
		check(t, "line", lineOf(t, &console.Options{ReplaceAttr: none}, nil, "m", slog.Int("a", 1)), "")
	})
	t.Run("costs no record if it panics", func(t *testing.T) {
		replace := func(_ []string, a slog.Attr) slog.Attr {
			if a.Key != slog.LevelKey {
				panic("bad " + a.Key)
			}
			return a
		}
		got := lineOf(t, &console.Options{ReplaceAttr: replace}, nil, "m", slog.Int("n", 1))
		check(t, "line", got, `!PANIC: bad time INF !PANIC: bad msg n="!PANIC: bad n"`)
	})
}

func TestHandler_With_returnsReceiverForNothing(t *testing.T) {
	h := console.New(io.Discard, nil)
	if h.WithAttrs(nil) != slog.Handler(h) || h.WithAttrs([]slog.Attr{}) != slog.Handler(h) || h.WithGroup("") != slog.Handler(h) {
		t.Error("derived a handler for nothing")
	}
}

func TestHandler_With_leavesAttrsAlone(t *testing.T) {
	group := []slog.Attr{slog.String("k", "\n"), slog.Any("v", valuer{1})}
	attrs := []slog.Attr{slog.String("\n", "\n"), {Key: "g", Value: slog.GroupValue(group...)}}
	want := fmt.Sprint(attrs)
	h := console.New(io.Discard, &console.Options{ReplaceAttr: identity, Color: console.ColorAlways})
	h.WithAttrs(attrs)
	r := slog.NewRecord(noon, slog.LevelInfo, "m", 0)
	r.AddAttrs(attrs...)
	if err := h.Handle(context.Background(), r); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(attrs); got != want {
		t.Errorf("attributes changed from\n%s to\n%s", want, got)
	}
}

func TestHandler_With_siblingsShareNoMemory(t *testing.T) {
	var groups []string
	replace := func(g []string, a slog.Attr) slog.Attr {
		if a.Key == "k" {
			groups = slices.Clone(g)
		}
		return a
	}
	var out bytes.Buffer
	h := slog.Handler(console.New(&out, &console.Options{ReplaceAttr: replace, TimeFormat: "-"}))
	for depth := range 9 {
		left, right := h.WithGroup("left"), h.WithGroup("right")
		right.WithAttrs([]slog.Attr{slog.Int("n", 1)})
		for name, h := range map[string]slog.Handler{"left": left, "right": right} {
			out.Reset()
			slog.New(h).Info("m", "k", "v")
			path := append(slices.Repeat([]string{"g"}, depth), name)
			check(t, "line", out.String(), "- INF m "+strings.Join(path, ".")+".k=v\n")
			if !slices.Equal(groups, path) {
				t.Errorf("groups of %s at depth %d are %q", name, depth, groups)
			}
		}
		h = h.WithGroup("g")
	}
}

// writes records each call of Write, and notices two at once.
type writes struct {
	t     *testing.T
	busy  sync.Mutex
	lines []string
}

func (w *writes) Write(p []byte) (int, error) {
	if !w.busy.TryLock() {
		w.t.Error("two calls of Write at once")
		return len(p), nil
	}
	defer w.busy.Unlock()
	w.lines = append(w.lines, string(p))
	return len(p), nil
}

func TestHandler_isSafeForConcurrentUse(t *testing.T) {
	const goroutines, records = 8, 50
	for _, opts := range []*console.Options{
		{TimeFormat: "-"},
		{TimeFormat: "-", ReplaceAttr: identity, Color: console.ColorAlways},
	} {
		w := &writes{t: t}
		h := console.New(w, opts)
		deep := h.WithGroup("a").WithGroup("b").WithGroup("c")
		var group sync.WaitGroup
		for g := range goroutines {
			group.Go(func() {
				for i := range records {
					log := slog.New(deep).With("g", g)
					if i%2 == 0 {
						log = log.WithGroup(fmt.Sprintf("d%d", g))
					}
					log.Info("m", slog.Group(fmt.Sprintf("e%d", g), "i", i, "text", "a\nb"))
				}
			})
		}
		group.Wait()

		if len(w.lines) != goroutines*records {
			t.Errorf("%d calls of Write for %d records", len(w.lines), goroutines*records)
		}
		want := map[string]bool{}
		for g := range goroutines {
			for i := range records {
				d := ""
				if i%2 == 0 {
					d = fmt.Sprintf("d%d.", g)
				}
				want[fmt.Sprintf("- INF m a.b.c.g=%d a.b.c.%se%d.i=%d a.b.c.%se%d.text=\"a\\nb\"\n", g, d, g, i, d, g)] = true
			}
		}
		for _, line := range w.lines {
			plain := colors.ReplaceAllString(line, "")
			if !want[plain] {
				t.Fatalf("printed %q, or printed it twice", line)
			}
			delete(want, plain)
		}
		if a := h.Account(); a.Accepted != goroutines*records || a.Delivered != a.Accepted {
			t.Errorf("account %+v", a)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestHandler_Handle_returnsWriteErrors(t *testing.T) {
	full := errors.New("disk full")
	for name, test := range map[string]struct {
		write writerFunc
		want  error
	}{
		"as they are":    {func([]byte) (int, error) { return 0, full }, full},
		"of short write": {func(p []byte) (int, error) { return len(p) - 1, nil }, io.ErrShortWrite},
	} {
		t.Run(name, func(t *testing.T) {
			for _, color := range []console.Color{console.ColorNever, console.ColorAlways} {
				h := console.New(test.write, &console.Options{Color: color})
				err := h.Handle(context.Background(), slog.NewRecord(noon, slog.LevelInfo, "m", 0))
				if !errors.Is(err, test.want) || !strings.HasPrefix(err.Error(), "console: ") {
					t.Errorf("Handle returned %v", err)
				}
			}
		})
	}
}

func TestHandler_Account(t *testing.T) {
	var result error
	var crash bool
	h := console.New(writerFunc(func(p []byte) (int, error) {
		if crash {
			panic("writer")
		}
		return len(p), result
	}), nil)
	if a := h.Account(); a.Stage != "console" || a.Accepted != 0 || a.Delivered != 0 || a.Held != 0 || len(a.Dropped) != 0 {
		t.Errorf("account of a new handler: %+v", a)
	}

	log := slog.New(h)
	log.Info("delivered")
	log.With("a", 1).WithGroup("g").Info("delivered")
	result = errors.New("no")
	log.WithGroup("g").Info("dropped")
	crash = true
	func() {
		defer func() {
			if p := recover(); p != "writer" {
				t.Errorf("recovered %v, want the writer's panic", p)
			}
		}()
		log.Info("dropped")
	}()
	result, crash = nil, false
	log.Info("delivered") // the lock was released

	for _, h := range []slog.Handler{h, log.With("b", 2).Handler()} {
		a := h.(*console.Handler).Account()
		if a.Accepted != 5 || a.Delivered != 3 || !maps.Equal(a.Dropped, map[string]uint64{"write error": 2}) {
			t.Errorf("account %+v, want 5 accepted, 3 delivered, 2 dropped", a)
		}
	}
}

func TestHandler_Handle_allocations(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-race" && setting.Value == "true" {
				t.Skip("the race detector makes sync.Pool forget")
			}
		}
	}
	for _, test := range []struct {
		name           string
		attrs          []slog.Attr
		plain, colored float64
	}{
		{"five scalars", fiveScalars(), 0, 0},
		{"ten scalars", append(fiveScalars(), fiveScalars()...), 0, 0},
		{"a string with a space", []slog.Attr{slog.String("k", "a b")}, 1, 1},
		{"a group", []slog.Attr{slog.Group("g", slog.Int("a", 1), slog.Int("b", 2))}, 2, 2},
		{"an error", []slog.Attr{slog.Any("err", io.EOF)}, 1, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := slog.NewRecord(noon, slog.LevelInfo, "a message", 0)
			r.AddAttrs(test.attrs...)
			for color, want := range map[console.Color]float64{console.ColorNever: test.plain, console.ColorAlways: test.colored} {
				root := console.New(io.Discard, &console.Options{Color: color})
				for _, h := range []slog.Handler{root, root.WithAttrs(fiveScalars()), root.WithGroup("g")} {
					got := testing.AllocsPerRun(100, func() { _ = h.Handle(context.Background(), r) })
					if got > want {
						t.Errorf("color %v: %v allocations, want %v", color, got, want)
					}
				}
			}
			bare := tint.NewTextHandler(io.Discard, nil)
			if most := testing.AllocsPerRun(100, func() { _ = bare.Handle(context.Background(), r) }); test.plain > most {
				t.Errorf("tint makes %v allocations, %v are allowed without colour", most, test.plain)
			}
		})
	}
}

func fiveScalars() []slog.Attr {
	return []slog.Attr{
		slog.String("method", "GET"), slog.Int("status", 200), slog.Duration("took", 12*time.Millisecond), slog.Bool("cached", true), slog.Float64("ratio", 0.5),
	}
}

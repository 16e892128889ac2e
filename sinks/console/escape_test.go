package console_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/slogworks/slogworks/sinks/console"
)

func TestHandler_escapes(t *testing.T) {
	group := func(name string) func(slog.Handler) slog.Handler {
		return func(h slog.Handler) slog.Handler { return h.WithGroup(name) }
	}
	for _, test := range []struct {
		name   string
		derive func(slog.Handler) slog.Handler
		msg    string
		attrs  []slog.Attr
		want   string
	}{
		{name: "a newline in the message", msg: "a\nb", want: `"a\nb"`},
		{name: "an escape sequence in the message", msg: "a\x1b[2Jb", want: `"a\x1b[2Jb"`},
		{name: "a carriage return in the message", msg: "a\rb", want: `"a\rb"`},
		{name: "a C1 control in the message", msg: "a\u009b2Jb", want: `"a\u009b2Jb"`},
		{name: "a raw C1 byte in the message", msg: "a\x9b2Jb", want: `"a\x9b2Jb"`},
		{name: "a change of direction in the message", msg: "a\u202eb", want: `"a\u202eb"`},
		{name: "a line separator in the message", msg: "a\u2028b", want: `"a\u2028b"`},
		{name: "a newline in a value", attrs: []slog.Attr{slog.String("k", "a\nb")}, want: `m k="a\nb"`},
		{name: "an escape sequence in a value", attrs: []slog.Attr{slog.String("k", "a\x1b[2Jb c")}, want: `m k="a\x1b[2Jb c"`},
		{name: "a delete in a value", attrs: []slog.Attr{slog.String("k", "a\x7fb")}, want: `m k="a\x7fb"`},
		{name: "what tint takes for an escape in a value", attrs: []slog.Attr{slog.String("k", `a \x1b[2Jb`)}, want: `m k="a \\x1b[2Jb"`},
		{name: "an invalid byte in a value, and keeps the rest", attrs: []slog.Attr{slog.String("k", "a\xffb")}, want: `m k="a\xffb"`},
		{name: "an escape sequence in an error", attrs: []slog.Attr{slog.Any("k", errors.New("a\x1b[2Jb"))}, want: `m k="a\x1b[2Jb"`},
		{name: "an escape sequence in bytes", attrs: []slog.Attr{slog.Any("k", []byte("a\x1b[2Jb"))}, want: `m k="a\x1b[2Jb"`},
		{name: "an escape sequence in a struct", attrs: []slog.Attr{slog.Any("k", struct{ S string }{"\x1b[2J"})}, want: `m k="{S:\x1b[2J}"`},
		{name: "an escape sequence in a panic", attrs: []slog.Attr{slog.Any("k", marshaler{panic: "\x1b[2J"})}, want: `m k="!PANIC: \x1b[2J"`},
		{name: "an escape sequence in the file of a source", attrs: []slog.Attr{slog.Any("k", &slog.Source{File: "a/\x1b[2J", Line: 1})}, want: `m k="a/\x1b[2J:1"`},
		{name: "an escape sequence in a resolved value", attrs: []slog.Attr{slog.Group("g", slog.Any("k", valuer{"\x1b[2J"}))}, want: `m g.k="\x1b[2J"`},
		{name: "a newline in a key", attrs: []slog.Attr{slog.Int("a\nb", 1)}, want: `m a\nb=1`},
		{name: "an escape sequence in a key", attrs: []slog.Attr{slog.Int("a\x1b[2Jb", 1)}, want: `m a\u001b[2Jb=1`},
		{name: "an escape sequence in a key with a space", attrs: []slog.Attr{slog.Int("a \x1b[2Jb", 1)}, want: `m "a \\u001b[2Jb"=1`},
		{name: "what tint takes for an escape in a key", attrs: []slog.Attr{slog.Int(`a \x1b[2Jb`, 1)}, want: `m "a \\\\u001b[2Jb"=1`},
		{name: "an escape sequence in the name of an inline group", attrs: []slog.Attr{slog.Group("a\x1b[2Jb", slog.Int("k", 1))}, want: `m a\u001b[2Jb.k=1`},
		{name: "an escape sequence in the name of a resolved group", attrs: []slog.Attr{slog.Any("g", valuer{slog.GroupValue(slog.Group("\x1b", slog.Int("k", 1)))})}, want: `m g.\u001b.k=1`},
		{name: "an escape sequence in the name of an open group", derive: group("a\x1b[2Jb"), attrs: []slog.Attr{slog.Int("k", 1)}, want: `m a\u001b[2Jb.k=1`},
		{name: "a newline in the name of an open group", derive: group("a\nb"), attrs: []slog.Attr{slog.Int("k", 1)}, want: `m a\nb.k=1`},
		{name: "an escape sequence of With", derive: func(h slog.Handler) slog.Handler {
			return h.WithAttrs([]slog.Attr{slog.String("\x1b", "\x1b")})
		}, want: `m \u001b="\x1b"`},
		{name: "nothing that is only unusual", msg: "これは\u3000世界 👨\u200d👩 می\u200cخواهم a\u00a0b \ufffd", attrs: []slog.Attr{slog.String("k", "世界"), slog.String("r", "\ufffd!")},
			want: "これは\u3000世界 👨\u200d👩 می\u200cخواهم a\u00a0b \ufffd k=世界 r=\"\ufffd!\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.msg == "" {
				test.msg = "m"
			}
			for _, opts := range []console.Options{
				{}, {ReplaceAttr: identity}, {Color: console.ColorAlways}, {Color: console.ColorAlways, ReplaceAttr: identity},
			} {
				opts.TimeFormat = "-"
				got := lineOf(t, &opts, test.derive, test.msg, test.attrs...)
				if opts.Color == console.ColorAlways {
					got = colors.ReplaceAllString(got, "")
				}
				check(t, "line", got, "- INF "+test.want)
			}
		})
	}
}

func TestHandler_escapesWhatReplaceAttrReturns(t *testing.T) {
	for _, key := range []string{slog.TimeKey, slog.LevelKey, slog.SourceKey, slog.MessageKey, "k"} {
		for name, value := range map[string]slog.Value{
			"a string": slog.StringValue("a\x1b[2J\nb"),
			"bytes":    slog.AnyValue([]byte("a\x1b[2J\nb")),
			"a source": slog.AnyValue(&slog.Source{File: "a\x1b[2J\nb"}),
			"an error": slog.AnyValue(errors.New("a\x1b[2J\nb")),
			"a group":  slog.GroupValue(slog.String("a\x1b[2J\nb", "a\x1b[2J\nb")),
		} {
			for _, color := range []console.Color{console.ColorNever, console.ColorAlways} {
				replace := func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == key {
						a.Value = value
					}
					return a
				}
				got := lineOf(t, &console.Options{ReplaceAttr: replace, Color: color, AddSource: true}, nil, "m", slog.Int("k", 1))
				got = colors.ReplaceAllString(got, "")
				if strings.ContainsRune(got, '\x1b') {
					t.Errorf("%s for %s: printed %q", name, key, got)
				}
				if key != slog.SourceKey && !strings.Contains(got, "[2J") {
					t.Errorf("%s for %s: lost in %q", name, key, got)
				}
			}
		}
	}
}

// No text makes a second line, an escape sequence, or invisible output.
func FuzzHandler(f *testing.F) {
	for _, seed := range []string{"", "plain", "a\nb", "\x1b[31mred", `a \x1b[2J`, `\\x1b "`, "\xff\x9b", "\u202e", "\ufffd", "世界", "a b=c"} {
		f.Add(seed, "key", "group", "value")
		f.Add("message", seed, "group", "value")
		f.Add("message", "key", seed, "value")
		f.Add("message", "key", "group", seed)
		f.Add(seed, seed, seed, seed)
	}
	f.Fuzz(func(t *testing.T, msg, key, group, value string) {
		print := func(color console.Color, msg, key, group, value string) string {
			return lineOf(t, &console.Options{Color: color}, func(h slog.Handler) slog.Handler {
				return h.WithAttrs([]slog.Attr{slog.String(key, value)}).WithGroup(group)
			}, msg, slog.String(key, value), slog.Group(group, slog.Any(key, errors.New(value)), slog.Any(key, []byte(value))))
		}
		plain := print(console.ColorNever, msg, key, group, value)
		if !utf8.ValidString(plain) {
			t.Errorf("printed invalid UTF-8: %q", plain)
		}
		for _, r := range plain {
			if !unicode.IsGraphic(r) && r != '\u200c' && r != '\u200d' {
				t.Errorf("printed %q in %q", r, plain)
			}
		}
		colored := print(console.ColorAlways, msg, key, group, value)
		check(t, "coloured without its colours", colors.ReplaceAllString(colored, ""), plain)
		benign := print(console.ColorAlways, "m", "k", "g", "v")
		if got, want := strings.Count(colored, "\x1b"), strings.Count(benign, "\x1b"); got != want {
			t.Errorf("%d escape sequences, want %d: %q", got, want, colored)
		}
	})
}

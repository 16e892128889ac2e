package console_test

import (
	"bytes"
	"encoding"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lmittmann/tint"
	"github.com/slogworks/slogworks/sinks/console"
)

var colors = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func TestHandler_printsErrorsInRed(t *testing.T) {
	opts := &console.Options{Color: console.ColorAlways, TimeFormat: "-"}
	const start = "\x1b[2m-\x1b[0m \x1b[92mINF\x1b[0m m "
	fail := errors.New("no")
	for name, test := range map[string]struct {
		attrs []slog.Attr
		want  string
	}{
		"of any key":         {[]slog.Attr{slog.Any("cause", fail)}, "\x1b[2;91mcause=\x1b[22mno\x1b[0m"},
		"in a group":         {[]slog.Attr{slog.Group("g", "err", fail)}, "\x1b[2;91mg.err=\x1b[22mno\x1b[0m"},
		"when resolved":      {[]slog.Attr{slog.Any("err", valuer{fail})}, "\x1b[2;91merr=\x1b[22mno\x1b[0m"},
		"when quoted":        {[]slog.Attr{slog.Any("err", errors.New("a\nb"))}, "\x1b[2;91merr=\x1b[22m\"a\\nb\"\x1b[0m"},
		"of tint.Err":        {[]slog.Attr{tint.Err(fail)}, "\x1b[2;91merr=\x1b[22mno\x1b[0m"},
		"and nothing else":   {[]slog.Attr{slog.Any("err", nil), slog.String("error", "no")}, "\x1b[2merr=\x1b[0m<nil> \x1b[2merror=\x1b[0mno"},
		"unless told to not": {[]slog.Attr{tint.Attr(3, slog.Any("err", fail))}, "\x1b[2;33merr=\x1b[22mno\x1b[0m"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, replace := range []func([]string, slog.Attr) slog.Attr{nil, identity} {
				opts.ReplaceAttr = replace
				check(t, "attribute", lineOf(t, opts, nil, "m", test.attrs...), start+test.want)
				derive := func(h slog.Handler) slog.Handler { return h.WithAttrs(test.attrs) }
				check(t, "attribute of With", lineOf(t, opts, derive, "m"), start+test.want)
			}
		})
	}
}

func TestHandler_usesColorsOfTint(t *testing.T) {
	replace := func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey:
			return slog.Attr{}
		case slog.LevelKey:
			return tint.Attr(13, slog.String(a.Key, "TRC"))
		case slog.MessageKey:
			return tint.Attr(2, a)
		case "k":
			return tint.Attr(4, a)
		}
		return a
	}
	attrs := []slog.Attr{slog.String("k", "a\nb"), tint.Attr(6, slog.Group("g", slog.Int("n", 1)))}
	for color, want := range map[console.Color]string{
		console.ColorAlways: "\x1b[95mTRC\x1b[0m \x1b[32mm\x1b[0m \x1b[2;34mk=\x1b[22m\"a\\nb\"\x1b[0m \x1b[2;36mg.n=\x1b[22m1\x1b[0m",
		console.ColorNever:  `TRC m k="a\nb" g.n=1`,
	} {
		check(t, color.String(), lineOf(t, &console.Options{Color: color, ReplaceAttr: replace}, nil, "m", attrs...), want)
	}
}

func TestColorAuto_needsTerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	check(t, "to a buffer", lineOf(t, nil, nil, "m"), "12:00:00.005 INF m")

	name := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	for _, f := range []*os.File{file, write} {
		slog.New(console.New(f, &console.Options{TimeFormat: "-"})).Info("m")
		f.Close()
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "to a file", string(data), "- INF m\n")
	var piped bytes.Buffer
	if _, err := piped.ReadFrom(read); err != nil {
		t.Fatal(err)
	}
	check(t, "to a pipe", piped.String(), "- INF m\n")
}

func TestColorAlways_ignoresEnvironment(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	t.Setenv("TERM", "dumb")
	if got := lineOf(t, &console.Options{Color: console.ColorAlways}, nil, "m"); !strings.Contains(got, "\x1b[92mINF\x1b[0m") {
		t.Errorf("no colour in %q", got)
	}
}

func TestColor_text(t *testing.T) {
	var (
		_ encoding.TextMarshaler   = console.ColorAuto
		_ encoding.TextUnmarshaler = (*console.Color)(nil)
	)
	for want, text := range map[console.Color]string{console.ColorAuto: "auto", console.ColorAlways: "always", console.ColorNever: "never"} {
		got := console.Color(99)
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("UnmarshalText(%q) gives %d, %v", text, got, err)
		}
		if data, err := want.MarshalText(); err != nil || string(data) != text || want.String() != text {
			t.Errorf("%d as text is %q, %q, %v", want, data, want, err)
		}
	}
	c := console.ColorNever
	for _, text := range []string{"", "Always", "yes"} {
		if err := c.UnmarshalText([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "console: ") || c != console.ColorNever {
			t.Errorf("UnmarshalText(%q) gives %v, %v", text, c, err)
		}
	}
	if got := console.Color(99).String(); got != "auto" {
		t.Errorf("an unknown colour is %q", got)
	}
}

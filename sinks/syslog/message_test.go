package syslog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/syslog"
)

const toUDP = "udp://127.0.0.1:514"

func options() syslog.Options {
	return syslog.Options{Hostname: "web1", AppName: "shop", ProcID: "7"}
}

func TestMessage_RFC5424(t *testing.T) {
	zone := time.FixedZone("", -5*60*60-30*60)
	for name, test := range map[string]struct {
		record slog.Record
		change func(*syslog.Options)
		want   string
	}{
		"no attributes":  {peertest.Record("m"), nil, `<14>1 2026-01-02T12:00:00.000000Z web1 shop 7 - - m`},
		"no message":     {peertest.Record(""), nil, `<14>1 2026-01-02T12:00:00.000000Z web1 shop 7 - -`},
		"no time":        {slog.Record{Message: "m"}, nil, `<14>1 - web1 shop 7 - - m`},
		"a zone":         {slog.Record{Message: "m", Time: time.Date(2026, 1, 2, 3, 4, 5, 123456789, zone)}, nil, `<14>1 2026-01-02T03:04:05.123456-05:30 web1 shop 7 - - m`},
		"a zone of Dada": {slog.Record{Message: "m", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 61))}, nil, `<14>1 2026-01-02T03:03:04.000000Z web1 shop 7 - - m`},
		"the year 20000": {slog.Record{Message: "m", Time: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)}, nil, `<14>1 - web1 shop 7 - - m`},
		"special in SD":  {peertest.Record("m", slog.String("k", `a"b\c]d[e`)), nil, `<14>1 2026-01-02T12:00:00.000000Z web1 shop 7 - [slog@32473 k="a\"b\\c\]d[e"] m`},
		"special in MSG": {peertest.Record(`a"b\c]d <34>`), nil, `<14>1 2026-01-02T12:00:00.000000Z web1 shop 7 - - a"b\c]d <34>`},
		"UTF-8":          {peertest.Record("naïve ☃", slog.String("k", "☃")), nil, "<14>1 2026-01-02T12:00:00.000000Z web1 shop 7 - [slog@32473 k=\"☃\"] \ufeffnaïve ☃"},
		"invalid UTF-8":  {peertest.Record("a\xffb", slog.String("k", "\xc3")), nil, "<14>1 2026-01-02T12:00:00.000000Z web1 shop 7 - [slog@32473 k=\"\ufffd\"] \ufeffa\ufffdb"},
		"controls":       {peertest.Record("a\x00b\r\x1b[31m\x7f\tc\nd", slog.String("k", "\x00\n")), nil, "<14>1 2026-01-02T12:00:00.000000Z web1 shop 7 - [slog@32473 k=\"#000\n\"] a#000b#015#033[31m#177\tc\nd"},
		"names":          {peertest.Record("m", slog.Int(`a b="]☃`, 1), slog.Int("", 2), slog.Group("g", slog.Group("", slog.Int("x", 3)), slog.Group("none"))), nil, `<14>1 2026-01-02T12:00:00.000000Z web1 shop 7 - [slog@32473 a_b____="1" _="2" g.x="3"] m`},
		"a long name":    {peertest.Record("m", slog.Group(strings.Repeat("g", 40), slog.Int("leaf", 1))), nil, `<14>1 2026-01-02T12:00:00.000000Z web1 shop 7 - [slog@32473 ggggggggggggggggggggggggggg.leaf="1"] m`},
		"the head": {peertest.Record("m"), func(o *syslog.Options) {
			*o = syslog.Options{Hostname: "a b\n", AppName: strings.Repeat("x", 50), ProcID: "é", MsgID: "ID", Facility: syslog.Local7}
		}, `<190>1 2026-01-02T12:00:00.000000Z a_b_ ` + strings.Repeat("x", 48) + ` _ ID - m`},
		"an SD-ID":        {peertest.Record("m", slog.Int("k", 1)), func(o *syslog.Options) { o.SDID = "shop@1.2" }, `<14>1 2026-01-02T12:00:00.000000Z web1 shop 7 - [shop@1.2 k="1"] m`},
		"RFC 3164 a host": {peertest.Record("m ☃\n<34>\x00", slog.String("k", "a b\n"), slog.Int("n", 1)), func(o *syslog.Options) { o.Format = syslog.RFC3164; o.AppName = "a:[b]" }, "<14>" + peertest.Time.Local().Format(time.Stamp) + " web1 a__b_[7]: m ☃\n<34>#000 k=\"a b\\n\" n=1"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options()
			if test.change != nil {
				test.change(&opts)
			}
			got := syslog.Message(toUDP, &opts, test.record)
			if got != test.want {
				t.Errorf("the message is\n%q\nwant\n%q", got, test.want)
			}
			if opts.Format != syslog.RFC3164 {
				mustParse(t, got)
			}
		})
	}
}

type text string

func (t text) MarshalText() ([]byte, error) { return []byte("marshalled " + t), nil }

type panicking struct{}

func (panicking) Error() string { panic("no text") }

func TestMessage_valuesAreThoseOfTextHandler(t *testing.T) {
	opts := options()
	for _, a := range []slog.Attr{
		slog.String("k", "plain"), slog.Int("k", -7), slog.Uint64("k", math.MaxUint64), slog.Float64("k", 0.5), slog.Float64("k", math.NaN()),
		slog.Bool("k", true), slog.Duration("k", 1500*time.Millisecond), slog.Time("k", peertest.Time.Add(time.Millisecond)), slog.Any("k", nil), slog.Any("k", errors.New("failed")),
		slog.Any("k", []int{1, 2}), slog.Any("k", map[string]int{"a": 1}), slog.Any("k", text("x")), slog.Any("k", []byte("bytes")),
		slog.Any("k", struct{ A int }{1}), slog.Any("k", panicking{}), slog.Any("k", &slog.Source{File: "f.go", Line: 3}), slog.Any("k", text2{}),
	} {
		var written strings.Builder
		h := slog.NewTextHandler(&written, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key != "k" {
				return slog.Attr{}
			}
			return a
		}})
		_ = h.Handle(context.Background(), peertest.Record("", a))
		want := strings.TrimSuffix(strings.TrimPrefix(written.String(), "k="), "\n")
		want = strings.Trim(want, `"`)
		m := mustParse(t, syslog.Message(toUDP, &opts, peertest.Record("m", a)))
		if len(m.params) != 1 || m.params[0] != (param{"k", want}) {
			t.Errorf("%v is %q, want %q", a, m.params, want)
		}
	}
}

type text2 struct{}

func (text2) String() string { return "no more than a Stringer" }

func TestMessage_levels(t *testing.T) {
	for level, want := range map[slog.Level]string{
		-8: `<15>1 - web1 shop 7 - [slog@32473 level="DEBUG-4"]`, -4: `<15>1 - web1 shop 7 - -`, 0: `<14>1 - web1 shop 7 - -`,
		1: `<14>1 - web1 shop 7 - [slog@32473 level="INFO+1"]`, 2: `<13>1 - web1 shop 7 - -`, 4: `<12>1 - web1 shop 7 - -`,
		8: `<11>1 - web1 shop 7 - -`, 12: `<10>1 - web1 shop 7 - -`, 16: `<10>1 - web1 shop 7 - [slog@32473 level="ERROR+8"]`,
	} {
		opts := options()
		if got := syslog.Message(toUDP, &opts, slog.Record{Level: level}); got != want {
			t.Errorf("%v is %q, want %q", level, got, want)
		}
	}
}

func TestMessage_lineFeedsAreEscapedWhereTheyEndMessages(t *testing.T) {
	opts := options()
	opts.Framing = syslog.LF
	got := syslog.Message("tcp://127.0.0.1:514", &opts, peertest.Record("a\n<34>b", slog.String("k\n", "\n<34>")))
	if strings.Contains(got, "\n") {
		t.Errorf("the message is %q", got)
	}
	m := mustParse(t, got)
	if m.message != "a#012<34>b" || m.params[0] != (param{"k_", "#012<34>"}) {
		t.Errorf("it reads %+v", m)
	}
}

func TestMessage_sourceIsAddedWhenAskedFor(t *testing.T) {
	opts := options()
	opts.AddSource = true
	var h recorder
	slog.New(&h).Info("m")
	m := mustParse(t, syslog.Message(toUDP, &opts, h.last))
	if len(m.params) != 1 || m.params[0].name != "source" || !strings.Contains(m.params[0].value, "message_test.go:") {
		t.Errorf("the parameters are %q", m.params)
	}
}

type recorder struct{ last slog.Record }

func (*recorder) Enabled(context.Context, slog.Level) bool        { return true }
func (h *recorder) Handle(_ context.Context, r slog.Record) error { h.last = r; return nil }
func (h *recorder) WithAttrs([]slog.Attr) slog.Handler            { return h }
func (h *recorder) WithGroup(string) slog.Handler                 { return h }
func count(params []param, ok func(param) bool) (n int) {
	for _, p := range params {
		if ok(p) {
			n++
		}
	}
	return n
}

func TestMessage_isCutOnACharacterWithAMark(t *testing.T) {
	many := make([]slog.Attr, 500)
	for i := range many {
		many[i] = slog.String(fmt.Sprint("key", i), strings.Repeat(`"☃`, 20))
	}
	for name, test := range map[string]struct {
		record slog.Record
		full   float64 // how much of MaxRecordBytes it should use at least
		check  func(t *testing.T, m strict)
	}{
		"a long message": {peertest.Record(strings.Repeat("☃", 10_000), slog.Int("k", 1)), 0.8, func(t *testing.T, m strict) {
			if !strings.HasSuffix(m.message, "☃!truncated") || m.params[0] != (param{"k", "1"}) {
				t.Errorf("it reads %.100q", fmt.Sprint(m))
			}
		}},
		"a long value": {peertest.Record("the message", slog.Int("k", 1), slog.String("long", strings.Repeat(`☃`, 10_000))), 0.8, func(t *testing.T, m strict) {
			if m.message != "the message" || !strings.HasSuffix(m.params[1].value, "☃!truncated") {
				t.Errorf("it reads %.100q", fmt.Sprint(m))
			}
		}},
		"a value of nothing but escapes": {peertest.Record("the message", slog.String("long", strings.Repeat(`]`, 10_000))), 0.5, func(t *testing.T, m strict) {
			if m.message != "the message" || !strings.HasSuffix(m.params[0].value, "]!truncated") {
				t.Errorf("it reads %.100q", fmt.Sprint(m))
			}
		}},
		"a message of nothing but controls": {peertest.Record(strings.Repeat("\x00", 100_000), many...), 0.5, func(t *testing.T, m strict) {
			if !strings.HasSuffix(m.message, "#000!truncated") {
				t.Errorf("it reads %.100q", fmt.Sprint(m))
			}
		}},
		"many attributes": {peertest.Record("the message", many...), 0.5, func(t *testing.T, m strict) {
			if m.message != "the message" || m.params[0].name != "key0" {
				t.Errorf("it reads %.100q", fmt.Sprint(m))
			}
		}},
		"a large group": {peertest.Record("the message", slog.GroupAttrs("g", many...)), 0.5, func(t *testing.T, m strict) {
			if m.params[0].name != "g.key0" {
				t.Errorf("it reads %.100q", fmt.Sprint(m))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, limit := range []int{1024, 2048, 8192} {
				opts := options()
				opts.MaxRecordBytes = limit
				if limit == 1024 {
					opts = syslog.Options{Hostname: strings.Repeat("h", 300), AppName: strings.Repeat("a", 300), ProcID: strings.Repeat("p", 300), MsgID: strings.Repeat("m", 300), MaxRecordBytes: 1}
				}
				got := syslog.Message(toUDP, &opts, test.record)
				if len(got) > limit || float64(len(got)) < test.full*float64(limit) && limit > 1024 {
					t.Errorf("the message has %d bytes of %d", len(got), limit)
				}
				m := mustParse(t, got)
				mark := m.params[len(m.params)-1]
				if mark.name != "!truncated" || count(m.params, func(p param) bool { return p.name == mark.name }) != 1 {
					t.Errorf("the mark is %q", mark)
				}
				test.check(t, m)

				opts.Format = syslog.RFC3164
				got = syslog.Message(toUDP, &opts, test.record)
				if len(got) > limit || !utf8.ValidString(got) || !strings.Contains(got, " !truncated=") {
					t.Errorf("by RFC 3164, the message is %d bytes, %q", len(got), got)
				}
			}
		})
	}
	t.Run("what just fits is whole", func(t *testing.T) {
		opts := options()
		opts.MaxRecordBytes = 1024
		head := len(syslog.Message(toUDP, &opts, peertest.Record("x"))) - 1
		for extra := range 2 {
			m := mustParse(t, syslog.Message(toUDP, &opts, peertest.Record(strings.Repeat("x", 1024-head+extra))))
			if isCut := strings.Contains(m.message, "!truncated"); isCut != (extra > 0) {
				t.Errorf("%d bytes over: cut is %v", extra, isCut)
			}
		}
	})
}

// What goes in comes out, in one message, whatever it is.
func FuzzMessage(f *testing.F) {
	f.Add("m", "k", "v", "g", int64(7), false)
	f.Add("a\n<34>1 - - - - - - forged", `"]`, `a"b\c]d`, "", int64(-1), true)
	f.Add("\xff\x00☃", "k\n\x00", "\\", "☃", int64(1<<62), true)
	f.Fuzz(func(t *testing.T, message, key, value, group string, n int64, lf bool) {
		opts := options()
		opts.MaxRecordBytes = 1 << 20
		if lf {
			opts.Framing = syslog.LF
		}
		r := slog.NewRecord(peertest.Time, slog.Level(n%16), message, 0)
		r.AddAttrs(slog.String(key, value), slog.Group(group, slog.Int64("n", n), slog.String(key, value)), slog.String("last", value))
		got := syslog.Message("tcp://127.0.0.1:514", &opts, r)
		if strings.ContainsAny(got, "\x00\r") || lf && strings.Contains(got, "\n") {
			t.Fatalf("%q can be taken for two", got)
		}
		m := mustParse(t, got)
		if m.message != plain(message, lf) {
			t.Errorf("%q is read as %q", message, m.message)
		}
		params := m.params
		if params[0].name == "level" && len(params) == 5 {
			params = params[1:]
		}
		if len(params) != 4 {
			t.Fatalf("the parameters are %q", params)
		}
		for i, p := range params {
			want := plain(value, lf)
			if i == 1 {
				want = fmt.Sprint(n)
			}
			if p.value != want {
				t.Errorf("parameter %q, want %q", p, want)
			}
		}

		// However short it has to be, it is one message by the grammar.
		opts.MaxRecordBytes = 1
		if short := syslog.Message("tcp://127.0.0.1:514", &opts, r); len(short) > 1024 {
			t.Errorf("cut, it has %d bytes", len(short))
		} else {
			mustParse(t, short)
		}
	})
}

// plain is what a text becomes that has to stand in one message.
func plain(s string, lf bool) string {
	var b strings.Builder
	for _, r := range s {
		if (r < ' ' || r == 0x7f) && r != '\t' && (r != '\n' || lf) {
			fmt.Fprintf(&b, "#%03o", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

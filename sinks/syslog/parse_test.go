package syslog_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/slogworks/slogworks/sinks/syslog"
)

// arrived is when the messages of these tests arrive.
var arrived = time.Date(2026, 1, 2, 12, 0, 0, 0, time.FixedZone("", 3600))

// parsed returns the line of JSON that a message becomes.
func parsed(t testing.TB, message string) string {
	t.Helper()
	var line bytes.Buffer
	h := slog.NewJSONHandler(&line, &slog.HandlerOptions{Level: slog.LevelDebug - 100})
	if err := h.Handle(context.Background(), syslog.ParseMessage(message, arrived)); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line.String(), "\n")
}

const (
	now  = `{"time":"2026-01-02T12:00:00+01:00",`
	then = `{"time":"2003-10-11T22:14:15.003Z",`
	peer = `"peer":"192.0.2.1:7",`
	auth = peer + `"facility":"auth"`
)

func TestReceiver_readsMessages(t *testing.T) {
	for name, test := range map[string]struct{ message, want string }{
		// As RFC 5424 has them, section 6.5.
		"RFC 5424": {
			"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed for lonvick on /dev/pts/8",
			then + `"level":"ERROR+4","msg":"'su root' failed for lonvick on /dev/pts/8","host":"mymachine.example.com","process":"su",` + auth + `,"msgid":"ID47"}`,
		},
		"RFC 5424 with a zone and a PROCID": {
			"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
			`{"time":"2003-08-24T05:14:15.000003-07:00","level":"INFO+2","msg":"%% It's time to make the do-nuts.","host":"192.0.2.1","process":"myproc","pid":8710,` + peer + `"facility":"local4"}`,
		},
		"RFC 5424 with structured data": {
			`<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]`,
			then + `"level":"INFO+2","msg":"","host":"mymachine.example.com","process":"evntslog",` + peer + `"facility":"local4","msgid":"ID47","exampleSDID@32473":{"iut":"3","eventSource":"Application","eventID":"1011"},"examplePriority@32473":{"class":"high"}}`,
		},
		"RFC 5424 with escapes, and an element without parameters": {
			`<34>1 - - - - - [a x="\"\\\]\n" y="] ["][b] m`,
			// ] ends the element unless it is escaped.
			now + `"level":"ERROR+4","msg":"1 - - - - - [a x=\"\\\"\\\\\\]\\n\" y=\"] [\"][b] m",` + auth + `}`,
		},
		"RFC 5424 with escapes": {
			`<34>1 - - - - - [a x="\"\\\]\n" x="é"][b] m`,
			now + `"level":"ERROR+4","msg":"m",` + auth + `,"a":{"x":"\"\\]\\n","x":"é"},"b":""}`,
		},
		"RFC 5424 with nothing but hyphens": {"<34>1 - - - - - -", now + `"level":"ERROR+4","msg":"",` + auth + `}`},
		"RFC 5424 with a PROCID that is no number": {
			"<34>1 - - app w-7 - - m", now + `"level":"ERROR+4","msg":"m","process":"app",` + auth + `,"procid":"w-7"}`,
		},
		"RFC 5424 with names like ours": {
			`<34>1 - h - - - [peer a="1"][slog@32473 host="2" facility="3" msgid.x="4"][procid] m`,
			now + `"level":"ERROR+4","msg":"m","host":"h",` + auth + `,"extra.peer":{"a":"1"},"extra.host":"2","extra.facility":"3","extra.msgid":{"x":"4"},"extra.procid":""}`,
		},
		"RFC 5424 that is broken is a text": {
			"<34>1 2003-10-11 mymachine su - - - m", now + `"level":"ERROR+4","msg":"1 2003-10-11 mymachine su - - - m",` + auth + `}`,
		},
		"RFC 5424 with structured data that does not end": {
			`<34>1 - - - - - [a x="1" m`, now + `"level":"ERROR+4","msg":"1 - - - - - [a x=\"1\" m",` + auth + `}`,
		},
		"our own attributes": {
			`<14>1 - h app 7 - [slog@32473 level="INFO+1" source="a/main.go:42" logger="a.b" g.h.x="1" g.h.y="2" g.z="3" g="4" .x="5" host="6"] m`,
			now + `"level":"INFO+1","msg":"m","logger":"a.b","host":"h","process":"app","pid":7,` + peer + `"facility":"user","g":{"h":{"x":"1","y":"2"},"z":"3"},"g":"4",".x":"5","extra.host":"6","source":{"file":"a/main.go","line":42}}`,
		},
		"a level that the severity contradicts is an attribute": {
			`<14>1 - - - - - [slog@32473 level="ERROR"] m`,
			now + `"level":"INFO","msg":"m",` + peer + `"facility":"user","extra.level":"ERROR"}`,
		},

		// As RFC 3164 has them, section 5.4.
		"RFC 3164": {
			"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
			`{"time":"2025-10-11T22:14:15+01:00","level":"ERROR+4","msg":"'su root' failed for lonvick on /dev/pts/8","host":"mymachine","process":"su",` + auth + `}`,
		},
		"RFC 3164 with a pid, of this year": {
			"<13>Feb  5 17:32:18 10.0.0.99 myapp[42]: Use the BFG!",
			`{"time":"2026-02-05T17:32:18+01:00","level":"INFO+2","msg":"Use the BFG!","host":"10.0.0.99","process":"myapp","pid":42,` + peer + `"facility":"user"}`,
		},
		"RFC 3164 without a tag": {
			"<13>Jan  2 11:59:59 10.0.0.99 Use the BFG!",
			`{"time":"2026-01-02T11:59:59+01:00","level":"INFO+2","msg":"Use the BFG!","host":"10.0.0.99",` + peer + `"facility":"user"}`,
		},
		"RFC 3164 without a host, as of the C library": {
			"<13>Jan  2 11:59:59 myapp[42]: a b",
			`{"time":"2026-01-02T11:59:59+01:00","level":"INFO+2","msg":"a b","process":"myapp","pid":42,` + peer + `"facility":"user"}`,
		},
		"RFC 3164 with a time of RFC 3339, as of rsyslogd": {
			"<13>2003-10-11T22:14:15.003Z host myapp: a",
			then + `"level":"INFO+2","msg":"a","host":"host","process":"myapp",` + peer + `"facility":"user"}`,
		},

		"bare text, as of Python": {"<14>hello, world: [1] \x00", now + `"level":"INFO","msg":"hello, world: [1] ",` + peer + `"facility":"user"}`},
		"text without priority":   {"hello", now + `"level":"INFO","msg":"hello",` + peer[:len(peer)-1] + `}`},
		"nothing":                 {"", now + `"level":"INFO","msg":"",` + peer[:len(peer)-1] + `}`},
		"a priority that is none": {"<192>m", now + `"level":"INFO","msg":"<192>m",` + peer[:len(peer)-1] + `}`},
		"a priority without end":  {"<1", now + `"level":"INFO","msg":"<1",` + peer[:len(peer)-1] + `}`},
		"a priority with a sign":  {"<+1>m", now + `"level":"INFO","msg":"<+1>m",` + peer[:len(peer)-1] + `}`},
		"a NUL within":            {"<14>a\x00b", now + `"level":"INFO","msg":"a\u0000b",` + peer + `"facility":"user"}`},
		"line feeds and priorities within": {
			"<14>a\n<34>b\r\n", now + `"level":"INFO","msg":"a\n<34>b\r\n",` + peer + `"facility":"user"}`,
		},
		"invalid UTF-8": {"<14>a\xffb", now + `"level":"INFO","msg":"a�b",` + peer + `"facility":"user"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := parsed(t, test.message); got != test.want {
				t.Errorf("%q became\n%s\nwant\n%s", test.message, got, test.want)
			}
		})
	}
}

func TestReceiver_mapsSeveritiesAndFacilities(t *testing.T) {
	for severity, want := range []slog.Level{12, 12, 12, 8, 4, 2, 0, -4} {
		if r := syslog.ParseMessage(fmt.Sprintf("<%d>m", 8+severity), arrived); r.Level != want {
			t.Errorf("severity %d is %v, want %v", severity, r.Level, want)
		}
	}
	for facility, want := range strings.Fields("kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock local0 local1 local2 local3 local4 local5 local6 local7") {
		if got := parsed(t, fmt.Sprintf("<%d>m", 8*facility)); !strings.Contains(got, fmt.Sprintf(`"facility":%q`, want)) {
			t.Errorf("facility %d: %s, want %s", facility, got, want)
		}
	}
}

func TestReceiver_findsTheYear(t *testing.T) {
	for at, test := range map[string]struct{ now, want string }{
		"Dec 31 23:59:59": {"2026-01-01T00:00:05Z", "2025-12-31T23:59:59Z"},
		"Jan  1 00:00:00": {"2025-12-31T23:59:58Z", "2026-01-01T00:00:00Z"},
		"Feb 29 12:00:00": {"2028-03-01T00:00:00Z", "2028-02-29T12:00:00Z"},
		"Jun 15 12:00:00": {"2026-06-15T11:00:00Z", "2026-06-15T12:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, test.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := syslog.ParseMessage("<14>"+at+" h a: m", now).Time.Format(time.RFC3339); got != test.want {
			t.Errorf("%s at %s is %s, want %s", at, test.now, got, test.want)
		}
	}
	// There is none near 2026.
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	if got := syslog.ParseMessage("<14>Feb 29 12:00:00 h a: m", now).Time; !got.Equal(now) {
		t.Errorf("a day that does not exist is %v, want the arrival", got)
	}
}

func TestReceiver_boundsStructuredData(t *testing.T) {
	element := `[a` + strings.Repeat(` b=""`, 5000) + `]`
	message := "1 - - - - - " + element + " m"
	r := syslog.ParseMessage("<14>"+message, arrived)
	if r.Message != message || r.NumAttrs() != 2 {
		t.Errorf("%d parameters became %d attributes and %.50q", 5000, r.NumAttrs(), r.Message)
	}
	deep := "<14>1 - - - - - [slog@32473 " + strings.Repeat("a.", 5000) + `b="1"] m`
	if r := syslog.ParseMessage(deep, arrived); r.Message != "m" {
		t.Errorf("a deep name became %.50q", r.Message)
	}
}

// What a Handler sends as RFC 5424 comes back as TextHandler would print it.
func TestReceiver_readsWhatAHandlerSends(t *testing.T) {
	line := func(r slog.Record) string {
		var b bytes.Buffer
		h := slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug - 100, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 {
				switch a.Key {
				case "host", "process", "pid", "peer", "facility":
					return slog.Attr{}
				}
			}
			return a
		}})
		if err := h.Handle(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	at := time.Date(2026, 1, 2, 12, 0, 0, 123456000, time.FixedZone("", -3600))
	for _, level := range []slog.Level{-8, -4, 0, 1, 2, 4, 5, 8, 12, 20} {
		for _, message := range []string{"hello", "", "a\nb\n", `"q" [x] \ <34>`, "naïve ☃"} {
			r := slog.NewRecord(at, level, message, 0)
			r.AddAttrs(slog.String("logger", "a.b"), slog.Int("n", 7), slog.Duration("took", 1500*time.Microsecond),
				slog.String("quoted", "\"]\\\n<34>é"),
				slog.Group("g", slog.Bool("ok", true), slog.Group("h", slog.Any("none", nil)), slog.Float64("f", 0.5)),
				slog.String("http.method", "GET"), slog.Any("err", fmt.Errorf("no [answer]")))
			sent := syslog.Message("udp://127.0.0.1:514", nil, r)
			if got, want := line(syslog.ParseMessage(sent, arrived)), line(r); got != want {
				t.Errorf("sent as %q\ngot  %swant %s", sent, got, want)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"<34>1 2003-10-11T22:14:15.003Z h a 1 ID [x a=\"b\\]\"][y] \ufeffm", "<34>Oct 11 22:14:15 h a[1]: m", "<14>m\x00", "m", "",
		`<14>1 - - - - - [slog@32473 level="INFO+1" source="a:1" g.h.x="1" g.y="2"] m`, "<14>Feb 29 00:00:00 ", "<14>1 ", "<191>1 - - - - - [", "<0>:", "<0>a[]: ",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		r := syslog.ParseMessage(message, arrived)
		if !utf8.ValidString(r.Message) {
			t.Errorf("the message %q is not valid", r.Message)
		}
		if len(r.Message) > 3*len(message) {
			t.Errorf("%d bytes became %d", len(message), len(r.Message))
		}
		var line bytes.Buffer
		if err := slog.NewJSONHandler(&line, nil).Handle(context.Background(), r); err != nil {
			t.Error(err)
		}
		if bytes.Count(line.Bytes(), []byte("\n")) != 1 {
			t.Errorf("%q is more than a line: %s", message, line.Bytes())
		}
	})
}

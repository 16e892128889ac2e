package mail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"log/slog"
	"math"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	texttemplate "text/template"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer/mail"
)

// offline returns a Handler for previews.
func offline(t testing.TB, change func(*mail.Config)) *mail.Handler {
	t.Helper()
	cfg := mail.Config{Host: "smtp.example.com", From: "Shop <shop@example.com>", To: []string{"ops@example.com"}}
	if change != nil {
		change(&cfg)
	}
	h, err := mail.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func preview(t testing.TB, h *mail.Handler, b slogworks.Batch) message {
	t.Helper()
	raw, err := h.Message(b)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, raw)
}

func hostname(t testing.TB) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	return name
}

// contains complains about each of the texts that m does not hold.
func contains(t testing.TB, where, m string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(m, text) {
			t.Errorf("%s does not have %q:\n%s", where, text, m)
		}
	}
}

func TestHandler_sendsOneMailForABatchOfAnyKind(t *testing.T) {
	for _, kind := range []slogworks.Kind{slogworks.Stream, slogworks.Escalation, slogworks.Digest} {
		s := newServer(t, script{})
		b := batch(item(0, slog.LevelInfo, "first"), item(1, slog.LevelError, "second"), item(2, slog.LevelInfo, "third"))
		b.Kind = kind
		if err := newHandler(t, s, nil).HandleBatch(generous(t), b); err != nil {
			t.Fatal(err)
		}
		got := s.received()
		if len(got) != 1 {
			t.Fatalf("%v: %d mails", kind, len(got))
		}
		if m := read(t, got[0].content); len(m.records(t)) != 3 || m.header.Get("Message-ID") != "<batch-1@example.com>" {
			t.Errorf("%v: %v with %d records", kind, m.header, len(m.records(t)))
		}
		if got[0].from != "FROM:<shop@example.com>" {
			t.Errorf("MAIL %s", got[0].from)
		}
	}
	t.Run("and none for an empty one", func(t *testing.T) {
		s := newServer(t, script{})
		if err := newHandler(t, s, nil).HandleBatch(generous(t), slogworks.Batch{ID: "empty"}); err != nil {
			t.Error(err)
		}
		if accepted, _ := s.connections(); accepted != 0 {
			t.Error("the server was asked")
		}
	})
	t.Run("but one for an empty one that has lost records", func(t *testing.T) {
		m := preview(t, offline(t, nil), slogworks.Batch{ID: "lost", Kind: slogworks.Digest, Dropped: 12})
		contains(t, "the subject", m.subject, "12 records lost (0 records, ")
		contains(t, "the text", m.text, "12 records were lost")
		contains(t, "the HTML", m.html, "12 records were lost")
		if m.attached != "" {
			t.Errorf("attached %q", m.attached)
		}
	})
}

func TestHandler_groupsWhatIsAlike(t *testing.T) {
	var items []slogworks.Item
	for i := range 41 {
		items = append(items, item(i, slog.LevelError, "payment failed", "order", 7000+i, "logger", "shop.billing"))
	}
	items = append(items,
		item(50, slog.LevelError, "disk full"),
		item(51, slog.LevelWarn, "slow"), item(52, slog.LevelWarn, "slow"),
		item(53, slog.LevelInfo, "cache rebuilt"),
		item(54, slog.LevelError, "payment failed", "logger", "shop.refunds"),
	)
	m := preview(t, offline(t, nil), batch(items...))
	want := "ERROR payment failed\n" +
		"46 records of 5 kinds, on " + hostname(t) + ", 2026-01-02 12:00:00 – 12:00:54 UTC\n" + `
ERROR ×41  2026-01-02 12:00:00 – 12:00:40 UTC  shop.billing
payment failed
    order = 7000, 7001, 7002, …

ERROR  2026-01-02 12:00:50 UTC
disk full

ERROR  2026-01-02 12:00:54 UTC  shop.refunds
payment failed

WARN ×2  2026-01-02 12:00:51 – 12:00:52 UTC
slow

INFO  2026-01-02 12:00:53 UTC
cache rebuilt
`
	if m.text != want {
		t.Errorf("the text is\n%s\nwant\n%s", m.text, want)
	}
	inOrder(t, m.html, "&times;41", "12:00:00 – 12:00:40 UTC", "payment failed", "7000, 7001, 7002, …", "disk full", "shop.refunds", "&times;2", "slow", "cache rebuilt")
	if n := len(m.records(t)); n != 46 {
		t.Errorf("%d records are attached", n)
	}

	t.Run("in an escalation neighbours only, the end first", func(t *testing.T) {
		b := batch(
			item(0, slog.LevelDebug, "connect"), item(1, slog.LevelDebug, "connect"), item(2, slog.LevelError, "timeout"),
			item(3, slog.LevelDebug, "connect"), item(4, slog.LevelWarn, "order lost", "order", 7),
		)
		b.Kind = slogworks.Escalation
		m := preview(t, offline(t, nil), b)
		contains(t, "the subject", m.subject, "WARN order lost (5 records, ")
		_, body, _ := strings.Cut(m.text, "\n\n")
		const want = `WARN  2026-01-02 12:00:04 UTC
order lost
    order = 7

What led up to it

DEBUG ×2  2026-01-02 12:00:00 – 12:00:01 UTC
connect

ERROR  2026-01-02 12:00:02 UTC
timeout

DEBUG  2026-01-02 12:00:03 UTC
connect
`
		if body != want {
			t.Errorf("the text is\n%s\nwant\n%s", body, want)
		}
		inOrder(t, m.html, "order lost</div>", "What led up to it", "&times;2", "timeout", "connect")
	})
	t.Run("with the values that differ", func(t *testing.T) {
		m := preview(t, offline(t, nil), batch(
			item(0, 8, "http request", "path", "/orders/7", "status", 500, "stack", "goroutine 1\na", "only", "first"),
			item(1, 8, "http request", "path", "/<b>\n\x1b", "status", 500, "stack", "goroutine 2\nb"),
			item(2, 8, "http request", "path", "/orders/7", "status", 500, "stack", "goroutine 3\nc", "late", true),
		))
		_, body, _ := strings.Cut(m.text, "\nhttp request\n")
		const want = `    path = /orders/7, /<b> �
    status = 500
    stack = goroutine 3
    c
    late = true
`
		if body != want {
			t.Errorf("the text is\n%q\nwant\n%q", body, want)
		}
		inOrder(t, m.html, "&times;3", ">/orders/7, /&lt;b&gt; �<", ">500<", "goroutine 3")
	})
	t.Run("with three long values in the room of one", func(t *testing.T) {
		b := batch(item(0, 8, "m", "k", long(500, "a")), item(1, 8, "m", "k", long(500, "b")), item(2, 8, "m", "k", long(500, "c")))
		contains(t, "the text", preview(t, offline(t, nil), b).text, "k = "+long(166, "a")+"…, "+long(166, "b")+"…, "+long(166, "c")+"…\n")
	})
	t.Run("with values of the first 1000 records and the last", func(t *testing.T) {
		var items []slogworks.Item
		for i := range 1002 {
			items = append(items, item(0, 8, "m", "k", max(i-999, 0)))
		}
		contains(t, "the text", preview(t, offline(t, nil), batch(items...)).text, "k = 0, 2\n")
	})
	t.Run("by route", func(t *testing.T) {
		m := preview(t, offline(t, nil), batch(
			item(0, 8, "http request", "route", "GET /orders/{id}"), item(1, 8, "http request", "route", "GET /users/{id}"),
			item(2, 8, "http request", "route", "GET /orders/{id}"), item(3, 8, "http request", slog.Group("g", "route", "x")),
			item(4, 8, "http request", "route", 7),
		))
		contains(t, "the text", m.text, "5 records of 3 kinds", "ERROR ×2  2026-01-02 12:00:00 – 12:00:02 UTC\nhttp request\n    route = GET /orders/{id}\n")
	})
	t.Run("as Fingerprint says", func(t *testing.T) {
		h := offline(t, func(cfg *mail.Config) {
			cfg.Fingerprint = func(v slogworks.View) string { return v.Level().String() }
		})
		contains(t, "the text", preview(t, h, batch(items...)).text, "46 records of 3 kinds", "ERROR ×43", "WARN ×2")
	})
	t.Run("by itself where Fingerprint panics", func(t *testing.T) {
		h := offline(t, func(cfg *mail.Config) {
			cfg.Fingerprint = func(slogworks.View) string { panic("no idea") }
		})
		m := preview(t, h, batch(items...))
		contains(t, "the text", m.text, "of 5 kinds", "Fingerprint failed: panic: no idea")
		if strings.Count(m.text, "no idea") != 1 {
			t.Errorf("it says so more than once:\n%s", m.text)
		}
	})
	t.Run("and says so once and in a line, however Fingerprint panics", func(t *testing.T) {
		h := offline(t, func(cfg *mail.Config) {
			cfg.Fingerprint = func(v slogworks.View) string {
				panic(fmt.Sprintf("\x1b[2J\n%s %s", v.Message(), long(10_000, "x")))
			}
		})
		m := preview(t, h, batch(item(0, 0, "a"), item(1, 0, "b")))
		for form, text := range map[string]string{"text": m.text, "HTML": m.html} {
			if n := strings.Count(text, "Fingerprint failed: "); n != 1 || strings.ContainsRune(text, '\x1b') || strings.Count(text, "x") > 2000 {
				t.Errorf("the %s says it %d times:\n%.3000q", form, n, text)
			}
		}
	})
	t.Run("by where it was logged", func(t *testing.T) {
		at := func(line int) slog.Attr {
			return slog.Any(slog.SourceKey, &slog.Source{Function: "example.com/shop/billing.charge", File: "/src/billing/charge.go", Line: line})
		}
		m := preview(t, offline(t, nil), batch(item(0, 8, "failed", at(1)), item(1, 8, "failed", at(2)), item(2, 8, "failed", at(1))))
		contains(t, "the text", m.text, "3 records of 2 kinds", "ERROR ×2", "    at charge.go:1 billing.charge\n", "    at charge.go:2 billing.charge\n")
		contains(t, "the HTML", m.html, "charge.go:1 billing.charge")
		if strings.Contains(m.text, "source =") {
			t.Errorf("the source is there twice:\n%s", m.text)
		}
	})
}

func inOrder(t testing.TB, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Errorf("no %q, or not in order:\n%s", part, text)
			return
		}
		rest = after
	}
}

func TestDigest_subject(t *testing.T) {
	h := offline(t, nil)
	host := hostname(t)
	escalation := batch(item(0, slog.LevelError, "timeout"), item(1, slog.LevelWarn, "order lost"))
	escalation.Kind = slogworks.Escalation
	for want, b := range map[string]slogworks.Batch{
		"ERROR payment failed (" + host + ")":            oneRecord(),
		"WARN order lost (2 records, " + host + ")":      escalation,
		"ERROR first (3 records, " + host + ")":          batch(item(0, 0, "info"), item(1, 8, "first"), item(2, 8, "second")),
		"ERROR+2 worst (2 records, " + host + ")":        batch(item(0, 8, "bad"), item(1, 10, "worst")),
		"INFO (no message) (" + host + ")":               batch(item(0, 0, " \n ")),
		"ERROR panic: oops (" + host + ")":               batch(item(0, 8, "\n panic: oops\ngoroutine 1 [running]:")),
		"ERROR " + long(120, "ü") + "… (" + host + ")":   batch(item(0, 8, long(5000, "ü"))),
		"ERROR tab and bell and more (" + host + ")":     batch(item(0, 8, "tab\tand\abell\x1b and\r  more")),
		"ERROR платёж не прошёл € 🙂 (" + host + ")":      batch(item(0, 8, "платёж не прошёл € 🙂")),
		"ERROR = ?utf-8?q?=0D=0ABcc:_a?= (" + host + ")": batch(item(0, 8, "=?utf-8?q?=0D=0ABcc:_a?=")),
		"ERROR a\ufffdb (" + host + ")":                  batch(item(0, 8, "a\xffb")),
		"ERROR m GET /<b> {id} (" + host + ")":           batch(item(0, 8, "m", "route", "GET /<b>\r\n\x1b{id}")),
		"ERROR m " + long(118, "ü") + "… (" + host + ")": batch(item(0, 8, "m", "route", long(5000, "ü"))),
		"ERROR http request GET /orders/{id} (2 records, " + host + ")": batch(
			item(0, 8, "http request", "route", "GET /orders/{id}"), item(1, 8, "http request", "route", "/b")),
	} {
		if got := preview(t, h, b).subject; got != want {
			t.Errorf("the subject is %q, want %q", got, want)
		}
	}
	t.Run("of the Config's own", func(t *testing.T) {
		h := offline(t, func(cfg *mail.Config) {
			cfg.Subject = func(d *mail.Digest) string {
				return fmt.Sprintf("[%s]\r\nBcc: evil@example.com\r\n\r\n%d %s", d.Level, len(d.Groups), d.Significant().Message())
			}
		})
		m := preview(t, h, oneRecord())
		if m.subject != "[ERROR] Bcc: evil@example.com 1 payment failed" || m.header.Get("Bcc") != "" {
			t.Errorf("the subject is %q in %v", m.subject, m.header)
		}
	})
	t.Run("by default where the Config's own panics", func(t *testing.T) {
		h := offline(t, func(cfg *mail.Config) {
			cfg.Subject = func(*mail.Digest) string { panic("no subject") }
		})
		m := preview(t, h, oneRecord())
		if m.subject != "ERROR payment failed ("+host+")" {
			t.Errorf("the subject is %q", m.subject)
		}
		contains(t, "the text", m.text, "Subject failed: panic: no subject")
	})
}

func long(n int, s string) string { return strings.Repeat(s, n) }

func TestHandler_headers(t *testing.T) {
	h := offline(t, func(cfg *mail.Config) {
		cfg.From = "Bücher & Söhne <shop@example.com>"
		cfg.To = []string{"Ann <ann@example.com>", `"a b"@example.com`}
		cfg.Cc = []string{"cc@example.com"}
		cfg.Bcc = []string{"secret@example.com"}
	})
	m := preview(t, h, oneRecord())
	keys := []string{}
	for key := range m.header {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if want := []string{"Auto-Submitted", "Cc", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To", "X-Auto-Response-Suppress"}; !slices.Equal(keys, want) {
		t.Errorf("the headers are %q, want %q", keys, want)
	}
	from, err := m.header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Name != "Bücher & Söhne" || from[0].Address != "shop@example.com" {
		t.Errorf("From is %v, %v", from, err)
	}
	to, err := m.header.AddressList("To")
	if err != nil || len(to) != 2 || to[0].Name != "Ann" || to[1].Address != "a b@example.com" {
		t.Errorf("To is %v, %v", to, err)
	}
	if date, err := m.header.Date(); err != nil || time.Since(date).Abs() > time.Hour {
		t.Errorf("Date is %v, %v", date, err)
	}
	if m.header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("Auto-Submitted is %q", m.header.Get("Auto-Submitted"))
	}
	raw, _ := h.Message(oneRecord())
	if bytes.Contains(raw, []byte("secret@example.com")) {
		t.Error("the mail shows a recipient in Bcc")
	}
}

func TestHandler_messageIDIsThatOfTheBatch(t *testing.T) {
	h := offline(t, nil)
	id := func(h *mail.Handler, batchID string) string {
		b := oneRecord()
		b.ID = batchID
		return preview(t, h, b).header.Get("Message-Id")
	}
	valid := regexp.MustCompile(`^<[a-z0-9]+(?:[-.][a-z0-9]+)*@example\.com>$`)
	for _, batchID := range []string{"a b", "a@b", "a>\r\nBcc: evil@example.com", ".", "a..b", "ü", long(500, "x")} {
		got := id(h, batchID)
		if !valid.MatchString(got) || len(got) > 100 {
			t.Errorf("%q became %q", batchID, got)
		}
		if again := id(offline(t, func(cfg *mail.Config) { cfg.To = []string{"other@example.net"} }), batchID); again != got {
			t.Errorf("%q became %q and %q", batchID, got, again)
		}
		if other := id(h, batchID+"!"); other == got {
			t.Errorf("two batches became %q", got)
		}
	}
	if got := id(h, "20260102.1200-7f_x"); got != "<20260102.1200-7f_x@example.com>" {
		t.Errorf("an ID that could stand as it is became %q", got)
	}
	if a, b := id(h, ""), id(h, ""); a == b || !valid.MatchString(a) {
		t.Errorf("batches without an ID became %q and %q", a, b)
	}
	raw, err := offline(t, func(cfg *mail.Config) { cfg.From = "a@bücher.example" }).Message(slogworks.Batch{ID: "x"})
	if err != nil || !bytes.Contains(raw, []byte("Message-ID: <x@localhost>\r\n")) {
		t.Errorf("%v, from a domain that cannot stand in a Message-ID:\n%s", err, raw)
	}
}

func TestHandler_hostileTextStaysText(t *testing.T) {
	hostile := "<script>alert(1)</script><img src=x onerror=alert(2)>\" style=\"x\r\n.\r\nQUIT\r\n\x1b[2J\u202eevil\x00"
	h := offline(t, nil)
	b := batch(item(0, slog.LevelError, hostile, hostile, hostile, "logger", hostile, slog.Group(hostile, hostile, 1),
		slog.Any(slog.SourceKey, &slog.Source{Function: hostile, File: hostile, Line: 1})))
	m := preview(t, h, b)
	for _, bad := range []string{"<script", "<img", "\x1b", "\x00", "\u202e", `" style="x`} {
		if strings.Contains(m.html, bad) {
			t.Errorf("the HTML has %q", bad)
		}
	}
	for _, bad := range []string{"\x1b", "\x00", "\u202e"} {
		if strings.Contains(m.text, bad) {
			t.Errorf("the text has %q", bad)
		}
	}
	contains(t, "the HTML", m.html, "&lt;script&gt;alert(1)&lt;/script&gt;")
	contains(t, "the text", m.text, "<script>alert(1)</script>", "\n    .\n    QUIT\n")
	if got := m.records(t)[0][slog.MessageKey]; got != hostile {
		t.Errorf("attached is %q", got)
	}
	if n := len(m.header["To"]) + len(m.header["Bcc"]) + len(m.header["Cc"]); n != 1 {
		t.Errorf("the headers are %v", m.header)
	}

	s := newServer(t, script{})
	if err := newHandler(t, s, nil).HandleBatch(generous(t), b); err != nil {
		t.Fatal(err)
	}
	got := s.received()
	if len(got) != 1 || read(t, got[0].content).text != m.text {
		t.Errorf("%d mails arrived, or another", len(got))
	}
}

func TestHandler_htmlNeedsNothingFromOutside(t *testing.T) {
	b := batch(item(0, slog.LevelError, "see https://example.com/x", "url", "https://example.com/y"), item(1, 4, "w"), item(2, 0, "i"), item(3, -4, "d"))
	m := preview(t, offline(t, nil), b)
	for _, attribute := range []string{"src=", "href=", "url(", "@import", "<link", "<script", "position:", "flex", "grid"} {
		if strings.Contains(m.html, attribute) {
			t.Errorf("the HTML has %q, which needs the network or which mail programs remove", attribute)
		}
	}
	contains(t, "the HTML", m.html, "prefers-color-scheme: dark", `content="width=device-width`, "max-width:680px",
		"background:#c4320a", "background:#93630a", "background:#175cd3", "background:#667085")
	if strings.Contains(m.html, "ZgotmplZ") {
		t.Error("html/template refused a value")
	}
	if strings.Count(m.html, "<table") != strings.Count(m.html, "</table>") || strings.Count(m.html, "<td") != strings.Count(m.html, "</td>") || strings.Count(m.html, "<div") != strings.Count(m.html, "</div>") {
		t.Error("an element is not closed")
	}
}

type failingText struct{}

func (failingText) MarshalText() ([]byte, error) { return nil, errors.New("no text") }

type panickingText struct{}

func (*panickingText) MarshalText() ([]byte, error) { panic("no text either") }

func TestHandler_showsValuesAsTextHandlerDoes(t *testing.T) {
	b := batch(item(0, slog.LevelError, "values",
		"string", "a b", "int", -1, "uint", uint64(1), "float", 1.5, "bool", true, "duration", 3*time.Second,
		"time", noon, "nil", nil, "err", errors.New("oops"), "bytes", []byte("bytes"), "nan", math.NaN(),
		slog.Group("g", "a", 1, slog.Group("h", "b", 2)), slog.Group("", "inline", 3), slog.Group("empty"),
		"failing", failingText{}, "panicking", &panickingText{}, "lines", "one\ntwo",
		"source", "not a place", "logger", 7))
	m := preview(t, offline(t, nil), b)
	_, body, _ := strings.Cut(m.text, "\nvalues\n")
	const want = `    string = a b
    int = -1
    uint = 1
    float = 1.5
    bool = true
    duration = 3s
    time = 2026-01-02T12:00:00Z
    nil = <nil>
    err = oops
    bytes = bytes
    nan = NaN
    g.a = 1
    g.h.b = 2
    inline = 3
    failing = !ERROR: no text
    panicking = !ERROR: panic: no text either
    lines = one
    two
    source = not a place
    logger = 7
`
	if body != want {
		t.Errorf("the text is\n%s\nwant\n%s", body, want)
	}
}

func TestHandler_boundsWhatItShows(t *testing.T) {
	t.Run("groups", func(t *testing.T) {
		var items []slogworks.Item
		for i := range 103 {
			items = append(items, item(i, slog.LevelError, fmt.Sprint("kind ", i)))
		}
		m := preview(t, offline(t, nil), batch(items...))
		contains(t, "the text", m.text, "\nkind 99\n", "And 3 kinds more.")
		contains(t, "the HTML", m.html, "And 3 kinds more.")
		if strings.Contains(m.text, "kind 100") || len(m.records(t)) != 103 {
			t.Error("there is more or less than that")
		}
		b := batch(items...)
		b.Kind = slogworks.Escalation
		m = preview(t, offline(t, nil), b)
		contains(t, "the text", m.text, "\nkind 102\n", "What led up to it, without the first 2", "\nkind 2\n", "\nkind 101\n")
		if strings.Contains(m.text, "\nkind 1\n") {
			t.Error("there is more than that")
		}
	})
	t.Run("what a record holds", func(t *testing.T) {
		args := []any{"key", long(501, "v"), long(101, "k"), 1, "logger", long(101, "l"),
			"source", &slog.Source{File: long(101, "f"), Line: 7, Function: long(101, "c")}}
		for i := range 31 {
			args = append(args, fmt.Sprint("attr", i), i)
		}
		m := preview(t, offline(t, nil), batch(item(0, 8, long(2001, "m"), args...)))
		contains(t, "the text", m.text, "\n"+long(2000, "m")+"…\n", "key = "+long(500, "v")+"…\n", long(100, "k")+"… = 1\n", "attr27 = 27\n    … = 3 more\n",
			"  "+long(100, "l")+"…\n", "    at "+long(100, "f")+"…:7 "+long(100, "c")+"…\n")
		if !strings.Contains(m.attached, long(2001, "m")) {
			t.Error("the attachment is cut as well")
		}
	})
	t.Run("the size of the mail", func(t *testing.T) {
		var items []slogworks.Item
		for i := range 2000 {
			items = append(items, item(i, 8, long(100, "m")+fmt.Sprint(i), "k", long(100, "v")))
		}
		if m := preview(t, offline(t, nil), batch(items...)); len(m.html) > 150<<10 {
			t.Errorf("the HTML has %d bytes", len(m.html))
		}
	})
}

func TestHandler_attachesTheNewestRecordsThatFit(t *testing.T) {
	var items []slogworks.Item
	for i := range 100 {
		items = append(items, item(i, slog.LevelError, "failed", "n", i, "value", long(100, "v")))
	}
	check := func(t *testing.T, m message, atMost int) {
		t.Helper()
		records := m.records(t)
		if len(m.attached) > atMost || len(records) == 0 || len(records) == 100 || m.name != "records.jsonl" {
			t.Fatalf("%d records in the %d bytes of %q", len(records), len(m.attached), m.name)
		}
		for i, record := range records {
			if record["n"] != float64(100-len(records)+i) {
				t.Fatalf("record %d of %d is %v", i, len(records), record["n"])
			}
		}
		contains(t, "the text", m.text, fmt.Sprintf("records.jsonl has the newest %d of 100 records", len(records)))
		contains(t, "the HTML", m.html, fmt.Sprintf("records.jsonl has the newest %d of 100 records", len(records)))
	}
	t.Run("into MaxAttach", func(t *testing.T) {
		m := preview(t, offline(t, func(cfg *mail.Config) { cfg.MaxAttach = 5000 }), batch(items...))
		check(t, m, 5000)
		if len(m.attached) < 4500 {
			t.Errorf("only %d bytes", len(m.attached))
		}
	})
	t.Run("into what the server takes", func(t *testing.T) {
		const limit = 20_000
		s := newServer(t, script{extensions: []string{fmt.Sprint("SIZE ", limit)}})
		if err := newHandler(t, s, nil).HandleBatch(generous(t), batch(items...)); err != nil {
			t.Fatal(err)
		}
		got := s.received()[0]
		if len(got.content) > limit {
			t.Errorf("a mail of %d bytes", len(got.content))
		}
		check(t, read(t, got.content), limit)
	})
	t.Run("or none where the server takes too little", func(t *testing.T) {
		s := newServer(t, script{extensions: []string{"SIZE 1000"}})
		if err := newHandler(t, s, nil).HandleBatch(generous(t), batch(items...)); err != nil {
			t.Fatal(err)
		}
		m := read(t, s.received()[0].content)
		contains(t, "the text", m.text, "the newest 0 of 100 records")
		if m.name != "" {
			t.Error("there is an attachment")
		}
	})
	t.Run("or none where none are wanted", func(t *testing.T) {
		m := preview(t, offline(t, func(cfg *mail.Config) { cfg.MaxAttach = -1 }), batch(items...))
		if m.name != "" || strings.Contains(m.text, "records.jsonl") {
			t.Errorf("an attachment %q, or the text names one", m.name)
		}
	})
}

func TestHandler_usesTheConfigsTemplates(t *testing.T) {
	const source = `{{.Host}} {{.Level}} {{.Batch.ID}} {{len .Records}} {{range .Groups}}{{.Count}} {{.Record.Message}}{{range .Record.Attrs}} {{.Key}}={{.Value}}{{end}}{{end}}`
	h := offline(t, func(cfg *mail.Config) {
		cfg.Text = texttemplate.Must(texttemplate.New("").Parse(source))
		cfg.HTML = htmltemplate.Must(htmltemplate.New("").Parse("<p>" + source + "</p>"))
	})
	m := preview(t, h, batch(item(0, 8, "a < b", "order", 7)))
	if want := hostname(t) + " ERROR batch-1 1 1 a < b order=7"; m.text != want {
		t.Errorf("the text is %q, want %q", m.text, want)
	}
	if want := "<p>" + hostname(t) + " ERROR batch-1 1 1 a &lt; b order=7</p>"; m.html != want {
		t.Errorf("the HTML is %q, want %q", m.html, want)
	}

	t.Run("or its own where one fails", func(t *testing.T) {
		both := func(funcs map[string]any) *mail.Handler {
			return offline(t, func(cfg *mail.Config) {
				cfg.Text = texttemplate.Must(texttemplate.New("").Funcs(funcs).Parse(`{{if gt (len .Records) 1}}half a mail {{bad}}{{end}}`))
				cfg.HTML = htmltemplate.Must(htmltemplate.New("").Funcs(funcs).Parse(`{{if gt (len .Records) 1}}half a mail {{bad}}{{end}}`))
			})
		}
		m := preview(t, both(map[string]any{"bad": func() (string, error) { return "", errors.New("bad template") }}),
			batch(item(0, 8, "first"), item(1, 8, "second")))
		contains(t, "the text", m.text, "\nfirst\n", "the Text template failed", "the HTML template failed", "bad template")
		contains(t, "the HTML", m.html, "first", "the HTML template failed")
		if strings.Contains(m.text+m.html, "half a mail") {
			t.Error("half a template is there")
		}
	})
}

func TestNew_saysWhatIsWrongWithTheConfig(t *testing.T) {
	for want, change := range map[string]func(*mail.Config){
		"mail: Host is empty": func(cfg *mail.Config) { cfg.Host = "" },
		`mail: Host "127.0.0.1:25" has a port: it belongs in Port`: func(cfg *mail.Config) { cfg.Host = "127.0.0.1:25" },
		`mail: Host "[::1]:25" has a port: it belongs in Port`:     func(cfg *mail.Config) { cfg.Host = "[::1]:25" },
		`mail: Host "smtp.example.com:" has a port`:                func(cfg *mail.Config) { cfg.Host = "smtp.example.com:" },
		`mail: Host "smtp://a:25" has characters`:                  func(cfg *mail.Config) { cfg.Host = "smtp://a:25" },
		`mail: Host "a b" has characters`:                          func(cfg *mail.Config) { cfg.Host = "a b" },
		"mail: TLS is TLSMode(7)":                                  func(cfg *mail.Config) { cfg.TLS = 7 },
		"mail: Port is 65536":                                      func(cfg *mail.Config) { cfg.Port = 65536 },
		`mail: HELO "a\r\nMAIL" has characters`:                    func(cfg *mail.Config) { cfg.HELO = "a\r\nMAIL" },
		"mail: there is a Password and no Username":                func(cfg *mail.Config) { cfg.Password = mail.Password("x") },
		"mail: there is a Username and no Password":                func(cfg *mail.Config) { cfg.Username = "x" },
		"mail: the password would go to smtp.example.com un":       func(cfg *mail.Config) { cfg.Username, cfg.Password, cfg.TLS = "x", mail.Password("x"), mail.Plaintext },
		`mail: Auth[1] is "NTLM": use SCRAM-SHA-256-PLUS, `:        func(cfg *mail.Config) { cfg.Auth = []string{"plain", "NTLM"} },
		`mail: From "": `:                                          func(cfg *mail.Config) { cfg.From = "" },
		`mail: From "a@b\r\nBcc: c@d": `:                           func(cfg *mail.Config) { cfg.From = "a@b\r\nBcc: c@d" },
		`mail: To[1] "b": `:                                        func(cfg *mail.Config) { cfg.To = []string{"a@b", "b"} },
		`mail: To[0] "a@b, c@d": `:                                 func(cfg *mail.Config) { cfg.To = []string{"a@b, c@d"} },
		`mail: Cc[0] "\"a\r\nb\"@c": `:                             func(cfg *mail.Config) { cfg.Cc = []string{"\"a\r\nb\"@c"} },
		`mail: Bcc[0] "<a@b> SIZE=1": `:                            func(cfg *mail.Config) { cfg.Bcc = []string{"<a@b> SIZE=1"} },
		"mail: there is no recipient":                              func(cfg *mail.Config) { cfg.To = nil },
		"mail: Text: template: ":                                   func(cfg *mail.Config) { cfg.Text = texttemplate.Must(texttemplate.New("x").Parse("{{.Nonsense}}")) },
		"mail: HTML: ":                                             func(cfg *mail.Config) { cfg.HTML = htmltemplate.Must(htmltemplate.New("x").Parse("{{.Nonsense}}")) },
	} {
		cfg := mail.Config{Host: "smtp.example.com", From: "shop@example.com", To: []string{"ops@example.com"}}
		change(&cfg)
		h, err := mail.New(cfg)
		if h != nil || err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), "mail: ") != 1 {
			t.Errorf("New returned %v, %q, want %q", h, err, want)
		}
	}
}

func TestNew_hostileAddressesEndNoCommand(t *testing.T) {
	s := newServer(t, script{})
	h := newHandler(t, s, func(cfg *mail.Config) {
		cfg.From = `"a@x> SIZE=1"@example.com`
		cfg.To = []string{`=?utf-8?q?Ann=0D=0ABcc=3A_evil?= <ann@example.com>`, `"b> NOTIFY=NEVER"@example.com`}
	})
	if err := h.HandleBatch(generous(t), oneRecord()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`MAIL FROM:<"a@x> SIZE=1"@example.com>`, `RCPT TO:<"b> NOTIFY=NEVER"@example.com>`} {
		if !slices.Contains(s.commands(), want) {
			t.Errorf("the dialogue was %q", s.commands())
		}
	}
	m := read(t, s.received()[0].content)
	to, err := m.header.AddressList("To")
	if err != nil || len(to) != 2 || to[0].Name != "Ann Bcc: evil" || m.header.Get("Bcc") != "" {
		t.Errorf("To is %v, %v", to, err)
	}
}

func TestNew_copiesItsConfig(t *testing.T) {
	s := newServer(t, script{})
	cfg := s.config()
	before := cfg.TLSConfig.Clone()
	h, err := mail.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.TLSConfig.ServerName != before.ServerName || cfg.TLSConfig.MinVersion != before.MinVersion {
		t.Error("New changed the caller's TLSConfig")
	}
	cfg.To[0], cfg.TLSConfig.RootCAs = "other@example.com", nil
	if err := h.HandleBatch(generous(t), oneRecord()); err != nil {
		t.Fatal(err)
	}
	if got := s.received()[0].to; !slices.Equal(got, []string{"ops@example.com"}) {
		t.Errorf("sent to %q", got)
	}
}

func refuse(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }

func TestNew_takesTheUsualPort(t *testing.T) {
	for mode, want := range map[mail.TLSMode]string{
		mail.StartTLS: "smtp.example.com:587", mail.Implicit: "smtp.example.com:465",
		mail.Opportunistic: "smtp.example.com:25", mail.Plaintext: "smtp.example.com:25",
	} {
		h := offline(t, func(cfg *mail.Config) {
			cfg.TLS, cfg.Dial = mode, refuse
		})
		if _, e := deliver(t, generous(t), h, oneRecord()); e.Server != want {
			t.Errorf("%v goes to %s, want %s", mode, e.Server, want)
		}
	}
}

func TestNew_takesIPv6WithAndWithoutBrackets(t *testing.T) {
	for host, want := range map[string]string{
		"::1": "[::1]:25", "[::1]": "[::1]:25", "2001:db8::1:25": "[2001:db8::1:25]:25", "fe80::1%eth0": "[fe80::1%eth0]:25",
	} {
		h := offline(t, func(cfg *mail.Config) {
			cfg.Host, cfg.TLS, cfg.Dial = host, mail.Plaintext, refuse
			if strings.Contains(host, "::1]") {
				// Loopback in brackets is loopback, and may get a password.
				cfg.Username, cfg.Password = "shop", mail.Password("secret")
			}
		})
		if _, e := deliver(t, generous(t), h, oneRecord()); e.Server != want {
			t.Errorf("%s goes to %s, want %s", host, e.Server, want)
		}
	}
}

func TestHandler_asksForUTF8OnlyWhereAnAddressNeedsIt(t *testing.T) {
	for to, want := range map[string]string{
		"ops@example.com":    "MAIL FROM:<shop@example.com>",
		"bücher@example.com": "MAIL FROM:<shop@example.com> SMTPUTF8",
	} {
		s := newServer(t, script{extensions: []string{"SMTPUTF8"}})
		if err := newHandler(t, s, func(cfg *mail.Config) { cfg.Bcc = []string{to} }).HandleBatch(generous(t), batch(item(0, 8, "ünicode"))); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(s.commands(), want) {
			t.Errorf("to %s: the dialogue was %q", to, s.commands())
		}
	}
}

func TestHandler_derivedSendsToTheSame(t *testing.T) {
	s := newServer(t, script{})
	h := newHandler(t, s, nil)
	logger := slog.New(h).With("service", "shop").WithGroup("request").With("id", 7)
	logger.Error("failed", "path", "/")
	m := read(t, s.received()[0].content)
	contains(t, "the text", m.text, "    service = shop\n    request.id = 7\n    request.path = /\n    at message_test.go:")
	request, _ := m.records(t)[0]["request"].(map[string]any)
	if request["id"] != float64(7) || request["path"] != "/" {
		t.Errorf("attached is %v", m.attached)
	}
}

func FuzzHandler_message(f *testing.F) {
	h := offline(f, nil)
	// How many tags a mail has depends on whether there are more lines and
	// attributes, and on nothing else.
	var elements []int
	for _, b := range []slogworks.Batch{
		batch(item(0, 8, "m")), batch(item(0, 8, "m\nrest")), batch(item(0, 8, "m", "k", "v")), batch(item(0, 8, "m\nrest", "k", "v")),
	} {
		elements = append(elements, strings.Count(preview(f, h, b).html, "<"))
	}
	f.Add("payment failed", "order", "7", "id")
	f.Add("a\r\nBcc: b@example.com\r\n\r\n<script>", "k\n", "\x00\xff", "<x@y>\r\n")
	f.Add("=?utf-8?b?DQpCY2M6IGE=?=", "", "\u202e", "ü")
	f.Fuzz(func(t *testing.T, text, key, value, id string) {
		b := batch(item(0, slog.LevelError, text, key, value))
		b.ID = id
		m := preview(t, h, b)
		if len(m.header) != 9 || strings.ContainsAny(m.subject, "\r\n\x00") || len(m.header["To"]) != 1 {
			t.Errorf("the headers are %q", m.header)
		}
		if !slices.Contains(elements, strings.Count(m.html, "<")) {
			t.Errorf("the HTML has other elements:\n%s", m.html)
		}
		if len(m.records(t)) != 1 {
			t.Errorf("attached is %q", m.attached)
		}
	})
}

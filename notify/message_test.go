package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/slogworks/slogworks/notify"
)

// sendOne returns the message that is made of a record.
func sendOne(t *testing.T, opts *notify.Options, r slog.Record) *notify.Message {
	t.Helper()
	var sent receiver
	h := newHandler(t, &sent, opts)
	if err := h.Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	mustClose(t, h)
	return sent.message(t, 0)
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func at(when time.Time, r slog.Record) slog.Record {
	r.Time = when
	return r
}

func TestMessage_defaultText(t *testing.T) {
	long := strings.Repeat("ä", 5000)
	for name, test := range map[string]struct {
		record      slog.Record
		title, body string
	}{
		"a record": {
			at(noon, record(slog.LevelError, "payment failed", slog.Int("order", 7), slog.Any("err", errors.New("card declined")))),
			"ERROR payment failed", `12:00:00 order=7 err="card declined"`,
		},
		"without a time and attributes": {at(time.Time{}, record(slog.LevelWarn, "hm")), "WARN hm", ""},
		"without a message":             {at(noon, record(slog.LevelError, "")), "ERROR", "12:00:00"},
		"text that could be two lines": {
			at(noon, record(slog.LevelError, "a\nERROR b\r\nc\td", slog.String("k", "x\ny"))),
			"ERROR a ERROR b c d", `12:00:00 k="x\ny"`,
		},
		"control characters and invalid UTF-8": {
			at(noon, record(slog.LevelError, "a\x00b\x1b[31mc\u009bd\xffe")),
			"ERROR a\ufffdb\ufffd[31mc\ufffdd\ufffde", "12:00:00",
		},
		"a long message": {
			at(noon, record(slog.LevelError, "x"+long)),
			"ERROR x" + long[:190] + "…", "12:00:00\nx" + long[:1986] + "…",
		},
		"attributes with the names of the built-in ones": {
			at(noon, record(slog.LevelError, "m", slog.String("level", "l"), slog.String("msg", "m"), slog.Int("time", 1))),
			"ERROR m", "12:00:00 level=l msg=m time=1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := sendOne(t, nil, test.record)
			if m.Title != test.title || m.Body != test.body {
				t.Errorf("%q, %q\nwant %q, %q", m.Title, m.Body, test.title, test.body)
			}
			if !utf8.ValidString(m.Title + m.Body) {
				t.Error("not valid UTF-8")
			}
		})
	}
}

func TestMessage_boundsTheDefaultText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		h := newHandler(t, &r, nil)
		for range 30 {
			if err := h.Handle(t.Context(), record(slog.LevelError, strings.Repeat("m", 1<<16), slog.String("k", strings.Repeat("v", 1<<16)))); err != nil {
				t.Fatal(err)
			}
		}
		mustClose(t, h)
		m := r.message(t, 1)
		if len(m.Title) > 220 || len(m.Body) > 21_000 || strings.Count(m.Body, "\n") != 20 {
			t.Errorf("a title of %d bytes and a body of %d in %d lines", len(m.Title), len(m.Body), strings.Count(m.Body, "\n")+1)
		}
	})
}

// The text of a giant record costs little more than the record.
func TestMessage_readsTheBeginningOfAGiantMessage(t *testing.T) {
	giant := record(slog.LevelError, "first "+strings.Repeat("a ", 8<<20))
	var m *notify.Message
	h := notify.Direct(notify.SenderFunc(func(_ context.Context, got *notify.Message) error { m = got; return nil }))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := h.Handle(t.Context(), giant); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d MiB of memory for a message of 16", n>>20)
	}
	if !strings.HasPrefix(m.Title, "ERROR first a a") || len(m.Title) > 200 || !strings.HasSuffix(m.Title, "…") || len(m.Body) > 2000 || !strings.HasSuffix(m.Body, "…") {
		t.Errorf("the title is %q, the body has %d bytes", m.Title, len(m.Body))
	}
}

func TestOptions_render(t *testing.T) {
	r := at(noon, record(slog.LevelError, "m", slog.Int("a", 1)))
	t.Run("makes the text of all the rest", func(t *testing.T) {
		m := sendOne(t, &notify.Options{Render: func(m *notify.Message) (string, string) {
			if m.ID == "" || !m.Time.Equal(noon) || m.Level != slog.LevelError || m.Count != 1 || len(m.Records) != 1 {
				t.Errorf("it got %+v", m)
			}
			return "two\nlines \x00", "body\n\tof \x1b two\r\n"
		}}, r)
		if m.Title != "two lines \ufffd" || m.Body != "body\n\tof \ufffd two\n" {
			t.Errorf("%q, %q", m.Title, m.Body)
		}
	})
	t.Run("may leave the title empty", func(t *testing.T) {
		m := sendOne(t, &notify.Options{Render: func(*notify.Message) (string, string) { return " ", "" }}, r)
		if m.Title != "ERROR" || m.Body != "" {
			t.Errorf("%q, %q", m.Title, m.Body)
		}
	})
	t.Run("may panic", func(t *testing.T) {
		m := sendOne(t, &notify.Options{Render: func(*notify.Message) (string, string) { panic("broken") }}, r)
		if m.Title != "ERROR m" || m.Body != "12:00:00 a=1\nnotify: Render: panic: broken" {
			t.Errorf("%q, %q", m.Title, m.Body)
		}
	})
}

func TestMessage_marshalsToJSON(t *testing.T) {
	var r receiver
	h := newHandler(t, &r, nil)
	logger := slog.New(h).With("shop", "tea").WithGroup("order")
	if err := logger.Handler().Handle(t.Context(), at(noon, record(slog.LevelError, "payment failed", slog.Int("n", 7)))); err != nil {
		t.Fatal(err)
	}
	mustClose(t, h)
	m := r.message(t, 0)
	doc, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"` + m.ID + `","time":"2026-01-02T12:00:00Z","level":"ERROR","title":"ERROR payment failed","body":"12:00:00 shop=tea order.n=7","count":1,"dropped":0,` +
		`"records":[{"time":"2026-01-02T12:00:00Z","level":"ERROR","msg":"payment failed","shop":"tea","order":{"n":7}}]}`
	if string(doc) != want {
		t.Errorf("%s\nwant %s", doc, want)
	}
	if doc, err := json.Marshal(&notify.Message{}); err != nil || string(doc) != `{"id":"","level":"INFO","title":"","body":"","count":0,"dropped":0,"records":[]}` {
		t.Errorf("of an empty one: %s, %v", doc, err)
	}
}

// JSON has no form for such a time, and a message must not fail for one.
func TestMessage_marshalsWithATimeThatJSONCannotTell(t *testing.T) {
	for _, when := range []time.Time{time.Date(99999, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 25*60*60))} {
		m := &notify.Message{Time: when, Title: "title", Records: []slog.Record{at(when, record(slog.LevelError, "message")), at(noon, record(slog.LevelError, "message"))}}
		var doc struct {
			Time, Title string
			Records     []any
		}
		text, err := m.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &doc); err != nil || doc.Title != "title" || doc.Time != when.Format(time.RFC3339Nano) || len(doc.Records) != 2 {
			t.Errorf("%s, %v", text, err)
		}
		if second, ok := doc.Records[1].(map[string]any); !ok || second["msg"] != "message" || !strings.Contains(fmt.Sprint(doc.Records[0]), "message") {
			t.Errorf("the records are %v", doc.Records)
		}
	}
}

func TestMessage_idsDiffer(t *testing.T) {
	ids := map[string]bool{}
	h := notify.Direct(notify.SenderFunc(func(_ context.Context, m *notify.Message) error { ids[m.ID] = true; return nil }))
	logN(t, h, 100)
	if len(ids) != 100 {
		t.Errorf("100 messages have %d ids", len(ids))
	}
}

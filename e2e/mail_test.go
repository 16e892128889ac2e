package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer/mail"
)

const (
	unpaid  = "оплата не прошла: заказ № 7 € 漢字"
	crash   = "panic: index out of range\n\ngoroutine 1 [running]:\n.\n..\nFrom main.main()\n\t/src/main.go:7 +0x1d"
	hostile = `<script>document.title = "changed"</script><img src="%s/seen.png"><link rel=stylesheet href="%[1]s/style.css">`
)

var longText = strings.Repeat("a line that SMTP would not let pass ", 50)

// incident is a digest with what a mail might not survive: other scripts, dots
// on a line of their own, lines that are too long, and markup.
func incident(id string) slogworks.Batch { return incidentWith(id, "https://example.net") }

// incidentWith is an incident with markup that refers to a site.
func incidentWith(id, site string) slogworks.Batch {
	began := time.Date(2026, 11, 21, 15, 4, 5, 0, time.UTC)
	b := slogworks.Batch{ID: id, Kind: slogworks.Digest, Attempt: 1, Dropped: 3}
	add := func(level slog.Level, message string, args ...any) {
		var pcs [1]uintptr
		runtime.Callers(2, pcs[:])
		r := slog.NewRecord(began.Add(time.Duration(len(b.Items))*time.Second), level, message, pcs[0])
		r.Add(args...)
		b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: r})
	}
	add(slog.LevelInfo, "started", "version", "1.2.3")
	add(slog.LevelWarn, "slow query", slogworks.LoggerKey, "shop.db", slog.Group("query", "took", 3*time.Second, "text", longText))
	for i := range 3 {
		add(slog.LevelError, unpaid, slogworks.LoggerKey, "shop.payment", "attempt", i, "err", errors.New("connection refused"))
	}
	add(slog.LevelError, crash)
	add(slog.LevelWarn, fmt.Sprintf(hostile, site), "agent", fmt.Sprintf(hostile, site))
	return b
}

// checkIncident checks that a mail is about an incident and complete.
func checkIncident(t *testing.T, m received, messageID string) {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Defects) > 0 {
		t.Errorf("Python finds fault with the mail: %s", m.Defects)
	}
	for name, want := range map[string]string{
		"Message-ID":     messageID,
		"Subject":        "ERROR " + unpaid + " (7 records, " + host + ")",
		"From":           `"Shop" <shop@example.org>`,
		"Auto-Submitted": "auto-generated",
	} {
		if got := m.header(name); got != want && strings.ReplaceAll(got, `"`, "") != strings.ReplaceAll(want, `"`, "") {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if _, err := time.Parse(time.RFC1123Z, m.header("Date")); err != nil {
		t.Errorf("Date: %v", err)
	}
	if want := []string{"multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/x-ndjson"}; !slices.Equal(m.Types, want) {
		t.Errorf("the parts are %s, want %s", m.Types, want)
	}
	if m.LongestLine > 998 {
		t.Errorf("a line has %d characters", m.LongestLine)
	}

	for _, want := range []string{
		"7 records of 5 kinds", "3 records were lost", "ERROR", "×3", "shop.payment", unpaid, "connection refused",
		"goroutine 1 [running]:", "From main.main()", fmt.Sprintf(hostile, "https://example.net"), "query.took", "3s", longText[:400],
	} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("the text lacks %q:\n%s", want, m.Text)
		}
		if !strings.Contains(m.Shown, want) {
			t.Errorf("the page lacks %q:\n%s", want, m.Shown)
		}
	}
	if !strings.Contains(m.Text, "\n  .\n  ..\n") {
		t.Errorf("dots are lost:\n%s", m.Text)
	}
	for _, element := range []string{"script", "img", "link", "iframe", "object", "form"} {
		if slices.Contains(m.Elements, element) {
			t.Errorf("the page has an element %s", element)
		}
	}

	messages := attached(t, m)
	if want := []string{"started", "slow query", unpaid, unpaid, unpaid, crash, fmt.Sprintf(hostile, "https://example.net")}; !slices.Equal(messages, want) {
		t.Errorf("attached are %q, want %q", messages, want)
	}
	if a := m.Attachments[0]; a.Name != "records.jsonl" || !strings.Contains(a.Content, longText) {
		t.Errorf("%s lacks the whole text:\n%s", a.Name, a.Content)
	}
}

func newMail(t *testing.T, config mail.Config) *mail.Handler {
	t.Helper()
	h, err := mail.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func deliver(t *testing.T, config mail.Config, b slogworks.Batch) {
	t.Helper()
	if err := newMail(t, config).HandleBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func TestMail_isTakenByAiosmtpd(t *testing.T) {
	t.Run("a mail arrives as it was sent, over TLS", func(t *testing.T) {
		server := aiosmtpd{}.start(t)
		server.config.Cc = []string{"Zoë <zoe@example.test>"}
		server.config.Bcc = []string{"archive@example.test"}
		deliver(t, server.config, incident("20261121-bcc"))
		m := receive(t, server.Maildir, 1)[0]
		checkIncident(t, m, "<20261121-bcc@example.org>")
		if got := m.header("X-Seen-Encryption"); got != "TLSv1.3" {
			t.Errorf("encrypted by %s", got)
		}
		if got, want := m.Headers["X-Seen-Recipient"], []string{"ops@example.test", "zoe@example.test", "archive@example.test"}; !slices.Equal(got, want) {
			t.Errorf("sent to %q, want %q", got, want)
		}
		if got := m.header("Cc"); got != `"Zoë" <zoe@example.test>` && got != "Zoë <zoe@example.test>" {
			t.Errorf("Cc: %s", got)
		}
		if bcc, ok := m.Headers["Bcc"]; ok {
			t.Errorf("Bcc: %s", bcc)
		}
	})

	t.Run("a batch that is sent twice has the same Message-ID", func(t *testing.T) {
		server := aiosmtpd{}.start(t)
		b := incident("an id / that cannot stand in a mail")
		deliver(t, server.config, b)
		b.Attempt = 2
		deliver(t, server.config, b)
		mails := receive(t, server.Maildir, 2)
		if one, two := mails[0].header("Message-ID"), mails[1].header("Message-ID"); one != two || !strings.HasSuffix(one, "@example.org>") {
			t.Errorf("Message-ID: %s and %s", one, two)
		}
	})

	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		t.Run("it knows the sender by "+mechanism, func(t *testing.T) {
			server := aiosmtpd{Username: "shop", Password: "пароль"}.start(t)
			server.config.Auth = []string{mechanism}
			deliver(t, server.config, incident("20261121-auth"))
			m := receive(t, server.Maildir, 1)[0]
			checkIncident(t, m, "<20261121-auth@example.org>")
			if got := m.header("X-Seen-Auth"); got != mechanism {
				t.Errorf("authenticated by %s", got)
			}

			server.config.Password = mail.Password("wrong-password")
			failure, cause := undelivered(t, server.config, incident("20261121-wrong"))
			if failure.Permanent || failure.After < time.Minute || cause.Phase != mail.PhaseAuth || cause.Code != 535 {
				t.Errorf("%+v, %+v", failure, cause)
			}
		})
	}

	t.Run("a mail is no larger than it takes", func(t *testing.T) {
		const limit = 40_000
		server := aiosmtpd{SizeLimit: limit}.start(t)
		b := slogworks.Batch{ID: "20261121-large", Kind: slogworks.Digest}
		for i := range 1000 {
			r := slog.NewRecord(time.Now(), slog.LevelError, "payment failed", 0)
			r.Add("order", i, "text", longText[:100])
			b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: r})
		}
		deliver(t, server.config, b)
		m := receive(t, server.Maildir, 1)[0]
		if len(m.Attachments) != 1 {
			t.Fatalf("%d attachments", len(m.Attachments))
		}
		lines := strings.Split(strings.TrimSpace(m.Attachments[0].Content), "\n")
		if last := lines[len(lines)-1]; !strings.Contains(last, `"order":999`) {
			t.Errorf("the last record attached is %s", last)
		}
		if want := fmt.Sprintf("the newest %d of 1000 records", len(lines)); !strings.Contains(m.Text, want) {
			t.Errorf("the mail does not say %q:\n%s", want, m.Text)
		}
		paths, err := filepath.Glob(filepath.Join(server.Maildir, "new", "*"))
		if err != nil || len(paths) != 1 {
			t.Fatal(paths, err)
		}
		if info, err := os.Stat(paths[0]); err != nil || info.Size() < limit/2 {
			t.Errorf("the mail has %d bytes of %d that it may: %v", info.Size(), limit, err)
		}
	})
}

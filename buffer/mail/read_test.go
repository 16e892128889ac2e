package mail_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
)

// message is a mail as its reader has it.
type message struct {
	header     netmail.Header
	subject    string
	text, html string
	name       string // of the attachment
	attached   string
}

// read takes a mail apart and checks its form on the way.
func read(t testing.TB, raw []byte) message {
	t.Helper()
	for line := range bytes.Lines(raw) {
		if !bytes.HasSuffix(line, []byte("\r\n")) || len(line) > 1000 || bytes.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
			t.Fatalf("a line that SMTP does not carry: %q", line)
		}
	}
	parsed, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("not a mail: %v\n%s", err, raw)
	}
	m := message{header: parsed.Header}
	if m.subject, err = new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject")); err != nil {
		t.Fatalf("subject: %v", err)
	}
	m.part(t, parsed.Header.Get, parsed.Body)
	return m
}

func (m *message) part(t testing.TB, header func(string) string, body io.Reader) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		t.Fatalf("Content-Type %q: %v", header("Content-Type"), err)
	}
	if strings.HasPrefix(kind, "multipart/") {
		for parts := multipart.NewReader(body, params["boundary"]); ; {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			m.part(t, p.Header.Get, p)
		}
	}
	switch header("Content-Transfer-Encoding") {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	disposition, about, _ := mime.ParseMediaType(header("Content-Disposition"))
	switch {
	case disposition == "attachment":
		m.name, m.attached = about["filename"], string(content)
	case kind == "text/plain" && params["charset"] == "UTF-8":
		m.text = strings.ReplaceAll(string(content), "\r\n", "\n")
	case kind == "text/html" && params["charset"] == "UTF-8":
		m.html = string(content)
	default:
		t.Fatalf("a part that nobody expects: %s", kind)
	}
}

// records returns what is attached.
func (m message) records(t testing.TB) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(m.attached) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("attached line %q: %v", line, err)
		}
		list = append(list, record)
	}
	return list
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// item is a record logged some seconds after noon.
func item(second int, level slog.Level, message string, args ...any) slogworks.Item {
	r := slog.NewRecord(noon.Add(time.Duration(second)*time.Second), level, message, 0)
	r.Add(args...)
	return slogworks.Item{Context: context.Background(), Record: r}
}

// batch is a Digest of the items.
func batch(items ...slogworks.Item) slogworks.Batch {
	return slogworks.Batch{ID: "batch-1", Kind: slogworks.Digest, Items: items, Attempt: 1}
}

func oneRecord() slogworks.Batch {
	return batch(item(0, slog.LevelError, "payment failed", "order", 7))
}

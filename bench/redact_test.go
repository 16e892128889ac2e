package bench_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/redact"
)

// secretKeys are what both ways of redacting look for.
var secretKeys = []string{
	"password", "passwd", "pwd", "secret", "client_secret", "token", "access_token", "refresh_token", "id_token", "api_key",
	"access_key", "private_key", "authorization", "proxy-authorization", "x-api-key", "cookie", "set-cookie", "session_id", "card_number", "ssn",
}

// replaceSecrets is the usual ReplaceAttr, which takes keys as they are written.
func replaceSecrets() func([]string, slog.Attr) slog.Attr {
	secret := map[string]bool{}
	for _, key := range secretKeys {
		secret[key] = true
	}
	return func(_ []string, a slog.Attr) slog.Attr {
		if secret[a.Key] {
			a.Value = slog.StringValue(redact.Redacted)
		}
		return a
	}
}

type account struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// redactRecords are what is logged: five attributes each.
var redactRecords = []struct {
	name  string
	attrs []slog.Attr
}{
	{"none", attrs},
	{"key", slices.Concat(attrs[:4], []slog.Attr{slog.String("password", "hunter2")})},
	{"group", slices.Concat(attrs[:4], []slog.Attr{slog.GroupAttrs("login", slog.String("user", "bob"), slog.String("password", "hunter2"))})},
	{"struct", slices.Concat(attrs[:4], []slog.Attr{slog.Any("login", &account{"bob", "hunter2"})})},
}

var redactSubjects = []struct {
	name string
	new  func(io.Writer) slog.Handler
}{
	{"json", func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }},
	{"ReplaceAttr", func(w io.Writer) slog.Handler {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: replaceSecrets()})
	}},
	{"redact", func(w io.Writer) slog.Handler {
		return redact.New(slog.NewJSONHandler(w, nil), &redact.Options{Keys: secretKeys})
	}},
}

func BenchmarkRedact(b *testing.B) {
	for _, r := range redactRecords {
		for _, s := range redactSubjects {
			b.Run(r.name+"/"+s.name, func(b *testing.B) {
				logger := slog.New(s.new(io.Discard))
				b.ReportAllocs()
				for b.Loop() {
					logger.LogAttrs(context.Background(), slog.LevelInfo, message, r.attrs...)
				}
			})
		}
	}
}

// TestRedact_writesTheSameLines shows what each way of redacting finds: slog's
// does not look into structs.
func TestRedact_writesTheSameLines(t *testing.T) {
	for _, r := range redactRecords {
		lines := map[string]string{}
		for _, s := range redactSubjects {
			var line bytes.Buffer
			record := slog.NewRecord(noon, slog.LevelInfo, message, 0)
			record.AddAttrs(r.attrs...)
			if err := s.new(&line).Handle(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			lines[s.name] = line.String()
		}
		want := strings.ReplaceAll(lines["json"], "hunter2", redact.Redacted)
		if lines["redact"] != want {
			t.Errorf("%s: redact wrote %q, want %q", r.name, lines["redact"], want)
		}
		if r.name == "struct" {
			want = lines["json"]
		}
		if lines["ReplaceAttr"] != want {
			t.Errorf("%s: ReplaceAttr wrote %q, want %q", r.name, lines["ReplaceAttr"], want)
		}
	}
}

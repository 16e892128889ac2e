package redact_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks/redact"
)

// BenchmarkHandler logs a record of five attributes. Compare all with Alone.
func BenchmarkHandler(b *testing.B) {
	plain := []slog.Attr{
		slog.String("tenant", "acme"), slog.Int("status", 200), slog.Bool("cached", true), slog.Uint64("bytes", 4096), slog.String("path", "/index.html"),
	}
	secret := append([]slog.Attr{slog.String("password", "hunter2")}, plain[1:]...)
	inside := append([]slog.Attr{slog.Any("user", &login{"bob", "hunter2"})}, plain[1:]...)
	alone := slog.NewJSONHandler(io.Discard, nil)
	for _, bench := range []struct {
		name    string
		handler slog.Handler
		attrs   []slog.Attr
	}{
		{"Alone", alone, plain},
		{"Nothing", redact.New(alone, nil), plain},
		{"NothingByPath", redact.New(alone, &redact.Options{Paths: []string{"a.b", "path.x"}}), plain},
		{"NothingByPattern", redact.New(alone, &redact.Options{ValuePatterns: patterns(`Bearer \S+`)}), plain},
		{"Key", redact.New(alone, nil), secret},
		{"AloneInside", alone, inside},
		{"KeyInside", redact.New(alone, nil), inside},
	} {
		b.Run(bench.name, func(b *testing.B) {
			logger := slog.New(bench.handler)
			b.ReportAllocs()
			for b.Loop() {
				logger.LogAttrs(context.Background(), slog.LevelInfo, "message", bench.attrs...)
			}
		})
	}
}

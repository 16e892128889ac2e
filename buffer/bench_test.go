package buffer_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks/buffer"
)

func BenchmarkHandler(b *testing.B) {
	for name, dir := range map[string]string{"disk": b.TempDir(), "memory": ""} {
		b.Run(name, func(b *testing.B) {
			h, err := buffer.Open(&discard{Handler: slog.DiscardHandler}, &buffer.Options{Dir: dir, Manual: true, Trigger: buffer.Any()})
			if err != nil {
				b.Fatal(err)
			}
			defer h.Shutdown(context.Background())
			logger := slog.New(h)
			b.ReportAllocs()
			for b.Loop() {
				logger.LogAttrs(context.Background(), slog.LevelError, "message", slog.String("k", "v"), slog.Int("n", 1))
			}
		})
	}
}

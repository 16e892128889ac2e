package limit_test

import (
	"context"
	"io"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/slogworks/slogworks/limit"
)

// BenchmarkHandler calls Handle alone, without what a slog.Logger does before.
func BenchmarkHandler(b *testing.B) {
	for _, bench := range []struct {
		name string
		opts *limit.Options
	}{
		{"passed", &limit.Options{First: 1 << 62}},
		{"suppressed", &limit.Options{First: 1, Window: time.Hour}},
		{"sampled", &limit.Options{First: -1, Window: time.Hour, Sample: []limit.Sample{{Below: slog.LevelWarn, Every: 1 << 30}}}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			h := limit.New(slog.NewJSONHandler(io.Discard, nil), bench.opts)
			defer h.Close()
			var pcs [1]uintptr
			runtime.Callers(1, pcs[:])
			r := slog.NewRecord(time.Now(), slog.LevelInfo, "request done", pcs[0])
			r.AddAttrs(slog.String("tenant", "acme"), slog.Int("status", 200), slog.Bool("cached", true))
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if err := h.Handle(ctx, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package levels_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/levels"
)

// BenchmarkHandler logs a record that is written, and one that is refused.
// OnRecord has the logger's name on the record instead of in With.
func BenchmarkHandler(b *testing.B) {
	for _, rules := range []int{0, 1, 100} {
		table := new(levels.Table)
		for i := range rules {
			table.Set(fmt.Sprint("shop.service", i), slog.LevelInfo, 0)
		}
		h := levels.New(slog.NewJSONHandler(io.Discard, nil), &levels.Options{Table: table})
		attrs := []slog.Attr{slog.String("tenant", "acme"), slog.Int("status", 200), named("shop.service0.db")}
		for _, bench := range []struct {
			name   string
			logger *slog.Logger
			level  slog.Level
			attrs  []slog.Attr
		}{
			{"Written", slogworks.Named(slog.New(h), "shop.service0.db"), slog.LevelInfo, attrs[:2]},
			{"OnRecord", slog.New(h), slog.LevelInfo, attrs},
			{"Refused", slogworks.Named(slog.New(h), "shop.service0.db"), slog.LevelDebug, attrs[:2]},
		} {
			b.Run(fmt.Sprint(bench.name, "/rules=", rules), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					bench.logger.LogAttrs(context.Background(), bench.level, "request done", bench.attrs...)
				}
			})
		}
	}
}

func BenchmarkTable_Set(b *testing.B) {
	table := new(levels.Table)
	for i := range 100 {
		table.Set(fmt.Sprint("shop.service", i), slog.LevelInfo, 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		table.Set("shop.service7", slog.LevelDebug, 0)
	}
}

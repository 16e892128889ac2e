package fingerscrossed_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/slogworks/slogworks/fingerscrossed"
)

func discardJSON() slog.Handler {
	return slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug})
}

// fiveAttrs are of the kinds that need no look at what they point to.
var fiveAttrs = []slog.Attr{
	slog.String("tenant", "acme"),
	slog.Int("status", 200),
	slog.Duration("took", 1500*time.Microsecond),
	slog.Bool("cached", true),
	slog.Uint64("bytes", 4096),
}

func log(ctx context.Context, l *slog.Logger, level slog.Level) {
	l.LogAttrs(ctx, level, "request done", fiveAttrs...)
}

// perScope is how many records the scopes of the benchmarks hold.
const perScope = 20

// BenchmarkRecord gives the time for one record of five attributes, with its
// share of Begin and End. Compare with JSON, the next handler alone.
func BenchmarkRecord(b *testing.B) {
	background := context.Background()
	h := fingerscrossed.New(discardJSON(), nil)
	logger := slog.New(h)

	b.Run("JSON", func(b *testing.B) {
		alone := slog.New(discardJSON())
		b.ReportAllocs()
		for b.Loop() {
			log(background, alone, slog.LevelInfo)
		}
	})
	b.Run("Outside", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			log(background, logger, slog.LevelInfo)
		}
	})
	scopes := func(b *testing.B, end func(*fingerscrossed.Scope)) {
		b.ReportAllocs()
		for n := 0; n < b.N; n += perScope {
			ctx, s := h.Begin(background)
			for range perScope {
				log(ctx, logger, slog.LevelDebug)
			}
			end(s)
		}
	}
	b.Run("Discarded", func(b *testing.B) {
		scopes(b, func(s *fingerscrossed.Scope) { s.End(nil) })
	})
	b.Run("Released", func(b *testing.B) {
		scopes(b, func(s *fingerscrossed.Scope) {
			_ = s.Trigger() // io.Discard takes everything
			s.End(nil)
		})
	})
}

func BenchmarkScope_empty(b *testing.B) {
	background := context.Background()
	h := fingerscrossed.New(discardJSON(), nil)
	b.ReportAllocs()
	for b.Loop() {
		_, s := h.Begin(background)
		s.End(nil)
	}
}

package bench_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/slogworks/slogworks/notify"
)

// newStorm returns a handler in the midst of a storm: its window is open and
// its next message holds as many records as it can.
func newStorm(tb testing.TB, sent *int) *notify.Handler {
	tb.Helper()
	h, err := notify.New(notify.SenderFunc(func(_ context.Context, m *notify.Message) error {
		*sent += m.Count
		return nil
	}), &notify.Options{Window: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	for range 21 {
		logStorm(h)
	}
	return h
}

func logStorm(h slog.Handler) {
	slog.New(h).LogAttrs(context.Background(), slog.LevelError, message, attrs...)
}

func BenchmarkNotify(b *testing.B) {
	b.Run("json", func(b *testing.B) {
		runHandler(b, context.Background(), slog.LevelError, slog.NewJSONHandler(io.Discard, nil))
	})
	b.Run("storm", func(b *testing.B) {
		var sent int
		h := newStorm(b, &sent)
		runHandler(b, context.Background(), slog.LevelError, h)
		if err := h.Close(); err != nil {
			b.Error(err)
		}
	})
	b.Run("storm of derived", func(b *testing.B) {
		var sent int
		h := newStorm(b, &sent)
		runHandler(b, context.Background(), slog.LevelError, h.WithGroup("group").WithAttrs(requestAttrs))
		if err := h.Close(); err != nil {
			b.Error(err)
		}
	})
}

// BenchmarkNotifyLatency reports how long single calls take in a storm, the
// clock included.
func BenchmarkNotifyLatency(b *testing.B) {
	var sent int
	h := newStorm(b, &sent)
	var took histogram
	began := time.Now()
	for b.Loop() {
		for range 100_000 {
			before := time.Since(began)
			logStorm(h)
			took.add(time.Since(began) - before)
		}
	}
	if err := h.Close(); err != nil {
		b.Error(err)
	}
	b.ReportMetric(took.quantile(0.5), "p50-ns")
	b.ReportMetric(took.quantile(0.99), "p99-ns")
	b.ReportMetric(0, "ns/op")
}

func TestNotify_tellsTheNumberOfAStorm(t *testing.T) {
	var sent int
	h := newStorm(t, &sent)
	for range 1000 {
		logStorm(h)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if s := h.Stats(); sent != 1021 || s.Messages != 2 || s.Coalesced != 1000 {
		t.Errorf("messages of %d records, %+v", sent, s)
	}
}

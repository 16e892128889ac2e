package peertest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
)

// Time is the time of all records of [Record].
var Time = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// Record returns a record of level Info without a source.
func Record(message string, attrs ...slog.Attr) slog.Record {
	r := slog.NewRecord(Time, slog.LevelInfo, message, 0)
	r.AddAttrs(attrs...)
	return r
}

// Batch returns a batch of kind Stream with a record for each message.
func Batch(attempt int, messages ...string) slogworks.Batch {
	b := slogworks.Batch{ID: "id", Attempt: attempt}
	for _, m := range messages {
		b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: Record(m)})
	}
	return b
}

// Handle hands r to h, and ends the test if that fails.
func Handle(t testing.TB, h slog.Handler, r slog.Record) {
	t.Helper()
	if err := h.Handle(context.Background(), r); err != nil {
		t.Fatalf("Handle: %v", err)
	}
}

// DeliveryError returns err as the error that a sink has to return itself, and
// not wrapped. It ends the test if err is another.
func DeliveryError(t testing.TB, err error) *slogworks.DeliveryError {
	t.Helper()
	d, ok := err.(*slogworks.DeliveryError)
	if !ok {
		t.Fatalf("the error is %T %v, want a *slogworks.DeliveryError", err, err)
	}
	return d
}

// Discard is a handler that is enabled and does nothing, while
// [slog.DiscardHandler] is never enabled and so never reached.
type Discard struct{}

var _ slog.Handler = Discard{}

// Enabled returns true.
func (Discard) Enabled(context.Context, slog.Level) bool { return true }

// Handle does nothing.
func (Discard) Handle(context.Context, slog.Record) error { return nil }

// WithAttrs returns d.
func (d Discard) WithAttrs([]slog.Attr) slog.Handler { return d }

// WithGroup returns d.
func (d Discard) WithGroup(string) slog.Handler { return d }

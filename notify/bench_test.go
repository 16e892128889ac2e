package notify_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/slogworks/slogworks/notify"
)

func BenchmarkHandler_storm(b *testing.B) {
	h := newHandler(b, new(receiver), &notify.Options{Window: time.Hour})
	logN(b, h, 30)
	r := record(slog.LevelError, "disk full", slog.String("disk", "sda"), slog.Int("block", 7))
	b.ReportAllocs()
	for b.Loop() {
		_ = h.Handle(context.Background(), r)
	}
	mustClose(b, h)
}

// A command whose program does nothing: what it costs to start one.
func BenchmarkCommand_Send(b *testing.B) {
	c := program(b, "nothing")
	c.Args = []string{"--title={title}"}
	m := &notify.Message{Title: "title"}
	for b.Loop() {
		if err := c.Send(context.Background(), m); err != nil {
			b.Fatal(err)
		}
	}
}

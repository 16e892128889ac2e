package mail_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer/mail"
)

func benchmarkBatch() slogworks.Batch {
	var items []slogworks.Item
	for i := range 100 {
		items = append(items, item(i, slog.LevelError, fmt.Sprint("kind ", i%10), "order", i, "path", "/checkout", "err", "connection refused"))
	}
	return batch(items...)
}

func BenchmarkHandler_Message(b *testing.B) {
	h, batch := offline(b, nil), benchmarkBatch()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Message(batch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHandler_HandleBatch(b *testing.B) {
	s := newServer(b, script{noTLS: true})
	h, batch := newHandler(b, s, func(cfg *mail.Config) { cfg.TLS = mail.Plaintext }), benchmarkBatch()
	b.ReportAllocs()
	for b.Loop() {
		if err := h.HandleBatch(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}

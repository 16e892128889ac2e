package socket_test

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/socket"
)

func BenchmarkHandle(b *testing.B) {
	p := newPeer(b)
	h := newSender(b, p.target(), socket.Options{})
	r := peertest.Record("request served", slog.String("method", "GET"), slog.Int("status", 200), slog.Duration("took", 1500), slog.Bool("cached", false), slog.Float64("load", 0.75))
	peertest.Handle(b, h, r)
	c := p.next()
	_ = c.SetDeadline(time.Time{})
	go func() { _, _ = io.Copy(io.Discard, c) }()
	b.ReportAllocs()
	for b.Loop() {
		peertest.Handle(b, h, r)
	}
}

func BenchmarkDecodePickle(b *testing.B) {
	frame := []byte(pickleFile(b, "plain1"))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, refusal := socket.DecodePickle(frame, maxFrame); refusal != nil {
			b.Fatal(refusal)
		}
	}
}

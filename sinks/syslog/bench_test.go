package syslog_test

import (
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/syslog"
)

func BenchmarkHandle(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	h := newHandler(b, "tcp://"+l.Addr().String(), syslog.Options{})
	r := peertest.Record("request served", slog.String("method", "GET"), slog.Int("status", 200), slog.Duration("took", 1500), slog.Bool("cached", false), slog.Float64("load", 0.75))
	peertest.Handle(b, h, r)
	conn, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	b.ReportAllocs()
	for b.Loop() {
		peertest.Handle(b, h, r)
	}
}

package bench_test

import (
	"context"
	"log/slog"
	"net"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/socket"
)

// arrivals counts what a receiver hands on.
type arrivals struct {
	nop
	n atomic.Int64
}

func (a *arrivals) Handle(context.Context, slog.Record) error {
	a.n.Add(1)
	return nil
}

// transport is a way over the network.
type transport struct {
	name string
	new  func(tb testing.TB) (*arrivals, *socket.Handler)
}

func overSocket(isTLS bool, opts socket.Options) func(tb testing.TB) (*arrivals, *socket.Handler) {
	return func(tb testing.TB) (*arrivals, *socket.Handler) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		arrived := new(arrivals)
		r := &socket.Receiver{Handler: arrived}
		scheme := "tcp://"
		if isTLS {
			r.TLS, opts.TLS = peertest.Certificate()
			scheme = "tls://"
		}
		served := make(chan error, 1)
		go func() { served <- r.Serve(l) }()
		h := socket.New(scheme+l.Addr().String(), &opts)
		tb.Cleanup(func() {
			if err := h.Close(); err != nil {
				tb.Error(err)
			}
			if err := r.Close(); err != nil {
				tb.Error(err)
			}
			<-served
		})
		return arrived, h
	}
}

var transports = []transport{
	{"tcp", overSocket(false, socket.Options{})},
	{"tls", overSocket(true, socket.Options{})},
	{"ack", overSocket(false, socket.Options{Ack: true})},
}

// batchOf returns the record that all benchmarks log, several times.
func batchOf(n int) slogworks.Batch {
	r := slog.NewRecord(noon, slog.LevelInfo, message, 0)
	r.AddAttrs(attrs...)
	var b slogworks.Batch
	for range n {
		b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: r})
	}
	return b
}

// A measurement ends when the receiver has handed on the last record.
func BenchmarkSocket(b *testing.B) {
	for _, t := range transports {
		for _, size := range []int{1, 16, 64} {
			b.Run(t.name+"/"+strconv.Itoa(size), func(b *testing.B) {
				arrived, h := t.new(b)
				batch := batchOf(size)
				send := func() {
					if err := h.HandleBatch(context.Background(), batch); err != nil {
						b.Fatal(err)
					}
				}
				send() // connects
				sent := 0
				began := time.Now()
				b.ReportAllocs()
				for b.Loop() {
					send()
					sent += size
				}
				// The loop has stopped its clock, and what is under way counts.
				for arrived.n.Load() < int64(sent+size) {
					runtime.Gosched()
				}
				b.ReportMetric(float64(sent)/time.Since(began).Seconds(), "records/s")
			})
		}
	}
}

// Every record arrives, however it is sent.
func TestSocket_workIsDone(t *testing.T) {
	for _, way := range transports {
		t.Run(way.name, func(t *testing.T) {
			arrived, h := way.new(t)
			const batches, size = 10, 16
			for range batches {
				if err := h.HandleBatch(t.Context(), batchOf(size)); err != nil {
					t.Fatal(err)
				}
			}
			peertest.WaitFor(t, "all that was sent", func() bool { return arrived.n.Load() >= batches*size })
			if n := arrived.n.Load(); n != batches*size {
				t.Errorf("%d of %d records arrived", n, batches*size)
			}
		})
	}
}

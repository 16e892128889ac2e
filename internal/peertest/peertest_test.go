package peertest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/peertest"
)

// failing is a test that may fail.
type failing struct {
	testing.TB
	failure string
}

func (f *failing) Errorf(format string, args ...any) { f.failure = fmt.Sprintf(format, args...) }

func (f *failing) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// failure returns what a test has failed with, or "".
func failure(t *testing.T, test func(t testing.TB)) string {
	f := &failing{TB: t}
	var running sync.WaitGroup
	running.Go(func() { test(f) })
	running.Wait()
	return f.failure
}

func TestWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		peertest.WaitFor(t, "a second", func() bool { return time.Since(began) >= time.Second })
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
		got := failure(t, func(t testing.TB) { peertest.WaitFor(t, "never", func() bool { return false }) })
		if got != "never: not within 10s" {
			t.Errorf("it fails with %q", got)
		}
	})
}

type shutdown func(context.Context) error

func (f shutdown) Shutdown(ctx context.Context) error { return f(ctx) }

func TestShutdownAtEnd(t *testing.T) {
	times := 0
	t.Run("in time", func(t *testing.T) {
		peertest.ShutdownAtEnd(t, shutdown(func(ctx context.Context) error {
			times++
			if _, ok := ctx.Deadline(); !ok || ctx.Err() != nil {
				t.Errorf("its context has ended, or will not: %v", ctx.Err())
			}
			return ctx.Err()
		}))
		if times != 0 {
			t.Error("the test goes on")
		}
	})
	if times != 1 {
		t.Errorf("it was shut down %d times", times)
	}
	f := &failing{TB: t}
	t.Cleanup(func() {
		if f.failure != "Shutdown: stuck" {
			t.Errorf("it fails with %q", f.failure)
		}
	})
	peertest.ShutdownAtEnd(f, shutdown(func(context.Context) error { return errors.New("stuck") }))
}

type tests func() int

func (f tests) Run() int { return f() }

func TestMain_(t *testing.T) {
	// run has a goroutine that is there for a while after the tests, and returns
	// what Main does.
	run := func(code int, stays time.Duration) (got int) {
		synctest.Test(t, func(*testing.T) {
			left := make(chan struct{})
			end := sync.OnceFunc(func() { close(left) })
			go stay(left)
			synctest.Wait() // until it is in there
			time.AfterFunc(stays, end)
			got = peertest.Main(tests(func() int { return code }), "nobody.(", "peertest_test.stay")
			end()
		})
		return got
	}
	if got := run(0, peertest.Patience/2); got != 0 {
		t.Errorf("it exits with %d though all have ended in time", got)
	}
	if got := run(0, time.Hour); got != 1 {
		t.Errorf("it exits with %d though one is left", got)
	}
	if got := run(3, time.Hour); got != 3 {
		t.Errorf("it exits with %d, and the tests with 3", got)
	}
	if got := peertest.Main(tests(func() int { return 0 })); got != 0 {
		t.Errorf("it exits with %d without a mark", got)
	}
}

func stay(left chan struct{}) { <-left }

func TestCertificate(t *testing.T) {
	server, client := peertest.Certificate()
	_, stranger := peertest.Certificate()
	for name, test := range map[string]struct {
		server, client *tls.Config
		ok             bool
	}{
		"its client":     {server, client, true},
		"another client": {server, stranger, false},
		"from files":     {fromFiles(t, server), client, true},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := tls.Listen("tcp", "127.0.0.1:0", test.server)
			if err != nil {
				t.Fatal(err)
			}
			var serving sync.WaitGroup
			defer serving.Wait()
			defer l.Close()
			serving.Go(func() {
				if conn, err := l.Accept(); err == nil {
					_, _ = io.Copy(io.Discard, conn) // shakes hands
					_ = conn.Close()
				}
			})
			conn, err := tls.Dial("tcp", l.Addr().String(), test.client)
			if err == nil {
				err = conn.Close()
			}
			var unknown *tls.CertificateVerificationError
			if test.ok && err != nil || !test.ok && !errors.As(err, &unknown) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func fromFiles(t *testing.T, server *tls.Config) *tls.Config {
	certificate, err := tls.LoadX509KeyPair(peertest.WriteCertificate(t, server))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}}
}

func TestPipes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := peertest.NewPipes()
		var serving sync.WaitGroup
		serving.Go(func() {
			conn, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "hello")
			_ = conn.Close()
			if _, err := l.Accept(); err != net.ErrClosed {
				t.Errorf("Accept fails with %v", err)
			}
		})
		text, err := io.ReadAll(l.Dial())
		if string(text) != "hello" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		for range 2 {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		serving.Wait()
	})
}

func TestRecords(t *testing.T) {
	b := peertest.Batch(2, "a", "b")
	if len(b.Items) != 2 || b.Attempt != 2 || b.Kind != slogworks.Stream || b.Items[1].Record.Message != "b" || b.Items[1].Context == nil {
		t.Errorf("the batch is %+v", b)
	}
	if r := peertest.Record("m", slog.Int("a", 1)); r.NumAttrs() != 1 || r.Time != peertest.Time || r.PC != 0 {
		t.Errorf("the record is %+v", r)
	}
	peertest.Handle(t, peertest.Discard{}, peertest.Record("m"))
	if got := failure(t, func(t testing.TB) { peertest.Handle(t, full{}, peertest.Record("m")) }); got != "Handle: full" {
		t.Errorf("it fails with %q", got)
	}
}

type full struct{ peertest.Discard }

func (full) Handle(context.Context, slog.Record) error { return errors.New("full") }

func TestDeliveryError_isNotWrapped(t *testing.T) {
	want := &slogworks.DeliveryError{Err: io.EOF}
	if got := peertest.DeliveryError(t, want); got != want {
		t.Errorf("it is %v", got)
	}
	for _, err := range []error{nil, io.EOF, fmt.Errorf("pkg: %w", want)} {
		if failure(t, func(t testing.TB) { peertest.DeliveryError(t, err) }) == "" {
			t.Errorf("%v passes", err)
		}
	}
}

func TestHeap(t *testing.T) {
	h := peertest.NewHeap()
	for range 2 { // what is collected has been there
		b := make([]byte, 64<<20)
		h.Measure()
		runtime.KeepAlive(b)
		runtime.GC()
	}
	for limit, ok := range map[uint64]bool{32 << 20: false, 1 << 30: true} {
		if got := failure(t, func(t testing.TB) { h.AtMost(t, limit) }); (got == "") != ok {
			t.Errorf("at most %d: %q", limit, got)
		}
	}
}

func TestHeap_MeasureWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := peertest.NewHeap()
		var handling atomic.Int64
		var sending sync.WaitGroup
		measure := func(peers int64) time.Duration {
			began := time.Now()
			h.MeasureWhileBusy(t, peers, &handling, &sending)
			return time.Since(began).Round(100 * time.Millisecond)
		}
		sending.Go(func() { time.Sleep(2 * time.Second); handling.Store(1); time.Sleep(3 * time.Second) })
		if took := measure(2); took != 5500*time.Millisecond {
			t.Errorf("it waited for %v and not until all was sent", took)
		}
		sending.Go(func() { time.Sleep(2 * time.Second); handling.Store(2); time.Sleep(3 * time.Second) })
		if took := measure(2); took != 2*time.Second {
			t.Errorf("it waited for %v and not until all had come", took)
		}
		sending.Wait()
	})
}

func TestFlood(t *testing.T) {
	var peers []net.Conn
	t.Run("with two", func(t *testing.T) {
		sending := peertest.Flood(t, 2, func() net.Conn {
			here, there := net.Pipe()
			peers = append(peers, there)
			return here
		}, []byte("text"))
		for _, peer := range peers {
			b := make([]byte, 4)
			if _, err := io.ReadFull(peer, b); err != nil || string(b) != "text" {
				t.Errorf("%q, %v", b, err)
			}
		}
		sending.Wait()
	})
	for _, peer := range peers {
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection stays open: %v", err)
		}
	}
}

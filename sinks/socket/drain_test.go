package socket_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/socket"
)

func TestReceiver_shutdownOverTLS(t *testing.T) {
	serverTLS, clientTLS := peertest.Certificate()
	newReceiver := func() *socket.Receiver {
		return &socket.Receiver{TLS: serverTLS}
	}
	connect := func(t *testing.T, s *served) *tls.Conn {
		conn, err := tls.Dial("tcp", s.address, clientTLS)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	t.Run("does not wait for one who never stops", func(t *testing.T) {
		r := newReceiver()
		r.Handler = peertest.Discard{}
		s := serve(t, r)
		conn := connect(t, s)
		var writing sync.WaitGroup
		for range 8 {
			writing.Go(func() {
				for {
					if _, err := io.WriteString(conn, wireLine+"\n"); err != nil {
						return
					}
					time.Sleep(time.Millisecond) // never silent, and never much
				}
			})
		}
		peertest.WaitFor(t, "records", func() bool { return s.Stats().Written > 0 })
		ctx, cancel := context.WithTimeout(t.Context(), peertest.Patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		writing.Wait()
	})
	t.Run("reads what has arrived", func(t *testing.T) {
		s := serve(t, newReceiver())
		conn := connect(t, s)
		const n = 500
		for range n {
			if _, err := io.WriteString(conn, wireLine+"\n"); err != nil {
				t.Fatal(err)
			}
		}
		peertest.WaitFor(t, "the connection", func() bool { return s.Stats().Open == 1 })
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if got := s.Stats(); got.Written != n {
			t.Errorf("the counts are %+v, want %d written", got, n)
		}
	})
	t.Run("refuses nobody who has said nothing", func(t *testing.T) {
		s := serve(t, newReceiver())
		dial(t, "tcp", s.address)
		_ = dial(t, "tcp", s.address).Close()
		peertest.WaitFor(t, "both", func() bool { got := s.Stats(); return got.Connections == 2 && got.Open == 1 })
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if got := s.Stats(); got.Received != 0 {
			t.Errorf("the counts are %+v", got)
		}
	})
}

// Python's handlers read nothing, and so not what a server may say after the
// handshake.
func TestReceiver_losesNothingOfWhoReadsNothing(t *testing.T) {
	serverTLS, clientTLS := peertest.Certificate()
	busy := gate{in: new(atomic.Int64), opened: make(chan struct{})}
	s := serve(t, &socket.Receiver{Handler: busy, TLS: serverTLS})
	conn, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: clientTLS.RootCAs, ClientSessionCache: tls.NewLRUClientSessionCache(1)})
	if err != nil {
		t.Fatal(err)
	}
	const n = 100
	for range n {
		if _, err := io.WriteString(conn, wireLine+"\n"); err != nil {
			t.Fatal(err)
		}
		peertest.WaitFor(t, "the first record", func() bool { return busy.in.Load() == 1 })
	}
	if err := conn.NetConn().Close(); err != nil {
		t.Fatal(err)
	}
	close(busy.opened)
	peertest.WaitFor(t, "the end of the connection", func() bool { got := s.Stats(); return got.Connections == 1 && got.Open == 0 })
	if got := s.Stats(); got.Written != n || got.Received != n {
		t.Errorf("the counts are %+v, want %d written", got, n)
	}
}

func TestReceiver_shutdownOfNothingSucceedsEvenWithoutTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if err := (&socket.Receiver{Handler: peertest.Discard{}}).Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHandler_wantsTheNameOfTheServer(t *testing.T) {
	serverTLS, clientTLS := peertest.Certificate()
	s := serve(t, &socket.Receiver{TLS: serverTLS})
	h := newSender(t, "tls://"+s.address, socket.Options{TLS: &tls.Config{RootCAs: clientTLS.RootCAs, ServerName: "log.example"}})
	err := h.Handle(t.Context(), peertest.Record("m"))
	var wrong *tls.CertificateVerificationError
	if d := delivery(t, err); !errors.As(err, &wrong) || d.After <= 0 || d.Accepted != 0 {
		t.Errorf("the error is %v", err)
	}
	peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["bad-tls"] == 1 })
	if got := s.Stats(); got.Written != 0 {
		t.Errorf("the counts are %+v", got)
	}
}

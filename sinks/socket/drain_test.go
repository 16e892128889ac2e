package socket_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/socket"
)

func TestReceiver_shutdownOverTLS(t *testing.T) {
	serverTLS, clientTLS := peertest.Certificate()
	t.Run("does not wait for one who never stops", func(t *testing.T) {
		s := serve(t, &socket.Receiver{Handler: peertest.Discard{}, TLS: serverTLS})
		conn, err := tls.Dial("tcp", s.address, clientTLS)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
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
		receivers("tcp", serverTLS).ReadWhatHasArrivedOverTLS(t, clientTLS, wireLine+"\n")
	})
	t.Run("refuses nobody who has said nothing", func(t *testing.T) {
		receivers("tcp", serverTLS).RefuseNobodyWhoHasSaidNothing(t)
	})
}

// Python's handlers read nothing, and so not what a server may say after the
// handshake.
func TestReceiver_losesNothingOfWhoReadsNothing(t *testing.T) {
	serverTLS, clientTLS := peertest.Certificate()
	receivers("tcp", serverTLS).LoseNothingOfWhoReadsNothing(t, clientTLS, wireLine+"\n")
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

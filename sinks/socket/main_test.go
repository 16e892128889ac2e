package socket_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/socket"
)

// TestMain sees that nothing is left running when all tests are over.
func TestMain(m *testing.M) {
	os.Exit(peertest.Main(m, "slogworks/sinks/socket.(", "internal/outlet.("))
}

// errorLog keeps what OnError is called with.
type errorLog struct {
	mu   sync.Mutex
	errs []error
}

func (l *errorLog) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

func (l *errorLog) all() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]error(nil), l.errs...)
}

// served is a receiver that serves in the background.
type served struct {
	*socket.Receiver
	address string
	errors  *errorLog
	records *handlertest.Recorder
}

// serve starts a receiver on a loopback port. The handler is a Recorder unless
// there is one.
func serve(t testing.TB, r *socket.Receiver) *served {
	t.Helper()
	return serveOn(t, r, listen(t, "tcp", "127.0.0.1:0"))
}

func listen(t testing.TB, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func serveOn(t testing.TB, r *socket.Receiver, l net.Listener) *served {
	t.Helper()
	s := prepare(r)
	s.address = l.Addr().String()
	s.run(t, func() error { return r.Serve(l) })
	return s
}

func servePacket(t testing.TB, r *socket.Receiver, network, address string) *served {
	t.Helper()
	p, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := prepare(r)
	s.address = p.LocalAddr().String()
	s.run(t, func() error { return r.ServePacket(p) })
	return s
}

func prepare(r *socket.Receiver) *served {
	s := &served{Receiver: r, errors: new(errorLog), records: new(handlertest.Recorder)}
	if r.Handler == nil {
		r.Handler = s.records
	}
	if r.OnError == nil {
		r.OnError = s.errors.add
	}
	return s
}

func (s *served) run(t testing.TB, serve func() error) {
	done := make(chan error, 1)
	go func() { done <- serve() }()
	t.Cleanup(func() {
		// What a test leaves open is not waited for.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		_ = s.Shutdown(ctx)
		if err := <-done; !errors.Is(err, socket.ErrClosed) {
			t.Errorf("serving ended with %v, want ErrClosed", err)
		}
	})
}

// receivers makes receivers for the tests that are the same for all protocols,
// without TLS if server is nil.
func receivers(network string, server *tls.Config) peertest.Receivers {
	return func(t testing.TB, h slog.Handler) peertest.Receiver {
		var s *served
		if r := (&socket.Receiver{Handler: h, TLS: server}); network == "udp" {
			s = servePacket(t, r, network, "127.0.0.1:0")
		} else {
			s = serve(t, r)
		}
		return peertest.Receiver{
			Shutdown: s.Shutdown,
			Stats: func() peertest.ReceiverStats {
				got := s.Stats()
				return peertest.ReceiverStats{
					Received: got.Received, Written: got.Written, Dropped: got.Dropped, Ignored: got.Ignored, Refused: got.Refused,
					Connections: got.Connections, Open: got.Open,
				}
			},
			Reported: s.errors.all,
			Dial:     func() net.Conn { return dial(t, network, s.address) },
			Send: func(records ...slog.Record) {
				c := dial(t, network, s.address)
				for _, r := range records {
					c.send(fmt.Sprintf(`{"l":%d,"m":%q}`, r.Level, r.Message) + "\n")
				}
			},
		}
	}
}

// lines returns the records so far, as slog.JSONHandler prints them, without the
// peer's address.
func (s *served) lines() []string {
	var lines []string
	for _, item := range s.records.Items() {
		lines = append(lines, asJSON(item.Record))
	}
	return lines
}

func asJSON(r slog.Record) string {
	var b bytes.Buffer
	h := slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.Level(-100), ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == "peer" {
			return slog.Attr{}
		}
		return a
	}})
	if err := h.Handle(context.Background(), r); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// wait waits until n records have been received or refused.
func (s *served) wait(t testing.TB, n uint64) {
	t.Helper()
	peertest.WaitFor(t, fmt.Sprintf("%d records", n), func() bool { return s.Stats().Received >= n })
	if got := s.Stats(); got.Received != n {
		t.Fatalf("%d records arrived, want %d: %+v", got.Received, n, got)
	}
}

// reasons returns the reasons of the refusals.
func (s *served) reasons() []string {
	var reasons []string
	for _, err := range s.errors.all() {
		var refusal *socket.Refusal
		if errors.As(err, &refusal) {
			reasons = append(reasons, refusal.Reason)
		} else {
			reasons = append(reasons, err.Error())
		}
	}
	return reasons
}

// client is a raw connection.
type client struct {
	net.Conn
	t testing.TB
}

func dial(t testing.TB, network, address string) client {
	t.Helper()
	conn, err := net.DialTimeout(network, address, peertest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return client{conn, t}
}

func (c client) send(text string) {
	c.t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// isClosed waits until the other end closes the connection.
func (c client) isClosed() bool {
	_ = c.SetReadDeadline(time.Now().Add(peertest.Patience))
	_, err := c.Read(make([]byte, 1))
	var timeout net.Error
	return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}

func prefixed(body string) string {
	var prefix [4]byte
	binary.BigEndian.PutUint32(prefix[:], uint32(len(body)))
	return string(prefix[:]) + body
}

// newSender returns a handler that is closed at the end of the test, and whose
// failures do not keep it waiting.
func newSender(t testing.TB, target string, opts socket.Options) *socket.Handler {
	t.Helper()
	if opts.Host == "" {
		opts.Host, opts.Process = "web1", "shop"
	}
	if opts.Backoff.Min == 0 {
		opts.Backoff.Min, opts.Backoff.Max = time.Millisecond, 10*time.Millisecond
	}
	h := socket.New(target, &opts)
	peertest.ShutdownAtEnd(t, h)
	return h
}

// socketPath returns a path that is short enough for a socket.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

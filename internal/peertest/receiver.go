package peertest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/slogworks/slogworks"
)

// Receiver is a receiver that serves, as the tests see it that are the same for
// all protocols.
type Receiver struct {
	Shutdown func(context.Context) error
	Stats    func() ReceiverStats
	Reported func() []error               // what OnError was called with
	Dial     func() net.Conn              // a connection that is closed at the end of the test
	Send     func(records ...slog.Record) // sends their levels and messages, in order
}

// ReceiverStats are the counts that all receivers have.
type ReceiverStats struct {
	Received, Written, Dropped, Ignored uint64
	Refused                             map[string]uint64
	Connections                         uint64
	Open                                int
}

// Receivers makes a receiver of a package with that handler, which serves until
// the end of the test. Its methods are tests of such a receiver.
type Receivers func(t testing.TB, h slog.Handler) Receiver

// CountWhatTheHandlerDoes tests that errors and panics are Dropped and reported,
// and that what the handler is not enabled for is Ignored.
func (serve Receivers) CountWhatTheHandlerDoes(t testing.TB) {
	t.Helper()
	r := serve(t, faulty{})
	debug := Record("debug")
	debug.Level = slog.LevelDebug
	r.Send(Record("error"), Record("panic"), debug, Record("fine"))
	WaitFor(t, "the last record", func() bool { return r.Stats().Written > 0 })
	if got := r.Stats(); got.Written != 1 || got.Dropped != 2 || got.Ignored != 1 || got.Received != 3 {
		t.Errorf("the counts are %+v", got)
	}
	var panicked *slogworks.PanicError
	if errs := r.Reported(); len(errs) != 2 || !errors.Is(errs[0], errFull) || !errors.As(errs[1], &panicked) {
		t.Errorf("the errors are %v", errs)
	}
}

var errFull = errors.New("disk full")

// faulty is a handler that does what the message says.
type faulty struct{ Discard }

func (faulty) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (faulty) Handle(_ context.Context, r slog.Record) error {
	switch r.Message {
	case "error":
		return errFull
	case "panic":
		panic("bad handler")
	}
	return nil
}

// ReadWhatHasArrived tests that Shutdown reads what a connection has brought: text
// is n records.
func (serve Receivers) ReadWhatHasArrived(t testing.TB, text string, n uint64) {
	t.Helper()
	h := NewBusy()
	r := serve(t, h)
	write(t, r.Dial(), text)
	WaitFor(t, "the first record", func() bool { return h.Handling.Load() > 0 })
	done := make(chan error, 1)
	go func() { done <- r.Shutdown(t.Context()) }()
	h.Free()
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if got := r.Stats(); got.Written != n || got.Open != 0 {
		t.Errorf("the counts are %+v, want %d written", got, n)
	}
}

// ReadTheDatagramsThatHaveArrived tests that Shutdown reads what waits at a packet
// connection: text is a record.
func (serve Receivers) ReadTheDatagramsThatHaveArrived(t testing.TB, text string) {
	t.Helper()
	r := serve(t, Discard{})
	conn := r.Dial()
	write(t, conn, text)
	WaitFor(t, "the first record", func() bool { return r.Stats().Received == 1 })
	for range 19 {
		write(t, conn, text)
	}
	if err := r.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if got := r.Stats(); got.Written != 20 {
		t.Errorf("the counts are %+v, want 20 written", got)
	}
}

// DoNotWaitForOneWhoNeverStops tests that Shutdown ends though a peer writes text
// as fast as it can.
func (serve Receivers) DoNotWaitForOneWhoNeverStops(t testing.TB, text string) {
	t.Helper()
	r := serve(t, slog.NewJSONHandler(io.Discard, nil))
	conn := r.Dial()
	var writing sync.WaitGroup
	writing.Go(func() {
		for b := []byte(text); ; {
			if _, err := conn.Write(b); err != nil {
				return
			}
		}
	})
	WaitFor(t, "records", func() bool { return r.Stats().Written > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	writing.Wait()
}

// SayWhatTheyDidNotWaitFor tests that Shutdown fails while the handler has a
// record, with an error in which is what, and succeeds later: text is a record.
func (serve Receivers) SayWhatTheyDidNotWaitFor(t testing.TB, text, what string) {
	t.Helper()
	h := NewBusy()
	r := serve(t, h)
	write(t, r.Dial(), text)
	WaitFor(t, "the record", func() bool { return h.Handling.Load() == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Shutdown(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), what) {
		t.Errorf("Shutdown returned %v", err)
	}
	h.Free()
	if err := r.Shutdown(t.Context()); err != nil {
		t.Errorf("the second Shutdown: %v", err)
	}
}

// BoundTheirMemoryBehindABusyHandler tests that the heap does not grow by more
// than limit bytes while each of so many peers has sent an attack and the handler
// returns from none. The receiver takes so many connections.
func (serve Receivers) BoundTheirMemoryBehindABusyHandler(t *testing.T, peers int, limit uint64, attacks map[string]string) {
	t.Helper()
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			text := []byte(attack)
			heap := NewHeap()
			h := NewBusy()
			r := serve(t, h)
			sending := Flood(t, peers, r.Dial, text)
			heap.MeasureWhileBusy(t, int64(peers), &h.Handling, sending)
			heap.AtMost(t, limit)
			t.Logf("%+v", r.Stats())
			h.Free()
			sending.Wait()
		})
	}
}

func write(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// Server is what [IsClosedForGood] and [ReturnsTheErrorOfItsListener] test: a
// receiver that has a handler and has not served.
type Server interface {
	Serve(net.Listener) error
	Close() error
}

// packetServer is a Server that reads datagrams too.
type packetServer interface{ ServePacket(net.PacketConn) error }

// IsClosedForGood closes r, and tests that it does not serve any more: it returns
// closed itself, and closes the listener.
func IsClosedForGood(t testing.TB, r Server, closed error) {
	t.Helper()
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	l := listen(t)
	if err := r.Serve(l); err != closed {
		t.Errorf("Serve returned %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
	if r, ok := r.(packetServer); ok {
		p := listenPacket(t)
		if err := r.ServePacket(p); err != closed {
			t.Errorf("ServePacket returned %v", err)
		}
		if _, err := p.WriteTo(nil, p.LocalAddr()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the packet connection is open: %v", err)
		}
	}
}

// ReturnsTheErrorOfItsListener tests that of r, which it closes at the end.
func ReturnsTheErrorOfItsListener(t testing.TB, r Server) {
	t.Helper()
	defer r.Close()
	l := listen(t)
	_ = l.Close()
	if err := r.Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve returned %v", err)
	}
	if r, ok := r.(packetServer); ok {
		p := listenPacket(t)
		_ = p.Close()
		if err := r.ServePacket(p); !errors.Is(err, net.ErrClosed) {
			t.Errorf("ServePacket returned %v", err)
		}
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func listenPacket(t testing.TB) net.PacketConn {
	t.Helper()
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

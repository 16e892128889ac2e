package socket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/socket"
)

// proxy passes bytes on to a receiver, and does to them what networks do.
type proxy struct {
	to string
	// fate is asked for each connection, how many bytes it passes on and what
	// then becomes of it. A negative number is all of them.
	fate func(n int) (bytes int64, end ending)
	// inTurn has a connection wait until the receiver is done with the one
	// before, which it need not be when the sender has a new one already.
	inTurn bool

	address string
	mu      sync.Mutex
	l       net.Listener
	stopped bool
	count   int
	conns   map[net.Conn]bool
	running sync.WaitGroup
}

type ending int

const (
	cut       ending = iota // both sides are closed
	reset                   // both sides are reset
	stall                   // what is sent gets lost, and nothing is closed
	halfClose               // the receiver sees the end, what it says still gets back
	silence                 // everything is passed on to the receiver, and nothing back
)

func newProxy(t testing.TB, to string, fate func(n int) (int64, ending)) *proxy {
	return (&proxy{to: to, fate: fate}).open(t)
}

// open starts a proxy until the end of the test.
func (p *proxy) open(t testing.TB) *proxy {
	p.address, p.conns = "127.0.0.1:0", map[net.Conn]bool{}
	p.start(t)
	t.Cleanup(p.stop)
	return p
}

// start listens, at the same address as before.
func (p *proxy) start(t testing.TB) {
	l := listen(t, "tcp", p.address)
	p.mu.Lock()
	p.l, p.address, p.stopped = l, l.Addr().String(), false
	p.mu.Unlock()
	p.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if p.inTurn {
				p.pass(conn)
			} else {
				p.running.Go(func() { p.pass(conn) })
			}
		}
	})
}

// stop closes everything and waits.
func (p *proxy) stop() {
	p.mu.Lock()
	p.stopped = true
	_ = p.l.Close()
	for conn := range p.conns {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

func (p *proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = true
		if p.stopped { // stop came while this one was being connected
			_ = c.Close()
		}
	}
}

func (p *proxy) pass(sender net.Conn) {
	receiver, err := net.Dial("tcp", p.to)
	if err != nil {
		_ = sender.Close()
		return
	}
	p.keep(sender, receiver)
	p.mu.Lock()
	p.count++
	n, end := p.fate(p.count)
	p.mu.Unlock()

	var back sync.WaitGroup
	back.Go(func() {
		if end == silence {
			_, _ = io.CopyN(sender, receiver, 8) // the answer to the greeting
			_, _ = io.Copy(io.Discard, receiver)
			return
		}
		_, _ = io.Copy(sender, receiver)
		_ = sender.(*net.TCPConn).CloseWrite()
	})
	if n < 0 {
		_, _ = io.Copy(receiver, sender)
	} else {
		_, _ = io.CopyN(receiver, sender, n)
	}
	switch end {
	case reset:
		_ = sender.(*net.TCPConn).SetLinger(0)
		_ = receiver.(*net.TCPConn).SetLinger(0)
		fallthrough
	case cut:
		_ = sender.Close()
		if p.inTurn {
			_ = receiver.(*net.TCPConn).CloseWrite()
			back.Wait()
		}
		_ = receiver.Close()
	case halfClose:
		_ = receiver.(*net.TCPConn).CloseWrite()
		back.Wait()
		_ = sender.Close()
		_ = receiver.Close()
	case stall, silence:
		_, _ = io.Copy(io.Discard, sender) // until the sender gives up, or stop
		_ = receiver.Close()
	}
	back.Wait()
}

// fates are what may happen to a connection. Each ends well once it has come up
// a few times, or nothing would ever arrive.
var fates = map[string]func(n int) (int64, ending){
	"cuts":        func(n int) (int64, ending) { return upTo(n, 20_000), cut },
	"resets":      func(n int) (int64, ending) { return upTo(n, 20_000), reset },
	"half-closes": func(n int) (int64, ending) { return upTo(n, 20_000), halfClose },
	"stalls":      func(n int) (int64, ending) { return upTo(n, 20_000), stall },
	"answers nothing": func(n int) (int64, ending) {
		if n > 20 {
			return -1, cut
		}
		return upTo(n, 20_000), silence
	},
	"does all of these": func(n int) (int64, ending) {
		if n > 20 {
			return -1, cut
		}
		return upTo(n, 20_000), ending(n % 5)
	},
}

func upTo(n int, most int64) int64 {
	if n > 20 {
		return -1
	}
	return rand.Int64N(most)
}

func TestHandler_losesNothingThatIsAcknowledged(t *testing.T) {
	for name, fate := range fates {
		t.Run("when the network "+name, func(t *testing.T) {
			t.Parallel()
			r := serve(t, &socket.Receiver{IdleTimeout: peertest.Patience})
			p := newProxy(t, r.address, fate)
			sendAll(t, r, p, func(int) {})
		})
	}
	t.Run("when the network is restarted", func(t *testing.T) {
		t.Parallel()
		r := serve(t, &socket.Receiver{})
		p := newProxy(t, r.address, func(int) (int64, ending) { return -1, cut })
		sendAll(t, r, p, func(i int) {
			if i%500 == 499 {
				p.stop()
				p.start(t)
			}
		})
	})
}

// sendAll logs through a queue and compares what arrives.
func sendAll(t *testing.T, r *served, p *proxy, between func(i int)) {
	const n = 3000
	h := newSender(t, "tcp://"+p.address, socket.Options{Ack: true, WriteTimeout: 100 * time.Millisecond})
	q := queue.New(h, &queue.Options{Capacity: n, Reserve: -1, Retry: slogworks.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}})
	logger := slog.New(q)
	for i := range n {
		logger.Info(strconv.Itoa(i))
		between(i)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := q.Shutdown(ctx); err != nil {
		t.Fatalf("the queue: %v; received %+v", err, r.Stats())
	}
	items := r.records.Items()
	for i := range min(n, len(items)) {
		if got := items[i].Record.Message; got != strconv.Itoa(i) {
			t.Fatalf("record %d is %q: one is missing, there twice, or not in order", i, got)
		}
	}
	if len(items) != n {
		t.Errorf("%d of %d records arrived", len(items), n)
	}
	if s := q.Stats(); s.Handled != n || s.Failed != 0 {
		t.Errorf("the queue has handled %d and failed %d of %d", s.Handled, s.Failed, n)
	}
}

// A receiver that is shut down in order has told its senders what it has, so that
// the next receiver gets the rest and nothing else.
func TestReceiver_handsOverToTheNext(t *testing.T) {
	const n, receivers = 2000, 5
	l := listen(t, "tcp", "127.0.0.1:0")
	address := l.Addr().String()
	h := newSender(t, "tcp://"+address, socket.Options{Ack: true})
	q := queue.New(h, &queue.Options{Capacity: n, Reserve: -1, Retry: slogworks.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond}})
	logger := slog.New(q)

	var all []string
	for i := range receivers {
		s := prepare(new(socket.Receiver))
		done := make(chan error, 1)
		go func() { done <- s.Serve(l) }()
		for j := range n / receivers {
			logger.Info(fmt.Sprint(i*n/receivers + j))
		}
		if i == receivers-1 {
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
		} else {
			peertest.WaitFor(t, "some records", func() bool { return s.Stats().Written > 0 })
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, socket.ErrClosed) {
			t.Fatal(err)
		}
		for _, item := range s.records.Items() {
			all = append(all, item.Record.Message)
		}
		if i < receivers-1 {
			l = listen(t, "tcp", address)
		}
	}
	for i := range min(n, len(all)) {
		if all[i] != strconv.Itoa(i) {
			t.Fatalf("record %d is %q", i, all[i])
		}
	}
	if len(all) != n {
		t.Errorf("%d of %d records arrived", len(all), n)
	}
}

// Without acknowledgement nothing arrives twice, and what is lost was in the
// hands of the system when the connection broke.
func TestHandler_sendsNothingTwice(t *testing.T) {
	const n = 3000
	r := serve(t, new(socket.Receiver))
	p := (&proxy{to: r.address, fate: fates["cuts"], inTurn: true}).open(t)
	h := newSender(t, "tcp://"+p.address, socket.Options{})
	q := queue.New(h, &queue.Options{Capacity: n, Reserve: -1, Retry: slogworks.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}})
	for i := range n {
		slog.New(q).Info(strconv.Itoa(i))
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	// What is sent may still be on its way through the proxy.
	peertest.WaitFor(t, "something arrives", func() bool { return r.Stats().Written > 0 })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	last := -1
	for _, item := range r.records.Items() {
		i, _ := strconv.Atoi(item.Record.Message)
		if i <= last {
			t.Fatalf("record %d came after record %d", i, last)
		}
		last = i
	}
	if last < 0 {
		t.Error("nothing arrived")
	}
}

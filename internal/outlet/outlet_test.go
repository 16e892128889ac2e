package outlet_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/outlet"
	"github.com/slogworks/slogworks/internal/peertest"
)

var errClosed = errors.New("test: closed")

// newOutlet returns an outlet that is shut down at the end of the test.
func newOutlet(t testing.TB, target string, opts outlet.Options) *outlet.Outlet {
	t.Helper()
	var err error
	if opts.Target, err = outlet.ParseTarget("test", target); err != nil {
		t.Fatal(err)
	}
	opts.Name, opts.Closed = "test", errClosed
	if opts.Backoff.Min == 0 {
		opts.Backoff = slogworks.Backoff{Min: time.Hour, Max: time.Hour}
	}
	o := outlet.New(opts)
	peertest.ShutdownAtEnd(t, o)
	return o
}

// put sends the lines as one batch.
func put(ctx context.Context, o *outlet.Outlet, attempt int, lines ...string) error {
	b := slogworks.Batch{Attempt: attempt, Items: make([]slogworks.Item, len(lines))}
	if err := o.Acquire(ctx, b); err != nil {
		return err
	}
	defer o.Release()
	if o.IsDatagram() {
		return o.Settle(ctx, b, o.WriteDatagrams(ctx, len(lines), func(i int) []byte { return []byte(lines[i]) }))
	}
	var frames []byte
	var ends []int
	for _, line := range lines {
		frames = append(append(frames, line...), '\n')
		ends = append(ends, len(frames))
	}
	var done outlet.Outcome
	done.Accepted, done.Err = o.WriteFrames(ctx, frames, ends)
	return o.Settle(ctx, b, done)
}

func mustPut(t testing.TB, o *outlet.Outlet, lines ...string) {
	t.Helper()
	if err := put(t.Context(), o, 0, lines...); err != nil {
		t.Fatal(err)
	}
}

// peer is a listener whose connections the test has to itself.
type peer struct {
	net.Listener
	t testing.TB
}

func newPeer(t testing.TB) peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return peer{l, t}
}

func (p peer) target() string { return "tcp://" + p.Addr().String() }

func (p peer) next() net.Conn {
	p.t.Helper()
	_ = p.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(peertest.Patience))
	c, err := p.Accept()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(peertest.Patience))
	return c
}

func line(t testing.TB, c net.Conn) string {
	t.Helper()
	text, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(text, "\n")
}

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]outlet.Target{
		"tcp://h:1":       {Network: "tcp", Address: "h:1"},
		"tcp://[::1]:1/":  {Network: "tcp", Address: "[::1]:1"},
		"tls://h:1":       {Network: "tcp", Address: "h:1", IsTLS: true},
		"udp://h:1":       {Network: "udp", Address: "h:1"},
		"unix:///a/b":     {Network: "unix", Address: filepath.FromSlash("/a/b")},
		"unixgram:///a/b": {Network: "unixgram", Address: filepath.FromSlash("/a/b")},
	} {
		if got, err := outlet.ParseTarget("test", text); got != want || err != nil {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                     "want tcp://HOST:PORT, tls://, udp://, unix:///PATH, unixgram:// or own:",
		"http://h:1/secret":    "want tcp://HOST:PORT, tls://, udp://, unix:///PATH, unixgram:// or own:",
		"tcp://h":              `target "tcp://h": want tcp://HOST:PORT`,
		"tls://h:":             "want tls://HOST:PORT",
		"tcp://h:1/secret":     "want tcp://HOST:PORT",
		"tcp://u:secret@h:1":   "want nothing but an address",
		"tcp://h:1?t=secret":   "want nothing but an address",
		"tcp://h:1#secret":     "want nothing but an address",
		"tcp:secret@h:1":       "want nothing but an address",
		"tcp://secret\x00":     "not a URL: want tcp://HOST:PORT, tls://, udp://, unix:///PATH, unixgram:// or own:",
		"u:secret@h:1":         "want nothing but an address",
		"unix://a/b":           "want unix:///PATH",
		"unixgram://":          "want unixgram:///PATH",
		"secret@h:1":           "not a URL: want tcp://HOST:PORT, tls://, udp://, unix:///PATH, unixgram:// or own:",
		"//u:secret@127.0.0.1": "want nothing but an address",
	} {
		_, err := outlet.ParseTarget("test", text, "own:")
		if err == nil || !strings.HasPrefix(err.Error(), "test: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// waitUntilIdle waits until a connection is asked whether it has ended.
func waitUntilIdle(t testing.TB) {
	t.Helper()
	began := time.Now()
	peertest.WaitFor(t, "the connection is idle", func() bool { return time.Since(began) > 10*time.Millisecond })
}

// A function in the user's TLS panics on the goroutine that has the outlet.
func TestOutlet_aPanicWhileConnectingIsAFailure(t *testing.T) {
	p := newPeer(t)
	server, client := peertest.Certificate()
	client.VerifyConnection = func(tls.ConnectionState) error { panic("no") }
	o := newOutlet(t, "tls://"+p.Addr().String(), outlet.Options{TLS: client})
	for attempt := range 2 { // and nobody is kept from the second
		done := make(chan error, 1)
		go func() { done <- put(context.Background(), o, attempt+1, "m") }()
		c := p.next()
		if err := tls.Server(c, server).Handshake(); err == nil {
			_, err = c.Read(make([]byte, 1))
			if err == nil {
				t.Error("the connection stays open")
			}
		}
		_ = c.Close()
		var panicked *slogworks.PanicError
		if d := peertest.DeliveryError(t, <-done); !errors.As(d, &panicked) || d.After <= 0 || d.Permanent {
			t.Errorf("the error is %+v", d)
		}
	}
}

// A function in the user's TLS ends the goroutine that has the outlet, as
// testing.T.FailNow does.
func TestOutlet_survivesGoexitWhileConnecting(t *testing.T) {
	p := newPeer(t)
	server, client := peertest.Certificate()
	client.VerifyConnection = func(tls.ConnectionState) error { runtime.Goexit(); return nil }
	o := newOutlet(t, "tls://"+p.Addr().String(), outlet.Options{TLS: client})
	for attempt := range 2 { // nobody is kept from the second, nor from a Shutdown
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = put(context.Background(), o, attempt+1, "m")
			t.Error("the goroutine goes on")
		}()
		c := p.next()
		if err := tls.Server(c, server).Handshake(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection is not closed: %v", err)
		}
		<-done
	}
}

// What is written to a connection that the peer has ended is lost, and the
// goroutine that watches it may not yet have had its turn: here, it never has.
func TestOutlet_asksAnIdleConnectionWhetherItHasEnded(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("goes by poll(2) of Linux")
	}
	for name, end := range map[string]func(c net.Conn){
		"closes":        func(c net.Conn) { _ = c.Close() },
		"half-closes":   func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() },
		"says goodbye":  func(c net.Conn) { _, _ = c.Write([]byte("bye")); _ = c.Close() },
		"breaks it off": func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
	} {
		t.Run("when the peer "+name, func(t *testing.T) {
			p := newPeer(t)
			blind := make(chan struct{})
			defer close(blind) // before the Shutdown, which waits for it
			o := newOutlet(t, p.target(), outlet.Options{Greet: func(net.Conn) (func(), error) {
				return func() { <-blind }, nil
			}})
			mustPut(t, o, "first")
			c := p.next()
			if got := line(t, c); got != "first" {
				t.Fatalf("%q arrives", got)
			}
			end(c)
			waitUntilIdle(t)
			mustPut(t, o, "second")
			if got := line(t, p.next()); got != "second" {
				t.Errorf("%q arrives", got)
			}
		})
	}
}

func TestOutlet_keepsAConnectionThatOnlyTalks(t *testing.T) {
	p := newPeer(t)
	o := newOutlet(t, p.target(), outlet.Options{})
	mustPut(t, o, "first")
	c := p.next()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	waitUntilIdle(t)
	mustPut(t, o, "second")
	for _, want := range []string{"first\n", "second\n"} {
		if got, err := r.ReadString('\n'); got != want {
			t.Errorf("%q arrives, %v; want %q", got, err, want)
		}
	}
}

func TestHangup_costsNoAllocation(t *testing.T) {
	p := newPeer(t)
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ended := outlet.HangsUp(c)
	if n := testing.AllocsPerRun(100, func() {
		if ended() {
			t.Error("the stream has ended")
		}
	}); n > 0 {
		t.Errorf("it allocates %v times", n)
	}
}

func BenchmarkHangup(b *testing.B) {
	p := newPeer(b)
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	ended := outlet.HangsUp(c)
	b.ReportAllocs()
	for b.Loop() {
		ended()
	}
}

// stages are the moments at which a call may wait for the peer.
var stages = map[string]func(t *testing.T) (target string, opts outlet.Options, reached func()){
	"connecting": func(t *testing.T) (string, outlet.Options, func()) {
		inDial := make(chan struct{}, 1)
		return "tcp://127.0.0.1:1", outlet.Options{Dial: func(ctx context.Context) (net.Conn, error) {
			inDial <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}}, func() { <-inDial }
	},
	"in the TLS handshake": func(t *testing.T) (string, outlet.Options, func()) {
		p := newPeer(t)
		return "tls://" + p.Addr().String(), outlet.Options{}, func() {
			if _, err := p.next().Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
	},
	"in the greeting": func(t *testing.T) (string, outlet.Options, func()) {
		p := newPeer(t)
		inGreet := make(chan struct{}, 1)
		return p.target(), outlet.Options{Greet: func(conn net.Conn) (func(), error) {
			inGreet <- struct{}{}
			_, err := conn.Read(make([]byte, 1))
			return nil, err
		}}, func() { <-inGreet }
	},
	"writing": func(t *testing.T) (string, outlet.Options, func()) {
		p := newPeer(t)
		return p.target(), outlet.Options{}, func() {
			if _, err := p.next().Read(make([]byte, 1)); err != nil { // the rest stays unread
				t.Error(err)
			}
		}
	},
	"writing by TLS": func(t *testing.T) (string, outlet.Options, func()) {
		p := newPeer(t)
		server, client := peertest.Certificate()
		return "tls://" + p.Addr().String(), outlet.Options{TLS: client}, func() {
			if _, err := tls.Server(p.next(), server).Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
	},
}

// huge is more than the system takes without a reader.
var huge = strings.Repeat("x", 64<<20)

func TestOutlet_shutdownEndsWhateverWaits(t *testing.T) {
	for name, stage := range stages {
		t.Run(name, func(t *testing.T) {
			target, opts, reached := stage(t)
			opts.DialTimeout, opts.WriteTimeout = time.Hour, time.Hour
			o := newOutlet(t, target, opts)
			var all sync.WaitGroup
			all.Go(func() { peertest.DeliveryError(t, put(context.Background(), o, 0, huge)) })
			reached()
			all.Go(func() { // it waits behind the first
				if err := put(context.Background(), o, 0, "second"); err != errClosed {
					t.Errorf("the second gets %v", err)
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if err := o.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "test: shutdown: ") {
				t.Errorf("Shutdown returned %v", err)
			}
			all.Wait()
			if err := o.Shutdown(ctx); err != nil {
				t.Errorf("the second Shutdown: %v", err)
			}
			if a := o.Account(); a.Stage != "test" || a.Accepted != 2 || a.Dropped["failed"] != 1 || a.Dropped["closed"] != 1 {
				t.Errorf("the account is %+v", a)
			}
		})
	}
}

func TestOutlet_theContextEndsWhateverWaits(t *testing.T) {
	for name, stage := range stages {
		t.Run(name, func(t *testing.T) {
			target, opts, reached := stage(t)
			opts.DialTimeout, opts.WriteTimeout = time.Hour, time.Hour
			o := newOutlet(t, target, opts)
			ctx, cancel := context.WithCancel(t.Context())
			first, second := make(chan error, 1), make(chan error, 1)
			go func() { first <- put(ctx, o, 1, huge) }()
			reached()
			go func() { second <- put(ctx, o, 1, "second") }()
			cancel()
			for _, err := range []error{<-first, <-second} {
				// The peer is not held to be down, because nobody knows.
				if d := peertest.DeliveryError(t, err); !errors.Is(err, context.Canceled) || d.After != 0 || d.Accepted != 0 || d.Permanent {
					t.Errorf("the error is %+v", d)
				}
			}
			if a := o.Account(); a.Accepted != 0 {
				t.Errorf("the account is %+v", a)
			}
		})
	}
}

// stuck is a connection on which, from some time on, no write ends before Close.
type stuck struct {
	net.Conn
	is     atomic.Bool
	closed chan struct{}
	close  func()
}

func (c *stuck) Write(p []byte) (int, error) {
	if c.is.Load() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

func (c *stuck) Close() error {
	c.close()
	return c.Conn.Close()
}

// TLS says goodbye, but to a peer that takes nothing only as long as there is
// time.
func TestOutlet_shutdownDoesNotWaitToSayGoodbye(t *testing.T) {
	p := newPeer(t)
	server, client := peertest.Certificate()
	c := &stuck{closed: make(chan struct{})}
	c.close = sync.OnceFunc(func() { close(c.closed) })
	o := newOutlet(t, "tls://"+p.Addr().String(), outlet.Options{TLS: client, Dial: func(ctx context.Context) (_ net.Conn, err error) {
		c.Conn, err = new(net.Dialer).DialContext(ctx, "tcp", p.Addr().String())
		return c, err
	}})
	done := make(chan error, 1)
	go func() { done <- put(t.Context(), o, 0, "m") }()
	if _, err := tls.Server(p.next(), server).Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c.is.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// A context that ends just after a write cuts the link, which is no failure of
// the next.
func TestOutlet_doesNotWriteToALinkThatWasCut(t *testing.T) {
	p := newPeer(t)
	ctx, cancel := context.WithCancel(t.Context())
	blind := make(chan struct{})
	defer close(blind) // before the Shutdown, which waits for it
	o := newOutlet(t, p.target(), outlet.Options{
		Dial: func(dialing context.Context) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(dialing, "tcp", p.Addr().String())
			if ctx.Err() != nil {
				return conn, err
			}
			closed := make(chan struct{})
			return &lateCancel{conn, func() { cancel(); <-closed }, sync.OnceFunc(func() { close(closed) })}, err
		},
		Greet: func(net.Conn) (func(), error) { return func() { <-blind }, nil },
	})
	if err := put(ctx, o, 1, "first"); err != nil {
		t.Fatal(err)
	}
	if got := line(t, p.next()); got != "first" {
		t.Errorf("%q arrives", got)
	}
	mustPut(t, o, "second")
	if got := line(t, p.next()); got != "second" {
		t.Errorf("%q arrives", got)
	}
}

// lateCancel is a connection that is done with a write when something happens.
type lateCancel struct {
	net.Conn
	afterWrite, close func()
}

func (c *lateCancel) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.afterWrite()
	return n, err
}

func (c *lateCancel) Close() error {
	c.close()
	return c.Conn.Close()
}

func TestOutlet_repeatsWhatWasWrittenInPart(t *testing.T) {
	p := newPeer(t)
	o := newOutlet(t, p.target(), outlet.Options{WriteTimeout: 500 * time.Millisecond})
	lines := slices.Repeat([]string{huge[:100_000]}, 200)
	d := peertest.DeliveryError(t, put(t.Context(), o, 1, lines...))
	if d.Accepted <= 0 || d.Accepted >= len(lines) || d.After < 45*time.Minute || !errors.Is(d, os.ErrDeadlineExceeded) {
		t.Fatalf("the error is %+v", d)
	}
	all, _ := io.ReadAll(p.next())
	if whole := len(all) / 100_001; whole != d.Accepted || len(all)%100_001 == 0 {
		t.Errorf("%d bytes, which are %d lines and a part, arrive; %d are accepted", len(all), whole, d.Accepted)
	}
}

func TestOutlet_connectsAgainAtOnceOnce(t *testing.T) {
	p := newPeer(t)
	o := newOutlet(t, p.target(), outlet.Options{})
	mustPut(t, o, "first")
	_ = p.next().Close()
	_ = p.Close()
	var d *slogworks.DeliveryError
	peertest.WaitFor(t, "the peer is seen to be gone", func() bool {
		err := put(t.Context(), o, 1, "second")
		if err != nil {
			d = peertest.DeliveryError(t, err)
		}
		return err != nil && strings.Contains(err.Error(), "connect: ")
	})
	if d.After < 45*time.Minute {
		t.Errorf("the error is %+v", d)
	}
	if d := peertest.DeliveryError(t, put(t.Context(), o, 0, "third")); d.After <= 0 || !strings.Contains(d.Error(), "test: waiting after a failure: connect") {
		t.Errorf("the error is %+v", d)
	}
}

func TestOutlet_leavesNoDescriptors(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts in /proc")
	}
	count := func() int {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	p := newPeer(t)
	_, client := peertest.Certificate()
	plain := newOutlet(t, p.target(), outlet.Options{})
	secure := newOutlet(t, "tls://"+p.Addr().String(), outlet.Options{TLS: client})
	refused := newOutlet(t, p.target(), outlet.Options{Greet: func(net.Conn) (func(), error) { return nil, errors.New("no") }})
	round := func() {
		done := make(chan error, 1)
		go func() { done <- put(t.Context(), secure, 1, "m") }()
		_ = p.next().Close()
		peertest.DeliveryError(t, <-done)
		peertest.DeliveryError(t, put(t.Context(), refused, 1, "m"))
		_ = p.next().Close()
		mustPut(t, plain, "m")
		c := p.next()
		line(t, c)
		_ = c.Close()
		waitUntilIdle(t)
	}
	round()
	before := count()
	for range 20 {
		round()
	}
	peertest.WaitFor(t, "the descriptors are closed", func() bool { return count() <= before+2 })
}

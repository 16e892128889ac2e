package socket_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/socket"
)

// peer is a listener whose connections the test reads itself.
type peer struct {
	net.Listener
	t     testing.TB
	conns chan net.Conn
}

func newPeer(t testing.TB) *peer {
	p := &peer{listen(t, "tcp", "127.0.0.1:0"), t, make(chan net.Conn, 16)}
	go func() {
		for {
			c, err := p.Accept()
			if err != nil {
				return
			}
			p.conns <- c
		}
	}()
	t.Cleanup(func() {
		_ = p.Close()
		for {
			select {
			case c := <-p.conns:
				_ = c.Close()
			default:
				return
			}
		}
	})
	return p
}

func (p *peer) target() string { return "tcp://" + p.Addr().String() }

func (p *peer) next() net.Conn {
	p.t.Helper()
	select {
	case c := <-p.conns:
		p.t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(peertest.Patience))
		return c
	case <-time.After(peertest.Patience):
		p.t.Fatal("nobody connects")
		return nil
	}
}

func TestHandler_framesAsAsked(t *testing.T) {
	const pattern = `\{"t":"2026-01-02T12:00:00Z","l":0,"m":"hello","h":"web1","p":"shop","pid":\d+,"a":\[\{"k":"n","t":"i","v":1\}\],"q":%d,"b":"[A-Z2-7]{26}"\}`
	for framing, read := range map[socket.Framing]func(r *bufio.Reader) (string, error){
		socket.Length32: func(r *bufio.Reader) (string, error) {
			var n uint32
			if err := binary.Read(r, binary.BigEndian, &n); err != nil {
				return "", err
			}
			b := make([]byte, n)
			_, err := io.ReadFull(r, b)
			return string(b), err
		},
		socket.LF: func(r *bufio.Reader) (string, error) {
			line, err := r.ReadString('\n')
			return strings.TrimSuffix(line, "\n"), err
		},
		socket.Octet: func(r *bufio.Reader) (string, error) {
			var n int
			if _, err := fmt.Fscanf(r, "%d ", &n); err != nil {
				return "", err
			}
			b := make([]byte, n)
			_, err := io.ReadFull(r, b)
			return string(b), err
		},
	} {
		t.Run(fmt.Sprintf("framing %d", framing), func(t *testing.T) {
			p := newPeer(t)
			h := newSender(t, p.target(), socket.Options{Framing: framing})
			for range 12 { // the number gets a second digit
				peertest.Handle(t, h, peertest.Record("hello", slog.Int("n", 1)))
			}
			r := bufio.NewReader(p.next())
			for i := range 12 {
				frame, err := read(r)
				if err != nil {
					t.Fatal(err)
				}
				if !regexp.MustCompile("^" + fmt.Sprintf(pattern, i+1) + "$").MatchString(frame) {
					t.Errorf("frame %d is %s", i+1, frame)
				}
			}
		})
	}
}

func TestHandler_keepsKindsAndDerivations(t *testing.T) {
	s := serve(t, new(socket.Receiver))
	h := newSender(t, "tcp://"+s.address, socket.Options{})
	derived := h.WithAttrs([]slog.Attr{slog.String("logger", "a.b"), slog.Duration("d", time.Second)}).WithGroup("g")
	peertest.Handle(t, derived, peertest.Record("m", slog.Any("err", io.EOF), slog.Uint64("u", 1<<63)))
	s.wait(t, 1)
	got := regexp.MustCompile(`"pid":\d+`).ReplaceAllString(s.lines()[0], `"pid":7`)
	if want := `{"time":"2026-01-02T12:00:00Z","level":"INFO","msg":"m","logger":"a.b","host":"web1","process":"shop","pid":7,"d":1000000000,"g":{"err":"EOF","u":9223372036854775808}}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var pid slog.Value
	s.records.Items()[0].Record.Attrs(func(a slog.Attr) bool {
		if a.Key == "pid" {
			pid = a.Value
		}
		return true
	})
	if pid.Int64() != int64(os.Getpid()) {
		t.Errorf("pid is %v, want %d", pid, os.Getpid())
	}
}

func TestHandler_nilOptionsMeanZeroOptions(t *testing.T) {
	s := serve(t, new(socket.Receiver))
	for _, opts := range []*socket.Options{nil, {}} {
		h := socket.New("tcp://"+s.address, opts)
		peertest.Handle(t, h, slog.NewRecord(peertest.Time, slog.LevelDebug-100, "m", 0))
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s.wait(t, 2)
	if lines := s.lines(); lines[0] != lines[1] {
		t.Errorf("%s\nand\n%s\ndiffer", lines[0], lines[1])
	}
}

func TestHandler_doesNotWriteItsOptions(t *testing.T) {
	config := &tls.Config{}
	opts := socket.Options{TLS: config}
	if err := socket.New("tls://127.0.0.1:1", &opts).Close(); err != nil {
		t.Fatal(err)
	}
	if config.ServerName != "" || opts.MaxFrame != 0 || opts.Host != "" || opts.TLS != config {
		t.Errorf("the options are %+v now", &opts)
	}
}

func TestNew_panicsAtWhatCheckFinds(t *testing.T) {
	for _, test := range []struct {
		target string
		opts   *socket.Options
	}{
		{"", nil},
		{"127.0.0.1:9020", nil},
		{"http://127.0.0.1:9020", nil},
		{"tcp://127.0.0.1", nil},
		{"tcp://127.0.0.1:", nil},
		{"tcp://127.0.0.1:9020/path", nil},
		{"tcp://user:secret@127.0.0.1:9020", nil},
		{"tcp://127.0.0.1:9020?token=secret", nil},
		{"tcp://secret\x00", nil},
		{"unix://relative", nil},
		{"unix://", nil},
		{"tcp://127.0.0.1:9020", &socket.Options{TLS: new(tls.Config)}},
		{"udp://127.0.0.1:9020", &socket.Options{Ack: true}},
		{"tcp://127.0.0.1:9020", &socket.Options{Framing: 3}},
		{"tcp://127.0.0.1:9020", &socket.Options{Token: "secret\xff"}},
		{"udp://127.0.0.1:9020", &socket.Options{Token: strings.Repeat("secret", 400)}},
	} {
		t.Run(test.target, func(t *testing.T) {
			err := socket.Check(test.target, test.opts)
			if err == nil {
				t.Fatal("Check finds nothing")
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error has a secret in it: %v", err)
			}
			defer func() {
				if p := recover(); p != err.Error() {
					t.Errorf("New panics with %v, want %q", p, err)
				}
			}()
			socket.New(test.target, test.opts)
		})
	}
}

func TestHandler_level(t *testing.T) {
	var level slog.LevelVar
	h := newSender(t, "tcp://127.0.0.1:1", socket.Options{Level: &level})
	if h.Enabled(t.Context(), slog.LevelDebug) || !h.Enabled(t.Context(), slog.LevelInfo) {
		t.Error("Enabled does not go by Level")
	}
	level.Set(slog.LevelDebug)
	if !h.Enabled(t.Context(), slog.LevelDebug) {
		t.Error("Level is not read again")
	}
}

// closedPort returns the address of a port where nobody listens.
func closedPort(t testing.TB) string {
	l := listen(t, "tcp", "127.0.0.1:0")
	defer l.Close()
	return l.Addr().String()
}

func delivery(t testing.TB, err error) *slogworks.DeliveryError {
	t.Helper()
	d, ok := err.(*slogworks.DeliveryError)
	if !ok {
		t.Fatalf("the error is %T %v, want a *slogworks.DeliveryError", err, err)
	}
	return d
}

func batchOf(attempt int, id string, messages ...string) slogworks.Batch {
	b := slogworks.Batch{ID: id, Attempt: attempt}
	for _, m := range messages {
		b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: peertest.Record(m)})
	}
	return b
}

func TestHandler_saysForHowLongThePeerIsDown(t *testing.T) {
	address := closedPort(t)
	h := newSender(t, "tcp://"+address, socket.Options{Backoff: slogworks.Backoff{Min: time.Hour, Max: 8 * time.Hour}})

	first := delivery(t, h.Handle(t.Context(), peertest.Record("first")))
	if first.After < 45*time.Minute || first.After > time.Hour || first.Permanent {
		t.Errorf("the first error is %+v, want After of about an hour", first)
	}
	// Now there is somebody, whom nobody asks before the time is over.
	s := serveOn(t, new(socket.Receiver), listen(t, "tcp", address))
	second := delivery(t, h.Handle(t.Context(), peertest.Record("second")))
	if second.After <= 0 || second.After > first.After {
		t.Errorf("the second error is %+v, want the rest of %v", second, first.After)
	}
	if s.Stats().Connections != 0 {
		t.Error("the sender has connected")
	}
	// Whoever counts attempts has waited.
	if err := h.HandleBatch(t.Context(), batchOf(1, "id", "third", "fourth")); err != nil {
		t.Fatal(err)
	}
	peertest.Handle(t, h, peertest.Record("fifth"))
	s.wait(t, 3)
	if a := h.Account(); a.Delivered != 3 || a.Dropped["failed"] != 2 || a.Accepted != 5 {
		t.Errorf("the account is %+v", a)
	}
}

func TestHandler_comesBackAtOnceWhenAConnectionEnds(t *testing.T) {
	p := newPeer(t)
	h := newSender(t, p.target(), socket.Options{Backoff: slogworks.Backoff{Min: time.Hour, Max: time.Hour}, Framing: socket.LF})
	peertest.Handle(t, h, peertest.Record("first"))
	c := p.next()
	peertest.WaitFor(t, "the sender watches", func() bool { return strings.Contains(peertest.Stacks(), "(*link).watch") })
	_ = c.Close()
	// The sender learns of it by itself, and the next record goes to the next
	// connection and not into the void.
	peertest.WaitFor(t, "the sender notices", func() bool { return !strings.Contains(peertest.Stacks(), "(*link).watch") })
	peertest.Handle(t, h, peertest.Record("second"))
	line, err := bufio.NewReader(p.next()).ReadString('\n')
	if err != nil || !strings.Contains(line, `"m":"second"`) {
		t.Errorf("the second connection brings %q, %v", line, err)
	}
}

func TestHandler_hasADeadlineOnEveryWrite(t *testing.T) {
	for name, opts := range map[string]socket.Options{
		"that nobody reads":        {WriteTimeout: 50 * time.Millisecond},
		"that nobody acknowledges": {WriteTimeout: 50 * time.Millisecond, Ack: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t)
			opts.Backoff = slogworks.Backoff{Min: time.Hour, Max: time.Hour}
			h := newSender(t, p.target(), opts)
			if opts.Ack {
				go func() {
					c := p.next()
					_, _ = c.Write([]byte{0, 0, 0, 0, 0, 16, 0, 0})
				}()
			}
			big := strings.Repeat("x", 1<<19)
			var err error
			for i := 0; err == nil && i < 100; i++ {
				err = h.HandleBatch(t.Context(), batchOf(1, "", big, big))
			}
			d := delivery(t, err)
			if d.After < 45*time.Minute || d.Accepted == 2 || d.Uncertain != opts.Ack {
				t.Errorf("the error is %+v", d)
			}
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("the error %v is not that of a deadline", err)
			}
		})
	}
	t.Run("on connecting, the receiver's answer included", func(t *testing.T) {
		p := newPeer(t)
		h := newSender(t, p.target(), socket.Options{DialTimeout: 50 * time.Millisecond, Token: "x"})
		if d := delivery(t, h.Handle(t.Context(), peertest.Record("m"))); d.After <= 0 {
			t.Errorf("the error is %+v", d)
		}
	})
}

func TestHandler_countsWhatWasWritten(t *testing.T) {
	p := newPeer(t)
	h := newSender(t, p.target(), socket.Options{WriteTimeout: 50 * time.Millisecond})
	messages := slices.Repeat([]string{strings.Repeat("x", 100_000)}, 200) // 20 MB, more than the system takes
	d := delivery(t, h.HandleBatch(t.Context(), batchOf(1, "id", messages...)))
	if d.Accepted == 0 || d.Accepted == len(messages) {
		t.Fatalf("the error is %+v", d)
	}
	n := 0
	r := bufio.NewReader(p.next())
	for {
		var length uint32
		if binary.Read(r, binary.BigEndian, &length) != nil {
			break
		}
		if _, err := r.Discard(int(length)); err != nil {
			break
		}
		n++
	}
	if n != d.Accepted {
		t.Errorf("%d whole frames were written, %d accepted", n, d.Accepted)
	}
}

func TestHandler_tokenMustBeRight(t *testing.T) {
	s := serve(t, &socket.Receiver{Token: "right"})
	h := newSender(t, "tcp://"+s.address, socket.Options{Token: "right"})
	peertest.Handle(t, h, peertest.Record("m"))
	s.wait(t, 1)

	wrong := newSender(t, "tcp://"+s.address, socket.Options{Token: "wrong"})
	err := wrong.Handle(t.Context(), peertest.Record("m"))
	if d := delivery(t, err); d.After <= 0 {
		t.Errorf("the error is %+v", d)
	}
	if !strings.Contains(err.Error(), "check the token") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("the error is %q", err)
	}
	// The receiver goes on.
	peertest.Handle(t, h, peertest.Record("m"))
	peertest.WaitFor(t, "the record", func() bool { return s.Stats().Written == 2 })
}

func TestHandler_tokenInDatagrams(t *testing.T) {
	s := servePacket(t, &socket.Receiver{Token: "right"}, "udp", "127.0.0.1:0")
	h := newSender(t, "udp://"+s.address, socket.Options{Token: "right"})
	peertest.Handle(t, h, peertest.Record(strings.Repeat("x", 1<<20)))
	s.wait(t, 1)
	if got := s.Stats(); got.Written != 1 {
		t.Errorf("the counts are %+v, with %v", got, s.errors.all())
	}
}

func TestHandler_sendsNoLongerFramesThanTheReceiverTakes(t *testing.T) {
	s := serve(t, &socket.Receiver{MaxFrame: 4096})
	for name, opts := range map[string]socket.Options{
		"as it is told":      {Ack: true},
		"as its options say": {MaxFrame: 4096},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Stats().Written
			h := newSender(t, "tcp://"+s.address, opts)
			peertest.Handle(t, h, peertest.Record(strings.Repeat("x", 100_000), slog.Int("n", 1)))
			peertest.WaitFor(t, "the record", func() bool { return s.Stats().Written == before+1 })
			items := s.records.Items()
			if got := asJSON(items[len(items)-1].Record); !strings.Contains(got, `x!truncated"`) || !strings.Contains(got, `"!truncated":100`) || len(got) > 4096 {
				t.Errorf("the record is %d bytes, %.100s…", len(got), got)
			}
		})
	}
}

func TestHandler_cutsWhatIsTooLongForADatagram(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("goes by what Linux takes as a datagram")
	}
	path := socketPath(t)
	s := servePacket(t, new(socket.Receiver), "unixgram", path)
	h := newSender(t, "unixgram://"+path, socket.Options{})
	peertest.Handle(t, h, peertest.Record("first"))
	if err := h.HandleBatch(t.Context(), batchOf(1, "id", "second", strings.Repeat("x", 1<<20), "third")); err != nil {
		t.Fatal(err)
	}
	s.wait(t, 4) // the long one is cut to what a datagram can have
	if a := h.Account(); a.Delivered != 4 {
		t.Errorf("the account is %+v", a)
	}
}

func TestHandler_datagramsReturnWhenThePeerDoes(t *testing.T) {
	path := socketPath(t)
	h := newSender(t, "unixgram://"+path, socket.Options{})
	delivery(t, h.Handle(t.Context(), peertest.Record("nobody there")))
	r := &socket.Receiver{Handler: new(handlertest.Recorder)}
	p, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.ServePacket(p) }()
	if err := h.HandleBatch(t.Context(), batchOf(1, "", "a", "b")); err != nil {
		t.Fatal(err)
	}
	peertest.WaitFor(t, "the records", func() bool { return r.Stats().Written == 2 })
	_ = r.Close()
	<-done
	_ = os.Remove(path)
	d := delivery(t, h.HandleBatch(t.Context(), batchOf(1, "", "c")))
	if d.Accepted != 0 {
		t.Errorf("the error is %+v", d)
	}
}

func TestHandler_shutdown(t *testing.T) {
	stalled := func(t *testing.T) (*socket.Handler, chan error) {
		p := newPeer(t)
		h := newSender(t, p.target(), socket.Options{})
		done := make(chan error, 1)
		go func() {
			var err error
			for err == nil {
				err = h.Handle(context.Background(), peertest.Record(strings.Repeat("x", 1<<19)))
			}
			done <- err
		}()
		c := p.next()
		_ = c.SetReadDeadline(time.Now().Add(peertest.Patience))
		if _, err := io.ReadFull(c, make([]byte, 10)); err != nil { // it is sending
			t.Fatal(err)
		}
		return h, done
	}
	t.Run("cuts off what is stalled when its time is over", func(t *testing.T) {
		h, done := stalled(t)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := h.Shutdown(ctx)
		if sent := <-done; err != nil {
			delivery(t, sent)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown returned %v", err)
			}
		} else if !errors.Is(sent, socket.ErrClosed) {
			t.Errorf("Handle returned %v", sent)
		}
		if err := h.Handle(t.Context(), peertest.Record("late")); !errors.Is(err, socket.ErrClosed) {
			t.Errorf("Handle returned %v after Shutdown", err)
		}
		if err := h.Shutdown(t.Context()); err != nil {
			t.Errorf("the second Shutdown: %v", err)
		}
	})
	t.Run("HandleBatch ends with its context", func(t *testing.T) {
		p := newPeer(t)
		h := newSender(t, p.target(), socket.Options{Ack: true})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.HandleBatch(ctx, batchOf(1, "", "m")) }()
		c := p.next()
		_, _ = c.Write([]byte{0, 0, 0, 0, 0, 16, 0, 0})
		r := bufio.NewReader(c)
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ReadByte(); err != nil { // the record
			t.Fatal(err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("HandleBatch returned %v", err)
		}
	})
	t.Run("delivers before it closes", func(t *testing.T) {
		s := serve(t, new(socket.Receiver))
		h := newSender(t, "tcp://"+s.address, socket.Options{})
		for range 100 {
			peertest.Handle(t, h, peertest.Record("m"))
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		s.wait(t, 100)
	})
}

// A batch is sent again under its numbers only if it is the same records: one
// with the number of another would be dropped as a repetition.
func TestHandler_numbersAChangedBatchAnew(t *testing.T) {
	p := newPeer(t)
	h := newSender(t, p.target(), socket.Options{Ack: true, Framing: socket.LF})
	numbers := func(b slogworks.Batch) string {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- h.HandleBatch(t.Context(), b) }()
		c := p.next()
		_, _ = c.Write([]byte{0, 0, 0, 0, 0, 16, 0, 0})
		r := bufio.NewReader(c)
		if _, err := r.ReadString('\n'); err != nil { // the greeting
			t.Fatal(err)
		}
		var all []string
		for range b.Items {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, regexp.MustCompile(`"q":(\d+)`).FindStringSubmatch(line)[1])
		}
		_ = c.Close()
		if d := delivery(t, <-done); d.Accepted != 0 || !d.Uncertain {
			t.Fatalf("the error is %+v", d)
		}
		return strings.Join(all, " ")
	}
	for _, test := range []struct {
		batch slogworks.Batch
		want  string
	}{
		{batchOf(1, "id", "a", "b", "c"), "1 2 3"},
		{batchOf(2, "id", "a", "b", "c"), "1 2 3"},
		{batchOf(3, "id", "b", "c"), "4 5"},
		{batchOf(4, "id", "b", "c"), "4 5"},
		{batchOf(1, "other", "d", "e"), "6 7"},
		{batchOf(5, "id", "b", "c"), "8 9"},
	} {
		if got := numbers(test.batch); got != test.want {
			t.Errorf("batch %s of %d has the numbers %s, want %s", test.batch.ID, len(test.batch.Items), got, test.want)
		}
	}
}

func TestHandler_allocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, framing := range []socket.Framing{socket.Length32, socket.LF, socket.Octet} {
		p := newPeer(t)
		h := newSender(t, p.target(), socket.Options{Framing: framing})
		r := peertest.Record("m", slog.String("s", "x"), slog.Int("i", 1), slog.Bool("b", true), slog.Duration("d", 1), slog.Float64("f", 1.5))
		peertest.Handle(t, h, r)
		c := p.next()
		_ = c.SetDeadline(time.Time{})
		go func() { _, _ = io.Copy(io.Discard, c) }()
		if n := testing.AllocsPerRun(1000, func() { peertest.Handle(t, h, r) }); n > 0 {
			t.Errorf("framing %d: Handle allocates %v times", framing, n)
		}
	}
}

// What listens at a wrong port may answer anything, and has taken nothing.
func TestHandler_takesNoOtherServerForAReceiver(t *testing.T) {
	limit := string(binary.BigEndian.AppendUint64(nil, 1<<20))
	for name, answer := range map[string]string{
		"a mail server":                       "220 mail.example.com ESMTP ready for you\r\n",
		"a web server":                        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
		"one that acknowledges what was not":  limit + "\x00\x00\x00\x00\x00\x00\x00\x09",
		"one that acknowledges all there are": limit + "\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var serving sync.WaitGroup
			serving.Go(func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, answer)
				_, _ = io.Copy(io.Discard, conn)
			})
			h := newSender(t, "tcp://"+l.Addr().String(), socket.Options{Ack: true})
			d := peertest.DeliveryError(t, h.Handle(t.Context(), peertest.Record("hello")))
			if d.Accepted != 0 || !strings.Contains(d.Error(), "no slogworks receiver") {
				t.Errorf("the error is %v", d)
			}
			if a := h.Account(); a.Delivered != 0 {
				t.Errorf("the account is %+v", a)
			}
			_ = l.Close()
			serving.Wait()
		})
	}
}

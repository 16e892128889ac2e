package syslog_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/syslog"
)

func TestHandler_sendsOverEveryTransport(t *testing.T) {
	for name, test := range map[string]struct {
		scheme string
		opts   syslog.Options
	}{
		"udp":          {"udp", syslog.Options{}},
		"tcp":          {"tcp", syslog.Options{}},
		"tcp by lines": {"tcp", syslog.Options{Framing: syslog.LF}},
		"tls":          {"tls", syslog.Options{}},
		"unix":         {"unix", syslog.Options{}},
		"unixgram":     {"unixgram", syslog.Options{}},
		"RFC 3164":     {"tcp", syslog.Options{Format: syslog.RFC3164}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDaemon(t, test.scheme, "", test.opts.Framing)
			h := newHandler(t, d.target, test.opts)
			nasty := "a\n<34>1 - - - - - - forged\x00\n☃"
			peertest.Handle(t, h, peertest.Record(nasty, slog.String("k", nasty+`"]`)))
			if err := h.HandleBatch(t.Context(), peertest.Batch(1, "second", "third")); err != nil {
				t.Fatal(err)
			}
			got := d.await(t, 3)
			for i, want := range []string{"forged#000", "second", "third"} {
				if !strings.Contains(got[i], want) {
					t.Errorf("message %d is %q, want %q in it", i, got[i], want)
				}
				if test.opts.Format != syslog.RFC3164 {
					mustParse(t, got[i])
				}
			}
			if a := h.Account(); a.Delivered != 3 || a.Accepted != 3 {
				t.Errorf("the account is %+v", a)
			}
		})
	}
}

func TestHandler_local(t *testing.T) {
	nobody := socketFile(t)
	for _, scheme := range []string{"unixgram", "unix"} {
		t.Run(scheme, func(t *testing.T) {
			path := socketFile(t)
			defer syslog.SetLocalPaths(nobody, path)()
			h := newHandler(t, syslog.Local, syslog.Options{})
			if err := h.Handle(t.Context(), peertest.Record("m")); !errors.Is(peertest.DeliveryError(t, err), os.ErrNotExist) || !strings.Contains(err.Error(), "no daemon on this machine") {
				t.Errorf("the error is %v", err)
			}
			d := newDaemon(t, scheme, path, syslog.LF)
			if err := h.HandleBatch(t.Context(), peertest.Batch(2, "m")); err != nil {
				t.Fatal(err)
			}
			// The form of syslog(3), which has no host name.
			if want := "<14>" + peertest.Time.Local().Format(time.Stamp) + " shop[7]: m"; d.await(t, 1)[0] != want {
				t.Errorf("the message is %q, want %q", d.all(), want)
			}
		})
	}
}

func TestHandler_zeroOptionsAreTheDefault(t *testing.T) {
	var got [2]string
	for i, opts := range []*syslog.Options{nil, {}} {
		got[i] = syslog.Message("udp://127.0.0.1:514", opts, peertest.Record("m", slog.Int("k", 1)))
		if c := syslog.Check("tcp://127.0.0.1:514", opts); c != nil {
			t.Error(c)
		}
	}
	if got[0] != got[1] || !strings.HasPrefix(got[0], "<14>1 2026") || !strings.Contains(got[0], " "+strconv.Itoa(os.Getpid())+" - [slog@32473 k=") {
		t.Errorf("the messages are %q", got)
	}
	opts := syslog.Options{TLS: new(tls.Config)}
	before := opts
	newHandler(t, "tls://127.0.0.1:6514", opts)
	if !reflect.DeepEqual(opts, before) || opts.TLS.ServerName != "" {
		t.Errorf("the options have changed: %+v", opts)
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		target string
		opts   syslog.Options
		want   string
	}{
		{"tcp://127.0.0.1", syslog.Options{}, "want tcp://HOST:PORT"},
		{"http://127.0.0.1:1", syslog.Options{}, "want tcp://HOST:PORT, tls://, udp://"},
		{"udp://user:secret@127.0.0.1:1", syslog.Options{}, "want nothing but an address"},
		{"udp://127.0.0.1:1?token=secret", syslog.Options{}, "want nothing but an address"},
		{"udp://user:secret@127.0.0.1:%%%", syslog.Options{}, "not a URL"},
		{"unix://dev/log", syslog.Options{}, "want unix:///PATH"},
		{"tcp://127.0.0.1:1", syslog.Options{TLS: new(tls.Config)}, "want tls://"},
		{"tcp://127.0.0.1:1", syslog.Options{Format: 3}, "want RFC5424 or RFC3164"},
		{"tcp://127.0.0.1:1", syslog.Options{Framing: -1}, "want Octet or LF"},
		{"tcp://127.0.0.1:1", syslog.Options{Facility: 24}, "want one from User"},
		{"tcp://127.0.0.1:1", syslog.Options{SDID: "a@b"}, "want a name and a number"},
		{"tcp://127.0.0.1:1", syslog.Options{SDID: `a"]@1`}, "want a name and a number"},
		{"tcp://127.0.0.1:1", syslog.Options{SDID: "reserved"}, "want a name and a number"},
	} {
		err := syslog.Check(test.target, &test.opts)
		if err == nil || !strings.HasPrefix(err.Error(), "syslog: ") || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s %+v: %v, want %q", test.target, test.opts, err, test.want)
		}
		func() {
			defer func() {
				if p := recover(); p != err.Error() {
					t.Errorf("New panics with %v, want %v", p, err)
				}
			}()
			syslog.New(test.target, &test.opts)
		}()
	}
}

func TestFacility_namesAreRead(t *testing.T) {
	for _, f := range []syslog.Facility{syslog.User, syslog.AuthPriv, syslog.Local0, syslog.Local7} {
		name, err := f.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got syslog.Facility
		if err := got.UnmarshalText([]byte(strings.ToUpper(string(name)))); err != nil || got != f {
			t.Errorf("%q is %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "kern", "local8"} {
		f := syslog.Mail
		if err := f.UnmarshalText([]byte(name)); err == nil || f != syslog.Mail {
			t.Errorf("%q is %v, %v", name, f, err)
		}
	}
	if got := syslog.Facility(99).String(); got != "Facility(99)" {
		t.Errorf("it is %q", got)
	}
}

func TestHandler_saysWhenToComeBack(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	h := newHandler(t, "tcp://"+address, syslog.Options{Backoff: slogworks.Backoff{Min: time.Hour, Max: time.Hour}})
	first := peertest.DeliveryError(t, h.Handle(t.Context(), peertest.Record("first")))
	if first.After < 45*time.Minute || first.Accepted != 0 || first.Permanent {
		t.Errorf("the error is %+v", first)
	}
	d := newDaemon(t, "tcp", address, syslog.Octet)
	if second := peertest.DeliveryError(t, h.Handle(t.Context(), peertest.Record("second"))); second.After <= 0 || second.After > first.After {
		t.Errorf("the second error is %+v, want the rest of %v", second, first.After)
	}
	if d.connections() != 0 {
		t.Error("the handler has connected")
	}
	// Whoever counts attempts has waited.
	if err := h.HandleBatch(t.Context(), peertest.Batch(1, "third", "fourth")); err != nil {
		t.Fatal(err)
	}
	peertest.Handle(t, h, peertest.Record("fifth"))
	d.await(t, 3)
	if a := h.Account(); a.Delivered != 3 || a.Dropped["failed"] != 2 || a.Accepted != 5 {
		t.Errorf("the account is %+v", a)
	}
}

func TestHandler_noticesAPeerThatRestarts(t *testing.T) {
	for _, scheme := range []string{"tcp", "tls", "unix"} {
		t.Run(scheme, func(t *testing.T) {
			d := newDaemon(t, scheme, "", syslog.Octet)
			h := newHandler(t, d.target, syslog.Options{Backoff: slogworks.Backoff{Min: time.Hour, Max: time.Hour}})
			peertest.Handle(t, h, peertest.Record("first"))
			d.await(t, 1)
			peertest.WaitFor(t, "the handler watches", func() bool { return strings.Contains(stacks(), "(*link).watch") })
			d.hangUp()
			// The handler learns of it by itself, and the next record goes to the
			// next connection and not into the void.
			peertest.WaitFor(t, "the handler notices", func() bool { return !strings.Contains(stacks(), "(*link).watch") })
			peertest.Handle(t, h, peertest.Record("second"))
			d.await(t, 2)
		})
	}
	t.Run("unixgram", func(t *testing.T) {
		path := socketFile(t)
		d := newDaemon(t, "unixgram", path, 0)
		h := newHandler(t, d.target, syslog.Options{})
		peertest.Handle(t, h, peertest.Record("first"))
		d.await(t, 1)
		d.stop()
		_ = os.Remove(path)
		if e := peertest.DeliveryError(t, h.HandleBatch(t.Context(), peertest.Batch(1, "second"))); e.Accepted != 0 {
			t.Errorf("the error is %+v", e)
		}
		again := newDaemon(t, "unixgram", path, 0)
		if err := h.HandleBatch(t.Context(), peertest.Batch(2, "second")); err != nil {
			t.Fatal(err)
		}
		again.await(t, 1)
	})
}

func TestHandler_hasADeadlineOnEveryWrite(t *testing.T) {
	for _, scheme := range []string{"tcp", "unixgram"} {
		t.Run(scheme, func(t *testing.T) {
			var address string
			if scheme == "tcp" {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				address = l.Addr().String()
			} else {
				p, err := net.ListenPacket("unixgram", socketFile(t))
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				address = p.LocalAddr().String()
			}
			h := newHandler(t, scheme+"://"+address, syslog.Options{WriteTimeout: 50 * time.Millisecond, MaxRecordBytes: 1 << 20, Backoff: slogworks.Backoff{Min: time.Hour, Max: time.Hour}})
			size := 1 << 19
			if scheme == "unixgram" {
				size = 1 << 10
			}
			var err error
			for range 10_000 {
				if err = h.Handle(t.Context(), peertest.Record(strings.Repeat("x", size))); err != nil {
					break
				}
			}
			if e := peertest.DeliveryError(t, err); e.After < 45*time.Minute || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the error is %+v", e)
			}
		})
	}
	t.Run("on TLS that does not answer", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		h := newHandler(t, "tls://"+l.Addr().String(), syslog.Options{DialTimeout: 50 * time.Millisecond})
		if e := peertest.DeliveryError(t, h.Handle(t.Context(), peertest.Record("m"))); !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("the error is %+v", e)
		}
	})
}

func TestHandler_countsWhatWasWritten(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := newHandler(t, "tcp://"+l.Addr().String(), syslog.Options{WriteTimeout: 50 * time.Millisecond, MaxRecordBytes: 1 << 20})
	messages := slices.Repeat([]string{strings.Repeat("x", 100_000)}, 200) // 20 MB, more than the system takes
	e := peertest.DeliveryError(t, h.HandleBatch(t.Context(), peertest.Batch(1, messages...)))
	if e.Accepted == 0 || e.Accepted == len(messages) {
		t.Fatalf("the error is %+v", e)
	}
	if a := h.Account(); a.Delivered != uint64(e.Accepted) || a.Accepted != a.Delivered {
		t.Errorf("the account is %+v", a)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(peertest.Patience))
	r := bufio.NewReader(conn)
	n := 0
	for {
		length, err := r.ReadString(' ')
		if err != nil {
			break
		}
		size, err := strconv.Atoi(strings.TrimSuffix(length, " "))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Discard(size); err != nil {
			break
		}
		n++
	}
	if n != e.Accepted {
		t.Errorf("%d whole messages were written, %d accepted", n, e.Accepted)
	}
}

func TestHandler_skipsADatagramThatTheSystemDoesNotTake(t *testing.T) {
	d := newDaemon(t, "unixgram", "", 0)
	h := newHandler(t, d.target, syslog.Options{MaxRecordBytes: 16 << 20})
	if err := h.HandleBatch(t.Context(), peertest.Batch(1, "first", strings.Repeat("x", 8<<20), "third")); err != nil {
		t.Fatal(err)
	}
	d.await(t, 2)
	if a := h.Account(); a.Delivered != 2 || a.Dropped["too long"] != 1 || a.Accepted != 3 {
		t.Errorf("the account is %+v", a)
	}

	// By UDP, there is no such message.
	u := newDaemon(t, "udp", "", 0)
	h = newHandler(t, u.target, syslog.Options{MaxRecordBytes: 16 << 20})
	peertest.Handle(t, h, peertest.Record(strings.Repeat("x", 8<<20)))
	if m := mustParse(t, u.await(t, 1)[0]); !strings.HasSuffix(m.message, "x!truncated") {
		t.Errorf("the message ends with %q", m.message[len(m.message)-20:])
	}
}

func TestHandler_derivedHandlersShareTheConnection(t *testing.T) {
	d := newDaemon(t, "tcp", "", syslog.Octet)
	h := newHandler(t, d.target, syslog.Options{Level: slog.LevelWarn})
	logger := slog.New(h).With("a", 1).WithGroup("g")
	logger.Info("not enabled")
	logger.Warn("m", "b", 2)
	m := mustParse(t, d.await(t, 1)[0])
	if !reflect.DeepEqual(m.params, []param{{"a", "1"}, {"g.b", "2"}}) || m.severity != 4 {
		t.Errorf("the message is %+v", m)
	}
	peertest.Handle(t, h, peertest.Record("m"))
	d.await(t, 2)
	if d.connections() != 1 {
		t.Errorf("there are %d connections", d.connections())
	}
}

func TestHandler_shutdown(t *testing.T) {
	t.Run("cuts off what is stalled when its time is over", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		h := newHandler(t, "tcp://"+l.Addr().String(), syslog.Options{MaxRecordBytes: 1 << 20})
		done := make(chan error, 1)
		go func() {
			var err error
			for err == nil {
				err = h.Handle(context.Background(), peertest.Record(strings.Repeat("x", 1<<19)))
			}
			done <- err
		}()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.ReadFull(conn, make([]byte, 10)); err != nil { // it is sending
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err = h.Shutdown(ctx)
		if sent := <-done; err != nil {
			peertest.DeliveryError(t, sent)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown returned %v", err)
			}
		} else if !errors.Is(sent, syslog.ErrClosed) {
			t.Errorf("Handle returned %v", sent)
		}
		if err := h.Handle(t.Context(), peertest.Record("late")); !errors.Is(err, syslog.ErrClosed) {
			t.Errorf("Handle returned %v after Shutdown", err)
		}
		if err := errors.Join(h.Shutdown(t.Context()), h.Close()); err != nil {
			t.Errorf("the second Shutdown: %v", err)
		}
		if a := h.Account(); a.Dropped["closed"] == 0 {
			t.Errorf("the account is %+v", a)
		}
	})
	t.Run("HandleBatch ends with its context", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		h := newHandler(t, "tls://"+l.Addr().String(), syslog.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.HandleBatch(ctx, peertest.Batch(1, "m")) }()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		cancel()
		if err := <-done; !errors.Is(peertest.DeliveryError(t, err), context.Canceled) {
			t.Errorf("HandleBatch returned %v", err)
		}
	})
}

// All that the queue knows to be undelivered is sent again.
func TestHandler_losesNothingItKnowsOfBehindAQueue(t *testing.T) {
	d := newDaemon(t, "unixgram", socketFile(t), 0)
	path := strings.TrimPrefix(d.target, "unixgram://")
	h := newHandler(t, d.target, syslog.Options{})
	q := queue.New(h, &queue.Options{Retry: slogworks.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}})
	logger := slog.New(q)
	const n = 300
	var before, after []string
	for i := range n {
		if i == n/3 {
			before = d.await(t, n/3)
			d.stop()
			_ = os.Remove(path)
		}
		if i == 2*n/3 {
			d = newDaemon(t, "unixgram", path, 0)
		}
		logger.Info("m", "i", i)
	}
	if err := slogworks.Shutdown(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	after = d.await(t, n-n/3)
	for i, text := range slices.Concat(before, after) {
		if m := mustParse(t, text); m.params[0].value != strconv.Itoa(i) {
			t.Fatalf("message %d is %+v", i, m)
		}
	}
}

func TestHandler_allocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, opts := range []syslog.Options{{}, {Framing: syslog.LF}, {Format: syslog.RFC3164}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		h := newHandler(t, "tcp://"+l.Addr().String(), opts)
		r := peertest.Record("m", slog.String("s", "x"), slog.Int("i", 1), slog.Bool("b", true), slog.Duration("d", 1500), slog.Float64("f", 1.5))
		peertest.Handle(t, h, r)
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		if n := testing.AllocsPerRun(1000, func() { peertest.Handle(t, h, r) }); n > 0 {
			t.Errorf("Handle allocates %v times", n)
		}
	}
}

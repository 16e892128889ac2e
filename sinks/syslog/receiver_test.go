package syslog_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/syslog"
)

// receiving is a receiver that serves in the background.
type receiving struct {
	*syslog.Receiver
	address string
	records *handlertest.Recorder

	mu   sync.Mutex
	errs []error
}

func prepareReceiver(r *syslog.Receiver) *receiving {
	s := &receiving{Receiver: r}
	if r.Handler == nil {
		s.records = new(handlertest.Recorder)
		r.Handler = s.records
	}
	r.OnError = func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.errs = append(s.errs, err)
	}
	return s
}

func receiveStream(t testing.TB, r *syslog.Receiver) *receiving {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := prepareReceiver(r)
	s.address = l.Addr().String()
	s.run(t, func() error { return r.Serve(l) })
	return s
}

func receivePackets(t testing.TB, r *syslog.Receiver, network, address string) *receiving {
	t.Helper()
	p, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := prepareReceiver(r)
	s.address = p.LocalAddr().String()
	s.run(t, func() error { return r.ServePacket(p) })
	return s
}

// receivers makes receivers for the tests that are the same for all protocols,
// without TLS if server is nil.
func receivers(network string, server *tls.Config) peertest.Receivers {
	return func(t testing.TB, h slog.Handler) peertest.Receiver {
		var s *receiving
		if r := (&syslog.Receiver{Handler: h, MaxConns: 256, TLS: server}); network == "udp" {
			s = receivePackets(t, r, network, "127.0.0.1:0")
		} else {
			s = receiveStream(t, r)
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
			Reported: s.reported,
			Dial:     func() net.Conn { return speak(t, network, s.address) },
			Send: func(records ...slog.Record) {
				c := speak(t, network, s.address)
				for _, r := range records {
					severity := map[slog.Level]int{slog.LevelInfo: 6, slog.LevelDebug: 7}[r.Level]
					c.say(countOctets(fmt.Sprintf("<%d>%s", 8+severity, r.Message)))
				}
			},
		}
	}
}

// run serves until the end of the test, when the counts must be true.
func (s *receiving) run(t testing.TB, serve func() error) {
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), peertest.Patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-ended; err != syslog.ErrClosed {
			t.Errorf("serving ended with %v", err)
		}
		got := s.Stats()
		sum := got.Written + got.Dropped
		for _, n := range got.Refused {
			sum += n
		}
		if got.Received != sum || got.Open != 0 {
			t.Errorf("the counts are %+v", got)
		}
	})
}

func (s *receiving) reported() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.errs)
}

// await waits for n records and refusals, and returns the messages so far.
func (s *receiving) await(t testing.TB, n int) []string {
	t.Helper()
	peertest.WaitFor(t, fmt.Sprintf("%d records", n), func() bool { return s.Stats().Received >= uint64(n) })
	var messages []string
	for _, item := range s.records.Items() {
		messages = append(messages, item.Record.Message)
	}
	return messages
}

// speaker is a raw connection.
type speaker struct {
	net.Conn
	t testing.TB
}

func speak(t testing.TB, network, address string) speaker {
	t.Helper()
	conn, err := net.DialTimeout(network, address, peertest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return speaker{conn, t}
}

func (s speaker) say(text string) {
	s.t.Helper()
	if _, err := s.Write([]byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// isHungUp waits until the other end closes the connection.
func (s speaker) isHungUp() bool {
	_ = s.SetReadDeadline(time.Now().Add(peertest.Patience))
	_, err := s.Read(make([]byte, 1))
	var timeout net.Error
	return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}

func countOctets(messages ...string) string {
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "%d %s", len(m), m)
	}
	return b.String()
}

func TestReceiver_dividesStreams(t *testing.T) {
	for name, test := range map[string]struct {
		stream string
		want   []string
		whole  bool // in one piece only: it is a matter of time
	}{
		"a leading digit is octet counting":                       {countOctets("<14>a", "<14>b\n<34>c", "<14>d\x00e", "<14>f\n"), []string{"a", "b\n<34>c", "d\x00e", "f\n"}, false},
		"octet counting with line feeds between":                  {countOctets("<14>a") + "\n" + countOctets("<14>b"), []string{"a", "b"}, false},
		"octet counting of what Python sends":                     {countOctets("<14>a\x00", "<14>b\x00"), []string{"a", "b"}, false},
		"messages end at NUL if the first does":                   {"<14>a\x00<14>b\n<34>c\n\x00<14>d\x00", []string{"a", "b\n<34>c\n", "d"}, false},
		"a first message of several lines may end at NUL":         {stream: "<14>a\n<34>b\nc\x00<14>d\x00", want: []string{"a\n<34>b\nc", "d"}, whole: true},
		"else messages end at LF":                                 {"<14>a\n<14>b\n\n<14>c\r\n", []string{"a", "b", "c"}, false},
		"text without priority ends at LF too":                    {"a\nb\n", []string{"a", "b"}, false},
		"a last message without end is taken":                     {"<14>a\n<14>b", []string{"a", "b"}, false},
		"a last message without NUL is taken":                     {"<14>a\x00<14>b", []string{"a", "b"}, false},
		"a single message without end is taken":                   {"<14>a", []string{"a"}, false},
		"a digit in a stream of lines is the beginning of a line": {"<14>a\n2 b\n", []string{"a", "2 b"}, false},
		"blank lines before the first message do not count":       {"\r\n\n<14>a\n", []string{"a"}, false},
		"nothing is no message":                                   {"", nil, false},
		"blank lines are no message":                              {"\n\n\x00\n", nil, false},
	} {
		for _, size := range []int{1, 3, 1 << 20} {
			if test.whole && size < len(test.stream) {
				continue
			}
			t.Run(fmt.Sprintf("%s, in pieces of %d bytes", name, size), func(t *testing.T) {
				s := receiveStream(t, new(syslog.Receiver))
				c := speak(t, "tcp", s.address)
				for piece := range slices.Chunk([]byte(test.stream), size) {
					c.say(string(piece))
				}
				_ = c.Conn.(*net.TCPConn).CloseWrite()
				if !c.isHungUp() {
					t.Error("the connection stays open at the end of the stream")
				}
				if got := s.await(t, len(test.want)); !slices.Equal(got, test.want) || len(s.reported()) > 0 {
					t.Errorf("the messages are %q, want %q; errors %v", got, test.want, s.reported())
				}
			})
		}
	}
}

func TestReceiver_takesAFirstLineAfterAWhile(t *testing.T) {
	s := receiveStream(t, new(syslog.Receiver))
	c := speak(t, "tcp", s.address)
	c.say("<14>a\n")
	s.await(t, 1)
	c.say("<14>b\n")
	if got := s.await(t, 2); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("the messages are %q", got)
	}
}

func TestReceiver_takesEachDatagramAsOneRecord(t *testing.T) {
	datagrams := []string{
		"<14>a", "<14>b\x00", "<14>c\n", "", "\n", "12 <14>d", "<14>e\n<34>f\x00<14>g", "\x80\x04}", `{"msg":"h"}`, "<14>i\n\x00",
	}
	want := []string{"a", "b", "c", "", "", "12 <14>d", "e\n<34>f\x00<14>g", "\ufffd\x04}", `{"msg":"h"}`, "i\n"}
	for _, network := range []string{"udp", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unixgram" {
				address = socketFile(t)
			}
			s := receivePackets(t, &syslog.Receiver{MaxFrame: 4096}, network, address)
			c := speak(t, network, s.address)
			for i, d := range datagrams {
				c.say(d)
				s.await(t, i+1)
			}
			c.say(strings.Repeat("x", 4097))
			if got := s.await(t, len(want)+1); !slices.Equal(got, want) {
				t.Errorf("the messages are %q, want %q", got, want)
			}
			if got := s.Stats(); got.Refused["frame-too-long"] != 1 {
				t.Errorf("the counts are %+v", got)
			}
		})
	}
}

func TestReceiver_refusesWhatHasNoEnd(t *testing.T) {
	for name, test := range map[string]struct{ stream, reason string }{
		"4 GiB announced":               {"4294967295 <14>", "frame-too-long"},
		"more than MaxFrame announced":  {"4097 <14>", "frame-too-long"},
		"digits without end":            {strings.Repeat("9", 100), "frame-too-long"},
		"digits and something else":     {"12x", "bad-length"},
		"a length of 0":                 {"0 ", "bad-length"},
		"a length that begins with 0":   {"05 <14>a", "bad-length"},
		"a pickle with its length":      {"\x00\x00\x00\x0d\x80\x04}\n<14>forged\n.", "not-a-frame"},
		"no length after a message":     {countOctets("<14>a") + "<14>b", "not-a-frame"},
		"a line beyond MaxFrame":        {"<14>" + strings.Repeat("x", 4093), "frame-too-long"},
		"a line beyond MaxFrame, ended": {"<14>" + strings.Repeat("x", 4093) + "\n", "frame-too-long"},
		"a NUL beyond MaxFrame":         {"<14>a\x00<14>" + strings.Repeat("x", 4093) + "\x00", "frame-too-long"},
	} {
		t.Run(name, func(t *testing.T) {
			s := receiveStream(t, &syslog.Receiver{MaxFrame: 4096})
			other := speak(t, "tcp", s.address)
			other.say(countOctets("<14>other"))
			s.await(t, 1)
			c := speak(t, "tcp", s.address)
			c.say(test.stream)
			if !c.isHungUp() {
				t.Error("the connection stays open")
			}
			peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused[test.reason] == 1 && len(s.reported()) == 1 })
			var refusal *syslog.Refusal
			if err := s.reported()[0]; !errors.As(err, &refusal) || refusal.Reason != test.reason || refusal.Peer != c.LocalAddr().String() {
				t.Errorf("reported %v", err)
			}
			before := s.Stats().Received
			other.say(countOctets("<14>other"))
			s.await(t, int(before)+1)
		})
	}
}

func TestReceiver_noticesWhatBreaksOff(t *testing.T) {
	t.Run("a message that was counted", func(t *testing.T) {
		s := receiveStream(t, new(syslog.Receiver))
		c := speak(t, "tcp", s.address)
		c.say("12 <14>abc")
		_ = c.Close()
		peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["cut-short"] == 1 })
	})
	t.Run("a connection that is reset", func(t *testing.T) {
		s := receiveStream(t, new(syslog.Receiver))
		c := speak(t, "tcp", s.address)
		c.say(countOctets("<14>a") + "12 <14>b")
		s.await(t, 1)
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
		peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["connection-lost"] == 1 })
	})
}

func TestReceiver_keepsItsLimits(t *testing.T) {
	t.Run("MaxConns closes what is too many", func(t *testing.T) {
		s := receiveStream(t, &syslog.Receiver{MaxConns: 2})
		for range 2 {
			speak(t, "tcp", s.address).say(countOctets("<14>a"))
		}
		s.await(t, 2)
		if !speak(t, "tcp", s.address).isHungUp() {
			t.Error("the third connection stays open")
		}
		peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["too-many-connections"] == 1 })
		if got := s.Stats(); got.Connections != 2 || got.Open != 2 {
			t.Errorf("the counts are %+v", got)
		}
	})
	t.Run("IdleTimeout closes a silent connection and refuses nothing", func(t *testing.T) {
		s := receiveStream(t, &syslog.Receiver{IdleTimeout: 20 * time.Millisecond})
		c := speak(t, "tcp", s.address)
		c.say(countOctets("<14>a"))
		if !c.isHungUp() {
			t.Error("the connection stays open")
		}
		if got := s.Stats(); got.Received != 1 || got.Written != 1 {
			t.Errorf("the counts are %+v", got)
		}
	})
	for name, stream := range map[string]string{"counted": "12 <14>", "a line": "<14>a", "a second line": "<14>a\x00<14>b"} {
		t.Run("FrameTimeout refuses a message that is never complete, "+name, func(t *testing.T) {
			s := receiveStream(t, &syslog.Receiver{FrameTimeout: 20 * time.Millisecond})
			c := speak(t, "tcp", s.address)
			c.say(stream)
			if !c.isHungUp() {
				t.Error("the connection stays open")
			}
			peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["frame-timeout"] == 1 })
		})
	}
}

func TestReceiver_boundsItsMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's memory counts too")
	}
	const hostile, limit = 256, 64 << 20
	s := receiveStream(t, &syslog.Receiver{Handler: slog.NewJSONHandler(io.Discard, nil), FrameTimeout: time.Second, IdleTimeout: time.Second})
	texts := [...][]byte{
		[]byte("1048576 <14>1 - - - - - [a" + strings.Repeat(` b=""`, 200<<10)), // never complete
		[]byte("<14>x\n" + strings.Repeat("x", 1000<<10)),                       // a line without end
		[]byte(countOctets("<14>1 - - - - - [a" + strings.Repeat(` b=""`, 200<<10) + "]")),
	}
	heap := peertest.NewHeap()
	done := make(chan struct{}, hostile)
	for i := range hostile {
		c := speak(t, "tcp", s.address)
		go func() {
			defer func() { done <- struct{}{} }()
			if _, err := c.Write(texts[i%len(texts)]); err != nil {
				return // hung up
			}
			c.isHungUp()
		}()
	}
	_ = speak(t, "tcp", s.address).isHungUp() // one too many
	for left := hostile; left > 0; {
		heap.Measure()
		select {
		case <-done:
			left--
		case <-time.After(time.Millisecond):
		}
	}
	heap.AtMost(t, limit)
}

func TestReceiver_talksTLS(t *testing.T) {
	serverTLS, clientTLS := loopback()
	s := receiveStream(t, &syslog.Receiver{TLS: serverTLS, FrameTimeout: time.Second})
	conn, err := tls.Dial("tcp", s.address, clientTLS)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	speaker{conn, t}.say(countOctets("<14>a"))
	s.await(t, 1)

	lines, err := tls.Dial("tcp", s.address, clientTLS)
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	speaker{lines, t}.say("<14>b\n") // held until it is silent, which must not harm TLS
	s.await(t, 2)
	speaker{lines, t}.say("<14>c\n")
	if got := s.await(t, 3); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("the messages are %q", got)
	}

	speak(t, "tcp", s.address).say("<14>plain text\n")
	peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["bad-tls"] == 1 })
}

func TestReceiver_countsWhatTheHandlerDoes(t *testing.T) {
	receivers("tcp", nil).CountWhatTheHandlerDoes(t)
}

func TestReceiver_nilHandlerPanics(t *testing.T) {
	for name, serve := range map[string]func(*syslog.Receiver){
		"Serve":       func(r *syslog.Receiver) { _ = r.Serve(nil) },
		"ServePacket": func(r *syslog.Receiver) { _ = r.ServePacket(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p != "syslog: nil Handler" {
					t.Errorf("panicked with %v", p)
				}
			}()
			serve(new(syslog.Receiver))
		})
	}
}

func TestReceiver_shutdown(t *testing.T) {
	t.Run("reads what has arrived", func(t *testing.T) {
		receivers("tcp", nil).ReadWhatHasArrived(t, strings.Repeat("<14>message\x00", 1000)+"<14>the last, without end", 1001)
	})
	t.Run("reads the datagrams that have arrived", func(t *testing.T) {
		receivers("udp", nil).ReadTheDatagramsThatHaveArrived(t, "<14>a")
	})
	t.Run("does not wait for one who never stops", func(t *testing.T) {
		receivers("tcp", nil).DoNotWaitForOneWhoNeverStops(t, strings.Repeat(countOctets("<14>"+strings.Repeat("x", 1000)), 1000))
	})
	t.Run("says what it did not wait for", func(t *testing.T) {
		receivers("tcp", nil).SayWhatTheyDidNotWaitFor(t, countOctets("<14>a"), "1 connections")
	})
	t.Run("is for good", func(t *testing.T) {
		peertest.IsClosedForGood(t, &syslog.Receiver{Handler: slog.DiscardHandler}, syslog.ErrClosed)
	})
}

func TestReceiver_returnsTheErrorOfItsListener(t *testing.T) {
	peertest.ReturnsTheErrorOfItsListener(t, &syslog.Receiver{Handler: slog.DiscardHandler})
}

// Whatever a record holds, it arrives as one, by every way.
func TestReceiver_takesWhatAHandlerSends(t *testing.T) {
	serverTLS, clientTLS := loopback()
	messages := []string{"plain", "two\nlines\n<34>forged", "a NUL \x00 within", `<34>1 - - - - - [a b="c"]`, `quotes " and ] brackets [ and \`, "naïve ☃", "3 <1>", "\n"}
	for _, scheme := range []string{"udp", "unixgram", "tcp", "tls", "unix", "tcp in lines"} {
		t.Run(scheme, func(t *testing.T) {
			r := new(syslog.Receiver)
			var opts syslog.Options
			var s *receiving
			to := ""
			switch scheme {
			case "udp":
				s = receivePackets(t, r, "udp", "127.0.0.1:0")
				to = "udp://" + s.address
			case "unixgram":
				s = receivePackets(t, r, "unixgram", socketFile(t))
				to = "unixgram://" + s.address
			case "unix":
				path := socketFile(t)
				l, err := net.Listen("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				s = prepareReceiver(r)
				s.run(t, func() error { return r.Serve(l) })
				to = "unix://" + path
			case "tls":
				r.TLS = serverTLS
				opts.TLS = clientTLS
				s = receiveStream(t, r)
				to = "tls://" + s.address
			default:
				if scheme != "tcp" {
					opts.Framing = syslog.LF
				}
				s = receiveStream(t, r)
				to = "tcp://" + s.address
			}
			h := newHandler(t, to, opts)
			for i, m := range messages {
				peertest.Handle(t, h, peertest.Record(m, slog.String("value", m), slog.Int("n", i)))
				if scheme == "udp" {
					s.await(t, i+1) // none is lost on the way
				}
			}
			s.await(t, len(messages))
			items := s.records.Items()
			for i, m := range messages {
				want := strings.ReplaceAll(m, "\x00", "#000")
				if opts.Framing == syslog.LF {
					want = strings.ReplaceAll(want, "\n", "#012")
				}
				wantMessage := want
				if strings.HasSuffix(scheme, "udp") || scheme == "unixgram" {
					wantMessage = strings.TrimSuffix(want, "\n")
				}
				var line bytes.Buffer
				_ = slog.NewTextHandler(&line, nil).Handle(t.Context(), items[i].Record)
				v := slogworks.NewView(items[i].Record)
				value, _ := v.Attr("value")
				n, _ := v.Attr("n")
				if items[i].Record.Message != wantMessage || value.String() != want || n.String() != fmt.Sprint(i) {
					t.Errorf("%q came as %s", m, line.Bytes())
				}
			}
			if len(items) != len(messages) || len(s.reported()) > 0 {
				t.Errorf("%d records, errors %v", len(items), s.reported())
			}
		})
	}
}

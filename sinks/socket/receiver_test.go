package socket_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/socket"
)

const wireLine = `{"t":"2026-01-02T12:00:00Z","l":4,"m":"slow","n":"shop.db","src":{"fn":"main.f","f":"main.go","l":42},"h":"web1","p":"shop","pid":7,"a":[{"k":"took","t":"d","v":1500}]}`

const wireJSON = `{"time":"2026-01-02T12:00:00Z","level":"WARN","msg":"slow","logger":"shop.db","host":"web1","process":"shop","pid":7,"took":1500,"source":{"function":"main.f","file":"main.go","line":42}}`

func pickleFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/pickles/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReceiver_recognisesFramesByTheirFirstByte(t *testing.T) {
	pickle := pickleFile(t, "cycle1")
	for name, text := range map[string]string{
		"lines":                      wireLine + "\n" + wireLine + "\n",
		"lines with carriage return": wireLine + "\r\n\r\n" + wireLine + "\r\n",
		"lengths in four bytes":      prefixed(wireLine) + prefixed(wireLine),
		"lengths in digits":          fmt.Sprintf("%d %s%d %s", len(wireLine), wireLine, len(wireLine), wireLine),
		"all mixed, and pickles":     wireLine + "\n" + prefixed(pickle) + prefixed(wireLine),
		"pickles of another length":  prefixed(wireLine) + fmt.Sprintf("%d %s", len(pickle), pickle) + wireLine + "\n",
		"a last line without end":    prefixed(wireLine) + wireLine,
	} {
		for _, chunk := range []int{1, 7, 1 << 20} {
			t.Run(fmt.Sprintf("%s, in pieces of %d bytes", name, chunk), func(t *testing.T) {
				s := serve(t, new(socket.Receiver))
				c := dial(t, "tcp", s.address)
				for piece := range slices.Chunk([]byte(text), chunk) {
					c.send(string(piece))
				}
				_ = c.Conn.(*net.TCPConn).CloseWrite()
				if !c.isClosed() {
					t.Error("the connection stays open at the end of the stream")
				}
				peertest.WaitFor(t, "the connection is done with", func() bool { return s.Stats().Open == 0 })
				n := 0
				for _, line := range s.lines() {
					if line == wireJSON {
						n++
					} else if !strings.Contains(line, `"cycle":[1,"!cycle"]`) {
						t.Errorf("a record is %s", line)
					}
				}
				if n != 2 || len(s.errors.all()) > 0 {
					t.Errorf("%d of 2 records arrived, and errors %v", n, s.errors.all())
				}
			})
		}
	}
}

func TestReceiver_namesThePeer(t *testing.T) {
	s := serve(t, new(socket.Receiver))
	c := dial(t, "tcp", s.address)
	c.send(wireLine + "\n")
	s.wait(t, 1)
	var keys []string
	s.records.Items()[0].Record.Attrs(func(a slog.Attr) bool {
		keys = append(keys, a.Key)
		if a.Key == "peer" && a.Value.String() != c.LocalAddr().String() {
			t.Errorf("peer is %v, want %v", a.Value, c.LocalAddr())
		}
		return true
	})
	if want := []string{"logger", "host", "process", "pid", "peer", "took", "source"}; !slices.Equal(keys, want) {
		t.Errorf("the attributes are %q, want %q", keys, want)
	}
}

func TestReceiver_keepsForeignAttributesApart(t *testing.T) {
	for name, test := range map[string]struct{ line, want string }{
		"of a Handler": {
			`{"l":0,"m":"m","n":"a","h":"web1","a":[{"k":"time","t":"i","v":1},{"k":"level","t":"s","v":"x"},{"k":"msg","t":"s","v":"x"},{"k":"source","t":"s","v":"x"},{"k":"host","t":"s","v":"evil"},{"k":"process","t":"s","v":"x"},{"k":"pid","t":"i","v":1},{"k":"peer","t":"s","v":"x"},{"k":"g","t":"g","v":[{"k":"host","t":"s","v":"own"}]},{"k":"","t":"g","v":[{"k":"pid","t":"i","v":2}]}]}`,
			`{"level":"INFO","msg":"m","logger":"a","host":"web1","extra.time":1,"extra.level":"x","extra.msg":"x","extra.source":"x","extra.host":"evil","extra.process":"x","extra.pid":1,"extra.peer":"x","g":{"host":"own"},"extra.pid":2}`,
		},
		"of a Handler whose logger was named twice": {
			`{"l":0,"m":"m","n":"b","a":[{"k":"logger","t":"s","v":"a"},{"k":"logger","t":"s","v":"b"},{"k":"logger","t":"i","v":1}]}`,
			`{"level":"INFO","msg":"m","logger":"b","extra.logger":"a","extra.logger":1}`,
		},
		"of slog": {
			`{"time":"2026-01-02T12:00:00Z","level":"INFO","msg":"m","host":"x","peer":"y","pid":"z"}`,
			`{"time":"2026-01-02T12:00:00Z","level":"INFO","msg":"m","extra.host":"x","extra.peer":"y","extra.pid":"z"}`,
		},
		"of a Python LogRecord as JSON": {
			`{"name":"app","levelno":30,"msg":"m","process":7,"processName":"p","host":"x","logger":"y","level":"z"}`,
			`{"level":"WARN","msg":"m","logger":"app","process":"p","pid":7,"extra.host":"x","extra.logger":"y","extra.level":"z"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, new(socket.Receiver))
			dial(t, "tcp", s.address).send(test.line + "\n")
			s.wait(t, 1)
			if got := s.lines(); !slices.Equal(got, []string{test.want}) {
				t.Errorf("%s\nbecame\n%s\nwant\n%s", test.line, got, test.want)
			}
		})
	}
}

func TestReceiver_refusesWhatIsNoRecord(t *testing.T) {
	for name, test := range map[string]struct{ text, reason string }{
		"a length beyond all":         {"\xff\xff\xff\xff", "frame-too-long"},
		"a length beyond MaxFrame":    {"\x00\x00\x10\x01" + strings.Repeat("x", 4097), "frame-too-long"},
		"digits beyond MaxFrame":      {"4097 " + strings.Repeat("x", 4097), "frame-too-long"},
		"digits without end":          {"99999999999", "frame-too-long"},
		"digits and something else":   {"12x", "bad-length"},
		"a length of 0":               {"\x00\x00\x00\x00", "bad-length"},
		"a line beyond MaxFrame":      {`{"m":"` + strings.Repeat("x", 5000), "frame-too-long"},
		"a line just beyond MaxFrame": {`{"m":"` + strings.Repeat("x", 4089) + `"}` + "\n", "frame-too-long"},
		"HTTP":                        {"GET / HTTP/1.1\r\n\r\n", "not-a-frame"},
		"syslog":                      {"<15>hello\n", "not-a-frame"},
		"a broken line":               {`{"l":0,"m":` + "\n", "bad-json"},
		"a broken line in a frame":    {prefixed(`{"l":0,"m":`), "bad-json"},
		"no pickle":                   {prefixed("hello"), "bad-pickle"},
		"a pickle of a list":          {prefixed("]."), "not-a-record"},
		"a pickle without levelno":    {prefixed("}X\x01\x00\x00\x00aNs."), "not-a-record"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, &socket.Receiver{MaxFrame: 4096})
			other := dial(t, "tcp", s.address)
			c := dial(t, "tcp", s.address)
			c.send(wireLine + "\n")
			s.wait(t, 1)
			c.send(test.text)
			if !c.isClosed() {
				t.Error("the connection stays open")
			}
			s.wait(t, 2)
			peertest.WaitFor(t, "the refusal is reported", func() bool { return len(s.errors.all()) == 1 })
			if got := s.reasons(); !slices.Equal(got, []string{test.reason}) {
				t.Errorf("refused for %q, want %q: %v", got, test.reason, s.errors.all())
			}
			if got := s.Stats(); got.Written != 1 || got.Refused[test.reason] != 1 {
				t.Errorf("the counts are %+v", got)
			}
			other.send(wireLine + "\n")
			s.wait(t, 3)
		})
	}
}

func TestRefusal_saysWhoAndWhy(t *testing.T) {
	s := serve(t, new(socket.Receiver))
	c := dial(t, "tcp", s.address)
	c.send("\xff\xff\xff\xff")
	s.wait(t, 1)
	peertest.WaitFor(t, "the refusal is reported", func() bool { return len(s.errors.all()) == 1 })
	want := fmt.Sprintf("socket: refused %s frame-too-long: 4294967295 bytes announced, at most 1048576", c.LocalAddr())
	if got := s.errors.all()[0].Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReceiver_noticesAStreamThatEndsWithinAFrame(t *testing.T) {
	for name, text := range map[string]string{
		"a length":         "\x00\x00",
		"a frame":          prefixed(wireLine)[:50],
		"a line":           wireLine[:50],
		"a length, digits": "12",
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, new(socket.Receiver))
			c := dial(t, "tcp", s.address)
			c.send(text)
			_ = c.Close()
			peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["cut-short"] == 1 })
		})
	}
	t.Run("by a reset", func(t *testing.T) {
		s := serve(t, new(socket.Receiver))
		c := dial(t, "tcp", s.address)
		c.send(prefixed(wireLine) + "\x00\x00")
		s.wait(t, 1)
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
		peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["connection-lost"] == 1 })
	})
}

func TestReceiver_readsDatagrams(t *testing.T) {
	pickle := pickleFile(t, "cycle1")
	for _, network := range []string{"udp", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unixgram" {
				address = socketPath(t)
			}
			s := servePacket(t, &socket.Receiver{MaxFrame: 4096}, network, address)
			c := dial(t, network, s.address)
			for i, datagram := range []string{
				wireLine, wireLine + "\n", prefixed(wireLine), prefixed(pickle), pickle, // records
				"", "hello", prefixed(pickle)[:200], prefixed(pickle) + "x", "{", `{"m":"` + strings.Repeat("x", 5000) + `"}`, // refused
				wireLine,
			} {
				c.send(datagram)
				s.wait(t, uint64(i+1))
			}
			got := s.Stats()
			if got.Written != 6 || got.Refused["bad-pickle"] != 2 || got.Refused["bad-length"] != 2 || got.Refused["bad-json"] != 1 || got.Refused["frame-too-long"] != 1 {
				t.Errorf("the counts are %+v, for %v", got, s.errors.all())
			}
			if lines := s.lines(); lines[0] != wireJSON || lines[5] != wireJSON {
				t.Errorf("the records are %s", lines)
			}
		})
	}
}

func TestReceiver_asksForItsToken(t *testing.T) {
	const token = "s3cret"
	hello := func(token string) string { return fmt.Sprintf(`{"slogworks":1,"token":%q}`, token) + "\n" }
	for name, text := range map[string]string{
		"none":            wireLine + "\n",
		"a wrong one":     hello("s3creT") + wireLine + "\n",
		"an empty one":    hello("") + wireLine + "\n",
		"one too late":    wireLine + "\n" + hello(token),
		"another version": `{"slogworks":2,"token":"s3cret"}` + "\n" + wireLine + "\n",
	} {
		t.Run("and refuses "+name, func(t *testing.T) {
			s := serve(t, &socket.Receiver{Token: token})
			c := dial(t, "tcp", s.address)
			c.send(text)
			if !c.isClosed() {
				t.Error("the connection stays open")
			}
			s.wait(t, 1)
			if got := s.Stats(); got.Refused["bad-token"] != 1 || got.Written != 0 {
				t.Errorf("the counts are %+v", got)
			}
			for _, err := range s.errors.all() {
				if strings.Contains(err.Error(), token) {
					t.Errorf("the token is in the error %q", err)
				}
			}
		})
	}
	t.Run("and takes records after it", func(t *testing.T) {
		s := serve(t, &socket.Receiver{Token: token})
		c := dial(t, "tcp", s.address)
		c.send(hello(token) + wireLine + "\n" + prefixed(wireLine))
		s.wait(t, 2)
		if got := s.Stats(); got.Written != 2 {
			t.Errorf("the counts are %+v", got)
		}
	})
	t.Run("of each datagram", func(t *testing.T) {
		s := servePacket(t, &socket.Receiver{Token: token}, "udp", "127.0.0.1:0")
		c := dial(t, "udp", s.address)
		c.send(hello(token) + wireLine)
		s.wait(t, 1)
		c.send(wireLine)
		s.wait(t, 2)
		c.send(hello("x") + wireLine)
		s.wait(t, 3)
		if got := s.Stats(); got.Written != 1 || got.Refused["bad-token"] != 2 {
			t.Errorf("the counts are %+v", got)
		}
	})
	t.Run("in time", func(t *testing.T) {
		s := serve(t, &socket.Receiver{Token: token, FrameTimeout: 20 * time.Millisecond})
		if !dial(t, "tcp", s.address).isClosed() {
			t.Error("a silent connection stays open")
		}
		peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["bad-token"] == 1 })
	})
}

func TestReceiver_keepsItsLimits(t *testing.T) {
	t.Run("MaxConns closes what is too many", func(t *testing.T) {
		s := serve(t, &socket.Receiver{MaxConns: 2})
		for range 2 {
			dial(t, "tcp", s.address).send(wireLine + "\n")
		}
		s.wait(t, 2)
		if !dial(t, "tcp", s.address).isClosed() {
			t.Error("the third connection stays open")
		}
		peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["too-many-connections"] == 1 })
		if got := s.Stats(); got.Connections != 2 || got.Open != 2 {
			t.Errorf("the counts are %+v", got)
		}
	})
	t.Run("IdleTimeout closes a silent connection and refuses nothing", func(t *testing.T) {
		s := serve(t, &socket.Receiver{IdleTimeout: 20 * time.Millisecond})
		c := dial(t, "tcp", s.address)
		c.send(wireLine + "\n")
		if !c.isClosed() {
			t.Error("the connection stays open")
		}
		peertest.WaitFor(t, "the connection is done with", func() bool { return s.Stats().Open == 0 })
		if got := s.Stats(); got.Received != 1 || got.Written != 1 {
			t.Errorf("the counts are %+v", got)
		}
	})
	t.Run("FrameTimeout refuses a frame that trickles", func(t *testing.T) {
		s := serve(t, &socket.Receiver{FrameTimeout: 50 * time.Millisecond})
		c := dial(t, "tcp", s.address)
		for i := range len(wireLine) {
			if _, err := c.Write([]byte(wireLine[i : i+1])); err != nil {
				break
			}
			time.Sleep(time.Millisecond) // the trickle
			if s.Stats().Open == 0 && i > 0 && s.Stats().Connections > 0 {
				break
			}
		}
		peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["frame-timeout"] == 1 })
	})
}

func TestReceiver_talksTLS(t *testing.T) {
	serverTLS, clientTLS := peertest.Certificate()
	s := serve(t, &socket.Receiver{TLS: serverTLS, FrameTimeout: time.Second})
	conn, err := tls.Dial("tcp", s.address, clientTLS)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client{conn, t}.send(wireLine + "\n")
	s.wait(t, 1)
	if got := s.lines(); !slices.Equal(got, []string{wireJSON}) {
		t.Errorf("the records are %q", got)
	}
	plain := dial(t, "tcp", s.address)
	plain.send(wireLine + "\n")
	peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["bad-tls"] == 1 })
}

func TestReceiver_countsWhatTheHandlerDoes(t *testing.T) {
	t.Run("errors and panics are Dropped, and what it is not enabled for is Ignored", func(t *testing.T) {
		receivers("tcp", nil).CountWhatTheHandlerDoes(t)
	})
	t.Run("objects are counted", func(t *testing.T) {
		s := serve(t, new(socket.Receiver))
		dial(t, "tcp", s.address).send(prefixed(pickleFile(t, "objects4")))
		s.wait(t, 1)
		if got := s.Stats(); got.Objects != 15 {
			t.Errorf("%d objects, want 15", got.Objects)
		}
	})
}

func TestReceiver_nilHandlerPanics(t *testing.T) {
	defer func() {
		if p := recover(); p != "socket: nil Handler" {
			t.Errorf("panicked with %v", p)
		}
	}()
	_ = new(socket.Receiver).Serve(nil)
}

func TestReceiver_shutdown(t *testing.T) {
	t.Run("reads what has arrived", func(t *testing.T) {
		receivers("tcp", nil).ReadWhatHasArrived(t, strings.Repeat(wireLine+"\n", 1000), 1000)
	})
	t.Run("reads the datagrams that have arrived", func(t *testing.T) {
		receivers("udp", nil).ReadTheDatagramsThatHaveArrived(t, wireLine)
	})
	t.Run("does not wait for one who never stops", func(t *testing.T) {
		receivers("tcp", nil).DoNotWaitForOneWhoNeverStops(t, wireLine+"\n")
	})
	t.Run("says what it did not wait for", func(t *testing.T) {
		receivers("tcp", nil).SayWhatTheyDidNotWaitFor(t, wireLine+"\n", "1 connections")
	})
	t.Run("is for good", func(t *testing.T) {
		peertest.IsClosedForGood(t, &socket.Receiver{Handler: slog.DiscardHandler}, socket.ErrClosed)
	})
}

func TestReceiver_returnsTheErrorOfItsListener(t *testing.T) {
	peertest.ReturnsTheErrorOfItsListener(t, &socket.Receiver{Handler: slog.DiscardHandler})
}

func TestReceiver_acknowledges(t *testing.T) {
	s := serve(t, new(socket.Receiver))
	c := dial(t, "tcp", s.address)
	line := func(q int) string { return fmt.Sprintf(`{"l":0,"m":"%d","q":%d,"b":"boot"}`, q, q) + "\n" }
	read := func(want uint64) {
		t.Helper()
		var b [8]byte
		_ = c.SetReadDeadline(time.Now().Add(peertest.Patience))
		if _, err := io.ReadFull(c, b[:]); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", b); got != fmt.Sprintf("%016x", want) {
			t.Fatalf("the receiver says %s, want %016x", got, want)
		}
	}
	c.send(`{"slogworks":1,"ack":true}` + "\n")
	read(1 << 20)
	c.send(line(1))
	read(1)
	c.send(line(2) + line(3) + line(2))
	read(2) // the last: it was there already
	c.send(line(3) + line(4))
	read(4)

	// Whoever has no connection any more is remembered.
	_ = c.Close()
	peertest.WaitFor(t, "the end", func() bool { return s.Stats().Open == 0 })
	c = dial(t, "tcp", s.address)
	c.send(`{"slogworks":1,"ack":true}` + "\n" + line(3) + line(4) + line(5))
	read(1 << 20)
	read(5)
	if got := s.Stats(); got.Written != 5 || got.Duplicates != 4 {
		t.Errorf("the counts are %+v, want 5 written and 4 duplicates", got)
	}

	// What was handled before the connection was refused is not to be sent again.
	c.send(line(6) + "\xff\xff\xff\xff")
	read(6)
	if !c.isClosed() {
		t.Error("the connection stays open")
	}
}

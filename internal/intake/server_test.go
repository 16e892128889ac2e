package intake_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/internal/peertest"
)

var errClosed = errors.New("pkg: closed")

// lineServer is a Server that keeps lines, and what it refuses.
type lineServer struct {
	*intake.Server

	mu      sync.Mutex
	lines   []string
	reasons []string
}

func newLineServer(limits intake.Limits, config *tls.Config) *lineServer {
	s := new(lineServer)
	s.Server = intake.NewServer(intake.Config{
		Package: "pkg", ErrClosed: errClosed, Limits: limits.WithDefaults(), TLS: config,
		Refuse: func(_ string, why *intake.Refusal) { s.add(&s.reasons, why.Reason) },
		Report: func(error) {},
	})
	return s
}

func (s *lineServer) add(to *[]string, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*to = append(*to, text)
}

func (s *lineServer) got() (lines, reasons []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines), slices.Clone(s.reasons)
}

func (s *lineServer) read(c *intake.Conn) {
	stream := s.Stream(c, "line")
	defer stream.Free()
	for {
		if _, err := stream.Begin("\n"); err != nil {
			return
		}
		for {
			if i := bytes.IndexByte(stream.Bytes(), '\n'); i >= 0 {
				s.add(&s.lines, string(stream.Cut(0, i)))
				break
			}
			if err := stream.Fill(true); err != nil {
				var why *intake.Refusal
				if errors.As(stream.Broken(err), &why) {
					s.Refuse(c.Peer, why)
				}
				return
			}
		}
	}
}

// bubble serves in a bubble, with a connection.
func bubble(t *testing.T, limits intake.Limits, f func(t *testing.T, s *lineServer, conn net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newLineServer(limits, nil), peertest.NewPipes()
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(l, s.read) }()
		conn := l.Dial()
		defer conn.Close()
		f(t, s, conn)
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-ended; err != errClosed {
			t.Errorf("Serve ended with %v", err)
		}
		if _, open := s.Connections(); open != 0 {
			t.Errorf("%d connections are open", open)
		}
	})
}

func TestServer_shutdownEndsInTime(t *testing.T) {
	for name, piece := range map[string]string{
		"a peer that is silent":                            "",
		"a peer that sends line after line":                "x\n",
		"a peer that sends nothing but blanks":             "\n",
		"a peer whose pieces end within a line":            "\nx",
		"a peer that sends a line without end":             "x",
		"a peer that sends more than the buffer at a time": strings.Repeat(strings.Repeat("x", 127)+"\n", 64),
	} {
		for _, pause := range []time.Duration{time.Millisecond, 50 * time.Millisecond} {
			t.Run("with "+name+" every "+pause.String(), func(t *testing.T) {
				bubble(t, intake.Limits{}, func(t *testing.T, s *lineServer, conn net.Conn) {
					var writing sync.WaitGroup
					defer writing.Wait()
					if piece != "" {
						writing.Go(func() {
							for {
								if _, err := conn.Write([]byte(piece)); err != nil {
									return
								}
								time.Sleep(pause)
							}
						})
					}
					time.Sleep(time.Second)
					began := time.Now()
					if err := s.Shutdown(t.Context()); err != nil {
						t.Errorf("Shutdown: %v", err)
					}
					limit := 4 * time.Second
					if piece == "x" {
						limit = 7 * time.Second // the rest of it may be on its way
					}
					if took := time.Since(began); took > limit {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

// A peer that is told something and does not read it holds up a Shutdown no
// longer than one who does not stop sending.
func TestServer_shutdownDoesNotWaitForWhoReadsNothing(t *testing.T) {
	for name, begins := range map[string]time.Duration{"that is told already": -time.Minute, "that is told later": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, l := newLineServer(intake.Limits{FrameTimeout: time.Hour}, nil), peertest.NewPipes()
				ended := make(chan error, 1)
				go func() {
					ended <- s.Serve(l, func(c *intake.Conn) {
						time.Sleep(time.Minute + begins)
						if _, err := c.Write([]byte("x")); err == nil {
							t.Error("it was written")
						}
					})
				}()
				defer l.Dial().Close()
				time.Sleep(time.Minute)
				began := time.Now()
				if err := s.Shutdown(t.Context()); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
				<-ended
			})
		})
	}
}

func TestServer_shutdownReadsTheRestOfAFrame(t *testing.T) {
	bubble(t, intake.Limits{}, func(t *testing.T, s *lineServer, conn net.Conn) {
		if _, err := io.WriteString(conn, "a\nb"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(t.Context()) }()
		for _, piece := range []string{"c", "d\ne\n"} {
			time.Sleep(90 * time.Millisecond)
			if _, err := io.WriteString(conn, piece); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if lines, reasons := s.got(); !slices.Equal(lines, []string{"a", "bcd", "e"}) || len(reasons) > 0 {
			t.Errorf("the lines are %q, and refused was %q", lines, reasons)
		}
	})
}

func TestServer_shutdownEndsAFrameOnce(t *testing.T) {
	bubble(t, intake.Limits{}, func(t *testing.T, s *lineServer, conn net.Conn) {
		_, _ = io.WriteString(conn, "a\nb")
		synctest.Wait()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				time.Sleep(200 * time.Millisecond) // longer than it is waited for
				if _, err := io.WriteString(conn, "c\n"); err != nil {
					return
				}
			}
		}()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		<-ended
		if lines, reasons := s.got(); !slices.Equal(lines, []string{"a"}) || !slices.Equal(reasons, []string{intake.CutShort}) {
			t.Errorf("the lines are %q, and refused was %q", lines, reasons)
		}
	})
}

func TestServer_keepsItsTimeouts(t *testing.T) {
	limits := intake.Limits{IdleTimeout: time.Minute, FrameTimeout: 30 * time.Second}
	for name, test := range map[string]struct {
		first, piece string
		after        time.Duration
		reasons      []string
	}{
		"between two frames":         {"x\n", "", time.Minute, nil},
		"of a frame that trickles":   {"x\ny", "y", 30 * time.Second, []string{intake.FrameTimeout}},
		"of a frame that is silent":  {"x", "", 30 * time.Second, []string{intake.FrameTimeout}},
		"of a frame, however little": {"\n\n\nx", "", 30 * time.Second, []string{intake.FrameTimeout}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, limits, func(t *testing.T, s *lineServer, conn net.Conn) {
				began := time.Now()
				_, err := io.WriteString(conn, test.first)
				for err == nil && test.piece != "" {
					time.Sleep(time.Second)
					_, err = io.WriteString(conn, test.piece)
				}
				_, _ = conn.Read(make([]byte, 1)) // until it is closed
				if took := time.Since(began); took < test.after || took > test.after+time.Second {
					t.Errorf("it was closed after %v, want %v", took, test.after)
				}
				synctest.Wait()
				if _, reasons := s.got(); !slices.Equal(reasons, test.reasons) {
					t.Errorf("refused for %q, want %q", reasons, test.reasons)
				}
			})
		})
	}
}

func TestServer_shutdownOfNothingSucceedsEvenWithoutTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := newLineServer(intake.Limits{}, nil)
	for range 2 {
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}
	if s.Life().Err() == nil {
		t.Error("its life goes on")
	}
}

// Connections come, send and go while it is shut down: what was written before is
// read, and nothing is left.
func TestServer_shutdownAtAnyMoment(t *testing.T) {
	for i := range 30 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := newLineServer(intake.Limits{MaxConns: 4}, nil)
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(l, s.read) }()
		var peers sync.WaitGroup
		for range 6 {
			peers.Go(func() {
				conn, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					return
				}
				defer conn.Close()
				for range 3 {
					_, _ = io.WriteString(conn, "x\ny")
					s.Connections()
				}
			})
		}
		time.Sleep(time.Duration(i) * 50 * time.Microsecond) // the moment
		for range 2 {
			peers.Go(func() {
				if err := s.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		peers.Wait()
		if err := <-ended; err != errClosed {
			t.Errorf("Serve ended with %v", err)
		}
		if _, open := s.Connections(); open != 0 {
			t.Errorf("%d connections are open", open)
		}
	}
}

func TestServer_talksTLS(t *testing.T) {
	config, trust := peertest.Certificate()
	s := newLineServer(intake.Limits{FrameTimeout: time.Second}, config)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l, s.read) }()

	// Whoever says nothing is not refused.
	silent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = silent.Close()
	plain, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := io.WriteString(plain, "plain text\n"); err != nil {
		t.Fatal(err)
	}
	tickets := ticketCache{make(chan string, 10)}
	trust.ClientSessionCache = tickets
	conn, err := tls.Dial("tcp", l.Addr().String(), trust)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "x\ny"); err != nil {
		t.Fatal(err)
	}
	peertest.WaitFor(t, "all", func() bool { lines, reasons := s.got(); return len(lines) == 1 && len(reasons) == 1 })
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-ended
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("something was said")
	}
	if _, reasons := s.got(); !slices.Equal(reasons, []string{intake.BadTLS, intake.CutShort}) {
		t.Errorf("refused for %q", reasons)
	}
	if len(tickets.put) > 0 {
		t.Error("there was a session ticket")
	}
	if config.SessionTicketsDisabled {
		t.Error("the configuration of the caller is changed")
	}
}

// ticketCache is told of session tickets.
type ticketCache struct{ put chan string }

func (c ticketCache) Get(string) (*tls.ClientSessionState, bool) { return nil, false }

func (c ticketCache) Put(key string, s *tls.ClientSessionState) {
	if s != nil {
		c.put <- key
	}
}

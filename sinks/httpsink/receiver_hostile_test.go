package httpsink_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/httpsink"
)

// Whoever asks first makes what is made once.
func TestReceiver_isUsedByManyFromTheBeginning(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &httpsink.Receiver{Handler: slog.DiscardHandler}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { r.Stats() })
		all.Go(func() { r.ServeHTTP(httptest.NewRecorder(), newPost(ndjson, slogLine)) })
	}
	all.Go(func() { _ = r.Serve(l) })
	all.Go(func() { _ = r.Close() })
	all.Wait()
}

// gate is a handler that holds the records of that message until it opens.
type gate struct {
	peertest.Discard
	message string
	reached chan string // each message
	open    chan struct{}
}

func (g gate) Handle(_ context.Context, r slog.Record) error {
	g.reached <- r.Message
	if r.Message == g.message {
		<-g.open
	}
	return nil
}

// What a Shutdown leaves of a request has nothing wrong with it: a sender that is
// told 400 would take it for lost.
func TestReceiver_aShutdownIsNoFaultOfTheRecords(t *testing.T) {
	record := func(message string, values int) string {
		return `{"level":"INFO","msg":"` + message + `","n":[0` + strings.Repeat(",0", values) + `]}`
	}
	const long = 4000 // values, with which a record has to wait until no other has so many
	for name, test := range map[string]struct {
		kind, body string
		accepted   int
	}{
		"of lines":                  {ndjson, record("long", long) + "\n" + record("long", long), 0},
		"of an array":               {"application/json", "[" + record("long", long) + "," + record("long", long) + "]", 0},
		"of one record":             {"application/json", record("long", long), 0},
		"of which some was handled": {ndjson, record("short", 1) + "\n" + record("long", long) + "\n" + record("long", long), 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := gate{message: "first", reached: make(chan string, 10), open: make(chan struct{})}
			s := newReceiving(t, &httpsink.Receiver{Handler: g})
			var requests sync.WaitGroup
			requests.Go(func() {
				if a := s.ask(t, newPost(ndjson, record("first", long))); a.status != 204 {
					t.Errorf("the first answer is %+v", a)
				}
			})
			<-g.reached
			begun := make(chan struct{})
			requests.Go(func() {
				req := newPost(test.kind, test.body)
				req.Body = &noticed{req.Body, func() { close(begun) }}
				a := s.ask(t, req)
				if a.status != http.StatusServiceUnavailable || a.Accepted != test.accepted || a.Refused != 1 || !strings.HasPrefix(a.Error, "closed: ") {
					t.Errorf("the answer is %+v", a)
				}
			})
			<-begun
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Shutdown returned %v", err)
			}
			peertest.WaitFor(t, "the second is refused", func() bool { return s.Stats().Refused["closed"] == 1 })
			close(g.open)
			requests.Wait()
		})
	}
}

// noticed is a body of which it is known that it is being read.
type noticed struct {
	io.ReadCloser
	once func()
}

func (n *noticed) Read(p []byte) (int, error) {
	if n.once != nil {
		n.once()
		n.once = nil
	}
	return n.ReadCloser.Read(p)
}

func TestReceiver_shutdownAtAnyMoment(t *testing.T) {
	one := postHead + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(slogLine), slogLine)
	for i := range 20 {
		s := receiveHTTP(t, &httpsink.Receiver{FrameTimeout: time.Second, MaxConns: 8})
		var peers sync.WaitGroup
		answered := make([]int, 6)
		for n := range answered {
			peers.Go(func() {
				conn, err := net.Dial("tcp", s.address)
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, one+one+one[:len(one)/2])
				_ = conn.SetReadDeadline(time.Now().Add(peertest.Patience))
				text, _ := io.ReadAll(conn)
				answered[n] = strings.Count(string(text), "HTTP/1.1 204 ")
			})
		}
		time.Sleep(time.Duration(i) * 100 * time.Microsecond) // the moment
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		peers.Wait()
		total := uint64(0)
		for _, n := range answered {
			total += uint64(n)
		}
		if got := s.Stats(); got.Written < total || got.Open != 0 {
			t.Errorf("%d were answered, and the counts are %+v", total, got)
		}
	}
}

func TestReceiver_refusesAHeadOfManyFields(t *testing.T) {
	for name, test := range map[string]struct {
		fields int
		want   string
	}{
		"200":  {200, "HTTP/1.1 204 "},
		"300":  {300, "HTTP/1.1 400 "},
		"5000": {5000, "HTTP/1.1 400 "},
	} {
		t.Run(name, func(t *testing.T) {
			s := receiveHTTP(t, new(httpsink.Receiver))
			conn := raw(t, s.address)
			body := strings.Repeat("\n", 1000) + slogLine // its lines do not count
			for range 2 {
				_, err := io.WriteString(conn, strings.TrimSuffix(postHead, "\r\n")+"\r\n"+distinct(test.fields, ":\r\n")+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
				if err != nil && strings.Contains(test.want, "204") {
					t.Error(err)
				}
			}
			_ = conn.(*net.TCPConn).CloseWrite()
			got := rest(t, conn)
			if n := 2 * strings.Count(test.want, "204"); strings.Count(got, "204") != n || n > 0 && !strings.HasPrefix(got, test.want) || got != "" && !strings.HasPrefix(got, test.want) {
				t.Errorf("the answer is %q", got)
			}
		})
	}
}

func TestReceiver_handlesWhatIsLong(t *testing.T) {
	long := `{"msg":"` + strings.Repeat("x", 100<<10) + `"}`
	many := `{"msg":"m"` + strings.Repeat(`,"a":1`, 2000) + `}`
	args := `{"name":"x","levelno":20,"msg":"%50000d","args":[1]}`
	for name, req := range map[string]func() *http.Request{
		"in lines":       func() *http.Request { return newPost(ndjson, long+"\n"+many+"\n"+args) },
		"in short lines": func() *http.Request { return newPost(ndjson, many+"\n"+args+"\n"+args) },
		"in an array":    func() *http.Request { return newPost("application/json", "["+long+","+many+","+args+"]") },
		"packed": func() *http.Request {
			return with(newPost(ndjson, packed(long+"\n"+many+"\n"+args)), "Content-Encoding", "gzip")
		},
		"packed, and short": func() *http.Request { return with(newPost(ndjson, packed("{}\n{}\n{}")), "Content-Encoding", "gzip") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newReceiving(t, new(httpsink.Receiver))
			if a := s.ask(t, req()); a.status != http.StatusNoContent {
				t.Errorf("the answer is %+v", a)
			}
			if got := s.Stats(); got.Written != 3 {
				t.Errorf("the counts are %+v", got)
			}
		})
	}
	t.Run("in a form", func(t *testing.T) {
		s := newReceiving(t, new(httpsink.Receiver))
		if a := s.ask(t, newPost(form, "msg="+strings.Repeat("x", 100<<10)+strings.Repeat("&a=b", 1000))); a.status != http.StatusNoContent || s.Stats().Written != 1 {
			t.Errorf("the answer is %+v", a)
		}
	})
}

func TestReceiver_givesNoSessionTickets(t *testing.T) {
	other := httptest.NewTLSServer(nil)
	defer other.Close()
	config := &tls.Config{Certificates: other.TLS.Certificates}
	s := receiveHTTP(t, &httpsink.Receiver{TLS: config})
	roots := other.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	tickets := ticketCache{make(chan string, 10)}
	conn, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: roots, ServerName: "example.com", ClientSessionCache: tickets})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say(t, conn, postHead+fmt.Sprintf("Connection: close\r\nContent-Length: %d\r\n\r\n%s", len(slogLine), slogLine))
	if got := rest(t, conn); !strings.HasPrefix(got, "HTTP/1.1 204 ") || !slices.Equal(s.written(), []string{slogLine}) {
		t.Errorf("the answer is %q", got)
	}
	if len(tickets.put) > 0 || config.SessionTicketsDisabled || config.NextProtos != nil {
		t.Errorf("%d tickets, and the caller's configuration is %v", len(tickets.put), config.NextProtos)
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

func TestReceiver_servesUnixSockets(t *testing.T) {
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := newReceiving(t, new(httpsink.Receiver))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	conn, err := net.Dial("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say(t, conn, postHead+fmt.Sprintf("Connection: close\r\nContent-Length: %d\r\n\r\n%s", len(slogLine), slogLine))
	if got := rest(t, conn); !strings.HasPrefix(got, "HTTP/1.1 204 ") {
		t.Errorf("the answer is %q", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-ended
	if got := s.lines.String(); strings.Contains(got, "peer") || !strings.Contains(got, `"msg":"no"`) {
		t.Errorf("the record is %s", got)
	}
}

package outbound_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/outbound"
	"github.com/slogworks/slogworks/internal/peertest"
)

func TestMain(m *testing.M) { os.Exit(peertest.Main(m, "net/http.(*persistConn)")) }

// transport answers as a function does.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// newRequest returns a POST with a short body.
func newRequest(t *testing.T, to string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// newClient returns a client whose connections end with the test.
func newClient(t *testing.T) *http.Client {
	client := &http.Client{Transport: new(http.Transport)}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// serve starts a server and returns its URL.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the client is gone
		h(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// respond returns a client that gets the answer, without a network.
func respond(status int, header http.Header, body io.Reader) *http.Client {
	return &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Status: "999 made up", Header: header, Body: io.NopCloser(body), Request: r}, nil
	})}
}

// do makes a request that has to be answered.
func do(t *testing.T, client *http.Client) *outbound.Answer {
	t.Helper()
	a, _, err := outbound.Do(client, newRequest(t, "http://h/"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestParseURL(t *testing.T) {
	for _, text := range []string{"http://h", "https://h:8443/path?a=b#c", "http://user:secret@[::1]:80/", "HTTPS://h/"} {
		if u, err := outbound.ParseURL(text); err != nil || u.Host == "" {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "h/secret", "h:80/secret", "//h/secret", "ftp://h/secret", "http:///secret", "http://:80/secret", "http:secret", "http://[::1/secret", "http://h/secret\x7f", "http://h:port/secret"} {
		if _, err := outbound.ParseURL(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCareful(t *testing.T) {
	for name, test := range map[string]struct {
		from     string
		status   int
		to       string
		requests int
	}{
		"307 to the same host":               {"http://h/a", 307, "/b", 2},
		"308 to the same host":               {"http://h/a", 308, "http://h/b", 2},
		"from http to https":                 {"http://h/a", 307, "https://h/b", 2},
		"from https to http":                 {"https://h/a", 307, "http://h/b", 1},
		"302, which would become a GET":      {"http://h/a", 302, "/b", 1},
		"303, which would become a GET":      {"http://h/a", 303, "/b", 1},
		"to another host":                    {"http://h/a", 307, "http://i/b", 1},
		"to another port":                    {"http://h/a", 307, "http://h:81/b", 1},
		"to a host below":                    {"http://h/a", 307, "http://www.h/b", 1},
		"to a host after a user of its name": {"http://h/a", 307, "http://h@i/b", 1},
		"in a circle":                        {"http://h/a", 307, "/a", 4},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			base := transport(func(r *http.Request) (*http.Response, error) {
				asked = append(asked, r.Method+" "+r.URL.String())
				resp := &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}, Request: r}
				if r.URL.Path == "/a" {
					resp.StatusCode = test.status
					resp.Header.Set("Location", test.to)
				}
				return resp, nil
			})
			theirs := 0
			client := &http.Client{Transport: base, CheckRedirect: func(*http.Request, []*http.Request) error { theirs++; return nil }}
			a, _, err := outbound.Do(outbound.Careful(client), newRequest(t, test.from))
			if err != nil {
				t.Fatal(err)
			}
			if len(asked) != test.requests || theirs != test.requests-1 || slices.ContainsFunc(asked, func(s string) bool { return !strings.HasPrefix(s, "POST ") }) {
				t.Errorf("it asked %q, and the client's own rule %d times", asked, theirs)
			}
			if isEnd := a.Status == 200; isEnd != (test.requests == 2) {
				t.Errorf("the answer is %+v", a)
			}
		})
	}
	t.Run("goes by the client's own rule too", func(t *testing.T) {
		refused := errors.New("not this one")
		client := respond(307, http.Header{"Location": {"/b"}}, http.NoBody)
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return refused }
		if _, _, err := outbound.Do(outbound.Careful(client), newRequest(t, "http://h/a")); !errors.Is(err, refused) {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("leaves the client as it is", func(t *testing.T) {
		client := &http.Client{Timeout: time.Hour}
		if careful := outbound.Careful(client); client.CheckRedirect != nil || careful.Timeout != time.Hour {
			t.Error("it is changed")
		}
	})
}

func TestDo_tellsWhatMayHaveArrived(t *testing.T) {
	client := newClient(t)
	t.Run("nothing if nobody listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if _, underWay, err := outbound.Do(client, newRequest(t, "http://"+l.Addr().String())); err == nil || underWay {
			t.Errorf("the error is %v, under way %v", err, underWay)
		}
	})
	t.Run("perhaps if the connection breaks", func(t *testing.T) {
		to := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		if _, underWay, err := outbound.Do(client, newRequest(t, to)); err == nil || !underWay {
			t.Errorf("the error is %v, under way %v", err, underWay)
		}
	})
	t.Run("perhaps if the context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		to := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		if _, underWay, err := outbound.Do(client, newRequest(t, to).WithContext(ctx)); !errors.Is(err, context.Canceled) || !underWay {
			t.Errorf("the error is %v, under way %v", err, underWay)
		}
	})
}

func TestDo_aTransportThatPanicsIsAnError(t *testing.T) {
	client := &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { panic("no") })}
	var p *slogworks.PanicError
	if _, underWay, err := outbound.Do(client, newRequest(t, "http://h/")); !errors.As(err, &p) || underWay {
		t.Errorf("the error is %v", err)
	}
}

// broken is a body that ends as it does.
type broken struct{ err error }

func (b broken) Read(p []byte) (int, error) {
	if b.err == nil {
		panic("no")
	}
	return copy(p, "the begin"), b.err
}

// What the answer is, is known by its head.
func TestDo_readsAnAnswerThatBreaks(t *testing.T) {
	for name, body := range map[string]broken{"by an error": {io.ErrUnexpectedEOF}, "by a panic": {nil}} {
		t.Run(name, func(t *testing.T) {
			for _, status := range []int{200, 400} {
				a := do(t, respond(status, nil, body))
				if a.IsSuccess() != (status == 200) {
					t.Errorf("the answer is %+v", a)
				}
				// What was read may end with the beginning of a secret.
				if text := a.Refusal(outbound.Secrets{"beginning"}); status == 400 && text != "400 Bad Request" {
					t.Errorf("the refusal is %q", text)
				}
			}
		})
	}
}

// endless is a body without an end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

func TestDo_readsLittleOfALongAnswer(t *testing.T) {
	for _, status := range []int{200, 400} {
		body := new(endless)
		a := do(t, respond(status, nil, body))
		if body.read > 8<<10 || len(a.Body) > 4<<10 {
			t.Errorf("it read %d bytes and keeps %d", body.read, len(a.Body))
		}
		if text := a.Refusal(nil); status == 400 && len(text) > 250 {
			t.Errorf("the refusal has %d bytes", len(text))
		}
	}
}

// A server that answers 101 owes no end to what follows, not even when the context
// ends.
func TestDo_doesNotWaitForAProtocolThatNobodyAskedFor(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var server sync.WaitGroup
	defer server.Wait()
	server.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.Copy(io.Discard, req.Body)
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: gopher\r\nConnection: Upgrade\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn) // until the client closes
	})
	a, _, err := outbound.Do(newClient(t), newRequest(t, "http://"+l.Addr().String()))
	if err != nil || a.IsSuccess() || a.IsTemporary() || a.Refusal(nil) != "101 Switching Protocols" {
		t.Errorf("the answer is %+v, the error %v", a, err)
	}
}

func TestDo_usesConnectionsAgain(t *testing.T) {
	var mu sync.Mutex
	peers := map[string]bool{}
	to := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		peers[r.RemoteAddr] = true
		n := len(peers)
		mu.Unlock()
		w.WriteHeader([]int{200, 400, 503}[n%3])
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
	})
	client := newClient(t)
	for range 5 {
		if _, _, err := outbound.Do(client, newRequest(t, to)); err != nil {
			t.Fatal(err)
		}
	}
	if len(peers) != 1 {
		t.Errorf("there were %d connections", len(peers))
	}
}

func TestAnswer_tellsSuccessFromWhatMaySucceedLater(t *testing.T) {
	for status, want := range map[int]string{
		200: "success", 204: "success", 299: "success",
		101: "refused", 300: "refused", 304: "refused", 307: "refused",
		400: "refused", 401: "refused", 404: "refused", 413: "refused", 422: "refused",
		408: "temporary", 425: "temporary", 429: "temporary", 500: "temporary", 503: "temporary", 599: "temporary",
	} {
		a := &outbound.Answer{Status: status}
		got := "refused"
		switch {
		case a.IsSuccess() && a.IsTemporary():
			got = "both"
		case a.IsSuccess():
			got = "success"
		case a.IsTemporary():
			got = "temporary"
		}
		if got != want {
			t.Errorf("%d is %s, want %s", status, got, want)
		}
	}
}

func TestAnswer_saysInALineWhatItIs(t *testing.T) {
	for name, test := range map[string]struct {
		status     int
		body, want string
	}{
		"a status":                         {404, "", "404 Not Found"},
		"a status nobody has heard of":     {599, "", "599"},
		"a redirect":                       {307, "", "307 Temporary Redirect, a redirect that is not followed"},
		"what stands in it":                {400, " no\r\n\tgood ", "400 Bad Request: no good"},
		"nothing for a terminal":           {400, "a\x1b[31mb\u202ec\u0085d\x00e", "400 Bad Request: a [31mb c d e"},
		"text that is none":                {400, "a\xffb", "400 Bad Request: a\ufffdb"},
		"the beginning of what is long":    {400, strings.Repeat("x", 300), "400 Bad Request: " + strings.Repeat("x", 200) + "…"},
		"whole characters, when it is cut": {400, "x" + strings.Repeat("ä", 150), "400 Bad Request: x" + strings.Repeat("ä", 99) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := do(t, respond(test.status, nil, strings.NewReader(test.body))).Refusal(nil); got != test.want {
				t.Errorf("it says %q, want %q", got, test.want)
			}
		})
	}
}

func TestAnswer_retryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"120":                           2 * time.Minute,
		"0.65":                          650 * time.Millisecond,
		"86400":                         24 * time.Hour,
		"86401":                         24 * time.Hour,
		"99999999999999":                24 * time.Hour,
		strings.Repeat("9", 400):        24 * time.Hour,
		"-5":                            0,
		"+5":                            0,
		".":                             0,
		"1.2.3":                         0,
		"1e3":                           0,
		"0x10":                          0,
		"NaN":                           0,
		"Inf":                           0,
		"soon":                          0,
		"Fri, 02 Jan 2026 12:00:00 GMT": 0,
		"Fri, 02 Jan 2126 12:00:00 GMT": 24 * time.Hour,
	} {
		if got := do(t, respond(429, http.Header{"Retry-After": {value}}, http.NoBody)).RetryAfter; got != want {
			t.Errorf("%q is %v, want %v", value, got, want)
		}
	}
	in := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	if got := do(t, respond(429, http.Header{"Retry-After": {in}}, http.NoBody)).RetryAfter; got < 50*time.Minute || got > time.Hour {
		t.Errorf("an hour from now is %v", got)
	}
}

// What is refused here is what net/http would refuse at each request.
func TestCheckHeader_refusesWhatCannotBeSent(t *testing.T) {
	server := serve(t, func(http.ResponseWriter, *http.Request) {})
	client := newClient(t)
	for _, header := range []http.Header{
		nil, {}, {"X-A": {"b", "c"}}, {"x-a": {""}}, {"X-A": {"tab\tand ünicode"}}, {"!#$%&'*+-.^_`|~09azAZ": {"v"}},
		{"": {"secret"}}, {"X A": {"secret"}}, {"X:": {"secret"}}, {"X\n": {"secret"}}, {"Ü": {"secret"}},
		{"X": {"secret\n"}}, {"X": {"secret\r\nY: z"}}, {"X": {"secret\x00"}}, {"X": {"secret\x7f"}}, {"X": {"good", "secret\x1f"}},
	} {
		req := newRequest(t, server)
		for name, values := range header {
			req.Header[name] = values
		}
		_, _, sent := outbound.Do(client, req)
		err := outbound.CheckHeader(header)
		if (err == nil) != (sent == nil) || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error is %v, and that of net/http %v", header, err, sent)
		}
	}
}

func TestSetHeader(t *testing.T) {
	header := http.Header{"x-a": {"b", "c"}, "content-type": {"text/plain"}, "host": {"log.example.com"}, "X-Empty": nil}
	got := make(chan *http.Request, 1)
	to := serve(t, func(_ http.ResponseWriter, r *http.Request) { got <- r })
	req := newRequest(t, to)
	req.Header.Set("Content-Type", "application/json")
	outbound.SetHeader(req, header)
	if _, _, err := outbound.Do(newClient(t), req); err != nil {
		t.Fatal(err)
	}
	r := <-got
	if r.Host != "log.example.com" || !slices.Equal(r.Header["X-A"], []string{"b", "c"}) || !slices.Equal(r.Header["Content-Type"], []string{"text/plain"}) {
		t.Errorf("the server got %v for %s", r.Header, r.Host)
	}
}

func TestSetKey(t *testing.T) {
	for id, want := range map[string]http.Header{
		"":                             {},
		"k3f9-500-0":                   {"Idempotency-Key": {"k3f9-500-0"}},
		"a\r\nX-Forged: b":             {"Idempotency-Key": {"a%0D%0AX-Forged%3A+b"}},
		"a\x00" + string([]byte{0x7f}): {"Idempotency-Key": {"a%00%7F"}},
	} {
		header := http.Header{}
		outbound.SetKey(header, id)
		if fmt.Sprint(header) != fmt.Sprint(want) {
			t.Errorf("%q becomes %q, want %q", id, header, want)
		}
	}
}

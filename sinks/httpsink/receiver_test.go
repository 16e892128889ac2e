package httpsink_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/httpsink"
)

const (
	ndjson = "application/x-ndjson"
	form   = "application/x-www-form-urlencoded"
)

// receiving is a receiver and what it has made of requests.
type receiving struct {
	*httpsink.Receiver
	address string

	mu    sync.Mutex
	lines bytes.Buffer
	errs  []error
}

func (s *receiving) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines.Write(p)
}

func (s *receiving) reported() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.errs)
}

// written returns the records, each without its peer.
func (s *receiving) written() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for line := range strings.Lines(s.lines.String()) {
		if i := strings.Index(line, `"peer":"`); i >= 0 {
			end := i + len(`"peer":"`) + strings.IndexByte(line[i+len(`"peer":"`):], '"') + 1
			line = line[:i] + strings.TrimPrefix(line[end:], ",")
			line = strings.Replace(line, `,}`, `}`, 1)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// balance checks that the counts are true, at the end.
func (s *receiving) balance(t testing.TB) {
	t.Helper()
	got := s.Stats()
	sum := got.Written + got.Dropped
	for _, n := range got.Refused {
		sum += n
	}
	if got.Received != sum || got.Open != 0 {
		t.Errorf("the counts are %+v", got)
	}
}

func newReceiving(t testing.TB, r *httpsink.Receiver) *receiving {
	s := &receiving{Receiver: r}
	if r.Handler == nil {
		r.Handler = slog.NewJSONHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug - 100})
	}
	r.OnError = func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.errs = append(s.errs, err)
	}
	t.Cleanup(func() { s.balance(t) })
	return s
}

// receiveHTTP serves in the background.
func receiveHTTP(t testing.TB, r *httpsink.Receiver) *receiving {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newReceiving(t, r)
	s.address = l.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- r.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), peertest.Patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-ended; err != httpsink.ErrClosed {
			t.Errorf("Serve ended with %v", err)
		}
	})
	return s
}

// receivers makes receivers for the tests that are the same for all protocols.
var receivers peertest.Receivers = func(t testing.TB, h slog.Handler) peertest.Receiver {
	s := receiveHTTP(t, &httpsink.Receiver{Handler: h, MaxConns: 256})
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
		Dial:     func() net.Conn { return raw(t, s.address) },
		Send: func(records ...slog.Record) {
			var body strings.Builder
			for _, r := range records {
				fmt.Fprintf(&body, `{"l":%d,"m":%q}`+"\n", r.Level, r.Message)
			}
			if a := s.ask(t, newPost(ndjson, body.String())); a.status != http.StatusNoContent {
				t.Errorf("the answer is %+v", a)
			}
		},
	}
}

func newPost(kind, body string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "/logs", strings.NewReader(body))
	req.Host = "localhost:8080"
	req.Header.Set("Content-Type", kind)
	return req
}

func newGet(query string) *http.Request {
	req := httptest.NewRequest(http.MethodGet, "/logs?"+query, nil)
	req.Host = "127.0.0.1:8080"
	return req
}

// answer is what the sender is told.
type answer struct {
	status            int
	Error             string
	Accepted, Refused int
}

func (s *receiving) ask(t testing.TB, req *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	a := answer{status: w.Code}
	if w.Code == http.StatusNoContent {
		if w.Body.Len() > 0 {
			t.Errorf("204 with the body %q", w.Body)
		}
		return a
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return a
}

func packed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()
}

const (
	wireLine  = `{"t":"2026-01-02T12:00:00Z","l":4,"m":"slow","n":"shop.db","src":{"fn":"main.f","f":"main.go","l":42},"h":"web1","p":"shop","pid":7,"a":[{"k":"took","t":"d","v":1500}]}`
	wireJSON  = `{"time":"2026-01-02T12:00:00Z","level":"WARN","msg":"slow","logger":"shop.db","host":"web1","process":"shop","pid":7,"took":1500,"source":{"function":"main.f","file":"main.go","line":42}}`
	slogLine  = `{"time":"2026-01-02T12:00:00Z","level":"ERROR","msg":"no","g":{"x":1}}`
	pythonLog = `{"name":"app","levelno":30,"msg":"%d of %s","args":[3,"users"],"process":7,"processName":"p"}`
	pythonOut = `{"level":"WARN","msg":"3 of users","logger":"app","process":"p","pid":7}`
)

func TestReceiver_readsRecords(t *testing.T) {
	query := url.Values{
		"name": {"app"}, "msg": {"%d of %s"}, "args": {"(3, 'users')"}, "levelname": {"WARNING"}, "levelno": {"30"}, "pathname": {"/a/main.py"}, "filename": {"main.py"},
		"module": {"main"}, "exc_info": {"None"}, "exc_text": {"None"}, "stack_info": {"None"}, "lineno": {"42"}, "funcName": {"f"}, "created": {"1767355200.123456"}, "msecs": {"123.0"},
		"relativeCreated": {"1.5"}, "thread": {"140"}, "threadName": {"MainThread"}, "processName": {"MainProcess"}, "process": {"7"}, "taskName": {"None"}, "uid": {"7"}, "peer": {"x"}, "logger": {"y"},
	}.Encode()
	at := time.Unix(1767355200, 123456000).Format(time.RFC3339Nano)
	ofForm := `{"time":"` + at + `","level":"WARN","msg":"%d of %s","logger":"app","process":"MainProcess","pid":7,"args":"(3, 'users')","extra.logger":"y","extra.peer":"x","uid":"7","source":{"function":"f","file":"/a/main.py","line":42}}`
	exception := `levelno=40&msg=a+%26+b&exc_info=%28%3Cclass+%27E%27%3E%29&exc_text=Traceback%0AE&args=%28%29&name=x`
	ofException := `{"level":"ERROR","msg":"a & b","logger":"x","exc_info":"(<class 'E'>)","traceback":"Traceback\nE"}`

	for name, test := range map[string]struct {
		req  *http.Request
		want []string
	}{
		"GET query of HTTPHandler":                         {newGet(query), []string{ofForm}},
		"POST body of HTTPHandler":                         {newPost(form, query), []string{ofForm}},
		"POST body of HTTPHandler with an exception":       {newPost(form, exception), []string{ofException}},
		"a form of a mapLogRecord of one's own":            {newPost(form, "level=error&message=no+answer&z=1&a=2&logger=db"), []string{`{"level":"ERROR","msg":"no answer","logger":"db","z":"1","a":"2"}`}},
		"a form that is not well formed is text":           {newPost(form, "level=warn&msg=100%&=&a;b=%ff"), []string{`{"level":"WARN","msg":"100%","":"","a;b":"�"}`}},
		"application/x-ndjson, with wire JSON":             {newPost(ndjson, wireLine+"\n"), []string{wireJSON}},
		"application/x-ndjson of several senders":          {newPost(ndjson, wireLine+"\r\n\n"+slogLine+"\n"+pythonLog), []string{wireJSON, slogLine, pythonOut}},
		"application/x-ndjson with a charset":              {newPost(ndjson+"; charset=utf-8", slogLine), []string{slogLine}},
		"application/json, an object":                      {newPost("application/json", " "+wireLine+"\n"), []string{wireJSON}},
		"application/json, an object over several lines":   {newPost("application/json", "{\"level\":\"INFO\",\n\"msg\":\"a\"}"), []string{`{"level":"INFO","msg":"a"}`}},
		"application/json, an array":                       {newPost("application/json", "["+wireLine+" ,\n "+slogLine+"]\n"), []string{wireJSON, slogLine}},
		"application/json, an array of one":                {newPost("application/json", `[{"level":"INFO","msg":"a ] , [ \" \\","x":[[1],[2]]}]`), []string{`{"level":"INFO","msg":"a ] , [ \" \\","x":[[1],[2]]}`}},
		"application/json, an empty array, which is right": {newPost("application/json", "[ ]"), nil},
		"invalid UTF-8 and NULs":                           {newPost(ndjson, "{\"level\":\"INFO\",\"msg\":\"a\xff\\u0000b\"}"), []string{`{"level":"INFO","msg":"a�\u0000b"}`}},
	} {
		for _, encoding := range []string{"", "gzip"} {
			t.Run(name+" "+encoding, func(t *testing.T) {
				req := test.req.Clone(t.Context())
				if req.Method == http.MethodPost {
					body, _ := io.ReadAll(test.req.Body)
					text := string(body)
					test.req.Body = io.NopCloser(strings.NewReader(text))
					if encoding != "" {
						req.Header.Set("Content-Encoding", encoding)
						text = packed(text)
					}
					req.Body, req.ContentLength = io.NopCloser(strings.NewReader(text)), -1
				}
				s := newReceiving(t, new(httpsink.Receiver))
				if a := s.ask(t, req); a.status != http.StatusNoContent {
					t.Errorf("the answer is %+v", a)
				}
				if got := s.written(); !slices.Equal(got, test.want) {
					t.Errorf("the records are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
				}
			})
		}
	}
}

func TestReceiver_namesThePeer(t *testing.T) {
	s := newReceiving(t, new(httpsink.Receiver))
	s.ask(t, newPost(ndjson, wireLine)) // httptest's address
	if got := s.lines.String(); !strings.Contains(got, `"pid":7,"peer":"192.0.2.1:1234","took":1500,"source"`) {
		t.Errorf("the record is %s", got)
	}
}

func with(req *http.Request, key, value string) *http.Request {
	if key == "Host" {
		req.Host = value
	}
	req.Header.Set(key, value)
	return req
}

func TestReceiver_refusesRequests(t *testing.T) {
	bomb := packed(strings.Repeat(" ", 1<<20))
	for name, test := range map[string]struct {
		req    *http.Request
		status int
		reason string
	}{
		"a browser's Origin":                     {with(newPost(ndjson, slogLine), "Origin", "https://evil.example"), 403, "foreign-site"},
		"a browser's Origin null":                {with(newPost(ndjson, slogLine), "Origin", "null"), 403, "foreign-site"},
		"Sec-Fetch-Site: cross-site":             {with(newGet("msg=a&level=info"), "Sec-Fetch-Site", "cross-site"), 403, "foreign-site"},
		"Sec-Fetch-Site: same-site":              {with(newGet("msg=a&level=info"), "Sec-Fetch-Site", "same-site"), 403, "foreign-site"},
		"a foreign Host":                         {with(newPost(ndjson, slogLine), "Host", "evil.example:8080"), 403, "foreign-site"},
		"a Host that begins like ours":           {with(newPost(ndjson, slogLine), "Host", "localhost.evil.example"), 403, "foreign-site"},
		"no Host":                                {with(newPost(ndjson, slogLine), "Host", ""), 403, "foreign-site"},
		"another path":                           {httptest.NewRequest("POST", "http://127.0.0.1/other", nil), 404, "bad-path"},
		"another method":                         {httptest.NewRequest("PUT", "http://127.0.0.1/logs", nil), 405, "bad-method"},
		"another type":                           {newPost("text/plain", slogLine), 415, "bad-type"},
		"no type":                                {newPost("", slogLine), 415, "bad-type"},
		"an unknown encoding":                    {with(newPost(ndjson, slogLine), "Content-Encoding", "br"), 400, "bad-encoding"},
		"what is not gzip":                       {with(newPost(ndjson, slogLine+slogLine), "Content-Encoding", "gzip"), 400, "bad-encoding"},
		"gzip that is broken":                    {with(newPost(ndjson, strings.Replace(packed(slogLine), "\x00\x00", "\x01\x02", -1)), "Content-Encoding", "gzip"), 400, ""},
		"gzip that ends early":                   {with(newPost(ndjson, packed(slogLine)[:30]), "Content-Encoding", "gzip"), 400, "cut-short"},
		"an empty body":                          {newPost(ndjson, ""), 400, "not-a-record"},
		"an empty body of JSON":                  {newPost("application/json", " \n"), 400, "not-a-record"},
		"blank lines":                            {newPost(ndjson, "\n \r\n"), 400, "not-a-record"},
		"an empty query":                         {newGet(""), 400, "not-a-record"},
		"an empty form":                          {newPost(form, "&&"), 400, "not-a-record"},
		"a form of too many fields":              {newPost(form, strings.Repeat("a&", 1025)), 400, "not-a-record"},
		"text in lines":                          {newPost(ndjson, "hello"), 400, "bad-json"},
		"broken JSON":                            {newPost("application/json", `{"msg":`), 400, "bad-json"},
		"a string":                               {newPost("application/json", `"hello"`), 400, "bad-json"},
		"an array without end":                   {newPost("application/json", "["+slogLine+","), 400, "bad-json"},
		"an array that ends within a record":     {newPost("application/json", "["+slogLine+","+slogLine[:20]), 400, "bad-json"},
		"an array with a gap":                    {newPost("application/json", "["+slogLine+",,"+slogLine+"]"), 400, "bad-json"},
		"an array with a comma at its end":       {newPost("application/json", "["+slogLine+",]"), 400, "bad-json"},
		"an array with a comma at its beginning": {newPost("application/json", "[,"+slogLine+"]"), 400, "bad-json"},
		"an array with something behind it":      {newPost("application/json", "["+slogLine+"]"+slogLine), 400, "bad-json"},
		"an array that closes too much":          {newPost("application/json", "[}"+slogLine+"]"), 400, "bad-json"},
		"a record beyond MaxFrame":               {newPost(ndjson, `{"msg":"`+strings.Repeat("x", 4096)+`"}`), 413, "frame-too-long"},
		"a form beyond MaxFrame":                 {newPost(form, "msg="+strings.Repeat("x", 4096)), 413, "frame-too-long"},
		"a query beyond MaxFrame":                {newGet("msg=" + strings.Repeat("x", 4096)), 413, "frame-too-long"},
		"a body beyond MaxBody":                  {newPost(ndjson, strings.Repeat(slogLine+"\n", 200)), 413, "body-too-long"},
		"a gzip bomb":                            {with(newPost(ndjson, bomb), "Content-Encoding", "gzip"), 413, "body-too-long"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newReceiving(t, &httpsink.Receiver{MaxFrame: 4096, MaxBody: 8192, Path: "/logs"})
			a := s.ask(t, test.req)
			if a.status != test.status || a.Accepted != 0 || a.Refused != 1 {
				t.Errorf("the answer is %+v, want %d", a, test.status)
			}
			got := s.Stats()
			if test.reason != "" && got.Refused[test.reason] != 1 || got.Received != 1 {
				t.Errorf("the counts are %+v, want one %s", got, test.reason)
			}
			errs := s.reported()
			var refusal *httpsink.Refusal
			if len(errs) != 1 || !errors.As(errs[0], &refusal) || refusal.Peer == "" {
				t.Errorf("reported %v", errs)
			} else if want := fmt.Sprintf("httpsink: refused %s %s: %s", refusal.Peer, refusal.Reason, refusal.Detail); refusal.Error() != want {
				t.Errorf("the error is %q, want %q", refusal.Error(), want)
			}
			if lines := s.written(); len(lines) > 0 {
				t.Errorf("something of it was taken: %s", lines)
			}
		})
	}
}

func TestReceiver_takesRequestsOfItsSite(t *testing.T) {
	for name, req := range map[string]*http.Request{
		"localhost":                    with(newPost(ndjson, slogLine), "Host", "LOCALHOST"),
		"an IPv4 address":              with(newPost(ndjson, slogLine), "Host", "10.1.2.3:80"),
		"an IPv6 address":              with(newPost(ndjson, slogLine), "Host", "[::1]:80"),
		"an IPv6 address without port": with(newPost(ndjson, slogLine), "Host", "[::1]"),
		"one of Hosts":                 with(newPost(ndjson, slogLine), "Host", "logs.Example.com:443"),
		"typed into a browser":         with(newGet("msg=a&level=info"), "Sec-Fetch-Site", "none"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newReceiving(t, &httpsink.Receiver{Hosts: []string{"logs.example.com"}})
			if a := s.ask(t, req); a.status != http.StatusNoContent || len(s.written()) != 1 {
				t.Errorf("the answer is %+v", a)
			}
		})
	}
}

// An array is either read to its end before anything of it is taken, or refused;
// a record that is none costs only itself.
func TestReceiver_saysWhatWasAccepted(t *testing.T) {
	long := `{"msg":"` + strings.Repeat("x", 4096) + `"}`
	for name, req := range map[string]*http.Request{
		"of lines":    newPost(ndjson, slogLine+"\nhello\n"+wireLine+"\n"+long+"\n"),
		"of an array": newPost("application/json", "["+slogLine+",1,"+wireLine+","+long+"]"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newReceiving(t, &httpsink.Receiver{MaxFrame: 4096})
			a := s.ask(t, req)
			if a.status != 400 || a.Accepted != 2 || a.Refused != 2 || !strings.HasPrefix(a.Error, "bad-json: record 2: ") {
				t.Errorf("the answer is %+v", a)
			}
			if got := s.written(); !slices.Equal(got, []string{slogLine, wireJSON}) {
				t.Errorf("the records are %q", got)
			}
			if got := s.Stats(); got.Written != 2 || got.Refused["bad-json"] != 1 || got.Refused["frame-too-long"] != 1 || len(s.reported()) != 2 {
				t.Errorf("the counts are %+v", got)
			}
		})
	}
}

// Nothing of such a body is to be sent again, as it would be after 413.
func TestReceiver_doesNotAskForASmallerBodyOfWhichItTookSome(t *testing.T) {
	long := `{"msg":"` + strings.Repeat("x", 4096) + `"}`
	s := newReceiving(t, &httpsink.Receiver{MaxFrame: 4096})
	if a := s.ask(t, newPost(ndjson, long+"\n"+slogLine)); a.status != 400 || a.Accepted != 1 || a.Refused != 1 {
		t.Errorf("the answer is %+v", a)
	}
}

func TestReceiver_asksForItsToken(t *testing.T) {
	const token = "s3cret"
	basic := func(password string) string {
		req := newPost(ndjson, "")
		req.SetBasicAuth("", password)
		return req.Header.Get("Authorization")
	}
	for header, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer s3creT": 401, "Basic s3cret": 401, "s3cret": 401, "Token s3cret": 401, basic("x"): 401, basic(""): 401,
		"Bearer s3cret": 204, "bearer  s3cret ": 204, basic(token): 204,
	} {
		t.Run(header, func(t *testing.T) {
			s := newReceiving(t, &httpsink.Receiver{Token: token})
			w := httptest.NewRecorder()
			s.ServeHTTP(w, with(newPost(ndjson, slogLine), "Authorization", header))
			if w.Code != want || want == 401 && (w.Header().Get("WWW-Authenticate") != "Bearer" || s.Stats().Refused["bad-token"] != 1) {
				t.Errorf("the answer is %d with %v, want %d", w.Code, w.Header(), want)
			}
			if strings.Contains(fmt.Sprint(s.reported(), w.Body), token) {
				t.Errorf("the token is in %v or %s", s.reported(), w.Body)
			}
		})
	}
}

func TestReceiver_countsWhatTheHandlerDoes(t *testing.T) { receivers.CountWhatTheHandlerDoes(t) }

func TestReceiver_boundsNesting(t *testing.T) {
	for name, text := range map[string]string{
		"objects": `{"msg":"m","level":"INFO","x":` + strings.Repeat(`{"a":`, 100000) + "1" + strings.Repeat("}", 100000) + "}",
		"lists":   `{"msg":"m","level":"INFO","x":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + "}",
	} {
		for _, kind := range []string{ndjson, "application/json"} {
			t.Run(name+" as "+kind, func(t *testing.T) {
				s := newReceiving(t, new(httpsink.Receiver))
				if kind != ndjson {
					text = "[" + text + "]"
				}
				s.ask(t, newPost(kind, text+"\n"))
				if got := s.Stats(); got.Received != 1 {
					t.Errorf("the counts are %+v", got)
				}
			})
		}
	}
}

func TestReceiver_nilHandlerPanics(t *testing.T) {
	for name, serve := range map[string]func(*httpsink.Receiver){
		"Serve":     func(r *httpsink.Receiver) { _ = r.Serve(nil) },
		"ServeHTTP": func(r *httpsink.Receiver) { r.ServeHTTP(httptest.NewRecorder(), newGet("a=b")) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p != "httpsink: nil Handler" {
					t.Errorf("panicked with %v", p)
				}
			}()
			serve(new(httpsink.Receiver))
		})
	}
}

// raw is a connection that says what no client would.
func raw(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, peertest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func say(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// rest returns what comes until the connection is closed.
func rest(t testing.TB, conn net.Conn) string {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(peertest.Patience))
	text, err := io.ReadAll(conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the connection stays open: %q", text)
	}
	return string(text)
}

const postHead = "POST /logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"

func TestReceiver_servesHostilePeers(t *testing.T) {
	t.Run("a body of 4 GiB is announced", func(t *testing.T) {
		s := receiveHTTP(t, new(httpsink.Receiver))
		conn := raw(t, s.address)
		say(t, conn, postHead+"Content-Length: 4294967296\r\n\r\n"+slogLine)
		if got := rest(t, conn); !strings.HasPrefix(got, "HTTP/1.1 413 ") {
			t.Errorf("the answer is %q", got)
		}
	})
	t.Run("a body breaks off, and nothing of it is taken", func(t *testing.T) {
		s := receiveHTTP(t, new(httpsink.Receiver))
		conn := raw(t, s.address)
		say(t, conn, postHead+"Content-Length: 1000\r\n\r\n"+slogLine+"\n")
		_ = conn.(*net.TCPConn).CloseWrite()
		if got := rest(t, conn); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("the answer is %q", got)
		}
		if got := s.Stats(); got.Refused["cut-short"] != 1 || got.Written != 0 {
			t.Errorf("the counts are %+v", got)
		}
	})
	t.Run("a body that never comes", func(t *testing.T) {
		s := receiveHTTP(t, &httpsink.Receiver{FrameTimeout: 500 * time.Millisecond})
		conn := raw(t, s.address)
		say(t, conn, postHead+"Content-Length: 1000\r\n\r\n"+slogLine+"\n")
		if got := rest(t, conn); !strings.HasPrefix(got, "HTTP/1.1 408 ") {
			t.Errorf("the answer is %q", got)
		}
		if got := s.Stats(); got.Refused["body-timeout"] != 1 || got.Written != 0 {
			t.Errorf("the counts are %+v", got)
		}
	})
	t.Run("a head that never comes", func(t *testing.T) {
		s := receiveHTTP(t, &httpsink.Receiver{FrameTimeout: 500 * time.Millisecond})
		conn := raw(t, s.address)
		say(t, conn, "POST /logs")
		rest(t, conn)
	})
	t.Run("a silent connection", func(t *testing.T) {
		s := receiveHTTP(t, &httpsink.Receiver{IdleTimeout: 20 * time.Millisecond})
		conn := raw(t, s.address)
		say(t, conn, postHead+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(slogLine), slogLine))
		if got := rest(t, conn); !strings.HasPrefix(got, "HTTP/1.1 204 ") {
			t.Errorf("the answer is %q", got)
		}
		if got := s.Stats(); got.Received != 1 {
			t.Errorf("the counts are %+v", got)
		}
	})
	t.Run("one byte at a time, and chunked", func(t *testing.T) {
		s := receiveHTTP(t, new(httpsink.Receiver))
		conn := raw(t, s.address)
		text := postHead + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n1\r\n\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(slogLine), slogLine, len(wireLine), wireLine)
		for i := range len(text) {
			say(t, conn, text[i:i+1])
		}
		if got := rest(t, conn); !strings.HasPrefix(got, "HTTP/1.1 204 ") {
			t.Errorf("the answer is %q", got)
		}
		if got := s.written(); !slices.Equal(got, []string{slogLine, wireJSON}) {
			t.Errorf("the records are %q", got)
		}
	})
	t.Run("no HTTP", func(t *testing.T) {
		s := receiveHTTP(t, new(httpsink.Receiver))
		conn := raw(t, s.address)
		say(t, conn, "\x00\x00\x01\x00\x80\x04}\r\n\r\n")
		rest(t, conn)
	})
	t.Run("a head without end", func(t *testing.T) {
		s := receiveHTTP(t, new(httpsink.Receiver))
		conn := raw(t, s.address)
		_, _ = io.WriteString(conn, "GET /logs?msg="+strings.Repeat("x", 100<<10)) // hung up at some time
		rest(t, conn)
	})
	t.Run("too many connections", func(t *testing.T) {
		s := receiveHTTP(t, &httpsink.Receiver{MaxConns: 2})
		for range 2 {
			conn := raw(t, s.address)
			say(t, conn, postHead+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(slogLine), slogLine))
		}
		peertest.WaitFor(t, "two records", func() bool { return s.Stats().Written == 2 })
		rest(t, raw(t, s.address))
		peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["too-many-connections"] == 1 })
		if got := s.Stats(); got.Connections != 2 || got.Open != 2 {
			t.Errorf("the counts are %+v", got)
		}
	})
}

func TestReceiver_boundsItsMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's memory counts too")
	}
	const hostile, limit = 256, 64 << 20
	s := receiveHTTP(t, &httpsink.Receiver{Handler: slog.NewJSONHandler(io.Discard, nil), FrameTimeout: time.Second})
	bomb := packed(strings.Repeat(`{"a":[`, 1<<20))
	texts := [][]byte{ // once, and not for each write
		[]byte(postHead + "Content-Length: 4000000\r\n\r\n" + strings.Repeat("x", 3<<20)),
		[]byte(postHead + fmt.Sprintf("Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(bomb), bomb)),
		[]byte("GET /?" + strings.Repeat("a=b&", 7<<10)),
		[]byte(postHead + fmt.Sprintf("Content-Length: %d\r\n\r\n{%s", 1<<20, strings.Repeat(`"a":0,`, 170<<10)) + strings.Repeat(" ", 100)),
	}
	heap := peertest.NewHeap()
	done := make(chan struct{}, hostile)
	for i := range hostile {
		conn := raw(t, s.address)
		go func() {
			defer func() { done <- struct{}{} }()
			if _, err := conn.Write(texts[i%len(texts)]); err != nil {
				return // hung up
			}
			_ = conn.SetReadDeadline(time.Now().Add(peertest.Patience))
			_, _ = io.Copy(io.Discard, conn)
		}()
	}
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

func TestReceiver_shutdown(t *testing.T) {
	one := postHead + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(slogLine), slogLine)
	t.Run("waits for requests, and for nothing else", func(t *testing.T) {
		h := peertest.NewBusy()
		s := receiveHTTP(t, &httpsink.Receiver{Handler: h})
		silent := raw(t, s.address)
		conn := raw(t, s.address)
		say(t, conn, one)
		peertest.WaitFor(t, "the request", func() bool { return h.Handling.Load() == 1 })
		peertest.WaitFor(t, "both connections", func() bool { return s.Stats().Open == 2 })
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(t.Context()) }()
		rest(t, silent) // is closed
		select {
		case err := <-done:
			t.Errorf("Shutdown returned %v during a request", err)
		default:
		}
		h.Free()
		if err := <-done; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if got := rest(t, conn); !strings.HasPrefix(got, "HTTP/1.1 204 ") {
			t.Errorf("the answer is %q", got)
		}
		if got := s.Stats(); got.Written != 1 {
			t.Errorf("the counts are %+v", got)
		}
	})
	t.Run("has time enough in Close for a silent connection", func(t *testing.T) {
		s := receiveHTTP(t, new(httpsink.Receiver))
		raw(t, s.address)
		peertest.WaitFor(t, "the connection", func() bool { return s.Stats().Open == 1 })
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("says what it did not wait for", func(t *testing.T) {
		receivers.SayWhatTheyDidNotWaitFor(t, one, "1 requests")
	})
	t.Run("is for good", func(t *testing.T) {
		s := newReceiving(t, new(httpsink.Receiver))
		peertest.IsClosedForGood(t, s.Receiver, httpsink.ErrClosed)
		if a := s.ask(t, newPost(ndjson, slogLine)); a.status != http.StatusServiceUnavailable || s.Stats().Refused["closed"] != 1 {
			t.Errorf("the answer is %+v", a)
		}
	})
	t.Run("returns the error of a listener", func(t *testing.T) {
		peertest.ReturnsTheErrorOfItsListener(t, newReceiving(t, new(httpsink.Receiver)).Receiver)
	})
}

func TestReceiver_talksTLS(t *testing.T) {
	// httptest has a certificate.
	other := httptest.NewTLSServer(nil)
	defer other.Close()
	s := receiveHTTP(t, &httpsink.Receiver{TLS: &tls.Config{Certificates: other.TLS.Certificates}})
	resp, err := other.Client().Post("https://"+s.address+"/logs", ndjson, strings.NewReader(slogLine))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := s.written(); resp.StatusCode != http.StatusNoContent || !slices.Equal(got, []string{slogLine}) {
		t.Errorf("%s, and the records are %q", resp.Status, got)
	}
	other.CloseClientConnections()
}

// What a Handler posts comes back as it was.
func TestReceiver_takesWhatAHandlerPosts(t *testing.T) {
	for name, opts := range map[string]httpsink.Options{
		"wire":       {Format: httpsink.Wire},
		"wire, gzip": {Format: httpsink.Wire, Gzip: true},
		"lines":      {Format: httpsink.NDJSON},
		"array":      {Format: httpsink.Array, Gzip: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := receiveHTTP(t, &httpsink.Receiver{Token: "s3cret"})
			opts.Bearer, opts.Host, opts.Process = "s3cret", "web1", "shop"
			h := httpsink.New("http://"+s.address+"/logs", &opts)
			defer h.Close()
			b := slogworks.Batch{}
			want := []string{}
			for i := range 100 {
				r := slog.NewRecord(time.Date(2026, 1, 2, 12, 0, 0, i, time.UTC), slog.Level(i%9-4), fmt.Sprintf("message %d\n{}", i), 0)
				r.AddAttrs(slog.Int("i", i), slog.Duration("took", time.Duration(i)), slog.Group("g", slog.String("a", "b]\",")))
				b.Items = append(b.Items, slogworks.Item{Context: t.Context(), Record: r})
				var line bytes.Buffer
				_ = slog.NewJSONHandler(&line, &slog.HandlerOptions{Level: slog.LevelDebug}).Handle(t.Context(), r)
				want = append(want, strings.TrimSpace(line.String()))
			}
			if err := h.HandleBatch(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			got := s.written()
			for i, line := range got {
				_, after, ok := strings.Cut(line, `"i":`)
				_, wantAfter, _ := strings.Cut(want[i], `"i":`)
				if !ok || after != wantAfter || !strings.HasPrefix(line, want[i][:strings.Index(want[i], `,"i":`)]) {
					t.Fatalf("record %d is\n%s\nwant\n%s", i, line, want[i])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d of %d records", len(got), len(want))
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []struct {
		kind byte
		body string
	}{{0, slogLine + "\n" + wireLine}, {1, "[" + slogLine + "," + wireLine + "]"}, {1, slogLine}, {2, "levelno=30&msg=a&args=()"}, {2, "a=b&%zz"}, {3, packed(slogLine)}, {1, "[[[],{}],\"]\"]"}} {
		f.Add(seed.kind, seed.body)
	}
	f.Fuzz(func(t *testing.T, kind byte, body string) {
		req := newPost([]string{ndjson, "application/json", form, ndjson}[kind%4], body)
		if kind%4 == 3 {
			req.Header.Set("Content-Encoding", "gzip")
		}
		s := &httpsink.Receiver{Handler: slog.NewJSONHandler(io.Discard, nil), MaxFrame: 4096, MaxBody: 1 << 16}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		got := s.Stats()
		sum := got.Written + got.Ignored
		var a answer
		if w.Code != http.StatusNoContent {
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
				t.Fatal(err)
			}
			if uint64(a.Accepted) != sum {
				t.Errorf("the answer is %+v, the counts %+v", a, got)
			}
			sum += uint64(a.Refused)
		}
		if got.Received+got.Ignored != sum || got.Dropped > 0 {
			t.Errorf("the answer is %d, the counts %+v", w.Code, got)
		}
	})
}

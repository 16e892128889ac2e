package live_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/live"
)

// frame is what stands between two empty lines of a stream.
type frame struct{ id, event, data, comment string }

func (f frame) rows(t *testing.T) []row {
	t.Helper()
	if f.event != "b" {
		t.Fatalf("frame %+v is no batch", f)
	}
	var rows []row
	if err := json.Unmarshal([]byte(f.data), &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

type stream struct {
	body  io.ReadCloser
	lines *bufio.Reader
}

// openStream opens a stream that ends with the test or after ten seconds.
func openStream(t *testing.T, server *httptest.Server, target, lastID string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" || answer.Header.Get("X-Accel-Buffering") != "no" {
		t.Fatalf("%s %v", answer.Status, answer.Header)
	}
	return &stream{answer.Body, bufio.NewReader(answer.Body)}
}

// next returns the next frame as the standard for event streams reads it.
func (s *stream) next() (f frame, err error) {
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return f, err
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && f != frame{}:
			return f, nil
		case line == "":
		case field == "":
			f.comment = value
		case field == "id":
			f.id = value
		case field == "event":
			f.event = value
		case field == "data":
			f.data += value
		default:
			return f, fmt.Errorf("field %q", line)
		}
	}
}

func (s *stream) must(t *testing.T) frame {
	t.Helper()
	for {
		f, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.comment == "" {
			return f
		}
	}
}

// until collects records up to one that has the message.
func (s *stream) until(t *testing.T, message string) (all []row, last frame) {
	t.Helper()
	for {
		f := s.must(t)
		all = append(all, f.rows(t)...)
		if all[len(all)-1].M == message {
			return all, f
		}
	}
}

type hello struct {
	Version     int
	Boot        string
	First, Head uint64
	Loggers     []string
	Levels      map[string]int
	Hosts       []string
}

func (s *stream) hello(t *testing.T) hello {
	t.Helper()
	f := s.must(t)
	var h hello
	if err := json.Unmarshal([]byte(f.data), &h); err != nil || f.event != "hello" || h.Version != 1 {
		t.Fatalf("first frame %+v: %v", f, err)
	}
	return h
}

// newServer serves a hub that sends often.
func newServer(t *testing.T, opts live.Options) (*live.Hub, *httptest.Server) {
	t.Helper()
	if opts.Interval == 0 {
		opts.Interval = time.Millisecond
	}
	h := newHub(opts)
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		_ = h.Close()
		server.Close()
	})
	return h, server
}

func TestHub_serveEvents_sendsWhatIsKeptAndWhatComes(t *testing.T) {
	h, server := newServer(t, live.Options{})
	publish(t, h, 1, 5)
	s := openStream(t, server, "/events?backlog=2", "")
	hello := s.hello(t)
	if hello.First != 1 || hello.Head != 5 {
		t.Errorf("hello %+v", hello)
	}
	first, last := s.until(t, "5")
	publish(t, h, 6, 7)
	second, end := s.until(t, "7")
	if got := messages(append(first, second...)); got != "4 5 6 7" {
		t.Errorf("got %q", got)
	}
	if last.id != hello.Boot+"-5" || end.id != hello.Boot+"-7" {
		t.Errorf("ids %s and %s", last.id, end.id)
	}
	if boot := records(t, h, "").Boot; boot != hello.Boot {
		t.Errorf("boot %s, in /records %s", hello.Boot, boot)
	}
}

func TestHub_serveEvents_beginsWhereItIsTold(t *testing.T) {
	for _, test := range []struct{ query, lastID, want string }{
		{"", "", "501"},
		{"backlog=0", "", "1501"},
		{"backlog=3", "", "1498"},
		{"backlog=99999", "", "1"},
		{"backlog=2&q=/00$/", "", "1400"},
		{"backlog=0", "BOOT-1490", "1491"},
		{"backlog=0&after=BOOT-1490", "", "1491"},
		{"after=BOOT-20", "BOOT-1490", "1491"},
		{"", "BOOT-99999", "1501"},
		{"backlog=1&q=/00$/", "BOOT-1300", "1400"},
	} {
		t.Run(test.query+" "+test.lastID, func(t *testing.T) {
			h, server := newServer(t, live.Options{MaxRecords: 2000})
			publish(t, h, 1, 1500)
			boot := strings.NewReplacer("BOOT", records(t, h, "").Boot)
			s := openStream(t, server, "/events?"+boot.Replace(test.query), boot.Replace(test.lastID))
			if s.hello(t).Head < 1500 {
				t.Error("hello has another head")
			}
			if test.want == "1501" {
				_ = h.Publish(slog.Record{Message: "1501"}, live.Origin{})
			}
			if got := s.must(t).rows(t)[0].M; got != test.want {
				t.Errorf("the first is %s, want %s", got, test.want)
			}
		})
	}
}

func TestHub_serveEvents_resumesExactly(t *testing.T) {
	h, server := newServer(t, live.Options{})
	publish(t, h, 1, 10)
	var got []string
	id := ""
	for last := 10; last < 60; last += 10 {
		s := openStream(t, server, "/events?q=/[02468]$/&backlog=100", id)
		s.hello(t)
		rows, f := s.until(t, fmt.Sprint(last))
		for _, r := range rows {
			got = append(got, r.M)
		}
		id = f.id
		_ = s.body.Close()
		publish(t, h, last+1, last+10)
	}
	if len(got) != 25 || got[0] != "2" || got[24] != "50" {
		t.Errorf("got %v", got)
	}
}

func TestHub_serveEvents_tellsOfARestart(t *testing.T) {
	before, _ := newServer(t, live.Options{})
	after, server := newServer(t, live.Options{MaxRecords: 2})
	publish(t, before, 1, 3)
	publish(t, after, 1, 3)
	old := records(t, before, "").Boot
	for _, id := range []string{old + "-3", "nonsense", "7"} {
		s := openStream(t, server, "/events?backlog=0", id)
		hello := s.hello(t)
		if hello.Boot == old {
			t.Fatal("two runs have one name")
		}
		gap := s.must(t)
		if gap.event != "gap" || gap.data != `{"from":1,"to":1,"dropped":null,"why":"restart"}` || gap.id != hello.Boot+"-1" {
			t.Errorf("after %s: %+v", id, gap)
		}
		if rows, _ := s.until(t, "3"); messages(rows) != "2 3" {
			t.Errorf("after %s: %s", id, messages(rows))
		}
	}
}

func TestHub_serveEvents_saysHello(t *testing.T) {
	h := story()
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	got := fmt.Sprintf("%+v", openStream(t, server, "/events?backlog=0&level=error", "").hello(t))
	_, got, _ = strings.Cut(got, "First")
	want := ":1 Head:7 Loggers:[a a.b a.b.c a.bc x] Levels:map[critical:1 debug:2 error:1 info:2 warn:1] Hosts:[web1 web2]}"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	empty := httptest.NewServer(newHub(live.Options{}))
	defer empty.Close()
	s := openStream(t, empty, "/events", "")
	if f := s.must(t); !strings.HasSuffix(f.data, `"first":1,"head":0,"loggers":[],"levels":{},"hosts":[],"heartbeat_ms":15000}`) {
		t.Error(f.data)
	}
	_ = s.body.Close()
}

func TestHub_serveEvents_keepsRecordsInOneLine(t *testing.T) {
	h, server := newServer(t, live.Options{})
	evil := "a\n\ndata: forged\r\n\u2028id: 7\x00</script>"
	s := openStream(t, server, "/events", "")
	s.hello(t)
	slog.New(h.Handler(nil)).Info(evil, evil, evil, "logger", evil, "any", map[string]string{evil: evil})
	f := s.must(t)
	rows := f.rows(t)
	if len(rows) != 1 || rows[0].M != evil || rows[0].N != evil {
		t.Errorf("%+v", f)
	}
}

func TestHub_serveEvents_beats(t *testing.T) {
	h, server := newServer(t, live.Options{Heartbeat: 2 * time.Millisecond, WriteTimeout: time.Second})
	publish(t, h, 1, 3)
	s := openStream(t, server, "/events?backlog=0&q=none", "")
	boot := s.hello(t).Boot
	beat := frame{comment: "heartbeat"}
	for range 2 {
		if f, err := s.next(); err != nil || f != beat {
			t.Fatalf("%+v %v, want a heartbeat alone", f, err)
		}
	}
	// Whoever resumes is not told that what the filter hid was lost.
	publish(t, h, 4, 5)
	if f := s.must(t); f.id != boot+"-5" || len(f.rows(t)) != 0 {
		t.Errorf("%+v, want a batch of none with the id of the last record", f)
	}
	for range 2 {
		if f, err := s.next(); err != nil || f != beat {
			t.Fatalf("then %+v %v, want a heartbeat alone", f, err)
		}
	}
}

func TestHub_serveEvents_outlivesTheTimeoutsOfTheServer(t *testing.T) {
	h := newHub(live.Options{Heartbeat: 40 * time.Millisecond, Interval: time.Millisecond})
	server := httptest.NewUnstartedServer(h)
	server.Config.WriteTimeout = 50 * time.Millisecond
	server.Config.ReadTimeout = 50 * time.Millisecond
	server.Start()
	defer server.Close()
	defer h.Close()
	s := openStream(t, server, "/events", "")
	for range 6 { // of which five take 200ms
		if _, err := s.next(); err != nil {
			t.Fatal(err)
		}
	}
}

// slow is a client that takes nothing until it is told to.
type slow struct {
	header  http.Header
	writing chan struct{} // gets something when a write begins
	go_     chan struct{} // closed to let writes through
	mu      sync.Mutex
	got     bytes.Buffer
	cut     chan struct{}
	once    sync.Once
}

func newSlow() *slow {
	return &slow{header: http.Header{}, writing: make(chan struct{}, 1000), go_: make(chan struct{}), cut: make(chan struct{})}
}

func (s *slow) Header() http.Header { return s.header }
func (s *slow) WriteHeader(int)     {}
func (s *slow) FlushError() error   { return nil }

func (s *slow) SetWriteDeadline(at time.Time) error {
	if at.Before(time.Now()) {
		s.once.Do(func() { close(s.cut) })
	}
	return nil
}

func (s *slow) Write(b []byte) (int, error) {
	s.writing <- struct{}{}
	select {
	case <-s.go_:
	case <-s.cut:
		return 0, os.ErrDeadlineExceeded
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.Write(b)
}

func (s *slow) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// serve has the client look at the hub, and returns when it hangs in its first
// write. The channel is closed when the stream ends.
func (s *slow) serve(t *testing.T, h *live.Hub, target string) (ended chan struct{}) {
	t.Helper()
	r := httptest.NewRequest("GET", "http://localhost"+target, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		h.ServeHTTP(s, r)
	}()
	receive(t, s.writing)
	return ended
}

func receive[T any](t *testing.T, c <-chan T) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing happens")
	}
}

func TestHub_Publish_doesNotWaitForClients(t *testing.T) {
	h := newHub(live.Options{MaxRecords: 100})
	var clients []*slow
	var ends []chan struct{}
	for range 10 {
		c := newSlow()
		clients = append(clients, c)
		ends = append(ends, c.serve(t, h, "/events"))
	}
	publish(t, h, 1, 5000) // returns although all clients hang
	for i, ended := range ends {
		select {
		case <-ended:
			t.Errorf("client %d is gone", i)
		default:
		}
	}
	if s := h.Stats(); s.Clients != 10 || s.Records != 5000 {
		t.Errorf("%+v", s)
	}
	for i, c := range clients {
		close(c.go_)
		peertest.WaitFor(t, "the newest record", func() bool { return strings.Contains(c.text(), `"m":"5000"`) })
		if want := `{"from":1,"to":4900,"dropped":4900,"why":"lag"}`; !strings.Contains(c.text(), want) {
			t.Errorf("client %d is told\n%.300s\nwant %s", i, c.text(), want)
		}
		if !strings.Contains(c.text(), "-4900\nevent: gap\n") || strings.Contains(c.text(), `"m":"4900"`) || !strings.Contains(c.text(), `"m":"4901"`) {
			t.Errorf("client %d does not go on where the gap ends", i)
		}
	}
	if s := h.Stats(); s.Lagged != 49_000 {
		t.Errorf("%d records counted as lagged", s.Lagged)
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for _, ended := range ends {
		receive(t, ended)
	}
}

func TestHub_Shutdown_sendsWhatThereIs(t *testing.T) {
	h, server := newServer(t, live.Options{Interval: time.Hour})
	s := openStream(t, server, "/events", "")
	s.hello(t)
	publish(t, h, 1, 3)
	if err := h.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows, _ := s.until(t, "3"); messages(rows) != "1 2 3" {
		t.Errorf("got %s", messages(rows))
	}
	if _, err := s.next(); err != io.EOF {
		t.Errorf("then %v, want the end", err)
	}
	if got := messages(records(t, h, "").Records); got != "1 2 3" {
		t.Errorf("kept after Shutdown: %q", got)
	}
	if w := do(h, "GET", "/events"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a new stream after Shutdown: %d", w.Code)
	}
}

func TestHub_Shutdown_cutsWhoHangs(t *testing.T) {
	h := newHub(live.Options{})
	c := newSlow()
	ended := c.serve(t, h, "/events")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := h.Shutdown(ctx)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "cut 1 streams") {
		t.Errorf("Shutdown: %v", err)
	}
	receive(t, ended)
	if s := h.Stats(); s.Cut != 1 || s.Clients != 0 {
		t.Errorf("%+v", s)
	}
	if err := h.Shutdown(ctx); err != nil {
		t.Errorf("the second: %v", err)
	}
}

func TestHub_Shutdown_letsTheServerEnd(t *testing.T) {
	h := newHub(live.Options{})
	server := httptest.NewServer(h)
	defer server.Close()
	server.Config.RegisterOnShutdown(func() { _ = h.Close() })
	s := openStream(t, server, "/events", "")
	s.hello(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() { _, _ = s.next() }()
	if err := server.Config.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func TestOptions_WriteTimeout_cutsWhoHangs(t *testing.T) {
	h, server := newServer(t, live.Options{WriteTimeout: 20 * time.Millisecond, MaxBytes: 64 << 20})
	s := openStream(t, server, "/events", "")
	s.hello(t)
	long := slog.Record{Message: strings.Repeat("x", 60_000)}
	// More than the buffers of the connection hold, which nobody reads.
	peertest.WaitFor(t, "the stream to be cut", func() bool {
		_ = h.Publish(long, live.Origin{})
		return h.Stats().Cut == 1
	})
	peertest.WaitFor(t, "the stream to end", func() bool { return h.Stats().Clients == 0 })
}

func TestOptions_MaxClients_turnsAway(t *testing.T) {
	h, server := newServer(t, live.Options{MaxClients: 1})
	s := openStream(t, server, "/events", "")
	s.hello(t)
	w := do(h, "GET", "/events")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d", w.Code)
	}
	if w := do(h, "GET", "/records"); w.Code != 200 {
		t.Errorf("records: %d", w.Code)
	}
	_ = s.body.Close()
	peertest.WaitFor(t, "the stream to end", func() bool { return h.Stats().Clients == 0 })
	s = openStream(t, server, "/events", "")
	s.hello(t)
	if s := h.Stats(); s.TurnedAway != 1 {
		t.Errorf("%+v", s)
	}
}

func TestHub_serveEvents_keepsToTheRate(t *testing.T) {
	for _, test := range []struct {
		name, query string
		maxRate     int
	}{
		{"that the client asks for", "rate=10", 0},
		{"of the options", "", 10},
		{"of the options if the client asks for more", "rate=500", 10},
		{"of the client if the options allow more", "rate=10", 500},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHub(live.Options{MaxRate: test.maxRate})
			publish(t, h, 1, 50)
			c := newSlow()
			c.serve(t, h, "/events?backlog=50&"+test.query) // hangs in hello, so that the rest comes at once
			publish(t, h, 51, 100)
			close(c.go_)
			peertest.WaitFor(t, "the newest record", func() bool { return strings.Contains(c.text(), `"m":"100"`) })
			if want := `{"from":51,"to":90,"dropped":40,"why":"rate"}`; !strings.Contains(c.text(), want) {
				t.Errorf("got\n%s\nwant %s", c.text(), want)
			}
			if n := strings.Count(c.text(), `"s":`); n != 60 {
				t.Errorf("%d records, want the backlog and ten", n)
			}
			backlog, gap, rest := strings.Index(c.text(), `"m":"50"`), strings.Index(c.text(), `-90`+"\nevent: gap"), strings.Index(c.text(), `"m":"91"`)
			if backlog < 0 || gap < backlog || rest < gap {
				t.Errorf("in the order %d %d %d", backlog, gap, rest)
			}
			if s := h.Stats(); s.Limited != 40 {
				t.Errorf("%+v", s)
			}
			_ = h.Close()
		})
	}
}

func TestHub_serveEvents_saysWhyItCannotStream(t *testing.T) {
	h := newHub(live.Options{})
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "http://localhost/events", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	h.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	if !strings.Contains(w.Body.String(), "cannot flush") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w.Code != http.StatusInternalServerError {
		t.Errorf("status %d", w.Code)
	}
}

func TestHub_leavesNoGoroutineBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	h := newHub(live.Options{})
	server := httptest.NewServer(h)
	var streams []*stream
	for range 100 {
		s := openStream(t, server, "/events", "")
		s.hello(t)
		streams = append(streams, s)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	for _, s := range streams {
		_ = s.body.Close()
	}
	server.Close()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	peertest.WaitFor(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

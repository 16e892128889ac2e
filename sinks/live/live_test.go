package live_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/wire"
	"github.com/slogworks/slogworks/sinks/live"
)

const token = "the token"

// newHub returns a hub with the token and no origin, so that lines are short.
func newHub(opts live.Options) *live.Hub {
	opts.Token = token
	if opts.Process == "" {
		opts.Process = "test"
	}
	return live.New(&opts)
}

// do asks the hub as somebody who has the token.
func do(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost:8514"+target, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else if header[i] == "Method" {
			r.Method = header[i+1]
		} else if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// get is the body of a request that is answered.
func get(t *testing.T, h http.Handler, target string) string {
	t.Helper()
	w := do(h, "GET", target)
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", target, w.Code, w.Body)
	}
	return w.Body.String()
}

// row is a record as /records and /events have it.
type row struct {
	S int    `json:"s"`
	L int    `json:"l"`
	M string `json:"m"`
	N string `json:"n"`
	H string `json:"h"`
	P string `json:"p"`
}

type page struct {
	Boot        string
	First, Head uint64
	Records     []row
	More        bool
}

func records(t *testing.T, h http.Handler, query string) page {
	t.Helper()
	var p page
	if err := json.Unmarshal([]byte(get(t, h, "/records?"+query)), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func messages(rows []row) string {
	var all []string
	for _, r := range rows {
		all = append(all, r.M)
	}
	return strings.Join(all, " ")
}

// publish adds records that are numbered like the hub numbers them.
func publish(t testing.TB, h *live.Hub, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		if err := h.Publish(slog.Record{Message: fmt.Sprint(i)}, live.Origin{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHandler_conforms(t *testing.T) {
	handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
		h := newHub(live.Options{MaxRecordBytes: 4 << 20})
		return h.Handler(slog.LevelInfo), func() []map[string]any { return decoded(t, h) }
	})
}

// decoded is what is kept, as testing/slogtest wants it.
func decoded(t *testing.T, h *live.Hub) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range bytes.Lines([]byte(get(t, h, "/download"))) {
		r, _, err := wire.Decode(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		var b bytes.Buffer
		if err := slog.NewJSONHandler(&b, nil).Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		m := map[string]any{}
		if err := json.Unmarshal(b.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func TestHandler_passesSlogtest(t *testing.T) {
	var h *live.Hub
	slogtest.Run(t, func(*testing.T) slog.Handler {
		h = newHub(live.Options{})
		return h.Relay(nil)
	}, func(t *testing.T) map[string]any { return decoded(t, h)[0] })
}

func TestHandler_compares(t *testing.T) {
	var level slog.LevelVar
	h := newHub(live.Options{})
	handler := h.Handler(&level)
	if !handler.Enabled(t.Context(), slog.LevelInfo) || handler.Enabled(t.Context(), slog.LevelDebug) {
		t.Error("the level is not that of the LevelVar")
	}
	level.Set(slog.LevelDebug)
	if !handler.Enabled(t.Context(), slog.LevelDebug) {
		t.Error("the level does not follow the LevelVar")
	}
	if !h.Handler(nil).Enabled(t.Context(), -1<<20) {
		t.Error("nil is not every level")
	}
}

func TestHandler_keepsBatchesTogether(t *testing.T) {
	h := newHub(live.Options{})
	handler := h.Handler(nil)
	b := slogworks.Batch{Kind: slogworks.Escalation, Items: []slogworks.Item{
		{Context: t.Context(), Record: slog.Record{Message: "a"}},
		{Context: t.Context(), Record: slog.Record{Message: "b"}},
	}}
	if err := handler.HandleBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := messages(records(t, h, "").Records); got != "a b" {
		t.Errorf("kept %q", got)
	}
	_ = h.Close()
	if err := handler.HandleBatch(t.Context(), b); !errors.Is(err, live.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	want := slogworks.Account{Stage: "live", Accepted: 4, Delivered: 2, Dropped: map[string]uint64{"closed": 2}}
	if got := slogworks.Books(handler); !reflect.DeepEqual(got, []slogworks.Account{want}) {
		t.Errorf("books %+v, want %+v", got, want)
	}
}

func TestHub_saysWhereRecordsComeFrom(t *testing.T) {
	h := newHub(live.Options{Host: "here", Process: "me"})
	slog.New(h.Handler(nil)).Info("own", "host", "example.com")
	slog.New(h.Relay(nil)).With("process", "worker").Info("relayed", "host", "web1", "pid", 7, "uid", 1)
	lines := strings.Split(get(t, h, "/download"), "\n")
	for i, want := range []string{`"h":"here","p":"me","pid":`, `"h":"web1","p":"worker","pid":7,"a":[{"k":"uid","t":"i","v":1}]}`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %s, want %s in it", lines[i], want)
		}
	}
	if want := `{"k":"host","t":"s","v":"example.com"}`; !strings.Contains(lines[0], want) {
		t.Errorf("an own attribute host is lost: %s", lines[0])
	}
}

func TestNew_takesNilOptionsForZeroOnes(t *testing.T) {
	opts := live.Options{Hosts: []string{"example.com"}}
	before := opts
	a, b, c := live.New(nil), live.New(&live.Options{}), live.New(&opts)
	if !reflect.DeepEqual(opts, before) {
		t.Error("New wrote to the options")
	}
	opts.Hosts[0] = "changed.example"
	if w := do(c, "GET", "/stats", "Host", "changed.example"); w.Code != http.StatusForbidden {
		t.Errorf("a host that was added later: %d", w.Code)
	}
	for _, h := range []*live.Hub{a, b} {
		publish(t, h, 1, 20_005)
		if s := h.Stats(); s.Kept != 20_000 || s.First != 6 || s.Head != 20_005 {
			t.Errorf("kept %d, %d to %d", s.Kept, s.First, s.Head)
		}
		if len(h.Token()) < 20 {
			t.Errorf("the token is %q", h.Token())
		}
	}
	if a.Token() == b.Token() {
		t.Error("two hubs have the same random token")
	}
}

func TestHub_keepsTheNewest(t *testing.T) {
	t.Run("records", func(t *testing.T) {
		h := newHub(live.Options{MaxRecords: 3})
		for n := range 10 {
			publish(t, h, n+1, n+1)
			p := records(t, h, "")
			var want []string
			for i := max(1, n-1); i <= n+1; i++ {
				want = append(want, fmt.Sprint(i))
			}
			if got := messages(p.Records); got != strings.Join(want, " ") || p.First != uint64(max(1, n-1)) || p.Head != uint64(n+1) {
				t.Errorf("after %d: %q, first %d, head %d, want %v", n+1, got, p.First, p.Head, want)
			}
		}
	})
	t.Run("bytes", func(t *testing.T) {
		h := newHub(live.Options{MaxBytes: 10_000})
		long := strings.Repeat("x", 3000)
		for range 10 {
			_ = h.Publish(slog.Record{Message: long}, live.Origin{})
		}
		if s := h.Stats(); s.Kept != 3 || s.Bytes > 10_000 || s.Bytes < 9000 {
			t.Errorf("kept %d of %d bytes", s.Kept, s.Bytes)
		}
		_ = h.Publish(slog.Record{Message: strings.Repeat("x", 20_000)}, live.Origin{})
		if s := h.Stats(); s.Kept != 1 {
			t.Errorf("a record larger than MaxBytes: kept %d, want it alone", s.Kept)
		}
	})
	t.Run("cut records", func(t *testing.T) {
		h := newHub(live.Options{MaxRecordBytes: 2000})
		_ = h.Publish(slog.Record{Message: strings.Repeat("x", 20_000)}, live.Origin{})
		if got := get(t, h, "/download"); len(got) > 2001 || !strings.Contains(got, "!truncated") {
			t.Errorf("%d bytes", len(got))
		}
	})
}

func TestHandler_keepsWhatAValueSaidThen(t *testing.T) {
	h := newHub(live.Options{})
	m := map[string]int{"n": 1}
	slog.New(h.Handler(nil)).Info("m", "map", m)
	m["n"] = 2
	if got := get(t, h, "/download"); !strings.Contains(got, `{"n":1}`) {
		t.Error(got)
	}
}

func TestHandler_allocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := newHub(live.Options{MaxRecords: 1000})
	handler := h.Handler(nil)
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "request served", 0)
	r.AddAttrs(slog.String(slogworks.LoggerKey, "shop"), slog.Int("status", 200), slog.Duration("took", time.Second), slog.Bool("cached", true))
	ctx := context.Background()
	for range 300 {
		_ = handler.Handle(ctx, r)
	}
	if n := testing.AllocsPerRun(1000, func() { _ = handler.Handle(ctx, r) }); n > 0 {
		t.Errorf("%v allocations per record, want none", n)
	}
}

func TestHub_isSafeForConcurrentUse(t *testing.T) {
	h := newHub(live.Options{MaxRecords: 50, Interval: time.Millisecond})
	server := httptest.NewServer(h)
	defer server.Close()
	var streams, all sync.WaitGroup
	for i := range 3 {
		s := openStream(t, server, fmt.Sprintf("/events?q=-x&rate=%d", i*100), "")
		streams.Go(func() {
			for {
				if _, err := s.next(); err != nil {
					return
				}
			}
		})
	}
	root := slog.New(h.Handler(nil))
	for i := range 4 {
		all.Go(func() {
			l := slogworks.Named(root, fmt.Sprint("a.", i)).With("i", i).WithGroup("g")
			for n := range 200 {
				l.Info("m", "n", n)
			}
		})
		all.Go(func() {
			for range 20 {
				do(h, "GET", "/records?q=n>5")
				do(h, "GET", "/stats")
				do(h, "GET", "/download?format=text")
				_ = h.Stats()
			}
		})
	}
	all.Wait()
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	streams.Wait()
	if s := h.Stats(); s.Records != 800 || s.Clients != 0 {
		t.Errorf("%+v", s)
	}
}

func TestHub_closesTwiceAndAtOnce(t *testing.T) {
	h := newHub(live.Options{})
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if err := errors.Join(h.Close(), h.Shutdown(t.Context()), h.Handler(nil).Close()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Shutdown(ended); err != nil {
		t.Errorf("with nothing left to do and an ended context: %v", err)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

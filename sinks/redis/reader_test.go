package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/redis"
)

// tail runs Tail until the test ends, or stop is called. It returns when that is
// connected.
func tail(t *testing.T, r *redis.Reader, sources ...redis.Source) (stop func()) {
	t.Helper()
	stop = start(t, r, sources...)
	peertest.WaitFor(t, "connected", func() bool { return r.Stats().Connected })
	return stop
}

func start(t *testing.T, r *redis.Reader, sources ...redis.Source) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Tail(ctx, sources...) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Tail: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// kept is a handler that keeps messages.
type kept struct {
	mu       sync.Mutex
	messages []string
	err      error
}

func (h *kept) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (h *kept) WithAttrs([]slog.Attr) slog.Handler               { return h }
func (h *kept) WithGroup(string) slog.Handler                    { return h }

func (h *kept) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = append(h.messages, r.Message)
	return h.err
}

func (h *kept) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.messages)
}

func TestReader_check(t *testing.T) {
	r := &redis.Reader{URL: "redis://:secret@127.0.0.1", Handler: slog.DiscardHandler}
	for _, test := range []struct {
		source redis.Source
		want   string
	}{
		{redis.Source{}, "both or none"},
		{redis.Source{Channel: "a", Stream: "b"}, "both or none"},
		{redis.Source{Channel: "a", From: "0"}, "want a Stream"},
		{redis.Source{Channel: "a", Last: 5}, "want a Stream"},
		{redis.Source{Stream: "a", From: "0", Last: 5}, "both From and Last"},
		{redis.Source{Stream: "a", From: "yesterday"}, "want $, 0 or an ID"},
	} {
		for _, err := range []error{r.Check(test.source), r.Tail(t.Context(), test.source)} {
			if err == nil || !strings.HasPrefix(err.Error(), "redis: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v: %v", test.source, err)
			}
		}
	}
	if err := r.Check(redis.Source{Channel: "a.*"}, redis.Source{Stream: "b", From: "1-0"}, redis.Source{Stream: "b", Last: 9}); err != nil {
		t.Error(err)
	}
	if err := (&redis.Reader{}).Check(); err == nil {
		t.Error("a Reader without URL is not refused")
	}
	for _, g := range []redis.Group{{}, {Stream: "a"}, {Name: "a"}, {Stream: "a", Name: "b", From: "x"}} {
		if err := r.Consume(t.Context(), g); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("%+v: %v", g, err)
		}
	}
}

func TestReader_nilHandlerPanics(t *testing.T) {
	defer func() {
		if p := recover(); p != "redis: nil Handler" {
			t.Errorf("panic %v", p)
		}
	}()
	_ = (&redis.Reader{URL: "redis://127.0.0.1"}).Tail(t.Context())
}

func TestReader_channelsAndPatterns(t *testing.T) {
	s := startServer(t)
	h := new(kept)
	r := &redis.Reader{URL: s.url(), Handler: h}
	stop := tail(t, r, redis.Source{Channel: "one"}, redis.Source{Channel: "app.*"})
	for _, channel := range []string{"one", "app.web", "other", "app.db"} {
		if err := newHandler(t, s.url(), redis.Options{Channel: channel}).Handle(t.Context(), record(channel)); err != nil {
			t.Fatal(err)
		}
	}
	peertest.WaitFor(t, "three records", func() bool { return r.Stats().Written == 3 })
	stop()
	if got := h.all(); !slices.Equal(got, []string{"one", "app.web", "app.db"}) {
		t.Errorf("got %q", got)
	}
	if r.Stats().Connected {
		t.Error("connected although it has ended")
	}
}

// The default of a Reader is where a Handler publishes by default.
func TestReader_defaultChannel(t *testing.T) {
	s := startServer(t)
	h := new(kept)
	r := &redis.Reader{URL: s.url(), Handler: h}
	tail(t, r)
	if err := newHandler(t, s.url(), redis.Options{}).Handle(t.Context(), record("1")); err != nil {
		t.Fatal(err)
	}
	peertest.WaitFor(t, "the record", func() bool { return len(h.all()) == 1 })
}

func TestReader_dropsRepeats(t *testing.T) {
	s := startServer(t)
	sender := newHandler(t, s.url(), redis.Options{Stream: "log"})
	// The server carries the batch out, but its answer does not come, and so the
	// batch is there twice.
	s.refusing(func(words []string) string {
		if words[0] == "exec" && len(s.entries["log"]) == 0 {
			for i := range 5 {
				s.entries["log"] = append(s.entries["log"], entry{i + 1, []string{"record", again(t, sender, i)}})
			}
			return "hang up"
		}
		return ""
	})
	for range 2 {
		_ = sender.HandleBatch(t.Context(), batch("1", 0, 5))
	}
	h := new(kept)
	r := &redis.Reader{URL: s.url(), Handler: h}
	tail(t, r, redis.Source{Stream: "log", From: "0"})
	peertest.WaitFor(t, "ten entries", func() bool { st := r.Stats(); return st.Written+st.Duplicates >= 10 })
	if st := r.Stats(); st.Written != 5 || st.Duplicates != 5 {
		t.Errorf("stats %+v", st)
	}
	if got := h.all(); !slices.Equal(got, []string{"0", "1", "2", "3", "4"}) {
		t.Errorf("got %q", got)
	}
}

// again is what the sender sends as its record i.
func again(t *testing.T, sender *redis.Handler, i int) string {
	t.Helper()
	return fmt.Sprintf(`{"t":"2026-01-02T03:04:05Z","l":0,"m":"%d","a":[],"q":%d,"b":%q}`, i, i+1, redis.BootOf(sender))
}

func TestReader_countsWhatTheHandlerDoes(t *testing.T) {
	s := startServer(t)
	h := &kept{err: errors.New("broken")}
	var mu sync.Mutex
	var told []error
	r := &redis.Reader{URL: s.url(), Handler: h, OnError: func(err error) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, err)
		panic("OnError panics")
	}}
	stop := tail(t, r, redis.Source{Channel: "c"})
	publish := func(text string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.do(&peer{}, []string{"publish", "c", text})
	}
	publish(`{"level":"info","msg":"1"}`)
	publish(`{"level":"debug","msg":"2"}`)
	publish(`nothing`)
	peertest.WaitFor(t, "three messages", func() bool { st := r.Stats(); return st.Received+st.Ignored == 3 })
	stop()
	st := r.Stats()
	if st.Dropped != 1 || st.Ignored != 1 || !reflect.DeepEqual(st.Refused, map[string]uint64{"bad-json": 1}) {
		t.Errorf("stats %+v", st)
	}
	mu.Lock()
	defer mu.Unlock()
	var refusal *redis.Refusal
	if len(told) != 2 || !errors.Is(told[0], h.err) || !errors.As(told[1], &refusal) || refusal.Peer != "channel c" || refusal.Reason != "bad-json" {
		t.Errorf("told %v", told)
	}
}

func TestReader_tellsThatItWasAway(t *testing.T) {
	s := startServer(t)
	h := new(kept)
	gaps := make(chan redis.Gap, 10)
	r := &redis.Reader{URL: s.url(), Handler: h, OnGap: func(g redis.Gap) { gaps <- g }, Backoff: slogworks.Backoff{Min: time.Millisecond, Max: time.Millisecond}}
	tail(t, r, redis.Source{Channel: "c"})
	before := time.Now()
	s.hangUp()
	g := <-gaps
	if g.Source != "channel c" || g.Reason != "disconnected" || g.Missed != 0 || g.Since.IsZero() || g.Since.After(before) {
		t.Errorf("%+v", g)
	}
	peertest.WaitFor(t, "the record of it", func() bool { return slices.Equal(h.all(), []string{"slogworks: records may be missing"}) })
}

// To be refused is not to find nothing: the stream goes on where it was.
func TestReader_doesNotBeginAgainAfterARefusal(t *testing.T) {
	s := startServer(t)
	sender := newHandler(t, s.url(), redis.Options{Stream: "log"})
	send := func(message string) {
		t.Helper()
		peertest.Handle(t, sender, record(message))
	}
	send("first")
	h := new(kept)
	failed := make(chan error, 1000)
	r := &redis.Reader{URL: s.url(), Handler: h, OnError: func(err error) { failed <- err }, Backoff: slogworks.Backoff{Min: time.Millisecond, Max: time.Millisecond}}
	tail(t, r, redis.Source{Stream: "log", From: "0"})
	peertest.WaitFor(t, "the first record", func() bool { return len(h.all()) == 1 })
	for _, answer := range []string{"-NOAUTH Authentication required.", "-LOADING Redis is loading the dataset in memory", "hang up"} {
		s.refusing(func([]string) string { return answer })
		s.hangUp()
		<-failed
		<-failed // this one has met the answer
		s.refusing(nil)
		peertest.WaitFor(t, "connected", func() bool { return r.Stats().Connected })
	}
	send("last")
	peertest.WaitFor(t, "the last record", func() bool { return slices.Contains(h.all(), "last") })
	if st := r.Stats(); len(h.all()) != 2 || st.Gaps != 0 || st.Duplicates != 0 {
		t.Errorf("%q, %+v", h.all(), st)
	}
}

// A message that several sources ask for comes several times.
func TestReader_handsOnOnceWhatSourcesShare(t *testing.T) {
	s := startServer(t)
	h := new(kept)
	r := &redis.Reader{URL: s.url(), Handler: h}
	tail(t, r, redis.Source{Channel: "app.web"}, redis.Source{Channel: "app.*"}, redis.Source{Channel: "*"})
	publish := func(channel, text string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.do(&peer{}, []string{"publish", channel, text})
	}
	for range 2 { // the same twice is two records
		publish("app.web", `{"level":"info","msg":"1"}`)
	}
	publish("app.db", `{"level":"info","msg":"1"}`)
	publish("other", `{"level":"info","msg":"2"}`)
	peertest.WaitFor(t, "the last", func() bool { return slices.Contains(h.all(), "2") })
	if got := h.all(); !slices.Equal(got, []string{"1", "1", "1", "2"}) {
		t.Errorf("got %q, stats %+v", got, r.Stats())
	}
}

// While the handler takes its time, the server is not taken for dead.
func TestReader_handlerThatBlocksLosesNothing(t *testing.T) {
	s := startServer(t)
	const timeout = 20 * time.Millisecond
	entered, release := make(chan struct{}), make(chan struct{})
	h := &blocking{entered: entered, release: release}
	r := &redis.Reader{URL: s.url(), Handler: h, Timeout: timeout, Backoff: slogworks.Backoff{Max: time.Millisecond}}
	tail(t, r, redis.Source{Channel: "c"})
	sender := newHandler(t, s.url(), redis.Options{Channel: "c"})
	for _, m := range []string{"1", "2"} {
		if err := sender.Handle(t.Context(), record(m)); err != nil {
			t.Fatal(err)
		}
	}
	<-entered
	<-time.After(10 * timeout)
	close(release)
	peertest.WaitFor(t, "two records", func() bool { return len(h.all()) >= 2 })
	if got := h.all(); !slices.Equal(got, []string{"1", "2"}) || r.Stats().Gaps != 0 {
		t.Errorf("got %q, stats %+v", got, r.Stats())
	}
}

// blocking is a handler that waits once.
type blocking struct {
	kept
	entered, release chan struct{}
	once             sync.Once
}

func (h *blocking) Handle(ctx context.Context, r slog.Record) error {
	h.once.Do(func() {
		close(h.entered)
		<-h.release
	})
	return h.kept.Handle(ctx, r)
}

// Since is before what was missed, not the moment at which it was noticed.
func TestReader_tellsSinceWhen(t *testing.T) {
	s := startServer(t)
	gaps := make(chan redis.Gap, 10)
	r := &redis.Reader{URL: s.url(), Handler: new(kept), OnGap: func(g redis.Gap) { gaps <- g }}
	tail(t, r, redis.Source{Stream: "log", From: "0"})
	begun := time.Now()
	sender := newHandler(t, s.url(), redis.Options{Stream: "log"})
	if err := sender.Handle(t.Context(), record("1")); err != nil {
		t.Fatal(err)
	}
	peertest.WaitFor(t, "the record", func() bool { return r.Stats().Written == 1 })
	s.mu.Lock()
	s.entries["log"] = nil
	deleted := time.Now()
	s.mu.Unlock()
	if g := <-gaps; g.Reason != "recreated" || !g.Since.Before(deleted) || g.Since.Before(begun) {
		t.Errorf("%+v, deleted at %v", g, deleted)
	}
}

// What is read together with the state of the stream says exactly what was
// trimmed before it.
func TestPosition_advance(t *testing.T) {
	entries := func(ids ...int) (list []goredis.XMessage) {
		for _, id := range ids {
			list = append(list, goredis.XMessage{ID: fmt.Sprintf("%d-0", id)})
		}
		return list
	}
	// info is a stream that had entries 1 to added and has those from first on.
	info := func(first, added int) *goredis.XInfoStream {
		i := &goredis.XInfoStream{Length: int64(added - first + 1), EntriesAdded: int64(added), LastGeneratedID: fmt.Sprintf("%d-0", added)}
		if first <= added {
			i.FirstEntry = entries(first)[0]
		}
		return i
	}
	for _, test := range []struct {
		name    string
		last    string
		index   int64
		entries []goredis.XMessage
		info    *goredis.XInfoStream

		newLast  string
		newIndex int64
		reason   string
		missed   int64
	}{
		{"the next ones", "3-0", 3, entries(4, 5), info(1, 10), "5-0", 5, "", 0},
		{"trimmed up to here", "3-0", 3, entries(4, 5), info(4, 10), "5-0", 5, "", 0},
		{"trimmed beyond", "3-0", 3, entries(7, 8), info(7, 10), "8-0", 8, "trimmed", 3},
		{"all was trimmed", "3-0", 3, nil, info(11, 10), "10-0", 10, "trimmed", 7},
		{"nothing new", "10-0", 10, nil, info(5, 10), "10-0", 10, "", 0},
		{"from the beginning, whatever was before", "0-0", -1, entries(7, 8), info(7, 10), "8-0", 8, "", 0},
		{"from an ID that is still there", "3-0", -1, entries(4, 5), info(3, 10), "5-0", -1, "", 0},
		{"from an ID that was trimmed", "3-0", -1, entries(7, 8), info(7, 10), "8-0", 8, "trimmed", 0},
		{"caught up", "3-0", -1, entries(4), info(2, 4), "4-0", 4, "", 0},
		{"deleted", "3-0", 3, nil, nil, "0-0", 0, "recreated", 0},
		{"deleted before there was anything", "0-0", 0, nil, nil, "0-0", 0, "", 0},
		{"begun again with lower IDs", "30-0", 30, nil, info(1, 4), "0-0", 0, "recreated", 0},
		{"begun again with higher IDs", "30-0", 30, entries(40, 41), &goredis.XInfoStream{
			Length: 9, EntriesAdded: 9, LastGeneratedID: "48-0", FirstEntry: entries(40)[0],
		}, "41-0", 2, "recreated", 0},
		{"a server that does not count", "3-0", -1, entries(4, 5), &goredis.XInfoStream{
			Length: 9, LastGeneratedID: "9-0", FirstEntry: entries(1)[0],
		}, "5-0", -1, "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			last, index, reason, missed := redis.Advance(test.last, test.index, test.entries, 2, test.info)
			if last != test.newLast || index != test.newIndex || reason != test.reason || missed != test.missed {
				t.Errorf("%s %d %q %d, want %s %d %q %d", last, index, reason, missed, test.newLast, test.newIndex, test.reason, test.missed)
			}
		})
	}
}

func TestClaimed_readsTheAnswer(t *testing.T) {
	from, entries, deleted, err := redis.Claimed([]any{"5-0", []any{
		[]any{"1-0", []any{"record", "x", "odd"}}, nil,
	}, []any{"2-0", "3-0"}})
	want := []goredis.XMessage{{ID: "1-0", Values: map[string]any{"record": "x"}}}
	if from != "5-0" || !reflect.DeepEqual(entries, want) || deleted != 3 || err != nil {
		t.Errorf("%q %v %d %v", from, entries, deleted, err)
	}
	for _, bad := range [][]any{nil, {"1-0"}, {1, []any{}}, {"1-0", "x"}, {"1-0", []any{"x"}}, {"1-0", []any{[]any{1, 2}}}} {
		if _, _, _, err := redis.Claimed(bad); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/redis"
)

// redisOutage is how long a fault lasts.
const redisOutage = 5 * time.Second

// Whatever happens to the server for five seconds, logging goes on, and in the
// end each record is in the stream, in order.
func TestRedis_outage(t *testing.T) {
	t.Parallel()
	const password = "s3cret/pass"
	faults := []struct {
		name       string
		password   string
		downAtOnce bool
		begin, end func(t *testing.T, s *redisServer)
		says       string // in the error of the queue
	}{
		{
			name: "down at the start", downAtOnce: true,
			begin: func(*testing.T, *redisServer) {},
			end:   func(_ *testing.T, s *redisServer) { s.start() },
			says:  "connection refused",
		}, {
			name:  "killed",
			begin: func(_ *testing.T, s *redisServer) { s.kill() },
			end:   func(_ *testing.T, s *redisServer) { s.start() },
			says:  "connection refused",
		}, {
			name:  "hung",
			begin: func(_ *testing.T, s *redisServer) { s.signal(syscall.SIGSTOP) },
			end:   func(_ *testing.T, s *redisServer) { s.signal(syscall.SIGCONT) },
			says:  "timeout",
		}, {
			name: "out of memory",
			begin: func(t *testing.T, s *redisServer) {
				admin := s.admin("")
				setRedis(t, admin.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
				setRedis(t, admin.ConfigSet(t.Context(), "maxmemory", "1").Err())
			},
			end: func(t *testing.T, s *redisServer) {
				setRedis(t, s.admin("").ConfigSet(t.Context(), "maxmemory", "0").Err())
			},
			says: "maxmemory",
		}, {
			name: "wrong password", password: password,
			begin: func(t *testing.T, s *redisServer) {
				admin := s.admin(password)
				setRedis(t, admin.ConfigSet(t.Context(), "requirepass", "other").Err())
				setRedis(t, admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err())
			},
			end: func(t *testing.T, s *redisServer) {
				setRedis(t, s.admin("other").ConfigSet(t.Context(), "requirepass", password).Err())
			},
			says: "password of the URL are wrong",
		}, {
			name: "read-only",
			begin: func(t *testing.T, s *redisServer) {
				setRedis(t, s.admin("").ReplicaOf(t.Context(), "127.0.0.1", "1").Err())
			},
			end: func(t *testing.T, s *redisServer) {
				setRedis(t, s.admin("").ReplicaOf(t.Context(), "NO", "ONE").Err())
			},
			says: "READONLY",
		},
	}
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			var args []string
			url := "redis://"
			if fault.password != "" {
				args = []string{"--requirepass", fault.password}
				url += ":" + strings.ReplaceAll(fault.password, "/", "%2F") + "@"
			}
			s := newRedis(t, args...)
			if !fault.downAtOnce {
				s.start()
			}
			watched := &redisErrors{BatchHandler: redis.New(url+"127.0.0.1:"+s.port, &redis.Options{
				Stream: "log", Channel: "log", List: "list", MaxLen: -1, MaxList: -1,
				Timeout: time.Second, Backoff: slogworks.Backoff{Max: 500 * time.Millisecond},
			})}
			q := queue.New(watched, &queue.Options{
				Capacity: 50_000, Retry: slogworks.Backoff{Min: 20 * time.Millisecond, Max: 500 * time.Millisecond},
			})
			logger := slog.New(q)

			n, longest := 0, time.Duration(0)
			logFor := func(d time.Duration) {
				tick := time.NewTicker(time.Millisecond)
				defer tick.Stop()
				for until := time.Now().Add(d); time.Now().Before(until); <-tick.C {
					began := time.Now()
					logger.Info(redisMessage(n), "n", n)
					longest = max(longest, time.Since(began))
					n++
				}
			}
			logFor(500 * time.Millisecond)
			fault.begin(t, s)
			logFor(redisOutage)
			fault.end(t, s)
			logFor(500 * time.Millisecond)

			// A call that waited for the server would have taken as long as the
			// outage, or as a timeout.
			if longest > 900*time.Millisecond {
				t.Errorf("a call took %v", longest)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := slogworks.Shutdown(ctx, q); err != nil {
				t.Fatal(err)
			}
			if st := q.Stats(); st.Handled != uint64(n) || st.Failed != 0 {
				t.Errorf("%d logged, %d handled, %d failed", n, st.Handled, st.Failed)
			}
			for _, a := range slogworks.Books(q) {
				if a.Delivered != uint64(n) || a.Held != 0 {
					t.Errorf("%d logged; account %+v", n, a)
				}
			}

			checkStream(t, url+"127.0.0.1:"+s.port, n)
			admin := s.admin(fault.password)
			added, listed := admin.XLen(t.Context(), "log").Val(), admin.LLen(t.Context(), "list").Val()
			if added != listed {
				t.Errorf("a transaction was carried out in part: %d in the stream, %d in the list", added, listed)
			}
			// What was refused was not carried out; what got no answer may have been.
			if fault.name != "killed" && fault.name != "hung" && added != int64(n) {
				t.Errorf("%d in the stream, want %d", added, n)
			}

			all := watched.String()
			if !strings.Contains(all, fault.says) {
				t.Errorf("no error says %q:\n%s", fault.says, all)
			}
			if fault.password != "" && strings.Contains(all, fault.password) {
				t.Errorf("the password is in an error:\n%s", all)
			}
		})
	}
}

// redisErrors passes on and remembers what a sink returns.
type redisErrors struct {
	slogworks.BatchHandler
	redisSaid
}

func (h *redisErrors) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	err := h.BatchHandler.HandleBatch(ctx, b)
	if err != nil {
		h.add(err)
	}
	return err
}

func (h *redisErrors) Unwrap() slog.Handler { return h.BatchHandler }

func setRedis(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// checkStream reads the stream from its beginning and expects n records, in
// order, none missing and none twice.
func checkStream(t *testing.T, url string, n int) {
	t.Helper()
	got := new(redisRecords)
	r := &redis.Reader{URL: url, Handler: got, OnError: func(err error) { t.Error(err) }}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Tail(ctx, redis.Source{Stream: "log", From: "0"}) }()
	real.WaitFor(t, "the stream is read", func() bool { return got.len() >= n })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	messages := got.messages()
	if len(messages) != n {
		t.Errorf("%d records, want %d", len(messages), n)
	}
	for i, m := range messages {
		if m != redisMessage(i) {
			t.Fatalf("record %d is %q", i, m)
		}
	}
	if st := r.Stats(); st.Written != uint64(n) || st.Gaps != 0 {
		t.Errorf("stats %+v", st)
	}
}

// What is beyond the queue's capacity while the server is down is counted.
func TestRedis_outageBeyondCapacity(t *testing.T) {
	t.Parallel()
	s := newRedis(t)
	sink := redis.New(s.url(), &redis.Options{Stream: "log", Backoff: slogworks.Backoff{Max: 100 * time.Millisecond}})
	q := queue.New(sink, &queue.Options{Capacity: 100, MaxBlock: time.Millisecond, Retry: slogworks.Backoff{Max: 100 * time.Millisecond}})
	logger := slog.New(q)
	const n = 5000
	for i := range n {
		logger.Info(redisMessage(i))
	}
	s.start()
	if err := slogworks.Shutdown(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	stats := q.Stats()
	in := s.admin("").XLen(t.Context(), "log").Val()
	// The queue says in a record of its own what it has dropped.
	if dropped := stats.DroppedOverflow.Total(); dropped == 0 || stats.Enqueued+dropped < n || uint64(in) < n-dropped {
		t.Errorf("%d in the stream, stats %+v", in, stats)
	}
}

// What is no record is counted and does not end anything.
func TestRedis_malformed(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	admin := s.admin("")
	got := new(redisRecords)
	r := &redis.Reader{URL: s.url(), Handler: got, MaxRecordBytes: 4096}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- r.Tail(ctx, redis.Source{Channel: "log*"}, redis.Source{Stream: "log"}) }()
	group := redis.Group{Stream: "log", Name: "g"}
	consumed := new(redisRecords)
	rc := &redis.Reader{URL: s.url(), Handler: consumed, MaxRecordBytes: 4096}
	go func() { ended <- rc.Consume(ctx, group) }()
	real.WaitFor(t, "both are connected", func() bool { return r.Stats().Connected && rc.Stats().Connected })

	bad := []string{"", "no JSON", "[1]", "\x80\x02}q\x00.", `{"open":`, strings.Repeat("x", 5000)}
	for _, text := range bad {
		setRedis(t, admin.Publish(t.Context(), "log.a", text).Err())
		setRedis(t, admin.XAdd(t.Context(), redisEntry("log", "record", text)).Err())
	}
	setRedis(t, admin.XAdd(t.Context(), redisEntry("log", "level", "info", "msg", "two fields")).Err())
	good := `{"level":"warn","msg":"good","logger":"a.b"}`
	setRedis(t, admin.Publish(t.Context(), "log.a", good).Err())
	setRedis(t, admin.XAdd(t.Context(), redisEntry("log", "any", good)).Err())

	real.WaitFor(t, "the good records", func() bool { return got.len() == 2 && consumed.len() == 1 })
	real.WaitFor(t, "all is acknowledged", func() bool {
		return rc.Stats().Acknowledged == uint64(len(bad)+2)
	})
	cancel()
	<-ended
	<-ended
	want := map[string]uint64{"bad-json": 10, "record-too-long": 2, "not-a-record": 1}
	if st := r.Stats(); !maps.Equal(st.Refused, want) || st.Written != 2 || st.Received != 15 {
		t.Errorf("Tail: %+v", st)
	}
	want = map[string]uint64{"bad-json": 5, "record-too-long": 1, "not-a-record": 1}
	if st := rc.Stats(); !maps.Equal(st.Refused, want) || st.Written != 1 {
		t.Errorf("Consume: %+v", st)
	}
	pending, err := admin.XPending(t.Context(), "log", "g").Result()
	if err != nil || pending.Count != 0 {
		t.Errorf("pending %+v, %v", pending, err)
	}
	if r := consumed.records[0]; r.Message != "good" || r.Level != slog.LevelWarn || redisAttr(r, "logger") != "a.b" {
		t.Errorf("record %v", r)
	}
	// The consumer had no name of its own, so nothing is left of it.
	consumers, err := admin.XInfoConsumers(t.Context(), "log", "g").Result()
	if err != nil || len(consumers) != 0 {
		t.Errorf("consumers %v, %v", consumers, err)
	}
}

// A reader that was without its server says that it may have missed something,
// and goes on.
func TestRedis_subscriberReconnects(t *testing.T) {
	t.Parallel()
	s := newRedis(t)
	got := new(redisRecords)
	var mu sync.Mutex
	var gaps []redis.Gap
	r := &redis.Reader{
		URL: s.url(), Handler: got,
		Backoff: slogworks.Backoff{Max: 100 * time.Millisecond}, Timeout: 300 * time.Millisecond,
		OnGap: func(g redis.Gap) {
			mu.Lock()
			defer mu.Unlock()
			gaps = append(gaps, g)
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Tail(ctx, redis.Source{Channel: "log"}, redis.Source{Channel: "other.*"}) }()
	s.start() // only now
	real.WaitFor(t, "connected", func() bool { return r.Stats().Connected })
	publish := func(text string) {
		t.Helper()
		h := redis.New(s.url(), &redis.Options{Channel: "log"})
		if err := h.Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelInfo, text, 0)); err != nil {
			t.Fatal(err)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	publish("first")
	real.WaitFor(t, "the first record", func() bool { return got.len() == 1 })

	s.kill()
	real.WaitFor(t, "down is noticed", func() bool { return !r.Stats().Connected })
	s.start()
	publish("missed or not")
	real.WaitFor(t, "connected again", func() bool { return r.Stats().Connected })
	publish("second")
	real.WaitFor(t, "the second record", func() bool { return slices.Contains(got.messages(), "second") })

	s.signal(syscall.SIGSTOP)
	real.WaitFor(t, "that it hangs is noticed", func() bool { return !r.Stats().Connected })
	s.signal(syscall.SIGCONT)
	real.WaitFor(t, "connected again", func() bool { return r.Stats().Connected })
	publish("third")
	real.WaitFor(t, "the third record", func() bool { return slices.Contains(got.messages(), "third") })
	cancel()
	<-ended

	mu.Lock()
	defer mu.Unlock()
	if len(gaps) != 2 || r.Stats().Gaps != 2 {
		t.Fatalf("gaps %+v, stats %+v", gaps, r.Stats())
	}
	for _, g := range gaps {
		if g.Source != "channel log, other.*" || g.Reason != "disconnected" || g.Missed != 0 || g.Since.IsZero() {
			t.Errorf("gap %+v", g)
		}
	}
	if messages := got.messages(); !slices.Contains(messages, "slogworks: records may be missing") {
		t.Errorf("no record of the gap: %q", messages)
	}
}

// A channel that several programs publish to is shown with one pattern, and the
// records have where they come from.
func TestRedis_tailShowsWhereRecordsComeFrom(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	var text bytes.Buffer
	r := &redis.Reader{URL: s.url(), Handler: slog.NewJSONHandler(&text, nil)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Tail(ctx, redis.Source{Channel: "app.*"}) }()
	real.WaitFor(t, "connected", func() bool { return r.Stats().Connected })
	h := redis.New(s.url(), &redis.Options{
		ChannelFunc: func(v slogworks.View) string { return "app." + v.Logger() },
		Host:        "web1", Process: "shop",
	})
	slogworks.Named(slog.New(h), "db").With("a", 1).WithGroup("g").Error("broken", "b", 2*time.Second)
	real.WaitFor(t, "the record", func() bool { return r.Stats().Written == 1 })
	cancel()
	<-ended
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{`"msg":"broken","logger":"db","host":"web1","process":"shop","pid":`, `"a":1,"g":{"b":2000000000}`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in %s", want, &text)
		}
	}
}

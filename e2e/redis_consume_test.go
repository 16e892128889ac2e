package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/sinks/redis"
)

func redisEntry(stream string, fields ...any) *goredis.XAddArgs {
	return &goredis.XAddArgs{Stream: stream, Values: fields}
}

// consumerURL is the environment variable that makes the test below a consumer.
const consumerURL = "SLOGWORKS_E2E_CONSUMER_URL"

// printedRecords writes a line per record, and takes its time.
type printedRecords struct{ redisRecords }

func (h *printedRecords) Handle(_ context.Context, r slog.Record) error {
	time.Sleep(time.Millisecond)
	_, err := fmt.Println("got", r.Message)
	return err
}

// TestRedis_consumerProcess is what TestRedis_consumersShareAStream runs.
func TestRedis_consumerProcess(t *testing.T) {
	url := os.Getenv(consumerURL)
	if url == "" {
		t.Skip("skipped: it is run by another test")
	}
	r := &redis.Reader{URL: url, Handler: new(printedRecords), MaxBatch: 100}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // until stdin ends
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		cancel()
	}()
	_ = r.Consume(ctx, redis.Group{Stream: "log", Name: "archive", ClaimAfter: time.Second})
}

// consumerProcess is another process that consumes the stream.
type consumerProcess struct {
	command *exec.Cmd
	stdin   interface{ Close() error }
	ended   chan struct{}

	mu  sync.Mutex
	got map[string]int
}

func startConsumer(t *testing.T, url string) *consumerProcess {
	t.Helper()
	path, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	p := &consumerProcess{got: map[string]int{}, ended: make(chan struct{})}
	p.command = exec.Command(path, "-test.run=^TestRedis_consumerProcess$")
	p.command.Env = append(os.Environ(), consumerURL+"="+url)
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if message, ok := strings.CutPrefix(lines.Text(), "got "); ok {
				p.mu.Lock()
				p.got[message]++
				p.mu.Unlock()
			}
		}
		_ = p.command.Wait()
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill()
		<-p.ended
	})
	return p
}

func (p *consumerProcess) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got)
}

// Three processes share a stream; one of them is killed while it works.
func TestRedis_consumersShareAStream(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	var consumers []*consumerProcess
	for range 3 {
		consumers = append(consumers, startConsumer(t, s.url()))
	}
	h := redis.New(s.url(), &redis.Options{Stream: "log", MaxLen: -1})
	defer h.Close()
	const n = 6000
	for i := 0; i < n; i += 500 {
		var b slogworks.Batch
		for j := range 500 {
			b.Items = append(b.Items, slogworks.Item{Context: t.Context(), Record: slog.NewRecord(time.Now(), slog.LevelInfo, redisMessage(i+j), 0)})
		}
		if err := h.HandleBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	real.WaitFor(t, "all three work", func() bool {
		return consumers[0].len() > 50 && consumers[1].len() > 50 && consumers[2].len() > 50
	})
	if err := consumers[0].command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-consumers[0].ended

	admin := s.admin("")
	all := map[string]int{}
	real.WaitFor(t, "each record is handled", func() bool {
		clear(all)
		for _, c := range consumers {
			c.mu.Lock()
			for message, times := range c.got {
				all[message] += times
			}
			c.mu.Unlock()
		}
		return len(all) == n
	})
	real.WaitFor(t, "each record is acknowledged", func() bool {
		groups, err := admin.XInfoGroups(t.Context(), "log").Result()
		return err == nil && groups[0].Pending == 0 && groups[0].Lag == 0
	})
	for i := range n {
		if all[redisMessage(i)] == 0 {
			t.Fatalf("%s is missing", redisMessage(i))
		}
	}
	twice := 0
	for _, times := range all {
		if times > 1 {
			twice++
		}
	}
	// Only what the killed one had in its hands can be handled again.
	if twice > 100 {
		t.Errorf("%d records were handled more than once, and only a batch of 100 was open", twice)
	}
	for _, c := range consumers[1:] {
		_ = c.stdin.Close()
		<-c.ended
	}
	// The two that ended in order have left the group; what is left is the name
	// of the one that was killed.
	left, err := admin.XInfoConsumers(t.Context(), "log", "archive").Result()
	if err != nil || len(left) != 1 {
		t.Errorf("consumers %+v, %v", left, err)
	}
}

// redisGate is a handler that takes records when it is told to.
type redisGate struct {
	redisRecords
	open chan struct{}
}

func (g *redisGate) Handle(ctx context.Context, r slog.Record) error {
	<-g.open
	return g.redisRecords.Handle(ctx, r)
}

// A stream that is trimmed before it is read is a gap with a number, for a
// reader by itself and for one of a group, and again the next time.
func TestRedis_trimmedAheadOfTheReader(t *testing.T) {
	t.Parallel()
	readers := map[string]func(ctx context.Context, r *redis.Reader) error{
		"Tail": func(ctx context.Context, r *redis.Reader) error {
			return r.Tail(ctx, redis.Source{Stream: "log", From: "0"})
		},
		"Consume": func(ctx context.Context, r *redis.Reader) error {
			return r.Consume(ctx, redis.Group{Stream: "log", Name: "g", Consumer: "one"})
		},
	}
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startRedis(t)
			admin := s.admin("")
			added := 0
			add := func(n int, maxLen int64) {
				t.Helper()
				for range n {
					args := redisEntry("log", "record", fmt.Sprintf(`{"level":"info","msg":%q}`, redisMessage(added)))
					args.MaxLen = maxLen
					setRedis(t, admin.XAdd(t.Context(), args).Err())
					added++
				}
			}
			var mu sync.Mutex
			var gaps []redis.Gap
			h := &redisGate{open: make(chan struct{})}
			r := &redis.Reader{URL: s.url(), Handler: h, MaxBatch: 10, OnGap: func(g redis.Gap) {
				mu.Lock()
				defer mu.Unlock()
				gaps = append(gaps, g)
			}}
			add(10, 0)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- read(ctx, r) }()
			h.open <- struct{}{} // it has the first ten in its hands
			add(1000, 100)       // and the next 900 are trimmed
			for range 9 {
				h.open <- struct{}{}
			}
			h.open <- struct{}{} // the record of the gap
			h.open <- struct{}{} // the first after it
			add(500, 50)
			close(h.open)
			real.WaitFor(t, "the last record", func() bool {
				messages := h.messages()
				return len(messages) > 0 && messages[len(messages)-1] == redisMessage(added-1)
			})
			cancel()
			<-ended

			// Ten of the hundred that were left were in its hands when 490 more
			// were trimmed besides them.
			mu.Lock()
			defer mu.Unlock()
			if len(gaps) != 2 || gaps[0].Missed != 900 || gaps[1].Missed != 540 {
				t.Fatalf("gaps %+v", gaps)
			}
			st := r.Stats()
			if st.Missed != 1440 || st.Written != uint64(added-1440) || gaps[0].Reason != "trimmed" || gaps[0].Source != "stream log" {
				t.Errorf("%d added, stats %+v, gaps %+v", added, st, gaps)
			}
			told := 0
			for _, r := range h.records {
				if r.Message == "slogworks: records dropped" && r.Level == slog.LevelWarn && redisAttr(r, "dropped") != "" {
					told++
				}
			}
			if told != 2 {
				t.Errorf("%d records of gaps, want 2: %q", told, h.messages())
			}
		})
	}
}

// A handler that fails gets its records again, in order, and nothing is
// acknowledged before.
func TestRedis_handlerThatFailsGetsRecordsAgain(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	admin := s.admin("")
	for i := range 20 {
		setRedis(t, admin.XAdd(t.Context(), redisEntry("log", "record", fmt.Sprintf(`{"level":"info","msg":%q}`, redisMessage(i)))).Err())
	}
	h := &redisFailing{fail: 3, at: redisMessage(7)}
	r := &redis.Reader{URL: s.url(), Handler: h, Backoff: slogworks.Backoff{Max: 10 * time.Millisecond, Min: time.Millisecond}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Consume(ctx, redis.Group{Stream: "log", Name: "g"}) }()
	real.WaitFor(t, "all records", func() bool { return r.Stats().Acknowledged == 20 })
	cancel()
	<-ended
	if h.fail != 0 {
		t.Errorf("it was to fail %d times more", h.fail)
	}
	for i, m := range h.messages() {
		if m != redisMessage(i) {
			t.Fatalf("record %d is %q", i, m)
		}
	}
	if h.len() != 20 {
		t.Errorf("%d records", h.len())
	}
}

// What can never be handled costs its own record, and no other.
func TestRedis_consumerDropsOnlyWhatCanNotBeHandled(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]func(*redisPicky) slog.Handler{
		"a handler of records": func(h *redisPicky) slog.Handler { return h },
		"a handler of batches that panics": func(h *redisPicky) slog.Handler {
			return struct {
				*redisPicky
				redisPanics
			}{redisPicky: h}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startRedis(t)
			admin := s.admin("")
			for i := range 10 {
				setRedis(t, admin.XAdd(t.Context(), redisEntry("log", "record", fmt.Sprintf(`{"level":"info","msg":%q}`, redisMessage(i)))).Err())
			}
			h := new(redisPicky)
			var said redisSaid
			r := &redis.Reader{URL: s.url(), Handler: handler(h), OnError: said.add, Backoff: slogworks.Backoff{Min: time.Millisecond, Max: time.Millisecond}}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Consume(ctx, redis.Group{Stream: "log", Name: "g"}) }()
			real.WaitFor(t, "all is acknowledged", func() bool { return r.Stats().Acknowledged == 10 })
			cancel()
			<-ended
			var want []string
			for i := range 10 {
				if i != 3 && i != 5 {
					want = append(want, redisMessage(i))
				}
			}
			if got := h.messages(); !slices.Equal(got, want) {
				t.Errorf("it got %q", got)
			}
			if st := r.Stats(); st.Written != 8 || st.Dropped != 2 || strings.Count(said.String(), "\n") != 2 {
				t.Errorf("%+v, and it says %s", st, &said)
			}
		})
	}
}

// redisPicky refuses one record and panics at another.
type redisPicky struct{ redisRecords }

func (h *redisPicky) Handle(ctx context.Context, r slog.Record) error {
	switch r.Message {
	case redisMessage(3):
		return &slogworks.DeliveryError{Permanent: true}
	case redisMessage(5):
		panic("not this one")
	}
	return h.redisRecords.Handle(ctx, r)
}

type redisPanics struct{}

func (redisPanics) HandleBatch(context.Context, slogworks.Batch) error { panic("not all of this") }

type redisFailing struct {
	redisRecords
	fail int
	at   string
}

func (h *redisFailing) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == h.at && h.fail > 0 {
		h.fail--
		return fmt.Errorf("not now")
	}
	return h.redisRecords.Handle(ctx, r)
}

// A handler that has recipients, and says when to come again, is told who has
// the batch, and is left alone until then.
func TestRedis_consumerTellsWhoHasTheBatch(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	admin := s.admin("")
	for i := range 5 {
		setRedis(t, admin.XAdd(t.Context(), redisEntry("log", "record", fmt.Sprintf(`{"level":"info","msg":%q}`, redisMessage(i)))).Err())
	}
	const after = 300 * time.Millisecond
	var calls []slogworks.Batch
	var at []time.Time
	h := &redisBatches{handle: func(b slogworks.Batch) error {
		calls, at = append(calls, b), append(at, time.Now())
		switch len(calls) {
		case 1:
			return &slogworks.DeliveryError{Accepted: 2, Done: []string{"a"}, After: after}
		case 2:
			return &slogworks.DeliveryError{Done: []string{"b", "a"}}
		}
		return nil
	}}
	r := &redis.Reader{URL: s.url(), Handler: h, Backoff: slogworks.Backoff{Max: 10 * time.Millisecond, Min: time.Millisecond}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Consume(ctx, redis.Group{Stream: "log", Name: "g"}) }()
	real.WaitFor(t, "all records", func() bool { return r.Stats().Acknowledged == 5 })
	cancel()
	<-ended
	if len(calls) != 3 {
		t.Fatalf("%d calls", len(calls))
	}
	for i, want := range []struct {
		items int
		done  []string
	}{{5, nil}, {3, []string{"a"}}, {3, []string{"a", "b"}}} {
		if b := calls[i]; len(b.Items) != want.items || !slices.Equal(b.Done, want.done) || b.Attempt != i+1 || b.ID == "" || b.ID != calls[0].ID {
			t.Errorf("call %d: %d items, done %q, attempt %d, ID %q", i, len(b.Items), b.Done, b.Attempt, b.ID)
		}
	}
	if wait := at[1].Sub(at[0]); wait < after {
		t.Errorf("the next attempt came after %v", wait)
	}
}

// redisBatches is a handler of batches.
type redisBatches struct {
	redisRecords
	handle func(slogworks.Batch) error // called from one goroutine
}

func (h *redisBatches) HandleBatch(_ context.Context, b slogworks.Batch) error { return h.handle(b) }

// The user's client is used as it is, with the newer protocol too; and a stream
// that is deleted takes nobody with it.
func TestRedis_usersClientAndADeletedStream(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	admin := s.admin("")
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:" + s.port, MaxRetries: -1, ContextTimeoutEnabled: true})
	defer client.Close()
	var mu sync.Mutex
	var gaps []redis.Gap
	tailed, consumed, heard := new(redisRecords), new(redisRecords), new(redisRecords)
	reader := func(h slog.Handler) *redis.Reader {
		return &redis.Reader{Client: client, Handler: h, Backoff: slogworks.Backoff{Max: 50 * time.Millisecond}, OnGap: func(g redis.Gap) {
			mu.Lock()
			defer mu.Unlock()
			gaps = append(gaps, g)
		}}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 3)
	readers := []*redis.Reader{reader(tailed), reader(consumed), reader(heard)}
	go func() { ended <- readers[0].Tail(ctx, redis.Source{Stream: "log", From: "0"}) }()
	go func() { ended <- readers[1].Consume(ctx, redis.Group{Stream: "log", Name: "g"}) }()
	go func() { ended <- readers[2].Tail(ctx, redis.Source{Channel: "l?g"}) }()
	for _, r := range readers {
		real.WaitFor(t, "connected", func() bool { return r.Stats().Connected })
	}
	h := redis.New("", &redis.Options{Client: client, Stream: "log", Channel: "log"})
	send := func(i int) {
		t.Helper()
		if err := h.Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelInfo, redisMessage(i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	send(0)
	all := func(n int) func() bool {
		return func() bool { return tailed.len() == n && consumed.len() == n && heard.len() >= 1 }
	}
	real.WaitFor(t, "the first record", all(1))
	setRedis(t, admin.Del(t.Context(), "log").Err())
	real.WaitFor(t, "both know that it was deleted", all(2)) // by a record of the gap
	send(1)
	real.WaitFor(t, "the second record", all(3))
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	cancel()
	for range 3 {
		<-ended
	}
	for _, h := range []*redisRecords{tailed, consumed} {
		if got := h.messages(); got[0] != redisMessage(0) || got[1] != "slogworks: records may be missing" || got[2] != redisMessage(1) {
			t.Errorf("got %q", got)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, g := range gaps {
		if g.Reason != "recreated" || g.Missed != 0 {
			t.Errorf("gap %+v", g)
		}
	}
	if client.Ping(t.Context()).Err() != nil {
		t.Error("the client was closed")
	}
}

// The newest entries come first, and then what is added.
func TestRedis_tailBeginsWithTheLast(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	admin := s.admin("")
	add := func(i int) {
		t.Helper()
		setRedis(t, admin.XAdd(t.Context(), redisEntry("log", "record", fmt.Sprintf(`{"level":"info","msg":%q}`, redisMessage(i)))).Err())
	}
	for i := range 10 {
		add(i)
	}
	last, onlyNew := new(redisRecords), new(redisRecords)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	r, rn := &redis.Reader{URL: s.url(), Handler: last}, &redis.Reader{URL: s.url(), Handler: onlyNew}
	go func() { ended <- r.Tail(ctx, redis.Source{Stream: "log", Last: 3}) }()
	go func() { ended <- rn.Tail(ctx, redis.Source{Stream: "log"}) }()
	real.WaitFor(t, "three records", func() bool { return last.len() == 3 && rn.Stats().Connected })
	add(10)
	real.WaitFor(t, "one more", func() bool { return last.len() == 4 && onlyNew.len() == 1 })
	cancel()
	<-ended
	<-ended
	if got := last.messages(); got[0] != redisMessage(7) || got[3] != redisMessage(10) {
		t.Errorf("got %q", got)
	}
	if got := onlyNew.messages(); got[0] != redisMessage(10) {
		t.Errorf("got %q", got)
	}
}

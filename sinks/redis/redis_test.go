package redis_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/redis"
)

func newHandler(t testing.TB, url string, opts redis.Options) *redis.Handler {
	h := redis.New(url, &opts)
	peertest.ShutdownAtEnd(t, h)
	return h
}

func record(message string, attrs ...slog.Attr) slog.Record {
	r := slog.NewRecord(time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), slog.LevelInfo, message, 0)
	r.AddAttrs(attrs...)
	return r
}

// batch is one that is tried again under its ID.
func batch(id string, from, to int) slogworks.Batch {
	b := slogworks.Batch{ID: id, Attempt: 1}
	for i := from; i < to; i++ {
		b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: record(fmt.Sprint(i))})
	}
	return b
}

// read returns messages, and the sender's numbers.
func read(t *testing.T, lines []string) (messages []string, numbers []uint64) {
	t.Helper()
	for _, line := range lines {
		r, err := intake.ReadJSON([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, r.Message)
		numbers = append(numbers, r.Origin.Seq)
	}
	return messages, numbers
}

func TestNew_nilOptionsAreTheZeroOptions(t *testing.T) {
	s := startServer(t)
	for _, opts := range []*redis.Options{nil, {}} {
		h := redis.New(s.url(), opts)
		if err := h.Handle(t.Context(), record("m")); err != nil {
			t.Fatal(err)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.messages(redis.DefaultChannel); len(got) != 2 {
		t.Errorf("%q published", got)
	}
}

func TestNew_leavesOptionsAlone(t *testing.T) {
	opts := redis.Options{List: "list"}
	newHandler(t, "redis://127.0.0.1:1", opts)
	if want := (redis.Options{List: "list"}); !reflect.DeepEqual(opts, want) {
		t.Errorf("options are %+v", opts)
	}
}

func TestNew_panicsAsCheckSays(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	const password = "pa/ss?w#rd"
	for _, test := range []struct {
		name, url string
		opts      redis.Options
		want      string
	}{
		{"no URL", "", redis.Options{}, "another scheme or none"},
		{"another scheme", "http://:" + password + "@127.0.0.1", redis.Options{}, "cannot be read"},
		{"a password that ends the host", "redis://:" + password + "@127.0.0.1", redis.Options{}, "%2F"},
		{"a database with a name", "redis://:secret@127.0.0.1/" + password, redis.Options{}, "database number"},
		{"an option that is none", "redis://127.0.0.1?" + password + "=1", redis.Options{}, "option"},
		{"a URL and a client", "redis://127.0.0.1", redis.Options{Client: client}, "both a URL and a Client"},
		{"another format", "redis://127.0.0.1", redis.Options{Format: 7}, "want Wire or RedisLog"},
		{"two channels", "redis://127.0.0.1", redis.Options{Channel: "a", ChannelFunc: func(slogworks.View) string { return "" }}, "ChannelFunc"},
		{"one key for two things", "redis://127.0.0.1", redis.Options{Stream: "a", List: "a"}, "both stream and list"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := redis.Check(test.url, &test.opts)
			if err == nil || !strings.HasPrefix(err.Error(), "redis: ") || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("Check: %v", err)
			}
			for _, part := range []string{"pa/ss", "w#rd", "secret"} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("the password is in %q", err)
				}
			}
			defer func() {
				if p := recover(); p != err.Error() {
					t.Errorf("New panics with %v", p)
				}
			}()
			redis.New(test.url, &test.opts)
		})
	}
	if err := redis.Check("", &redis.Options{Client: client}); err != nil {
		t.Error(err)
	}
}

func TestHandler_goesOnlyWhereItIsTold(t *testing.T) {
	s := startServer(t)
	h := newHandler(t, s.url(), redis.Options{List: "list", ChannelFunc: func(v slogworks.View) string { return v.Logger() }})
	l := slog.New(h)
	slogworks.Named(l, "a").Info("1")
	l.Info("2")
	if got, _ := read(t, s.list("list")); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("list has %q", got)
	}
	if got, _ := read(t, s.messages("a")); !slices.Equal(got, []string{"1"}) {
		t.Errorf("channel got %q", got)
	}
	if s.counted("xadd") != 0 || s.counted("publish") != 1 || s.counted("ltrim") != 2 {
		t.Errorf("commands: %v", s.count)
	}
}

func TestHandler_oneRoundTripPerBatch(t *testing.T) {
	s := startServer(t)
	h := newHandler(t, s.url(), redis.Options{List: "list", Stream: "log", Channel: "c"})
	if err := h.HandleBatch(t.Context(), batch("1", 0, 100)); err != nil {
		t.Fatal(err)
	}
	if s.counted("multi") != 1 || s.counted("exec") != 1 || s.counted("rpush") != 1 || s.counted("xadd") != 100 {
		t.Errorf("commands: %v", s.count)
	}
	if a := h.Account(); a.Delivered != 100 || a.Accepted != 100 {
		t.Errorf("account %+v", a)
	}
}

// Each answer by which a server refuses is one that the queue can do something
// with, and nothing of the batch is there.
func TestHandler_refusals(t *testing.T) {
	for answer, want := range map[string]struct {
		permanent bool
		isLong    bool // After is the longest
		says      string
	}{
		"-LOADING Redis is loading the dataset in memory":                    {says: "LOADING"},
		"-MASTERDOWN Link with MASTER is down":                               {says: "MASTERDOWN"},
		"-READONLY You can't write against a read only replica.":             {says: "use the URL of the primary"},
		"-OOM command not allowed when used memory > 'maxmemory'.":           {says: "raise it"},
		"-MISCONF Redis is configured to save RDB snapshots":                 {says: "save to its disk"},
		"-NOAUTH Authentication required.":                                   {isLong: true, says: "wants a password"},
		"-NOPERM this user has no permissions to run the 'xadd' command":     {isLong: true, says: "ACL SETUSER"},
		"-WRONGTYPE Operation against a key holding the wrong kind of value": {isLong: true, says: `"log" holds something else: use another name, or delete it`},
		"-ERR unknown command 'xadd', with args beginning with: 'log'":       {permanent: true, isLong: true, says: "unknown command"},
		"-ERR max number of clients reached":                                 {isLong: true, says: "max number of clients"},
		"-CLUSTERDOWN The cluster is down":                                   {says: "has not joined it"},
		"-MOVED 3999 127.0.0.1:6381":                                         {says: "NewClusterClient"},
		"-CROSSSLOT Keys in request don't hash to the same slot":             {isLong: true, says: "one {tag} in both names"},
		"-NOREPLICAS Not enough good replicas to write.":                     {says: "min-replicas-to-write"},
	} {
		t.Run(strings.Fields(answer)[0]+" "+strings.Fields(answer)[1], func(t *testing.T) {
			s := startServer(t)
			s.refuse = func(words []string) string {
				if words[0] == "xadd" {
					return answer
				}
				return ""
			}
			h := newHandler(t, s.url(), redis.Options{Stream: "log", Channel: "c", Backoff: slogworks.Backoff{Min: time.Millisecond, Max: time.Minute}})
			d := peertest.DeliveryError(t, h.HandleBatch(t.Context(), batch("1", 0, 3)))
			if d.Accepted != 0 || d.Permanent != want.permanent || d.Uncertain || d.After <= 0 || (d.After == time.Minute) != want.isLong {
				t.Errorf("%+v", d)
			}
			if text := d.Err.Error(); !strings.HasPrefix(text, "redis: ") || !strings.Contains(text, want.says) {
				t.Errorf("error %q, want %q", text, want.says)
			}
			if got := s.messages("c"); len(got) != 0 {
				t.Errorf("published although the batch was refused: %q", got)
			}
			s.refusing(nil)
			if err := h.HandleBatch(t.Context(), batch("1", 0, 3)); err != nil {
				t.Fatal(err)
			}
			messages, numbers := read(t, s.records("log"))
			if !slices.Equal(messages, []string{"0", "1", "2"}) || !slices.Equal(numbers, []uint64{1, 2, 3}) {
				t.Errorf("stream has %q %v", messages, numbers)
			}
		})
	}
}

// What a transaction did carry out, although a command in it failed, is not done
// again.
func TestHandler_repeatsOnlyWhatFailed(t *testing.T) {
	s := startServer(t)
	h := newHandler(t, s.url(), redis.Options{Stream: "log", Channel: "c", List: "list"})
	// Without MULTI, which this user may not call, each command stands for itself.
	s.refuse = func(words []string) string {
		switch {
		case words[0] == "multi":
			return "-NOPERM this user has no permissions to run the 'multi' command"
		case words[0] == "xadd" && strings.Contains(words[len(words)-1], `"m":"2"`), words[0] == "rpush":
			return "-OOM command not allowed"
		}
		return ""
	}
	d := peertest.DeliveryError(t, h.HandleBatch(t.Context(), batch("1", 0, 4)))
	if d.Accepted != 0 || d.Uncertain { // none is in the list
		t.Errorf("%+v", d)
	}
	s.refusing(nil)
	if err := h.HandleBatch(t.Context(), batch("1", 0, 4)); err != nil {
		t.Fatal(err)
	}
	for place, lines := range map[string][]string{"channel": s.messages("c"), "stream": s.records("log"), "list": s.list("list")} {
		got, _ := read(t, lines)
		slices.Sort(got)
		if !slices.Equal(got, []string{"0", "1", "2", "3"}) {
			t.Errorf("%s has %q", place, got)
		}
	}
	// What was overtaken has new numbers. Under another ID it is another batch.
	if err := h.HandleBatch(t.Context(), batch("2", 4, 5)); err != nil {
		t.Fatal(err)
	}
	if _, numbers := read(t, s.list("list")); !slices.Equal(numbers, []uint64{5, 6, 7, 8, 9}) {
		t.Errorf("numbers %v", numbers)
	}
}

// A client that is no single server's gets a pipeline, of which a beginning may
// be accepted.
func TestHandler_acceptsTheBeginning(t *testing.T) {
	s := startServer(t)
	plain := goredis.NewClient(&goredis.Options{Addr: s.listener.Addr().String(), Protocol: 2, MaxRetries: -1})
	defer plain.Close()
	h := newHandler(t, "", redis.Options{Stream: "log", Client: struct{ goredis.UniversalClient }{plain}})
	s.refuse = func(words []string) string {
		if words[0] == "xadd" && strings.Contains(words[len(words)-1], `"m":"2"`) {
			return "-TRYAGAIN Multiple keys request during rehashing of slot"
		}
		return ""
	}
	d := peertest.DeliveryError(t, h.HandleBatch(t.Context(), batch("1", 0, 4)))
	if d.Accepted != 2 {
		t.Fatalf("%+v", d)
	}
	s.refusing(nil)
	if err := h.HandleBatch(t.Context(), batch("1", 2, 4)); err != nil {
		t.Fatal(err)
	}
	if got, numbers := read(t, s.records("log")); !slices.Equal(got, []string{"0", "1", "3", "2"}) || !slices.Equal(numbers, []uint64{1, 2, 4, 5}) {
		t.Errorf("stream has %q %v", got, numbers)
	}
	if s.counted("multi") != 0 {
		t.Error("a transaction was begun")
	}
	if a := h.Account(); a.Accepted != 4 || a.Delivered != 4 {
		t.Errorf("account %+v", a)
	}
}

func TestHandler_isUncertainWithoutAnAnswer(t *testing.T) {
	s := startServer(t)
	h := newHandler(t, s.url(), redis.Options{Stream: "log"})
	s.refuse = func(words []string) string {
		if words[0] == "exec" {
			return "hang up"
		}
		return ""
	}
	d := peertest.DeliveryError(t, h.HandleBatch(t.Context(), batch("1", 0, 2)))
	if !d.Uncertain || d.Accepted != 0 || d.Permanent {
		t.Errorf("%+v", d)
	}
	s.refusing(nil)
	if err := h.HandleBatch(t.Context(), batch("1", 0, 2)); err != nil {
		t.Fatal(err)
	}
}

func TestHandler_isCertainWithoutAConnection(t *testing.T) {
	s := startServer(t)
	h := newHandler(t, s.url(), redis.Options{Stream: "log"})
	if err := h.Handle(t.Context(), record("1")); err != nil {
		t.Fatal(err)
	}
	s.close()
	// The first attempt may find the old connection, the second cannot.
	_ = h.HandleBatch(t.Context(), batch("1", 0, 2))
	d := peertest.DeliveryError(t, h.HandleBatch(t.Context(), batch("1", 0, 2)))
	if d.Uncertain || d.Permanent || !strings.Contains(d.Error(), "connection refused") {
		t.Errorf("%+v", d)
	}
}

// Nor was anything sent where the server ends the connection before it answers
// whether it is there.
func TestHandler_isCertainIfTheServerHangsUpAtOnce(t *testing.T) {
	s := startServer(t)
	s.refuse = func(words []string) string {
		if words[0] == "ping" {
			return "hang up"
		}
		return ""
	}
	h := newHandler(t, s.url(), redis.Options{Stream: "log"})
	if d := peertest.DeliveryError(t, h.HandleBatch(t.Context(), batch("1", 0, 2))); d.Uncertain || d.Permanent {
		t.Errorf("%+v", d)
	}
}

// While the server is known to be down, a record by itself does not wait for it.
func TestHandler_failsAtOnceWhileDown(t *testing.T) {
	s := startServer(t)
	s.refuse = func([]string) string { return "hang up" }
	h := newHandler(t, s.url(), redis.Options{Backoff: slogworks.Backoff{Min: time.Hour, Max: time.Hour}})
	first := peertest.DeliveryError(t, h.Handle(t.Context(), record("1")))
	n := s.counted("hello")
	second := peertest.DeliveryError(t, h.Handle(t.Context(), record("2")))
	if s.counted("hello") != n || n == 0 {
		t.Error("the second record connected too")
	}
	if first.After < 48*time.Minute || second.After < 47*time.Minute || !strings.Contains(second.Error(), "waiting after a failure") {
		t.Errorf("%+v, then %+v", first, second)
	}
	_ = h.HandleBatch(t.Context(), batch("1", 0, 1))
	if s.counted("hello") == n {
		t.Error("whoever counts attempts had to wait")
	}
	if a := h.Account(); a.Dropped["failed"] != 2 || a.Accepted != 2 {
		t.Errorf("account %+v", a)
	}
}

// printed is a logger of go-redis that counts.
type printed struct{ n atomic.Int64 }

func (p *printed) Printf(context.Context, string, ...any) { p.n.Add(1) }

func TestHandler_printsNothingAndLeavesNothingWhileDown(t *testing.T) {
	var p printed
	goredis.SetLogger(&p)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "redis://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	h := redis.New(url, nil)
	for range 30 {
		if err := h.HandleBatch(t.Context(), batch("1", 0, 1)); err == nil {
			t.Fatal("no error")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 100)
	r := &redis.Reader{URL: url, Handler: slog.DiscardHandler, OnError: func(err error) { failed <- err }, Backoff: slogworks.Backoff{Min: 1, Max: 1}}
	ended := make(chan error, 1)
	go func() { ended <- r.Tail(ctx, redis.Source{Channel: "c"}, redis.Source{Stream: "s"}) }()
	for range 20 {
		<-failed
	}
	cancel()
	for done := false; !done; {
		select {
		case <-failed:
		case <-ended:
			done = true
		}
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	peertest.WaitFor(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	if n := p.n.Load(); n != 0 {
		t.Errorf("go-redis printed %d lines", n)
	}
}

// A server that wants a password, and gets none, leaves nothing to read and
// nothing to print.
func TestHandler_printsNothingWithoutThePassword(t *testing.T) {
	var p printed
	goredis.SetLogger(&p)
	s := startServer(t)
	s.refuse = func(words []string) string { return "-NOAUTH Authentication required." }
	h := newHandler(t, s.url(), redis.Options{Stream: "s"})
	if d := peertest.DeliveryError(t, h.HandleBatch(t.Context(), batch("1", 0, 3))); d.Uncertain || !strings.Contains(d.Error(), "wants a password") {
		t.Errorf("%+v", d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	r := &redis.Reader{URL: s.url(), Handler: slog.DiscardHandler, OnError: func(err error) {
		select {
		case failed <- err:
		default:
		}
	}}
	ended := make(chan error, 1)
	go func() { ended <- r.Tail(ctx, redis.Source{Stream: "s", From: "0"}) }()
	if err := <-failed; !strings.Contains(err.Error(), "NOAUTH") {
		t.Error(err)
	}
	cancel()
	<-ended
	if n := p.n.Load(); n != 0 {
		t.Errorf("go-redis printed %d lines", n)
	}
}

func TestHandler_hidesThePassword(t *testing.T) {
	s := startServer(t)
	s.refuse = func(words []string) string {
		if words[0] == "auth" {
			return "-ERR no user has the password " + words[1]
		}
		return ""
	}
	const password = "hunter2"
	h := newHandler(t, strings.Replace(s.url(), "//", "//:"+password+"@", 1), redis.Options{})
	err := h.Handle(t.Context(), record("1"))
	if err == nil || strings.Contains(err.Error(), password) || !strings.Contains(err.Error(), "***") {
		t.Errorf("error %v", err)
	}
}

func TestHandler_afterClose(t *testing.T) {
	s := startServer(t)
	h := redis.New(s.url(), nil)
	if err := h.Handle(t.Context(), record("1")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Handle(t.Context(), record("2")); err != redis.ErrClosed {
		t.Errorf("Handle: %v", err)
	}
	if err := h.HandleBatch(t.Context(), batch("1", 0, 3)); err != redis.ErrClosed {
		t.Errorf("HandleBatch: %v", err)
	}
	if a := h.Account(); a.Accepted != 5 || a.Delivered != 1 || a.Dropped["closed"] != 4 {
		t.Errorf("account %+v", a)
	}
}

func TestHandler_shutdownGivesUp(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{})
	s := startServer(t)
	defer close(release)
	s.refuse = func(words []string) string {
		if words[0] == "publish" {
			close(entered)
			<-release
		}
		return ""
	}
	h := redis.New(s.url(), &redis.Options{Timeout: time.Hour})
	handled := make(chan error, 1)
	go func() { handled <- h.Handle(context.Background(), record("1")) }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-handled; err == nil {
		t.Error("the record that was being sent got no error")
	}
}

func TestHandler_endsWithTheContextOfABatch(t *testing.T) {
	release := make(chan struct{})
	s := startServer(t)
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	s.refuse = func(words []string) string {
		if words[0] == "publish" {
			cancel()
			<-release
		}
		return ""
	}
	h := newHandler(t, s.url(), redis.Options{Timeout: time.Hour})
	d := peertest.DeliveryError(t, h.HandleBatch(ctx, batch("1", 0, 1)))
	if !errors.Is(d, context.Canceled) || !d.Uncertain {
		t.Errorf("%+v", d)
	}
}

func TestRedisLog_hasElevenKeys(t *testing.T) {
	s := startServer(t)
	h := newHandler(t, s.url(), redis.Options{Channel: "hermey", Format: redis.RedisLog, Host: "web1"})
	l := slogworks.Named(slog.New(h), "my.log")
	l.Error("50% <done>", "n", 3, "traceback", "Traceback\n  x", slog.Group("g", "k", "v w"))
	lines := s.messages("hermey")
	var got map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse("2006-01-02T15:04:05.000000", got["time"].(string))
	if err != nil || time.Since(at).Abs() > time.Hour {
		t.Errorf("time %v: %v", got["time"], err)
	}
	if line, _ := got["line_no"].(float64); line < 10 {
		t.Errorf("line_no %v", got["line_no"])
	}
	if _, ok := got["username"].(string); !ok {
		t.Errorf("username %v", got["username"])
	}
	delete(got, "time")
	delete(got, "line_no")
	delete(got, "username")
	want := map[string]any{
		"name": "my.log", "level": "error", "filename": "redis_test.go", "args": []any{}, "hostname": "web1",
		"msg": `50% <done> n=3 g.k="v w"`, "traceback": "Traceback\n  x", "funcname": "redis_test.TestRedisLog_hasElevenKeys",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}

	r, err := intake.ReadJSON([]byte(lines[0]))
	if err != nil || r.Message != want["msg"] || r.Level != slog.LevelError || r.Origin.Host != "web1" {
		t.Errorf("read back: %v %v", r, err)
	}
}

func TestRedisLog_levels(t *testing.T) {
	s := startServer(t)
	h := newHandler(t, s.url(), redis.Options{List: "l", Format: redis.RedisLog})
	levels := []slog.Level{-8, -4, -1, 0, 2, 4, 8, 11, 12, 20}
	for _, level := range levels {
		slog.New(h).Log(t.Context(), level, "m")
	}
	var got []string
	for _, line := range s.list("l") {
		var m struct{ Level string }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Level)
	}
	want := []string{"debug", "debug", "debug", "info", "info", "warning", "error", "error", "fatal", "fatal"}
	if !slices.Equal(got, want) {
		t.Errorf("levels %v, want %v", got, want)
	}
}

func TestHandler_cutsLongRecords(t *testing.T) {
	s := startServer(t)
	for _, format := range []redis.Format{redis.Wire, redis.RedisLog} {
		key := fmt.Sprint("list", format)
		h := newHandler(t, s.url(), redis.Options{List: key, Format: format, MaxRecordBytes: 1})
		long := strings.Repeat("long \x00", 10_000)
		slogworks.Named(slog.New(h), long).Info(long, "traceback", long, "k", long)
		line := s.list(key)[0]
		if len(line) > 2048 || !strings.Contains(line, "!truncated") || !json.Valid([]byte(line)) {
			t.Errorf("format %d: %d bytes: %s", format, len(line), line)
		}
	}
}

// cannedServer answers each transaction of an RPUSH and an LTRIM, and nothing
// else, without allocating.
func cannedServer(t *testing.T) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 64<<10)
		refusal, answer := []byte("-ERR unknown command\r\n"), []byte("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:100\r\n+OK\r\n")
		exec := []byte("exec\r\n")
		for greeted, end := false, 0; ; {
			n, err := conn.Read(buf[end:])
			if err != nil {
				return
			}
			end += n
			if !greeted {
				_, err = conn.Write(refusal)
				greeted, end = true, 0
			} else if bytes.HasSuffix(buf[:end], []byte("ping\r\n")) {
				_, err = conn.Write([]byte("+PONG\r\n"))
				end = 0
			} else if bytes.HasSuffix(buf[:end], exec) {
				_, err = conn.Write(answer)
				end = 0
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-served
	})
	return "redis://" + l.Addr().String()
}

func TestHandler_allocatesPerBatchAndLittlePerRecord(t *testing.T) {
	if raceEnabled {
		t.Skip("skipped: the race detector allocates")
	}
	h := redis.New(cannedServer(t), &redis.Options{List: "list"})
	b := batch("", 0, 100)
	n := testing.AllocsPerRun(20, func() {
		if err := h.HandleBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	})
	// For the transaction, and none for a record.
	if n > 60 {
		t.Errorf("%v allocations for 100 records", n)
	}
	if err := h.Close(); err != nil { // before the server, which waits for it
		t.Error(err)
	}
}

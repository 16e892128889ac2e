package bench_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/redis"
)

// startRedis runs a redis-server that keeps nothing on disk, for as long as the
// test or benchmark, and returns its URL.
func startRedis(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		tb.Skip("skipped: redis-server not found")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	server := exec.Command(path, "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", tb.TempDir())
	if err := server.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	peertest.WaitFor(tb, "redis-server", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return "redis://127.0.0.1:" + port
}

const redisKept = 100_000 // by stream and list

// redisClient is a peer's, with its defaults.
func redisClient(tb testing.TB, url string) *goredis.Client {
	tb.Helper()
	o, err := goredis.ParseURL(url)
	if err != nil {
		tb.Fatal(err)
	}
	client := goredis.NewClient(o)
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

// redisWay is a way of records into Redis.
type redisWay struct {
	name string
	size int // of a batch
	new  func(tb testing.TB, url string, size int) (send func() error)
}

func redisHandler(opts redis.Options) func(testing.TB, string, int) func() error {
	return func(tb testing.TB, url string, size int) func() error {
		h := redis.New(url, &opts)
		tb.Cleanup(func() { _ = h.Close() })
		batch := batchOf(size)
		return func() error { return h.HandleBatch(context.Background(), batch) }
	}
}

// onePerCall encodes the record as slog.JSONHandler does and sends it by itself.
func onePerCall(put func(ctx context.Context, client *goredis.Client, line []byte) error) func(testing.TB, string, int) func() error {
	return func(tb testing.TB, url string, _ int) func() error {
		client := redisClient(tb, url)
		r := batchOf(1).Items[0].Record
		var line bytes.Buffer
		h := slog.NewJSONHandler(&line, nil)
		return func() error {
			line.Reset()
			if err := h.Handle(context.Background(), r); err != nil {
				return err
			}
			return put(context.Background(), client, line.Bytes())
		}
	}
}

var redisWays = []redisWay{
	{"stream/1", 1, redisHandler(redis.Options{Stream: "log"})},
	{"stream/100", 100, redisHandler(redis.Options{Stream: "log"})},
	{"channel/1", 1, redisHandler(redis.Options{Channel: "log"})},
	{"channel/100", 100, redisHandler(redis.Options{Channel: "log"})},
	{"list/100", 100, redisHandler(redis.Options{List: "log", MaxList: redisKept})},
	{"all/100", 100, redisHandler(redis.Options{Channel: "log", Stream: "log", List: "list"})},
	{"goredis/xadd", 1, onePerCall(func(ctx context.Context, client *goredis.Client, line []byte) error {
		return client.XAdd(ctx, &goredis.XAddArgs{Stream: "log", MaxLen: redisKept, Approx: true, Values: []any{"record", line}}).Err()
	})},
	{"goredis/publish", 1, onePerCall(func(ctx context.Context, client *goredis.Client, line []byte) error {
		return client.Publish(ctx, "log", line).Err()
	})},
	// As python-redis-log does: a pipeline per record.
	{"goredis/rpush", 1, onePerCall(func(ctx context.Context, client *goredis.Client, line []byte) error {
		_, err := client.Pipelined(ctx, func(p goredis.Pipeliner) error {
			p.RPush(ctx, "log", line)
			p.LTrim(ctx, "log", -redisKept, -1)
			return nil
		})
		return err
	})},
}

func BenchmarkRedis(b *testing.B) {
	for _, way := range redisWays {
		b.Run(way.name, func(b *testing.B) {
			send := way.new(b, startRedis(b), way.size)
			if err := send(); err != nil { // connects
				b.Fatal(err)
			}
			sent := 0
			began := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				if err := send(); err != nil {
					b.Fatal(err)
				}
				sent += way.size
			}
			b.ReportMetric(float64(sent)/time.Since(began).Seconds(), "records/s")
		})
	}
}

// Every record is in the server, however it is sent.
func TestRedis_workIsDone(t *testing.T) {
	for _, way := range redisWays {
		t.Run(way.name, func(t *testing.T) {
			url := startRedis(t)
			client := redisClient(t, url)
			heard := client.Subscribe(t.Context(), "log")
			defer heard.Close()
			if _, err := heard.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
			send := way.new(t, url, way.size)
			const calls = 5
			for range calls {
				if err := send(); err != nil {
					t.Fatal(err)
				}
			}
			want := int64(calls * way.size)
			n := map[string]int64{}
			for _, key := range []string{"log", "list"} {
				switch kind := client.Type(t.Context(), key).Val(); kind {
				case "stream":
					n["stream"] = client.XLen(t.Context(), key).Val()
				case "list":
					n["list"] = client.LLen(t.Context(), key).Val()
				}
			}
			if way.name == "channel/1" || way.name == "channel/100" || way.name == "all/100" || way.name == "goredis/publish" {
				for range want {
					if _, err := heard.ReceiveTimeout(t.Context(), 5*time.Second); err != nil {
						t.Fatalf("after %d messages: %v", n["channel"], err)
					}
					n["channel"]++
				}
			}
			if len(n) == 0 {
				t.Error("nothing was sent anywhere")
			}
			for place, got := range n {
				if got != want {
					t.Errorf("%s has %s records, want %d", place, strconv.FormatInt(got, 10), want)
				}
			}
		})
	}
}

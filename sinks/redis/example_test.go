package redis_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/redis"
)

// A program logs to a stream, through a queue, and another reads it.
func Example() {
	server := newServer() // stands for redis://127.0.0.1:6379
	defer server.close()

	q := queue.New(redis.New(server.url(), &redis.Options{Stream: "log"}), nil)
	slogworks.Named(slog.New(q), "shop.db").Warn("slow query", "took", 1500*time.Millisecond)
	if err := slogworks.Shutdown(context.Background(), q); err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	r := &redis.Reader{URL: server.url(), Handler: untilFirst(cancel)}
	err := r.Tail(ctx, redis.Source{Stream: "log", From: "0"})
	fmt.Println(err)
	// Output:
	// level=WARN msg="slow query" logger=shop.db took=1.5s
	// context canceled
}

// untilFirst returns a handler that prints the first record, without what is not
// the same every day, and calls stop.
func untilFirst(stop func()) slog.Handler {
	return slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey, "host", "process", "pid":
			return slog.Attr{}
		case slog.SourceKey:
			stop()
			return slog.Attr{}
		}
		return a
	}})
}

func ExampleCheck() {
	fmt.Println(redis.Check("redis://:secret@127.0.0.1:6379/0", &redis.Options{Stream: "log"}))
	fmt.Println(redis.Check("redis://:se/cret@127.0.0.1", nil))
	fmt.Println(redis.Check("redis://127.0.0.1", &redis.Options{Stream: "log", List: "log"}))
	// Output:
	// <nil>
	// redis: the URL cannot be read: want redis://[USER:PASSWORD@]HOST:PORT[/DB], rediss:// or unix://[USER:PASSWORD@]/PATH; in a password, / ? # [ ] @ % are written %2F %3F %23 %5B %5D %40 %25
	// redis: "log" cannot be both stream and list: want two names
}

func ExampleReader_Consume() {
	r := &redis.Reader{URL: "redis://127.0.0.1:6379", Handler: slog.NewJSONHandler(os.Stdout, nil)}
	err := r.Consume(context.Background(), redis.Group{Stream: "log"})
	fmt.Println(err)
	// Output:
	// redis: a Group of stream "log" without a Name
}

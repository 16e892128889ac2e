package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/queue"
)

// withoutTime are options under which the examples print the same every day.
var withoutTime = &slog.HandlerOptions{ReplaceAttr: withoutTimeAttr}

func Example() {
	q := queue.New(slog.NewTextHandler(os.Stdout, withoutTime), nil)
	defer q.Close()
	slog.New(q).Info("off the caller's path")
	// Output:
	// level=INFO msg="off the caller's path"
}

// Records at SyncLevel are handled before the call returns, and with them all
// that were logged before. What kills a program is worth the wait.
func Example_syncLevel() {
	q := queue.New(slog.NewTextHandler(os.Stdout, withoutTime), &queue.Options{
		SyncLevel: slog.LevelError,
	})
	logger := slog.New(q)
	logger.Info("listening")
	logger.Error("out of file descriptors")
	fmt.Println("and now os.Exit(1)")
	// Output:
	// level=INFO msg=listening
	// level=ERROR msg="out of file descriptors"
	// and now os.Exit(1)
}

// log.Fatal and os.Exit run no deferred functions: what is in the queue is
// lost, the reason why the program ended first of all. Log it at SyncLevel, or
// return from main by way of a deferred Close.
func Example_incorrect() {
	q := queue.New(slog.NewTextHandler(os.Stdout, nil), nil)
	defer q.Close() // is not called
	if _, err := os.Open("/etc/app.conf"); err != nil {
		slog.New(q).Error("no configuration", "err", err)
		log.Fatal("giving up") // WRONG
	}
}

// Two destinations behind one queue keep the order between them.
func ExampleHandler_Share() {
	q := queue.New(slog.NewTextHandler(os.Stdout, withoutTime), nil)
	audit := q.Share(slog.NewJSONHandler(os.Stdout, withoutTime))
	slog.New(q).Info("login", "user", "alice")
	slog.New(audit).Info("role granted", "user", "alice", "role", "admin")
	slog.New(q).Info("logout", "user", "alice")
	q.Close() // closes both
	// Output:
	// level=INFO msg=login user=alice
	// {"level":"INFO","msg":"role granted","user":"alice","role":"admin"}
	// level=INFO msg=logout user=alice
}

// In a test, Flush makes sure that what was logged has arrived.
func ExampleHandler_Flush() {
	arrived := 0
	q := queue.New(handleFunc(func(context.Context, slog.Record) error {
		arrived++
		return nil
	}), nil)
	logger := slog.New(q)
	for i := range 100 {
		logger.Info("event", "i", i)
	}
	if err := q.Flush(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(arrived, "arrived")
	// Output:
	// 100 arrived
}

// A sink that is down says so with a DeliveryError, and the queue tries again:
// OnError gets to know of the first attempt. What is refused for good goes to
// OnError and to the Fallback.
func ExampleOptions_fallback() {
	down := 2
	sink := handleFunc(func(_ context.Context, r slog.Record) error {
		switch {
		case r.Message == "too large":
			return &slogworks.DeliveryError{Permanent: true, Err: errors.New("413 Content Too Large")}
		case down > 0:
			down--
			return &slogworks.DeliveryError{Err: errors.New("connection refused")}
		}
		fmt.Println("delivered:", r.Message)
		return nil
	})
	q := queue.New(sink, &queue.Options{
		Retry:    slogworks.Backoff{Min: time.Millisecond},
		Fallback: slog.NewTextHandler(os.Stdout, withoutTime),
		OnError:  func(err error) { fmt.Println("error:", err) },
	})
	logger := slog.New(q).With("service", "shop")
	logger.Info("started")
	logger.Info("too large")
	q.Close()
	fmt.Printf("%d handled, %d failed\n", q.Stats().Handled, q.Stats().Failed)
	// Output:
	// error: connection refused
	// delivered: started
	// error: 413 Content Too Large; permanent
	// level=INFO msg="too large" service=shop
	// 1 handled, 1 failed
}

// When a sink hangs, what overflows is counted and told once it goes on.
func ExampleHandler_Stats() {
	working := make(chan struct{})
	text := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == "since" {
			return slog.Attr{}
		}
		return withoutTimeAttr(groups, a)
	}})
	q := queue.New(handleFunc(func(ctx context.Context, r slog.Record) error {
		<-working
		return text.Handle(ctx, r)
	}), &queue.Options{Capacity: 2, MaxBlock: -1})
	logger := slog.New(q)
	logger.Info("a")
	logger.Info("b")  // the last place is the reserve
	logger.Error("c") // which is for such as this
	logger.Error("d")
	fmt.Printf("%+v\n", q.Stats().DroppedOverflow)
	close(working)
	q.Close()
	// Unordered output:
	// {Debug:0 Info:1 Warn:0 Error:1}
	// level=INFO msg=a
	// level=ERROR msg=c
	// level=WARN msg="slogworks: records dropped" stage=queue dropped=2 by_level.INFO=1 by_level.ERROR=1 reason=overflow
}

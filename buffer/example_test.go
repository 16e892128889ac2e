package buffer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
)

// printer is a BatchHandler that prints the messages of a batch; buffer/mail is
// one that mails them.
type printer struct {
	slog.Handler
	err error
}

func (p printer) HandleBatch(_ context.Context, b slogworks.Batch) error {
	if p.err != nil {
		return p.err
	}
	fmt.Printf("a batch of %d:", len(b.Items))
	for _, item := range b.Items {
		fmt.Printf(" %s;", item.Record.Message)
	}
	fmt.Println()
	return nil
}

var toStdout = printer{Handler: slog.NewTextHandler(os.Stdout, nil)}

// A program that runs every hour and tells nobody of a feed that failed once: the
// records of each run wait on disk until there are three.
func Example() {
	dir, err := os.MkdirTemp("", "spool")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	run := func(hour int) {
		h, err := buffer.Open(toStdout, &buffer.Options{
			Dir:     dir,
			Trigger: buffer.AtLeast(3, slog.LevelError),
			Manual:  true,
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		slog.New(h).Error(fmt.Sprintf("no answer at %d", hour))
		if err := h.Close(); err != nil {
			fmt.Println(err)
		}
		fmt.Printf("%d: %v\n", hour, h.Last().Status)
	}
	for hour := range 4 {
		run(hour)
	}
	// Output:
	// 0: kept
	// 1: kept
	// a batch of 3: no answer at 0; no answer at 1; no answer at 2;
	// 2: sent
	// 3: kept
}

// What cannot be delivered waits, and is delivered on request.
func ExampleHandler_Deliver() {
	next := &printer{Handler: toStdout, err: errors.New("server is down")}
	h, err := buffer.Open(next, &buffer.Options{Manual: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	slog.New(h).Error("disk full")

	o := h.Deliver(context.Background())
	fmt.Println(o.Status, o.Attempt, o.Err)
	next.err = nil
	o = h.Deliver(context.Background())
	fmt.Println(o.Status, o.Attempt)
	o = h.Deliver(context.Background())
	fmt.Println(o.Status)
	// Output:
	// failed 1 server is down
	// a batch of 1: disk full;
	// sent 2
	// empty
}

// Triggers combine; anyone can write one.
func ExampleAny() {
	kinds := func(s buffer.State) (cause string) {
		if s.Distinct >= 2 {
			return fmt.Sprintf("%d kinds of trouble", s.Distinct)
		}
		return ""
	}
	h, err := buffer.Open(toStdout, &buffer.Options{
		Manual:  true,
		Trigger: buffer.Any(buffer.AtLeast(10, slog.LevelError), kinds),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()

	logger := slog.New(h)
	for _, feed := range []string{"news", "weather"} {
		logger.Warn("no answer from " + feed)
		o := h.Evaluate(context.Background())
		fmt.Printf("%v %q\n", o.Status, o.Cause)
	}
	// Output:
	// kept ""
	// a batch of 2: no answer from news; no answer from weather;
	// sent "2 kinds of trouble"
}

// A look into a spool, as a program for its operator would take it.
func ExampleInspect() {
	dir, err := os.MkdirTemp("", "spool")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	refusing := printer{Handler: toStdout, err: &slogworks.DeliveryError{Permanent: true, Err: errors.New("no such user")}}
	h, err := buffer.Open(refusing, &buffer.Options{Dir: dir, Manual: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	slog.New(h).Error("disk full")
	h.Deliver(context.Background())
	h.Close()

	info, err := buffer.Inspect(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, dead := range info.Dead {
		fmt.Println(dead.Records, dead.Err)
		if err := buffer.Requeue(dir, dead.ID); err != nil {
			fmt.Println(err)
		}
	}
	info, _ = buffer.Inspect(dir)
	fmt.Println(len(info.Pending), len(info.Dead))
	// Output:
	// 1 no such user; permanent
	// 1 0
}

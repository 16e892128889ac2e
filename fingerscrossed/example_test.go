package fingerscrossed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fingerscrossed"
)

// stdout returns a handler, open at Debug, that prints the same every day.
func stdout() slog.Handler { return text(os.Stdout) }

func text(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime})
}

func Example() {
	h := fingerscrossed.New(stdout(), nil)
	logger := slog.New(h)

	pay := func(ctx context.Context, amount int) error {
		logger.DebugContext(ctx, "asking the bank", "amount", amount)
		logger.InfoContext(ctx, "payment", "amount", amount)
		if amount > 100 {
			return errors.New("the bank said no")
		}
		return nil
	}
	for _, amount := range []int{10, 1000} {
		_ = h.Do(context.Background(), func(ctx context.Context) error { return pay(ctx, amount) })
	}
	// Output:
	// level=INFO msg=payment amount=10
	// level=DEBUG msg="asking the bank" amount=1000
	// level=INFO msg=payment amount=1000
}

// A request handler: what it says at Debug is written if it fails, panics,
// or logs an error.
func ExampleHandler_Begin() {
	h := fingerscrossed.New(stdout(), nil)
	logger := slog.New(h)

	serve := func(ctx context.Context, path string) (err error) {
		ctx, scope := h.Begin(ctx)
		defer scope.End(&err)

		logger := logger.With("path", path)
		logger.DebugContext(ctx, "looking for a template")
		if path == "/broken" {
			logger.ErrorContext(ctx, "no template")
		}
		logger.DebugContext(ctx, "done")
		return nil
	}
	for _, path := range []string{"/", "/broken", "/about"} {
		if err := serve(context.Background(), path); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// level=DEBUG msg="looking for a template" path=/broken
	// level=ERROR msg="no template" path=/broken
	// level=DEBUG msg=done path=/broken
}

// An application that logs to a file, from the first warning on, and leaves
// no file behind if there is none: nobody would look at it anyway.
func ExampleLazy() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "app.log")

	h := fingerscrossed.New(
		fingerscrossed.Lazy(slog.LevelDebug, func() (slog.Handler, io.Closer, error) {
			f, err := os.Create(path)
			if err != nil {
				return nil, nil, err
			}
			return text(f), f, nil
		}),
		&fingerscrossed.Options{
			Process: true,
			Level:   slog.LevelError + 1, // nothing goes out without a trigger
			Trigger: slog.LevelWarn,
			After:   fingerscrossed.PassAll,
		})
	logger := slog.New(h)

	logger.Info("starting")
	logger.Debug("window opened", "width", 640)
	_, err = os.Stat(path)
	fmt.Println("no file yet:", errors.Is(err, os.ErrNotExist))

	logger.Warn("cannot load the theme")
	logger.Info("started")
	if err := slogworks.Shutdown(context.Background(), h); err != nil {
		fmt.Println(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Print(string(content))
	// Output:
	// no file yet: true
	// level=INFO msg=starting
	// level=DEBUG msg="window opened" width=640
	// level=WARN msg="cannot load the theme"
	// level=INFO msg=started
}

// A file for each request that fails, named after it.
func ExampleOptions_open() {
	type file struct{ strings.Builder }
	issues := map[string]*file{}

	h := fingerscrossed.New(slog.DiscardHandler, &fingerscrossed.Options{
		Open: func(_ context.Context, trigger slogworks.View) (slog.Handler, io.Closer, error) {
			id, _ := trigger.Attr("request")
			f := new(file) // in a program, os.Create, and f is the Closer
			issues["issue-"+id.String()+".log"] = f
			return text(f), nil, nil
		},
	})
	for _, request := range []string{"a1", "b2", "c3"} {
		logger := slog.New(h).With("request", request)
		ctx, scope := h.Begin(context.Background())
		logger.DebugContext(ctx, "reading the basket")
		if request == "b2" {
			logger.ErrorContext(ctx, "the basket is gone")
		}
		scope.End(nil)
	}
	for name, f := range issues {
		fmt.Printf("%s:\n%s", name, f.String())
	}
	// Output:
	// issue-b2.log:
	// level=DEBUG msg="reading the basket" request=b2
	// level=ERROR msg="the basket is gone" request=b2
}

func ExampleHandler_Do() {
	h := fingerscrossed.New(stdout(), nil)
	logger := slog.New(h)

	err := h.Do(context.Background(), func(ctx context.Context) error {
		logger.DebugContext(ctx, "connecting")
		return errors.New("connection refused")
	})
	fmt.Println("error:", err)
	// Output:
	// level=DEBUG msg=connecting
	// error: connection refused
}

// Jobs within a job: the failure of one shows what led up to it outside, and
// nothing of its siblings.
func ExampleHandler_Begin_nested() {
	h := fingerscrossed.New(stdout(), nil)
	logger := slog.New(h)

	ctx, batch := h.Begin(context.Background())
	logger.DebugContext(ctx, "batch started")
	for n := range 3 {
		_ = h.Do(ctx, func(ctx context.Context) error {
			logger.DebugContext(ctx, "job started", "n", n)
			if n == 1 {
				return errors.New("failed")
			}
			return nil
		})
	}
	batch.End(nil)
	// Output:
	// level=DEBUG msg="batch started"
	// level=DEBUG msg="job started" n=0
	// level=DEBUG msg="job started" n=1
}

// For code that logs without a context.
func ExampleScope_Logger() {
	h := fingerscrossed.New(stdout(), nil)
	_, scope := h.Begin(context.Background())
	logger := scope.Logger(slog.New(h))

	logger.Debug("held")
	logger.Error("released")
	scope.End(nil)
	// Output:
	// level=DEBUG msg=held
	// level=ERROR msg=released
}

// A request that asks for it, by a header for instance, is logged in full.
func ExampleScope_Trigger() {
	h := fingerscrossed.New(stdout(), nil)
	logger := slog.New(h)
	for _, debug := range []bool{false, true} {
		ctx, scope := h.Begin(context.Background())
		if debug {
			if err := scope.Trigger(); err != nil {
				fmt.Println(err)
			}
		}
		logger.DebugContext(ctx, "detail", "debug", debug)
		scope.End(nil)
	}
	// Output:
	// level=DEBUG msg=detail debug=true
}

// End sees a panic only if it is deferred itself. In a function that is
// deferred it does not, and what the panic should have released is dropped.
func ExampleScope_End_incorrect() {
	h := fingerscrossed.New(stdout(), nil)
	logger := slog.New(h)
	defer func() { fmt.Println("panic:", recover()) }()

	ctx, scope := h.Begin(context.Background())
	defer func() { scope.End(nil) }() // instead of defer scope.End(nil)
	logger.DebugContext(ctx, "not seen")
	panic("oops")
	// Output:
	// panic: oops
}

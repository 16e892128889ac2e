package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
)

// withoutTime are options under which the examples print the same every day.
var withoutTime = &slog.HandlerOptions{
	ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	},
}

func printer(name string) slog.Handler {
	return slog.NewTextHandler(os.Stdout, withoutTime).WithAttrs([]slog.Attr{slog.String("sink", name)})
}

func Example() {
	// In a program, the second handler writes to a file or a socket.
	logger := slog.New(fanout.New(
		fanout.AtLeast(slog.NewTextHandler(os.Stdout, withoutTime), slog.LevelWarn),
		slog.NewJSONHandler(os.Stdout, withoutTime),
	))
	logger.Info("started", "port", 8080)
	logger.Warn("disk almost full", "percent", 91)
	// Output:
	// {"level":"INFO","msg":"started","port":8080}
	// level=WARN msg="disk almost full" percent=91
	// {"level":"WARN","msg":"disk almost full","percent":91}
}

func ExampleNew() {
	broken := slog.NewTextHandler(brokenWriter{}, nil)
	h := fanout.New(broken, printer("stdout"))

	// The handlers after a broken one get the record all the same.
	r := slog.Record{Level: slog.LevelInfo, Message: "hello"}
	fmt.Println("error:", h.Handle(context.Background(), r))
	// Output:
	// level=INFO msg=hello sink=stdout
	// error: no space left on device
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) {
	return 0, errors.New("no space left on device")
}

func ExampleRouter() {
	logger := slog.New(fanout.Router(
		fanout.Route{Min: slog.LevelError, To: printer("pager")},
		fanout.Route{Max: slog.LevelWarn, To: printer("file")},
		fanout.Route{When: slogworks.AttrIs("tenant", "acme"), To: printer("acme")},
	))
	logger.Info("started")
	logger.With("tenant", "acme").Error("payment failed")
	// Output:
	// level=INFO msg=started sink=file
	// level=ERROR msg="payment failed" sink=pager tenant=acme
	// level=ERROR msg="payment failed" sink=acme tenant=acme
}

func ExampleFirst() {
	logger := slog.New(fanout.First(
		fanout.Route{When: slogworks.LoggerIs("http"), To: printer("access")},
		fanout.Route{Min: slog.LevelError, To: printer("errors")},
		fanout.Route{To: printer("rest")},
	))
	slogworks.Named(logger, "http").Error("status 500")
	logger.Error("no connection")
	logger.Info("started")
	// Output:
	// level=ERROR msg="status 500" sink=access logger=http
	// level=ERROR msg="no connection" sink=errors
	// level=INFO msg=started sink=rest
}

// The first route that matches ends the search, so a route that matches
// everything belongs last.
func ExampleFirst_incorrect() {
	logger := slog.New(fanout.First(
		fanout.Route{To: printer("rest")},
		fanout.Route{Min: slog.LevelError, To: printer("errors")}, // never reached
	))
	logger.Error("no connection")
	// Output:
	// level=ERROR msg="no connection" sink=rest
}

func ExampleFailover() {
	h := fanout.Failover(
		slog.NewTextHandler(brokenWriter{}, nil),
		printer("second"),
		printer("third"),
	)
	slog.New(h).Info("hello")
	// Output:
	// level=INFO msg=hello sink=second
}

func ExampleAtLeast() {
	level := new(slog.LevelVar) // Info
	logger := slog.New(fanout.AtLeast(
		slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
			Level:       slog.LevelDebug,
			ReplaceAttr: withoutTime.ReplaceAttr,
		}),
		level,
	))
	logger.Debug("not seen")
	level.Set(slog.LevelDebug)
	logger.Debug("seen")
	// Output:
	// level=DEBUG msg=seen
}

// AtLeast can only narrow. The handler's own level, which is Info unless its
// options say otherwise, still holds.
func ExampleAtLeast_incorrect() {
	logger := slog.New(fanout.AtLeast(printer("stdout"), slog.LevelDebug))
	logger.Debug("not seen")
	logger.Info("seen")
	// Output:
	// level=INFO msg=seen sink=stdout
}

func ExampleOnError() {
	report := func(_ context.Context, v slogworks.View, err error) {
		fmt.Printf("cannot log %q: %v\n", v.Message(), err)
	}
	logger := slog.New(fanout.OnError(slog.NewTextHandler(brokenWriter{}, nil), report))
	logger.Info("hello")
	// Output:
	// cannot log "hello": no space left on device
}

func ExampleWriters() {
	// In a program, the second out is a file or a socket.
	json := func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, withoutTime) }
	logger := slog.New(fanout.Writers(json,
		fanout.Out{W: os.Stdout},
		fanout.Out{W: os.Stdout, Min: slog.LevelError},
	))
	logger.Info("once")
	logger.Error("twice")
	// Output:
	// {"level":"INFO","msg":"once"}
	// {"level":"ERROR","msg":"twice"}
	// {"level":"ERROR","msg":"twice"}
}

package slogctx_test

import (
	"context"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/slogworks/slogworks"
	slogctx "github.com/slogworks/slogworks/context"
)

// stdout returns a handler that prints records of a level or above without their
// times, and at the start of each line who prints it.
func stdout(name string, level slog.Level) slog.Handler {
	return slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.String("to", name)
		}
		return a
	}})
}

func Example() {
	logger := slog.New(slogctx.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}), nil))

	ctx := slogctx.With(context.Background(), "request_id", "r-7")
	logger.InfoContext(ctx, "received")

	db := logger.With("component", "db").WithGroup("query")
	db.InfoContext(ctx, "done", "rows", 3)
	db.InfoContext(context.Background(), "cleaned up", "rows", 2)
	// Output:
	// {"level":"INFO","msg":"received","request_id":"r-7"}
	// {"level":"INFO","msg":"done","component":"db","request_id":"r-7","query":{"rows":3}}
	// {"level":"INFO","msg":"cleaned up","component":"db","query":{"rows":2}}
}

// What a context carries reaches the records that are logged with it, and Info
// does not pass it on.
func ExampleNew_incorrect() {
	logger := slog.New(slogctx.New(stdout("log", slog.LevelInfo), nil))
	ctx := slogctx.With(context.Background(), "request_id", "r-7")

	logger.Info("wrong")
	logger.InfoContext(ctx, "right")
	// Output:
	// to=log level=INFO msg=wrong
	// to=log level=INFO msg=right request_id=r-7
}

type traceKey struct{}

// A tracing library keeps its ids in the context in a way of its own.
func ExampleOptions_extract() {
	trace := func(ctx context.Context) []slog.Attr {
		id, ok := ctx.Value(traceKey{}).(string)
		if !ok {
			return nil
		}
		return []slog.Attr{slog.String("trace_id", id)}
	}
	logger := slog.New(slogctx.New(stdout("log", slog.LevelInfo), &slogctx.Options{
		Extract: []func(context.Context) []slog.Attr{trace},
	}))

	ctx := context.WithValue(context.Background(), traceKey{}, "4bf92f35")
	logger.InfoContext(ctx, "traced")
	logger.Info("not traced")
	// Output:
	// to=log level=INFO msg=traced trace_id=4bf92f35
	// to=log level=INFO msg="not traced"
}

// A library logs on behalf of a request and need not know about requests. Here
// each record gets the path of the request, and a longer message.
func ExampleProcess() {
	logger := slog.New(slogctx.New(stdout("log", slog.LevelInfo), nil))
	library := func(ctx context.Context) {
		logger.WarnContext(ctx, "cache is full", "entries", 1000)
	}

	application := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx := slogctx.Process(r.Context(), func(_ context.Context, record *slog.Record) {
			record.Message = "request: " + record.Message
			record.AddAttrs(slog.String("path", r.URL.Path))
		})
		library(ctx)
	})

	application.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/orders/7", nil))
	library(context.Background())
	// Output:
	// to=log level=WARN msg="request: cache is full" entries=1000 path=/orders/7
	// to=log level=WARN msg="cache is full" entries=1000
}

// A handler is bound for one request, of which it gets everything; the log gets
// what it always gets.
func ExampleBind() {
	logger := slog.New(slogctx.NewStack(stdout("log", slog.LevelInfo)))
	serve := func(ctx context.Context) {
		logger.DebugContext(ctx, "asking the database")
		logger.InfoContext(ctx, "served")
	}

	// In a server this would be a file for the request.
	request := stdout("request", slog.LevelDebug)
	ctx := slogctx.Bind(context.Background(), request, &slogctx.Binding{Bubble: true})
	serve(ctx)
	serve(context.Background())
	// Output:
	// to=request level=DEBUG msg="asking the database"
	// to=request level=INFO msg=served
	// to=log level=INFO msg=served
	// to=log level=INFO msg=served
}

// Several things are bound one after the other, and end together with the
// function that has the context.
func ExampleBind_nested() {
	logger := slog.New(slogctx.New(slogctx.NewStack(stdout("log", slog.LevelInfo)), nil))

	job := func(ctx context.Context) {
		ctx = slogctx.With(ctx, "job", 7)
		ctx = slogctx.Bind(ctx, stdout("file", slog.LevelDebug), nil)
		ctx = slogctx.Bind(ctx, stdout("mail", slog.LevelError), &slogctx.Binding{Bubble: true})
		logger.DebugContext(ctx, "half way")
		logger.ErrorContext(ctx, "failed")
	}
	job(context.Background())
	logger.Info("after the job")
	// Output:
	// to=file level=DEBUG msg="half way" job=7
	// to=mail level=ERROR msg=failed job=7
	// to=file level=ERROR msg=failed job=7
	// to=log level=INFO msg="after the job"
}

// Instead of a level of its own, what users type in has an attribute, by which a
// handler goes without it.
func ExampleBinding_when() {
	logger := slog.New(slogctx.NewStack(stdout("log", slog.LevelInfo)))
	input := logger.With("kind", "input")

	ctx := slogctx.Bind(context.Background(), stdout("screen", slog.LevelInfo), &slogctx.Binding{
		When: slogworks.Not(slogworks.AttrIs("kind", "input")),
	})
	logger.InfoContext(ctx, "ready")
	input.InfoContext(ctx, "list files")
	// Output:
	// to=screen level=INFO msg=ready
	// to=log level=INFO msg="list files" kind=input
}

// What users type in goes nowhere.
func ExampleBlackhole() {
	stack := slogctx.NewStack(stdout("log", slog.LevelInfo))
	logger := slog.New(stack)
	input := logger.With("kind", "input")

	pop := stack.Push(slogctx.Blackhole(), &slogctx.Binding{When: slogworks.AttrIs("kind", "input")})
	logger.Info("password?")
	input.Info("hunter2")
	pop()

	// Nothing is logged, and not even a record made.
	ctx := slogctx.Bind(context.Background(), slogctx.Blackhole(), nil)
	logger.InfoContext(ctx, "health check")

	input.Info("list files")
	// Output:
	// to=log level=INFO msg=password?
	// to=log level=INFO msg="list files" kind=input
}

// An application with windows logs to a file at first, and shows its errors once
// there is a window to show them in.
func ExampleStack_Push() {
	stack := slogctx.NewStack(stdout("stderr", slog.LevelInfo))
	logger := slog.New(stack)

	popFile := stack.Push(stdout("file", slog.LevelDebug), nil)
	logger.Debug("looking for a screen")

	popWindow := stack.Push(stdout("window", slog.LevelError), &slogctx.Binding{Bubble: true})
	logger.Info("ready")
	logger.Error("disk is full")

	// A long task has a window of its own.
	task := slogctx.Bind(context.Background(), stdout("task window", slog.LevelInfo), nil)
	logger.ErrorContext(task, "no such file")

	popWindow()
	popFile()
	logger.Info("bye")
	// Output:
	// to=file level=DEBUG msg="looking for a screen"
	// to=file level=INFO msg=ready
	// to=window level=ERROR msg="disk is full"
	// to=file level=ERROR msg="disk is full"
	// to="task window" level=ERROR msg="no such file"
	// to=stderr level=INFO msg=bye
}

// A library that knows only package log has records too, with their source.
func ExampleRedirectLog() {
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		AddSource: true,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if source, ok := a.Value.Any().(*slog.Source); ok {
				return slog.String(a.Key, filepath.Base(source.File))
			}
			return withoutTime(nil, a)
		},
	})
	restore := slogctx.RedirectLog(handler, slog.LevelInfo)
	defer restore()

	log.Printf("connected to %s", "db-1")
	// Output:
	// level=INFO source=example_test.go msg="connected to db-1"
}

func ExampleLogWriter() {
	server := &http.Server{
		Addr:     "127.0.0.1:8080",
		ErrorLog: log.New(slogctx.LogWriter(stdout("log", slog.LevelInfo), slog.LevelError), "", 0),
	}
	server.ErrorLog.Print("http: TLS handshake error")
	// Output:
	// to=log level=ERROR msg="http: TLS handshake error"
}

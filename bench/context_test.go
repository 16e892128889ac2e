package bench_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"

	slogctx "github.com/slogworks/slogworks/context"
)

// contextSubject is a handler and the context that its records are logged with.
type contextSubject struct {
	name string
	new  func(w io.Writer) (context.Context, slog.Handler)
	// prefix is what the line has before the record's attributes.
	prefix []slog.Attr
}

// requestAttrs are what all records of a request have.
var requestAttrs = []slog.Attr{slog.String("request", "5f1c0a"), slog.Int("user", 42)}

type depthKey int

// deepen returns ctx under so many others, as frameworks pile them up. Whoever
// looks for something in it passes them all.
func deepen(ctx context.Context, depth int) context.Context {
	for i := range depth {
		ctx = context.WithValue(ctx, depthKey(i), i)
	}
	return ctx
}

// pushed is a Stack whose base must not get the record.
func pushed(depth int) func(io.Writer) (context.Context, slog.Handler) {
	return func(w io.Writer) (context.Context, slog.Handler) {
		stack := slogctx.NewStack(slogctx.Blackhole())
		stack.Push(slog.NewJSONHandler(w, nil), nil)
		return deepen(context.Background(), depth), stack
	}
}

// bound is a Stack over a handler that depth contexts hide.
func bound(depth int) func(io.Writer) (context.Context, slog.Handler) {
	return func(w io.Writer) (context.Context, slog.Handler) {
		ctx := slogctx.Bind(context.Background(), slog.NewJSONHandler(w, nil), nil)
		return deepen(ctx, depth-1), slogctx.NewStack(slogctx.Blackhole())
	}
}

var contextSubjects = []contextSubject{
	{"json", func(w io.Writer) (context.Context, slog.Handler) {
		return deepen(context.Background(), 1), slog.NewJSONHandler(w, nil)
	}, nil},
	{"nothing", func(w io.Writer) (context.Context, slog.Handler) {
		return deepen(context.Background(), 1), slogctx.New(slog.NewJSONHandler(w, nil), nil)
	}, nil},
	{"pushed/1", pushed(1), nil},
	{"pushed/8", pushed(8), nil},
	{"bound/1", bound(1), nil},
	{"bound/8", bound(8), nil},
	{"attrs/With", func(w io.Writer) (context.Context, slog.Handler) {
		return deepen(context.Background(), 1), slog.NewJSONHandler(w, nil).WithAttrs(requestAttrs)
	}, requestAttrs},
	{"attrs/context", func(w io.Writer) (context.Context, slog.Handler) {
		ctx := slogctx.WithAttrs(context.Background(), requestAttrs...)
		return ctx, slogctx.New(slog.NewJSONHandler(w, nil), nil)
	}, requestAttrs},
}

func BenchmarkContext(b *testing.B) {
	for _, s := range contextSubjects {
		b.Run(s.name, func(b *testing.B) {
			ctx, h := s.new(io.Discard)
			runHandler(b, ctx, slog.LevelInfo, h)
		})
	}
}

func TestContext_writesTheSameLines(t *testing.T) {
	for _, s := range contextSubjects {
		t.Run(s.name, func(t *testing.T) {
			var got, want bytes.Buffer
			logOne(t, t.Context(), slog.NewJSONHandler(&want, nil).WithAttrs(s.prefix), slog.LevelInfo)
			ctx, h := s.new(&got)
			logOne(t, ctx, h, slog.LevelInfo)
			if got.String() != want.String() {
				t.Errorf("wrote %q, want %q", got.String(), want.String())
			}
		})
	}
}

package handlertest_test

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/handlertest"
)

// loud adds to a record how loud it is.
type loud struct{ next slog.Handler }

func newLoud(next slog.Handler) slog.Handler {
	requireNext(next)
	return &loud{next}
}

func (h *loud) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *loud) Handle(ctx context.Context, r slog.Record) error {
	if !h.Enabled(ctx, r.Level) {
		return nil
	}
	if n := strings.Count(r.Message, "!"); n > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("loud", n))
	}
	return h.next.Handle(ctx, r)
}

func (h *loud) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &loud{h.next.WithAttrs(slices.Clone(attrs))}
}

func (h *loud) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &loud{h.next.WithGroup(name)}
}

// Unwrap lets slogworks.Flush and slogworks.Shutdown reach next.
func (h *loud) Unwrap() slog.Handler { return h.next }

// checkLoud would be called TestLoud in a test file.
func checkLoud(t *testing.T) {
	handlertest.Run(t, newLoud)
}

// There is something to get wrong in each of the four methods; a handler that
// does not passes [handlertest.Run].
func ExampleRun() {
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	logger := slog.New(newLoud(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime})))
	logger.Info("the door!!")
	// Output:
	// level=INFO msg="the door!!" loud=2
}

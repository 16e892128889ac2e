package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks"
	sloglevels "github.com/slogworks/slogworks/levels"
)

// levelsSubject is a handler that is asked for a level by the name of a logger.
type levelsSubject struct {
	name string
	new  func(w io.Writer) slog.Handler
}

const loggerName = "shop.orders.db"

// rulesFor returns a table of n rules, of which one puts the logger at the level.
func rulesFor(n int, level slog.Level) *sloglevels.Options {
	table := new(sloglevels.Table)
	for i := range n - 1 {
		table.Set(fmt.Sprint("shop.service", i), slog.LevelWarn, 0)
	}
	if n > 0 {
		table.Set("shop.orders", level, 0)
	}
	return &sloglevels.Options{Table: table}
}

func withLogger(h slog.Handler) slog.Handler {
	return h.WithAttrs([]slog.Attr{slog.String(slogworks.LoggerKey, loggerName)})
}

var levelsSubjects = []levelsSubject{
	{"json", func(w io.Writer) slog.Handler { return withLogger(slog.NewJSONHandler(w, nil)) }},
	{"rules=0", func(w io.Writer) slog.Handler {
		return withLogger(sloglevels.New(slog.NewJSONHandler(w, nil), rulesFor(0, 0)))
	}},
	{"rules=1", func(w io.Writer) slog.Handler {
		return withLogger(sloglevels.New(slog.NewJSONHandler(w, nil), rulesFor(1, slog.LevelDebug)))
	}},
	{"rules=100", func(w io.Writer) slog.Handler {
		return withLogger(sloglevels.New(slog.NewJSONHandler(w, nil), rulesFor(100, slog.LevelDebug)))
	}},
}

func BenchmarkLevels(b *testing.B) {
	for _, s := range levelsSubjects {
		b.Run(s.name, func(b *testing.B) {
			runHandler(b, context.Background(), slog.LevelInfo, s.new(io.Discard))
		})
	}
}

// BenchmarkLevelsOff logs what the level of the logger refuses.
func BenchmarkLevelsOff(b *testing.B) {
	quiet := &slog.HandlerOptions{Level: slog.LevelError}
	table := sloglevels.NewTable(slog.LevelError)
	for _, s := range []levelsSubject{
		{"json", func(w io.Writer) slog.Handler { return withLogger(slog.NewJSONHandler(w, quiet)) }},
		{"rules=0", func(w io.Writer) slog.Handler {
			return withLogger(sloglevels.New(slog.NewJSONHandler(w, nil), &sloglevels.Options{Table: table}))
		}},
		{"rules=100", func(w io.Writer) slog.Handler {
			return withLogger(sloglevels.New(slog.NewJSONHandler(w, nil), rulesFor(100, slog.LevelError)))
		}},
	} {
		b.Run(s.name, func(b *testing.B) {
			runHandler(b, context.Background(), slog.LevelInfo, s.new(io.Discard))
		})
	}
}

func TestLevels_writeTheSameLines(t *testing.T) {
	for _, s := range levelsSubjects {
		t.Run(s.name, func(t *testing.T) {
			var got, want bytes.Buffer
			logOne(t, t.Context(), withLogger(slog.NewJSONHandler(&want, nil)), slog.LevelInfo)
			logOne(t, t.Context(), s.new(&got), slog.LevelInfo)
			if got.String() != want.String() {
				t.Errorf("wrote %q, want %q", got.String(), want.String())
			}
		})
	}
}

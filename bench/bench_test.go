package bench_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"
)

const message = "request served"

// attrs are what every record carries, shared so that making them is no part of
// what is measured. There is no float among them: encoding/json allocates for
// each, which would hide what the handlers allocate.
var attrs = []slog.Attr{
	slog.String("tenant", "acme"),
	slog.Int("status", 200),
	slog.Duration("took", 1500*time.Microsecond),
	slog.Bool("cached", false),
	slog.Uint64("bytes", 4096),
}

// subject is a handler that is measured.
type subject struct {
	name string // of its benchmark
	// new makes the handler, which writes to the outputs it asks for by number.
	new func(output func(i int) io.Writer) slog.Handler
	// lines are the outputs that get a record of level Info, once each.
	lines []int
}

func run(b *testing.B, level slog.Level, subjects []subject) {
	for _, s := range subjects {
		b.Run(s.name, func(b *testing.B) {
			handler := s.new(func(int) io.Writer { return io.Discard })
			runHandler(b, context.Background(), level, handler)
		})
	}
}

func runHandler(b *testing.B, ctx context.Context, level slog.Level, handler slog.Handler) {
	logger := slog.New(handler)
	b.ReportAllocs()
	for b.Loop() {
		logger.LogAttrs(ctx, level, message, attrs...)
	}
}

// noon is a time whose text is always as long.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.UTC)

// logOne does what a slog.Logger does, with a fixed time.
func logOne(t *testing.T, ctx context.Context, h slog.Handler, level slog.Level) {
	t.Helper()
	if !h.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(noon, level, message, 0)
	r.AddAttrs(attrs...)
	if err := h.Handle(ctx, r); err != nil {
		t.Errorf("Handle: %v", err)
	}
}

// sameLines shows that the subjects do the work that their benchmarks compare:
// each output has exactly one line, byte for byte the one that direct writes,
// or nothing.
func sameLines(t *testing.T, level slog.Level, subjects []subject) {
	var want bytes.Buffer
	logOne(t, t.Context(), direct(func(int) io.Writer { return &want }), slog.LevelInfo)
	if bytes.Count(want.Bytes(), []byte("\n")) != 1 {
		t.Fatalf("direct wrote %q, want one line", want.String())
	}
	for _, s := range subjects {
		t.Run(s.name, func(t *testing.T) {
			outputs := map[int]*bytes.Buffer{}
			h := s.new(func(i int) io.Writer {
				if outputs[i] == nil {
					outputs[i] = new(bytes.Buffer)
				}
				return outputs[i]
			})
			logOne(t, t.Context(), h, level)

			var wrote []int
			for i, output := range outputs {
				if output.Len() == 0 {
					continue
				}
				wrote = append(wrote, i)
				if output.String() != want.String() {
					t.Errorf("output %d has %q, want %q", i, output, want.String())
				}
			}
			slices.Sort(wrote)
			lines := s.lines
			if level < slog.LevelInfo {
				lines = nil
			}
			if !slices.Equal(wrote, lines) {
				t.Errorf("outputs %v have lines, want %v", wrote, lines)
			}
		})
	}
}

package bench_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/limit"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// limitSubject is a handler, and how many of the records it is given it writes
// once it has written many.
type limitSubject struct {
	name   string
	new    func(w io.Writer) slog.Handler
	passes bool
}

func limited(opts *limit.Options) func(io.Writer) slog.Handler {
	opts.Window = time.Hour
	return func(w io.Writer) slog.Handler { return limit.New(slog.NewJSONHandler(w, nil), opts) }
}

var limitSubjects = []limitSubject{
	{"json", func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }, true},
	{"passed", limited(&limit.Options{First: 1 << 62}), true},
	{"suppressed", limited(&limit.Options{First: 1}), false},
	{"sampled", limited(&limit.Options{First: -1, Sample: []limit.Sample{{Below: slog.LevelWarn, Every: 1 << 30}}}), false},
	{"rate", limited(&limit.Options{First: -1, Rate: slogworks.Rate{N: 1, Per: time.Hour}}), false},
}

func BenchmarkLimit(b *testing.B) {
	for _, s := range limitSubjects {
		b.Run(s.name, func(b *testing.B) {
			h := s.new(io.Discard)
			runHandler(b, context.Background(), slog.LevelInfo, h)
			if err := slogworks.Shutdown(context.Background(), h); err != nil {
				b.Error(err)
			}
		})
	}
	b.Run("zap", func(b *testing.B) {
		log := zapSampled(io.Discard)
		b.ReportAllocs()
		for b.Loop() {
			log()
		}
	})
}

// BenchmarkLimitKinds logs records each of which is the first of its kind, and
// for which another has to be forgotten.
func BenchmarkLimitKinds(b *testing.B) {
	messages := make([]string, 1<<15)
	for i := range messages {
		messages[i] = message + " " + strconv.Itoa(i)
	}
	for _, s := range limitSubjects[:2] {
		b.Run(s.name, func(b *testing.B) {
			logger := slog.New(s.new(io.Discard))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				logger.LogAttrs(context.Background(), slog.LevelInfo, messages[i%len(messages)], attrs...)
			}
		})
	}
}

// zapSampled logs by a sampler that lets the first record of an hour pass.
func zapSampled(w io.Writer) (log func()) {
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(w), zap.InfoLevel)
	logger := zap.New(zapcore.NewSamplerWithOptions(core, time.Hour, 1, 0))
	return func() {
		if entry := logger.Check(zap.InfoLevel, message); entry != nil {
			entry.Write(zap.String("tenant", "acme"), zap.Int("status", 200), zap.Duration("took", 1500*time.Microsecond),
				zap.Bool("cached", false), zap.Uint64("bytes", 4096))
		}
	}
}

func TestLimit_writesWhatPasses(t *testing.T) {
	var line bytes.Buffer
	logOne(t, t.Context(), slog.NewJSONHandler(&line, nil), slog.LevelInfo)
	const n = 50
	for _, s := range limitSubjects {
		t.Run(s.name, func(t *testing.T) {
			var output bytes.Buffer
			h := s.new(&output)
			for range n {
				logOne(t, t.Context(), h, slog.LevelInfo)
			}
			want := n
			if !s.passes {
				want = 1
			}
			if got := bytes.Count(output.Bytes(), line.Bytes()); s.name != "sampled" && got != want || got > want {
				t.Errorf("wrote the line %d times, want %d", got, want)
			}
			if err := slogworks.Shutdown(t.Context(), h); err != nil {
				t.Error(err)
			}
		})
	}
	var output bytes.Buffer
	log := zapSampled(&output)
	for range n {
		log()
	}
	if got := bytes.Count(output.Bytes(), []byte("\n")); got != 1 {
		t.Errorf("zap wrote %d lines, want 1", got)
	}
}

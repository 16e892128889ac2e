package bench_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"runtime"
	"testing"

	"github.com/rs/zerolog"
	"github.com/slogworks/slogworks/fingerscrossed"
)

// requestSize is how many records a request logs, all at level Debug: what is
// to be had of a request that fails, and of no other.
const requestSize = 20

// requests are what a logger does for a request. It is what is measured, since
// a scope costs something too.
type requests struct {
	name string
	// new returns what logs the records of a request and ends it.
	new func(w io.Writer) (request func())
	// lines are how many of the records are written.
	lines int
}

func jsonDebug(w io.Writer) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})
}

func logRequest(ctx context.Context, logger *slog.Logger) {
	for range requestSize {
		logger.LogAttrs(ctx, slog.LevelDebug, message, attrs...)
	}
}

func unscoped(h slog.Handler) (request func()) {
	logger := slog.New(h)
	ctx := context.Background()
	return func() { logRequest(ctx, logger) }
}

// outsideScope logs while some other request is in a scope, so that each record
// is asked whether it belongs to one.
func outsideScope(w io.Writer) (request func()) {
	h := fingerscrossed.New(jsonDebug(w), &fingerscrossed.Options{Level: slog.LevelDebug})
	_, other := h.Begin(context.Background())
	log := unscoped(h)
	return func() {
		log()
		runtime.KeepAlive(other)
	}
}

func inScope(finish func(*fingerscrossed.Scope)) func(io.Writer) func() {
	return func(w io.Writer) (request func()) {
		h := fingerscrossed.New(jsonDebug(w), nil)
		logger := slog.New(h)
		return func() {
			ctx, scope := h.Begin(context.Background())
			logRequest(ctx, logger)
			finish(scope)
			scope.End(nil)
		}
	}
}

// inFullScope logs all requests in one scope, which holds as many records as it
// can already.
func inFullScope(w io.Writer) (request func(), scope *fingerscrossed.Scope) {
	const capacity = 256
	h := fingerscrossed.New(jsonDebug(w), &fingerscrossed.Options{MaxRecords: capacity})
	logger := slog.New(h)
	ctx, scope := h.Begin(context.Background())
	request = func() { logRequest(ctx, logger) }
	for range capacity/requestSize + 1 {
		request()
	}
	return request, scope
}

func zerologRequest(logger zerolog.Logger) {
	log := zerologCall(logger, zerolog.DebugLevel)
	for range requestSize {
		log()
	}
}

// withTriggerLevelWriter makes a writer and a logger for each request, as is
// meant to be done.
func withTriggerLevelWriter(finish func(*zerolog.TriggerLevelWriter)) func(io.Writer) func() {
	return func(w io.Writer) (request func()) {
		logger := zerolog.New(w).With().Timestamp().Logger()
		return func() {
			writer := &zerolog.TriggerLevelWriter{
				Writer:           w,
				ConditionalLevel: zerolog.InfoLevel,
				TriggerLevel:     zerolog.ErrorLevel,
			}
			zerologRequest(logger.Output(writer))
			finish(writer)
			writer.Close()
		}
	}
}

var requestSubjects = []requests{
	{"json", func(w io.Writer) func() { return unscoped(jsonDebug(w)) }, requestSize},
	{"outside", outsideScope, requestSize},
	{"dropped", inScope(func(*fingerscrossed.Scope) {}), 0},
	{"released", inScope(func(s *fingerscrossed.Scope) { _ = s.Trigger() }), requestSize},
	{"evicting", func(w io.Writer) func() {
		request, _ := inFullScope(w)
		return request
	}, 0},
	{"zerolog", func(w io.Writer) func() {
		logger := zerolog.New(w).With().Timestamp().Logger()
		return func() { zerologRequest(logger) }
	}, requestSize},
	{"zerolog/dropped", withTriggerLevelWriter(func(*zerolog.TriggerLevelWriter) {}), 0},
	{"zerolog/released", withTriggerLevelWriter(func(w *zerolog.TriggerLevelWriter) { _ = w.Trigger() }), requestSize},
}

func BenchmarkFingersCrossed(b *testing.B) {
	for _, s := range requestSubjects {
		b.Run(s.name, func(b *testing.B) {
			request := s.new(io.Discard)
			b.ReportAllocs()
			for b.Loop() {
				request()
			}
		})
	}
}

// What a request costs that logs nothing.
func BenchmarkFingersCrossedScope(b *testing.B) {
	h := fingerscrossed.New(jsonDebug(io.Discard), nil)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		_, scope := h.Begin(ctx)
		scope.End(nil)
	}
}

func TestFingersCrossed_writesWhatIsNotDropped(t *testing.T) {
	for _, s := range requestSubjects {
		t.Run(s.name, func(t *testing.T) {
			var output bytes.Buffer
			request := s.new(&output)
			// Twice, since what one leaves behind is used by the next.
			for range 2 {
				output.Reset()
				request()
				n := 0
				for line := range bytes.Lines(output.Bytes()) {
					n++
					checkLine(t, line, "debug")
				}
				if n != s.lines {
					t.Errorf("%d lines, want %d", n, s.lines)
				}
			}
		})
	}
}

func TestFingersCrossed_evictsARecordForEachInAFullScope(t *testing.T) {
	request, scope := inFullScope(io.Discard)
	before := scope.Stats().Evicted
	request()
	if n := scope.Stats().Evicted - before; n != requestSize {
		t.Errorf("%d records were evicted, want %d", n, requestSize)
	}
}

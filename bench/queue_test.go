package bench_test

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/slogworks/slogworks/queue"
)

// Bursts that fill half of a queue show what a record costs its caller while
// there is room. They end with a wait, which is not part of what is measured.
const (
	burstSize     = 4096
	queueCapacity = 8192
)

// channelHandler is what people write instead of a queue: a buffered channel
// and a goroutine. It cannot be derived from, it forgets the context, and it
// keeps values that may change.
type channelHandler struct {
	slog.Handler // the next one
	records      chan slog.Record
	flushed      chan struct{}
	drop         bool // when full, instead of waiting
}

func newChannel(tb testing.TB, next slog.Handler, capacity int, drop bool) *channelHandler {
	h := &channelHandler{next, make(chan slog.Record, capacity), make(chan struct{}), drop}
	go func() {
		defer close(h.flushed)
		for r := range h.records {
			if r.Message == "" {
				h.flushed <- struct{}{}
				continue
			}
			_ = next.Handle(context.Background(), r)
		}
	}()
	tb.Cleanup(func() {
		close(h.records)
		<-h.flushed
	})
	return h
}

func (h *channelHandler) Handle(_ context.Context, r slog.Record) error {
	if !h.drop {
		h.records <- r.Clone()
		return nil
	}
	select {
	case h.records <- r.Clone():
		return nil
	default: // dropped
		return nil
	}
}

// flush waits for all before it, with a record that no benchmark logs.
func (h *channelHandler) flush() {
	h.records <- slog.Record{}
	<-h.flushed
}

func newQueue(tb testing.TB, next slog.Handler, opts *queue.Options) *queue.Handler {
	q := queue.New(next, opts)
	tb.Cleanup(func() {
		if err := q.Close(); err != nil {
			tb.Error(err)
		}
	})
	return q
}

func flushQueue(tb testing.TB, q *queue.Handler) {
	if err := q.Flush(context.Background()); err != nil {
		tb.Fatal(err)
	}
}

// nop is a handler that takes no time.
type nop struct{}

func (nop) Enabled(context.Context, slog.Level) bool  { return true }
func (nop) Handle(context.Context, slog.Record) error { return nil }
func (h nop) WithAttrs([]slog.Attr) slog.Handler      { return h }
func (h nop) WithGroup(string) slog.Handler           { return h }

// stage puts something between the caller and the next handler, or nothing.
type stage struct {
	name string
	new  func(tb testing.TB, next slog.Handler) (h slog.Handler, flush func())
}

var synchronous = stage{"sync", func(_ testing.TB, next slog.Handler) (slog.Handler, func()) {
	return next, none
}}

var stages = []stage{
	synchronous,
	{"channel", func(tb testing.TB, next slog.Handler) (slog.Handler, func()) {
		h := newChannel(tb, next, queueCapacity, false)
		return h, h.flush
	}},
	{"queue", func(tb testing.TB, next slog.Handler) (slog.Handler, func()) {
		q := newQueue(tb, next, &queue.Options{Capacity: queueCapacity})
		return q, func() { flushQueue(tb, q) }
	}},
}

func BenchmarkQueue(b *testing.B) {
	for _, s := range stages {
		b.Run(s.name, func(b *testing.B) {
			h, flush := s.new(b, nop{})
			logger := slog.New(h)
			ctx := context.Background()
			logged := 0
			b.ReportAllocs()
			for b.Loop() {
				if logged == burstSize {
					b.StopTimer()
					flush()
					logged = 0
					b.StartTimer()
				}
				logger.LogAttrs(ctx, slog.LevelInfo, message, attrs...)
				logged++
			}
		})
	}
}

func TestQueue_writesTheSameLines(t *testing.T) {
	var subjects []subject
	for _, s := range stages {
		subjects = append(subjects, subject{s.name, func(output func(int) io.Writer) slog.Handler {
			h, flush := s.new(t, direct(output))
			return flushed{h, flush}
		}, []int{0}})
	}
	sameLines(t, slog.LevelInfo, subjects)
}

// flushed waits for each record, so that what is behind it can be looked at.
type flushed struct {
	slog.Handler
	flush func()
}

func (h flushed) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	h.flush()
	return err
}

// What one caller gets into a file in a row, the last flush included: a queue
// cannot be faster than what is behind it for long.
const rowSize = 10_000

var rowStages = []stage{
	synchronous,
	{"queue", func(tb testing.TB, next slog.Handler) (slog.Handler, func()) {
		// Callers wait for room, however long, since what is dropped is not got
		// into a file.
		q := newQueue(tb, next, &queue.Options{BlockAll: true, MaxBlock: time.Minute})
		return q, func() { flushQueue(tb, q) }
	}},
}

func BenchmarkQueueThroughput(b *testing.B) {
	for _, s := range rowStages {
		b.Run(s.name, func(b *testing.B) {
			file := openLog(b, filepath.Join(b.TempDir(), "app.log"))
			h, flush := s.new(b, slog.NewJSONHandler(file, nil))
			var took time.Duration
			rows := 0
			for b.Loop() {
				began := time.Now()
				logInARow(h, rowSize)
				flush()
				took += time.Since(began)
				rows++
				if err := file.Truncate(0); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows)*rowSize/took.Seconds(), "records/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func logInARow(h slog.Handler, n int) {
	logger := slog.New(h)
	ctx := context.Background()
	for range n {
		logger.LogAttrs(ctx, slog.LevelInfo, message, attrs...)
	}
}

func TestQueueThroughput_losesNothing(t *testing.T) {
	for _, s := range rowStages {
		t.Run(s.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.log")
			h, flush := s.new(t, slog.NewJSONHandler(openLog(t, path), nil))
			logInARow(h, rowSize)
			flush()
			follow(t, path).wait(t, rowSize)
		})
	}
}

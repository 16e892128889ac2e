package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/queue"
)

// handleFunc is a sink that takes no batches.
type handleFunc func(ctx context.Context, r slog.Record) error

func (f handleFunc) Enabled(context.Context, slog.Level) bool        { return true }
func (f handleFunc) Handle(ctx context.Context, r slog.Record) error { return f(ctx, r) }
func (f handleFunc) WithAttrs([]slog.Attr) slog.Handler              { return f }
func (f handleFunc) WithGroup(string) slog.Handler                   { return f }

// batchFunc is a sink that takes batches; a single record is a batch of one.
type batchFunc func(ctx context.Context, b slogworks.Batch) error

func (f batchFunc) Enabled(context.Context, slog.Level) bool { return true }
func (f batchFunc) Handle(ctx context.Context, r slog.Record) error {
	return f(ctx, slogworks.Batch{Items: []slogworks.Item{{Context: ctx, Record: r}}})
}
func (f batchFunc) HandleBatch(ctx context.Context, b slogworks.Batch) error { return f(ctx, b) }
func (f batchFunc) WithAttrs([]slog.Attr) slog.Handler                       { return f }
func (f batchFunc) WithGroup(string) slog.Handler                            { return f }

// gate holds up a sink until it is closed.
type gate chan struct{}

func (g gate) hold(context.Context, slogworks.Batch) error {
	<-g
	return nil
}

// slow makes a sink take a time for each record or batch.
func slow(d time.Duration) func(context.Context, slogworks.Batch) error {
	return func(context.Context, slogworks.Batch) error {
		time.Sleep(d)
		return nil
	}
}

func record(level slog.Level, message string, attrs ...slog.Attr) slog.Record {
	r := slog.NewRecord(time.Now(), level, message, 0)
	r.AddAttrs(attrs...)
	return r
}

func handle(h slog.Handler, level slog.Level, message string, attrs ...slog.Attr) error {
	return h.Handle(context.Background(), record(level, message, attrs...))
}

// mustHandle logs n records whose messages are their numbers.
func mustHandle(t *testing.T, h slog.Handler, level slog.Level, n int) {
	t.Helper()
	for i := range n {
		if err := handle(h, level, number(i)); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
}

func number(i int) string { return fmt.Sprintf("%04d", i) }

// dropMessage is the message of the records that tell what was dropped.
const dropMessage = "slogworks: records dropped"

// messages returns what arrived, without the reports of drops.
func messages(rec *handlertest.Recorder) []string {
	var all []string
	for _, item := range rec.Items() {
		if item.Record.Message != dropMessage {
			all = append(all, item.Record.Message)
		}
	}
	return all
}

// reports returns the records that tell what was dropped.
func reports(rec *handlertest.Recorder) []slog.Record {
	var all []slog.Record
	for _, item := range rec.Items() {
		if item.Record.Message == dropMessage {
			all = append(all, item.Record)
		}
	}
	return all
}

// told is how many records the reports say were dropped.
func told(rec *handlertest.Recorder) (sum uint64) {
	for _, r := range reports(rec) {
		sum += attrs(r)["dropped"].Uint64()
	}
	return sum
}

func attrs(r slog.Record) map[string]slog.Value {
	m := map[string]slog.Value{}
	r.Attrs(func(a slog.Attr) bool {
		m[a.Key] = a.Value
		return true
	})
	return m
}

func closeQueue(t *testing.T, q *queue.Handler) {
	t.Helper()
	if err := q.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// closeFailed is closeQueue where the handler did not take n records and nobody
// was told of it.
func closeFailed(t testing.TB, q *queue.Handler, n uint64) {
	t.Helper()
	err := q.Close()
	if said := err != nil && strings.Contains(err.Error(), fmt.Sprintf("records not taken by the handler: %d", n)); said != (n > 0) {
		t.Errorf("Close: %v, and %d records failed", err, n)
	}
	if err := q.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

func flush(t *testing.T, q *queue.Handler) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := q.Flush(ctx); err != nil {
		t.Errorf("Flush: %v", err)
	}
}

// atRest checks that the counts add up once nothing is on its way.
func atRest(t *testing.T, q *queue.Handler) {
	t.Helper()
	s := q.Stats()
	if s.Enqueued != s.Handled+s.Failed+s.DroppedAbandoned.Total() || s.Len != 0 || s.Oldest != 0 || s.Panics > s.Failed {
		t.Errorf("the counts do not add up: %+v", s)
	}
	if complaint := imbalance(q.Account()); complaint != "" {
		t.Error(complaint)
	}
}

// workers returns the stacks of the goroutines that are handing on what is
// in a queue.
func workers() (stacks [][]byte) {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for stack := range bytes.SplitSeq(buf, []byte("\n\n")) {
		if bytes.Contains(stack, []byte("queue.(*core).work(")) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// waitForNoWorkers waits for those that earlier tests have left lingering.
func waitForNoWorkers(t *testing.T) {
	t.Helper()
	peertest.WaitFor(t, "the end of the goroutines of all queues", func() bool { return len(workers()) == 0 })
}

// allGoroutines returns the stacks of all goroutines.
func allGoroutines() [][]byte {
	buf := make([]byte, 1<<22)
	return bytes.Split(buf[:runtime.Stack(buf, true)], []byte("\n\n"))
}

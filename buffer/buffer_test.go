package buffer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/peertest"
)

var errDown = errors.New("server is down")

// sink is a handler behind a buffer: it answers as it is told and remembers each
// attempt.
type sink struct {
	handlertest.Recorder
	mu       sync.Mutex
	attempts []slogworks.Batch
	answer   func(ctx context.Context, b slogworks.Batch) error
}

func newSink() *sink {
	s := &sink{}
	s.Before = func(ctx context.Context, b slogworks.Batch) error {
		b.Items, b.Done = slices.Clone(b.Items), slices.Clone(b.Done)
		s.mu.Lock()
		s.attempts = append(s.attempts, b)
		answer := s.answer
		s.mu.Unlock()
		if answer == nil {
			return nil
		}
		return answer(ctx, b)
	}
	return s
}

// answers has the sink return err from now on.
func (s *sink) answers(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = func(context.Context, slogworks.Batch) error { return err }
}

func (s *sink) tried() []slogworks.Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.attempts)
}

// delivered returns the messages of the records that were taken.
func (s *sink) delivered() []string { return messages(s.Items()) }

func messages(items []slogworks.Item) []string {
	var all []string
	for _, item := range items {
		all = append(all, item.Record.Message)
	}
	return all
}

// open opens a buffer that delivers only on request unless opts say otherwise.
func open(t testing.TB, next slogworks.BatchHandler, opts buffer.Options) *buffer.Handler {
	t.Helper()
	h, err := buffer.Open(next, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func manual(dir string) buffer.Options {
	return buffer.Options{Dir: dir, Manual: true, Level: slog.LevelInfo, Limit: slogworks.Rate{N: -1}, Trigger: buffer.Any()}
}

func closed(t testing.TB, h *buffer.Handler) {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func wantOutcome(t testing.TB, got buffer.Outcome, status buffer.Status) {
	t.Helper()
	if got.Status != status {
		t.Fatalf("outcome %+v, want %v", got, status)
	}
}

func wantEqual[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func wantMessages(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q", got, want)
	}
}

// both runs a test on disk and in memory.
func both(t *testing.T, f func(t *testing.T, dir string)) {
	t.Run("on disk", func(t *testing.T) { f(t, t.TempDir()) })
	t.Run("in memory", func(t *testing.T) { f(t, "") })
}

func TestOpen_refusesNoHandler(t *testing.T) {
	var none *sink
	for _, next := range []slogworks.BatchHandler{nil, none} {
		func() {
			defer func() {
				if p := recover(); p != "buffer: nil Handler" {
					t.Errorf("panic %v", p)
				}
			}()
			buffer.Open(next, nil)
		}()
	}
}

func TestOpen_saysWhyADirectoryCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := buffer.Open(newSink(), &buffer.Options{Dir: file})
	if err == nil || !strings.HasPrefix(err.Error(), "buffer: ") || !strings.Contains(err.Error(), file) {
		t.Errorf("the error is %v", err)
	}
}

func TestOpen_keepsOthersOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "spool")
	h := open(t, newSink(), manual(dir))
	slog.New(h).Info("secret")
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOptions_defaults(t *testing.T) {
	for name, opts := range map[string]*buffer.Options{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			s := newSink()
			h, err := buffer.Open(s, opts)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			logger := slog.New(h)
			logger.Info("not collected")
			logger.Warn("collected")
			for i := range 4 {
				logger.Error(fmt.Sprint(i))
			}
			wantOutcome(t, h.Evaluate(t.Context()), buffer.Kept)
			logger.Error("4")
			peertest.WaitFor(t, "delivered", func() bool { return len(s.Batches()) == 1 })
			wantMessages(t, s.delivered(), "collected", "0", "1", "2", "3", "4")
		})
	}
	opts := buffer.Options{}
	open(t, newSink(), opts)
	if opts.Level != nil || opts.Trigger != nil || opts.MaxBytes != 0 || opts.Limit.N != 0 {
		t.Errorf("the caller's options have become %+v", opts)
	}
}

func TestHandler_deliversADigest(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s := newSink()
		h := open(t, s, manual(dir))
		slog.New(h).With("tenant", "acme").WithGroup("g").Info("first", "k", "v")
		slog.New(h).Warn("second")
		o := h.Deliver(t.Context())
		wantOutcome(t, o, buffer.Sent)
		wantEqual(t, "Records", o.Records, 2)
		wantEqual(t, "Attempt", o.Attempt, 1)
		b := s.tried()[0]
		wantEqual(t, "Kind", b.Kind, slogworks.Digest)
		wantEqual(t, "ID", b.ID, o.BatchID)
		wantEqual(t, "Attempt", b.Attempt, 1)
		if v, ok := slogworks.NewView(b.Items[0].Record).Attr("g", "k"); !ok || v.String() != "v" {
			t.Errorf("the record lost its group: %v", b.Items[0].Record)
		}
		wantOutcome(t, h.Deliver(t.Context()), buffer.Empty)
		wantOutcome(t, h.Last(), buffer.Empty)
		wantEqual(t, "stats", h.Stats(), buffer.Stats{Sent: 2})
	})
}

func TestHandler_keepsForTheNextRun(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		h := open(t, newSink(), manual(dir))
		wantEqual(t, "Held", h.Stats().Held, uint64(i))
		slog.New(h).Info(fmt.Sprint(i))
		closed(t, h)
	}
	s := newSink()
	h := open(t, s, manual(dir))
	wantOutcome(t, h.Deliver(t.Context()), buffer.Sent)
	wantMessages(t, s.delivered(), "0", "1", "2")
	closed(t, h)
	h = open(t, s, manual(dir))
	wantOutcome(t, h.Deliver(t.Context()), buffer.Empty)
}

// batchOf returns a batch with records of the messages "0" to "n-1" that has lost
// others.
func batchOf(n, dropped int) slogworks.Batch {
	b := slogworks.Batch{Kind: slogworks.Escalation, Dropped: dropped}
	for i := range n {
		r := slog.NewRecord(time.Now(), slog.LevelInfo, fmt.Sprint(i), 0)
		b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: r})
	}
	return b
}

// Who gets the error tries again with the same batch.
func TestHandler_countsWhatABatchLostOnceHoweverOftenItIsTried(t *testing.T) {
	dir := t.TempDir()
	s := newSink()
	h := open(t, s, manual(dir))
	obstacle := filepath.Join(dir, "batch-a.state")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "batch-a"), sample(t), 0o600), os.Mkdir(obstacle, 0o700)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := h.HandleBatch(t.Context(), batchOf(2, 5)); err == nil {
			t.Fatal("the batch was stored")
		}
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	if err := h.HandleBatch(t.Context(), batchOf(2, 5)); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "Dropped of what was found", h.Deliver(t.Context()).Dropped, 0)
	wantEqual(t, "Dropped", h.Deliver(t.Context()).Dropped, 5)
	wantBalance(t, h)
}

func TestHandler_storesEveryItemOfABatch(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s := newSink()
		opts := manual(dir)
		asked := 0
		opts.Level = slog.LevelError
		opts.Trigger = func(state buffer.State) string {
			asked++
			wantEqual(t, "Total", state.Total, 3)
			return "now"
		}
		h := open(t, s, opts)
		b := slogworks.Batch{Kind: slogworks.Escalation, Dropped: 7}
		for i := range 3 {
			r := slog.NewRecord(time.Now(), slog.LevelDebug, fmt.Sprint(i), 0)
			b.Items = append(b.Items, slogworks.Item{Context: t.Context(), Record: r})
		}
		if err := h.HandleBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		o := h.Evaluate(t.Context())
		wantOutcome(t, o, buffer.Sent)
		wantEqual(t, "Dropped", o.Dropped, 7)
		wantEqual(t, "Dropped of the batch", s.tried()[0].Dropped, 7)
		wantEqual(t, "questions", asked, 1)
		wantMessages(t, s.delivered(), "0", "1", "2")
		if err := slog.New(h).Handler().Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelInfo, "below", 0)); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "Held", h.Stats().Held, 0)
	})
}

func TestHandler_mayBeLoggedToByWhatIsBehind(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s := newSink()
		h := open(t, s, manual(dir))
		var outcomes []buffer.Outcome
		s.answer = func(ctx context.Context, b slogworks.Batch) error {
			slog.New(h).Info("from behind")
			h.Stats()
			outcomes = append(outcomes, h.Evaluate(ctx), h.Deliver(ctx))
			if err := h.Shutdown(ctx); err == nil {
				t.Error("Shutdown from behind returned nil")
			}
			return nil
		}
		slog.New(h).Info("first")
		wantOutcome(t, h.Deliver(t.Context()), buffer.Sent)
		for _, o := range outcomes {
			if o.Status != buffer.Kept || o.Err == nil {
				t.Errorf("from behind the outcome is %+v", o)
			}
		}
		wantEqual(t, "Held", h.Stats().Held, 1)
	})
}

// Handle of a buffer whose delivery hangs returns all the same.
func TestHandler_doesNotWaitForADelivery(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s := newSink()
		begun, release := make(chan struct{}), make(chan struct{})
		s.answer = func(context.Context, slogworks.Batch) error {
			close(begun)
			<-release
			return nil
		}
		h := open(t, s, manual(dir))
		slog.New(h).Info("first")
		outcome := make(chan buffer.Outcome)
		go func() { outcome <- h.Deliver(context.Background()) }()
		<-begun
		for range 100 {
			slog.New(h).Info("meanwhile")
		}
		if err := h.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if o := h.Deliver(ctx); o.Status != buffer.Kept || !errors.Is(o.Err, context.DeadlineExceeded) {
			t.Errorf("a second delivery at the same time gives %+v", o)
		}
		wantEqual(t, "Held", h.Stats().Held, 101)
		close(release)
		wantOutcome(t, <-outcome, buffer.Sent)
		wantEqual(t, "Held", h.Stats().Held, 100)
	})
}

func TestHandler_isSafeForConcurrentUse(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s := newSink()
		opts := manual(dir)
		opts.Manual, opts.Trigger = false, buffer.AtLeast(20, nil)
		opts.MaxBytes = 1 << 20
		h := open(t, s, opts)
		const goroutines, each = 8, 100
		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() {
				logger := slog.New(h).With("g", g)
				for i := range each {
					logger.Info(fmt.Sprintf("%d-%d", g, i))
					if i%40 == 0 {
						h.Deliver(t.Context())
						h.Stats()
						h.Last()
						h.Account()
					}
				}
			})
		}
		wg.Wait()
		for h.Deliver(t.Context()).Status == buffer.Sent {
		}
		got := s.delivered()
		wantEqual(t, "delivered", len(got), goroutines*each)
		slices.Sort(got)
		wantEqual(t, "distinct", len(slices.Compact(got)), goroutines*each)
		ids := map[string]bool{}
		for _, b := range s.tried() {
			if ids[b.ID] {
				t.Errorf("two batches have the ID %s", b.ID)
			}
			ids[b.ID] = true
		}
	})
}

func TestHandler_HandleAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for dir, most := range map[string]float64{"": 4, t.TempDir(): 12} {
		h := open(t, newSink(), manual(dir))
		r := slog.NewRecord(time.Now(), slog.LevelInfo, "message", 0)
		r.AddAttrs(slog.String("a", "b"), slog.Int("c", 1))
		got := testing.AllocsPerRun(200, func() {
			if err := h.Handle(context.Background(), r); err != nil {
				t.Fatal(err)
			}
		})
		if got > most {
			t.Errorf("with the directory %q a record costs %v allocations, want at most %v", dir, got, most)
		}
	}
}

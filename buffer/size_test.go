package buffer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/internal/peertest"
)

// spoolBytes returns how much the files in dir that match pattern have.
func spoolBytes(t testing.TB, dir, pattern string) (bytes int64) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	return bytes
}

// Beyond MaxBytes the oldest are dropped, counted, and told of once.
func TestOptions_MaxBytes(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s, opts := newSink(), manual(dir)
		opts.MaxBytes, opts.Sync = 32<<10, buffer.SyncNone
		h := open(t, s, opts)
		const n = 3000
		for i := range n {
			slog.New(h).Info(fmt.Sprint(i))
			if i%100 == 0 && dir != "" {
				if bytes := spoolBytes(t, dir, "journal-*"); bytes > opts.MaxBytes {
					t.Fatalf("the journals have %d bytes", bytes)
				}
			}
		}
		stats := h.Stats()
		if stats.Bytes > opts.MaxBytes || stats.Bytes < opts.MaxBytes/2 || stats.Held+stats.Dropped != n {
			t.Errorf("the stats are %+v", stats)
		}
		wantBalance(t, h)
		if dir != "" {
			closed(t, h)
			h = open(t, s, opts)
		}
		dropped := 0
		for h.Deliver(t.Context()).Status == buffer.Sent {
		}
		for i, b := range s.tried() {
			dropped += b.Dropped
			if i > 0 && b.Dropped > 0 {
				t.Errorf("batch %d tells of %d dropped", i, b.Dropped)
			}
		}
		wantEqual(t, "told", uint64(dropped), stats.Dropped)
		got := s.delivered()
		wantEqual(t, "delivered", uint64(len(got)), stats.Held)
		wantEqual(t, "the oldest", got[0], fmt.Sprint(stats.Dropped))
		wantEqual(t, "the newest", got[len(got)-1], fmt.Sprint(n-1))
		wantBalance(t, h)
	})
}

// A process that is killed between counting a journal as dropped and removing it
// leaves one that is neither counted again nor delivered.
func TestSpool_dropsAJournalOnce(t *testing.T) {
	dir := spoolOf(t, t.TempDir(), sample(t))
	state := fmt.Sprintf(`{"dropped":4,"through":%s}`, strings.TrimPrefix(journalName, "journal-"))
	if err := os.WriteFile(filepath.Join(dir, "state.json"), []byte(state), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSink()
	h := open(t, s, manual(dir))
	wantEqual(t, "Held", h.Stats().Held, 0)
	if _, err := os.Stat(filepath.Join(dir, journalName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal is still there: %v", err)
	}
	slog.New(h).Info("later")
	wantEqual(t, "Dropped", h.Deliver(t.Context()).Dropped, 4)
	slog.New(h).Info("later")
	wantEqual(t, "Dropped, told once", h.Deliver(t.Context()).Dropped, 0)
}

// What came in one HandleBatch goes out in one batch, even if it is large.
func TestHandler_keepsABatchTogether(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s, opts := newSink(), manual(dir)
		opts.MaxBytes = 16 << 10
		h := open(t, s, opts)
		logN(h, 5)
		var b slogworks.Batch
		for i := range 100 {
			r := slog.NewRecord(time.Now(), slog.LevelInfo, fmt.Sprint("item ", i), 0)
			b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: r})
		}
		if err := h.HandleBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		logN(h, 5)
		for h.Deliver(t.Context()).Status == buffer.Sent {
		}
		for _, b := range s.tried() {
			if n := strings.Count(strings.Join(messages(b.Items), ","), "item"); n != 0 && n != 100 {
				t.Errorf("%d of 100 items are in one batch", n)
			}
		}
		wantEqual(t, "delivered", len(s.delivered()), 110)
	})
}

// discard takes batches and keeps nothing.
type discard struct {
	slog.Handler
	batches, records int
}

func (d *discard) Enabled(context.Context, slog.Level) bool { return true }

func (d *discard) HandleBatch(_ context.Context, b slogworks.Batch) error {
	d.batches++
	d.records += len(b.Items)
	return nil
}

// A spool of 100,000 records is read and delivered in batches of which one at a
// time is in memory.
func TestHandler_takesLittleMemoryForALargeSpool(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has a heap of its own")
	}
	const n = 100_000
	dir := t.TempDir()
	opts := manual(dir)
	opts.MaxBytes, opts.Sync = 26<<20, buffer.SyncNone
	h := open(t, newSink(), opts)
	fill := slogworks.Batch{Items: make([]slogworks.Item, 1000)}
	for i := range fill.Items {
		r := slog.NewRecord(time.Now(), slog.LevelError, fmt.Sprint("no answer from feed ", i), 0)
		r.AddAttrs(slog.String("feed", "https://example.com/feed"), slog.Int("status", 503), slog.Duration("took", time.Second))
		fill.Items[i] = slogworks.Item{Context: context.Background(), Record: r}
	}
	for range n / len(fill.Items) {
		if err := h.HandleBatch(t.Context(), fill); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, h)
	fill.Items = nil
	runtime.GC()

	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		most := uint64(0)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	to := &discard{Handler: slog.DiscardHandler}
	h = open(t, to, opts)
	for h.Deliver(t.Context()).Status == buffer.Sent {
	}
	close(stop)
	most := <-peak
	wantEqual(t, "delivered", to.records, n)
	if most > 32<<20 {
		t.Errorf("the heap had %d MiB", most>>20)
	}
	t.Logf("%d batches, %d MiB of heap at most", to.batches, most>>20)
}

// Goroutines that wait for the disk at the same time share one sync, and what
// Handle has returned for is on disk then.
func TestOptions_SyncAlways(t *testing.T) {
	dir := t.TempDir()
	s, opts := newSink(), manual(dir)
	opts.Sync = buffer.SyncAlways
	h := open(t, s, opts)
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for i := range 5 {
				r := slog.NewRecord(time.Now(), slog.LevelInfo, fmt.Sprintf("%d-%d", g, i), 0)
				if err := h.Handle(t.Context(), r); err != nil {
					t.Error(err)
				}
				if g == 0 {
					h.Deliver(t.Context()) // takes the journal away from those that wait
				}
			}
		})
	}
	wg.Wait()
	for h.Deliver(t.Context()).Status == buffer.Sent {
	}
	wantEqual(t, "delivered", len(s.delivered()), 320)
}

// Two Handlers in one process are as good as two processes.
func TestHandler_sharesASpoolWithAnother(t *testing.T) {
	dir := t.TempDir()
	s := newSink()
	opts := manual(dir)
	opts.Trigger = buffer.AtLeast(3, nil)
	a, b := open(t, s, opts), open(t, s, opts)
	for i := range 3 {
		slog.New([]slog.Handler{a, b}[i%2]).Info(fmt.Sprint(i))
	}
	o := b.Evaluate(t.Context())
	wantOutcome(t, o, buffer.Sent)
	wantMessages(t, s.delivered(), "0", "1", "2")
	wantOutcome(t, a.Evaluate(t.Context()), buffer.Empty)
	for _, h := range []*buffer.Handler{a, b} {
		wantEqual(t, "Held", h.Stats().Held, 0)
		wantBalance(t, h)
	}
	slog.New(a).Info("3")
	slog.New(b).Info("4")
	closed(t, b)
	wantOutcome(t, a.Deliver(t.Context()), buffer.Sent)
	wantMessages(t, s.delivered(), "0", "1", "2", "3", "4")
	wantBalance(t, a)
}

// While one delivers, the other neither delivers the same nor waits, unless asked
// to deliver.
func TestHandler_doesNotDeliverWhatAnotherDelivers(t *testing.T) {
	dir := t.TempDir()
	s, opts := newSink(), manual(dir)
	opts.Trigger = buffer.All()
	a, b := open(t, s, opts), open(t, s, opts)
	var meanwhile buffer.Outcome
	s.answer = func(context.Context, slogworks.Batch) error {
		meanwhile = b.Evaluate(context.Background())
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		if o := b.Deliver(ctx); !errors.Is(o.Err, context.DeadlineExceeded) {
			t.Errorf("Deliver gives %+v", o)
		}
		return nil
	}
	logN(a, 2)
	wantOutcome(t, a.Deliver(t.Context()), buffer.Sent)
	wantOutcome(t, meanwhile, buffer.Kept)
	wantEqual(t, "Cause", meanwhile.Cause, "another process delivers")
	wantEqual(t, "batches", len(s.Batches()), 1)
}

// One that logs without a pause lets the other one in.
func TestHandler_letsAnotherIn(t *testing.T) {
	dir := t.TempDir()
	opts := manual(dir)
	opts.MaxBytes = 1 << 30
	a, b := open(t, newSink(), opts), open(t, newSink(), opts)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				logN(a, 10)
			}
		}
	})
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "the other", 0)
	for range 20 {
		peertest.WaitFor(t, "a burst", func() bool { return a.Stats().Held > b.Stats().Held+100 })
		if err := b.Handle(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	wantEqual(t, "Failed", a.Stats().Failed, 0)
	wantOutcome(t, a.Evaluate(t.Context()), buffer.Kept)
	wantOutcome(t, b.Evaluate(t.Context()), buffer.Kept)
	wantEqual(t, "Held", a.Stats().Held, b.Stats().Held)
	wantBalance(t, a)
	wantBalance(t, b)
}

// Who finds that another one delivers does not ask again and again: then the clock
// of this test would stand still.
func TestHandler_waitsWhileAnotherDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, other, opts := newSink(), newSink(), manual(dir)
		s.answers(errDown)
		a := open(t, s, opts)
		logN(a, 1)
		wantOutcome(t, a.Deliver(t.Context()), buffer.Failed)
		opts.Manual, opts.Trigger = false, buffer.Immediately(nil)
		b := open(t, other, opts)
		s.answer = func(context.Context, slogworks.Batch) error {
			time.Sleep(time.Hour)
			return nil
		}
		wantOutcome(t, a.Deliver(t.Context()), buffer.Sent)
		wantEqual(t, "batches of the other", len(other.tried()), 0)
		logN(b, 2)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		wantMessages(t, other.delivered(), "0", "1")
		closed(t, b)
		closed(t, a)
	})
}

// A spool that somebody empties by hand is a spool without records.
func TestHandler_survivesThatFilesVanish(t *testing.T) {
	dir := t.TempDir()
	s := newSink()
	h := open(t, s, manual(dir))
	logN(h, 2)
	path, _ := journal(t, dir)
	asAnother(t, dir, func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	})
	slog.New(h).Info("later")
	wantOutcome(t, h.Deliver(t.Context()), buffer.Sent)
	wantMessages(t, s.delivered(), "later")
	wantBalance(t, h)
}

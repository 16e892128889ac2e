package queue_test

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

// A queue that is not closed leaves nothing behind but its memory.
func TestHandler_noGoroutineWhileIdle(t *testing.T) {
	waitForNoWorkers(t)
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			linger time.Duration
			lasts  time.Duration
		}{
			{-1, 0},
			{0, 10 * time.Millisecond},
			{time.Second, 50 * time.Second},
		} {
			q := queue.New(new(handlertest.Recorder), &queue.Options{Linger: test.linger})
			if n := len(workers()); n != 0 {
				t.Errorf("Linger %v: %d workers before the first record", test.linger, n)
			}
			for range 3 {
				mustHandle(t, q, slog.LevelInfo, 1)
				time.Sleep(test.lasts - time.Microsecond)
				synctest.Wait()
				if n := len(workers()); test.lasts > 0 && n != 1 {
					t.Errorf("Linger %v: %d workers before %v", test.linger, n, test.lasts)
				}
				time.Sleep(2 * time.Microsecond)
				synctest.Wait()
				if n := len(workers()); n != 0 {
					t.Errorf("Linger %v: %d workers after %v", test.linger, n, test.lasts)
				}
			}
			if n := q.Stats().Handled; n != 3 {
				t.Errorf("Linger %v: %d handled", test.linger, n)
			}
		}
	})
}

// A record that comes while the worker lingers waits for its next look; a
// backlog and an urgent one do not.
func TestHandler_lingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			n     int
			level slog.Level
			waits time.Duration
		}{
			{1, slog.LevelInfo, 900 * time.Millisecond},
			{249, slog.LevelInfo, 900 * time.Millisecond},
			{250, slog.LevelInfo, 0},
			{1, slog.LevelError, 0},
		} {
			for _, batches := range []bool{false, true} {
				rec := new(handlertest.Recorder)
				next := rec.Plain()
				if batches {
					next = rec
				}
				q := queue.New(next, &queue.Options{Capacity: 1000, Linger: time.Second, SyncLevel: slog.LevelError})
				// What went through before must not count as a backlog.
				for _, n := range []int{600, 200, 100, 100} {
					mustHandle(t, q, slog.LevelInfo, n)
					flush(t, q)
				}
				synctest.Wait()
				time.Sleep(100 * time.Millisecond)
				start := time.Now()
				mustHandle(t, q, test.level, test.n)
				for n := 1000 + test.n; len(messages(rec)) < n; {
					time.Sleep(100 * time.Millisecond)
					synctest.Wait()
				}
				if d := time.Since(start); test.waits > 0 && d != test.waits || test.waits == 0 && d > 100*time.Millisecond {
					t.Errorf("batches %v: %d records at %v waited for %v, want %v", batches, test.n, test.level, d, test.waits)
				}
				closeQueue(t, q)
			}
		}
	})
}

// heap is how much memory is in use.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestHandler_givesMemoryBack(t *testing.T) {
	const queues, burst = 100, 500
	waitForNoWorkers(t)
	all := make([]*queue.Handler, queues)
	before := heap()
	for i := range all {
		open := make(gate)
		var next slog.Handler = handleFunc(func(context.Context, slog.Record) error { <-open; return nil })
		if i%2 == 0 {
			next = batchFunc(func(context.Context, slogworks.Batch) error { <-open; return nil })
		}
		all[i] = queue.New(next, nil)
		payload := strings.Repeat("x", 1000)
		for range burst {
			if err := handle(all[i], slog.LevelInfo, strings.Clone(payload)); err != nil {
				t.Fatal(err)
			}
		}
		if i == 0 {
			if n := heap() - before; n < burst*1000 {
				t.Errorf("%d bytes for %d records cannot be", n, burst)
			}
		}
		close(open)
		flush(t, all[i])
	}
	waitForNoWorkers(t)
	if n := (heap() - before) / queues; n > 32<<10 {
		t.Errorf("an idle queue keeps %d bytes after a burst", n)
	}
	for _, q := range all {
		closeQueue(t, q)
	}
}

// A queue that is closed holds on to nothing that it has abandoned.
func TestHandler_givesMemoryOfWhatItAbandonsBack(t *testing.T) {
	const queues, burst = 50, 500
	waitForNoWorkers(t)
	all := make([]*queue.Handler, queues)
	before := heap()
	for i := range all {
		open := make(gate)
		q := queue.New(handleFunc(func(ctx context.Context, r slog.Record) error {
			if r.Message == "first" {
				<-open
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}), nil)
		all[i] = q
		if err := handle(q, slog.LevelInfo, "first"); err != nil {
			t.Fatal(err)
		}
		for range burst {
			if err := handle(q, slog.LevelInfo, strings.Repeat("x", 1000)); err != nil {
				t.Fatal(err)
			}
		}
		close(open)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		if err := q.Shutdown(ctx); err == nil {
			t.Error("nothing was abandoned")
		}
		cancel()
	}
	waitForNoWorkers(t)
	if n := (heap() - before) / queues; n > 32<<10 {
		t.Errorf("a closed queue keeps %d bytes", n)
	}
	for _, q := range all {
		atRest(t, q)
	}
}

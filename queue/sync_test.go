package queue_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

func TestHandler_syncLevelWaitsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, batches := range []bool{false, true} {
			rec := &handlertest.Recorder{Before: slow(10 * time.Millisecond)}
			next := rec.Plain()
			if batches {
				next = rec
			}
			q := queue.New(next, &queue.Options{SyncLevel: slog.LevelError, MaxBatch: 1})
			mustHandle(t, q, slog.LevelInfo, 5)
			start := time.Now()
			if err := handle(q, slog.LevelError, "sync"); err != nil {
				t.Error(err)
			}
			if d := time.Since(start); d != 60*time.Millisecond {
				t.Errorf("batches %v: the call took %v", batches, d)
			}
			if got := messages(rec); len(got) != 6 || got[5] != "sync" {
				t.Errorf("batches %v: arrived %q", batches, got)
			}
			start = time.Now()
			if err := handle(q, slog.LevelError-1, "not sync"); err != nil || time.Since(start) != 0 {
				t.Errorf("batches %v: below SyncLevel: %v after %v", batches, err, time.Since(start))
			}
			closeQueue(t, q)
		}
	})
}

func TestHandler_syncTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, timeout := range []time.Duration{0, -1, time.Minute} {
			open := make(gate)
			rec := &handlertest.Recorder{Before: open.hold}
			q := queue.New(rec.Plain(), &queue.Options{Capacity: 4, SyncLevel: slog.LevelError, SyncTimeout: timeout})
			want := max(timeout, 0)
			if want == 0 {
				want = time.Second
			}
			for i := range 4 {
				start := time.Now()
				if err := handle(q, slog.LevelError, number(i)); err != nil {
					t.Error(err)
				}
				if d := time.Since(start); d != want {
					t.Errorf("SyncTimeout %v: a call took %v", timeout, d)
				}
			}
			if n := q.Waiters(); n != 0 {
				t.Errorf("SyncTimeout %v: %d waiters are left", timeout, n)
			}
			// At worst it waits for room first, and then to be handled.
			start := time.Now()
			go func() {
				time.Sleep(99 * time.Millisecond)
				open <- struct{}{}
			}()
			if err := handle(q, slog.LevelError, number(4)); err != nil {
				t.Error(err)
			}
			if d := time.Since(start); d != 99*time.Millisecond+want {
				t.Errorf("SyncTimeout %v: the call that waited for room took %v", timeout, d)
			}
			close(open)
			closeQueue(t, q)
			// Those that were waited for in vain are handled all the same.
			if got := messages(rec); len(got) != 5 {
				t.Errorf("%d records arrived", len(got))
			}
		}
	})
}

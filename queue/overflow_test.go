package queue_test

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

// A flood of what nobody will miss costs no error.
func TestHandler_reserveKeepsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const producers, infos, errs = 8, 2000, 20
		rec := &handlertest.Recorder{Before: slow(time.Millisecond)}
		q := queue.New(rec.Plain(), nil)
		var refused atomic.Uint64
		var wg sync.WaitGroup
		for range producers {
			wg.Go(func() {
				for i := range infos {
					if handle(q, slog.LevelInfo, "info") != nil {
						refused.Add(1)
					}
					if i%(infos/errs) == 0 {
						if err := handle(q, slog.LevelError, "error"); err != nil {
							t.Errorf("an error: %v", err)
						}
						time.Sleep(10 * time.Microsecond)
					}
				}
			})
		}
		wg.Wait()
		flush(t, q)
		closeQueue(t, q)
		s := q.Stats()
		if s.DroppedOverflow.Total() != refused.Load() || s.DroppedOverflow.Info != refused.Load() || refused.Load() < producers*infos/2 {
			t.Errorf("%d records were refused, and counted %+v", refused.Load(), s.DroppedOverflow)
		}
		if n := told(rec); n != refused.Load() {
			t.Errorf("%d records were dropped and %d told", refused.Load(), n)
		}
		arrived := map[string]int{}
		for _, m := range messages(rec) {
			arrived[m]++
		}
		if arrived["error"] != producers*errs || uint64(arrived["info"]) != producers*infos-refused.Load() {
			t.Errorf("%v arrived", arrived)
		}
		atRest(t, q)
	})
}

// full returns a queue whose every place is taken, over a sink that is stuck
// until open is closed.
func full(t *testing.T, opts queue.Options) (q *queue.Handler, rec *handlertest.Recorder, open gate) {
	t.Helper()
	open = make(gate)
	rec = &handlertest.Recorder{Before: open.hold}
	q = queue.New(rec.Plain(), &opts)
	mustHandle(t, q, slog.LevelError, opts.Capacity)
	return q, rec, open
}

func TestHandler_stuckSinkCostsOneMaxBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _, open := full(t, queue.Options{Capacity: 16})
		start := time.Now()
		for range 80 {
			if err := handle(q, slog.LevelError, "m"); err != queue.ErrFull {
				t.Errorf("a full queue returned %v", err)
			}
		}
		if d := time.Since(start); d != 100*time.Millisecond {
			t.Errorf("80 errors took %v together", d)
		}
		close(open)
		closeQueue(t, q)
		if n := q.Stats().DroppedOverflow.Error; n != 80 {
			t.Errorf("%d counted", n)
		}
	})
}

func TestHandler_stuckSinkCostsAllGoroutinesOneMaxBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _, open := full(t, queue.Options{Capacity: 16, MaxBlock: time.Second})
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 80 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				if err := handle(q, slog.LevelError, "m"); err != queue.ErrFull {
					t.Errorf("a full queue returned %v", err)
				}
			})
		}
		wg.Wait()
		if d := time.Since(start); d != time.Second {
			t.Errorf("80 goroutines were done after %v", d)
		}
		close(open)
		closeQueue(t, q)
	})
}

// Whoever has waited in vain spares the others that, until the sink moves.
func TestHandler_waitsAgainAfterProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := make(chan struct{})
		q := queue.New(handleFunc(func(context.Context, slog.Record) error { <-step; return nil }), &queue.Options{Capacity: 4})
		mustHandle(t, q, slog.LevelError, 4)
		for range 3 {
			start := time.Now()
			for range 3 {
				if err := handle(q, slog.LevelError, "m"); err != queue.ErrFull {
					t.Errorf("a full queue returned %v", err)
				}
			}
			if d := time.Since(start); d != 100*time.Millisecond {
				t.Errorf("a stall took %v", d)
			}
			step <- struct{}{}
			synctest.Wait()
			mustHandle(t, q, slog.LevelError, 1) // takes the place
		}
		close(step)
		closeQueue(t, q)
	})
}

func TestHandler_waitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			opts  queue.Options
			level slog.Level
			fill  int // places taken before, by errors
			waits time.Duration
		}{
			"an error for one place":                     {queue.Options{Capacity: 10}, slog.LevelError, 10, 10 * time.Millisecond},
			"an error for a chunk of places":             {queue.Options{Capacity: 64}, slog.LevelError, 64, 80 * time.Millisecond},
			"an info for room outside the reserve":       {queue.Options{Capacity: 10, Reserve: 4, BlockAll: true}, slog.LevelInfo, 10, 50 * time.Millisecond},
			"an error for the reserve, though all block": {queue.Options{Capacity: 10, Reserve: 8, BlockAll: true}, slog.LevelError, 10, 10 * time.Millisecond},
			"an info with room":                          {queue.Options{Capacity: 10, BlockAll: true}, slog.LevelInfo, 7, 0},
		} {
			rec := &handlertest.Recorder{Before: slow(10 * time.Millisecond)}
			q := queue.New(rec.Plain(), &test.opts)
			mustHandle(t, q, slog.LevelError, test.fill)
			start := time.Now()
			if err := handle(q, test.level, "waited"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if d := time.Since(start); d != test.waits {
				t.Errorf("%s waited for %v, want %v", name, d, test.waits)
			}
			closeQueue(t, q)
			if got := messages(rec); len(got) != test.fill+1 || got[test.fill] != "waited" {
				t.Errorf("%s: arrived %q", name, got)
			}
		}
	})
}

// A batch waits until there is room for all of it, and is not woken for less.
func TestHandler_batchWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &handlertest.Recorder{Before: slow(10 * time.Millisecond)}
		q := queue.New(rec.Plain(), &queue.Options{Capacity: 10})
		mustHandle(t, q, slog.LevelError, 10)
		start := time.Now()
		if err := q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelError, 7)); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d != 70*time.Millisecond {
			t.Errorf("a batch of 7 waited for %v", d)
		}
		closeQueue(t, q)
	})
}

// What gets room at the last moment is not dropped.
func TestHandler_takesRoomWhenTheTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &handlertest.Recorder{Before: slow(60 * time.Millisecond)}
		q := queue.New(rec.Plain(), &queue.Options{Capacity: 80})
		mustHandle(t, q, slog.LevelError, 80)
		start := time.Now()
		mustHandle(t, q, slog.LevelError, 1)
		if d := time.Since(start); d != 100*time.Millisecond {
			t.Errorf("waited for %v", d)
		}
		if err := q.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestHandler_overflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			opts         queue.Options
			infos, warns int           // how many fit in
			waits        time.Duration // what those that do not fit in wait for
		}{
			"defaults of 10":            {queue.Options{Capacity: 10}, 8, 2, 100 * time.Millisecond},
			"no waiting":                {queue.Options{Capacity: 10, MaxBlock: -1}, 8, 2, 0},
			"a longer wait":             {queue.Options{Capacity: 10, MaxBlock: time.Minute}, 8, 2, time.Minute},
			"no reserve":                {queue.Options{Capacity: 10, Reserve: -1}, 10, 0, 100 * time.Millisecond},
			"a large reserve":           {queue.Options{Capacity: 10, Reserve: 100}, 1, 9, 100 * time.Millisecond},
			"a capacity of 1":           {queue.Options{Capacity: 1}, 1, 0, 100 * time.Millisecond},
			"a capacity of 2":           {queue.Options{Capacity: 2}, 1, 1, 100 * time.Millisecond},
			"a reserve for errors only": {queue.Options{Capacity: 10, ReserveLevel: slog.LevelError}, 8, 0, 0},
			"a wait for all":            {queue.Options{Capacity: 10, BlockAll: true}, 8, 2, 100 * time.Millisecond},
			"a wait for all, of none":   {queue.Options{Capacity: 10, BlockAll: true, MaxBlock: -1}, 8, 2, 0},
		} {
			open := make(gate)
			rec := &handlertest.Recorder{Before: open.hold}
			q := queue.New(rec, &test.opts)
			start := time.Now()
			infos, warns := 0, 0
			for handle(q, slog.LevelInfo, "m") == nil {
				infos++
			}
			for handle(q, slog.LevelWarn, "m") == nil {
				warns++
			}
			if d := time.Since(start); infos != test.infos || warns != test.warns || d != test.waits {
				t.Errorf("%s: %d infos and %d warnings fit in, the others waited for %v; want %d, %d, %v", name, infos, warns, d, test.infos, test.warns, test.waits)
			}
			if err := handle(q, slog.LevelDebug, "m"); err != queue.ErrFull {
				t.Errorf("%s: one more: %v", name, err)
			}
			close(open)
			closeQueue(t, q)
			if n := told(rec); n != q.Stats().DroppedOverflow.Total() || n < 3 {
				t.Errorf("%s: %d told of %+v", name, n, q.Stats().DroppedOverflow)
			}
			atRest(t, q)
		}
	})
}

// Callers that drop in a loop must not keep the worker from running.
func TestHandler_yieldsWhenItDrops(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var handled atomic.Int64
	q := queue.New(handleFunc(func(context.Context, slog.Record) error { handled.Add(1); return nil }), &queue.Options{Capacity: 1})
	const n = 2000
	for range n {
		_ = handle(q, slog.LevelInfo, "m")
	}
	if got := handled.Load(); got < n/20 {
		t.Errorf("of %d records that were logged in a loop, the worker could handle %d", n, got)
	}
	closeQueue(t, q)
	atRest(t, q)
}

// A sink that logs to its own queue must not wait for itself.
func TestHandler_sinkLogsToItsOwnQueue(t *testing.T) {
	for _, batches := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var q *queue.Handler
			var results []error
			open := make(gate)
			sink := func(message string) {
				<-open
				if message == "again" {
					return
				}
				results = append(results, handle(q, slog.LevelError, "again"), handle(q, slog.LevelInfo, "again"))
			}
			var next slog.Handler = handleFunc(func(_ context.Context, r slog.Record) error {
				sink(r.Message)
				return nil
			})
			if batches {
				next = batchFunc(func(_ context.Context, b slogworks.Batch) error {
					for _, item := range b.Items {
						sink(item.Record.Message)
					}
					return nil
				})
			}
			q = queue.New(next, &queue.Options{Capacity: 4, SyncLevel: slog.LevelError, BlockAll: true})
			start := time.Now()
			mustHandle(t, q, slog.LevelWarn, 4) // the first of them finds the queue full
			close(open)
			flush(t, q)
			closeQueue(t, q)
			if d := time.Since(start); d > 20*time.Millisecond {
				t.Errorf("batches %v: took %v", batches, d)
			}
			if !slices.Contains(results, queue.ErrFull) || !slices.Contains(results, nil) {
				t.Errorf("batches %v: the sink's own records: %v", batches, results)
			}
			atRest(t, q)
		})
	}
}

func (brokenEnabled) Enabled(context.Context, slog.Level) bool { panic("Enabled") }

package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

// Flush waits for what was there when it was called, and not for what others
// keep adding.
func TestHandler_flushEndsUnderLoad(t *testing.T) {
	const producers = 4
	var arrived [producers]atomic.Int64
	q := queue.New(handleFunc(func(_ context.Context, r slog.Record) error {
		a := attrs(r)
		if p, i := a["p"].Int64(), a["i"].Int64(); arrived[p].Swap(i+1) != i {
			return fmt.Errorf("record %d of producer %d out of order", i, p)
		}
		return nil
	}), &queue.Options{Capacity: 256, BlockAll: true, MaxBlock: time.Minute, OnError: func(err error) { t.Error(err) }})
	var logged [producers]atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := handle(q, slog.LevelInfo, "m", slog.Int("p", p), slog.Int("i", i)); err != nil {
					t.Error(err)
					return
				}
				logged[p].Store(int64(i + 1))
			}
		})
	}
	for n := range 20 {
		var before [producers]int64
		for p := range before {
			before[p] = logged[p].Load()
		}
		flush(t, q)
		for p := range before {
			if got := arrived[p].Load(); got < before[p] {
				t.Errorf("Flush %d: producer %d had logged %d records, and %d have arrived", n, p, before[p], got)
			}
		}
	}
	close(stop)
	wg.Wait()
	closeQueue(t, q)
	atRest(t, q)
}

func TestHandler_flushIsABarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, batches := range []bool{false, true} {
			rec := &handlertest.Recorder{Before: slow(time.Second)}
			next := rec.Plain()
			if batches {
				next = rec
			}
			q := queue.New(next, &queue.Options{MaxBatch: 1})
			mustHandle(t, q, slog.LevelInfo, 5)
			start := time.Now()
			var wg sync.WaitGroup
			for i := range 3 {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * 100 * time.Millisecond)
					flush(t, q)
					if d := time.Since(start); d != time.Duration(5+i)*time.Second {
						t.Errorf("Flush %d returned after %v", i, d)
					}
				})
				wg.Go(func() {
					time.Sleep(time.Duration(i)*100*time.Millisecond + 50*time.Millisecond)
					_ = handle(q, slog.LevelInfo, "later")
				})
			}
			wg.Wait()
			if err := q.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestHandler_flushEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(gate)
		q := queue.New(&handlertest.Recorder{Before: open.hold}, nil)
		mustHandle(t, q, slog.LevelInfo, 3)
		start := time.Now()
		for range 3 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			err := q.Flush(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "3 records waiting") {
				t.Errorf("Flush: %v", err)
			}
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("took %v", d)
		}
		if n := q.Waiters(); n != 0 {
			t.Errorf("%d waiters are left", n)
		}
		close(open)
		flush(t, q)
		flush(t, q)
		closeQueue(t, q)
	})
}

// A sink that calls back must not wait for itself.
func TestHandler_verbsCalledByTheSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q *queue.Handler
		verbs := func(where string) {
			for name, err := range map[string]error{
				"Flush":    q.Flush(context.Background()),
				"Shutdown": q.Shutdown(context.Background()),
				"Close":    q.WithGroup("g").(*queue.Handler).Close(),
			} {
				if err == nil || !strings.Contains(err.Error(), "wait for itself") {
					t.Errorf("%s called by the %s: %v", name, where, err)
				}
			}
		}
		q = queue.New(handleFunc(func(context.Context, slog.Record) error {
			verbs("sink")
			return errors.New("failed")
		}), &queue.Options{OnError: func(error) { verbs("OnError callback") }})
		mustHandle(t, q, slog.LevelInfo, 2)
		closeQueue(t, q)
		if s := q.Stats(); s.Failed != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestHandler_verbsTwiceAndAtOnce(t *testing.T) {
	for _, used := range []bool{false, true} {
		rec := new(handlertest.Recorder)
		q := queue.New(rec, nil)
		handles := []*queue.Handler{q, q.Share(rec), q.WithGroup("g").(*queue.Handler)}
		if used {
			mustHandle(t, q, slog.LevelInfo, 100)
		}
		var wg sync.WaitGroup
		for _, h := range handles {
			for range 4 {
				wg.Go(func() { flush(t, h) })
				wg.Go(func() { closeQueue(t, h) })
				wg.Go(func() {
					if err := slogworks.Shutdown(context.Background(), h); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		for _, h := range handles {
			flush(t, h)
			closeQueue(t, h)
			if err := handle(h, slog.LevelError, "late"); err != queue.ErrClosed {
				t.Errorf("Handle after Close: %v", err)
			}
		}
		if n := q.Stats().DroppedClosed.Error; n != 3 {
			t.Errorf("%d counted as refused", n)
		}
		if n := len(messages(rec)); used != (n == 100) {
			t.Errorf("%d records arrived", n)
		}
		atRest(t, q)
	}
}

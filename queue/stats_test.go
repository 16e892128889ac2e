package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

// imbalance says what is wrong with an account.
func imbalance(a slogworks.Account) string {
	sum := a.Delivered + a.Held
	for n := range maps.Values(a.Dropped) {
		sum += n
	}
	if a.Accepted != sum || a.Stage != "queue" {
		return fmt.Sprintf("the books do not balance: %+v", a)
	}
	return ""
}

// The books are asked for while everything happens that can happen.
func TestHandler_booksBalanceAtAllTimes(t *testing.T) {
	for _, kind := range []string{"singles", "batches", "singles behind another stage"} {
		t.Run(kind, func(t *testing.T) {
			var n atomic.Int64
			outcome := func() error {
				switch n.Add(1) % 5 {
				case 0:
					return errors.New("failed")
				case 1:
					panic("panicked")
				}
				return nil
			}
			var next slog.Handler = handleFunc(func(context.Context, slog.Record) error { return outcome() })
			switch kind {
			case "batches":
				next = batchFunc(func(context.Context, slogworks.Batch) error { return outcome() })
			case "singles behind another stage":
				next = fanout.AtLeast(next, slog.LevelDebug)
			}
			q := queue.New(next, &queue.Options{Capacity: 64, MaxBlock: -1, MaxBatch: 7})
			var asking, logging sync.WaitGroup
			stop := make(chan struct{})
			asking.Go(func() {
				var before slogworks.Account
				for {
					a, s := q.Account(), q.Stats()
					if complaint := imbalance(a); complaint != "" {
						t.Error(complaint)
						return
					}
					if s.Len < 0 || s.Len > 64 || s.HighWater > 64 || s.Panics > s.Failed || a.Accepted < before.Accepted {
						t.Errorf("the counts cannot be: %+v, after %+v", s, before)
						return
					}
					before = a
					select {
					case <-stop:
						return
					default:
					}
				}
			})
			var logged atomic.Uint64
			b := slogworks.Batch{Kind: slogworks.Digest, Items: slices.Repeat([]slogworks.Item{{Context: context.Background(), Record: record(slog.LevelWarn, "b")}}, 5)}
			for range 4 {
				logging.Go(func() {
					for i := range 3000 {
						logged.Add(1)
						r := record(slog.Level(i%4*4-4), "m")
						if i%2 == 0 {
							r.Time = time.Time{}
						}
						_ = q.Handle(context.Background(), r)
						if i%100 == 0 {
							logged.Add(5)
							_ = q.HandleBatch(context.Background(), b)
						}
					}
				})
			}
			logging.Wait()
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = q.Shutdown(ctx) // abandons some
			for range 10 {
				logged.Add(1)
				_ = handle(q, slog.LevelInfo, "late")
			}
			waitForNoWorkers(t)
			close(stop)
			asking.Wait()
			if a := q.Account(); a.Accepted != logged.Load() || a.Dropped["closed"] != 10 {
				t.Errorf("%d records were logged, 10 of them late: %+v", logged.Load(), a)
			}
			atRest(t, q)
		})
	}
}

// downOnce is what a sink says at every second call.
func downOnce(calls int) error {
	if calls%2 == 1 {
		return &slogworks.DeliveryError{Accepted: calls % 3, Err: errors.New("down")}
	}
	return nil
}

func TestHandler_booksBalanceAfterShutdown(t *testing.T) {
	for name, answer := range map[string]func(calls int) error{
		"takes all":    func(int) error { return nil },
		"fails":        func(int) error { return errors.New("failed") },
		"panics":       func(int) error { panic("panicked") },
		"is down":      func(int) error { return &slogworks.DeliveryError{Err: errors.New("down")} },
		"is down once": downOnce,
		"refuses":      func(calls int) error { return &slogworks.DeliveryError{Accepted: calls % 2, Permanent: true} },
	} {
		for kind, build := range map[string]func(h *handlertest.Recorder) slog.Handler{
			"batches":  func(h *handlertest.Recorder) slog.Handler { return h },
			"singles":  func(h *handlertest.Recorder) slog.Handler { return h.Plain() },
			"behind":   func(h *handlertest.Recorder) slog.Handler { return fanout.AtLeast(h.Plain(), slog.LevelDebug) },
			"failover": func(h *handlertest.Recorder) slog.Handler { return fanout.Failover(h.Plain()) },
		} {
			t.Run(fmt.Sprintf("a sink that %s, %s", name, kind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					calls := 0
					rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error {
						calls++
						return answer(calls)
					}}
					q := queue.New(build(rec), &queue.Options{Capacity: 100, MaxBlock: -1})
					l := slog.New(q)
					for i := range 300 {
						l.Info("m", "i", i)
						if i == 150 {
							time.Sleep(time.Second)
						}
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					_ = slogworks.Shutdown(ctx, q) // the one that is down is given up
					l.Info("late")
					books := slogworks.Books(q)
					if len(books) != 1 || imbalance(books[0]) != "" || books[0].Accepted != 301 || books[0].Held != 0 || books[0].Dropped["closed"] != 1 {
						t.Errorf("books %+v", books)
					}
					atRest(t, q)
				})
			})
		}
	}
}

func TestHandler_statsOfABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, batches := range []bool{false, true} {
			open := make(gate)
			rec := &handlertest.Recorder{Before: open.hold}
			next := rec.Plain()
			if batches {
				next = rec
			}
			q := queue.New(next, nil)
			if s := q.Stats(); s != (queue.Stats{}) {
				t.Errorf("a new queue has %+v", s)
			}
			mustHandle(t, q, slog.LevelInfo, 1)
			time.Sleep(time.Minute)
			mustHandle(t, q, slog.LevelInfo, 9)
			time.Sleep(time.Minute)
			want := queue.Stats{Enqueued: 10, Len: 10, HighWater: 10, Oldest: 2 * time.Minute}
			if s := q.Stats(); s != want {
				t.Errorf("batches %v: a stuck sink has %+v, want %+v", batches, s, want)
			}
			close(open)
			flush(t, q)
			want = queue.Stats{Enqueued: 10, Handled: 10, HighWater: 10}
			if s := q.Stats(); s != want {
				t.Errorf("batches %v: afterwards %+v, want %+v", batches, s, want)
			}
			closeQueue(t, q)
		}
	})
}

func TestHandler_highWater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, batches := range []bool{false, true} {
			step := make(gate)
			rec := &handlertest.Recorder{Before: step.hold}
			next := rec.Plain()
			if batches {
				next = rec
			}
			q := queue.New(next, &queue.Options{MaxBatch: 3})
			mustHandle(t, q, slog.LevelInfo, 3)
			for range 10 { // what has been handled does not count any more
				step <- struct{}{}
				synctest.Wait()
				for q.Stats().Len < 3 {
					mustHandle(t, q, slog.LevelInfo, 1)
				}
			}
			if n := q.Stats().HighWater; n != 3 {
				t.Errorf("batches %v: HighWater %d", batches, n)
			}
			close(step)
			closeQueue(t, q)
		}
	})
}

// Oldest is that of the record that waits behind the one in the sink's hands,
// if that one has no time, and is never in the future.
func TestHandler_oldestOfUnusualTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(gate)
		q := queue.New(&handlertest.Recorder{Before: open.hold}, nil)
		ctx := context.Background()
		_ = q.Handle(ctx, slog.Record{Message: "without time"})
		synctest.Wait()
		if d := q.Stats().Oldest; d != 0 {
			t.Errorf("Oldest %v", d)
		}
		_ = q.Handle(ctx, slog.NewRecord(time.Now().Add(time.Hour), slog.LevelInfo, "from the future", 0))
		if d := q.Stats().Oldest; d != 0 {
			t.Errorf("Oldest %v", d)
		}
		time.Sleep(2 * time.Hour)
		if d := q.Stats().Oldest; d != time.Hour {
			t.Errorf("Oldest %v", d)
		}
		close(open)
		closeQueue(t, q)
	})
}

func TestCounts_levels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New(slog.DiscardHandler, nil)
		closeQueue(t, q)
		// DiscardHandler is enabled for nothing, and such records are nobody's.
		if err := handle(q, slog.LevelError, "m"); err != nil || q.Account().Accepted != 0 {
			t.Errorf("%v, %+v", err, q.Account())
		}
		q = queue.New(new(handlertest.Recorder), nil)
		closeQueue(t, q)
		for level := slog.Level(-8); level <= 12; level++ {
			if err := handle(q, level, "m"); err != queue.ErrClosed {
				t.Errorf("%v", err)
			}
		}
		want := queue.Counts{Debug: 8, Info: 4, Warn: 4, Error: 5}
		if got := q.Stats().DroppedClosed; got != want || got.Total() != 21 {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

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

func TestHandler_shutdownOverAStuckSink(t *testing.T) {
	for _, test := range []struct {
		batches bool
		held    int
	}{{false, 1}, {true, 10}} {
		synctest.Test(t, func(t *testing.T) {
			// It lets go of a call when the call's context ends.
			hold := func(ctx context.Context, _ slogworks.Batch) error {
				<-ctx.Done()
				return ctx.Err()
			}
			rec := &handlertest.Recorder{Before: hold}
			next := rec.Plain()
			if test.batches {
				next = rec
			}
			q := queue.New(next, nil)
			if err := q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelInfo, test.held)); err != nil {
				t.Error(err)
			}
			mustHandle(t, q, slog.LevelInfo, 100-test.held)
			waiting := make(chan error)
			go func() { waiting <- q.Flush(context.Background()) }()
			start := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			err := q.Shutdown(ctx)
			if d := time.Since(start); d != 3*time.Second {
				t.Errorf("Shutdown took %v", d)
			}
			want := fmt.Sprintf("%d records abandoned, %d still with the handler", 100-test.held, test.held)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), want) {
				t.Errorf("Shutdown: %v, want %s", err, want)
			}
			if err := <-waiting; err == nil || !strings.Contains(err.Error(), fmt.Sprint(100-test.held)+" records abandoned") {
				t.Errorf("Flush, meanwhile: %v", err)
			}
			synctest.Wait()
			if n := len(workers()); n != 0 {
				t.Errorf("%d workers are left although the sink's context is over", n)
			}
			// That its context is over is not why there was a backlog.
			if strings.Contains(err.Error(), "last attempt") || q.Stats().LastError != nil {
				t.Errorf("%v, and the last error is %v", err, q.Stats().LastError)
			}
			if s := q.Stats(); s.Failed != uint64(test.held) || s.DroppedAbandoned.Info != uint64(100-test.held) {
				t.Errorf("%+v", s)
			}
			atRest(t, q)
			closeFailed(t, q, uint64(test.held))
		})
	}
}

// What is in the hands of a sink that returns late is counted by what becomes
// of it, and only the first Shutdown has anything to say of the others.
func TestHandler_shutdownOverASinkThatReturnsLate(t *testing.T) {
	for _, result := range []error{nil, errors.New("failed"), &slogworks.DeliveryError{}} {
		synctest.Test(t, func(t *testing.T) {
			rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error {
				time.Sleep(time.Minute)
				return result
			}}
			q := queue.New(rec.Plain(), nil)
			mustHandle(t, q, slog.LevelInfo, 70) // more than one run and segment
			errs := make(chan error, 3)
			for i, seconds := range []int{2, 1, 100} {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
				defer cancel()
				go func() {
					time.Sleep(time.Duration(i))
					errs <- q.Shutdown(ctx)
				}()
			}
			for range 2 {
				if err := <-errs; !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "69 records abandoned, 1 still with the handler") {
					t.Errorf("Shutdown: %v", err)
				}
			}
			if s := q.Stats(); s.Len != 1 || imbalance(q.Account()) != "" || s.Oldest == 0 {
				t.Errorf("meanwhile %+v, %s", s, imbalance(q.Account()))
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if err := q.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Flush while the sink has a record: %v", err)
			}
			// It had time enough, and says the same as those that had not.
			if err := <-errs; err == nil || !strings.Contains(err.Error(), "records abandoned, 0 still") {
				t.Errorf("the longest Shutdown: %v", err)
			}
			s := q.Stats()
			want := queue.Stats{Enqueued: 70, HighWater: 70, DroppedAbandoned: queue.Counts{Info: 69}}
			switch result.(type) {
			case nil:
				want.Handled = 1
			case *slogworks.DeliveryError:
				want.DroppedAbandoned.Info = 70
			default:
				want.Failed = 1
			}
			if s != want {
				t.Errorf("%v: %+v, want %+v", result, s, want)
			}
			closeQueue(t, q)
			flush(t, q)
			atRest(t, q)
		})
	}
}

// A queue that waits to try again gives up at once, and all that waits with it.
func TestHandler_shutdownOverASinkThatIsDown(t *testing.T) {
	for name, next := range map[string]func(*handlertest.Recorder) slog.Handler{
		"takes batches": func(rec *handlertest.Recorder) slog.Handler { return rec },
		"takes none":    func(rec *handlertest.Recorder) slog.Handler { return rec.Plain() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls []time.Time
				rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error {
					calls = append(calls, time.Now())
					return &slogworks.DeliveryError{After: time.Hour}
				}}
				q := queue.New(next(rec), nil)
				mustHandle(t, q, slog.LevelInfo, 100)
				_ = q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelInfo, 5))
				time.Sleep(time.Minute)
				start := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				defer cancel()
				err := q.Shutdown(ctx)
				if d := time.Since(start); d != 3*time.Second || err == nil || !strings.Contains(err.Error(), "105 records abandoned, 0 still") {
					t.Errorf("Shutdown: %v after %v", err, d)
				}
				// It is tried once more at once, since there is little time.
				if len(calls) != 2 || !calls[1].Equal(start) {
					t.Errorf("the sink was called at %v, and Shutdown at %v", calls, start)
				}
				if n := len(workers()); n != 0 {
					t.Errorf("%d workers are left", n)
				}
				atRest(t, q)
			})
		})
	}
}

// A sink that takes no batches has one item of a batch in its hands; the rest is
// abandoned as soon as it is known.
func TestHandler_shutdownWithinABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &handlertest.Recorder{Before: slow(time.Minute)}
		q := queue.New(rec.Plain(), nil)
		_ = q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelInfo, 5))
		mustHandle(t, q, slog.LevelInfo, 5)
		ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
		defer cancel()
		if err := q.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "5 records abandoned, 4 still with the handler") {
			t.Errorf("Shutdown: %v", err)
		}
		if err := q.Shutdown(context.Background()); err == nil || !strings.Contains(err.Error(), "3 records abandoned, 0 still") {
			t.Errorf("the next Shutdown: %v", err)
		}
		if n := len(messages(rec)); n != 2 {
			t.Errorf("%d records arrived", n)
		}
		atRest(t, q)
	})
}

// Telling what was dropped must not hold up a Shutdown whose time is over.
func TestHandler_shutdownOverASinkThatIsStuckInAReport(t *testing.T) {
	for name, down := range map[string]bool{"while it is down": true, "while it is idle": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				forever := make(chan struct{})
				q := queue.New(handleFunc(func(_ context.Context, r slog.Record) error {
					if r.Message == dropMessage {
						<-forever
					}
					return &slogworks.DeliveryError{After: time.Hour}
				}), &queue.Options{Capacity: 4, MaxBlock: -1})
				if down {
					mustHandle(t, q, slog.LevelError, 4)
					synctest.Wait()
				}
				_ = q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelError, 5))
				start := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				defer cancel()
				err := q.Shutdown(ctx)
				if d := time.Since(start); d != 3*time.Second || down != (err != nil) {
					t.Errorf("Shutdown: %v after %v", err, d)
				}
				close(forever)
				synctest.Wait()
				atRest(t, q)
			})
		})
	}
}

// Whoever waits for room when the queue is closed is told so at once.
func TestHandler_shutdownWakesWhoWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _, open := full(t, queue.Options{Capacity: 4, MaxBlock: time.Hour})
		start := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := handle(q, slog.LevelError, "m"); err != queue.ErrClosed || time.Since(start) != 0 {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}()
		synctest.Wait()
		go func() { time.Sleep(time.Second); close(open) }()
		closeQueue(t, q)
		<-done
		if s := q.Stats(); s.DroppedClosed.Error != 1 || s.Handled != 4 {
			t.Errorf("%+v", s)
		}
		atRest(t, q)
	})
}

// Close does not wait for the worker to look again.
func TestHandler_closeWakesTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New(new(handlertest.Recorder), &queue.Options{Linger: time.Hour})
		mustHandle(t, q, slog.LevelInfo, 1)
		synctest.Wait()
		start := time.Now()
		closeQueue(t, q)
		if d := time.Since(start); d != 0 {
			t.Errorf("Close took %v", d)
		}
		if n := len(workers()); n != 0 {
			t.Errorf("%d workers are left", n)
		}
	})
}

// However Close and Handle meet, a record is delivered or counted.
func TestHandler_closeRace(t *testing.T) {
	for round := range 200 {
		var arrived atomic.Uint64
		var next slog.Handler = handleFunc(func(context.Context, slog.Record) error { arrived.Add(1); return nil })
		if round%2 == 0 {
			next = batchFunc(func(_ context.Context, b slogworks.Batch) error {
				arrived.Add(uint64(len(b.Items)))
				return nil
			})
		}
		q := queue.New(next, &queue.Options{Capacity: 64, BlockAll: round%3 == 0})
		var accepted, full, closed atomic.Uint64
		var wg sync.WaitGroup
		started := make(chan struct{}, 4)
		for range 4 {
			wg.Go(func() {
				for i := range 10_000 {
					switch err := handle(q, slog.LevelInfo, "m"); err {
					case nil:
						accepted.Add(1)
					case queue.ErrFull:
						full.Add(1)
					case queue.ErrClosed:
						closed.Add(1)
						return
					default:
						t.Error(err)
					}
					if i == 0 {
						started <- struct{}{}
					}
				}
			})
		}
		<-started
		ctx, cancel := context.WithCancel(context.Background())
		if round%4 == 0 {
			cancel() // abandons what waits
		}
		err := q.Shutdown(ctx)
		cancel()
		if err != nil && round%4 != 0 {
			t.Error(err)
		}
		wg.Wait()
		if err := q.Shutdown(context.Background()); err != nil && round%4 != 0 {
			t.Error(err)
		}
		s := q.Stats()
		told := s.DroppedOverflow.Total() // the reports of drops arrive too
		if told > 0 {
			told = arrived.Load() - s.Handled
		}
		if s.Enqueued != accepted.Load() || s.DroppedOverflow.Total() != full.Load() || s.DroppedClosed.Total() != closed.Load() ||
			s.Handled+s.DroppedAbandoned.Total() != accepted.Load() || arrived.Load() != s.Handled+told {
			t.Fatalf("round %d: %d accepted, %d full, %d closed, %d arrived, and counted %+v", round, accepted.Load(), full.Load(), closed.Load(), arrived.Load(), s)
		}
		atRest(t, q)
	}
}

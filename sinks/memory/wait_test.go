package memory_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/sinks/memory"
)

func TestHandler_WaitFor(t *testing.T) {
	t.Run("returns the oldest record that is there, even if ctx is over", func(t *testing.T) {
		logs := memory.New(nil)
		slog.New(logs).Info("ready", "i", 1)
		slog.New(logs).Info("ready", "i", 2)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		v, err := logs.WaitFor(ctx, "ready")
		if i, _ := v.Attr("i"); err != nil || i.Int64() != 1 {
			t.Errorf("got record %v, error %v, want record 1", i, err)
		}
	})

	t.Run("waits for one that is logged later", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			logs := memory.New(nil)
			start := time.Now()
			go func() {
				logger := slog.New(logs).With("derived", true)
				for _, msg := range []string{"starting", "ready"} {
					time.Sleep(time.Second)
					logger.Info(msg)
				}
			}()
			v, err := logs.WaitFor(t.Context(), "ready")
			if err != nil || v.Message() != "ready" || time.Since(start) != 2*time.Second {
				t.Errorf("got %q, error %v after %v", v.Message(), err, time.Since(start))
			}
		})
	})

	t.Run("gives up when ctx ends and says what is there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			logs := memory.New(nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			go slog.New(logs).Warn("retrying", "attempt", 1)
			v, err := logs.WaitFor(ctx, "ready")
			const want = "memory: no record for Message(\"ready\"): context deadline exceeded; there is 1 record:\n\tlevel=WARN msg=retrying attempt=1"
			if !errors.Is(err, context.DeadlineExceeded) || err.Error() != want || v.Message() != "" {
				t.Errorf("got %q, error %v, want %v", v.Message(), err, want)
			}
			if n := logs.Waiters(); n != 0 {
				t.Errorf("%d waiters are left behind", n)
			}
		})
	})

	t.Run("sees a record that is dropped at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			logs := memory.New(&memory.Options{MaxRecords: 1})
			go func() {
				synctest.Wait() // until the test waits
				logs.HandleBatch(context.Background(), slogworks.Batch{Items: []slogworks.Item{
					item("ready"), item("next"), item("next"),
				}})
			}()
			if _, err := logs.WaitFor(t.Context(), "ready"); err != nil {
				t.Error(err)
			}
		})
	})

	t.Run("wakes all that wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			logs := memory.New(nil)
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() {
					if _, err := logs.WaitFor(t.Context(), "ready"); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
			if n := logs.Waiters(); n != 5 {
				t.Errorf("%d wait, want 5", n)
			}
			slog.New(logs).Info("ready")
			wg.Wait()
		})
	})
}

func item(msg string) slogworks.Item {
	return slogworks.Item{Context: context.Background(), Record: slog.NewRecord(time.Time{}, slog.LevelInfo, msg, 0)}
}

func TestQuery_Wait(t *testing.T) {
	t.Run("waits for what all filters choose", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			logs := memory.New(nil)
			go func() {
				for job := range 3 {
					slog.New(logs).Info("done", "job", job)
				}
			}()
			v, err := logs.Message("done").Attr("job", 2).Wait(t.Context())
			if job, _ := v.Attr("job"); err != nil || job.Int64() != 2 {
				t.Errorf("got job %v, error %v", job, err)
			}
		})
	})

	t.Run("a panic in a filter is the waiter's, not the logger's", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			logs := memory.New(nil)
			panicked := make(chan any)
			go func() {
				defer func() { panicked <- recover() }()
				logs.Where(func(context.Context, slogworks.View) bool { panic("bad filter") }).Wait(t.Context())
			}()
			synctest.Wait()
			slog.New(logs).Info("m")
			if got := <-panicked; got != "bad filter" {
				t.Errorf("the waiter ended with %v", got)
			}
			if n := logs.Waiters(); n != 0 {
				t.Errorf("%d waiters are left behind", n)
			}
		})
	})
}

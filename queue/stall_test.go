package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

// collector is a sink that is down whenever cause is not nil.
type collector struct {
	mu       sync.Mutex
	cause    error
	attempts int
}

func (c *collector) set(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cause = cause
}

func (c *collector) attempt() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempts++
	if c.cause == nil {
		return nil
	}
	return &slogworks.DeliveryError{Err: fmt.Errorf("attempt %d: %w", c.attempts, c.cause)}
}

func (c *collector) plain() slog.Handler {
	return handleFunc(func(context.Context, slog.Record) error { return c.attempt() })
}

func (c *collector) batches() slog.Handler {
	return batchFunc(func(context.Context, slogworks.Batch) error { return c.attempt() })
}

var (
	errRefused = errors.New("connection refused")
	everyTenth = slogworks.Backoff{Min: 100 * time.Millisecond, Max: 100 * time.Millisecond}
)

// tellings are when OnError was called, in seconds, and with what.
type tellings struct {
	start time.Time
	mu    sync.Mutex
	told  []string
}

func (o *tellings) onError(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, fmt.Sprintf("%d: %v", time.Since(o.start)/time.Second, err))
}

// take returns what OnError was told since it was last asked.
func (o *tellings) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	told := o.told
	o.told = nil
	return told
}

func (o *tellings) want(t *testing.T, beginnings ...string) {
	t.Helper()
	if told := o.take(); !slices.EqualFunc(told, beginnings, strings.HasPrefix) {
		t.Errorf("OnError was told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(beginnings, "\n"))
	}
}

func TestHandler_tellsWhyItStalls(t *testing.T) {
	for name, next := range map[string]func(*collector) slog.Handler{
		"over a handler that takes batches": (*collector).batches,
		"over one that takes none":          (*collector).plain,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &collector{cause: errRefused}
				o := &tellings{start: time.Now()}
				q := queue.New(next(c), &queue.Options{Retry: everyTenth, ReportEvery: 10 * time.Second, OnError: o.onError})
				_ = handle(q, slog.LevelInfo, "m")
				time.Sleep(9 * time.Second)
				_ = handle(q, slog.LevelInfo, "m")
				o.want(t, "0: attempt 1: connection refused") // of some hundred
				time.Sleep(16 * time.Second)
				o.want(t, "10: attempt ", "20: attempt ")
				if s := q.Stats(); !errors.Is(s.LastError, errRefused) || s.Failed != 0 {
					t.Errorf("%+v", s)
				}

				c.set(nil)
				flush(t, q)
				o.want(t)
				if s := q.Stats(); !errors.Is(s.LastError, errRefused) || s.Handled != 2 {
					t.Errorf("after it came up: %+v", s)
				}

				// The next stall is told at once, long before 30s.
				c.set(errors.New("no route to host"))
				_ = handle(q, slog.LevelInfo, "m")
				time.Sleep(time.Second)
				if told := o.take(); len(told) != 1 || !strings.Contains(told[0], "no route to host") {
					t.Errorf("of the next stall OnError was told %q", told)
				}
				c.set(nil)
				closeQueue(t, q)
				atRest(t, q)
			})
		})
	}
}

// A stall goes on over records that are given up, each of which is told.
func TestHandler_tellsOfAStallOverSeveralRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{cause: errRefused}
		o := &tellings{start: time.Now()}
		fallback := new(handlertest.Recorder)
		retry := slogworks.Backoff{Min: time.Second, Max: time.Second, MaxElapsed: 3500 * time.Millisecond}
		q := queue.New(c.plain(), &queue.Options{Retry: retry, ReportEvery: 5 * time.Second, Fallback: fallback, OnError: o.onError})
		mustHandle(t, q, slog.LevelInfo, 3)
		flush(t, q)
		// Were each the end of the stall, it would be told twice, and what was
		// told of a record counts as told of the stall.
		if told := o.take(); len(told) != 4 || len(messages(fallback)) != 3 || q.Stats().Failed != 3 {
			t.Errorf("OnError was told %q, the fallback got %d records", told, len(messages(fallback)))
		}
		closeQueue(t, q)
	})
}

// The stall ends with a success, if it is that of another record at once.
func TestHandler_tellsOfTheStallAfterASuccess(t *testing.T) {
	for name, next := range map[string]func(*collector) slog.Handler{
		"over a handler that takes batches": (*collector).batches,
		"over one that takes none":          (*collector).plain,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &collector{cause: errRefused}
				o := &tellings{start: time.Now()}
				retry := slogworks.Backoff{Min: time.Second, Max: time.Second, MaxElapsed: 1500 * time.Millisecond}
				q := queue.New(next(c), &queue.Options{Retry: retry, ReportEvery: time.Hour, OnError: o.onError})
				_ = handle(q, slog.LevelInfo, "given up")
				flush(t, q)
				o.want(t, "0: attempt 1: ", "0: attempt 2: ")
				c.set(nil)
				_ = handle(q, slog.LevelInfo, "handled")
				flush(t, q)
				c.set(errRefused)
				_ = handle(q, slog.LevelInfo, "given up")
				flush(t, q)
				if told := o.take(); len(told) != 2 {
					t.Errorf("of the next stall OnError was told %q", told)
				}
				closeQueue(t, q)
			})
		})
	}
}

// A handler that is up does not hide that another, which shares the queue, is
// down.
func TestHandler_tellsOfTheStallOfEachDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down, up := &collector{cause: errRefused}, new(collector)
		o := &tellings{start: time.Now()}
		retry := slogworks.Backoff{Min: time.Second, Max: time.Second, MaxElapsed: time.Second}
		q := queue.New(down.plain(), &queue.Options{Retry: retry, OnError: o.onError, ReportEvery: time.Hour})
		other := q.Share(up.plain())
		for range 3 {
			_ = handle(q, slog.LevelInfo, "m")
			_ = handle(other, slog.LevelInfo, "m")
		}
		flush(t, q)
		if told := o.take(); len(told) != 4 { // the stall, and three records given up
			t.Errorf("OnError was told %q", told)
		}
		closeQueue(t, q)
	})
}

// The error of a Shutdown says why there is something to abandon, if that is
// known: not what was wrong before the last attempt succeeded.
func TestHandler_shutdownSaysWhatTheLastAttemptMet(t *testing.T) {
	for name, next := range map[string]func(*collector) slog.Handler{
		"over a handler that takes batches": (*collector).batches,
		"over one that takes none":          (*collector).plain,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &collector{cause: errRefused}
				q := queue.New(next(c), nil)
				mustHandle(t, q, slog.LevelInfo, 16)
				time.Sleep(time.Second)
				err := q.Close()
				want := "queue: shutdown: context deadline exceeded: 16 records abandoned, 0 still with the handler; last attempt: attempt "
				if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), errRefused.Error()) {
					t.Errorf("Close: %v", err)
				}
				if !errors.Is(err, errRefused) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v does not wrap both", err)
				}
				if err := q.Stats().LastError; !errors.Is(err, errRefused) {
					t.Errorf("the last error is %v", err)
				}
				atRest(t, q)
			})
		})
	}
	t.Run("unless it has succeeded", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := &collector{cause: errRefused}
			open := make(gate)
			q := queue.New(handleFunc(func(_ context.Context, r slog.Record) error {
				if r.Level == slog.LevelError {
					<-open
				}
				return c.attempt()
			}), nil)
			_ = handle(q, slog.LevelInfo, "m")
			synctest.Wait()
			c.set(nil)
			flush(t, q)
			mustHandle(t, q, slog.LevelError, 2)
			if err := q.Close(); err == nil || strings.Contains(err.Error(), "last attempt") {
				t.Errorf("Close: %v", err)
			}
			close(open)
			synctest.Wait()
			atRest(t, q)
		})
	})
}

// The methods of an error that is not the queue's own may use the queue.
func TestHandler_shutdownSaysItWithoutTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q *queue.Handler
		q = queue.New(handleFunc(func(context.Context, slog.Record) error {
			return &slogworks.DeliveryError{Err: busy{func() { _ = q.Stats() }}}
		}), nil)
		_ = handle(q, slog.LevelInfo, "m")
		if err := q.Close(); err == nil || !strings.HasSuffix(err.Error(), "last attempt: busy") {
			t.Errorf("Close: %v", err)
		}
	})
}

type busy struct{ do func() }

func (e busy) Error() string {
	e.do()
	return "busy"
}

// A sink that was not told of a loss is down, too.
func TestHandler_tellsWhyItDoesNotTellALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{cause: errRefused}
		o := &tellings{start: time.Now()}
		q := queue.New(c.batches(), &queue.Options{Capacity: 1, OnError: o.onError})
		_ = q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelError, 5))
		_ = q.Flush(context.Background())
		o.want(t, "0: attempt 1: connection refused")
		closeQueue(t, q)
	})
}

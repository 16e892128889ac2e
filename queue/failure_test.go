package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

// A panic costs the record or batch that it is about.
func TestHandler_survivesPanics(t *testing.T) {
	for _, batches := range []bool{false, true} {
		t.Run(fmt.Sprintf("batches %v", batches), func(t *testing.T) {
			rec := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
				if b.Items[0].Record.Level == slog.LevelError {
					panic(errors.New("bug in the sink"))
				}
				return nil
			}}
			next := rec.Plain()
			if batches {
				next = rec
			}
			fallback := new(handlertest.Recorder)
			var errs []error
			q := queue.New(next, &queue.Options{MaxBatch: 1, Fallback: fallback, OnError: func(err error) {
				errs = append(errs, err)
				panic("bug in OnError")
			}})
			for i := range 30 {
				level := slog.LevelInfo
				if i%3 == 0 {
					level = slog.LevelError
				}
				_ = handle(q, level, number(i))
			}
			flush(t, q)
			closeQueue(t, q)
			s := q.Stats()
			if s.Handled != 20 || s.Failed != 10 || s.Panics != 10 || len(messages(rec)) != 20 || len(messages(fallback)) != 10 {
				t.Errorf("%+v, %d records arrived, %d at the fallback", s, len(messages(rec)), len(messages(fallback)))
			}
			for _, err := range errs {
				if p, ok := err.(*slogworks.PanicError); !ok || len(p.Stack) == 0 || p.Unwrap().Error() != "bug in the sink" {
					t.Errorf("OnError was called with %v", err)
				}
			}
			if len(errs) != 10 {
				t.Errorf("OnError was called %d times", len(errs))
			}
			atRest(t, q)
		})
	}
}

// A sink may end the worker's goroutine, as t.Fatal in a test's sink does. What
// comes after is handled all the same, and the lifecycle goes on.
func TestHandler_survivesGoexit(t *testing.T) {
	exit := func(i int) {
		if i%10 == 3 {
			runtime.Goexit()
		}
	}
	for name, newQueue := range map[string]func(rec *handlertest.Recorder) *queue.Handler{
		"in Handle": func(rec *handlertest.Recorder) *queue.Handler {
			return queue.New(rec.Plain(), &queue.Options{Capacity: 1000, Reserve: -1})
		},
		"in HandleBatch": func(rec *handlertest.Recorder) *queue.Handler {
			return queue.New(rec, &queue.Options{Capacity: 1000, Reserve: -1, MaxBatch: 1})
		},
		"in OnError": func(rec *handlertest.Recorder) *queue.Handler {
			before := rec.Before
			rec.Before = func(_ context.Context, b slogworks.Batch) error {
				if i := int(attrs(b.Items[0].Record)["i"].Int64()); i%10 == 3 {
					return errors.New("failed")
				}
				return nil
			}
			return queue.New(rec.Plain(), &queue.Options{Capacity: 1000, Reserve: -1, OnError: func(error) {
				_ = before(context.Background(), slogworks.Batch{Items: []slogworks.Item{{Record: record(0, "", slog.Int("i", 3))}}})
			}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
					exit(int(attrs(b.Items[0].Record)["i"].Int64()))
					return nil
				}}
				q := newQueue(rec)
				for i := range 200 {
					_ = handle(q, slog.LevelInfo, number(i), slog.Int("i", i))
				}
				flush(t, q)
				_ = handle(q, slog.LevelInfo, number(203), slog.Int("i", 203))
				_ = handle(q, slog.LevelInfo, number(204), slog.Int("i", 204))
				if name == "in OnError" {
					closeQueue(t, q)
				} else {
					closeFailed(t, q, 21)
				}
				got := messages(rec)
				if len(got) != 181 || !slices.IsSorted(got) || got[180] != number(204) {
					t.Errorf("%d records arrived: %q", len(got), got)
				}
				if s := q.Stats(); s.Failed != 21 || s.Handled != 181 {
					t.Errorf("%+v", s)
				}
				atRest(t, q)
			})
		})
	}
}

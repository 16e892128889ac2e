package queue_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

type contextKey struct{}

func TestHandler_keepsTheContextOfEachRecord(t *testing.T) {
	for _, batches := range []bool{false, true} {
		for _, dropped := range []bool{false, true} {
			t.Run(fmt.Sprintf("batches %v, DropContext %v", batches, dropped), func(t *testing.T) {
				var ended []error
				rec := &handlertest.Recorder{Before: func(ctx context.Context, b slogworks.Batch) error {
					ended = append(ended, ctx.Err(), b.Items[0].Context.Err())
					return nil
				}}
				next := rec.Plain()
				if batches {
					next = rec
				}
				q := queue.New(next, &queue.Options{DropContext: dropped})
				const n = 100
				for i := range n {
					ctx, cancel := context.WithCancel(context.WithValue(context.Background(), contextKey{}, i))
					if i%2 == 0 {
						cancel() // before it is logged
					}
					if err := q.Handle(ctx, record(slog.LevelInfo, number(i))); err != nil {
						t.Fatal(err)
					}
					cancel()
				}
				flush(t, q)
				if i := slices.IndexFunc(ended, func(err error) bool { return err != nil }); i >= 0 {
					t.Errorf("the sink was called with a context that had ended: %v", ended[i])
				}
				closeQueue(t, q)
				items := rec.Items()
				if len(items) != n {
					t.Fatalf("%d of %d records arrived", len(items), n)
				}
				for i, item := range items {
					want := any(i)
					if dropped {
						want = nil
					}
					if got := item.Context.Value(contextKey{}); got != want || item.Record.Message != number(i) {
						t.Fatalf("record %s arrived with value %v, want %v", item.Record.Message, got, want)
					}
				}
			})
		}
	}
}

// A sink that puts a deadline on each call costs no goroutine for it.
func TestHandler_contextIsOneThatPackageContextKnows(t *testing.T) {
	const n = 200
	var before, after int
	q := queue.New(handleFunc(func(ctx context.Context, _ slog.Record) error {
		before = len(allGoroutines())
		for range n {
			_, cancel := context.WithCancel(ctx)
			defer cancel()
		}
		after = len(allGoroutines())
		return nil
	}), nil)
	ctx := context.WithValue(context.Background(), contextKey{}, 1)
	if err := q.Handle(ctx, record(slog.LevelInfo, "m")); err != nil {
		t.Fatal(err)
	}
	closeQueue(t, q)
	if after-before >= n {
		t.Errorf("%d contexts derived in a sink started %d goroutines", n, after-before)
	}
}

// A sink's call lives as long as the queue, whatever its record's context.
func TestHandler_contextEndsWhenShutdownGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		q := queue.New(handleFunc(func(ctx context.Context, _ slog.Record) error {
			derived, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			<-derived.Done()
			cause = context.Cause(derived)
			return nil
		}), nil)
		if err := q.Handle(context.WithValue(context.Background(), contextKey{}, 1), record(slog.LevelInfo, "m")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = q.Shutdown(ctx)
		synctest.Wait()
		if cause != context.Canceled {
			t.Errorf("the sink's context ended with %v", cause)
		}
	})
}

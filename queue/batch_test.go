package queue_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

// An escalation is one thing, whatever comes before, after and meanwhile.
func TestHandler_keepsBatchesWhole(t *testing.T) {
	const producers, each, batches, size = 4, 300, 5, 40
	rec := new(handlertest.Recorder)
	q := queue.New(rec, &queue.Options{Capacity: 4096})
	var wg sync.WaitGroup
	for range producers {
		wg.Go(func() {
			for i := range each {
				if err := handle(q, slog.LevelInfo, "single"); err != nil {
					t.Error(err)
				}
				if i%(each/batches) == 0 {
					b := batchOf(slogworks.Escalation, slog.LevelInfo, size)
					b.ID, b.Dropped = fmt.Sprint("escalation ", i), i
					if err := q.HandleBatch(context.Background(), b); err != nil {
						t.Error(err)
					}
					clear(b.Items) // the slice is the caller's again
				}
			}
		})
	}
	wg.Wait()
	closeQueue(t, q)
	whole, singles := map[string]int{}, 0
	for _, b := range rec.Batches() {
		if b.Kind == slogworks.Stream {
			singles += len(b.Items)
			continue
		}
		whole[b.ID]++
		if b.Kind != slogworks.Escalation || len(b.Items) != size || b.ID != fmt.Sprint("escalation ", b.Dropped) || b.Attempt != 1 {
			t.Errorf("%d items of %v, ID %q, %d dropped", len(b.Items), b.Kind, b.ID, b.Dropped)
		}
		for i, item := range b.Items {
			if item.Record.Message != fmt.Sprint("escalation ", i) {
				t.Errorf("item %d is %q", i, item.Record.Message)
			}
		}
	}
	if singles != producers*each || len(whole) != batches || whole["escalation 0"] != producers {
		t.Errorf("%d single records and %v arrived", singles, whole)
	}
	atRest(t, q)
}

// A batch takes the places of its records and gets none of them or all.
func TestHandler_batchesTakePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(gate)
		rec := &handlertest.Recorder{Before: open.hold}
		q := queue.New(rec, &queue.Options{Capacity: 100, Reserve: 20, MaxBlock: -1})
		put := func(level slog.Level, n int) error {
			return q.HandleBatch(context.Background(), batchOf(slogworks.Digest, level, n))
		}
		for _, step := range []struct {
			level slog.Level
			size  int
			want  error
			len   int
		}{
			{slog.LevelInfo, 0, nil, 0},
			{slog.LevelInfo, 81, queue.ErrFull, 0}, // could never have room
			{slog.LevelError, 101, queue.ErrFull, 0},
			{slog.LevelInfo, 80, nil, 80},
			{slog.LevelInfo, 1, queue.ErrFull, 80},
			{slog.LevelWarn, 21, queue.ErrFull, 80},
			{slog.LevelWarn, 20, nil, 100},
			{slog.LevelError, 1, queue.ErrFull, 100},
		} {
			if err := put(step.level, step.size); err != step.want || q.Stats().Len != step.len {
				t.Errorf("a batch of %d at %v: %v, then %+v", step.size, step.level, err, q.Stats())
			}
		}
		if c := q.Stats().DroppedOverflow; c != (queue.Counts{Info: 82, Warn: 21, Error: 102}) {
			t.Errorf("dropped %+v", c)
		}
		close(open)
		closeQueue(t, q)
		if err := put(slog.LevelInfo, 3); err != queue.ErrClosed || q.Stats().DroppedClosed.Info != 3 {
			t.Errorf("after Close: %v, %+v", err, q.Stats())
		}
		if n := len(messages(rec)); n != 100 {
			t.Errorf("%d records arrived", n)
		}
		atRest(t, q)
	})
}

// The level of a batch is that of its highest record, wherever that stands.
func TestHandler_levelOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &handlertest.Recorder{Before: slow(time.Minute)}
		q := queue.New(rec, &queue.Options{SyncLevel: slog.LevelError, SyncTimeout: time.Hour})
		b := batchOf(slogworks.Digest, slog.LevelInfo, 3)
		b.Items[1].Record.Level = slog.LevelError
		start := time.Now()
		if err := q.HandleBatch(context.Background(), b); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d != time.Minute || len(rec.Batches()) != 1 {
			t.Errorf("HandleBatch took %v, %d batches arrived", d, len(rec.Batches()))
		}
		if err := q.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A sink that takes no batches gets the records one by one, as far as it wants
// them, and without their contexts if these are dropped.
func TestHandler_batchForASinkThatTakesNone(t *testing.T) {
	for _, dropped := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			rec := &handlertest.Recorder{Level: slog.LevelInfo}
			q := queue.New(rec.Plain(), &queue.Options{DropContext: dropped})
			b := batchOf(slogworks.Escalation, slog.LevelDebug, 4)
			for i := range b.Items {
				b.Items[i].Context = context.WithValue(context.Background(), contextKey{}, i)
			}
			b.Items[1].Record.Level = slog.LevelInfo
			b.Items[3].Record.Level = slog.LevelError
			if err := q.HandleBatch(context.Background(), b); err != nil {
				t.Error(err)
			}
			closeQueue(t, q)
			if got := messages(rec); !slices.Equal(got, []string{"escalation 1", "escalation 3"}) {
				t.Errorf("arrived %q", got)
			}
			for _, item := range rec.Items() {
				if got := item.Context.Value(contextKey{}); (got == nil) != dropped {
					t.Errorf("%q arrived with the value %v", item.Record.Message, got)
				}
			}
			if b.Items[0].Context.Value(contextKey{}) != 0 {
				t.Error("the caller's batch was changed")
			}
			atRest(t, q)
		})
	}
	t.Run("and panics when it is asked", func(t *testing.T) {
		q := queue.New(brokenEnabled{func(context.Context, slog.Record) error { panic("Handle") }}, nil)
		_ = q.HandleBatch(context.Background(), batchOf(slogworks.Escalation, slog.LevelError, 4))
		closeFailed(t, q, 4)
		if s := q.Stats(); s.Failed != 4 || s.Panics != 4 {
			t.Errorf("%+v", s)
		}
	})
}

// A shared queue hands on in one order, to each its own.
func TestHandler_sharedKeepsOneOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		note := func(name string) func(context.Context, slogworks.Batch) error {
			return func(_ context.Context, b slogworks.Batch) error {
				for _, item := range b.Items {
					order = append(order, name+" "+item.Record.Message)
				}
				return nil
			}
		}
		first := handlertest.Recorder{Before: note("first")}
		second := handlertest.Recorder{Before: note("second")}
		q := queue.New(first.Plain(), nil)
		shared := q.Share(&second)
		derived := shared.WithGroup("g")
		var want []string
		for i := range 200 {
			h, name := slog.Handler(q), "first "
			switch {
			case i%7 < 3:
				h, name = shared, "second "
			case i%7 < 5:
				h, name = derived, "second "
			}
			if i%50 == 0 {
				_ = shared.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelInfo, 2))
				want = append(want, "second digest 0", "second digest 1")
			}
			_ = handle(h, slog.LevelInfo, number(i))
			want = append(want, name+number(i))
		}
		closeQueue(t, shared)
		if !slices.Equal(order, want) {
			t.Errorf("the order was %q", order)
		}
		for _, b := range second.Batches() {
			if b.Kind == slogworks.Stream && len(b.Items) > 5 {
				t.Errorf("a batch of %d went past records of the other", len(b.Items))
			}
		}
		if err := handle(q, slog.LevelInfo, "late"); err != queue.ErrClosed {
			t.Errorf("after Close of the one that shares, Handle returned %v", err)
		}
	})
}

func TestHandler_unwrapsAllHandlers(t *testing.T) {
	a, b, c := new(handlertest.Recorder), new(handlertest.Recorder), new(handlertest.Recorder)
	q := queue.New(a, &queue.Options{Fallback: c})
	derived := q.Share(b).WithGroup("g").(*queue.Handler)
	for _, h := range []*queue.Handler{q, derived} {
		if got := h.Unwrap(); !slices.Equal(got, []slog.Handler{a, b, c}) {
			t.Errorf("Unwrap gives %v", got)
		}
	}
	if got := queue.New(a, nil).Unwrap(); !slices.Equal(got, []slog.Handler{a}) {
		t.Errorf("Unwrap gives %v", got)
	}
}

func batchOf(kind slogworks.Kind, level slog.Level, n int) slogworks.Batch {
	b := slogworks.Batch{Kind: kind}
	for i := range n {
		b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: record(level, fmt.Sprintf("%v %d", kind, i))})
	}
	return b
}

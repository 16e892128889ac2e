package queue_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

// defaults are what a queue does with its options, as far as it can be seen.
type defaults struct {
	infos, warns  int           // how many fit in
	block         time.Duration // what the first that does not fit waits
	sync          time.Duration // what an error waits for a sink that is stuck
	batch         int           // the largest that the sink gets
	retries       []time.Duration
	workerLingers bool
}

func defaultsOf(t *testing.T, opts *queue.Options) (d defaults) {
	t.Helper()
	open := make(gate)
	rec := &handlertest.Recorder{Before: open.hold}
	q := queue.New(rec, opts)
	for handle(q, slog.LevelInfo, "m") == nil {
		d.infos++
	}
	start := time.Now()
	for handle(q, slog.LevelWarn, "m") == nil {
		d.warns++
	}
	d.block = time.Since(start)
	start = time.Now()
	_ = handle(q, slog.LevelError, "m")
	d.sync = time.Since(start)
	close(open)
	flush(t, q)
	d.workerLingers = len(workers()) > 0
	closeQueue(t, q)
	for _, b := range rec.Batches() {
		d.batch = max(d.batch, len(b.Items))
	}

	start = time.Now()
	q = queue.New(batchFunc(func(context.Context, slogworks.Batch) error {
		d.retries = append(d.retries, time.Since(start))
		return &slogworks.DeliveryError{}
	}), opts)
	_ = handle(q, slog.LevelInfo, "m")
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	_ = q.Flush(ctx)
	ctx, cancel = context.WithCancel(context.Background())
	cancel()
	_ = q.Shutdown(ctx)
	return d
}

func TestHandler_defaults(t *testing.T) {
	waitForNoWorkers(t)
	synctest.Test(t, func(t *testing.T) {
		for name, opts := range map[string]*queue.Options{"nil": nil, "zero": {}} {
			d := defaultsOf(t, opts)
			if n := len(d.retries); n < 110 || n > 170 {
				t.Errorf("%s options: %d attempts in an hour, want one every 24s to 30s", name, n)
			} else if first, last := d.retries[1], d.retries[n-1]-d.retries[n-2]; first < 40*time.Millisecond || first > 50*time.Millisecond || last < 24*time.Second || last > 30*time.Second {
				t.Errorf("%s options: the first retry after %v and the last after %v", name, first, last)
			}
			d.retries = nil
			want := defaults{infos: 820, warns: 204, block: 100 * time.Millisecond, batch: 64, workerLingers: true}
			if !reflect.DeepEqual(d, want) {
				t.Errorf("%s options: %+v, want %+v", name, d, want)
			}
		}
	})
}

func TestNew_doesNotWriteItsOptions(t *testing.T) {
	for _, opts := range []queue.Options{{}, {Capacity: 1, Reserve: 5, MaxBlock: -1, Linger: -1}} {
		was := opts
		q := queue.New(new(handlertest.Recorder), &opts)
		mustHandle(t, q, slog.LevelInfo, 1)
		opts.Capacity, opts.OnError = -1, nil // must not be read any more
		closeQueue(t, q)
		opts.Capacity = was.Capacity
		if !reflect.DeepEqual(opts, was) {
			t.Errorf("%+v became %+v", was, opts)
		}
	}
}

var initial = slog.Default().Handler()

func TestNew_panicsAtOnce(t *testing.T) {
	var noLevel *slog.LevelVar
	q := queue.New(slog.DiscardHandler, nil)
	for name, test := range map[string]struct {
		build func()
		want  string
	}{
		"nil":               {func() { queue.New(nil, nil) }, "queue: nil Handler"},
		"nil to share":      {func() { q.Share(nil) }, "queue: nil Handler"},
		"slog's default":    {func() { queue.New(initial, nil) }, "slog's default handler"},
		"default fallback":  {func() { queue.New(slog.DiscardHandler, &queue.Options{Fallback: initial}) }, "slog's default handler"},
		"nil reserve level": {func() { queue.New(slog.DiscardHandler, &queue.Options{ReserveLevel: noLevel}) }, "queue: nil *slog.LevelVar"},
		"nil sync level":    {func() { queue.New(slog.DiscardHandler, &queue.Options{SyncLevel: noLevel}) }, "queue: nil *slog.LevelVar"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, test.want) {
					t.Errorf("panics with %q, want %q", got, test.want)
				}
			}()
			test.build()
		})
	}
}

// Levels are asked for with each record, and outside of the lock.
func TestHandler_readsLevelsForEachRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reserve, sync slog.LevelVar
		reserve.Set(slog.LevelError)
		sync.Set(slog.LevelError + 1)
		open := make(gate)
		q := queue.New(&handlertest.Recorder{Before: open.hold}, &queue.Options{Capacity: 10, Reserve: 5, ReserveLevel: &reserve, SyncLevel: &sync, MaxBlock: -1})
		mustHandle(t, q, slog.LevelWarn, 5)
		if err := handle(q, slog.LevelWarn, "m"); err != queue.ErrFull {
			t.Errorf("below ReserveLevel: %v", err)
		}
		reserve.Set(slog.LevelWarn)
		if err := handle(q, slog.LevelWarn, "m"); err != nil {
			t.Errorf("at ReserveLevel: %v", err)
		}
		sync.Set(slog.LevelWarn)
		start := time.Now()
		mustHandle(t, q, slog.LevelWarn, 1)
		if d := time.Since(start); d != time.Second {
			t.Errorf("at SyncLevel the call took %v", d)
		}
		close(open)
		closeQueue(t, q)
	})
}

// badLevel is a Leveler as one might be by mistake.
type badLevel struct{}

func TestHandler_survivesALevelThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(gate)
		q := queue.New(&handlertest.Recorder{Before: open.hold}, &queue.Options{Capacity: 2, ReserveLevel: badLevel{}})
		mustHandle(t, q, slog.LevelInfo, 1)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = handle(q, slog.LevelInfo, "m")
		}()
		if n := q.Stats().Len; n != 1 {
			t.Errorf("%d records wait", n)
		}
		close(open)
		closeQueue(t, q)
	})
}

func TestHandler_takesTheLargestOptions(t *testing.T) {
	const forever = time.Duration(math.MaxInt64)
	for name, plain := range map[string]bool{"batches": false, "singles": true} {
		t.Run(name, func(t *testing.T) {
			open, entered := make(gate), make(chan struct{}, 10)
			rec := &handlertest.Recorder{Before: func(ctx context.Context, b slogworks.Batch) error {
				entered <- struct{}{}
				return open.hold(ctx, b)
			}}
			next := slog.Handler(rec)
			if plain {
				next = rec.Plain()
			}
			q := queue.New(next, &queue.Options{
				Capacity: math.MaxInt, Reserve: math.MaxInt, MaxBlock: forever, MaxBatch: math.MaxInt,
				SyncTimeout: forever, Linger: forever, ReportEvery: forever, SyncLevel: slog.LevelError,
				Retry: slogworks.Backoff{Min: forever, Max: forever, MaxElapsed: forever},
			})
			mustHandle(t, q, slog.LevelWarn, 1)
			<-entered
			// These stand behind the one that the worker has in hand.
			for i := 1; i < 5; i++ {
				_ = handle(q, slog.LevelWarn, number(i))
			}
			close(open)
			_ = handle(q, slog.LevelError, number(5))
			if got := messages(rec); len(got) != 6 || !slices.IsSorted(got) {
				t.Errorf("%q arrived", got)
			}
			closeQueue(t, q)
			atRest(t, q)
		})
	}
}

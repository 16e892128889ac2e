package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"reflect"
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

// Each goroutine's records arrive in its order, whichever way the queue takes
// to the sink.
func TestHandler_keepsTheOrderOfEachGoroutine(t *testing.T) {
	const producers, each = 16, 500
	for _, maxBatch := range []int{1, 64, 500} {
		for _, batches := range []bool{false, true} {
			t.Run(fmt.Sprintf("MaxBatch %d, batches %v", maxBatch, batches), func(t *testing.T) {
				rec := new(handlertest.Recorder)
				next := rec.Plain()
				if batches {
					next = rec
				}
				q := queue.New(next, &queue.Options{Capacity: producers * each, Reserve: -1, MaxBatch: maxBatch})
				var wg sync.WaitGroup
				for p := range producers {
					wg.Go(func() {
						h := q.WithAttrs([]slog.Attr{slog.Int("producer", p)})
						for i := range each {
							if err := handle(h, slog.LevelInfo, "m", slog.Int("i", i)); err != nil {
								t.Error(err)
							}
						}
					})
				}
				wg.Wait()
				closeQueue(t, q)

				var next2 [producers]int64
				for _, item := range rec.Items() {
					a := attrs(item.Record)
					p, i := a["producer"].Int64(), a["i"].Int64()
					if i != next2[p] {
						t.Fatalf("record %d of producer %d arrived in the place of %d", i, p, next2[p])
					}
					next2[p]++
				}
				for p, n := range next2 {
					if n != each {
						t.Errorf("%d of %d records of producer %d arrived", n, each, p)
					}
				}
				for _, b := range rec.Batches() {
					if len(b.Items) > maxBatch || b.Kind != slogworks.Stream || b.Attempt != 1 || b.ID == "" {
						t.Fatalf("batch of %d, %v, attempt %d, ID %q", len(b.Items), b.Kind, b.Attempt, b.ID)
					}
				}
				atRest(t, q)
			})
		}
	}
}

// What is in the queue goes to a sink in as few batches as MaxBatch allows,
// across the segments that the records stand in.
func TestHandler_fillsBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, maxBatch := range []int{0, 1, 64, 500} {
			open := make(gate)
			rec := &handlertest.Recorder{Before: open.hold}
			q := queue.New(rec, &queue.Options{MaxBatch: maxBatch})
			mustHandle(t, q, slog.LevelInfo, 1)
			synctest.Wait() // the sink has the first
			mustHandle(t, q, slog.LevelInfo, 700)
			close(open)
			closeQueue(t, q)
			if maxBatch == 0 {
				maxBatch = 64
			}
			want := []int{1}
			for left := 700; left > 0; left -= maxBatch {
				want = append(want, min(left, maxBatch))
			}
			var sizes []int
			ids := map[string]bool{}
			for _, b := range rec.Batches() {
				sizes = append(sizes, len(b.Items))
				ids[b.ID] = true
			}
			if !slices.Equal(sizes, want) {
				t.Errorf("MaxBatch %d: batches of %v, want %v", maxBatch, sizes, want)
			}
			if len(ids) != len(sizes) {
				t.Errorf("%d batches have %d different IDs", len(sizes), len(ids))
			}
		}
	})
}

func TestHandler_keepsTimeAndSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &handlertest.Recorder{Before: slow(time.Hour)}
		q := queue.New(rec, nil)
		now := time.Now()
		slog.New(q).Info("message")
		if err := q.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		r := rec.Items()[0].Record
		if !r.Time.Equal(now) {
			t.Errorf("logged at %v, arrived with %v", now, r.Time)
		}
		source := r.Source()
		if source == nil || filepath.Base(source.File) != "queue_test.go" || !strings.Contains(source.Function, "keepsTimeAndSource") {
			t.Errorf("arrived with the source %+v", source)
		}
	})
}

// withChains logs by loggers that are derived in different ways.
func withChains(h slog.Handler) {
	l := slog.New(h)
	l.Info("plain", "k", 1)
	a := l.With("a", 1, "v", valuer(func() slog.Value { return slog.StringValue("resolved") }))
	a.Info("attrs", "k", []string{"s"})
	g := a.WithGroup("g")
	g.Info("empty group")
	g.Warn("group", slog.Group("inner", "err", io.EOF, "bytes", []byte("b")))
	g.With("b", 2).WithGroup("h").With("c", 3).Error("deep", "k", "v", "d", time.Second)
	a.With("sibling", true).Info("sibling")
}

func TestHandler_writesWhatNextWouldWrite(t *testing.T) {
	for name, newHandler := range map[string]func(io.Writer) slog.Handler{
		"JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, &slog.HandlerOptions{AddSource: true}) },
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var direct, queued, batched, fallback bytes.Buffer
				withChains(newHandler(&direct))

				q := queue.New(newHandler(&queued), nil)
				withChains(q)
				closeQueue(t, q)
				if queued.String() != direct.String() {
					t.Errorf("queued\n%s\nand direct\n%s", &queued, &direct)
				}

				h := newHandler(&batched)
				q = queue.New(batchFunc(func(_ context.Context, b slogworks.Batch) error {
					for _, item := range b.Items {
						if err := h.Handle(item.Context, item.Record); err != nil {
							return err
						}
					}
					return nil
				}), nil)
				withChains(q)
				closeQueue(t, q)
				if batched.String() != direct.String() {
					t.Errorf("batched\n%s\nand direct\n%s", &batched, &direct)
				}

				q = queue.New(handleFunc(func(context.Context, slog.Record) error { return io.EOF }), &queue.Options{Fallback: newHandler(&fallback)})
				withChains(q)
				closeQueue(t, q)
				if fallback.String() != direct.String() {
					t.Errorf("by the fallback\n%s\nand direct\n%s", &fallback, &direct)
				}
			})
		})
	}
}

type valuer func() slog.Value

func (f valuer) LogValue() slog.Value { return f() }

// A value says what it said when it was logged, wherever it stands.
func TestHandler_resolvesValuesWhenLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(gate)
		rec := &handlertest.Recorder{Before: open.hold}
		q := queue.New(rec, nil)
		state := "then"
		v := valuer(func() slog.Value { return slog.StringValue(state) })
		data := []string{"then"}
		l := slog.New(q).With("with", v, slog.Group("g", "v", v), "data", data)
		l.Info("m", "in", v, slog.Group("h", "v", v, slog.Group("deep", "data", data)))
		state, data[0] = "now", "now"
		close(open)
		closeQueue(t, q)

		var out bytes.Buffer
		for _, item := range rec.Items() {
			_ = slog.NewJSONHandler(&out, nil).Handle(item.Context, item.Record)
		}
		if n := strings.Count(out.String(), `"then"`); n != 6 || strings.Contains(out.String(), "now") {
			t.Errorf("the record arrived as %s", &out)
		}
	})
}

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

func TestHandler_derivedHandlersShareTheQueue(t *testing.T) {
	rec := new(handlertest.Recorder)
	q := queue.New(rec, nil)
	derived := q.WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g").(*queue.Handler)
	if q.WithAttrs(nil) != slog.Handler(q) || q.WithGroup("") != slog.Handler(q) {
		t.Error("a handler derived with nothing is another one")
	}
	if err := handle(derived, slog.LevelInfo, "m"); err != nil {
		t.Fatal(err)
	}
	if err := derived.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if a, b := q.Stats(), derived.Stats(); a != b || a.Handled != 1 {
		t.Errorf("the handler counts %+v and one derived from it %+v", a, b)
	}
	closeQueue(t, derived)
	if err := handle(q, slog.LevelInfo, "m"); err != queue.ErrClosed {
		t.Errorf("after Close of a derived handler, Handle returned %v", err)
	}
}

// defaults are what a queue does with its options, as far as it can be seen.
type defaults struct {
	infos, warns  int           // how many fit in
	block         time.Duration // what the first that does not fit waits
	sync          time.Duration // what an error waits for a sink that is stuck
	batch         int           // the largest that the sink gets
	retries       []time.Duration
	reportEvery   bool
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

func (badLevel) Level() slog.Level { panic("no level") }

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

func TestHandler_allocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	nop := func(context.Context, slog.Record) error { return nil }
	five := []slog.Attr{slog.String("s", "v"), slog.Int("i", 1), slog.Duration("d", time.Second), slog.Bool("b", true), slog.Float64("f", 1.5)}
	for name, derive := range map[string]func(*slog.Logger) *slog.Logger{
		"plain":          func(l *slog.Logger) *slog.Logger { return l },
		"with With":      func(l *slog.Logger) *slog.Logger { return l.With("a", 1, "b", "v") },
		"with WithGroup": func(l *slog.Logger) *slog.Logger { return l.WithGroup("g").With("a", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			q := queue.New(handleFunc(nop), &queue.Options{Capacity: 1 << 20})
			l := derive(slog.New(q))
			ctx := context.Background()
			if n := testing.AllocsPerRun(5000, func() { l.LogAttrs(ctx, slog.LevelInfo, "message", five...) }); n > 0 {
				t.Errorf("%v allocations per record", n)
			}
			if n := testing.AllocsPerRun(100, func() { l.Enabled(ctx, slog.LevelInfo) }); n > 0 {
				t.Errorf("%v allocations per Enabled", n)
			}
			closeQueue(t, q)
		})
	}
}

package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
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

				var due [producers]int64
				for _, item := range rec.Items() {
					a := attrs(item.Record)
					p, i := a["producer"].Int64(), a["i"].Int64()
					if i != due[p] {
						t.Fatalf("record %d of producer %d arrived in the place of %d", i, p, due[p])
					}
					due[p]++
				}
				for p, n := range due {
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

func (badLevel) Level() slog.Level { panic("no level") }

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

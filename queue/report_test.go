package queue_test

import (
	"bytes"
	"context"
	"errors"
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

func TestHandler_tellsWhatWasDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, rec, open := full(t, queue.Options{Capacity: 2, MaxBlock: -1})
		time.Sleep(time.Minute)
		h := q.WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g")
		for i, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelInfo + 1, slog.LevelError, slog.LevelError + 4} {
			if err := handle(h, level, number(i)); err != queue.ErrFull {
				t.Errorf("%v: %v", level, err)
			}
			time.Sleep(time.Second)
		}
		close(open)
		flush(t, q)
		if n := len(reports(rec)); n != 1 {
			t.Fatalf("told %d times", n)
		}
		var out bytes.Buffer
		_ = slog.NewJSONHandler(&out, &slog.HandlerOptions{AddSource: true}).Handle(context.Background(), reports(rec)[0])
		const want = `{"time":"2000-01-01T00:01:05Z","level":"WARN","msg":"slogworks: records dropped",` +
			`"stage":"queue","dropped":5,"by_level":{"DEBUG":1,"INFO":2,"ERROR":2},"reason":"overflow","since":"2000-01-01T00:01:00Z"}` + "\n"
		if out.String() != want {
			t.Errorf("told as\n%s, want\n%s", &out, want)
		}
		// Once is enough.
		mustHandle(t, q, slog.LevelInfo, 1)
		closeQueue(t, q)
		if n := len(reports(rec)); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// Each destination is told of its own records, whether it takes batches or
// not, and by the first record about them.
func TestHandler_tellsEachDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second, third := new(handlertest.Recorder), new(handlertest.Recorder), new(handlertest.Recorder)
		open := make(gate)
		first.Before = open.hold
		q := queue.New(first.Plain(), &queue.Options{Capacity: 2, MaxBlock: -1})
		shared, quiet := q.Share(second), q.Share(third)
		mustHandle(t, q, slog.LevelError, 1)
		synctest.Wait()
		mustHandle(t, quiet, slog.LevelError, 1)
		for range 3 {
			_ = handle(shared, slog.LevelInfo, "m")
		}
		_ = handle(q, slog.LevelWarn, "m")
		close(open)
		flush(t, shared)
		if a, b, c := told(first), told(second), len(reports(third)); a != 1 || b != 3 || c != 0 {
			t.Errorf("the destinations were told of %d, %d and %d", a, b, c)
		}
		closeQueue(t, q)
	})
}

// While the backlog lasts, there is a record every ReportEvery.
func TestHandler_tellsWhileTheBacklogLasts(t *testing.T) {
	for _, every := range []time.Duration{0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			rec := &handlertest.Recorder{Before: slow(time.Second)}
			q := queue.New(rec.Plain(), &queue.Options{Capacity: 4, MaxBlock: -1, ReportEvery: every, SyncLevel: slog.LevelError + 4, SyncTimeout: time.Hour})
			start := time.Now()
			for i := range 1500 {
				_ = handle(q, slog.LevelInfo, "m")
				time.Sleep(100 * time.Millisecond)
				if i%300 == 299 { // whoever waits for a record of its own needs to know nothing
					go func() { _ = handle(q, slog.LevelError+4, "sync") }()
				}
			}
			if every == 0 {
				every = 10 * time.Second
			}
			took := time.Since(start)
			all := reports(rec)
			if n := len(all); n < int(took/(every+3*time.Second))-1 || n > int(took/every)+1 || n < 3 {
				t.Errorf("%d records in %v, one every %v", n, took, every)
			}
			for i := 1; i < len(all); i++ {
				if gap := all[i].Time.Sub(all[i-1].Time); gap < every {
					t.Errorf("%v from one to the next, want %v", gap, every)
				}
				if since := attrs(all[i])["since"].Time(); since.Before(all[i-1].Time) {
					t.Errorf("since %v, which was told at %v", since, all[i-1].Time)
				}
			}
			if err := q.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			if n, dropped := told(rec), q.Stats().DroppedOverflow.Total(); n != dropped || dropped < 500 {
				t.Errorf("%d dropped and %d told", dropped, n)
			}
		})
	}
}

// Flush and Shutdown return after what was dropped before them is told, even
// while the backlog lasts.
func TestHandler_tellsBeforeFlushAndShutdownReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &handlertest.Recorder{Before: slow(time.Millisecond)}
		q := queue.New(rec.Plain(), &queue.Options{Capacity: 8, MaxBlock: -1, ReportEvery: time.Hour})
		stop := make(chan struct{})
		go func() { // keeps up the backlog
			for {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Microsecond):
					_ = handle(q, slog.LevelInfo, "m")
				}
			}
		}()
		for i := range 5 {
			time.Sleep(10 * time.Millisecond)
			dropped := q.Stats().DroppedOverflow.Total()
			if dropped == 0 {
				t.Fatal("nothing was dropped")
			}
			flush(t, q)
			if n := told(rec); n < dropped {
				t.Errorf("Flush %d: %d dropped before and %d told after", i, dropped, n)
			}
		}
		close(stop)
		closeQueue(t, q)
		if n, dropped := told(rec), q.Stats().DroppedOverflow.Total(); n != dropped {
			t.Errorf("Close: %d dropped and %d told", dropped, n)
		}
	})
}

// Flush returns neither while the last report is on its way, nor later because
// of a record that came after.
func TestHandler_flushWaitsForAReportOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, openReports := make(gate), make(gate)
		rec := &handlertest.Recorder{Before: func(ctx context.Context, b slogworks.Batch) error {
			if b.Items[0].Record.Message == dropMessage {
				return openReports.hold(ctx, b)
			}
			return open.hold(ctx, b)
		}}
		q := queue.New(rec.Plain(), &queue.Options{Capacity: 1, MaxBlock: -1})
		mustHandle(t, q, slog.LevelInfo, 1)
		_ = handle(q, slog.LevelInfo, "dropped")
		open <- struct{}{}
		synctest.Wait() // the worker is about to tell
		flushed := make(chan struct{})
		go func() {
			flush(t, q)
			close(flushed)
		}()
		synctest.Wait()
		select {
		case <-flushed:
			t.Error("Flush returned while the report was on its way")
		default:
		}
		mustHandle(t, q, slog.LevelInfo, 1)
		close(openReports)
		synctest.Wait()
		select {
		case <-flushed:
		default:
			t.Error("Flush waits for a record that came after it")
		}
		close(open)
		closeQueue(t, q)
		if told(rec) != 1 {
			t.Errorf("%d told", told(rec))
		}
	})
}

// A batch too large for the queue is told of although there is no backlog.
func TestHandler_tellsWithoutABacklog(t *testing.T) {
	for _, batches := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			rec := new(handlertest.Recorder)
			next := rec.Plain()
			if batches {
				next = rec
			}
			q := queue.New(next, &queue.Options{Capacity: 4})
			start := time.Now()
			for range 2 { // without a worker, and with one that lingers
				if err := q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelError, 5)); err != queue.ErrFull {
					t.Errorf("a batch over capacity: %v", err)
				}
				synctest.Wait()
			}
			if n := told(rec); n != 10 || len(messages(rec)) != 0 || time.Since(start) != 0 {
				t.Errorf("%d told after %v, %d arrived", n, time.Since(start), len(messages(rec)))
			}
			closeQueue(t, q)
			atRest(t, q)
		})
	}
}

// downFor is a sink that is down for reports of drops, until a time.
func downFor(rec *handlertest.Recorder, d time.Duration) (attempts *int) {
	attempts = new(int)
	start := time.Now()
	rec.Before = func(_ context.Context, b slogworks.Batch) error {
		if b.Items[0].Record.Message == dropMessage {
			*attempts++
			if time.Since(start) < d {
				return &slogworks.DeliveryError{Err: errors.New("down")}
			}
		}
		return nil
	}
	return attempts
}

func TestHandler_tellsWhenTheSinkIsUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := new(handlertest.Recorder)
		attempts := downFor(rec, time.Minute)
		q := queue.New(rec, &queue.Options{Capacity: 4})
		first := time.Now()
		for range 3 {
			_ = q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelError, 5))
			time.Sleep(time.Second)
		}
		flush(t, q)
		// A sink that is down is not asked at each look at an empty queue.
		if *attempts != 4 || len(rec.Items()) != 0 {
			t.Errorf("%d attempts, %d records arrived", *attempts, len(rec.Items()))
		}
		time.Sleep(time.Minute)
		// There is nothing else to be done at Shutdown, and no worker.
		closeQueue(t, q)
		all := reports(rec)
		if len(all) != 1 || told(rec) != 15 || !attrs(all[0])["since"].Time().Equal(first) {
			t.Errorf("told as %v, want 15 since %v", all, first)
		}
	})
}

// What a sink that is down was not told at Shutdown is over with it: Flush
// neither waits for it nor calls the sink.
func TestHandler_tellsNothingAfterShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := new(handlertest.Recorder)
		attempts := downFor(rec, time.Hour)
		q := queue.New(rec, &queue.Options{Capacity: 4})
		_ = q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelError, 5))
		closeQueue(t, q)
		*attempts = 0
		flush(t, q)
		closeQueue(t, q)
		if err := q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelError, 5)); err != queue.ErrClosed {
			t.Errorf("%v", err)
		}
		synctest.Wait()
		if *attempts != 0 {
			t.Errorf("the sink was called %d times after Close", *attempts)
		}
	})
}

// A Flush may meet the worker at the very moment when it ends.
func TestHandler_flushMeetsAWorkerThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for i := range 300 {
			rec := new(handlertest.Recorder)
			downFor(rec, time.Hour)
			q := queue.New(rec, &queue.Options{Capacity: 4})
			_ = q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelError, 5))
			time.Sleep(time.Duration(45+i%10) * 200 * time.Microsecond) // it ends after 50
			flush(t, q)
			closeQueue(t, q)
		}
	})
}

// If the sink does not want to know or refuses for good, that is that, and
// OnError gets to know.
func TestHandler_tellsASinkThatRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want []string
	}{
		"fails":          {errors.New("failed"), []string{"failed"}},
		"fails for good": {&slogworks.DeliveryError{Permanent: true, Err: errors.New("failed")}, []string{"failed; permanent"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error { return test.err }}
				var got []string
				q := queue.New(rec, &queue.Options{Capacity: 1, OnError: func(err error) { got = append(got, err.Error()) }})
				_ = q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelError, 5))
				flush(t, q)
				closeQueue(t, q)
				if !slices.Equal(got, test.want) {
					t.Errorf("OnError was called with %q", got)
				}
			})
		})
	}
	t.Run("is not enabled for warnings", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			rec := &handlertest.Recorder{Level: slog.LevelError}
			q := queue.New(rec, &queue.Options{Capacity: 1, OnError: func(err error) { t.Errorf("OnError(%v)", err) }})
			_ = q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelError, 5))
			flush(t, q)
			closeQueue(t, q)
			if n := len(rec.Items()); n != 0 {
				t.Errorf("%d records arrived", n)
			}
		})
	})
	t.Run("panics", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for _, next := range []slog.Handler{brokenWarn{}, handleFunc(func(context.Context, slog.Record) error { panic("Handle") })} {
				var got []string
				q := queue.New(next, &queue.Options{Capacity: 1, OnError: func(err error) { got = append(got, fmt.Sprintf("%T", err)) }})
				_ = q.HandleBatch(context.Background(), batchOf(slogworks.Digest, slog.LevelError, 5))
				flush(t, q)
				closeQueue(t, q)
				if !slices.Equal(got, []string{"*slogworks.PanicError"}) {
					t.Errorf("OnError was called with %q", got)
				}
			}
		})
	})
}

type brokenWarn struct{ handleFunc }

func (brokenWarn) Enabled(context.Context, slog.Level) bool { panic("Enabled") }

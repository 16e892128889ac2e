package limit_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/limit"
)

func TestHandler_flushTellsAndTheWindowGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := new(handlertest.Recorder)
		h := limit.New(rec, &limit.Options{First: 1, Window: time.Minute})
		mustHandle(t, h, 3, slog.LevelInfo, "a")
		for range 2 {
			if err := h.Flush(t.Context()); err != nil {
				t.Error(err)
			}
		}
		mustHandle(t, h, 4, slog.LevelInfo, "a")
		expect(t, rec, "level=INFO msg=a", `level=INFO msg="a (2 more)" limit.count=2`)
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, rec, "level=INFO msg=a", `level=INFO msg="a (2 more)" limit.count=2`, `level=INFO msg="a (4 more)" limit.count=4`)
		shutdown(t, h)
	})
}

func TestHandler_refusesAfterShutdown(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := limit.New(rec, &limit.Options{First: 1})
	mustHandle(t, h, 2, slog.LevelInfo, "a")
	if err := h.WithGroup("g").(*limit.Handler).Close(); err != nil {
		t.Error(err)
	}
	a := record(slog.LevelInfo, "a")
	for name, err := range map[string]error{
		"Handle":                       h.Handle(t.Context(), a),
		"HandleBatch of a Stream":      h.HandleBatch(t.Context(), batchOf(slogworks.Stream, a, a)),
		"HandleBatch of an Escalation": h.HandleBatch(t.Context(), batchOf(slogworks.Escalation, a, a)),
	} {
		if err != limit.ErrClosed {
			t.Errorf("%s returned %v", name, err)
		}
	}
	if s := h.Stats(); s.Closed != 5 || s.Passed != 1 || s.Suppressed != 1 {
		t.Errorf("Stats: %+v", s)
	}
	if n := len(rec.Items()); n != 2 {
		t.Errorf("%d records arrived, want 2", n)
	}
}

// blocking is a next that waits, from its second record on, until it is let go
// or its context ends.
func blocking(entered chan<- struct{}, letGo <-chan struct{}) *handlertest.Recorder {
	first := true
	return &handlertest.Recorder{Before: func(ctx context.Context, _ slogworks.Batch) error {
		if first {
			first = false
			return nil
		}
		entered <- struct{}{}
		select {
		case <-letGo:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
}

func TestHandler_shutdownGivesUpWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reported []error
		entered := make(chan struct{}, 10)
		h := limit.New(blocking(entered, nil), &limit.Options{
			First: 1, Kind: func(_ context.Context, v slogworks.View) string { return v.Message()[:1] },
			OnError: func(err error) { reported = append(reported, err) },
			Rate:    slogworks.Rate{N: 1, Per: time.Hour},
		})
		mustHandle(t, h, 2, slog.LevelInfo, "a")
		mustHandle(t, h, 2, slog.LevelInfo, "b") // over the rate
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		err := h.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "limit: 2 summaries not written: context deadline exceeded" {
			t.Errorf("Shutdown returned %v", err)
		}
		if after := time.Since(start); after != 3*time.Second {
			t.Errorf("Shutdown returned after %v", after)
		}
		synctest.Wait()
		if len(reported) != 1 || !errors.Is(reported[0], context.Canceled) {
			t.Errorf("OnError got %v", reported)
		}
		if err := h.Close(); err != nil {
			t.Errorf("Close returned %v", err)
		}
	})
}

func TestHandler_shutdownWithoutTimeSaysWhatIsNotWritten(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := limit.New(rec, &limit.Options{First: 1})
	mustHandle(t, h, 3, slog.LevelInfo, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Shutdown(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "1 summaries") {
		t.Errorf("Shutdown returned %v", err)
	}
	expect(t, rec, "level=INFO msg=a")
	if s := h.Stats(); s.Suppressed != 2 || s.Summaries != 0 {
		t.Errorf("Stats: %+v", s)
	}
}

func TestHandler_shutdownWaitsForTheSummaryOfTheTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entered, letGo := make(chan struct{}, 10), make(chan struct{})
		rec := blocking(entered, letGo)
		h := limit.New(rec, &limit.Options{First: 1, Window: time.Second})
		mustHandle(t, h, 2, slog.LevelInfo, "a")
		<-entered // by the timer
		done := make(chan error)
		go func() { done <- h.Shutdown(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("Shutdown returned %v while a summary was being written", err)
		default:
		}
		close(letGo)
		if err := <-done; err != nil {
			t.Error(err)
		}
		expect(t, rec, "level=INFO msg=a", `level=INFO msg="a (1 more)" limit.count=1`)
	})
}

// While kinds are evicted into a slow sink there is always somebody who tells of
// one.
func TestHandler_flushWaitsForNothingThatBeginsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		letGo := map[string]chan struct{}{"a (1 more)": make(chan struct{}), "b (1 more)": make(chan struct{})}
		rec := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
			if wait := letGo[b.Items[0].Record.Message]; wait != nil {
				<-wait
			}
			return nil
		}}
		h := limit.New(rec, &limit.Options{First: 1, MaxKinds: 1})
		mustHandle(t, h, 2, slog.LevelInfo, "a")
		go mustHandle(t, h, 1, slog.LevelInfo, "b") // tells of a
		synctest.Wait()
		flushed := make(chan error, 1)
		go func() { flushed <- h.Flush(t.Context()) }()
		synctest.Wait()
		mustHandle(t, h, 1, slog.LevelInfo, "b")
		go mustHandle(t, h, 1, slog.LevelInfo, "c") // tells of b
		synctest.Wait()
		if len(flushed) > 0 {
			t.Errorf("Flush returned %v while a summary was being written", <-flushed)
		}
		close(letGo["a (1 more)"])
		synctest.Wait()
		select {
		case err := <-flushed:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("Flush waits for a summary that was not due when it was called")
		}
		close(letGo["b (1 more)"])
		shutdown(t, h)
	})
}

func TestHandler_survivesGoexit(t *testing.T) {
	rec := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
		if b.Items[0].Record.Message == "a (1 more)" {
			runtime.Goexit()
		}
		return nil
	}}
	told := make(chan error, 1)
	h := limit.New(rec, &limit.Options{First: 1, OnError: func(err error) { told <- err }})
	mustHandle(t, h, 2, slog.LevelInfo, "a")
	mustHandle(t, h, 2, slog.LevelInfo, "b")
	ctx, cancel := context.WithTimeout(t.Context(), peertest.Patience)
	defer cancel()
	if err := h.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-told; err.Error() != "limit: 2 summaries not written: the next handler has ended its goroutine" {
		t.Errorf("OnError got %v", err)
	}
	mustHandle(t, h, 1, slog.LevelInfo, "b")
	shutdown(t, h)
	expect(t, rec, "level=INFO msg=a", "level=INFO msg=b", `level=INFO msg="b (1 more)" limit.count=1`)
}

func TestHandler_reportsASummaryThatCannotBeWritten(t *testing.T) {
	down := errors.New("down")
	for name, test := range map[string]struct {
		fail func() error
		want func(err error) bool
	}{
		"an error": {func() error { return down }, func(err error) bool { return errors.Is(err, down) }},
		"a panic": {func() error { panic(down) }, func(err error) bool {
			var p *slogworks.PanicError
			return errors.As(err, &p) && p.Value == down
		}},
	} {
		var reported []error
		failing := false
		rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error {
			if failing {
				return test.fail()
			}
			return nil
		}}
		h := limit.New(rec, &limit.Options{First: 1, OnError: func(err error) {
			reported = append(reported, err)
			panic("ignored")
		}})
		mustHandle(t, h, 2, slog.LevelInfo, "a")
		failing = true
		shutdown(t, h)
		if len(reported) != 1 || !test.want(reported[0]) || !strings.HasPrefix(reported[0].Error(), "limit: summary not written: ") {
			t.Errorf("%s: OnError got %v", name, reported)
		}
		if s := h.Stats(); s.Suppressed != 1 || s.Summaries != 0 {
			t.Errorf("%s: Stats: %+v", name, s)
		}
	}
}

func TestHandler_mayBeLoggedToByNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *limit.Handler
		rec := &handlertest.Recorder{}
		rec.Before = func(ctx context.Context, b slogworks.Batch) error {
			if !strings.HasPrefix(b.Items[0].Record.Message, "inner") {
				return h.Handle(ctx, record(slog.LevelInfo, "inner"))
			}
			return nil
		}
		h = limit.New(rec, &limit.Options{First: 1, MaxKinds: 1, Window: time.Second})
		mustHandle(t, h, 5, slog.LevelInfo, "a")
		mustHandle(t, h, 5, slog.LevelInfo, "b")
		time.Sleep(time.Minute)
		shutdown(t, h)
		if s := h.Stats(); s.Passed+s.Suppressed < 12 {
			t.Errorf("Stats: %+v", s)
		}
	})
}

func TestHandler_hasNoGoroutineWhileNothingIsTold(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := limit.New(rec, &limit.Options{First: 1, Window: time.Hour, Rate: slogworks.Rate{N: 2, Per: time.Hour}})
	mustHandle(t, h, 3, slog.LevelInfo, "a")
	mustHandle(t, h, 3, slog.LevelInfo, "b")
	mustHandle(t, h, 3, slog.LevelInfo, "c")
	// One of an earlier test may be about to end.
	peertest.WaitFor(t, "no goroutine while nothing is to be told yet", func() bool {
		return !strings.Contains(peertest.Stacks(), "limit.(*core)")
	})
	shutdown(t, h)
}

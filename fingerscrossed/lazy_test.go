package fingerscrossed_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

// lazily returns a Lazy that opens next. A nil one it refuses as others do.
func lazily(next slog.Handler) *fingerscrossed.LazyHandler {
	fingerscrossed.New(next, nil)
	return fingerscrossed.Lazy(slog.LevelDebug, func() (slog.Handler, io.Closer, error) { return next, nil, nil })
}

func TestLazyHandler_conforms(t *testing.T) {
	// Before it has opened next, it cannot know whether next is enabled.
	handlertest.Run(t, func(next slog.Handler) slog.Handler {
		h := lazily(next)
		fingerscrossed.OpenNow(h)
		return h
	})
}

func TestLazyHandler_opensForTheFirstRecordItIsEnabledFor(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc/self/fd")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	h := fingerscrossed.Lazy(nil, func() (slog.Handler, io.Closer, error) {
		f, err := os.Create(path)
		if err != nil {
			return nil, nil, err
		}
		return slog.NewTextHandler(f, &slog.HandlerOptions{ReplaceAttr: withoutTime}), f, nil
	})
	logger := slog.New(h).With("k", 1).WithGroup("g")
	logger.Debug("below")
	if err := h.Handle(t.Context(), slog.Record{Level: slog.LevelDebug}); err != nil {
		t.Error(err)
	}
	if err := h.HandleBatch(t.Context(), slogworks.Batch{Items: []slogworks.Item{{Record: slog.Record{Level: slog.LevelDebug}}}}); err != nil {
		t.Error(err)
	}
	if err := slogworks.Flush(t.Context(), h); err != nil {
		t.Error(err)
	}
	if filesIn(t, dir) != 0 || h.Unwrap() != nil || !h.Enabled(t.Context(), slog.LevelInfo) {
		t.Error("it is open before there was a record for it")
	}
	logger.Info("first", "n", 1)
	logger.Warn("second", "n", 2)
	if filesIn(t, dir) != 1 || h.Unwrap() == nil {
		t.Errorf("%d files are open, and behind it is %v", filesIn(t, dir), h.Unwrap())
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if filesIn(t, dir) != 0 {
		t.Error("Close does not close the file")
	}
	content, err := os.ReadFile(path)
	if want := "level=INFO msg=first k=1 g.n=1\nlevel=WARN msg=second k=1 g.n=2\n"; err != nil || string(content) != want {
		t.Errorf("the file has %q, %v", content, err)
	}
}

func TestLazyHandler_untriggeredOpensNothing(t *testing.T) {
	lazy := fingerscrossed.Lazy(slog.LevelDebug, func() (slog.Handler, io.Closer, error) {
		t.Error("it was opened")
		return nil, nil, errFailed
	})
	h := fingerscrossed.New(lazy, &fingerscrossed.Options{Process: true})
	logAll(t.Context(), slog.New(h), "d1 d2")
	h.Process().End(nil)
	ctx, s := h.Begin(t.Context())
	logAll(ctx, slog.New(h), "d3")
	s.End(nil)
	for range 2 {
		if err := slogworks.Flush(t.Context(), h); err != nil {
			t.Error(err)
		}
		if err := slogworks.Shutdown(t.Context(), h); err != nil {
			t.Error(err)
		}
	}
	if err := lazy.Handle(t.Context(), slog.Record{Level: slog.LevelError}); err != fingerscrossed.ErrClosed {
		t.Errorf("Handle after Shutdown returned %v", err)
	}
	b := slogworks.Batch{Kind: slogworks.Escalation, Items: make([]slogworks.Item, 3)}
	if err := lazy.HandleBatch(t.Context(), b); err != fingerscrossed.ErrClosed {
		t.Errorf("HandleBatch after Shutdown returned %v", err)
	}
	if got := lazy.Account(); got.Accepted != 4 || got.Dropped["closed"] != 4 {
		t.Errorf("the account is %+v", got)
	}
}

func TestLazyHandler_triesAgainAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		rec := new(handlertest.Recorder)
		h := fingerscrossed.Lazy(nil, func() (slog.Handler, io.Closer, error) {
			calls++
			switch calls {
			case 1:
				return nil, nil, errFailed
			case 2:
				panic(errFailed)
			case 3:
				return nil, nil, nil
			}
			return rec, nil, nil
		})
		derived := h.WithGroup("g")
		for i := range 3 {
			for _, wait := range []time.Duration{0, time.Second - 1, 1} {
				time.Sleep(wait)
				before := calls
				err := derived.Handle(t.Context(), slog.Record{Level: slog.LevelInfo})
				if wait == 1 {
					// A second after the failure open is called again.
					if calls != before+1 {
						t.Errorf("a second after failure %d, open was not called again", i+1)
					}
					break
				}
				if err == nil || !strings.HasPrefix(err.Error(), "fingerscrossed: open: ") || calls > i+1 {
					t.Errorf("after failure %d, Handle returned %v, and open was called %d times", i+1, err, calls)
				}
				if i < 2 && !errors.Is(err, errFailed) {
					t.Errorf("Handle returned %v", err)
				}
			}
		}
		account := h.Account()
		if account.Accepted != account.Delivered+account.Dropped["failed"] || account.Delivered != 1 || len(rec.Items()) != 1 {
			t.Errorf("the account is %+v", account)
		}
		if err := h.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestLazyHandler_opensOnceForManyAtOnce(t *testing.T) {
	calls, closed := 0, 0
	rec := new(handlertest.Recorder)
	gate := make(chan struct{})
	h := fingerscrossed.Lazy(nil, func() (slog.Handler, io.Closer, error) {
		calls++
		<-gate
		return rec, closeFunc(func() error { closed++; return nil }), nil
	})
	var wg, started sync.WaitGroup
	for range 10 {
		started.Add(1)
		wg.Go(func() {
			started.Done()
			if err := h.Handle(t.Context(), slog.Record{Level: slog.LevelInfo}); err != nil {
				t.Error(err)
			}
		})
	}
	started.Wait()
	close(gate)
	wg.Wait()
	if calls != 1 || len(rec.Items()) != 10 {
		t.Errorf("for 10 records, of which %d arrived, open was called %d times", len(rec.Items()), calls)
	}
	for range 2 {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	if closed != 1 {
		t.Errorf("the Closer was closed %d times", closed)
	}
}

func TestLazyHandler_closesWhatOpensTooLate(t *testing.T) {
	closed := 0
	rec := new(handlertest.Recorder)
	opening, gate := make(chan struct{}), make(chan struct{})
	h := fingerscrossed.Lazy(nil, func() (slog.Handler, io.Closer, error) {
		close(opening)
		<-gate
		return rec, closeFunc(func() error { closed++; return nil }), nil
	})
	errs := make(chan error, 2)
	for range 2 {
		go func() { errs <- h.Handle(t.Context(), slog.Record{Level: slog.LevelInfo}) }()
	}
	<-opening
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	close(gate)
	for range 2 {
		if err := <-errs; err != fingerscrossed.ErrClosed {
			t.Errorf("Handle returned %v", err)
		}
	}
	if closed != 1 || len(rec.Items()) != 0 || h.Unwrap() != nil || h.Account().Dropped["closed"] != 2 {
		t.Errorf("it was closed %d times, %d records arrived, and the account is %+v", closed, len(rec.Items()), h.Account())
	}
}

func TestLazyHandler_refusesWhatOpenLogsToIt(t *testing.T) {
	rec := new(handlertest.Recorder)
	var h *fingerscrossed.LazyHandler
	var inner error
	h = fingerscrossed.Lazy(nil, func() (slog.Handler, io.Closer, error) {
		inner = h.Handle(context.Background(), slog.Record{Level: slog.LevelInfo, Message: "opening"})
		return rec, nil, nil
	})
	done := make(chan error)
	go func() { done <- h.Handle(context.Background(), slog.Record{Level: slog.LevelInfo, Message: "first"}) }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("deadlock")
	}
	if inner == nil {
		t.Error("what open logged was not refused")
	}
	wantMessages(t, rec, "first")
	if got := h.Account(); got.Accepted != 2 || got.Dropped["failed"] != 1 {
		t.Errorf("the account is %+v", got)
	}
}

func TestLazyHandler_passesBatchesOn(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := fingerscrossed.Lazy(slog.LevelInfo, func() (slog.Handler, io.Closer, error) { return rec, nil, nil })
	batch := func(messages string) slogworks.Batch {
		b := slogworks.Batch{Kind: slogworks.Escalation, Dropped: 1}
		for _, m := range strings.Fields(messages) {
			b.Items = append(b.Items, slogworks.Item{Context: t.Context(), Record: slog.Record{Level: levelOf(m), Message: m}})
		}
		return b
	}
	for _, messages := range []string{"i1 e1", "d2 e2", "i3 d3", "d4"} {
		b := batch(messages)
		if err := h.HandleBatch(t.Context(), b); err != nil {
			t.Error(err)
		}
		if b.Items[0].Record.Message != strings.Fields(messages)[0] {
			t.Error("the caller's batch was changed")
		}
	}
	wantBatches(t, rec, "escalation i1 e1, 1 dropped", "escalation e2, 1 dropped", "stream i3, 1 dropped")

	delivery := &slogworks.DeliveryError{Accepted: 1, Err: errFailed}
	rec.Before = func(context.Context, slogworks.Batch) error { return delivery }
	if err := h.HandleBatch(t.Context(), batch("i1 i2 i3")); err != delivery {
		t.Errorf("the error for a whole batch is %v", err)
	}
	err := h.HandleBatch(t.Context(), batch("d1 i2 i3"))
	if d, ok := err.(*slogworks.DeliveryError); !ok || d.Accepted != 2 || !errors.Is(err, errFailed) {
		t.Errorf("the error for part of a batch is %#v, want 2 accepted of the whole", err)
	}
	if got := h.Account(); got.Accepted != 9 || got.Delivered != 6 || got.Dropped["failed"] != 3 {
		t.Errorf("the account is %+v", got)
	}
}

func TestLazyHandler_Shutdown_endsWhatItOpenedBeforeItClosesIt(t *testing.T) {
	for _, shutdown := range []func(context.Context, *fingerscrossed.LazyHandler) error{
		func(ctx context.Context, h *fingerscrossed.LazyHandler) error { return slogworks.Shutdown(ctx, h) },
		func(ctx context.Context, h *fingerscrossed.LazyHandler) error { return h.Shutdown(ctx) },
	} {
		closed := false
		rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error {
			runtime.Gosched()
			if closed {
				return errors.New("file already closed")
			}
			return nil
		}}
		h := fingerscrossed.Lazy(nil, func() (slog.Handler, io.Closer, error) {
			return queue.New(rec, nil), closeFunc(func() error { closed = true; return nil }), nil
		})
		for range 100 {
			slog.New(h).Info("i")
		}
		if err := shutdown(t.Context(), h); err != nil {
			t.Error(err)
		}
		if got := len(rec.Items()); got != 100 || !closed {
			t.Errorf("of 100 records in a queue, %d were written before the file was closed", got)
		}
	}
}

func TestLazyHandler_Shutdown_returnsTheErrorOfClose(t *testing.T) {
	for _, f := range []func() error{func() error { return errFailed }, func() error { panic(errFailed) }} {
		h := fingerscrossed.Lazy(nil, func() (slog.Handler, io.Closer, error) {
			return new(handlertest.Recorder), closeFunc(f), nil
		})
		slog.New(h).Info("i")
		if err := h.Shutdown(t.Context()); !errors.Is(err, errFailed) {
			t.Errorf("Shutdown returned %v", err)
		}
	}
}

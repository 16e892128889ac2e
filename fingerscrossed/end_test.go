package fingerscrossed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/handlertest"
)

func TestHandler_Shutdown_endsTheInnerBeforeTheOuter(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{MaxRecords: 100})
	outerCtx, outer := h.Begin(t.Context())
	innerCtx, inner := h.Begin(outerCtx)
	logAll(innerCtx, logger, "i-inner-1 d") // in use before the outer one
	logAll(outerCtx, logger, "i-outer-1 d")
	secondCtx, _ := h.Begin(outerCtx)
	logAll(secondCtx, logger, "i-second")
	otherCtx, other := h.Begin(t.Context())
	logAll(otherCtx, logger, "i-other")
	_, empty := h.Begin(t.Context())
	shutDown(t, h)
	// What the inner ones held, the outer one has held before it ended.
	if got, want := outer.Stats(), (fingerscrossed.Stats{Accepted: 5, Written: 3, Discarded: 2}); got != want {
		t.Errorf("the counts of the outer scope are %+v, want %+v", got, want)
	}
	wantMessages(t, rec, "i-outer-1 i-inner-1 i-second i-other")
	for _, s := range []*fingerscrossed.Scope{outer, inner, other, empty} {
		if err := s.Trigger(); err != nil {
			t.Error(err)
		}
		s.Discard()
		failed := errFailed
		s.End(&failed)
	}
	wantMessages(t, rec, "i-outer-1 i-inner-1 i-second i-other")
	if got, want := h.Stats(), (fingerscrossed.Stats{Accepted: 6, Written: 4, Discarded: 2}); got != want {
		t.Errorf("the counts are %+v, want %+v", got, want)
	}
}

func TestHandler_Shutdown_endsTheProcessLast(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{Process: true})
	logAll(t.Context(), logger, "d-process i-process")
	ctx, _ := h.Begin(t.Context())
	logAll(ctx, logger, "d i")
	innerCtx, _ := h.Begin(ctx)
	logAll(innerCtx, logger, "d i2")
	shutDown(t, h)
	wantMessages(t, rec, "i-process i i2")
	if got, want := h.Stats(), (fingerscrossed.Stats{Accepted: 6, Written: 3, Discarded: 3}); got != want {
		t.Errorf("the counts are %+v, want %+v", got, want)
	}
	h.Process().End(nil)
	if err := h.Process().Trigger(); err != nil {
		t.Error(err)
	}
}

func TestHandler_refusesRecordsAfterShutdown(t *testing.T) {
	for _, opts := range []*fingerscrossed.Options{nil, {Process: true}, {Live: true}} {
		h, _, rec := batched(opts)
		ctx, s := h.Begin(t.Context())
		usedCtx, used := h.Begin(t.Context())
		released, scope := h.Begin(t.Context())
		logAll(usedCtx, slog.New(h), "d")
		if err := scope.Trigger(); err != nil {
			t.Error(err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		newCtx, _ := h.Begin(t.Context())
		n := uint64(0)
		for _, ctx := range []context.Context{t.Context(), ctx, usedCtx, released, newCtx} {
			for _, h := range []slog.Handler{h, h.WithAttrs([]slog.Attr{slog.Int("k", 1)}), bind(s, h), bind(used, h)} {
				for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelError} {
					n++
					if err := h.Handle(ctx, slog.NewRecord(time.Time{}, level, "late", 0)); err != fingerscrossed.ErrClosed {
						t.Errorf("Handle returned %v", err)
					}
				}
			}
		}
		b := slogworks.Batch{Items: make([]slogworks.Item, 3)}
		for _, kind := range []slogworks.Kind{slogworks.Stream, slogworks.Escalation} {
			b.Kind = kind
			n += 3
			if err := h.HandleBatch(t.Context(), b); err != fingerscrossed.ErrClosed {
				t.Errorf("HandleBatch returned %v", err)
			}
		}
		s.End(nil)
		used.End(nil)
		wantMessages(t, rec, "")
		if got := h.Account().Dropped["closed"]; got != n {
			t.Errorf("of %d records, %d are counted as closed", n, got)
		}
		shutDown(t, h)
	}
}

func TestHandler_Flush_releasesNothingThatIsHeld(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{Process: true})
	ctx, s := h.Begin(t.Context())
	logAll(ctx, logger, "d")
	logAll(t.Context(), logger, "d")
	for range 2 {
		if err := slogworks.Flush(t.Context(), h); err != nil {
			t.Error(err)
		}
	}
	wantMessages(t, rec, "")
	s.End(nil)
	shutDown(t, h)
}

// stuck returns a handler whose next one stands still until the gate is closed,
// or, if it minds its context, until that ends.
func stuck(opts *fingerscrossed.Options, mindsContext bool) (h *fingerscrossed.Handler, rec *handlertest.Recorder, gate chan struct{}) {
	gate = make(chan struct{})
	rec = &handlertest.Recorder{Before: func(ctx context.Context, _ slogworks.Batch) error {
		if !mindsContext {
			<-gate
			return nil
		}
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	return fingerscrossed.New(rec.Plain(), opts), rec, gate
}

func TestHandler_Flush_waitsForWhatIsBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, rec, gate := stuck(nil, false)
		logger := slog.New(h)
		ctx, s := h.Begin(t.Context())
		logAll(ctx, logger, "d1")
		go logAll(ctx, logger, "e1")
		synctest.Wait()

		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Flush(soon); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush with a second of time returned %v", err)
		}
		if err := h.Flush(soon); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush with no time returned %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			close(gate)
		}()
		if err := h.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		wantMessages(t, rec, "d1 e1")
		s.End(nil)
		shutDown(t, h)
	})
}

func TestHandler_Shutdown_givesUpWhenItsContextEnds(t *testing.T) {
	for _, mindsContext := range []bool{false, true} {
		for _, at := range []string{"a release", "an end", "Shutdown", "eviction"} {
			t.Run(fmt.Sprintf("stuck in %s, mindful: %t", at, mindsContext), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h, rec, gate := stuck(&fingerscrossed.Options{MaxRecords: 10, OnError: func(error) {}}, mindsContext)
					logger := slog.New(h)
					ctx, s := h.Begin(t.Context())
					otherCtx, other := h.Begin(t.Context())
					logAll(otherCtx, logger, "i d")
					logAll(ctx, logger, "i1 i2 i3")
					var wg sync.WaitGroup
					accepted := uint64(5)
					var waiting sync.WaitGroup
					switch at {
					case "a release":
						wg.Go(func() { logAll(ctx, logger, "e1") })
						synctest.Wait()
						wg.Go(func() { logAll(ctx, logger, "e2") })
						wg.Go(func() { s.End(nil) })
						accepted += 2
					case "an end":
						wg.Go(func() { s.End(nil) })
					case "eviction":
						wg.Go(func() { logAll(ctx, logger, "i4 i5 i6 i7 i8 i9 i10 i11") })
						synctest.Wait()
						for range 4 {
							waiting.Go(func() {
								for range 20 {
									_ = h.Handle(ctx, slog.Record{Level: slog.LevelDebug, Message: "d"})
								}
							})
						}
						accepted += 8 + 80
					}
					synctest.Wait()
					start := time.Now()
					soon, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					err := h.Shutdown(soon)
					if took := time.Since(start); took != time.Second {
						t.Errorf("Shutdown with a second of time took %v", took)
					}
					if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "records not written") {
						t.Errorf("Shutdown returned %v", err)
					}
					waiting.Wait() // nobody waits for what is given up
					if !mindsContext {
						close(gate)
					}
					wg.Wait() // the one that is stuck has been cancelled, or goes on
					synctest.Wait()
					other.End(nil)
					if got := h.Account(); got.Accepted != accepted || got.Delivered != uint64(len(rec.Items())) {
						t.Errorf("%d records were logged, %d arrived, and the account is %+v", accepted, len(rec.Items()), got)
					}
					if n := len(rec.Items()); n > 2 || mindsContext && n > 0 {
						t.Errorf("%s was written, and only what was in hand of two scopes could be", messages(rec))
					}
					shutDown(t, h)
				})
			})
		}
	}
}

func TestHandler_Shutdown_refusesARecordOnItsWay(t *testing.T) {
	h, logger, rec := batched(nil)
	ctx, s := h.Begin(t.Context())
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "i", 0)
	r.AddAttrs(slog.Any("key", chatty(func() { shutDown(t, h) })))
	if err := h.Handle(ctx, r); err != fingerscrossed.ErrClosed {
		t.Errorf("Handle returned %v", err)
	}
	logAll(ctx, logger, "i")
	s.End(nil)
	wantMessages(t, rec, "")
	if got := h.Account().Dropped["closed"]; got != 2 {
		t.Errorf("%d records are counted as closed", got)
	}
	shutDown(t, h)
}

func TestHandler_Shutdown_thatGivesUpEndsTheContextsOfWhatItWrote(t *testing.T) {
	h, logger, rec := batched(nil)
	ctx, s := h.Begin(t.Context())
	ctx, cancel := context.WithCancelCause(ctx)
	logAll(ctx, logger, "d1 e1")
	cancel(errFailed)
	s.End(nil)
	kept := rec.Items()[0].Context
	derived, cancelDerived := context.WithCancel(kept)
	defer cancelDerived()
	if kept.Err() != nil || derived.Err() != nil {
		t.Errorf("before, the contexts ended with %v and %v", kept.Err(), derived.Err())
	}
	over, cancelOver := context.WithCancel(t.Context())
	cancelOver()
	if err := h.Shutdown(over); err != nil {
		t.Error(err)
	}
	<-derived.Done()
	if kept.Err() != context.Canceled || context.Cause(kept) != context.Canceled || context.Cause(derived) != context.Canceled {
		t.Errorf("the contexts ended with %v and %v, because of %v and %v", kept.Err(), derived.Err(), context.Cause(kept), context.Cause(derived))
	}
}

func TestHandler_Shutdown_withoutTimeDropsWhatIsHeld(t *testing.T) {
	h, logger, rec := batched(nil)
	ctx, s := h.Begin(t.Context())
	logAll(ctx, logger, "d1 i1")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Shutdown(over); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "2 records") {
		t.Errorf("Shutdown returned %v", err)
	}
	s.End(nil)
	wantMessages(t, rec, "")
	if got := h.Stats(); got.Discarded != 2 {
		t.Errorf("the counts are %+v", got)
	}
	if err := h.Shutdown(over); err != nil {
		t.Errorf("a second Shutdown, with nothing to do, returned %v", err)
	}
	shutDown(t, h)
}

func TestHandler_Shutdown_thatGivesUpLeavesOtherHandlersAlone(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has pools forget")
	}
	for range 20 {
		var outer *fingerscrossed.Scope
		other, otherLogger, otherRec := batched(nil)
		var otherCtx context.Context
		var otherScope *fingerscrossed.Scope
		h, logger, _ := batched(&fingerscrossed.Options{
			Open: func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) {
				return new(handlertest.Recorder), closeFunc(func() error {
					// This ends while Shutdown has it on its list, and what it
					// had is used again.
					outer.End(nil)
					otherCtx, otherScope = other.Begin(context.Background())
					logAll(otherCtx, otherLogger, "d1 i1")
					return nil
				}), nil
			},
		})
		var outerCtx context.Context
		outerCtx, outer = h.Begin(t.Context())
		ctx, inner := h.Begin(outerCtx)
		logAll(ctx, logger, "e1")
		logAll(outerCtx, logger, "d")
		over, cancel := context.WithCancel(t.Context())
		cancel()
		_ = h.Shutdown(over)
		if err := otherScope.Trigger(); err != nil {
			t.Fatal(err)
		}
		wantMessages(t, otherRec, "d1 i1")
		otherScope.End(nil)
		inner.End(nil)
		shutDown(t, h)
		shutDown(t, other)
	}
}

func TestHandler_Shutdown_mayComeWhileEverythingGoesOn(t *testing.T) {
	for _, opts := range []*fingerscrossed.Options{nil, {Process: true}, {After: fingerscrossed.Rearm, MaxRecords: 3}} {
		for range 5 {
			h, logger, rec := batched(opts)
			var wg sync.WaitGroup
			started := make(chan struct{}, 100)
			logged := make([]int, 8)
			for g := range logged {
				wg.Go(func() {
					for i := 0; ; i++ {
						ctx, s := h.Begin(t.Context())
						innerCtx, inner := h.Begin(ctx)
						logAll(ctx, logger, "d w")
						logAll(innerCtx, logger, "d")
						if err := h.Handle(innerCtx, slog.NewRecord(time.Time{}, slog.LevelInfo, "counted", 0)); err == fingerscrossed.ErrClosed {
							s.End(nil)
							inner.End(nil)
							return
						}
						logged[g]++
						if i%3 == 0 {
							logAll(innerCtx, logger, "e")
						}
						inner.End(nil)
						if i%2 == 0 {
							s.End(nil)
						}
						if i == 5 {
							started <- struct{}{}
						}
					}
				})
			}
			for range logged {
				<-started
			}
			for range 3 {
				wg.Go(func() {
					if err := h.Shutdown(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			shutDown(t, h)
			want := 0
			for _, n := range logged {
				want += n
			}
			if got := strings.Count(messages(rec), "counted"); got != want {
				t.Fatalf("of %d records at Info, %d were written", want, got)
			}
		}
	}
}

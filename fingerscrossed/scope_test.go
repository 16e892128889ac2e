package fingerscrossed_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/handlertest"
)

// logAll logs the messages, each at the level that its first letter stands for.
func logAll(ctx context.Context, l *slog.Logger, messages string) {
	for _, message := range strings.Fields(messages) {
		l.Log(ctx, levelOf(message), message)
	}
}

func levelOf(message string) slog.Level {
	switch message[0] {
	case 'd':
		return slog.LevelDebug
	case 'w':
		return slog.LevelWarn
	case 'e':
		return slog.LevelError
	}
	return slog.LevelInfo
}

func TestScope_writesWhatIsDueWhenNothingTriggers(t *testing.T) {
	h, logger, rec := batched(nil)
	ctx, s := h.Begin(t.Context())
	logAll(ctx, logger, "d1 i1 d2 w1 i2 d3")
	wantMessages(t, rec, "")
	if got, want := s.Stats(), (fingerscrossed.Stats{Accepted: 6, Held: 6}); got != want {
		t.Errorf("before the end the counts of the scope are %+v", got)
	}
	if got := h.Stats(); got != s.Stats() {
		t.Errorf("before the end the counts of the handler are %+v", got)
	}
	s.End(nil)
	wantMessages(t, rec, "i1 w1 i2")
	wantBatches(t, rec)
	want := fingerscrossed.Stats{Accepted: 6, Written: 3, Discarded: 3}
	if s.Stats() != want || h.Stats() != want {
		t.Errorf("the counts are %+v for the scope and %+v for the handler", s.Stats(), h.Stats())
	}
	shutDown(t, h)
}

func TestScope_releasesWhatItHoldsWithTheTriggerLast(t *testing.T) {
	for _, test := range []struct {
		name        string
		opts        fingerscrossed.Options
		want        string
		wantBatches []string
		discarded   uint64
	}{
		{"by default", fingerscrossed.Options{},
			"d1 i1 e1 d2 i2 e2 d3 i3", []string{"escalation d1 i1 e1"}, 0},
		{"with PassLevel", fingerscrossed.Options{After: fingerscrossed.PassLevel},
			"d1 i1 e1 i2 e2 i3", []string{"escalation d1 i1 e1"}, 0},
		{"with Rearm", fingerscrossed.Options{After: fingerscrossed.Rearm},
			"d1 i1 e1 d2 i2 e2 i3", []string{"escalation d1 i1 e1", "escalation d2 i2 e2"}, 1},
		{"with Live", fingerscrossed.Options{Live: true},
			"i1 d1 e1 d2 i2 e2 d3 i3", []string{"escalation d1 e1"}, 0},
		{"with Live and Rearm", fingerscrossed.Options{Live: true, After: fingerscrossed.Rearm},
			"i1 d1 e1 i2 d2 e2 i3", []string{"escalation d1 e1", "escalation d2 e2"}, 1},
		{"with Trigger", fingerscrossed.Options{Trigger: slog.LevelInfo},
			"d1 i1 e1 d2 i2 e2 d3 i3", []string{"escalation d1 i1"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, logger, rec := batched(&test.opts)
			alone, loggerAlone, recAlone := plain(&test.opts)
			ctx, s := h.Begin(t.Context())
			ctxAlone, sAlone := alone.Begin(t.Context())
			for _, message := range strings.Fields("d1 i1 e1 d2 i2 e2 d3 i3") {
				logAll(ctx, logger, message)
				logAll(ctxAlone, loggerAlone, message)
				if levelOf(message) >= slog.LevelError && !strings.HasSuffix(messages(rec), message) {
					t.Errorf("%s was not written when the call returned: %s", message, messages(rec))
				}
			}
			s.End(nil)
			sAlone.End(nil)
			wantMessages(t, rec, test.want)
			wantMessages(t, recAlone, test.want)
			wantBatches(t, rec, test.wantBatches...)
			if got := s.Stats(); got.Escalations != uint64(len(test.wantBatches)) || got.Discarded != test.discarded || sAlone.Stats() != got {
				t.Errorf("the counts are %+v and without batches %+v", got, sAlone.Stats())
			}
			shutDown(t, h)
			shutDown(t, alone)
		})
	}
}

func TestScope_End_releasesOnFailureOnly(t *testing.T) {
	for _, test := range []struct {
		name     string
		f        func() error
		panics   any
		released bool
	}{
		{"nil", func() error { return nil }, nil, false},
		{"an error", func() error { return errFailed }, nil, true},
		{"a panic", func() error { panic("oops") }, "oops", true},
		{"a panic with an error", func() error { panic(errFailed) }, errFailed, true},
		{"a runtime error", func() error { return fmt.Errorf("%v", []int{}[len(os.Args)]) }, "index out of range", true},
		{"panic(nil)", func() error { panic(nil) }, "panic called with nil argument", true},
		{"http.ErrAbortHandler", func() error { panic(http.ErrAbortHandler) }, http.ErrAbortHandler, false},
		{"an error that reads like one", func() error { panic(abortError{}) }, abortError{}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, logger, rec := batched(nil)
			run := func(ctx context.Context) (err error) {
				ctx, s := h.Begin(ctx)
				defer s.End(&err)
				logAll(ctx, logger, "d1 i1 d2")
				return test.f()
			}
			do := func(ctx context.Context) error {
				return h.Do(ctx, func(ctx context.Context) error {
					logAll(ctx, logger, "d1 i1 d2")
					return test.f()
				})
			}
			for name, call := range map[string]func(context.Context) error{"defer s.End(&err)": run, "Do": do} {
				before := len(rec.Items())
				value, stack := rescue(func() {
					err := call(t.Context())
					if want := test.f(); err != want {
						t.Errorf("%s returned %v, want %v", name, err, want)
					}
				})
				if test.panics == nil && value != nil || test.panics != nil && !strings.Contains(fmt.Sprint(value), fmt.Sprint(test.panics)) {
					t.Errorf("with %s the panic was %v, want %v", name, value, test.panics)
				}
				if err, ok := test.panics.(error); ok && value != err {
					t.Errorf("with %s the value of the panic changed to %#v", name, value)
				}
				if test.panics != nil && !strings.Contains(stack, "TestScope_End_releasesOnFailureOnly.func") {
					t.Errorf("with %s the stack of the panic does not show who panicked:\n%s", name, stack)
				}
				want := "i1"
				if test.released {
					want = "d1 i1 d2"
				}
				if got := strings.TrimSpace(messagesFrom(rec, before)); got != want {
					t.Errorf("with %s %q was written, want %q", name, got, want)
				}
			}
			shutDown(t, h)
		})
	}
}

type abortError struct{}

func (abortError) Error() string { return http.ErrAbortHandler.Error() }

func messagesFrom(rec *handlertest.Recorder, first int) string {
	var s string
	for _, item := range rec.Items()[first:] {
		s += " " + item.Record.Message
	}
	return s
}

// rescue returns what f panics with, and the stack as whoever recovers sees it.
func rescue(f func()) (value any, stack string) {
	defer func() {
		if value = recover(); value != nil {
			stack = string(debug.Stack())
		}
	}()
	f()
	return nil, ""
}

func TestScope_End_takesGoexitForNoFailure(t *testing.T) {
	h, logger, rec := batched(nil)
	var err error
	left := make(chan struct{})
	go func() {
		defer close(left)
		ctx, s := h.Begin(context.Background())
		defer s.End(&err)
		logAll(ctx, logger, "d1 i1")
		runtime.Goexit()
	}()
	<-left
	wantMessages(t, rec, "i1")
	shutDown(t, h)
}

func TestScope_End_mayBeCalledAgainAndAtOnce(t *testing.T) {
	h, logger, rec := batched(nil)
	ctx, s := h.Begin(t.Context())
	logAll(ctx, logger, "i1 d1")
	failed := errFailed
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			s.End(nil)
			if got := messages(rec); got != "i1" {
				t.Errorf("when End returns, %q is written", got)
			}
		})
	}
	wg.Wait()
	s.End(&failed)
	if err := s.Trigger(); err != nil {
		t.Error(err)
	}
	s.Discard()
	wantMessages(t, rec, "i1")

	_, empty := h.Begin(t.Context())
	empty.End(nil)
	empty.End(&failed)
	if got := h.Scope(ctx); got != s {
		t.Errorf("the context is in the scope %v", got)
	}
	shutDown(t, h)
}

func TestScope_methodsDoNothingOnNil(t *testing.T) {
	h, logger, rec := plain(nil)
	s := h.Scope(t.Context())
	if s != nil || h.Process() != nil {
		t.Fatalf("there is a scope %v and a process buffer %v", s, h.Process())
	}
	failed := errFailed
	s.End(&failed)
	if err := s.Trigger(); err != nil {
		t.Error(err)
	}
	s.Discard()
	if got := s.Stats(); got != (fingerscrossed.Stats{}) {
		t.Errorf("the counts of no scope are %+v", got)
	}
	if got := s.Logger(logger); got != logger {
		t.Error("no scope changes a logger")
	}
	value, _ := rescue(func() {
		defer s.End(nil)
		panic("oops")
	})
	if value != "oops" {
		t.Errorf("the panic became %v", value)
	}
	wantMessages(t, rec, "")
}

func TestScope_Trigger_releasesWithoutARecord(t *testing.T) {
	h, logger, rec := batched(nil)
	ctx, s := h.Begin(t.Context())
	logAll(ctx, logger, "d1 i1")
	for range 2 {
		if err := s.Trigger(); err != nil {
			t.Error(err)
		}
	}
	logAll(ctx, logger, "d2")
	s.End(nil)
	wantMessages(t, rec, "d1 i1 d2")
	wantBatches(t, rec, "escalation d1 i1")

	ctx, s = h.Begin(t.Context())
	if err := s.Trigger(); err != nil { // the ?debug of a request
		t.Error(err)
	}
	logAll(ctx, logger, "d3")
	wantMessages(t, rec, "d1 i1 d2 d3")
	s.End(nil)
	shutDown(t, h)
}

func TestScope_Trigger_withNothingHeldIsNoEscalation(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{TotalBytes: 1, After: fingerscrossed.Rearm})
	ctx, s := h.Begin(t.Context())
	logAll(ctx, logger, "d1 d2") // for which there is no room
	if err := s.Trigger(); err != nil {
		t.Error(err)
	}
	if got := s.Stats().Escalations; got != 0 {
		t.Errorf("%d escalations are counted", got)
	}
	logAll(ctx, logger, "e1")
	wantBatches(t, rec, "escalation e1, 2 dropped")
	s.End(nil)
	shutDown(t, h)
}

func TestScope_Trigger_releasesWhatQueuesBehindAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error { <-gate; return nil }}
		h := fingerscrossed.New(rec, &fingerscrossed.Options{MaxRecords: 2, After: fingerscrossed.Rearm})
		logger := slog.New(h)
		ctx, s := h.Begin(t.Context())
		go logAll(ctx, logger, "i1 i2 i3") // the third has the first written
		synctest.Wait()
		go logAll(ctx, logger, "e1")
		synctest.Wait()
		logAll(ctx, logger, "d2")
		go func() {
			if err := s.Trigger(); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		close(gate)
		synctest.Wait()
		wantMessages(t, rec, "i1 i2 i3 e1 d2")
		wantBatches(t, rec, "escalation i2 i3 e1", "escalation d2")
		s.End(nil)
		shutDown(t, h)
	})
}

func TestScope_Trigger_returnsTheErrorsOfWriting(t *testing.T) {
	for _, takesBatches := range []bool{false, true} {
		var told []error
		rec := &handlertest.Recorder{Before: refuse}
		next := slog.Handler(rec)
		if !takesBatches {
			next = rec.Plain()
		}
		h := fingerscrossed.New(next, &fingerscrossed.Options{OnError: func(err error) { told = append(told, err) }})
		logger := slog.New(h)

		ctx, s := h.Begin(t.Context())
		logAll(ctx, logger, "d1 d2")
		if err := s.Trigger(); !errors.Is(err, errFailed) || strings.Count(err.Error(), "fingerscrossed: ") != 1 {
			t.Errorf("Trigger returned %v", err)
		}
		s.End(nil)
		if len(told) != 0 {
			t.Errorf("OnError was told %v, which Trigger returned", told)
		}

		ctx, s = h.Begin(t.Context())
		logAll(ctx, logger, "d1 d2")
		r := slog.NewRecord(time.Time{}, slog.LevelError, "e", 0)
		err := h.Handle(ctx, r)
		if !errors.Is(err, errFailed) || len(told) != 0 {
			t.Errorf("Handle of a record that triggers returned %v, and OnError was told %v", err, told)
		}
		s.End(nil)

		ctx, s = h.Begin(t.Context())
		logAll(ctx, logger, "i1 i2 i3")
		s.End(nil)
		if len(told) != 1 || !errors.Is(told[0], errFailed) || strings.Count(told[0].Error(), "fingerscrossed: ") != 1 {
			t.Errorf("of the errors of End, OnError was told %v", told)
		}
		if got, want := h.Stats(), (fingerscrossed.Stats{Accepted: 8, Failed: 8, Escalations: 2}); got != want {
			t.Errorf("the counts are %+v, want %+v", got, want)
		}
		shutDown(t, h)
	}
}

func TestScope_Discard_dropsAndStaysArmed(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{MaxRecords: 3})
	ctx, s := h.Begin(t.Context())
	logAll(ctx, logger, "d0 d1 i1 d2")
	s.Discard()
	wantBalanced(t, h)
	if got, want := s.Stats(), (fingerscrossed.Stats{Accepted: 4, Discarded: 3, Evicted: 1}); got != want {
		t.Errorf("the counts are %+v, want %+v", got, want)
	}
	logAll(ctx, logger, "d3 e1")
	wantBatches(t, rec, "escalation d3 e1")
	logAll(ctx, logger, "d4")
	s.Discard()
	s.End(nil)
	wantMessages(t, rec, "d3 e1 d4")
	shutDown(t, h)
}

func TestScope_Logger_needsNoContext(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := fingerscrossed.New(rec, nil)
	for name, logger := range map[string]*slog.Logger{
		"of the handler":         slog.New(h),
		"of a derived handler":   slog.New(h).With("k", 1).WithGroup("g"),
		"of handlers before it":  slog.New(fanout.New(h)),
		"of derived ones before": slog.New(fanout.New(h).WithGroup("g")),
	} {
		t.Run(name, func(t *testing.T) {
			before := len(rec.Items())
			_, other := h.Begin(t.Context())
			otherLogger := other.Logger(logger)
			ctx, s := h.Begin(t.Context())
			bound := s.Logger(logger)
			bound.Debug("d1")
			bound.With("k", 2).WithGroup("g2").Debug("d2")
			s.Logger(otherLogger).Debug("d3")
			logger.DebugContext(ctx, "d4")
			otherLogger.DebugContext(ctx, "not d")
			if !bound.Enabled(context.Background(), slog.LevelDebug) || logger.Enabled(context.Background(), slog.LevelDebug) {
				t.Error("the bound logger is not enabled, or the other one is")
			}
			if got := len(rec.Items()); got != before {
				t.Errorf("%d records were not held", got-before)
			}
			bound.Error("e1")
			if got, want := messagesFrom(rec, before), " d1 d2 d3 d4 e1"; got != want {
				t.Errorf("what arrived is %s, want %s", got, want)
			}
			s.End(nil)
			bound.Debug("late")
			bound.Info("i1")
			other.End(nil)
			if got, want := messagesFrom(rec, before), " d1 d2 d3 d4 e1 i1"; got != want {
				t.Errorf("after the end, what arrived is %s, want %s", got, want)
			}
		})
	}
	shutDown(t, h)
}

func TestScope_takesLateRecordsForThoseOutside(t *testing.T) {
	h, logger, rec := batched(nil)
	ctx, s := h.Begin(t.Context())
	logAll(ctx, logger, "d1")
	s.End(nil)
	logAll(ctx, logger, "d2 i1 e1")
	wantMessages(t, rec, "i1 e1")
	if h.Enabled(ctx, slog.LevelDebug) {
		t.Error("a scope that has ended is enabled at Debug")
	}

	outerCtx, outer := h.Begin(t.Context())
	innerCtx, inner := h.Begin(outerCtx)
	inner.End(nil)
	logAll(innerCtx, logger, "d3 i2")
	nestedCtx, nested := h.Begin(innerCtx)
	logAll(nestedCtx, logger, "d4")
	nested.End(nil)
	wantMessages(t, rec, "i1 e1")
	logAll(innerCtx, logger, "e2")
	wantBatches(t, rec, "escalation d3 i2 d4 e2")
	outer.End(nil)
	shutDown(t, h)
}

func TestScope_takesRecordsOfAGoroutineThatOutlivesIt(t *testing.T) {
	const each = 500
	h, logger, rec := batched(nil)
	var wg sync.WaitGroup
	for range 4 {
		ctx, s := h.Begin(t.Context())
		for range 4 {
			wg.Go(func() {
				for range each {
					logger.InfoContext(ctx, "i")
					logger.DebugContext(ctx, "d")
				}
			})
		}
		wg.Go(func() {
			for s.Stats().Accepted < each {
				runtime.Gosched()
			}
			s.End(nil)
		})
	}
	wg.Wait()
	if got := strings.Count(messages(rec), "i"); got != 16*each {
		t.Errorf("of %d records at Info, %d were written", 16*each, got)
	}
	if strings.Contains(messages(rec), "d") {
		t.Error("records at Debug were written")
	}
	shutDown(t, h)
}

func TestScope_releasesTheScopesAroundItFirst(t *testing.T) {
	h, logger, rec := batched(nil)
	outerCtx, outer := h.Begin(t.Context())
	middleCtx, middle := h.Begin(outerCtx)
	innerCtx, inner := h.Begin(middleCtx)
	siblingCtx, sibling := h.Begin(middleCtx)
	logAll(innerCtx, logger, "d-inner")
	logAll(siblingCtx, logger, "d-sibling")
	logAll(outerCtx, logger, "d-outer")
	logAll(middleCtx, logger, "d-middle")
	logAll(innerCtx, logger, "e-inner")
	wantBatches(t, rec, "escalation d-outer", "escalation d-middle", "escalation d-inner e-inner")
	sibling.End(nil)
	inner.End(nil)
	middle.End(nil)
	outer.End(nil)
	wantMessages(t, rec, "d-outer d-middle d-inner e-inner")

	outerCtx, outer = h.Begin(t.Context())
	logAll(outerCtx, logger, "d-outer-2")
	failed := errFailed
	_, inner = h.Begin(outerCtx)
	inner.End(&failed) // holds nothing itself
	wantMessages(t, rec, "d-outer d-middle d-inner e-inner d-outer-2")
	outer.End(nil)
	shutDown(t, h)
}

func TestScope_givesWhatItHoldsToTheScopeAroundIt(t *testing.T) {
	h, logger, rec := batched(nil)
	outerCtx, outer := h.Begin(t.Context())
	innerCtx, inner := h.Begin(outerCtx)
	logAll(outerCtx, logger, "d1")
	logAll(innerCtx, logger, "d2 i1")
	logAll(outerCtx, logger, "d3")
	inner.End(nil)
	if got, want := inner.Stats(), (fingerscrossed.Stats{}); got != want {
		t.Errorf("the counts of the inner scope are %+v", got)
	}
	if got, want := outer.Stats(), (fingerscrossed.Stats{Accepted: 4, Held: 4}); got != want {
		t.Errorf("the counts of the outer scope are %+v", got)
	}
	wantBalanced(t, h)
	logAll(outerCtx, logger, "e1")
	wantBatches(t, rec, "escalation d1 d3 d2 i1 e1")

	innerCtx, inner = h.Begin(outerCtx) // in one that was released
	logAll(innerCtx, logger, "d4 i2")
	inner.End(nil)
	outer.End(nil)
	wantMessages(t, rec, "d1 d3 d2 i1 e1 i2")

	outerCtx, outer = h.Begin(t.Context())
	innerCtx, inner = h.Begin(outerCtx)
	outer.End(nil) // before the inner one
	logAll(innerCtx, logger, "d5 i3")
	inner.End(nil)
	wantMessages(t, rec, "d1 d3 d2 i1 e1 i2 i3")

	outerCtx, outer = h.Begin(t.Context()) // holds nothing itself
	innerCtx, inner = h.Begin(outerCtx)
	logAll(innerCtx, logger, "d6 i4")
	inner.End(nil)
	outer.End(nil)
	wantMessages(t, rec, "d1 d3 d2 i1 e1 i2 i3 i4")
	shutDown(t, h)
}

func TestScope_isNotReleasedByTheScopeAroundIt(t *testing.T) {
	h, logger, rec := batched(nil)
	outerCtx, outer := h.Begin(t.Context())
	innerCtx, inner := h.Begin(outerCtx)
	logAll(outerCtx, logger, "d1")
	logAll(innerCtx, logger, "d2 i1")
	logAll(outerCtx, logger, "e1")
	wantMessages(t, rec, "d1 e1")
	inner.End(nil)
	wantMessages(t, rec, "d1 e1 i1")
	outer.End(nil)
	shutDown(t, h)
}

func TestScope_givesItsRoomToTheScopeAroundIt(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{TotalBytes: 12 << 10})
	outerCtx, outer := h.Begin(t.Context())
	innerCtx, inner := h.Begin(outerCtx)
	for range 20 {
		logAll(innerCtx, logger, "d1")
	}
	inner.End(nil)
	logAll(outerCtx, logger, "e1")
	if got := len(rec.Batches()[0].Items); got != 21 {
		t.Errorf("of 21 records, %d arrived in the batch %s", got, describe(rec.Batches()[0]))
	}
	outer.End(nil)
	shutDown(t, h)
}

func TestScope_countsWhatArrivesAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, rec, gate := stuck(nil, false)
		ctx, s := h.Begin(t.Context())
		if err := s.Trigger(); err != nil {
			t.Error(err)
		}
		go logAll(ctx, slog.New(h), "d1")
		synctest.Wait()
		s.End(nil)
		close(gate)
		synctest.Wait()
		wantMessages(t, rec, "d1")
		if want := (fingerscrossed.Stats{Accepted: 1, Written: 1}); h.Stats() != want || s.Stats() != want {
			t.Errorf("the counts are %+v, and of the scope %+v", h.Stats(), s.Stats())
		}
		shutDown(t, h)
	})
}

func TestScope_givesTooMuchToTheScopeAroundIt(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{MaxRecords: 4})
	outerCtx, outer := h.Begin(t.Context())
	innerCtx, inner := h.Begin(outerCtx)
	logAll(outerCtx, logger, "d1 i1 d2 i2")
	logAll(innerCtx, logger, "d3 d4 d5 i3 i4")
	inner.End(nil)
	wantMessages(t, rec, "i1 i2")
	logAll(outerCtx, logger, "e1")
	wantBatches(t, rec, "escalation d4 d5 i3 i4 e1, 3 dropped")
	outer.End(nil)
	shutDown(t, h)
}

func TestScope_thatIsSlowReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, logger, rec := batched(&fingerscrossed.Options{Slow: time.Second})
		for _, took := range []time.Duration{time.Second, time.Second + 1} {
			ctx, s := h.Begin(t.Context())
			logAll(ctx, logger, "d i")
			time.Sleep(took)
			s.End(nil)
		}
		wantMessages(t, rec, "i d i")
		wantBatches(t, rec, "escalation d i")
		shutDown(t, h)
	})
}

func TestScope_thatIsNeverEndedIsEndedWhenItIsGarbage(t *testing.T) {
	type key struct{}
	h, logger, rec := batched(nil)
	func() {
		for range 10 {
			ctx, _ := h.Begin(t.Context())
			// These lead from what is held back to the scope.
			ctx = context.WithValue(ctx, key{}, "value")
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			logger.With("k", 1).DebugContext(ctx, "d", "err", errFailed)
			logAll(ctx, logger, "d i")
			innerCtx, _ := h.Begin(ctx)
			logAll(innerCtx, logger, "d i")
		}
	}()
	if got := h.Stats(); got.Held != 50 || fingerscrossed.Granted(h) == 0 {
		t.Errorf("before, the counts are %+v", got)
	}
	deadline := time.Now().Add(20 * time.Second)
	for h.Stats().Abandoned < 20 || h.Stats().Held > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("the counts are %+v", h.Stats())
		}
		runtime.GC()
	}
	if got, want := h.Stats(), (fingerscrossed.Stats{Accepted: 50, Written: 20, Discarded: 30, Abandoned: 20}); got != want {
		t.Errorf("the counts are %+v, want %+v", got, want)
	}
	if got := strings.Count(messages(rec), "i"); got != 20 || len(rec.Items()) != 20 {
		t.Errorf("of 20 records at Info, %d were written, and %d in all", got, len(rec.Items()))
	}
	for fingerscrossed.InUse(h) > 0 && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	wantBalanced(t, h)
	shutDown(t, h)
}

func TestScope_isNotEndedWhileItsContextIsInUse(t *testing.T) {
	h, logger, rec := batched(nil)
	type key struct{}
	derived := func() context.Context {
		ctx, _ := h.Begin(t.Context())
		return context.WithValue(ctx, key{}, 1)
	}()
	logAll(derived, logger, "d1")
	for range 5 {
		runtime.GC()
	}
	logAll(derived, logger, "e1")
	wantMessages(t, rec, "d1 e1")
	h.Scope(derived).End(nil)
	if got := h.Stats().Abandoned; got != 0 {
		t.Errorf("%d scopes are counted as abandoned", got)
	}
	shutDown(t, h)
}

// refuse is for Recorder.Before.
func refuse(context.Context, slogworks.Batch) error { return errFailed }

func TestHandler_Begin_takesNoContextForTheEmptyOne(t *testing.T) {
	var b strings.Builder
	h := fingerscrossed.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}), nil)
	var none context.Context
	ctx, s := h.Begin(none)
	slog.New(h).InfoContext(ctx, "held")
	s.End(nil)
	if ctx.Err() != nil || ctx.Value("none") != nil || !strings.Contains(b.String(), "held") {
		t.Errorf("wrote %q", &b)
	}
}

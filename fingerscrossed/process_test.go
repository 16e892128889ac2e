package fingerscrossed_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/handlertest"
)

func TestHandler_holdsForTheProcess(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{Process: true})
	ctx := t.Context()
	logAll(ctx, logger, "d1 i1 d2")
	wantMessages(t, rec, "i1") // does not wait
	logAll(ctx, logger, "e1 d3")
	wantBatches(t, rec, "escalation d1 d2 e1")
	logAll(ctx, logger, "e2") // it holds again
	wantBatches(t, rec, "escalation d1 d2 e1", "escalation d3 e2")
	logAll(ctx, logger, "d4")
	h.Process().Discard()
	logAll(ctx, logger, "d5")
	if err := h.Process().Trigger(); err != nil {
		t.Error(err)
	}
	logAll(ctx, logger, "d6")
	h.Process().End(nil)
	logAll(ctx, logger, "d7 e3")
	wantBatches(t, rec, "escalation d1 d2 e1", "escalation d3 e2", "escalation d5", "escalation d7 e3")
	failed := errFailed
	logAll(ctx, logger, "d8")
	h.Process().End(&failed)
	wantMessages(t, rec, "i1 d1 d2 e1 d3 e2 d5 d7 e3 d8")
	if !h.Enabled(ctx, slog.LevelDebug) {
		t.Error("the process holds nothing any more")
	}
	if got, want := h.Stats(), (fingerscrossed.Stats{Accepted: 12, Written: 10, Discarded: 2, Escalations: 5}); got != want {
		t.Errorf("the counts are %+v, want %+v", got, want)
	}
	shutDown(t, h)
}

// As in Logbook: from the first warning on, everything.
func TestHandler_mayPassAllAfterATriggerInTheProcess(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{Process: true, After: fingerscrossed.PassAll, Trigger: slog.LevelWarn})
	ctx := t.Context()
	logAll(ctx, logger, "d1 w1 d2 w2")
	wantMessages(t, rec, "d1 w1 d2 w2")
	wantBatches(t, rec, "escalation d1 w1")
	h.Process().End(nil)
	logAll(ctx, logger, "d3")
	wantMessages(t, rec, "d1 w1 d2 w2")
	shutDown(t, h)
}

func TestHandler_hasTheProcessAroundAllScopes(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{Process: true})
	ctx, s := h.Begin(t.Context())
	logAll(t.Context(), logger, "d1")
	logAll(ctx, logger, "d2 i2")
	s.End(nil)
	logAll(ctx, logger, "d3") // late
	wantMessages(t, rec, "i2")
	ctx, s = h.Begin(t.Context())
	logAll(ctx, logger, "d4 e4")
	wantBatches(t, rec, "escalation d1 d2 d3", "escalation d4 e4")
	s.End(nil)
	if h.Scope(t.Context()) != nil {
		t.Error("a context without a scope is in one")
	}
	shutDown(t, h)
}

func TestHandler_opensAFileForEachEndOfTheProcess(t *testing.T) {
	o := new(opener)
	h, logger, _ := batched(&fingerscrossed.Options{Process: true, Open: o.Open})
	logAll(t.Context(), logger, "d1 e1 d2 e2")
	if o.open != 1 {
		t.Errorf("%d files are open", o.open)
	}
	h.Process().End(nil)
	if o.open != 0 {
		t.Error("End does not close the file")
	}
	logAll(t.Context(), logger, "d3 e3")
	h.Process().End(nil)
	if len(o.opened) != 2 || messages(o.opened[0]) != "d1 e1 d2 e2" || messages(o.opened[1]) != "d3 e3" {
		t.Errorf("%d files were opened", len(o.opened))
	}
	shutDown(t, h)
}

func TestHandler_letsWhatTheProcessClosesLog(t *testing.T) {
	var logger *slog.Logger
	files := 0
	h, logger, rec := batched(&fingerscrossed.Options{
		Process: true,
		Open: func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) {
			if files++; files > 1 {
				return nil, nil, errFailed
			}
			return new(handlertest.Recorder), closeFunc(func() error {
				logAll(context.Background(), logger, "d2 e2")
				return nil
			}), nil
		},
	})
	logAll(context.Background(), logger, "d1 e1")
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Process().End(nil)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("deadlock")
	}
	wantMessages(t, rec, "d2 e2")
	shutDown(t, h)
}

func TestHandler_saysWhatTheProcessDroppedInALazyFile(t *testing.T) {
	rec := new(handlertest.Recorder)
	opened := 0
	next := slog.Handler(rec.Plain())
	lazy := fingerscrossed.Lazy(slog.LevelDebug, func() (slog.Handler, io.Closer, error) { opened++; return next, nil, nil })
	h := fingerscrossed.New(lazy, &fingerscrossed.Options{Process: true, MaxRecords: 2})
	logAll(context.Background(), slog.New(h), "d1 d2 d3")
	if opened != 0 {
		t.Error("the file was opened before anything triggered")
	}
	logAll(context.Background(), slog.New(h), "e1")
	wantMessages(t, rec, "slogworks: records dropped d2 d3 e1")

	next = rec
	lazy = fingerscrossed.Lazy(slog.LevelDebug, func() (slog.Handler, io.Closer, error) { return next, nil, nil })
	h = fingerscrossed.New(lazy, &fingerscrossed.Options{Process: true, MaxRecords: 2})
	logAll(context.Background(), slog.New(h), "d1 d2 d3 e1")
	wantBatches(t, rec, "escalation d2 d3 e1, 1 dropped")
	if err := slogworks.Shutdown(t.Context(), h); err != nil {
		t.Error(err)
	}
}

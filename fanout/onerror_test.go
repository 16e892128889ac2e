package fanout_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
)

// report is one call of a report function.
type report struct {
	item    any // the value of the context
	message string
	attrs   string
	err     error
}

// reporter returns a function for OnError and what it was called with.
func reporter() (func(context.Context, slogworks.View, error), *[]report) {
	var reports []report
	return func(ctx context.Context, v slogworks.View, err error) {
		reports = append(reports, report{ctx.Value(itemKey{}), v.Message(), attrsOf(record(info, "", slices.Collect(v.Attrs())...)), err})
	}, &reports
}

func TestErrorHandler_reportsAndReturnsTheErrors(t *testing.T) {
	f, reports := reporter()
	delivery := &slogworks.DeliveryError{Permanent: true, Err: errBroken}
	for _, want := range []error{errBroken, delivery} {
		*reports = nil
		h := fanout.OnError(failing(want), f)
		derived := h.WithAttrs([]slog.Attr{slog.Int("with", 1)}).WithGroup("g").WithAttrs([]slog.Attr{slog.Int("with", 2)})
		ctx := context.WithValue(t.Context(), itemKey{}, "ctx")
		if err := derived.Handle(ctx, record(info, "message", slog.Int("own", 3))); err != want {
			t.Errorf("Handle returned %#v for %#v", err, want)
		}
		if got := []report{{"ctx", "message", "with=1 g.with=2 g.own=3", want}}; !slices.Equal(*reports, got) {
			t.Errorf("the reports are %v, want %v", *reports, got)
		}
	}
}

func TestErrorHandler_isSilentWhereNothingFails(t *testing.T) {
	f, reports := reporter()
	rec := &handlertest.Recorder{Level: warn}
	h := fanout.OnError(rec, f)
	for _, level := range []slog.Level{info, warn} {
		if err := h.Handle(t.Context(), record(level, level.String())); err != nil {
			t.Error(err)
		}
	}
	if err := h.HandleBatch(t.Context(), batchOf(slogworks.Digest, info, warn)); err != nil {
		t.Error(err)
	}
	wantMessages(t, rec, "WARN", "1")
	if len(*reports) > 0 {
		t.Errorf("reports %v", *reports)
	}
}

func TestErrorHandler_reportsABatchOnceWithTheFirstItemNotDelivered(t *testing.T) {
	single := &handlertest.Recorder{Level: info, Before: func(_ context.Context, b slogworks.Batch) error {
		if b.Items[0].Record.Message == "4" {
			return errBroken
		}
		return nil
	}}
	from := func(level slog.Level, err error) slog.Handler {
		rec := failing(err)
		rec.Level = level
		return rec
	}
	for _, test := range []struct {
		name     string
		to       slog.Handler
		item     string
		accepted int // -1: not a DeliveryError
	}{
		{"the third", failing(delivered(2)), "2", 2},
		{"one that is not a DeliveryError", failing(errBroken), "0", -1},
		{"one that is not a DeliveryError, for part of a batch", from(info, errBroken), "1", -1},
		{"fewer than none accepted", failing(delivered(-1)), "0", 0},
		{"all accepted and yet an error", failing(delivered(5)), "4", 5},
		{"more accepted than there are", failing(delivered(99)), "4", 5},
		{"the second of part of a batch", from(info, delivered(1)), "2", 2},
		{"a panic", panicking(errBroken), "0", -1},
		{"a handler of single records", single.Plain(), "4", 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, reports := reporter()
			err := fanout.OnError(test.to, f).HandleBatch(t.Context(), batchOf(slogworks.Escalation, debug, info, info, debug, grave))
			if len(*reports) != 1 {
				t.Fatalf("%d reports", len(*reports))
			}
			got := (*reports)[0]
			if got.message != test.item || got.attrs != "n="+test.item {
				t.Errorf("reported with item %s (%s), want %s", got.message, got.attrs, test.item)
			}
			if got.item == nil {
				t.Error("reported with another context than that of the item")
			}
			if got.err != err || !errors.Is(err, errBroken) {
				t.Errorf("%v was reported and %v returned", got.err, err)
			}
			delivery, ok := err.(*slogworks.DeliveryError)
			if ok != (test.accepted >= 0) || ok && delivery.Accepted != test.accepted {
				t.Errorf("HandleBatch returned %#v", err)
			}
		})
	}
}

func TestErrorHandler_passesOnTheDeliveryErrorOfABatchAsItIs(t *testing.T) {
	want := &slogworks.DeliveryError{Accepted: 1, Done: []string{"a"}, After: time.Second, Uncertain: true, Err: errBroken}
	f, _ := reporter()
	if got := fanout.OnError(failing(want), f).HandleBatch(t.Context(), batchOf(slogworks.Digest, info, info)); got != want {
		t.Errorf("HandleBatch returned %#v", got)
	}
}

func TestErrorHandler_survivesAReportThatPanics(t *testing.T) {
	other := errors.New("other")
	throw := func(context.Context, slogworks.View, error) { panic(errBroken) }
	h := fanout.OnError(failing(other), throw)
	err := h.Handle(t.Context(), record(info, "message"))
	wantPanicError(t, err)
	if !errors.Is(err, other) {
		t.Errorf("Handle returned %v, without what the handler returned", err)
	}

	want := &slogworks.DeliveryError{Accepted: 1, Done: []string{"a"}, After: time.Second, Permanent: true, Uncertain: true, Err: other}
	err = fanout.OnError(failing(want), throw).HandleBatch(t.Context(), batchOf(slogworks.Digest, info, info))
	wantPanicError(t, err)
	got, ok := err.(*slogworks.DeliveryError)
	if !ok || got.Accepted != 1 || !slices.Equal(got.Done, want.Done) || got.After != want.After || !got.Permanent || !got.Uncertain || !errors.Is(err, other) {
		t.Errorf("HandleBatch returned %#v, want what the handler returned and the panic", err)
	}
	if want.Err != other {
		t.Error("the handler's own error was changed")
	}
}

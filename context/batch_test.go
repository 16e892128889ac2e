package slogctx_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"

	"github.com/slogworks/slogworks"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
)

// messages returns what is in a batch, the kind first.
func messages(b slogworks.Batch) []string {
	all := []string{b.Kind.String()}
	for _, item := range b.Items {
		all = append(all, item.Record.Message)
	}
	return all
}

// wantBatch fails the test unless rec got this batch and no other.
func wantBatch(t *testing.T, rec *handlertest.Recorder, want ...string) {
	t.Helper()
	batches := rec.Batches()
	if len(batches) != 1 || !slices.Equal(messages(batches[0]), want) {
		t.Errorf("got the batches %v, want one of %q", batches, want)
	}
}

func escalation(items ...slogworks.Item) slogworks.Batch {
	return slogworks.Batch{ID: "id", Kind: slogworks.Escalation, Items: items, Dropped: 1}
}

func TestStack_givesEachHandlerItsPartOfABatchAsOne(t *testing.T) {
	base, over, bound := new(handlertest.Recorder), new(handlertest.Recorder), new(handlertest.Recorder)
	s := slogctx.NewStack(base)
	s.Push(over, &slogctx.Binding{Bubble: true, When: slogworks.MessageContains("!")})
	inBound := slogctx.Bind(t.Context(), bound, nil)
	if err := s.HandleBatch(t.Context(), escalation(
		slogworks.Item{Context: t.Context(), Record: record("a")},
		slogworks.Item{Context: inBound, Record: record("b")},
		slogworks.Item{Context: slogctx.Bind(t.Context(), slogctx.Blackhole(), nil), Record: record("c!")},
		slogworks.Item{Context: inBound, Record: record("d")},
		slogworks.Item{Record: record("e!")},
	)); err != nil {
		t.Error(err)
	}
	wantBatch(t, base, "escalation", "a", "e!")
	wantBatch(t, over, "escalation", "e!")
	wantBatch(t, bound, "stream", "b", "d")
	if b := base.Batches()[0]; b.ID != "id" || b.Dropped != 1 {
		t.Errorf("a part has lost what it had of the batch: %+v", b)
	}
}

func TestStack_processesTheItemsOfABatchOnce(t *testing.T) {
	rec := new(handlertest.Recorder)
	s := slogctx.NewStack(slogctx.New(rec, nil))
	s.Push(slog.NewTextHandler(io.Discard, nil), &slogctx.Binding{Bubble: true})
	value := []byte("then")
	ctx := slogctx.Process(t.Context(), func(_ context.Context, r *slog.Record) { r.AddAttrs(slog.Any("value", value)) })
	b := escalation(
		slogworks.Item{Context: ctx, Record: record("processed", slog.Int("own", 1))},
		slogworks.Item{Context: t.Context(), Record: record("plain", slog.Int("own", 2))},
	)
	if err := s.HandleBatch(t.Context(), b); err != nil {
		t.Error(err)
	}
	copy(value, "late")
	var w output
	for _, item := range rec.Items() {
		if err := lines(&w).Handle(item.Context, item.Record); err != nil {
			t.Error(err)
		}
	}
	w.want(t, `{"level":"INFO","msg":"processed","own":1,"value":"dGhlbg=="}`, `{"level":"INFO","msg":"plain","own":2}`)
	if b.Items[0].Context != ctx || b.Items[0].Record.NumAttrs() != 1 {
		t.Error("an item of the caller's batch was changed")
	}
}

func TestStack_countsTheItemsOfTheBatchInADeliveryError(t *testing.T) {
	for _, tt := range []struct{ accepted, want int }{{0, 1}, {1, 3}, {2, 5}, {-1, 1}, {9, 5}} {
		given := &slogworks.DeliveryError{Accepted: tt.accepted, Permanent: true}
		rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error { return given }}
		s := slogctx.NewStack(slog.DiscardHandler)
		s.Push(rec, &slogctx.Binding{When: slogworks.MessageContains("!")})
		var items []slogworks.Item
		for _, message := range []string{"a", "b!", "c", "d!", "e"} {
			items = append(items, slogworks.Item{Context: t.Context(), Record: record(message)})
		}
		err := s.HandleBatch(t.Context(), escalation(items...))
		if got, ok := err.(*slogworks.DeliveryError); !ok || got.Accepted != tt.want || !got.Permanent {
			t.Errorf("the handler has accepted %d of its items, and HandleBatch returns %#v, want %d accepted", tt.accepted, err, tt.want)
		}
		if given.Accepted != tt.accepted {
			t.Error("the error of the handler was changed")
		}
	}
}

func TestStack_joinsTheErrorsOfABatch(t *testing.T) {
	first, second := &slogworks.DeliveryError{Permanent: true}, errors.New("second")
	failing := func(err error) *handlertest.Recorder {
		return &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error { return err }}
	}
	s := slogctx.NewStack(failing(second))
	s.Push(failing(first), &slogctx.Binding{Bubble: true})
	err := s.HandleBatch(t.Context(), escalation(slogworks.Item{Context: t.Context(), Record: record("m")}))
	if _, ok := err.(*slogworks.DeliveryError); ok || !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("HandleBatch returned %#v", err)
	}
}

func TestStack_handsOnNothingOfABatchThatNobodyWants(t *testing.T) {
	rec := &handlertest.Recorder{Level: slog.LevelError}
	err := slogctx.NewStack(rec).HandleBatch(t.Context(), escalation(slogworks.Item{Context: t.Context(), Record: record("m")}))
	if err != nil || len(rec.Batches()) > 0 {
		t.Errorf("HandleBatch returned %v, and %d batches arrived", err, len(rec.Batches()))
	}
}

// Of several handlers, nobody can try again what one of them did not take.
func TestStack_goesOnBehindARecordThatFails(t *testing.T) {
	failing := func() *handlertest.Recorder {
		return &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
			if b.Items[0].Record.Message == "1" {
				return io.ErrClosedPipe
			}
			return nil
		}}
	}
	first, second := failing(), failing()
	s := slogctx.NewStack(first.Plain())
	s.Push(fanout.AtLeast(second.Plain(), slog.LevelDebug), &slogctx.Binding{Bubble: true})
	var b slogworks.Batch
	for _, message := range []string{"0", "1", "2"} {
		b.Items = append(b.Items, slogworks.Item{Context: t.Context(), Record: slog.Record{Message: message}})
	}
	if err := s.HandleBatch(t.Context(), b); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the error is %v", err)
	}
	for _, rec := range []*handlertest.Recorder{first, second} {
		if items := rec.Items(); len(items) != 2 || items[1].Record.Message != "2" {
			t.Errorf("a handler got %d records", len(items))
		}
	}
}

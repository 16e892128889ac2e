package stage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/stage"
)

// initial is what slog starts with, had before anything can change it.
var initial = slog.Default().Handler()

var errBroken = errors.New("broken")

// panicOf returns what f panics with as a text, or "" if it does not.
func panicOf(f func()) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprint(p)
		}
	}()
	f()
	return ""
}

func TestRequire_returnsTheHandler(t *testing.T) {
	h := new(handlertest.Recorder)
	if got := stage.Require("pkg", h); got != h {
		t.Errorf("Require returned %v", got)
	}
}

func TestRequire_refusesWhatWouldFailLater(t *testing.T) {
	if got := panicOf(func() { stage.Require("pkg", nil) }); got != "pkg: nil Handler" {
		t.Errorf("of nil: panic %q", got)
	}
	got := panicOf(func() { stage.Require("pkg", initial) })
	if !strings.HasPrefix(got, "pkg: ") || !strings.Contains(got, "deadlocks") || !strings.Contains(got, "slog.NewTextHandler(os.Stderr, nil)") {
		t.Errorf("of slog's default handler: panic %q", got)
	}
}

func TestLevel_hasADefault(t *testing.T) {
	if got := stage.Level("pkg", nil, slog.LevelWarn).Level(); got != slog.LevelWarn {
		t.Errorf("in place of nil it is %v", got)
	}
	var level slog.LevelVar
	got := stage.Level("pkg", &level, slog.LevelWarn)
	level.Set(slog.LevelError)
	if got.Level() != slog.LevelError {
		t.Errorf("a LevelVar set to ERROR gives %v", got.Level())
	}
}

func TestLevel_refusesANilPointer(t *testing.T) {
	var none *slog.LevelVar
	got := panicOf(func() { stage.Level("pkg", none, slog.LevelWarn) })
	if !strings.HasPrefix(got, "pkg: nil *slog.LevelVar") {
		t.Errorf("panic %q", got)
	}
}

func TestRescue_leavesAnErrorAlone(t *testing.T) {
	f := func() (err error) {
		defer stage.Rescue(&err)
		return errBroken
	}
	if err := f(); err != errBroken {
		t.Errorf("the error became %v", err)
	}
}

// wantPanicError checks that err is the panic with the value errBroken.
func wantPanicError(t *testing.T, err error) {
	t.Helper()
	panicked, ok := err.(*slogworks.PanicError)
	if !ok || panicked.Value != errBroken {
		t.Errorf("the error is %#v, not the panic", err)
		return
	}
	if !bytes.Contains(panicked.Stack, []byte("stage_test")) {
		t.Errorf("the stack does not lead to where the panic was:\n%s", panicked.Stack)
	}
}

func record(level slog.Level, message string) slog.Record {
	return slog.Record{Level: level, Message: message}
}

// answering returns a handler that answers to each record by its message.
func answering(answers map[string]error) *handlertest.Recorder {
	return &handlertest.Recorder{Level: slog.LevelInfo, Before: func(_ context.Context, b slogworks.Batch) error {
		err := answers[b.Items[0].Record.Message]
		if err == errBroken {
			panic(err)
		}
		return err
	}}
}

func messages(rec *handlertest.Recorder) []string {
	var all []string
	for _, item := range rec.Items() {
		all = append(all, item.Record.Message)
	}
	return all
}

func TestHandle_returnsAPanicAsAnError(t *testing.T) {
	full := errors.New("full")
	rec := answering(map[string]error{"full": full, "broken": errBroken})
	for message, check := range map[string]func(error){
		"fine": func(err error) {
			if err != nil {
				t.Error(err)
			}
		},
		"full": func(err error) {
			if err != full {
				t.Errorf("the error became %v", err)
			}
		},
		"broken": func(err error) { wantPanicError(t, err) },
	} {
		check(stage.Handle(t.Context(), rec, record(slog.LevelInfo, message)))
		check(stage.Offer(t.Context(), rec, record(slog.LevelInfo, message)))
	}
	if got := messages(rec); !slices.Equal(got, []string{"fine", "fine"}) {
		t.Errorf("the handler kept %q", got)
	}
}

// throwing panics when it is asked whether it is enabled.
type throwing struct{ slog.Handler }

func (throwing) Enabled(context.Context, slog.Level) bool { panic(errBroken) }

func TestOffer_asksTheHandler(t *testing.T) {
	rec := answering(nil)
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
		if err := stage.Offer(t.Context(), rec, record(level, level.String())); err != nil {
			t.Error(err)
		}
	}
	if got := messages(rec); !slices.Equal(got, []string{"INFO"}) {
		t.Errorf("a handler that is enabled from INFO on got %q", got)
	}
	wantPanicError(t, stage.Offer(t.Context(), throwing{rec}, record(slog.LevelInfo, "message")))
}

type itemKey struct{}

// batchOf returns a batch of records of level INFO.
func batchOf(messages ...string) slogworks.Batch {
	b := slogworks.Batch{ID: "id", Kind: slogworks.Escalation, Dropped: 1, Attempt: 2, Done: []string{"a"}}
	for _, message := range messages {
		b.Items = append(b.Items, slogworks.Item{
			Context: context.WithValue(context.Background(), itemKey{}, message),
			Record:  record(slog.LevelInfo, message),
		})
	}
	return b
}

func TestHandleBatch_handsOverABatchWhole(t *testing.T) {
	rec := new(handlertest.Recorder)
	b := batchOf("0", "1")
	if err := stage.HandleBatch(t.Context(), rec, b); err != nil {
		t.Error(err)
	}
	if got := rec.Batches(); len(got) != 1 || len(got[0].Items) != 2 || got[0].ID != "id" || got[0].Kind != slogworks.Escalation ||
		got[0].Dropped != 1 || got[0].Attempt != 2 || !slices.Equal(got[0].Done, b.Done) {
		t.Errorf("the handler got %+v", got)
	}
	delivery := &slogworks.DeliveryError{Accepted: 1}
	if err := stage.HandleBatch(t.Context(), answering(map[string]error{"0": delivery}), b); err != delivery {
		t.Errorf("the error became %v", err)
	}
	wantPanicError(t, stage.HandleBatch(t.Context(), answering(map[string]error{"0": errBroken}), b))
}

func TestHandleBatch_unpacksWhereBatchesAreNotTaken(t *testing.T) {
	rec := answering(nil)
	b := batchOf("0", "1", "2")
	b.Items[1].Record.Level = slog.LevelDebug
	if err := stage.HandleBatch(t.Context(), rec.Plain(), b); err != nil {
		t.Error(err)
	}
	if got := messages(rec); !slices.Equal(got, []string{"0", "2"}) {
		t.Errorf("a handler that is enabled from INFO on got %q", got)
	}
	for _, item := range rec.Items() {
		if item.Context.Value(itemKey{}) != item.Record.Message {
			t.Errorf("record %s came with another context than its own", item.Record.Message)
		}
	}
}

func TestHandleBatch_stopsAtTheFirstRecordThatFails(t *testing.T) {
	full := errors.New("full")
	for _, test := range []struct {
		name     string
		answer   error
		accepted int
	}{
		{"an error", full, 2},
		{"a panic", errBroken, 2},
		{"a DeliveryError", &slogworks.DeliveryError{After: time.Second, Permanent: true, Uncertain: true, Done: []string{"a"}, Err: full}, 2},
		{"a DeliveryError of a record that is in", &slogworks.DeliveryError{Accepted: 1, Err: full}, 3},
		{"a DeliveryError of more than there was", &slogworks.DeliveryError{Accepted: 9, Err: full}, 3},
		{"a DeliveryError of less than there was", &slogworks.DeliveryError{Accepted: -9, Err: full}, 2},
		{"a nil DeliveryError", (*slogworks.DeliveryError)(nil), 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec := answering(map[string]error{"2": test.answer})
			b := batchOf("0", "1", "2", "3")
			b.Items[1].Record.Level = slog.LevelDebug // counts as accepted
			got, ok := stage.HandleBatch(t.Context(), rec.Plain(), b).(*slogworks.DeliveryError)
			if !ok {
				t.Fatal("the error is no DeliveryError")
			}
			if got.Accepted != test.accepted {
				t.Errorf("the error says that %d were accepted, want %d", got.Accepted, test.accepted)
			}
			if test.answer == errBroken {
				wantPanicError(t, got.Err)
			} else if given, ok := test.answer.(*slogworks.DeliveryError); !ok || given == nil {
				if got.Err != test.answer {
					t.Errorf("the cause is %v", got.Err)
				}
			} else if got.After != given.After || got.Permanent != given.Permanent || got.Uncertain != given.Uncertain || !slices.Equal(got.Done, given.Done) || got.Err != full {
				t.Errorf("the error is %+v for %+v", got, given)
			}
			if got := messages(rec); !slices.Equal(got, []string{"0"}) {
				t.Errorf("the handler kept %q", got)
			}
		})
	}
}

func TestHandleBatch_returnsAPanicOfEnabledAsAnError(t *testing.T) {
	err := stage.HandleBatch(t.Context(), throwing{answering(nil).Plain()}, batchOf("0"))
	delivery, ok := err.(*slogworks.DeliveryError)
	if !ok || delivery.Accepted != 0 {
		t.Fatalf("the error is %#v", err)
	}
	wantPanicError(t, delivery.Err)
}

// extending adds an attribute to each record that it gets, in place.
type extending struct{ slog.Handler }

func (extending) Handle(_ context.Context, r slog.Record) error {
	r.AddAttrs(slog.String("added", "by the handler"))
	return nil
}

func TestHandleBatch_leavesTheRecordsAlone(t *testing.T) {
	b := batchOf("0")
	for range 8 { // so that the record's slice has room for more
		b.Items[0].Record.AddAttrs(slog.Int("k", 1))
	}
	if err := stage.HandleBatch(t.Context(), extending{answering(nil)}, b); err != nil {
		t.Error(err)
	}
	b.Items[0].Record.AddAttrs(slog.Int("later", 1))
	b.Items[0].Record.Attrs(func(a slog.Attr) bool {
		if a.Key != "k" && a.Key != "later" {
			t.Errorf("the caller's record has the attribute %v", a)
		}
		return true
	})
}

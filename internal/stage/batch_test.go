package stage_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/stage"
)

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
		{"a DeliveryError", &slogworks.DeliveryError{After: time.Second, Uncertain: true, Done: []string{"a"}, Err: full}, 2},
		{"a DeliveryError for good", &slogworks.DeliveryError{Permanent: true, Done: []string{"a"}, Err: full}, 2},
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
			cause, alone := stage.FailedAlone(got)
			if test.answer == errBroken {
				wantPanicError(t, cause)
			} else if given, ok := test.answer.(*slogworks.DeliveryError); !ok || given == nil {
				if !alone || cause != test.answer || errors.Unwrap(got.Err) != test.answer {
					t.Errorf("the cause is %#v", got.Err)
				}
			} else if got.After != given.After || got.Permanent != given.Permanent || got.Uncertain != given.Uncertain || !slices.Equal(got.Done, given.Done) || !errors.Is(got.Err, full) {
				t.Errorf("the error is %+v for %+v", got, given)
			} else if final := given.Permanent; alone != final || final && (cause != given || got.Error() != "full; 2 accepted; done for a; permanent") || !final && got.Err != full {
				t.Errorf("the error is %#v, about one record: %v", got, alone)
			}
			if got := messages(rec); !slices.Equal(got, []string{"0"}) {
				t.Errorf("the handler kept %q", got)
			}
		})
	}
}

// As it does for a batch, an error that says that the record is in says that it
// need not be tried again, and nothing about those behind it.
func TestHandleBatch_goesOnBehindARecordThatIsIn(t *testing.T) {
	full := errors.New("full")
	for _, answer := range []*slogworks.DeliveryError{
		{Accepted: 1, Err: full}, {Accepted: 9, Err: full}, {Accepted: 1, Permanent: true, Err: full},
	} {
		rec := answering(map[string]error{"0": answer, "2": answer})
		if err := stage.HandleBatch(t.Context(), rec.Plain(), batchOf("0", "1", "2")); err != nil {
			t.Errorf("%#v became %v", answer, err)
		}
		if got := messages(rec); !slices.Equal(got, []string{"1"}) {
			t.Errorf("after %#v, the handler kept %q", answer, got)
		}
	}
}

func TestAlone_saysNothingTwice(t *testing.T) {
	rec := answering(map[string]error{"2": &slogworks.DeliveryError{Permanent: true}})
	err := stage.HandleBatch(t.Context(), rec.Plain(), batchOf("0", "1", "2"))
	if want := "not delivered; 2 accepted; permanent"; err == nil || err.Error() != want {
		t.Errorf("the error is %q, want %q", err, want)
	}
}

func TestHandleBatch_returnsAPanicOfEnabledAsAnError(t *testing.T) {
	err := stage.HandleBatch(t.Context(), throwing{answering(nil).Plain()}, batchOf("0"))
	delivery, ok := err.(*slogworks.DeliveryError)
	if !ok || delivery.Accepted != 0 {
		t.Fatalf("the error is %#v", err)
	}
	cause, _ := stage.FailedAlone(err)
	wantPanicError(t, cause)
}

func TestFailedAlone_looksAtTheErrorItself(t *testing.T) {
	alone := &slogworks.DeliveryError{Err: &stage.Alone{Err: errBroken}}
	if cause, ok := stage.FailedAlone(alone); !ok || cause != errBroken {
		t.Errorf("it found %v", cause)
	}
	for _, err := range []error{
		nil, errBroken, (*slogworks.DeliveryError)(nil), &slogworks.DeliveryError{}, alone.Err,
		fmt.Errorf("wrapped: %w", alone), &slogworks.DeliveryError{Err: fmt.Errorf("wrapped: %w", alone.Err)},
	} {
		if cause, ok := stage.FailedAlone(err); ok {
			t.Errorf("it found %v in %#v", cause, err)
		}
	}
}

func TestHandleAll_goesOnBehindARecordThatFailedAlone(t *testing.T) {
	full := errors.New("full")
	down := &slogworks.DeliveryError{After: time.Second, Err: full}
	for _, test := range []struct {
		name    string
		answers map[string]error
		kept    []string
		failed  string
	}{
		{"nothing fails", nil, []string{"0", "1", "2", "3", "4"}, ""},
		{"errors and panics", map[string]error{"0": full, "2": errBroken, "4": full}, []string{"1", "3"}, "full 0-1 panic: broken 2-3 full 4-5 "},
		{"a record that is refused for good", map[string]error{"1": &slogworks.DeliveryError{Permanent: true, Err: full}}, []string{"0", "2", "3", "4"}, "full; permanent 1-2 "},
		{"a sink that is down", map[string]error{"1": full, "3": down}, []string{"0", "2"}, "full 1-2 full; 1 accepted; next attempt due in 1s 3-5 "},
		{"a record that is refused without a word", map[string]error{"1": &slogworks.DeliveryError{Permanent: true}}, []string{"0", "2", "3", "4"}, "not delivered; permanent 1-2 "},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec := answering(test.answers)
			failed := ""
			stage.HandleAll(t.Context(), rec.Plain(), batchOf("0", "1", "2", "3", "4"), func(err error, first, end int) {
				failed += fmt.Sprintf("%v %d-%d ", err, first, end)
			})
			if got := messages(rec); !slices.Equal(got, test.kept) || failed != test.failed {
				t.Errorf("the handler kept %q, and failed: %s", got, failed)
			}
		})
	}
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

func TestFinal_saysNothingOfANextAttempt(t *testing.T) {
	failed := errors.New("down")
	err := stage.Final(&slogworks.DeliveryError{Err: failed, Accepted: 2, After: time.Minute})
	if err.Error() != "down; 2 accepted" || !errors.Is(err, failed) {
		t.Errorf("the error is %v", err)
	}
	for _, err := range []error{nil, failed, (*slogworks.DeliveryError)(nil), &slogworks.DeliveryError{Err: failed}} {
		if got := stage.Final(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}

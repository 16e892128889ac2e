package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/stage"
)

func TestFailoverHandler_stopsAtTheFirstHandlerThatTakesTheRecord(t *testing.T) {
	disabled, taking, spare := &handlertest.Recorder{Level: slog.LevelError}, new(handlertest.Recorder), new(handlertest.Recorder)
	h := fanout.Failover(failing(errBroken), panicking(errBroken), disabled, taking, spare)
	slog.New(h).With("with", 1).Info("message")
	wantMessages(t, disabled)
	wantMessages(t, taking, "message")
	wantMessages(t, spare)
	if got := attrsOf(taking.Items()[0].Record); got != "with=1" {
		t.Errorf("the record came with %q", got)
	}
	if err := h.Handle(t.Context(), record(slog.LevelInfo, "message")); err != nil {
		t.Errorf("Handle returned %v although a handler took the record", err)
	}
}

func TestFailoverHandler_returnsTheErrorsOfAll(t *testing.T) {
	other := errors.New("other")
	h := fanout.Failover(
		failing(other),
		&handlertest.Recorder{Level: slog.LevelError},
		panicking(errBroken),
		failing(&slogworks.DeliveryError{Permanent: true, Err: errors.New("refused")}),
	)
	err := h.Handle(t.Context(), record(slog.LevelInfo, "message"))
	wantPanicError(t, err)
	if !errors.Is(err, other) || err.Error() != "other\npanic: broken\nrefused; permanent; permanent" {
		t.Errorf("Handle returned %v", err)
	}
	if delivery, ok := err.(*slogworks.DeliveryError); !ok {
		t.Error("the error is not a DeliveryError")
	} else if _, ok := errors.AsType[*slogworks.DeliveryError](delivery.Err); ok {
		t.Error("the cause leads to the DeliveryError of one handler")
	}
}

func TestFailoverHandler_saysWhatBecameOfARecord(t *testing.T) {
	type said = slogworks.DeliveryError
	down, refused := &said{After: time.Hour, Uncertain: true, Done: []string{"a"}, Err: errBroken}, &said{Permanent: true, Err: errBroken}
	for _, test := range []struct {
		name     string
		children []slog.Handler
		want     *said // nil: the error is none
	}{
		{"an error and a panic are final", []slog.Handler{failing(errBroken), panicking(errBroken), failing((*said)(nil))}, nil},
		{"the shortest wait", []slog.Handler{failing(down), failing(&said{After: time.Minute})}, &said{After: time.Minute, Uncertain: true, Done: []string{"a"}}},
		{"nobody waits for an error", []slog.Handler{failing(errBroken), failing(down), panicking(errBroken)}, down},
		{"nobody waits for one that refused for good", []slog.Handler{failing(refused), failing(down)}, down},
		{"Permanent if none may be tried again", []slog.Handler{failing(refused), failing(errBroken), panicking(errBroken)}, refused},
		{"a handler that has the record has taken it", []slog.Handler{failing(down), failing(&said{Accepted: 1, Err: errBroken}), panicking(errBroken)}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := fanout.Failover(test.children...)
			for name, h := range map[string]slog.Handler{"as built": h, "derived": h.WithGroup("g"), "in another": fanout.Failover(h)} {
				got, ok := h.Handle(t.Context(), record(slog.LevelInfo, "message")).(*said)
				w := test.want
				if ok != (w != nil) {
					t.Errorf("%s: the error is %#v", name, got)
				} else if ok && (got.Permanent != w.Permanent || got.After != w.After || got.Uncertain != w.Uncertain || !slices.Equal(got.Done, w.Done) || got.Accepted != 0) {
					t.Errorf("%s: the error is %+v, want %+v", name, *got, *w)
				}
			}
		})
	}
}

func TestFailoverHandler_returnsNilWhereNoneIsEnabled(t *testing.T) {
	h := fanout.Failover(&handlertest.Recorder{Level: slog.LevelError}, &handlertest.Recorder{Level: slog.LevelWarn})
	if h.Enabled(t.Context(), slog.LevelInfo) {
		t.Error("it is enabled")
	}
	if err := h.Handle(t.Context(), record(slog.LevelInfo, "message")); err != nil {
		t.Error(err)
	}
	if err := h.HandleBatch(t.Context(), batchOf(slogworks.Digest, info, info)); err != nil {
		t.Error(err)
	}
}

// offered returns a handler that answers err, and what it was offered.
func offered(level slog.Level, err error) (slog.Handler, *string) {
	got := new(string)
	return &handlertest.Recorder{Level: level, Before: func(_ context.Context, b slogworks.Batch) error {
		*got += fmt.Sprintf("%v", b.Kind)
		for _, item := range b.Items {
			*got += " " + item.Record.Message
		}
		*got += fmt.Sprintf(" done %v;", b.Done)
		return err
	}}, got
}

func delivered(n int, done ...string) error {
	return &slogworks.DeliveryError{Accepted: n, Done: done, Err: errBroken}
}

func TestFailoverHandler_givesTheNextHandlerWhatIsLeftOfABatch(t *testing.T) {
	type child struct {
		level   slog.Level
		answer  error
		offered string
	}
	for _, test := range []struct {
		name     string
		kind     slogworks.Kind
		children []child
		accepted int // -1: no error
	}{
		{"the first takes all", slogworks.Escalation, []child{
			{debug, nil, "escalation 0 1 2 3 4 done [somebody];"},
			{debug, nil, ""},
		}, -1},
		{"the first takes three", slogworks.Escalation, []child{
			{debug, delivered(3), "escalation 0 1 2 3 4 done [somebody];"},
			{debug, nil, "escalation 3 4 done [somebody];"},
		}, -1},
		{"the recipients that have it are passed on", slogworks.Digest, []child{
			{debug, delivered(0, "a", "b"), "digest 0 1 2 3 4 done [somebody];"},
			{debug, delivered(0, "c"), "digest 0 1 2 3 4 done [somebody a b];"},
			{debug, delivered(0), "digest 0 1 2 3 4 done [somebody a b c];"},
		}, 0},
		{"any other error is none taken", slogworks.Escalation, []child{
			{debug, errBroken, "escalation 0 1 2 3 4 done [somebody];"},
			{debug, delivered(-2), "escalation 0 1 2 3 4 done [somebody];"},
			{debug, (*slogworks.DeliveryError)(nil), "escalation 0 1 2 3 4 done [somebody];"},
			{debug, delivered(1), "escalation 0 1 2 3 4 done [somebody];"},
		}, 1},
		{"more than was offered is all of it", slogworks.Escalation, []child{
			{debug, delivered(99), "escalation 0 1 2 3 4 done [somebody];"},
			{debug, nil, ""},
		}, -1},
		{"each is given what it is enabled for", slogworks.Escalation, []child{
			{warn, delivered(1), "escalation 2 4 done [somebody];"},
			{info, delivered(2), "escalation 1 3 4 done [somebody];"},
			{debug, nil, "escalation 0 4 done [somebody];"},
		}, -1},
		{"an escalation whose last was taken goes on as a stream", slogworks.Escalation, []child{
			{warn, nil, "escalation 2 4 done [somebody];"},
			{debug, nil, "stream 0 1 3 done [somebody];"},
		}, -1},
		{"what nobody is enabled for is not left over", slogworks.Digest, []child{
			{info, delivered(1), "digest 1 2 3 4 done [somebody];"},
			{warn, delivered(1), "digest 2 4 done [somebody];"},
		}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			var handlers []slog.Handler
			var got []*string
			for _, c := range test.children {
				h, was := offered(c.level, c.answer)
				handlers, got = append(handlers, h), append(got, was)
			}
			b := batchOf(test.kind, debug, info, warn, info, grave)
			err := fanout.Failover(handlers...).HandleBatch(t.Context(), b)
			for i, c := range test.children {
				if *got[i] != c.offered {
					t.Errorf("handler %d was offered %q, want %q", i+1, *got[i], c.offered)
				}
			}
			if !slices.Equal(b.Done, []string{"somebody"}) {
				t.Errorf("the caller's Done became %q", b.Done)
			}
			if test.accepted < 0 {
				if err != nil {
					t.Errorf("HandleBatch returned %v", err)
				}
				return
			}
			delivery, ok := err.(*slogworks.DeliveryError)
			if !ok || delivery.Accepted != test.accepted || !errors.Is(err, errBroken) {
				t.Errorf("HandleBatch returned %#v, want a DeliveryError with %d accepted", err, test.accepted)
			}
		})
	}
}

// errPanic stands for a panic in a table of answers.
var errPanic = errors.New("panic")

func TestFailoverHandler_saysWhatBecameOfABatch(t *testing.T) {
	type said = slogworks.DeliveryError
	for _, test := range []struct {
		name     string
		children []error
		want     said
	}{
		{"Permanent if all say so", []error{&said{Permanent: true}, &said{Permanent: true}}, said{Permanent: true}},
		{"temporary if one is", []error{&said{Permanent: true}, errBroken}, said{}},
		{"After is the shortest wait", []error{&said{After: time.Hour}, &said{After: time.Minute}}, said{After: time.Minute}},
		{"no wait is the shortest", []error{&said{After: time.Hour}, errBroken}, said{}},
		{"nobody waits for one that refused for good", []error{&said{Permanent: true}, &said{After: time.Hour}}, said{After: time.Hour}},
		{"Uncertain if one is", []error{&said{Uncertain: true}, errBroken}, said{Uncertain: true}},
		{"a panic is not waited for", []error{errPanic, &said{After: time.Hour}}, said{After: time.Hour}},
		{"Permanent if all others panic", []error{errPanic, &said{Permanent: true}}, said{Permanent: true}},
		{"Done of all", []error{&said{Done: []string{"a"}}, &said{Done: []string{"b"}}}, said{Done: []string{"a", "b"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var handlers []slog.Handler
			for _, answer := range test.children {
				if answer == errPanic {
					handlers = append(handlers, panicking(errBroken))
				} else {
					handlers = append(handlers, failing(answer))
				}
			}
			got, ok := fanout.Failover(handlers...).HandleBatch(t.Context(), batchOf(slogworks.Digest, info)).(*said)
			if !ok {
				t.Fatal("the error is no DeliveryError")
			}
			w := test.want
			if got.Permanent != w.Permanent || got.After != w.After || got.Uncertain != w.Uncertain || !slices.Equal(got.Done, w.Done) || got.Accepted != 0 {
				t.Errorf("the error is %+v, want %+v", *got, w)
			}
			if joined, ok := got.Err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != len(test.children) {
				t.Errorf("the cause is %#v, not the errors of all", got.Err)
			}
		})
	}
}

func TestFailoverHandler_isUncertainIfALaterItemWasTaken(t *testing.T) {
	// Item 1 is for the second handler only, and so is the gap before it.
	h := fanout.Failover(
		failing(errBroken),
		&handlertest.Recorder{Level: slog.LevelError},
	)
	got, ok := h.HandleBatch(t.Context(), batchOf(slogworks.Digest, info, grave)).(*slogworks.DeliveryError)
	if !ok || got.Accepted != 0 || !got.Uncertain {
		t.Errorf("after item 1 was taken and item 0 was not, the error is %+v", got)
	}
}

func TestFailoverHandler_givesTheRestToTheNextAfterOneRecordFailed(t *testing.T) {
	first := &handlertest.Recorder{Level: info, Before: func(_ context.Context, b slogworks.Batch) error {
		switch b.Items[0].Record.Message {
		case "3":
			panic(errBroken)
		case "4":
			t.Error("a handler of single records is called after it failed")
		}
		return nil
	}}
	second := new(handlertest.Recorder)
	h := fanout.Failover(first.Plain(), second)
	if err := h.HandleBatch(t.Context(), batchOf(slogworks.Escalation, info, debug, info, info, grave)); err != nil {
		t.Error(err)
	}
	wantMessages(t, first, "0", "2")
	wantBatches(t, second, "escalation 1 3 4;")
}

func TestFailoverHandler_failsOneRecordThatNobodyTakes(t *testing.T) {
	poisoned := func(message string) slog.Handler {
		rec := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
			if b.Items[0].Record.Message == message {
				panic(errBroken)
			}
			return nil
		}}
		return rec.Plain()
	}
	refuses := failing(&slogworks.DeliveryError{Permanent: true})
	for name, h := range map[string]slogworks.BatchHandler{
		"singles":            fanout.Failover(poisoned("1"), fanout.AtLeast(poisoned("1"), debug)),
		"one that refuses":   fanout.Failover(refuses, poisoned("1")),
		"reports that panic": fanout.OnError(fanout.Failover(poisoned("1")), func(context.Context, slogworks.View, error) { panic("report") }),
		"one that fails behind it and is not enabled for it":                    fanout.Failover(fanout.AtLeast(poisoned("2"), warn), poisoned("1")),
		"one that fails behind it, is not enabled for it and has not seen them": fanout.Failover(fanout.AtLeast(poisoned("2"), warn), failing(&slogworks.DeliveryError{Accepted: 1, Permanent: true, Err: errBroken})),
	} {
		err := h.HandleBatch(t.Context(), batchOf(slogworks.Stream, info, info, warn, warn))
		cause, alone := stage.FailedAlone(err)
		if delivery, ok := err.(*slogworks.DeliveryError); !ok || !alone || delivery.Accepted != 1 || !delivery.Permanent || !errors.Is(cause, errBroken) {
			t.Errorf("%s: the error is %#v", name, err)
		}
	}
}

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
)

// batchOf returns a batch of records with the given levels, whose messages are
// "0", "1" and so on. Each item has a context of its own.
func batchOf(kind slogworks.Kind, levels ...slog.Level) slogworks.Batch {
	b := slogworks.Batch{ID: "id", Kind: kind, Dropped: 7, Attempt: 3, Done: []string{"somebody"}}
	for i, level := range levels {
		b.Items = append(b.Items, slogworks.Item{
			Context: context.WithValue(context.Background(), itemKey{}, i),
			Record:  record(level, fmt.Sprint(i), slog.Int("n", i)),
		})
	}
	return b
}

type itemKey struct{}

const (
	debug = slog.LevelDebug
	info  = slog.LevelInfo
	warn  = slog.LevelWarn
	grave = slog.LevelError
)

// summary says what a recorder got as batches, and that it got nothing else.
func summary(rec *handlertest.Recorder) string {
	text, inBatches := "", 0
	for _, b := range rec.Batches() {
		text += fmt.Sprintf("%v", b.Kind)
		for _, item := range b.Items {
			text += " " + item.Record.Message
			inBatches++
		}
		text += ";"
	}
	if alone := len(rec.Items()) - inBatches; alone > 0 {
		text += fmt.Sprintf(" and %d alone", alone)
	}
	return text
}

func wantBatches(t *testing.T, rec *handlertest.Recorder, want string) {
	t.Helper()
	if got := summary(rec); got != want {
		t.Errorf("the handler got %q, want %q", got, want)
	}
}

// over are the handlers of this package over one next.
var over = []struct {
	name string
	new  func(next slog.Handler) slogworks.BatchHandler
}{
	{"New", func(next slog.Handler) slogworks.BatchHandler { return fanout.New(next) }},
	{"Router", func(next slog.Handler) slogworks.BatchHandler { return fanout.Router(fanout.Route{To: next}) }},
	{"First", func(next slog.Handler) slogworks.BatchHandler { return fanout.First(fanout.Route{To: next}) }},
	{"Failover", func(next slog.Handler) slogworks.BatchHandler { return fanout.Failover(next) }},
	{"AtLeast", func(next slog.Handler) slogworks.BatchHandler { return fanout.AtLeast(next, debug) }},
	{"OnError", func(next slog.Handler) slogworks.BatchHandler {
		return fanout.OnError(next, func(context.Context, slogworks.View, error) {})
	}},
}

func TestHandleBatch_passesOnWhatTheHandlerIsEnabledFor(t *testing.T) {
	for _, test := range []struct {
		kind   slogworks.Kind
		levels []slog.Level
		from   slog.Level
		want   string
	}{
		{slogworks.Escalation, []slog.Level{debug, info, grave}, debug, "escalation 0 1 2;"},
		{slogworks.Escalation, []slog.Level{debug, info, grave}, info, "escalation 1 2;"},
		{slogworks.Escalation, []slog.Level{info, debug, grave, debug, grave}, info, "escalation 0 2 4;"},
		{slogworks.Escalation, []slog.Level{grave, warn, debug}, info, "stream 0 1;"},
		{slogworks.Escalation, []slog.Level{grave, warn, debug, debug}, warn, "stream 0 1;"},
		{slogworks.Digest, []slog.Level{grave, warn, debug}, info, "digest 0 1;"},
		{slogworks.Stream, []slog.Level{grave, debug, debug, warn}, info, "stream 0 3;"},
		{slogworks.Escalation, []slog.Level{debug, debug}, info, ""},
		{slogworks.Digest, nil, info, ""},
	} {
		for _, o := range over {
			rec, plain := &handlertest.Recorder{Level: test.from}, &handlertest.Recorder{Level: test.from}
			b := batchOf(test.kind, test.levels...)
			given := slices.Clone(b.Items)
			if err := o.new(rec).HandleBatch(t.Context(), b); err != nil {
				t.Error(err)
			}
			if err := o.new(plain.Plain()).HandleBatch(t.Context(), b); err != nil {
				t.Error(err)
			}

			if got := summary(rec); got != test.want {
				t.Errorf("%s: of %v %v a handler enabled from %v on got %q, want %q", o.name, test.kind, test.levels, test.from, got, test.want)
			}
			if got, want := messages(plain), messages(rec); !slices.Equal(got, want) {
				t.Errorf("%s: a handler that does not take batches got %q instead of %q", o.name, got, want)
			}
			for _, got := range rec.Batches() {
				if got.ID != b.ID || got.Dropped != b.Dropped || got.Attempt != b.Attempt || !slices.Equal(got.Done, b.Done) {
					t.Errorf("%s: the batch %+v was passed on as %+v", o.name, b, got)
				}
			}
			for _, item := range append(rec.Items(), plain.Items()...) {
				if fmt.Sprint(item.Context.Value(itemKey{})) != item.Record.Message {
					t.Errorf("%s: item %s came with another context than its own", o.name, item.Record.Message)
				}
			}
			for i, item := range b.Items {
				if item.Record.Message != given[i].Record.Message || item.Record.Level != given[i].Record.Level {
					t.Errorf("%s: the caller's item %d became %q", o.name, i, item.Record.Message)
				}
			}
		}
	}
}

// batchSink takes batches and keeps the last one without a copy.
type batchSink struct {
	last  slogworks.Batch
	level slog.Level
}

func (s *batchSink) Enabled(_ context.Context, level slog.Level) bool { return level >= s.level }
func (s *batchSink) Handle(context.Context, slog.Record) error        { return nil }
func (s *batchSink) WithAttrs([]slog.Attr) slog.Handler               { return s }
func (s *batchSink) WithGroup(string) slog.Handler                    { return s }
func (s *batchSink) HandleBatch(_ context.Context, b slogworks.Batch) error {
	s.last = b
	return nil
}

func TestHandleBatch_copiesNothingOfAWholeBatch(t *testing.T) {
	levels := make([]slog.Level, 500)
	for _, o := range over {
		sink := &batchSink{}
		h := o.new(sink)
		b := batchOf(slogworks.Escalation, levels...)
		if err := h.HandleBatch(t.Context(), b); err != nil {
			t.Error(err)
		}
		if len(sink.last.Items) != len(b.Items) || &sink.last.Items[0] != &b.Items[0] {
			t.Errorf("%s passed on a copy of a batch of which it kept all", o.name)
		}
		if raceEnabled {
			continue
		}
		// Those that remember something of each item do so in a few slices.
		want := map[string]float64{"Router": 3, "First": 3, "Failover": 3}[o.name]
		if got := testing.AllocsPerRun(10, func() { _ = h.HandleBatch(context.Background(), b) }); got > want {
			t.Errorf("%s allocates %v times for a batch that it passes on whole, want %v", o.name, got, want)
		}
	}
}

func TestHandleBatch_leavesTheSliceOfTheCallerAlone(t *testing.T) {
	for _, o := range over {
		for _, levels := range [][]slog.Level{{info, info, debug, info}, {info, debug, debug}, {debug, info}} {
			sink := &batchSink{level: info}
			b := batchOf(slogworks.Digest, levels...)
			b.Items = append(make([]slogworks.Item, 0, 10), b.Items...)
			if err := o.new(sink).HandleBatch(t.Context(), b); err != nil {
				t.Error(err)
			}
			_ = append(sink.last.Items, slogworks.Item{Record: record(grave, "appended by the child")})
			for i, item := range b.Items[:cap(b.Items)] {
				if i < len(levels) && item.Record.Message != fmt.Sprint(i) || i >= len(levels) && item.Record.Message != "" {
					t.Errorf("%s: item %d of the caller became %q", o.name, i, item.Record.Message)
				}
			}
		}
	}
}

func TestHandler_filtersABatchForEachChild(t *testing.T) {
	all, warnings := new(handlertest.Recorder), &handlertest.Recorder{Level: warn}
	below := fanout.Router(fanout.Route{Max: info, To: new(handlertest.Recorder)})
	plain := new(handlertest.Recorder)
	h := fanout.New(warnings, all, below, plain.Plain())
	if err := h.HandleBatch(t.Context(), batchOf(slogworks.Escalation, debug, warn, info, grave)); err != nil {
		t.Error(err)
	}
	wantBatches(t, all, "escalation 0 1 2 3;")
	wantBatches(t, warnings, "escalation 1 3;")
	wantBatches(t, below.Unwrap()[0].(*handlertest.Recorder), "stream 0 2;")
	wantMessages(t, plain, "0", "1", "2", "3")
}

func TestHandler_goesOnWithABatchAfterAnError(t *testing.T) {
	refused := errors.New("refused")
	plain := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
		switch b.Items[0].Record.Message {
		case "1":
			return refused
		case "2":
			panic("at 2")
		}
		return nil
	}}
	last := new(handlertest.Recorder)
	behind := fanout.OnError(fanout.AtLeast(plain.Plain(), debug), func(context.Context, slogworks.View, error) { panic("report") })
	for _, h := range []slogworks.BatchHandler{
		fanout.New(failing(refused), panicking("whole"), plain.Plain(), last),
		fanout.Router(fanout.Route{To: failing(refused)}, fanout.Route{To: panicking("whole")}, fanout.Route{To: behind}, fanout.Route{To: last}),
	} {
		err := h.HandleBatch(t.Context(), batchOf(slogworks.Digest, info, info, info, info))
		var panicked *slogworks.PanicError
		if !errors.Is(err, refused) || !errors.As(err, &panicked) || panicked.Value != "whole" {
			t.Errorf("HandleBatch returned %v", err)
		}
	}
	wantMessages(t, plain, "0", "3", "0", "3")
	wantBatches(t, last, "digest 0 1 2 3;digest 0 1 2 3;")
}

func TestLevelHandler_saysOfWhichItemsItsHandlerSpoke(t *testing.T) {
	// Of these, 1, 3 and 4 are passed on.
	levels := []slog.Level{debug, info, debug, info, grave, debug}
	for _, test := range []struct{ accepted, want int }{
		{-3, 1}, {0, 1}, {1, 3}, {2, 4}, {3, 6}, {4, 6}, {99, 6},
	} {
		cause := errors.New("down")
		said := &slogworks.DeliveryError{Accepted: test.accepted, Done: []string{"a"}, After: time.Second, Permanent: true, Uncertain: true, Err: cause}
		for name, h := range map[string]slogworks.BatchHandler{
			"AtLeast":                   fanout.AtLeast(failing(said), info),
			"AtLeast, narrowed by next": fanout.AtLeast(&handlertest.Recorder{Level: info, Before: failing(said).Before}, debug),
			"OnError":                   fanout.OnError(&handlertest.Recorder{Level: info, Before: failing(said).Before}, func(context.Context, slogworks.View, error) {}),
		} {
			b := batchOf(slogworks.Digest, levels...)
			got, ok := h.HandleBatch(t.Context(), b).(*slogworks.DeliveryError)
			if !ok {
				t.Errorf("%s did not return a DeliveryError", name)
				continue
			}
			if got.Accepted != test.want {
				t.Errorf("%s: the handler accepted %d of items 1, 3 and 4, which makes %d of the batch, want %d", name, test.accepted, got.Accepted, test.want)
			}
			if !slices.Equal(got.Done, said.Done) || got.After != said.After || !got.Permanent || !got.Uncertain || got.Err != cause {
				t.Errorf("%s returned %+v for %+v", name, got, said)
			}
		}
		if said.Accepted != test.accepted {
			t.Error("the handler's own error was changed")
		}
	}
}

func TestLevelHandler_passesOnTheErrorOfAWholeBatchAsItIs(t *testing.T) {
	delivery := &slogworks.DeliveryError{Accepted: 1, Err: errors.New("down")}
	other := errors.New("other")
	for _, want := range []error{delivery, other} {
		h := fanout.AtLeast(failing(want), info)
		if got := h.HandleBatch(t.Context(), batchOf(slogworks.Stream, info, info)); got != want {
			t.Errorf("HandleBatch returned %#v for %#v", got, want)
		}
	}
	h := fanout.AtLeast(failing(other), info)
	if got := h.HandleBatch(t.Context(), batchOf(slogworks.Stream, info, debug)); got != other {
		t.Errorf("HandleBatch returned %#v for part of a batch", got)
	}
}

func TestLevelHandler_saysHowFarAHandlerOfSingleRecordsGot(t *testing.T) {
	full := errors.New("full")
	rec := &handlertest.Recorder{Level: info, Before: func(_ context.Context, b slogworks.Batch) error {
		if b.Items[0].Record.Message == "3" {
			return full
		}
		return nil
	}}
	h := fanout.AtLeast(rec.Plain(), debug)
	err := h.HandleBatch(t.Context(), batchOf(slogworks.Stream, debug, info, debug, info, info))
	delivery, ok := err.(*slogworks.DeliveryError)
	if !ok || delivery.Accepted != 3 || !errors.Is(err, full) {
		t.Errorf("HandleBatch returned %#v", err)
	}
	wantMessages(t, rec, "1")
}

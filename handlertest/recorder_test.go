package handlertest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
)

func ExampleRecorder() {
	rec := &handlertest.Recorder{Level: slog.LevelInfo}
	logger := slog.New(newLoud(rec))

	logger.Debug("not taken")
	logger.With("id", 7).WithGroup("request").Info("done!", "status", 200)

	for _, item := range rec.Items() {
		fmt.Print(item.Record.Message)
		item.Record.Attrs(func(a slog.Attr) bool {
			fmt.Print(" ", a)
			return true
		})
		fmt.Println()
	}
	// Output:
	// done! id=7 request=[status=200 loud=1]
}

func TestRecorder_keepsWhatComesAloneFrozenAndWithItsContext(t *testing.T) {
	type key struct{}
	rec := new(handlertest.Recorder)
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	table := map[string]int{"k": 1}
	slog.New(rec).InfoContext(ctx, "m", "table", table)
	table["k"] = 2
	cancel()

	items := rec.Items()
	if len(items) != 1 || len(rec.Batches()) != 0 {
		t.Fatalf("got %d records and %d batches, want one record", len(items), len(rec.Batches()))
	}
	if items[0].Context != ctx {
		t.Error("the context is another")
	}
	items[0].Record.Attrs(func(a slog.Attr) bool {
		if got := a.Value.String(); got != "map[k:1]" {
			t.Errorf("the value is %s", got)
		}
		return true
	})
}

func TestRecorder_keepsABatchAsItIs(t *testing.T) {
	rec := new(handlertest.Recorder)
	items := []slogworks.Item{{Context: t.Context()}, {Context: t.Context()}}
	items[0].Record.Message, items[1].Record.Message = "first", "second"
	b := slogworks.Batch{ID: "id", Kind: slogworks.Digest, Items: items, Done: []string{"d"}}
	if err := rec.HandleBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	items[0].Record.Message = "changed"
	b.Done[0] = "changed"

	batches := rec.Batches()
	if len(batches) != 1 || batches[0].ID != "id" || batches[0].Kind != slogworks.Digest || batches[0].Done[0] != "d" {
		t.Fatalf("got %+v", batches)
	}
	if got := batches[0].Items; len(got) != 2 || got[0].Record.Message != "first" {
		t.Errorf("the batch has the items %+v", got)
	}
	if got := rec.Items(); len(got) != 2 || got[1].Record.Message != "second" {
		t.Errorf("the items are %+v", got)
	}
}

func TestRecorder_returnsTheErrorOfBeforeAndKeepsNothing(t *testing.T) {
	refusal := errors.New("refused")
	var asked []int
	rec := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
		asked = append(asked, len(b.Items))
		return refusal
	}}
	derived := rec.WithAttrs([]slog.Attr{slog.Int("k", 1)})
	if err := derived.Handle(t.Context(), slog.Record{}); err != refusal {
		t.Errorf("Handle returned %v", err)
	}
	if err := rec.HandleBatch(t.Context(), slogworks.Batch{Items: make([]slogworks.Item, 2)}); err != refusal {
		t.Errorf("HandleBatch returned %v", err)
	}
	if len(rec.Items()) != 0 || len(rec.Batches()) != 0 {
		t.Errorf("kept %d records and %d batches", len(rec.Items()), len(rec.Batches()))
	}
	if fmt.Sprint(asked) != "[1 2]" {
		t.Errorf("Before was asked about %v records", asked)
	}
}

func TestRecorder_doesNotBlockOthersWhileBeforeBlocks(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	rec := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
		if b.Items[0].Record.Message == "blocks" {
			close(entered)
			<-leave
		}
		return nil
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		slog.New(rec).Info("blocks")
	}()
	<-entered
	slog.New(rec).Info("passes")
	if got := rec.Items(); len(got) != 1 || got[0].Record.Message != "passes" {
		t.Errorf("while one record is blocked, the items are %v", got)
	}
	close(leave)
	<-done
	if got := len(rec.Items()); got != 2 {
		t.Errorf("got %d records, want 2", got)
	}
}

func TestRecorder_derivedOnesShareItsSettingsAndRecords(t *testing.T) {
	var level slog.LevelVar
	rec := &handlertest.Recorder{Level: &level}
	derived := rec.WithGroup("g").WithAttrs([]slog.Attr{slog.Int("k", 1)}).(*handlertest.Recorder)
	level.Set(slog.LevelError)
	if derived.Enabled(t.Context(), slog.LevelWarn) || !derived.Enabled(t.Context(), slog.LevelError) {
		t.Error("a derived recorder has another level")
	}
	slog.New(derived).Error("m")
	if len(rec.Items()) != 1 || len(derived.Items()) != 1 {
		t.Errorf("got %d records, and %d of the derived recorder", len(rec.Items()), len(derived.Items()))
	}
}

func TestRecorder_plainDoesNotTakeBatches(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := rec.Plain()
	for _, h := range []slog.Handler{h, h.WithGroup("g"), h.WithAttrs([]slog.Attr{slog.Int("k", 1)})} {
		if _, ok := h.(slogworks.BatchHandler); ok {
			t.Errorf("%T takes batches", h)
		}
	}
	handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
		rec := new(handlertest.Recorder)
		return rec.Plain(), func() []map[string]any { return resultsOf(t, rec) }
	})
}

func resultsOf(t *testing.T, rec *handlertest.Recorder) []map[string]any {
	var out bytes.Buffer
	h := slog.NewJSONHandler(&out, nil)
	for _, item := range rec.Items() {
		if err := h.Handle(t.Context(), item.Record); err != nil {
			t.Error(err)
		}
	}
	return handlertest.JSON(t, &out)()
}

func TestJSON_readsWhatHasBeenWrittenSoFar(t *testing.T) {
	var out bytes.Buffer
	results := handlertest.JSON(t, &out)
	if got := results(); len(got) != 0 {
		t.Errorf("of nothing it reads %v", got)
	}
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	logger.Info("first")
	logger.WithGroup("g").Info("second", "k", "v")
	got := results()
	if len(got) != 2 || got[0]["msg"] != "first" || fmt.Sprint(got[1]["g"]) != "map[k:v]" {
		t.Errorf("it reads %v", got)
	}
}

func TestJSON_endsTheTestAtALineThatIsNoObject(t *testing.T) {
	o := check(func(r handlertest.Reporter) {
		handlertest.JSON(&fakeTB{t, r}, bytes.NewBufferString("{}\nlevel=INFO\n"))()
	})
	if !o.complains("level=INFO") {
		t.Errorf("the complaints are %q", o.errors)
	}
}

// fakeTB is a testing.TB that fails elsewhere.
type fakeTB struct {
	testing.TB
	to handlertest.Reporter
}

func (f *fakeTB) Fatalf(format string, args ...any) { f.to.Fatalf(format, args...) }

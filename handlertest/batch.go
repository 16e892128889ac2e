package handlertest

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"unsafe"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
)

var batchRules = []rule{
	{"a stream batch arrives whole and in order", false, streamBatch},
	{"an escalation stays one batch", true, oneBatch},
	{"a batch reaches a next that does not take batches record by record", true, unpackedBatch},
	{"the values of a batch are passed on as they are", true, untouchedBatch},
	{"the items of a batch are not modified", false, ownBatch},
	{"an error of next for a batch is returned or counted", true, visibleBatchErrors},
	{"HandleBatch after Shutdown returns an error and counts the records", false, batchAfterShutdown},
}

// requireBatches skips the check for a handler that does not take batches.
func (c *check) requireBatches(h slog.Handler) slogworks.BatchHandler {
	c.Helper()
	batches, ok := h.(slogworks.BatchHandler)
	if !ok {
		c.Skipf("%T has no method HandleBatch(context.Context, slogworks.Batch) error", h)
	}
	return batches
}

// sampleBatch returns an Escalation whose last record is the significant one.
// Its slice has room for more, into which nobody may write.
func sampleBatch() slogworks.Batch {
	levels := []slog.Level{slog.LevelInfo, slog.LevelInfo, slog.LevelWarn, slog.LevelInfo, slog.LevelError}
	items := make([]slogworks.Item, 0, 2*len(levels))
	for i, level := range levels {
		r := record(fmt.Sprint("item ", i), attr("n", fmt.Sprint(i)))
		r.Level = level
		for range 7 { // so that the record's slice has room for one more
			r.AddAttrs(attr("more", "m"))
		}
		r.AddAttrs(
			slog.Any("bytes", []byte("bytes")),
			slog.Any("struct", &struct{ Text string }{"text"}))
		items = append(items, slogworks.Item{
			Context: context.WithValue(context.Background(), contextKey{}, i),
			Record:  chain.FreezeRecord(r),
		})
	}
	return slogworks.Batch{
		ID:      "id",
		Kind:    slogworks.Escalation,
		Items:   items,
		Dropped: 3,
		Attempt: 2,
		Done:    []string{"somebody"},
	}
}

// handleBatch hands b to h, which must take it.
func (c *check) handleBatch(h slogworks.BatchHandler, b slogworks.Batch) {
	c.Helper()
	if err := c.handleBatchError(h, b); err != nil {
		c.Errorf("HandleBatch returned %q although nothing failed", err)
	}
}

func streamBatch(c *check) {
	s := c.subject()
	h := c.requireBatches(s.handler)
	b := sampleBatch()
	b.Kind = slogworks.Stream
	c.handleBatch(h, b)
	next := 0
	for _, result := range s.arrived() {
		if result[slog.MessageKey] == fmt.Sprint("item ", next) && at(result, "n") == fmt.Sprint(next) {
			next++
		}
	}
	if next != len(b.Items) {
		c.Errorf("of the %d records of a batch, %d arrived in order: HandleBatch must take each as Handle would", len(b.Items), next)
	}
}

func oneBatch(c *check) {
	rec := new(Recorder)
	h := c.requireBatches(c.wrap(c.next(rec)))
	if !c.takesBatches {
		return
	}
	b := sampleBatch()
	c.handleBatch(h, b)
	c.flush(h)
	c.shutdown(h)
	c.compareBatches(rec, b)
}

// compareBatches complains unless the recorder got b and nothing else.
func (c *check) compareBatches(rec *Recorder, want slogworks.Batch) {
	c.Helper()
	batches := rec.Batches()
	if len(batches) != 1 || len(rec.Items()) != len(want.Items) {
		c.Errorf("a batch of %d became %d batches and %d records in all: a stage splits no batch and merges no two, because one escalation is one mail", len(want.Items), len(batches), len(rec.Items()))
		return
	}
	got := batches[0]
	if got.ID != want.ID || got.Kind != want.Kind || got.Dropped != want.Dropped || got.Attempt != want.Attempt || !slices.Equal(got.Done, want.Done) {
		c.Errorf("the batch {ID: %q, Kind: %v, Dropped: %d, Attempt: %d, Done: %q} was passed on as {ID: %q, Kind: %v, Dropped: %d, Attempt: %d, Done: %q}: change the Items of a copy of the batch only",
			want.ID, want.Kind, want.Dropped, want.Attempt, want.Done, got.ID, got.Kind, got.Dropped, got.Attempt, got.Done)
	}
	c.compareItems(got.Items, want.Items)
}

// compareItems complains unless the records are the same and in order, with the
// values of their contexts.
func (c *check) compareItems(got, want []slogworks.Item) {
	c.Helper()
	if len(got) != len(want) {
		c.Errorf("of %d records of a batch, %d arrived", len(want), len(got))
		return
	}
	for i := range want {
		if got[i].Record.Message != want[i].Record.Message || got[i].Record.Level != want[i].Record.Level {
			c.Errorf("record %d of a batch is %q at %v and not %q at %v: keep the order, the last record is the significant one",
				i, got[i].Record.Message, got[i].Record.Level, want[i].Record.Message, want[i].Record.Level)
		}
		if got[i].Context == nil || got[i].Context.Value(contextKey{}) != i {
			c.Errorf("record %q of a batch arrived without the values of its Item's Context: hand that on, not the context of HandleBatch", want[i].Record.Message)
		}
	}
}

func unpackedBatch(c *check) {
	rec := new(Recorder)
	h := c.requireBatches(c.wrap(c.next(rec)))
	if c.takesBatches {
		return
	}
	b := sampleBatch()
	c.handleBatch(h, b)
	c.flush(h)
	c.shutdown(h)
	c.compareItems(rec.Items(), b.Items)
}

// untouchedBatch looks for the very values, since freezing once more costs time
// for each stage and changes nothing that could be seen otherwise.
func untouchedBatch(c *check) {
	rec := new(Recorder)
	h := c.requireBatches(c.wrap(c.next(rec)))
	if !c.takesBatches {
		return // a Recorder freezes what comes alone
	}
	b := sampleBatch()
	c.handleBatch(h, b)
	c.flush(h)
	c.shutdown(h)
	items := rec.Items()
	if len(items) != len(b.Items) {
		c.Fatalf("of %d records of a batch, %d arrived", len(b.Items), len(items))
	}
	for i, item := range items {
		got, want := valuesOf(item.Record), valuesOf(b.Items[i].Record)
		if got["struct"] != want["struct"] || addressOf(got["bytes"]) != addressOf(want["bytes"]) {
			c.Errorf("record %q of a batch has values that were copied or printed anew: the items of a batch are frozen, so pass them on as they are", item.Record.Message)
		}
	}
}

func valuesOf(r slog.Record) map[string]any {
	values := map[string]any{}
	r.Attrs(func(a slog.Attr) bool {
		values[a.Key] = a.Value.Any()
		return true
	})
	return values
}

func addressOf(bytes any) *byte {
	b, _ := bytes.([]byte)
	return unsafe.SliceData(b)
}

func ownBatch(c *check) {
	s := c.subject()
	h := c.requireBatches(s.handler)
	b, want := sampleBatch(), sampleBatch()
	c.handleBatch(h, b)
	s.arrived()

	const remedy = "the slice and the records are shared; change a copy, slices.Clone(b.Items) and Record.Clone"
	for i, item := range b.Items {
		if item.Record.Message != want.Items[i].Record.Message || item.Record.NumAttrs() != want.Items[i].Record.NumAttrs() || item.Context == nil {
			c.Errorf("HandleBatch changed item %d of the batch it was given: %s", i, remedy)
		}
		item.Record.AddAttrs(attr("late", "added after HandleBatch"))
		if _, found := valuesOf(item.Record)["!BUG"]; found {
			c.Errorf("HandleBatch added attributes to record %d of the batch it was given: %s", i, remedy)
		}
	}
	for _, item := range b.Items[len(b.Items):cap(b.Items)] {
		if item.Context != nil || item.Record.Message != "" {
			c.Errorf("HandleBatch appended to the slice of the batch it was given: %s", remedy)
			break
		}
	}
	if !slices.Equal(b.Done, want.Done) {
		c.Errorf("HandleBatch changed the slice Done of the batch it was given: %s", remedy)
	}
}

func visibleBatchErrors(c *check) {
	h := c.requireBatches(c.wrap(c.next(refusing())))
	b := sampleBatch()
	if c.handleBatchError(h, b) != nil {
		return
	}
	c.end(h)
	visible := uint64(0)
	for _, account := range slogworks.Books(h) {
		visible += dropped(account)
	}
	if visible < uint64(len(b.Items)) {
		c.Errorf("next refused a batch of %d, HandleBatch returned nil and the books show %d dropped: return the error or count every record of the batch", len(b.Items), visible)
	}
}

func batchAfterShutdown(c *check) {
	s := c.subject()
	h := c.requireBatches(s.handler)
	c.requireShutdown(h)
	c.shutdown(h)
	before := accountOf(h)
	b := sampleBatch()
	if c.handleBatchError(h, b) == nil {
		c.Errorf("after Shutdown HandleBatch returns nil: it must refuse the batch with an error such as ErrClosed")
	}
	n := uint64(len(b.Items))
	after := accountOf(h)
	if _, ok := h.(accountant); ok && (after.Accepted != before.Accepted+n || dropped(after) != dropped(before)+n) {
		c.Errorf("HandleBatch after Shutdown took the account from %+v to %+v: all %d records that are refused count as Accepted and as Dropped", before, after, n)
	}
}

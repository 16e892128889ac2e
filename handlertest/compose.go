package handlertest

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
)

// Stage is a handler that passes records on, under the name that its tests are
// to have. New is called many times and must return what [Run] demands.
type Stage struct {
	Name string
	New  func(next slog.Handler) slog.Handler
}

// Compose checks that each two stages work together, one over the other and the
// other way round, and each over another of its kind. Every stage should have
// passed [Run]. A pair is a subtest, and so is each rule in it.
func Compose(t *testing.T, stages ...Stage) {
	for _, outer := range stages {
		for _, inner := range stages {
			p := pair{outer, inner}
			t.Run(outer.Name+" over "+inner.Name, func(t *testing.T) {
				for _, r := range pairRules {
					t.Run(r.name, func(t *testing.T) { r.checkPair(t, patience, p) })
				}
			})
		}
	}
}

type pair struct{ outer, inner Stage }

func (p pair) over(next slog.Handler) slog.Handler { return p.outer.New(p.inner.New(next)) }

type pairRule struct {
	name  string
	check func(c *check, p pair)
}

func (r pairRule) checkPair(t reporter, patience time.Duration, p pair) {
	rule{check: func(c *check) { r.check(c, p) }}.checkWrapper(t, patience, p.over)
}

var pairRules = []pairRule{
	{"records arrive once and in order", pairOrder},
	{"the values of the context arrive", func(c *check, _ pair) { contextValues(c) }},
	{"values are marshalled at most once", pairMarshalsOnce},
	{"Flush releases nothing that is held", pairHolds},
	{"an escalation arrives as one batch", pairBatch},
	{"the books of every stage balance after Shutdown", pairBooks},
	{"the pipeline may be shut down twice", pairShutdown},
}

// pairOrder logs by a handler and one derived from it in turn, on one goroutine
// and then on several.
func pairOrder(c *check, _ pair) {
	const goroutines, each = 4, 20
	rec := new(Recorder)
	h := c.wrap(c.next(rec))
	derived := h.WithAttrs([]slog.Attr{attr("with", "w")}).WithGroup("group").WithAttrs([]slog.Attr{attr("with", "w")})
	log := func(name string) error {
		for i := range each {
			logger := h
			if i%2 == 1 {
				logger = derived
			}
			if err := logger.Handle(context.Background(), record(name, attr("n", strconv.Itoa(i)))); err != nil {
				return err
			}
		}
		return nil
	}
	errs := make([]error, 1+goroutines)
	c.call("logging", func() {
		errs[0] = log("alone")
		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() { errs[1+g] = log(fmt.Sprint("goroutine ", g)) })
		}
		wg.Wait()
	})
	for _, err := range errs {
		if err != nil {
			c.Errorf("Handle returned %q although nothing failed", err)
		}
	}
	c.flush(h)
	c.shutdown(h)

	got := map[string][]any{}
	for _, result := range c.resultsOf(rec) {
		name, _ := result[slog.MessageKey].(string)
		n := at(result, "n")
		if n == nil {
			n = at(result, "group", "n")
			if at(result, "with") != "w" || at(result, "group", "with") != "w" {
				c.Errorf("a record lost what its handler was derived with, and arrived as %v", result)
			}
		}
		got[name] = append(got[name], n)
	}
	c.inOrder("one goroutine", got["alone"], each)
	for g := range goroutines {
		name := fmt.Sprint("goroutine ", g)
		c.inOrder(name, got[name], each)
	}
}

// marshaled counts how often it is printed.
type marshaled struct{ times atomic.Int64 }

func (m *marshaled) MarshalJSON() ([]byte, error) {
	m.times.Add(1)
	return []byte(`"marshaled"`), nil
}

func pairMarshalsOnce(c *check, _ pair) {
	var sink bare
	next := slog.Handler(&sink)
	if !c.takesBatches {
		next = &plain{next}
	}
	h := c.wrap(next)
	var inRecord, inGroup, inWith, inWithGroup marshaled
	derived := h.WithAttrs([]slog.Attr{slog.Any("k", &inWith)}).WithGroup("group").WithAttrs([]slog.Attr{slog.GroupAttrs("g", slog.Any("k", &inWithGroup))})
	c.handle(derived, context.Background(), record("record", slog.Any("k", &inRecord), slog.GroupAttrs("g", slog.Any("k", &inGroup))))
	c.flush(h)
	c.shutdown(h)
	for where, value := range map[string]*marshaled{
		"a record": &inRecord, "a group": &inGroup, "With": &inWith, "a group in With": &inWithGroup,
	} {
		if n := value.times.Load(); n > 1 {
			c.Errorf("a value in %s was marshalled %d times before it reached the sink: what one stage has frozen, the next must keep as it is", where, n)
		}
	}
	if n := sink.records.Load(); n != 1 {
		c.Errorf("one record was handled and %d arrived", n)
	}
}

// bare is a sink that looks at no value.
type bare struct {
	root    *bare
	records atomic.Int64
}

func (b *bare) core() *bare {
	if b.root != nil {
		return b.root
	}
	return b
}

func (b *bare) Enabled(context.Context, slog.Level) bool { return true }

func (b *bare) Handle(context.Context, slog.Record) error {
	b.core().records.Add(1)
	return nil
}

func (b *bare) HandleBatch(_ context.Context, batch slogworks.Batch) error {
	b.core().records.Add(int64(len(batch.Items)))
	return nil
}

func (b *bare) WithAttrs([]slog.Attr) slog.Handler { return &bare{root: b.core()} }
func (b *bare) WithGroup(string) slog.Handler      { return &bare{root: b.core()} }

// pairHolds compares what is held before and after Flush. What is held only
// because it is on its way must be gone before that, and nothing says when that
// is so; the wait grows until a Flush makes no difference, or clearly does.
func pairHolds(c *check, _ pair) {
	var complaint string
	for wait := 20 * time.Millisecond; wait < c.patience; wait *= 5 {
		rec := new(Recorder)
		h := c.wrap(c.next(rec))
		for _, v := range variants(h) {
			for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
				if v.handler.Enabled(context.Background(), level) {
					r := record("record", attr("k", "v"))
					r.Level = level
					c.handle(v.handler, context.Background(), r)
				}
			}
		}
		if poll(wait, func() bool { return held(h) == 0 }) {
			return
		}
		before, arrived := slogworks.Books(h), len(rec.Items())
		c.flush(h)
		complaint = ""
		for i, after := range slogworks.Books(h) {
			if after.Held < before[i].Held {
				complaint = fmt.Sprintf("Flush took the account of a stage from %+v to %+v, and %d more records arrived: what waits for something to happen must wait on, Flush delivers what has been decided", before[i], after, len(rec.Items())-arrived)
			}
		}
		if complaint == "" {
			return
		}
	}
	c.Errorf("%s", complaint)
}

func held(h slog.Handler) (sum uint64) {
	for _, account := range slogworks.Books(h) {
		sum += account.Held
	}
	return sum
}

func pairBatch(c *check, p pair) {
	rec := new(Recorder)
	inner := p.inner.New(c.next(rec))
	outer := p.outer.New(inner)
	c.Cleanup(func() { c.end(outer) })
	h := c.requireBatches(outer)
	_, innerTakesBatches := inner.(slogworks.BatchHandler)
	b := sampleBatch()
	c.handleBatch(h, b)
	c.flush(h)
	c.shutdown(h)
	if innerTakesBatches && c.takesBatches {
		c.compareBatches(rec, b)
	} else {
		c.compareItems(rec.Items(), b.Items)
	}
}

func pairBooks(c *check, _ pair) {
	rec := new(Recorder)
	h := c.wrap(c.next(rec))
	const each = 5
	all := variants(h)
	for _, v := range all {
		for range each {
			c.handle(v.handler, context.Background(), record("counted", attr("k", "v")))
		}
	}
	if batches, ok := h.(slogworks.BatchHandler); ok {
		c.handleBatch(batches, sampleBatch())
	}
	c.flush(h)
	c.shutdown(h)
	for _, account := range slogworks.Books(h) {
		if complaint := imbalance(account); complaint != "" {
			c.Errorf("after Shutdown %s", complaint)
		}
	}
	if got := count(c.resultsOf(rec), "counted"); got != each*len(all) {
		c.Errorf("of %d records, %d arrived", each*len(all), got)
	}
}

func pairShutdown(c *check, _ pair) {
	rec := new(Recorder)
	h := c.wrap(c.next(rec))
	all := variants(h)
	for _, v := range all {
		c.handle(v.handler, context.Background(), record("before Shutdown", attr("k", "v")))
	}
	c.shutdown(all[len(all)-1].handler)
	arrived := len(rec.Items())
	for _, v := range all {
		c.shutdown(v.handler)
	}
	if again := len(rec.Items()); again != arrived || count(c.resultsOf(rec), "before Shutdown") != len(all) {
		c.Errorf("of %d records, %d arrived by the end of the first Shutdown and %d by that of the last", len(all), arrived, again)
	}
}

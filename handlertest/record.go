package handlertest

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"testing/slogtest"
	"time"

	"github.com/slogworks/slogworks"
)

var recordRules = []rule{
	{"slogtest is satisfied", false, satisfiesSlogtest},
	{"a record arrives with all its attributes", false, allAttributes},
	{"time, level, message, PC and the order of attributes are kept", true, builtIns},
	{"a zero time and a zero PC stay zero", true, zeroBuiltIns},
	{"records are cloned before they are kept or extended", false, clonedRecords},
	{"records of several goroutines arrive once and in order", false, concurrentRecords},
}

func satisfiesSlogtest(c *check) {
	s := c.subject()
	if err := slogtest.TestHandler(&bounded{c, s.handler}, s.arrived); err != nil {
		c.Errorf("%v", err)
	}
}

// bounded ends the check if a call of h blocks or panics, for callers that do
// not look after that themselves.
type bounded struct {
	c *check
	h slog.Handler
}

func (b *bounded) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	b.c.call("Enabled", func() { enabled = b.h.Enabled(ctx, level) })
	return enabled
}

func (b *bounded) Handle(ctx context.Context, r slog.Record) error {
	return b.c.handleError(b.h, ctx, r)
}

func (b *bounded) WithAttrs(attrs []slog.Attr) slog.Handler {
	derived := &bounded{c: b.c}
	b.c.call("WithAttrs", func() { derived.h = b.h.WithAttrs(attrs) })
	return derived
}

func (b *bounded) WithGroup(name string) slog.Handler {
	derived := &bounded{c: b.c}
	b.c.call("WithGroup", func() { derived.h = b.h.WithGroup(name) })
	return derived
}

func allAttributes(c *check) {
	s := c.subject()
	counts := []int{0, 1, 5, 6, 50} // a slog.Record has room for five and a slice for more
	for _, n := range counts {
		r := record(fmt.Sprint(n, " attributes"))
		for i := range n {
			r.AddAttrs(attr(fmt.Sprint("k", i), fmt.Sprint("v", i)))
		}
		c.handle(s.handler, context.Background(), r)
		r = r.Clone()
		r.Message = fmt.Sprint(n, " attributes and one of With")
		c.handle(s.handler.WithAttrs([]slog.Attr{attr("with", "w")}), context.Background(), r)
	}

	results := s.arrived()
	for _, n := range counts {
		plain, ok := c.one(results, fmt.Sprint(n, " attributes"))
		derived, okDerived := c.one(results, fmt.Sprint(n, " attributes and one of With"))
		if !ok || !okDerived {
			continue
		}
		for i := range n {
			key, want := fmt.Sprint("k", i), fmt.Sprint("v", i)
			if at(plain, key) != want || at(derived, key) != want {
				c.Errorf("of a record of %d attributes, the attribute %q is missing or another", n, key)
			}
		}
		if at(derived, "with") != "w" {
			c.Errorf("a record of %d attributes arrived without that of With", n)
		}
	}
}

func builtIns(c *check) {
	rec := new(Recorder)
	h := c.wrap(c.next(rec))
	var pcs [1]uintptr
	runtime.Callers(1, pcs[:])
	want := slog.NewRecord(time.Date(2001, 2, 3, 4, 5, 6, 789, time.UTC), slog.LevelWarn+1, "a message", pcs[0])
	const n = 7
	for i := range n {
		want.AddAttrs(attr("k", strconv.Itoa(i)))
	}
	c.handle(h, context.Background(), want.Clone())

	c.flush(h)
	c.shutdown(h)
	items := rec.Items()
	if len(items) != 1 {
		c.Fatalf("one record was handled and %d arrived", len(items))
	}
	const remedy = "build a changed record with slog.NewRecord(r.Time, r.Level, r.Message, r.PC)"
	got := items[0].Record
	if !got.Time.Equal(want.Time) {
		c.Errorf("a record of time %v arrived with %v: %s", want.Time, got.Time, remedy)
	}
	if got.Level != want.Level {
		c.Errorf("a record of level %v arrived with %v: %s", want.Level, got.Level, remedy)
	}
	if got.Message != want.Message {
		c.Errorf("the message %q arrived as %q: %s", want.Message, got.Message, remedy)
	}
	if got.PC != want.PC {
		c.Errorf("the PC is another, so that the source of the record is wrong or gone: %s", remedy)
	}
	next := 0
	got.Attrs(func(a slog.Attr) bool {
		if a.Key == "k" && a.Value.String() == strconv.Itoa(next) {
			next++
		}
		return true
	})
	if next != n {
		c.Errorf("the attributes arrived in another order: readers take the last of two that have one key")
	}
}

func zeroBuiltIns(c *check) {
	rec := new(Recorder)
	h := c.wrap(c.next(rec))
	c.handle(h, context.Background(), slog.NewRecord(time.Time{}, slog.LevelInfo, "neither time nor PC", 0))
	c.flush(h)
	c.shutdown(h)
	items := rec.Items()
	if len(items) != 1 {
		c.Fatalf("one record was handled and %d arrived", len(items))
	}
	if r := items[0].Record; !r.Time.IsZero() {
		c.Errorf("a record without a time arrived with %v: handlers are to leave out a zero time, not to make one up", r.Time)
	}
	if r := items[0].Record; r.PC != 0 {
		c.Errorf("a record without a PC arrived with one")
	}
}

// clonedRecords handles records whose slice of attributes has room for more.
// Whoever extends a copy of such a record in place writes into the memory of
// all copies, which slog.Record notices and reports as an attribute !BUG.
func clonedRecords(c *check) {
	const bug = "!BUG"
	s := c.subject()
	ctx := context.Background()
	shared := false
	for n := 6; n <= 20; n++ {
		r := record(fmt.Sprint(n, " attributes"))
		for i := range n {
			r.AddAttrs(attr(fmt.Sprint("k", i), "v"))
		}
		derived := s.handler.WithAttrs([]slog.Attr{attr("with", "w")})
		c.handle(s.handler, ctx, r)
		r.Message += " and With"
		c.handle(derived, ctx, r)
		r.AddAttrs(attr("late", "added after Handle"))
		r.Attrs(func(a slog.Attr) bool {
			shared = shared || a.Key == bug
			return true
		})
	}
	if shared {
		c.Errorf("Handle added attributes to a record that its caller, and other handlers, still use: call r.Clone() before r.AddAttrs")
	}
	for _, result := range s.arrived() {
		if at(result, "late") != nil || at(result, bug) != nil {
			c.Errorf("a record shows what was done with other copies of it, and arrived as %v: call r.Clone() before keeping or extending it", result)
			break
		}
	}
}

func concurrentRecords(c *check) {
	const goroutines, each = 8, 25
	s := c.subject()
	ctx := context.Background()
	parent := s.handler.WithAttrs([]slog.Attr{attr("parent", "p")})
	errs := make([]error, goroutines)
	c.call("logging from several goroutines", func() {
		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() {
				h := parent.WithAttrs([]slog.Attr{attr("goroutine", strconv.Itoa(g))})
				if g%2 == 1 {
					h = h.WithGroup("group")
				}
				for i := range each {
					h.Enabled(ctx, slog.LevelInfo)
					if err := h.Handle(ctx, record("concurrent", attr("n", strconv.Itoa(i)))); err != nil {
						errs[g] = err
					}
				}
			})
		}
		wg.Go(func() {
			for range 5 {
				_ = slogworks.Flush(ctx, s.handler) // complained about elsewhere
			}
		})
		wg.Wait()
	})
	for _, err := range errs {
		if err != nil {
			c.Errorf("Handle returned %q: there must be room for %d records", err, goroutines*each)
		}
	}

	got := make([][]any, goroutines)
	results := s.arrived()
	if count(results, "concurrent") == 0 {
		c.Fatalf("records of several goroutines did not arrive; %s", whatArrived(results))
	}
	for _, result := range results {
		if result[slog.MessageKey] != "concurrent" {
			continue
		}
		name, _ := at(result, "goroutine").(string)
		g, err := strconv.Atoi(name)
		if err != nil || at(result, "parent") != "p" {
			c.Fatalf("a record arrived without the attributes of its logger, as %v: what handlers share must be read and written under a lock", result)
		}
		path := []string{"n"}
		if g%2 == 1 {
			path = []string{"group", "n"}
		}
		got[g] = append(got[g], at(result, path...))
	}
	for g := range goroutines {
		c.inOrder(fmt.Sprint("goroutine ", g), got[g], each)
	}
}

// inOrder complains unless got counts from "0" up to want.
func (c *check) inOrder(who string, got []any, want int) {
	c.Helper()
	if len(got) != want {
		c.Errorf("of the %d records of %s, %d arrived: each must arrive once", want, who, len(got))
		return
	}
	for i, n := range got {
		if n != strconv.Itoa(i) {
			c.Errorf("record %v of %s arrived in the place of record %d: what one goroutine logs must stay in order", n, who, i)
			return
		}
	}
}

package memory_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/sinks/memory"
)

// asMap returns what a sink that writes would have written.
func asMap(v slogworks.View) map[string]any {
	m := map[string]any{slog.LevelKey: v.Level(), slog.MessageKey: v.Message()}
	if !v.Time().IsZero() {
		m[slog.TimeKey] = v.Time()
	}
	if source := v.Source(); source != nil {
		m[slog.SourceKey] = source
	}
	for a := range v.Attrs() {
		addTo(m, a)
	}
	return m
}

func addTo(m map[string]any, a slog.Attr) {
	value := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if value.Kind() != slog.KindGroup {
		m[a.Key] = value.Any()
		return
	}
	into := m
	if a.Key != "" && len(value.Group()) > 0 {
		into = map[string]any{}
		m[a.Key] = into
	}
	for _, member := range value.Group() {
		addTo(into, member)
	}
}

func messages(h *memory.Handler) []string {
	var msgs []string
	for v := range h.Records() {
		msgs = append(msgs, v.Message())
	}
	return msgs
}

func text(v slogworks.View) string {
	var b strings.Builder
	r := slog.NewRecord(time.Time{}, v.Level(), v.Message(), 0)
	r.AddAttrs(slices.Collect(v.Attrs())...)
	slog.NewTextHandler(&b, nil).Handle(context.Background(), r)
	return strings.TrimSuffix(b.String(), "\n")
}

func TestHandler_passesSlogtest(t *testing.T) {
	var logs *memory.Handler
	slogtest.Run(t, func(*testing.T) slog.Handler {
		logs = memory.New(nil)
		return logs
	}, func(t *testing.T) map[string]any {
		return asMap(logs.One(t))
	})
}

func TestNew_takesDefaults(t *testing.T) {
	const defaultMaxRecords = 10_000
	for name, opts := range map[string]*memory.Options{
		"nil options":         nil,
		"zero options":        {},
		"negative MaxRecords": {MaxRecords: -1},
	} {
		t.Run(name, func(t *testing.T) {
			var before memory.Options
			if opts != nil {
				before = *opts
			}
			logs := memory.New(opts)
			if opts != nil && *opts != before {
				t.Errorf("New wrote %+v to the caller's options", *opts)
			}
			for _, level := range []slog.Level{-1000, slog.LevelDebug, slog.LevelError} {
				if !logs.Enabled(t.Context(), level) {
					t.Errorf("%v is not enabled", level)
				}
			}
			r := slog.NewRecord(time.Time{}, slog.LevelInfo, "m", 0)
			for range defaultMaxRecords + 1 {
				logs.Handle(t.Context(), r)
			}
			if got := logs.Len(); got != defaultMaxRecords {
				t.Errorf("%d records are kept, want %d", got, defaultMaxRecords)
			}
		})
	}
}

func TestNew_copiesItsOptions(t *testing.T) {
	opts := &memory.Options{MaxRecords: 1}
	logs := memory.New(opts)
	*opts = memory.Options{Level: slog.LevelError, MaxRecords: 2}
	logger := slog.New(logs)
	logger.Info("a")
	logger.Info("b")
	if got := messages(logs); !slices.Equal(got, []string{"b"}) {
		t.Errorf("kept %q, want b alone", got)
	}
}

func TestHandler_readsItsLevelPerRecord(t *testing.T) {
	var level slog.LevelVar
	level.Set(slog.LevelWarn)
	logs := memory.New(&memory.Options{Level: &level})
	logger := slog.New(logs).With("a", 1)

	logger.Info("too low")
	logger.Warn("lowest accepted")
	level.Set(slog.LevelDebug)
	logger.Debug("accepted now")

	if got, want := messages(logs), []string{"lowest accepted", "accepted now"}; !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
	if allocs := testing.AllocsPerRun(100, func() { logs.Enabled(t.Context(), slog.LevelInfo) }); allocs != 0 {
		t.Errorf("Enabled allocates %v times", allocs)
	}
}

func TestNew_panicsWithANilPointerAsALevel(t *testing.T) {
	defer func() {
		if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "memory: nil *slog.LevelVar as a level") {
			t.Errorf("it panicked with %q", p)
		}
	}()
	memory.New(&memory.Options{Level: (*slog.LevelVar)(nil)})
}

// counter is a LogValuer that says how often it was asked, as a live object does.
type counter struct{ n int }

func (c *counter) LogValue() slog.Value {
	c.n++
	return slog.IntValue(c.n)
}

func TestHandler_keepsValuesAsTheyWereLogged(t *testing.T) {
	logs := memory.New(nil)
	list, bytes, dict := []int{1, 2}, []byte("ab"), map[string]int{"k": 1}
	live := &counter{}
	attrs := []slog.Attr{slog.Any("with", list), slog.Any("live", live)}
	logger := slog.New(slog.New(logs).Handler().WithAttrs(attrs))
	logger.Info("m", "list", list, "bytes", bytes, slog.Group("g", "dict", dict, "live", live))

	list[0], bytes[0], dict["k"], live.n = 9, 'z', 9, 90
	attrs[0] = slog.String("with", "changed")

	want := `level=INFO msg=m with="[1 2]" live=1 list="[1 2]" bytes="ab" g.dict=map[k:1] g.live=2`
	for range 2 {
		if got := text(logs.One(t)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

type ctxKey struct{}

func TestHandler_keepsTheValuesOfTheContext(t *testing.T) {
	logs := memory.New(nil)
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), ctxKey{}, "v"))
	cancel()
	slog.New(logs).InfoContext(ctx, "after cancellation")
	for got := range logs.All() {
		if got.Value(ctxKey{}) != "v" || got.Err() != nil || got.Done() != nil {
			t.Errorf("value %v, error %v: want the value and no cancellation", got.Value(ctxKey{}), got.Err())
		}
	}
	if logs.Len() != 1 {
		t.Error("the cancelled context cost the record")
	}
}

func TestHandler_acceptsANilContext(t *testing.T) {
	logs := memory.New(nil)
	var none context.Context
	if err := logs.Handle(none, slog.NewRecord(time.Time{}, slog.LevelInfo, "m", 0)); err != nil {
		t.Error(err)
	}
	for ctx := range logs.All() {
		if ctx == nil {
			t.Error("the record has a nil context")
		}
	}
}

func TestHandler_keepsItsOwnCopyOfARecord(t *testing.T) {
	logs := memory.New(nil)
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "m", 0)
	for i := range 7 { // more than a Record holds without a slice
		r.AddAttrs(slog.Int("k", i))
	}
	logs.Handle(t.Context(), r)
	r.AddAttrs(slog.Int("late", 1))
	logs.Handle(t.Context(), r)
	if n := logs.Attr("late", 1).Len(); n != 1 {
		t.Errorf("%d records have an attribute that was added after the first was logged", n)
	}
}

func TestHandler_derives(t *testing.T) {
	t.Run("siblings share the records and nothing else", func(t *testing.T) {
		logs := memory.New(nil)
		base := slog.New(logs).With("base", 1).WithGroup("g").With("x", 1)
		left, right := base.With("side", "left"), base.With("side", "right")
		left.Info("m", "k", 1)
		right.Info("m")
		base.Info("m")

		var got []string
		for v := range logs.Records() {
			got = append(got, text(v))
		}
		want := []string{
			"level=INFO msg=m base=1 g.x=1 g.side=left g.k=1",
			"level=INFO msg=m base=1 g.x=1 g.side=right",
			"level=INFO msg=m base=1 g.x=1",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
	t.Run("a derived handler answers for all records", func(t *testing.T) {
		logs := memory.New(nil)
		derived := logs.WithGroup("g").WithAttrs([]slog.Attr{slog.Int("a", 1)}).(*memory.Handler)
		slog.New(logs).Info("direct")
		slog.New(derived).Info("derived")
		if derived.Len() != 2 || derived.Account().Accepted != 2 {
			t.Errorf("the derived handler knows of %d records, its account of %d, want 2", derived.Len(), derived.Account().Accepted)
		}
		derived.Reset()
		if logs.Len() != 0 {
			t.Error("a Reset of the derived handler left records")
		}
	})
	t.Run("nothing to add gives the receiver", func(t *testing.T) {
		logs := memory.New(nil)
		if logs.WithAttrs(nil) != logs || logs.WithAttrs([]slog.Attr{}) != logs || logs.WithGroup("") != logs {
			t.Error("got another handler")
		}
	})
}

func TestHandler_takesBatchesAsTheyAre(t *testing.T) {
	ctx := context.WithValue(context.Background(), ctxKey{}, "v")
	live := &counter{}
	record := func(msg string) slog.Record {
		r := slog.NewRecord(time.Time{}, slog.LevelDebug, msg, 0)
		r.Add("k", 1, "live", live)
		return r
	}
	logs := memory.New(&memory.Options{Level: slog.LevelInfo})
	batch := slogworks.Batch{Kind: slogworks.Escalation, Items: []slogworks.Item{
		{Context: ctx, Record: record("a")},
		{Context: ctx, Record: record("b")},
	}}
	// A handler may have been derived before the stage that sends got it.
	derived := logs.WithGroup("g").(*memory.Handler)
	for _, h := range []*memory.Handler{logs, derived} {
		if err := h.HandleBatch(t.Context(), batch); err != nil {
			t.Error(err)
		}
	}
	if live.n != 0 {
		t.Error("the values were frozen again")
	}
	if got, want := messages(logs), []string{"a", "b", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
	if top, inGroup := logs.Attr("k", 1).Len(), logs.Attr("g", "k", 1).Len(); top != 2 || inGroup != 2 {
		t.Errorf("%d records have k at the top, %d in the group, want 2 and 2", top, inGroup)
	}
	for got := range logs.All() {
		if got != ctx {
			t.Errorf("a record has the context %v, want its item's", got)
		}
	}
}

func TestHandler_keepsBatchesTogether(t *testing.T) {
	const batches, each = 4, 2000
	logs := memory.New(nil)
	var wg sync.WaitGroup
	for i := range batches {
		wg.Go(func() {
			b := slogworks.Batch{Items: slices.Repeat([]slogworks.Item{item(fmt.Sprint(i))}, each)}
			logs.HandleBatch(t.Context(), b)
		})
	}
	wg.Wait()
	if runs := len(slices.Compact(messages(logs))); runs != batches {
		t.Errorf("%d batches lie in %d pieces", batches, runs)
	}
}

func TestHandler_dropsOldestWhenFull(t *testing.T) {
	const limit = 3
	for _, how := range []string{"Handle", "HandleBatch"} {
		t.Run(how, func(t *testing.T) {
			logs := memory.New(&memory.Options{MaxRecords: limit})
			var b slogworks.Batch
			var want []string
			for i := range 1000 {
				msg := fmt.Sprint(i)
				r := slog.NewRecord(time.Time{}, slog.LevelInfo, msg, 0)
				b.Items = append(b.Items, slogworks.Item{Context: t.Context(), Record: r})
				want = append(want, msg)
				if how == "Handle" {
					logs.Handle(t.Context(), r)
					if got, want := messages(logs), want[max(0, i-2):]; !slices.Equal(got, want) {
						t.Fatalf("kept %q, want %q", got, want)
					}
				}
			}
			if how == "HandleBatch" {
				logs.HandleBatch(t.Context(), b)
			}
			if got, want := messages(logs), want[1000-limit:]; !slices.Equal(got, want) {
				t.Errorf("kept %q, want %q", got, want)
			}
			a := logs.Account()
			if a.Stage != "memory" || a.Accepted != 1000 || a.Delivered != limit || a.Held != 0 || a.Dropped["overflow"] != 1000-limit {
				t.Errorf("account %+v", a)
			}
		})
	}
}

func TestHandler_Reset(t *testing.T) {
	logs := memory.New(&memory.Options{MaxRecords: 2})
	logger := slog.New(logs)
	for range 3 {
		logger.Info("before")
	}
	records := logs.Records()
	next := 0
	for range records {
		if next++; next == 1 {
			logs.Reset()
			logger.Info("after")
		}
	}
	if next != 2 {
		t.Errorf("the loop under way saw %d records, want the 2 that were there when it began", next)
	}
	if got := messages(logs); !slices.Equal(got, []string{"after"}) {
		t.Errorf("kept %q, want after alone", got)
	}
	a := logs.Account()
	if a.Accepted != 4 || a.Delivered != 3 || a.Dropped["overflow"] != 1 {
		t.Errorf("account %+v: want Reset to change nothing", a)
	}
}

func TestHandler_Account(t *testing.T) {
	logs := memory.New(nil)
	if a := logs.Account(); a.Accepted != 0 || a.Dropped != nil {
		t.Errorf("account of nothing: %+v", a)
	}
	slog.New(logs).Info("m")
	books := slogworks.Books(logs)
	if len(books) != 1 || books[0].Stage != "memory" || books[0].Delivered != 1 {
		t.Errorf("books %+v, want one account with one record", books)
	}
	if err := errors.Join(slogworks.Flush(t.Context(), logs), slogworks.Shutdown(t.Context(), logs)); err != nil {
		t.Error(err)
	}
	slog.New(logs).Info("after Shutdown")
	if logs.Len() != 2 {
		t.Error("a memory sink has nothing to shut down, and lost a record")
	}
}

func TestHandler_isSafeForConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const goroutines, each, limit = 8, 200, 500
		logs := memory.New(&memory.Options{MaxRecords: limit})
		base := slog.New(logs).With("a", 1)

		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() {
				if _, err := logs.Message("done").Attr("g", "goroutine", g).Wait(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // or records could be dropped before anybody waits for them
		for g := range goroutines {
			wg.Go(func() {
				logger := base.WithGroup("g").With("goroutine", g)
				for i := range each {
					logger.Info("m", "i", i, "shared", []int{g})
				}
				logger.Error("done")
			})
			wg.Go(func() {
				last := -1
				for v := range logs.Message("m").Attr("g", "goroutine", g).Records() {
					i, _ := v.Attr("g", "i")
					if int(i.Int64()) <= last {
						t.Errorf("goroutine %d: %v comes after %d", g, i, last)
					}
					last = int(i.Int64())
				}
				logs.HasError("done")
				logs.Account()
			})
		}
		wg.Wait()

		const total = goroutines * (each + 1)
		a := logs.Account()
		if a.Accepted != total || a.Delivered != limit || a.Accepted != a.Delivered+a.Dropped["overflow"] || logs.Len() != limit {
			t.Errorf("%d records are kept, account %+v", logs.Len(), a)
		}
		if n := logs.Waiters(); n != 0 {
			t.Errorf("%d waiters are left behind", n)
		}
	})
}

func TestHandler_needsNoTesting(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{.Standard}}", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		path, standard, _ := strings.Cut(strings.TrimSpace(line), " ")
		if path == "testing" || strings.HasPrefix(path, "testing/") {
			t.Errorf("memory links %s into programs", path)
		}
		if standard != "true" && !strings.HasPrefix(path, "github.com/slogworks/slogworks") {
			t.Errorf("memory depends on %s", path)
		}
	}
}

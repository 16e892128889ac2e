package limit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/limit"
)

// messages returns what arrived: level, message and attributes, without times.
func messages(rec *handlertest.Recorder) []string {
	var lines []string
	for _, item := range rec.Items() {
		var line strings.Builder
		h := slog.NewTextHandler(&line, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindTime {
				return slog.Attr{}
			}
			return a
		}})
		_ = h.Handle(context.Background(), item.Record) // a strings.Builder takes everything
		lines = append(lines, strings.TrimSpace(line.String()))
	}
	return lines
}

func expect(t *testing.T, rec *handlertest.Recorder, want ...string) {
	t.Helper()
	if got := messages(rec); !slices.Equal(got, want) {
		t.Errorf("arrived:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func record(level slog.Level, message string, attrs ...slog.Attr) slog.Record {
	r := slog.NewRecord(time.Now(), level, message, 0)
	r.AddAttrs(attrs...)
	return r
}

func mustHandle(t *testing.T, h slog.Handler, n int, level slog.Level, message string) {
	t.Helper()
	for range n {
		if err := h.Handle(t.Context(), record(level, message)); err != nil {
			t.Errorf("Handle: %v", err)
		}
	}
}

func shutdown(t *testing.T, h *limit.Handler) {
	t.Helper()
	if err := h.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestHandler_summarisesWhenTheWindowEndsEvenIfNothingFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := new(handlertest.Recorder)
		h := limit.New(rec, &limit.Options{First: 2, Window: time.Minute})
		start := time.Now()
		mustHandle(t, h, 2, slog.LevelError, "disk full")
		time.Sleep(10 * time.Second)
		mustHandle(t, h, 1, slog.LevelError, "disk full")
		time.Sleep(20 * time.Second)
		mustHandle(t, h, 2, slog.LevelError, "disk full")
		time.Sleep(time.Until(start.Add(time.Minute)) - time.Nanosecond)
		synctest.Wait()
		expect(t, rec, `level=ERROR msg="disk full"`, `level=ERROR msg="disk full"`)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		expect(t, rec, `level=ERROR msg="disk full"`, `level=ERROR msg="disk full"`,
			`level=ERROR msg="disk full (3 more)" limit.count=3`)

		view := slogworks.NewView(rec.Items()[2].Record)
		if !view.Time().Equal(start.Add(time.Minute)) {
			t.Errorf("the summary is of %v", view.Time().Sub(start))
		}
		for key, after := range map[string]time.Duration{"first": 10 * time.Second, "last": 30 * time.Second} {
			if at, _ := view.Attr("limit", key); !at.Time().Equal(start.Add(after)) {
				t.Errorf("limit.%s is %v, want %v after the start", key, at, after)
			}
		}

		// The next window is like the first, and one without losses is silent.
		time.Sleep(time.Hour)
		mustHandle(t, h, 2, slog.LevelError, "disk full")
		time.Sleep(time.Hour)
		mustHandle(t, h, 3, slog.LevelError, "disk full")
		time.Sleep(time.Hour)
		if got := messages(rec)[3:]; !slices.Equal(got, []string{
			`level=ERROR msg="disk full"`, `level=ERROR msg="disk full"`,
			`level=ERROR msg="disk full"`, `level=ERROR msg="disk full"`,
			`level=ERROR msg="disk full (1 more)" limit.count=1`,
		}) {
			t.Errorf("in further windows arrived: %q", got)
		}
		shutdown(t, h)
	})
}

func TestHandler_summarisesAtShutdown(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := limit.New(rec, &limit.Options{First: 1})
	mustHandle(t, h, 3, slog.LevelInfo, "a")
	mustHandle(t, h, 2, slog.LevelWarn, "b")
	mustHandle(t, h, 1, slog.LevelWarn, "c")
	shutdown(t, h)
	want := []string{
		"level=INFO msg=a", "level=WARN msg=b", "level=WARN msg=c",
		`level=INFO msg="a (2 more)" limit.count=2`, `level=WARN msg="b (1 more)" limit.count=1`,
	}
	expect(t, rec, want...)
	if err := errors.Join(h.Shutdown(t.Context()), h.Close(), h.Flush(t.Context())); err != nil {
		t.Error(err)
	}
	expect(t, rec, want...)
}

func TestHandler_summarisesAKindThatIsForgotten(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := limit.New(rec, &limit.Options{First: 1, MaxKinds: 2})
	mustHandle(t, h, 3, slog.LevelInfo, "a")
	mustHandle(t, h, 1, slog.LevelInfo, "b")
	mustHandle(t, h, 1, slog.LevelInfo, "c") // forgets b, which has lost nothing
	mustHandle(t, h, 2, slog.LevelInfo, "c")
	expect(t, rec, "level=INFO msg=a", "level=INFO msg=b", "level=INFO msg=c")
	mustHandle(t, h, 1, slog.LevelInfo, "d") // forgets a, the older of two that have
	expect(t, rec, "level=INFO msg=a", "level=INFO msg=b", "level=INFO msg=c",
		`level=INFO msg="a (2 more)" limit.count=2`, "level=INFO msg=d")
	mustHandle(t, h, 1, slog.LevelInfo, "a") // anew, forgets d
	if s := h.Stats(); s.Kinds != 2 || s.Evicted != 3 || s.Summaries != 1 {
		t.Errorf("Stats: %+v", s)
	}
	shutdown(t, h)
	if got := messages(rec)[5:]; !slices.Equal(got, []string{"level=INFO msg=a", `level=INFO msg="c (2 more)" limit.count=2`}) {
		t.Errorf("at the end arrived: %q", got)
	}
}

// TestHandler_neverCountsADeliveredRecord logs several kinds under every rule
// from several goroutines: each record is delivered or counted, and the sum of the
// summaries is what was not delivered.
func TestHandler_neverCountsADeliveredRecord(t *testing.T) {
	for name, opts := range map[string]*limit.Options{
		"by kinds":        {First: 3},
		"in few kinds":    {First: 2, MaxKinds: 3},
		"in short ones":   {First: 2, MaxKinds: 5, Window: 2 * time.Millisecond},
		"under all":       {First: 50, Rate: slogworks.Rate{N: 100, Per: 10 * time.Millisecond}, Sample: []limit.Sample{{Every: 3}}, Window: 3 * time.Millisecond},
		"by rate":         {First: -1, Rate: slogworks.Rate{N: 100, Per: time.Hour}},
		"by every second": {First: -1, Sample: []limit.Sample{{Below: slog.LevelError, Every: 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			rec := new(handlertest.Recorder)
			h := limit.New(rec, opts)
			const goroutines, each = 4, 1000
			var wg sync.WaitGroup
			for g := range goroutines {
				derived := h.WithAttrs([]slog.Attr{slog.Int("goroutine", g)})
				wg.Go(func() {
					for i := range each {
						if err := derived.Handle(context.Background(), record(slog.Level(i/10%4*4-4), fmt.Sprint("kind ", i/10%7))); err != nil {
							t.Error(err)
						}
						if i%100 == 0 {
							if err := h.Flush(context.Background()); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
			wg.Wait()
			shutdown(t, h)
			var delivered, told uint64
			for _, item := range rec.Items() {
				view := slogworks.NewView(item.Record)
				count, isSummary := view.Attr("limit", "count")
				dropped, isLoss := view.Attr("dropped")
				switch {
				case isSummary:
					told += count.Uint64()
				case isLoss:
					told += dropped.Uint64()
				default:
					delivered++
				}
			}
			s := h.Stats()
			if dropped := s.Suppressed + s.Sampled + s.OverRate; delivered != s.Passed || told != dropped || delivered+told != goroutines*each || told == 0 {
				t.Errorf("%d records arrived, %d were told to be dropped, of %d; Stats: %+v", delivered, told, goroutines*each, s)
			}
		})
	}
}

func TestHandler_enabledDecidesNothing(t *testing.T) {
	rec := &handlertest.Recorder{Level: slog.LevelInfo}
	h := limit.New(rec, &limit.Options{First: 1, Rate: slogworks.Rate{N: 2, Per: time.Hour}, Sample: []limit.Sample{{Below: slog.LevelWarn, Every: 1}}})
	for range 1000 {
		if !h.Enabled(t.Context(), slog.LevelInfo) || h.Enabled(t.Context(), slog.LevelDebug) {
			t.Fatal("Enabled is not what next says")
		}
	}
	mustHandle(t, h, 2, slog.LevelInfo, "a")
	mustHandle(t, h, 2, slog.LevelInfo, "b")
	mustHandle(t, h, 1, slog.LevelDebug, "not enabled")
	if !h.Enabled(t.Context(), slog.LevelInfo) {
		t.Error("Enabled says what Handle is to decide")
	}
	if s := h.Stats(); s != (limit.Stats{Passed: 2, Suppressed: 2, Kinds: 2}) {
		t.Errorf("Stats: %+v", s)
	}
	shutdown(t, h)
}

func TestHandler_tellsKindsByLevelSourceAndMessage(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := limit.New(rec, &limit.Options{First: 1})
	logger := slog.New(h)
	for range 2 {
		logger.Info("a")
		logger.Info("a")
		logger.Info("b")
		logger.Warn("a")
	}
	want := []string{"level=INFO msg=a", "level=INFO msg=a", "level=INFO msg=b", "level=WARN msg=a"}
	expect(t, rec, want...)
	first := rec.Items()[0].Record.Source()
	shutdown(t, h)
	for _, item := range rec.Items()[4:] {
		if source := item.Record.Source(); source == nil || source.File != first.File || source.Line < first.Line {
			t.Errorf("the summary %q has the source %v", item.Record.Message, source)
		}
	}
}

func TestHandler_asksKindForTheKind(t *testing.T) {
	type key struct{}
	var reported []error
	rec := new(handlertest.Recorder)
	h := limit.New(rec, &limit.Options{
		First: 1,
		Kind: func(ctx context.Context, v slogworks.View) string {
			if v.Message() == "panic" {
				panic("no kind")
			}
			of, _ := ctx.Value(key{}).(string)
			id, _ := v.Attr("g", "id")
			if !id.Equal(slog.Value{}) {
				of += id.String()
			}
			return of
		},
		OnError: func(err error) { reported = append(reported, err) },
	})
	derived := h.WithAttrs([]slog.Attr{slog.Int("k", 1)}).WithGroup("g").WithAttrs([]slog.Attr{slog.Int("id", 7)})
	ctx := context.WithValue(t.Context(), key{}, "x")
	for _, r := range []slog.Record{record(slog.LevelInfo, "first"), record(slog.LevelInfo, "second"), record(slog.LevelError, "third"), record(slog.LevelInfo, "fourth")} {
		if err := derived.Handle(ctx, r); err != nil {
			t.Error(err)
		}
	}
	mustHandle(t, h, 2, slog.LevelInfo, "of no kind")
	mustHandle(t, h, 2, slog.LevelInfo, "panic")
	shutdown(t, h)
	expect(t, rec,
		"level=INFO msg=first k=1 g.id=7",
		`level=INFO msg="of no kind"`, `level=INFO msg="of no kind"`, "level=INFO msg=panic", "level=INFO msg=panic",
		`level=ERROR msg="second (3 more)" k=1 g.id=7 g.limit.count=3`)
	var p *slogworks.PanicError
	if len(reported) != 2 || !errors.As(reported[0], &p) || p.Value != "no kind" {
		t.Errorf("OnError got %v", reported)
	}
}

func TestHandler_summarisesByWhatAllHandlersHadInCommon(t *testing.T) {
	attrs := func(h slog.Handler, key, value string) slog.Handler {
		return h.WithAttrs([]slog.Attr{slog.String(key, value)})
	}
	for name, test := range map[string]struct {
		handlers func(root slog.Handler) []slog.Handler
		want     string
	}{
		"one": {func(root slog.Handler) []slog.Handler {
			h := attrs(root, "logger", "db").WithGroup("g")
			return []slog.Handler{h, h}
		}, "logger=db g.limit.count=2"},
		"two of one logger": {func(root slog.Handler) []slog.Handler {
			db := attrs(root, "logger", "db")
			return []slog.Handler{attrs(db, "request", "1"), attrs(db, "request", "2").WithGroup("g")}
		}, "logger=db limit.count=2"},
		"one and a deeper one": {func(root slog.Handler) []slog.Handler {
			db := attrs(root, "logger", "db")
			return []slog.Handler{attrs(db, "request", "1"), db, attrs(db, "request", "1")}
		}, "logger=db limit.count=3"},
		"two that have nothing in common": {func(root slog.Handler) []slog.Handler {
			return []slog.Handler{attrs(root, "logger", "db"), attrs(root, "logger", "db")}
		}, "limit.count=2"},
	} {
		rec := new(handlertest.Recorder)
		root := limit.New(rec, &limit.Options{First: 1})
		mustHandle(t, root, 1, slog.LevelInfo, "a")
		for _, h := range test.handlers(root) {
			mustHandle(t, h, 1, slog.LevelInfo, "a")
		}
		shutdown(t, root)
		if got := messages(rec); len(got) != 2 || !strings.HasSuffix(got[1], `more)" `+test.want) {
			t.Errorf("%s: arrived %q, want %s", name, got, test.want)
		}
	}
}

func TestHandler_boundsTheRateOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := new(handlertest.Recorder)
		h := limit.New(rec, &limit.Options{First: -1, Rate: slogworks.Rate{N: 3, Per: time.Second}})
		passed := func(n int) int {
			before := h.Stats().Passed
			for i := range n {
				mustHandle(t, h, 1, slog.LevelInfo, fmt.Sprint("message ", i))
			}
			return int(h.Stats().Passed - before)
		}
		for _, step := range []struct {
			sleep     time.Duration
			log, want int
		}{
			{0, 10, 3},
			{333 * time.Millisecond, 2, 0},
			{time.Millisecond, 2, 1},
			{time.Second, 10, 3},
			{time.Hour, 10, 3},
		} {
			time.Sleep(step.sleep)
			if got := passed(step.log); got != step.want {
				t.Errorf("after %v, %d of %d records passed, want %d", step.sleep, got, step.log, step.want)
			}
		}
		time.Sleep(time.Hour)
		var told []string
		for _, line := range messages(rec) {
			if strings.HasPrefix(line, `level=WARN msg="slogworks`) {
				told = append(told, line)
			}
		}
		const line = `level=WARN msg="slogworks: records dropped" stage=limit dropped=%d by_level.INFO=%d reason=rate`
		if want := []string{fmt.Sprintf(line, 17, 17), fmt.Sprintf(line, 7, 7)}; !slices.Equal(told, want) {
			t.Errorf("told:\n%s\nwant:\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
		}
		shutdown(t, h)
	})
}

func TestHandler_samplesByLevel(t *testing.T) {
	var below slog.LevelVar
	below.Set(slog.LevelError)
	rec := new(handlertest.Recorder)
	h := limit.New(rec, &limit.Options{First: -1, Sample: []limit.Sample{{Every: 10}, {Below: &below, Every: 2}}})
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	log := func(want map[slog.Level]int) {
		t.Helper()
		before := len(rec.Items())
		for range 100 {
			for _, level := range levels {
				mustHandle(t, h, 1, level, "a")
			}
		}
		got := map[slog.Level]int{}
		for _, item := range rec.Items()[before:] {
			got[item.Record.Level]++
		}
		// Info and Warn are thinned out together.
		got[slog.LevelInfo] += got[slog.LevelWarn]
		delete(got, slog.LevelWarn)
		if !maps.Equal(got, want) {
			t.Errorf("passed: %v, want %v", got, want)
		}
	}
	log(map[slog.Level]int{slog.LevelDebug: 10, slog.LevelInfo: 100, slog.LevelError: 100})
	below.Set(slog.LevelDebug)
	log(map[slog.Level]int{slog.LevelDebug: 10, slog.LevelInfo: 200, slog.LevelError: 100})
	if s := h.Stats(); s.Sampled != 90+100+90 {
		t.Errorf("Stats: %+v", s)
	}
	shutdown(t, h)
	lines := messages(rec)
	if got, want := lines[len(lines)-1], `level=WARN msg="slogworks: records dropped" stage=limit dropped=280 by_level.DEBUG=180 `; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "reason=sampled") {
		t.Errorf("at the end arrived %s", got)
	}
}

// Of two messages that alternate, a sampler that took every second record would
// only ever see one.
func TestSample_takesARandomOneOfEachRow(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := limit.New(rec, &limit.Options{First: -1, Sample: []limit.Sample{{Below: slog.LevelWarn, Every: 2}}})
	// That all of 200 coins fall alike is as good as impossible.
	for range 200 {
		mustHandle(t, h, 1, slog.LevelInfo, "a")
		mustHandle(t, h, 1, slog.LevelInfo, "b")
	}
	got := messages(rec)
	if len(got) != 200 || !slices.Contains(got, "level=INFO msg=a") || !slices.Contains(got, "level=INFO msg=b") {
		t.Errorf("%d records passed, of both messages: %v", len(got), slices.Compact(slices.Sorted(slices.Values(got))))
	}
	shutdown(t, h)
}

func TestHandler_boundsItsMemory(t *testing.T) {
	h := limit.New(slog.NewJSONHandler(io.Discard, nil), &limit.Options{First: 1})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const kinds, size = 20_000, 4 << 10
	for i := range kinds {
		message := fmt.Sprintf("%020d", i) + strings.Repeat("x", size)
		mustHandle(t, h, 1+i%2, slog.LevelInfo, message)
		if n := h.Stats().Kinds; n > 10_000 {
			t.Fatalf("%d kinds are remembered", n)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	s := h.Stats()
	if s.Kinds != 10_000 || s.Evicted != kinds-10_000 {
		t.Errorf("Stats: %+v", s)
	}
	// 10,000 kinds with 1 KiB each of id and, where one was dropped, of message.
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("%d MiB for 10,000 kinds", grown>>20)
	}
	shutdown(t, h)
	if n := h.Stats().Kinds; n != 0 {
		t.Errorf("%d kinds are remembered after Shutdown", n)
	}
}

func TestHandler_tellsLongMessagesByTheirBeginning(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := limit.New(rec, &limit.Options{First: 1})
	long := strings.Repeat("x", 1<<10)
	mustHandle(t, h, 1, slog.LevelInfo, long+"a")
	mustHandle(t, h, 1, slog.LevelInfo, long+"b")
	mustHandle(t, h, 1, slog.LevelInfo, long[1:]+"b")
	shutdown(t, h)
	expect(t, rec, "level=INFO msg="+long+"a", "level=INFO msg="+long[1:]+"b", `level=INFO msg="`+long+` (1 more)" limit.count=1`)
}

func TestNew_takesNilOptionsForZeroOptions(t *testing.T) {
	for _, opts := range []*limit.Options{nil, {}} {
		synctest.Test(t, func(t *testing.T) {
			rec := new(handlertest.Recorder)
			h := limit.New(rec, opts)
			mustHandle(t, h, 150, slog.LevelInfo, "a")
			time.Sleep(time.Minute - time.Nanosecond)
			synctest.Wait()
			if n := len(rec.Items()); n != 100 {
				t.Errorf("%d records passed", n)
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if got := messages(rec); len(got) != 101 || got[100] != `level=INFO msg="a (50 more)" limit.count=50` {
				t.Errorf("%d records after a minute", len(got))
			}
			shutdown(t, h)
		})
	}
}

func TestNew_copiesItsOptions(t *testing.T) {
	opts := &limit.Options{First: 1, Sample: []limit.Sample{{Every: 1}}}
	want := *opts
	h := limit.New(new(handlertest.Recorder), opts)
	if !reflect.DeepEqual(opts, &want) {
		t.Errorf("New changed its options to %+v", opts)
	}
	opts.First, opts.Sample[0] = 5, limit.Sample{Below: slog.LevelError, Every: 100}
	mustHandle(t, h, 3, slog.LevelInfo, "a")
	if s := h.Stats(); s.Passed != 1 || s.Suppressed != 2 {
		t.Errorf("Stats: %+v", s)
	}
	shutdown(t, h)
}

func batchOf(kind slogworks.Kind, records ...slog.Record) slogworks.Batch {
	b := slogworks.Batch{ID: "id", Kind: kind}
	for _, r := range records {
		b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: r})
	}
	return b
}

func TestHandler_handlesAStreamRecordByRecord(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := limit.New(rec, &limit.Options{First: 1})
	a, b := record(slog.LevelInfo, "a"), record(slog.LevelInfo, "b")
	if err := h.HandleBatch(t.Context(), batchOf(slogworks.Stream, a, a, b, a)); err != nil {
		t.Error(err)
	}
	expect(t, rec, "level=INFO msg=a", "level=INFO msg=b")
	if n := len(rec.Batches()); n != 1 {
		t.Errorf("they came as %d batches", n)
	}
	if err := h.HandleBatch(t.Context(), batchOf(slogworks.Stream, a, b)); err != nil || len(rec.Batches()) != 1 {
		t.Errorf("of a batch of which nothing passes came %v and %d batches", err, len(rec.Batches())-1)
	}
	shutdown(t, h)
	if got := messages(rec)[2:]; !slices.Equal(got, []string{`level=INFO msg="a (3 more)" limit.count=3`, `level=INFO msg="b (1 more)" limit.count=1`}) {
		t.Errorf("at the end arrived %q", got)
	}
}

func TestHandler_countsTheItemsOfTheWholeBatchInADeliveryError(t *testing.T) {
	accepted := 0
	rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error {
		return &slogworks.DeliveryError{Accepted: accepted}
	}}
	for n, want := range []int{1, 3, 5} { // of items 1 and 3 of 5, next accepted n
		h := limit.New(rec, &limit.Options{First: 1})
		accepted = 1
		if err := h.Handle(t.Context(), record(slog.LevelInfo, "a")); err == nil {
			t.Error("the error of a record is gone")
		}
		accepted = n
		a, b, c := record(slog.LevelInfo, "a"), record(slog.LevelInfo, "b"), record(slog.LevelInfo, "c")
		err, ok := h.HandleBatch(t.Context(), batchOf(slogworks.Stream, a, b, a, c, a)).(*slogworks.DeliveryError)
		if !ok || err.Accepted != want {
			t.Errorf("next accepted %d, HandleBatch says %+v, want %d", n, err, want)
		}
		rec.Before = nil
		shutdown(t, h)
		rec.Before = func(context.Context, slogworks.Batch) error {
			return &slogworks.DeliveryError{Accepted: accepted}
		}
	}
}

func TestHandler_passesWhatWasDecidedOnWhole(t *testing.T) {
	for _, kind := range []slogworks.Kind{slogworks.Escalation, slogworks.Digest} {
		rec := new(handlertest.Recorder)
		h := limit.New(rec, &limit.Options{First: 1, Rate: slogworks.Rate{N: 1, Per: time.Hour}})
		a := record(slog.LevelInfo, "a")
		for range 2 {
			if err := h.HandleBatch(t.Context(), batchOf(kind, a, a, a)); err != nil {
				t.Error(err)
			}
		}
		if batches := rec.Batches(); len(batches) != 2 || len(batches[1].Items) != 3 || batches[1].Kind != kind {
			t.Errorf("%v: arrived as %v", kind, batches)
		}
		mustHandle(t, h, 1, slog.LevelInfo, "a") // nothing was counted towards it
		if s := h.Stats(); s.Passed != 7 {
			t.Errorf("%v: Stats: %+v", kind, s)
		}
		shutdown(t, h)
	}
}

// TestHandler_keepsTheContextOfAnEscalation stands below fingerscrossed, over a
// sink that takes batches and one that does not.
func TestHandler_keepsTheContextOfAnEscalation(t *testing.T) {
	for _, takesBatches := range []bool{true, false} {
		rec := new(handlertest.Recorder)
		sink := slog.Handler(rec)
		if !takesBatches {
			sink = rec.Plain()
		}
		h := fingerscrossed.New(limit.New(sink, &limit.Options{First: 2}), nil)
		logger := slog.New(h)
		request := func(failed bool) {
			ctx, scope := h.Begin(t.Context())
			for range 5 {
				logger.DebugContext(ctx, "row read")
			}
			logger.InfoContext(ctx, "request served")
			if failed {
				logger.ErrorContext(ctx, "request failed")
			}
			scope.End(nil)
		}
		for range 4 {
			request(false)
		}
		want := []string{"level=INFO msg=\"request served\"", "level=INFO msg=\"request served\""}
		expect(t, rec, want...)
		for range 3 {
			request(true)
			want = append(want, slices.Repeat([]string{`level=DEBUG msg="row read"`}, 5)...)
			want = append(want, `level=INFO msg="request served"`, `level=ERROR msg="request failed"`)
		}
		expect(t, rec, want...)
		if n := len(rec.Batches()); takesBatches && n != 3 {
			t.Errorf("three escalations came as %d batches", n)
		}
		if err := slogworks.Shutdown(t.Context(), h); err != nil {
			t.Error(err)
		}
		expect(t, rec, append(want, `level=INFO msg="request served (2 more)" limit.count=2`)...)
	}
}

func TestHandler_allocatesNothingPerRecord(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, opts := range map[string]*limit.Options{
		"passed":     {First: 1 << 62},
		"suppressed": {First: 1, Window: time.Hour},
		"sampled":    {First: -1, Window: time.Hour, Sample: []limit.Sample{{Below: slog.LevelWarn, Every: 100}}},
		"over rate":  {First: -1, Window: time.Hour, Rate: slogworks.Rate{N: 1, Per: time.Hour}},
	} {
		h := limit.New(slog.NewJSONHandler(io.Discard, nil), opts)
		logger := slog.New(h).With("k", 1)
		if n := testing.AllocsPerRun(100, func() {
			logger.LogAttrs(context.Background(), slog.LevelInfo, "message", slog.Int("status", 200))
		}); n > 0 {
			t.Errorf("a record that is %s allocates %v times", name, n)
		}
		shutdown(t, h)
	}
}

package levels_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/levels"
)

// named is an attribute that names a logger.
func named(name string) slog.Attr { return slog.String(slogworks.LoggerKey, name) }

func record(level slog.Level, message string, attrs ...slog.Attr) slog.Record {
	r := slog.NewRecord(time.Now(), level, message, 0)
	r.AddAttrs(attrs...)
	return r
}

// passes handles a record and reports whether it arrived.
func passes(t *testing.T, h slog.Handler, rec *handlertest.Recorder, level slog.Level, attrs ...slog.Attr) bool {
	t.Helper()
	before := len(rec.Items())
	if err := h.Handle(t.Context(), record(level, "message", attrs...)); err != nil {
		t.Error(err)
	}
	return len(rec.Items()) > before
}

func TestHandler_goesByTheLongestRuleThatCoversTheName(t *testing.T) {
	table := levels.NewTable(slog.LevelWarn)
	table.Set("a.b", slog.LevelDebug, 0)
	table.Set("a.b.c.d", slog.LevelError, 0)
	rec := new(handlertest.Recorder)
	h := levels.New(rec, &levels.Options{Table: table})
	for _, test := range []struct {
		logger string
		want   slog.Level
	}{
		{"", slog.LevelWarn},
		{"a", slog.LevelWarn},
		{"a.b", slog.LevelDebug},
		{"a.b.c", slog.LevelDebug},
		{"a.bc", slog.LevelWarn},
		{"a.b.c.d", slog.LevelError},
		{"a.b.c.d.e.f", slog.LevelError},
		{"a.b.c.de", slog.LevelDebug},
		{"b.a.b", slog.LevelWarn},
		{"A.b", slog.LevelWarn},
		{"a.b.", slog.LevelDebug},
		{".", slog.LevelWarn},
		{"a.b..c", slog.LevelDebug},
	} {
		if got := table.Level(test.logger); got != test.want {
			t.Errorf("Level(%q) = %v, want %v", test.logger, got, test.want)
		}
		logger := h.WithAttrs([]slog.Attr{named(test.logger)})
		for _, level := range []slog.Level{test.want - 1, test.want} {
			want := level == test.want
			if got := logger.Enabled(t.Context(), level); got != want {
				t.Errorf("logger %q: Enabled(%v) = %v", test.logger, level, got)
			}
			if got := passes(t, logger, rec, level); got != want {
				t.Errorf("logger %q: a record of %v arrived: %v", test.logger, level, got)
			}
			if got := passes(t, h, rec, level, named(test.logger)); got != want {
				t.Errorf("a record of %v that names the logger %q arrived: %v", level, test.logger, got)
			}
		}
	}
}

type valuer string

func (v valuer) LogValue() slog.Value { return slog.StringValue(string(v)) }

func TestHandler_takesTheNameFromWith(t *testing.T) {
	table := levels.NewTable(slog.LevelWarn)
	table.Set("a", slog.LevelDebug, 0)
	h := levels.New(new(handlertest.Recorder), &levels.Options{Table: table})
	for name, test := range map[string]struct {
		handler slog.Handler
		named   bool
	}{
		"as it is":             {h, false},
		"another attribute":    {h.WithAttrs([]slog.Attr{slog.String("k", "a")}), false},
		"the name":             {h.WithAttrs([]slog.Attr{slog.Int("k", 1), named("a"), slog.Int("l", 2)}), true},
		"no string":            {h.WithAttrs([]slog.Attr{slog.Int(slogworks.LoggerKey, 1)}), false},
		"a LogValuer":          {h.WithAttrs([]slog.Attr{slog.Any(slogworks.LoggerKey, valuer("a"))}), true},
		"a group without name": {h.WithAttrs([]slog.Attr{slog.Group("", named("a"))}), true},
		"in a group":           {h.WithAttrs([]slog.Attr{slog.Group("g", named("a"))}), false},
		"the last of two":      {h.WithAttrs([]slog.Attr{named("a"), named("b")}), false},
		"the last of two With": {h.WithAttrs([]slog.Attr{named("b")}).WithAttrs([]slog.Attr{named("a")}), true},
		"something since":      {h.WithAttrs([]slog.Attr{named("a")}).WithAttrs([]slog.Attr{slog.Int("k", 1)}), true},
		"before a group":       {h.WithAttrs([]slog.Attr{named("a")}).WithGroup("g"), true},
		"after a group":        {h.WithGroup("g").WithAttrs([]slog.Attr{named("a")}), false},
		"another in a group":   {h.WithAttrs([]slog.Attr{named("a")}).WithGroup("g").WithAttrs([]slog.Attr{named("b")}), true},
	} {
		if got := test.handler.Enabled(t.Context(), slog.LevelDebug); got != test.named {
			t.Errorf("%s: the logger has the rule's level: %v", name, got)
		}
	}
}

func TestHandler_goesByTheNameOnTheRecord(t *testing.T) {
	table := new(levels.Table)
	table.Set("verbose", slog.LevelDebug, 0)
	table.Set("quiet", slog.LevelError, 0)
	rec := new(handlertest.Recorder)
	h := levels.New(rec, &levels.Options{Table: table})
	quiet := h.WithAttrs([]slog.Attr{named("quiet")})
	for name, test := range map[string]struct {
		handler slog.Handler
		level   slog.Level
		attrs   []slog.Attr
		want    bool
	}{
		"a name makes it quieter":           {h, slog.LevelWarn, []slog.Attr{named("quiet")}, false},
		"a name makes it more verbose":      {h, slog.LevelDebug, []slog.Attr{named("verbose")}, true},
		"the last name counts":              {h, slog.LevelWarn, []slog.Attr{named("verbose"), named("quiet")}, false},
		"it stands before that of With":     {quiet, slog.LevelDebug, []slog.Attr{named("verbose.x")}, true},
		"a name in a group is none":         {quiet, slog.LevelWarn, []slog.Attr{slog.Group("g", named("verbose"))}, false},
		"in a group without a name it is":   {quiet, slog.LevelDebug, []slog.Attr{slog.Group("", named("verbose"))}, true},
		"under WithGroup it is none":        {quiet.WithGroup("g"), slog.LevelWarn, []slog.Attr{named("verbose")}, false},
		"what is no string leaves With's":   {quiet, slog.LevelWarn, []slog.Attr{slog.Int(slogworks.LoggerKey, 1)}, false},
		"an empty name is that of no rule":  {quiet, slog.LevelInfo, []slog.Attr{named("")}, true},
		"without a name With's holds":       {quiet, slog.LevelWarn, []slog.Attr{slog.Int("k", 1)}, false},
		"without any the table's own holds": {h, slog.LevelInfo, nil, true},
	} {
		if got := passes(t, test.handler, rec, test.level, test.attrs...); got != test.want {
			t.Errorf("%s: arrived: %v", name, got)
		}
	}

	// A Logger asks Enabled first, which cannot know.
	before := len(rec.Items())
	slog.New(h).LogAttrs(t.Context(), slog.LevelDebug, "message", named("verbose"))
	slog.New(h).LogAttrs(t.Context(), slog.LevelWarn, "message", named("quiet"))
	if n := len(rec.Items()) - before; n != 0 {
		t.Errorf("%d records arrived by a Logger", n)
	}
}

func TestHandler_isOpenForAllWhereNamesAreOnRecords(t *testing.T) {
	table := levels.NewTable(slog.LevelWarn)
	rec := new(handlertest.Recorder)
	h := levels.New(rec, &levels.Options{Table: table, NamesOnRecords: true})
	lowest := func(want slog.Level) {
		t.Helper()
		if h.Enabled(t.Context(), want-1) || !h.Enabled(t.Context(), want) {
			t.Errorf("the handler is not open from %v on", want)
		}
	}
	lowest(slog.LevelWarn)
	table.Set("quiet", slog.LevelError, 0)
	lowest(slog.LevelWarn)
	table.Set("verbose", slog.LevelDebug, 0)
	lowest(slog.LevelDebug)

	logger := slog.New(h).With(slogworks.LoggerKey, "quiet")
	logger.Debug("of no logger that is at debug")
	logger.Debug("of one", slogworks.LoggerKey, "verbose")
	if items := rec.Items(); len(items) != 1 || items[0].Record.Message != "of one" {
		t.Errorf("arrived: %v", items)
	}
	// In a group no record can name its logger any more.
	if h.WithAttrs([]slog.Attr{named("quiet")}).WithGroup("g").Enabled(t.Context(), slog.LevelWarn) {
		t.Error("a handler that knows its name for good is open at the level of another")
	}
	table.Reset("verbose")
	table.Set("", slog.LevelError+4, 0)
	lowest(slog.LevelError)
}

func TestHandler_neverReachesPastTheLevelOfNext(t *testing.T) {
	table := new(levels.Table)
	table.Set("a", slog.LevelDebug, 0)
	rec := &handlertest.Recorder{Level: slog.LevelInfo}
	h := levels.New(rec, &levels.Options{Table: table, NamesOnRecords: true})
	for _, h := range []slog.Handler{h, h.WithAttrs([]slog.Attr{named("a")})} {
		if h.Enabled(t.Context(), slog.LevelDebug) || passes(t, h, rec, slog.LevelDebug, named("a")) {
			t.Error("a rule opened what next keeps shut")
		}
	}
}

func TestNew_takesNilOptionsForZeroOptions(t *testing.T) {
	for _, opts := range []*levels.Options{nil, {}} {
		h := levels.New(new(handlertest.Recorder), opts)
		if h.Enabled(t.Context(), slog.LevelInfo-1) || !h.Enabled(t.Context(), slog.LevelInfo) {
			t.Errorf("New(next, %v) is not open from INFO on", opts)
		}
		h.Table().Set("", slog.LevelDebug, 0)
		if !h.Enabled(t.Context(), slog.LevelDebug) {
			t.Error("the handler does not use the table it shows")
		}
	}
}

func TestHandler_sharesATable(t *testing.T) {
	table := new(levels.Table)
	a := levels.New(new(handlertest.Recorder), &levels.Options{Table: table})
	b := levels.New(new(handlertest.Recorder), &levels.Options{Table: table}).WithAttrs([]slog.Attr{named("x.y")})
	if a.Table() != table {
		t.Error("the handler has another table than it was given")
	}
	table.Set("x", slog.LevelDebug, 0)
	if a.Enabled(t.Context(), slog.LevelDebug) || !b.Enabled(t.Context(), slog.LevelDebug) {
		t.Error("the rule does not hold for the logger that it names, and for it alone")
	}
}

func TestHandler_readsTheLevelOfTheTableForEveryRecord(t *testing.T) {
	var base slog.LevelVar
	table := levels.NewTable(&base)
	h := levels.New(new(handlertest.Recorder), &levels.Options{Table: table}).WithAttrs([]slog.Attr{named("a")})
	for _, rules := range []string{"without rules", "with one for another"} {
		for _, level := range []slog.Level{slog.LevelError, slog.LevelDebug, slog.LevelInfo} {
			base.Set(level)
			if h.Enabled(t.Context(), level-1) || !h.Enabled(t.Context(), level) {
				t.Errorf("%s, the handler is not at %v", rules, level)
			}
		}
		table.Set("b", slog.LevelDebug, 0)
	}
}

// TestHandler_isExactAfterAnyChange compares what handlers remember with the
// rules looked through one by one.
func TestHandler_isExactAfterAnyChange(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"", "a", "a.b", "a.b.c", "a.bc", "b", "b.c.d"}
	picks := []slog.Level{math.MinInt, math.MinInt16 - 1, math.MinInt16, math.MinInt16 + 1, -4, -1, 0, 8, math.MaxInt16, math.MaxInt16 + 1, 1 << 16, math.MaxInt}
	pick := func() slog.Level { return picks[random.IntN(len(picks))] }
	var base slog.LevelVar
	table := levels.NewTable(&base)
	h := levels.New(new(handlertest.Recorder), &levels.Options{Table: table})
	handlers := map[string]slog.Handler{}
	for _, name := range names {
		handlers[name] = h.WithAttrs([]slog.Attr{named(name)})
	}
	rules := map[string]slog.Level{}
	for range 2000 {
		name := names[random.IntN(len(names))]
		switch random.IntN(4) {
		case 0:
			delete(rules, name)
			table.Reset(name)
		case 1:
			base.Set(pick())
		default:
			rules[name] = pick()
			table.Set(name, rules[name], time.Duration(random.IntN(2))*time.Hour)
		}
		for name, h := range handlers {
			want, longest := base.Level(), -1
			for rule, level := range rules {
				covers := rule == "" || name == rule || strings.HasPrefix(name, rule+".")
				if covers && len(rule) > longest {
					want, longest = level, len(rule)
				}
			}
			for range 2 {
				if !h.Enabled(t.Context(), want) || want > math.MinInt && h.Enabled(t.Context(), want-1) {
					t.Fatalf("with the rules %v, logger %q is not at %d", rules, name, want)
				}
			}
		}
	}
	for _, name := range names {
		table.Reset(name) // stops the timers
	}
}

func TestHandler_changesUnderLoad(t *testing.T) {
	table := new(levels.Table)
	var mu sync.Mutex
	arrived := map[slog.Level]int{}
	rec := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
		mu.Lock()
		defer mu.Unlock()
		arrived[b.Items[0].Record.Level]++
		return io.EOF // so that it keeps nothing
	}}
	h := levels.New(rec, &levels.Options{Table: table})
	stop := make(chan struct{})
	var logging, changing sync.WaitGroup
	for i := range 4 {
		logger := slog.New(h).With(slogworks.LoggerKey, fmt.Sprint("a.", i))
		logging.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					logger.Debug("sometimes")
					logger.Error("always", slogworks.LoggerKey, "a.x")
					logger.With("k", 1).Info("sometimes")
				}
			}
		})
	}
	for i := range 2 {
		changing.Go(func() {
			name := fmt.Sprint("a.", i)
			h := h.WithAttrs([]slog.Attr{named(name)})
			for n := range 300 {
				want := []slog.Level{slog.LevelDebug, slog.LevelWarn}[n%2]
				table.Set(name, want, time.Duration(n%3)*time.Hour)
				if !h.Enabled(context.Background(), want) || h.Enabled(context.Background(), want-1) {
					t.Errorf("after Set returned, the logger is not at %v", want)
				}
				table.Rules()
			}
			table.Reset(name)
		})
	}
	changing.Wait()
	close(stop)
	logging.Wait()
	if arrived[slog.LevelError] == 0 {
		t.Error("nothing was logged meanwhile")
	}
	if rules := table.Rules(); len(rules) != 0 {
		t.Errorf("rules are left: %v", rules)
	}
}

func TestHandler_allocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	table := new(levels.Table)
	logger := slog.New(levels.New(slog.NewJSONHandler(io.Discard, nil), &levels.Options{Table: table}))
	attrs := []slog.Attr{slog.String("tenant", "acme"), slog.Int("status", 200), named("x.y.z")}
	count := func(when string) {
		for name, logger := range map[string]*slog.Logger{
			"a logger":          logger,
			"a named one":       slogworks.Named(logger, "a.b.c.d"),
			"one under a group": slogworks.Named(logger, "a.b.c.d").WithGroup("g"),
		} {
			log := func() {
				logger.LogAttrs(context.Background(), slog.LevelInfo, "message", attrs[:2]...)
				logger.LogAttrs(context.Background(), slog.LevelInfo, "message", attrs...)
				logger.LogAttrs(context.Background(), slog.LevelDebug, "message", attrs...)
			}
			if n := testing.AllocsPerRun(100, log); n > 0 {
				t.Errorf("%s, %s allocates %v times", when, name, n)
			}
		}
	}
	count("without rules")
	for i := range 100 {
		table.Set(fmt.Sprint("a.b.", i), slog.LevelWarn, 0)
	}
	count("with 100 rules")
}

// After a change Enabled has to look the name up again.
func TestHandler_enabledAllocatesNothingAfterAChange(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	table := new(levels.Table)
	h := levels.New(new(handlertest.Recorder), &levels.Options{Table: table})
	var derived []slog.Handler
	for i := range 100 {
		derived = append(derived, h.WithAttrs([]slog.Attr{named(fmt.Sprint("a.b.", i))}))
	}
	change := func() { table.Set("a", slog.LevelDebug, 0) }
	changeAndAsk := func() {
		change()
		for _, h := range derived {
			h.Enabled(context.Background(), slog.LevelInfo)
		}
	}
	if alone, both := testing.AllocsPerRun(100, change), testing.AllocsPerRun(100, changeAndAsk); both > alone {
		t.Errorf("a change allocates %v times, and with 100 calls of Enabled %v times", alone, both)
	}
}

func batchOf(kind slogworks.Kind, records ...slog.Record) slogworks.Batch {
	b := slogworks.Batch{ID: "id", Kind: kind, Dropped: 2}
	for _, r := range records {
		b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: r})
	}
	return b
}

func TestHandler_filtersBatches(t *testing.T) {
	table := new(levels.Table)
	table.Set("quiet", slog.LevelError, 0)
	table.Set("verbose", slog.LevelDebug, 0)
	down := errors.New("down")
	info := func(name string) slog.Record { return record(slog.LevelInfo, name, named(name)) }
	debug := func(name string) slog.Record { return record(slog.LevelDebug, name, named(name)) }
	for name, test := range map[string]struct {
		batch    slogworks.Batch
		kind     slogworks.Kind
		messages []string
		accepted []int // of b, when next accepted 0, 1, … of what it got
	}{
		"all": {batchOf(slogworks.Escalation, info("a"), debug("verbose")), slogworks.Escalation, []string{"a", "verbose"}, []int{0, 1, 2}},
		"some": {batchOf(slogworks.Escalation, info("quiet"), info("a"), debug("b"), info("c")), slogworks.Escalation,
			[]string{"a", "c"}, []int{1, 3, 4}},
		"the last is missing": {batchOf(slogworks.Escalation, info("a"), info("quiet")), slogworks.Stream, []string{"a"}, []int{0, 2}},
		"a digest is one":     {batchOf(slogworks.Digest, info("a"), info("quiet")), slogworks.Digest, []string{"a"}, []int{0, 2}},
		"none":                {batchOf(slogworks.Stream, debug("a"), info("quiet")), slogworks.Stream, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			rec := new(handlertest.Recorder)
			h := levels.New(rec, &levels.Options{Table: table})
			if err := h.HandleBatch(t.Context(), test.batch); err != nil {
				t.Error(err)
			}
			var messages []string
			for _, item := range rec.Items() {
				messages = append(messages, item.Record.Message)
			}
			if !slices.Equal(messages, test.messages) {
				t.Errorf("arrived %q, want %q", messages, test.messages)
			}
			if batches := rec.Batches(); len(test.messages) > 0 && (len(batches) != 1 || batches[0].Kind != test.kind || batches[0].ID != "id" || batches[0].Dropped != 2) {
				t.Errorf("as the batches %v", batches)
			}
			for n, want := range test.accepted {
				rec.Before = func(context.Context, slogworks.Batch) error {
					return &slogworks.DeliveryError{Accepted: n, Err: down}
				}
				err, ok := h.HandleBatch(t.Context(), test.batch).(*slogworks.DeliveryError)
				if !ok || err.Accepted != want || err.Err != down {
					t.Errorf("next accepted %d, HandleBatch says %+v, want Accepted %d", n, err, want)
				}
			}
		})
	}
}

func TestHandler_passesOtherErrorsOfABatchOn(t *testing.T) {
	down := errors.New("down")
	h := levels.New(&handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error { return down }}, nil)
	b := batchOf(slogworks.Stream, record(slog.LevelInfo, "a"), record(slog.LevelDebug, "b"))
	if err := h.HandleBatch(t.Context(), b); err != down {
		t.Errorf("HandleBatch returned %v", err)
	}
}

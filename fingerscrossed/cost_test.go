package fingerscrossed_test

import (
	"context"
	"io"
	"log/slog"
	"runtime"
	"testing"

	"github.com/slogworks/slogworks/fingerscrossed"
)

func TestScope_allocatesNothingPerRecord(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	background := context.Background()
	for name, opts := range map[string]*fingerscrossed.Options{
		"by default":       nil,
		"in a full buffer": {MaxRecords: 10},
		"with Live":        {Live: true},
	} {
		h := fingerscrossed.New(discardJSON(), opts)
		logger := slog.New(h).With("k", 1).WithGroup("g")
		scope := func(records int) func() {
			return func() {
				ctx, s := h.Begin(background)
				for range records {
					log(ctx, logger, slog.LevelDebug)
				}
				s.End(nil)
			}
		}
		few, many := testing.AllocsPerRun(200, scope(5)), testing.AllocsPerRun(200, scope(205))
		most := 2.0
		if name == "in a full buffer" {
			most = 3 // to remember what was lost
		}
		if few > 2 || many > most {
			t.Errorf("%s, a scope that discards 5 records allocates %v times, one that discards 205, %v", name, few, many)
		}
		if n := testing.AllocsPerRun(200, func() { log(background, logger, slog.LevelInfo) }); n > 0 {
			t.Errorf("%s, a record outside of scopes allocates %v times", name, n)
		}
		ctx, s := h.Begin(background)
		if err := s.Trigger(); err != nil {
			t.Error(err)
		}
		if n := testing.AllocsPerRun(200, func() { log(ctx, logger, slog.LevelDebug) }); n > 0 {
			t.Errorf("%s, a record in a released scope allocates %v times", name, n)
		}
		s.End(nil)
		if n := testing.AllocsPerRun(200, func() {
			_, s := h.Begin(background)
			s.End(nil)
		}); n > 2 {
			t.Errorf("%s, an empty scope allocates %v times", name, n)
		}
	}
}

// heapInUse returns how many bytes there are that are not garbage.
func heapInUse() uint64 {
	for range 3 {
		runtime.GC() // pools forget in two
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestScope_takesLittleMemoryPerRecord(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has pools forget")
	}
	const scopes, records = 1000, 100
	h := fingerscrossed.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}), nil)
	logger := slog.New(h)
	before := heapInUse()
	var all []*fingerscrossed.Scope
	for range scopes {
		ctx, s := h.Begin(context.Background())
		all = append(all, s)
		for range records {
			log(ctx, logger, slog.LevelDebug)
		}
	}
	perRecord := float64(heapInUse()-before) / (scopes * records)
	granted := float64(fingerscrossed.Granted(h)) / (scopes * records)
	t.Logf("%.0f bytes per record, of which %.0f are counted", perRecord, granted)
	if perRecord > 340 {
		t.Errorf("a record of five attributes takes %.0f bytes", perRecord)
	}
	if granted < perRecord || granted > 1.5*perRecord {
		t.Errorf("a record takes %.0f bytes and is counted as %.0f", perRecord, granted)
	}
	for _, s := range all {
		s.End(nil)
	}
	shutDown(t, h)
}

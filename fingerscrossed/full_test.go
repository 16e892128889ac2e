package fingerscrossed_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/handlertest"
)

func TestScope_dropsTheOldestWhenFull(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{MaxRecords: 3})
	ctx, s := h.Begin(t.Context())
	logAll(ctx, logger, "d1 d2 d3 d4 d5 e1")
	wantBatches(t, rec, "escalation d3 d4 d5 e1, 2 dropped")
	s.End(nil)
	if got, want := s.Stats(), (fingerscrossed.Stats{Accepted: 6, Written: 4, Evicted: 2, Escalations: 1}); got != want {
		t.Errorf("the counts are %+v, want %+v", got, want)
	}
	shutDown(t, h)
}

func TestScope_writesWhatIsDueWhenFull(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{MaxRecords: 3})
	ctx, s := h.Begin(t.Context())
	for i := range 10 {
		logAll(ctx, logger, fmt.Sprint("i", i))
	}
	wantMessages(t, rec, "i0 i1 i2 i3 i4 i5 i6")
	logAll(ctx, logger, "d1 d2")
	wantMessages(t, rec, "i0 i1 i2 i3 i4 i5 i6 i7 i8")
	logAll(ctx, logger, "d3 d4 e1")
	wantBatches(t, rec, "escalation d2 d3 d4 e1, 1 dropped")
	s.End(nil)
	wantMessages(t, rec, "i0 i1 i2 i3 i4 i5 i6 i7 i8 i9 d2 d3 d4 e1")
	shutDown(t, h)
}

// Logbook's handler goes silent here: after a first release of a full buffer it
// drops every record, the one that triggers included.
func TestScope_holdsAgainAfterAFullBufferWasReleased(t *testing.T) {
	for _, process := range []bool{false, true} {
		h, logger, rec := batched(&fingerscrossed.Options{MaxRecords: 3, After: fingerscrossed.Rearm, Process: process})
		ctx, s := t.Context(), h.Process()
		if !process {
			ctx, s = h.Begin(ctx)
		}
		var want []string
		for i := range 5 {
			logAll(ctx, logger, fmt.Sprintf("d1-%d d2-%[1]d d3-%[1]d d4-%[1]d e-%[1]d", i))
			want = append(want, fmt.Sprintf("escalation d2-%d d3-%[1]d d4-%[1]d e-%[1]d, 1 dropped", i))
		}
		wantBatches(t, rec, want...)
		wantBalanced(t, h)
		s.End(nil)
		shutDown(t, h)
	}
}

func TestScope_saysInAStreamWhatWasDropped(t *testing.T) {
	start := time.Now()
	h, logger, rec := plain(&fingerscrossed.Options{MaxRecords: 2, Hold: slog.LevelDebug - 4, Level: slog.LevelError, Trigger: slog.LevelError})
	ctx, s := h.Begin(t.Context())
	logger.Log(ctx, slog.LevelDebug-4, "trace")
	logger.With("k", 1).WithGroup("g").WarnContext(ctx, "w1")
	logAll(ctx, logger, "i1 d1 d2 d3 e1")
	logAll(ctx, logger, "e2")
	s.End(nil)
	wantMessages(t, rec, "slogworks: records dropped d2 d3 e1 e2")
	r := rec.Items()[0].Record
	got := map[string]slog.Value{}
	r.Attrs(func(a slog.Attr) bool {
		got[a.Key] = a.Value
		return true
	})
	if r.Level != slog.LevelWarn || got["stage"].String() != "fingerscrossed" || got["dropped"].Uint64() != 4 || got["reason"].String() != "evicted" ||
		got["by_level"].String() != "[DEBUG=2 INFO=1 WARN=1]" || got["since"].Time().Before(start) || got["since"].Time().After(r.Time) || len(got) != 5 {
		t.Errorf("the record that says so is at %v with %v", r.Level, got)
	}
	if got, want := s.Stats(), (fingerscrossed.Stats{Accepted: 8, Written: 4, Evicted: 4, Escalations: 1}); got != want {
		t.Errorf("the counts are %+v, want %+v", got, want)
	}
	shutDown(t, h)
}

func TestScope_isBoundedInBytes(t *testing.T) {
	const size = 1 << 10
	h, logger, rec := batched(&fingerscrossed.Options{MaxBytes: 10 << 10})
	ctx, s := h.Begin(t.Context())
	big := func(name string) string { return name + strings.Repeat("x", size) }
	for range 50 {
		logger.DebugContext(ctx, "d", "key", big(""))
		logger.DebugContext(ctx, "d", slog.Group("group", "key", big("")))
		logger.DebugContext(ctx, "d", "bytes", []byte(big("")))
		logger.DebugContext(ctx, "d", "any", []string{big("")})
		logger.DebugContext(ctx, big("d"))
		logger.DebugContext(ctx, "d", big("key"), 1)
	}
	if held := s.Stats().Held; held < 4 || held > 9 {
		t.Errorf("in 10 KiB, %d records of at least 1 KiB are held", held)
	}
	if granted := fingerscrossed.Granted(h); granted < 8<<10 || granted > 12<<10 {
		t.Errorf("a buffer of 10 KiB takes %d bytes of the total", granted)
	}

	// A record that is too large by itself does not cost the others their place,
	held := s.Stats().Held
	logAll(ctx, logger, "d"+big(strings.Repeat("y", 10<<10)))
	if got := s.Stats(); got.Held != held || got.Evicted != 300-held+1 {
		t.Errorf("after a record larger than the buffer the counts are %+v", got)
	}
	// unless it is to be written, which it then is at once and in order,
	logAll(ctx, logger, "i1")
	logAll(ctx, logger, "i2"+strings.Repeat("y", 10<<10))
	if got := messages(rec); !strings.HasPrefix(got, "i1 i2y") {
		t.Errorf("what is written is %.20q", got)
	}
	// and one that triggers costs none of what it releases.
	logAll(ctx, logger, "d1 d2 d3")
	logAll(ctx, logger, "e1"+strings.Repeat("y", 10<<10))
	if got := rec.Batches(); len(got) != 1 || len(got[0].Items) != 4 {
		t.Errorf("a large record that triggers released %d batches", len(got))
	}
	s.End(nil)
	shutDown(t, h)
}

func TestScope_mayBeBoundedByNothing(t *testing.T) {
	next := &talker{Recorder: new(handlertest.Recorder)}
	h := fingerscrossed.New(next, &fingerscrossed.Options{MaxRecords: math.MaxInt, MaxBytes: math.MaxInt, TotalBytes: math.MaxInt64})
	ctx, s := h.Begin(t.Context())
	next.talk = func(_ context.Context, message string) {
		if message == "e1" {
			logAll(ctx, slog.New(h), "d2 d3 d4") // behind what is being written
		}
	}
	logAll(ctx, slog.New(h), "d1 e1")
	s.End(nil)
	wantMessages(t, next.Recorder, "d1 e1 d2 d3 d4")
	shutDown(t, h)
}

// What is dropped is not only counted as gone.
func TestScope_isBoundedInMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has pools forget")
	}
	const scopes, maxBytes = 30, 64 << 10
	h := fingerscrossed.New(discardJSON(), &fingerscrossed.Options{MaxBytes: maxBytes})
	logger := slog.New(h)
	before := int64(heapInUse())
	var all []*fingerscrossed.Scope
	for range scopes {
		ctx, s := h.Begin(context.Background())
		all = append(all, s)
		for range 9 {
			logger.DebugContext(ctx, "d", "large", strings.Repeat("x", maxBytes*2/3))
		}
	}
	if perScope := (int64(heapInUse()) - before) / scopes; perScope > maxBytes*5/4 {
		t.Errorf("a buffer of %d bytes takes %d", maxBytes, perScope)
	}
	for _, s := range all {
		s.End(nil)
	}
	shutDown(t, h)
}

func TestHandler_isBoundedInBytesOverAllScopes(t *testing.T) {
	const total = 256 << 10
	h, logger, rec := batched(&fingerscrossed.Options{TotalBytes: total})
	big := strings.Repeat("x", 1<<10)
	var scopes []*fingerscrossed.Scope
	for range 100 {
		ctx, s := h.Begin(t.Context())
		scopes = append(scopes, s)
		logAll(ctx, logger, "d1 d2 d3")
		for range 10 {
			logger.DebugContext(ctx, "d", "key", big)
		}
		logAll(ctx, logger, "i1")
		if granted := fingerscrossed.Granted(h); granted > total {
			t.Fatalf("%d bytes are granted of %d", granted, total)
		}
	}
	stats := h.Stats()
	if stats.Evicted == 0 || stats.Held < 100 || scopes[0].Stats().Evicted != 0 || scopes[99].Stats().Evicted == 0 {
		t.Errorf("the counts are %+v, of the first scope %+v and of the last %+v", stats, scopes[0].Stats(), scopes[99].Stats())
	}
	for _, s := range scopes {
		s.End(nil)
	}
	if got := strings.Count(messages(rec), "i1"); got != 100 || len(rec.Items()) != 100 {
		t.Errorf("of 100 records at Info, %d were written", got)
	}
	wantBalanced(t, h)

	ctx, s := h.Begin(t.Context())
	logger.DebugContext(ctx, "d", "key", big)
	if s.Stats().Held != 1 {
		t.Error("what the other scopes gave back cannot be used")
	}
	s.End(nil)
	shutDown(t, h)
}

func TestHandler_withoutAnyRoomWritesAllTheSame(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{TotalBytes: 1})
	ctx, s := h.Begin(t.Context())
	logAll(ctx, logger, "d1 i1 d2 i2 e1 d3")
	wantMessages(t, rec, "i1 i2 e1 d3")
	wantBatches(t, rec, "escalation e1, 2 dropped")
	s.End(nil)
	shutDown(t, h)
}

func TestHandler_givesBackWhatManyScopesTook(t *testing.T) {
	h, logger, rec := batched(&fingerscrossed.Options{MaxRecords: 7, MaxBytes: 8 << 10, TotalBytes: 64 << 10, After: fingerscrossed.Rearm})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			outerCtx, outer := h.Begin(t.Context())
			defer outer.End(nil)
			for i := range 100 {
				ctx, s := h.Begin(outerCtx)
				logger.DebugContext(ctx, "d", "key", strings.Repeat("x", i*20))
				logAll(ctx, logger, "d i d i d d d")
				switch (g + i) % 5 {
				case 0:
					s.Discard()
				case 1:
					logAll(ctx, logger, "e")
				case 2:
					if err := s.Trigger(); err != nil {
						t.Error(err)
					}
				case 3:
					failed := errFailed
					s.End(&failed)
				}
				logAll(ctx, logger, "i")
				s.End(nil)
			}
		})
	}
	wg.Wait()
	wantBalanced(t, h)
	if !fingerscrossed.PooledIsZero() {
		t.Error("what is to be used again holds on to records or contexts")
	}
	if len(rec.Items()) == 0 {
		t.Error("nothing was written")
	}
	shutDown(t, h)
}

func TestList_holdsOnToNothingAfterUse(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has pools forget")
	}
	h, logger, _ := plain(&fingerscrossed.Options{MaxRecords: 15})
	for _, end := range []func(*fingerscrossed.Scope){
		func(s *fingerscrossed.Scope) { s.End(nil) },
		func(s *fingerscrossed.Scope) { s.Discard(); s.End(nil) },
		func(s *fingerscrossed.Scope) { _ = s.Trigger(); s.End(nil) },
		func(s *fingerscrossed.Scope) { err := errFailed; s.End(&err) },
	} {
		for n := range 35 {
			ctx, s := h.Begin(t.Context())
			for range n {
				logger.With("k", 1).DebugContext(ctx, "d", "1", 1, "2", 2, "3", 3, "4", 4, "5", 5, "6", 6)
			}
			end(s)
			if !fingerscrossed.PooledIsZero() {
				t.Fatalf("after %d records, what is to be used again holds on to something", n)
			}
		}
	}
	shutDown(t, h)
}

func TestScope_losesNothingOfManyGoroutinesAroundATrigger(t *testing.T) {
	const goroutines, each = 300, 200
	for _, test := range []struct {
		name  string
		opts  fingerscrossed.Options
		level slog.Level
		plain bool
	}{
		{"all held", fingerscrossed.Options{MaxRecords: goroutines * each, MaxBytes: 1 << 30, TotalBytes: 1 << 30}, slog.LevelDebug, false},
		{"one by one", fingerscrossed.Options{MaxRecords: goroutines * each, MaxBytes: 1 << 30, TotalBytes: 1 << 30}, slog.LevelDebug, true},
		{"in a full buffer", fingerscrossed.Options{}, slog.LevelInfo, true},
		{"in a full buffer that is armed again", fingerscrossed.Options{After: fingerscrossed.Rearm}, slog.LevelInfo, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec := new(handlertest.Recorder)
			next := slog.Handler(rec)
			if test.plain {
				next = rec.Plain()
			}
			h := fingerscrossed.New(next, &test.opts)
			logger := slog.New(h)
			ctx, s := h.Begin(t.Context())
			var before, all sync.WaitGroup
			before.Add(goroutines)
			triggered := make(chan struct{})
			for g := range goroutines {
				all.Go(func() {
					for i := range each {
						if i == each/4 {
							before.Done()
							if g%2 == 0 {
								<-triggered // half of them go on meanwhile
							}
						}
						logger.Log(ctx, test.level, "record", "g", g, "i", i)
					}
				})
			}
			before.Wait()
			close(triggered)
			logger.ErrorContext(ctx, "trigger", "g", -1, "i", 0)
			all.Wait()
			s.End(nil)

			due := map[int64]int64{}
			seen, at := 0, -1
			for _, item := range rec.Items() {
				var g, i int64
				item.Record.Attrs(func(a slog.Attr) bool {
					if a.Key == "g" {
						g = a.Value.Int64()
					} else {
						i = a.Value.Int64()
					}
					return true
				})
				if i != due[g] {
					t.Fatalf("goroutine %d: record %d came when %d was due", g, i, due[g])
				}
				due[g]++
				if at >= 0 && i < each/4 {
					t.Fatalf("record %d of goroutine %d was logged before the trigger and came after it", i, g)
				}
				if g < 0 {
					at = seen
				}
				seen++
			}
			if want := goroutines*each + 1; seen != want || at < 0 {
				t.Errorf("of %d records, %d arrived", want, seen)
			}
			shutDown(t, h)
		})
	}
}

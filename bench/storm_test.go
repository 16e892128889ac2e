package bench_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// In a storm all callers log as fast as they can, for so long, to a handler
// that takes 100us, and what finds no room is dropped.
const (
	stormDuration   = time.Second
	stormGoroutines = 16
)

// slow is the handler in a storm. It counts what the callers logged, and not
// what a queue says about itself.
type slow struct {
	nop
	over    atomic.Bool
	handled atomic.Int64
}

func (h *slow) Handle(_ context.Context, r slog.Record) error {
	if !h.over.Load() {
		time.Sleep(100 * time.Microsecond)
	}
	if r.Message == message {
		h.handled.Add(1)
	}
	return nil
}

// storm returns how many records per second came through, and the time of the
// call that took longest.
func storm(h slog.Handler, next *slow, duration time.Duration) (rate float64, stall time.Duration) {
	logger := slog.New(h)
	ctx := context.Background()
	stalls := make([]time.Duration, stormGoroutines)
	began := time.Now()
	var callers sync.WaitGroup
	for i := range stalls {
		callers.Go(func() {
			longest := time.Duration(0)
			for last := time.Since(began); last < duration; {
				logger.LogAttrs(ctx, slog.LevelInfo, message, attrs...)
				now := time.Since(began)
				longest = max(longest, now-last)
				last = now
			}
			stalls[i] = longest
		})
	}
	callers.Wait()
	rate = float64(next.handled.Load()) / time.Since(began).Seconds()
	next.over.Store(true)
	for _, d := range stalls {
		stall = max(stall, d)
	}
	return rate, stall
}

var stormSubjects = []struct {
	name string
	new  func(tb testing.TB, next slog.Handler) slog.Handler
}{
	{"channel", func(tb testing.TB, next slog.Handler) slog.Handler {
		return newChannel(tb, next, 1024, true) // the capacity of a queue by default
	}},
	{"queue", func(tb testing.TB, next slog.Handler) slog.Handler {
		return newQueue(tb, next, nil)
	}},
}

func BenchmarkQueueStorm(b *testing.B) {
	for _, s := range stormSubjects {
		b.Run(s.name, func(b *testing.B) {
			var rate float64
			var longest time.Duration
			storms := 0
			for b.Loop() {
				next := new(slow)
				once, stall := storm(s.new(b, next), next, stormDuration)
				rate += once
				longest = max(longest, stall)
				storms++
			}
			b.ReportMetric(rate/float64(storms), "records/s")
			b.ReportMetric(longest.Seconds()*1e3, "stall-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func TestStorm_measuresWhatComesThroughAndTheSlowestCall(t *testing.T) {
	next := new(slow)
	rate, stall := storm(next, next, 20*time.Millisecond)
	if n := next.handled.Load(); n < stormGoroutines || rate <= 0 {
		t.Errorf("%d records, %v/s: want those of %d goroutines", n, rate, stormGoroutines)
	}
	if stall < 100*time.Microsecond {
		t.Errorf("the slowest call took %v, which is less than what each takes", stall)
	}
}

func TestQueueStorm_deliversWhatFoundRoom(t *testing.T) {
	for _, s := range stormSubjects {
		next := new(slow)
		var during int64
		t.Run(s.name, func(t *testing.T) {
			storm(s.new(t, next), next, 20*time.Millisecond)
			during = next.handled.Load()
		})
		// By now it is closed and empty.
		if n := next.handled.Load(); n <= during {
			t.Errorf("%s: %d records came through, want more than the %d in the storm", s.name, n, during)
		}
	}
}

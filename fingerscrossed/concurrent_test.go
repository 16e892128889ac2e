package fingerscrossed_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/handlertest"
)

func oneOf[T any](of *rand.Rand, all ...T) T { return all[of.IntN(len(all))] }

// crowd is a random use of a handler by several goroutines in shared scopes.
type crowd struct {
	h       *fingerscrossed.Handler
	logger  *slog.Logger
	workers atomic.Int64
	due     sync.Map // what a gate at Info would have let through
	files   atomic.Int64
}

// work logs in s and in scopes within, of which it leaves some without an end.
// What a worker logs says who it is and comes with a growing number.
func (c *crowd) work(ctx context.Context, s *fingerscrossed.Scope, of *rand.Rand, depth int) {
	who := c.workers.Add(1)
	levels := []slog.Level{slog.LevelDebug, slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelDebug - 1}
	for i := range 60 {
		switch n := of.IntN(100); {
		case n < 85:
			level := oneOf(of, levels...)
			if of.IntN(20) == 0 {
				level = slog.LevelError
			}
			message := fmt.Sprintf("%d %d", who, i)
			if level >= slog.LevelInfo {
				c.due.Store(message, true)
			}
			c.logger.Log(ctx, level, message, "bytes", []byte("x"), "text", strings.Repeat("x", of.IntN(1000)))
		case n < 90 && depth < 3:
			innerCtx, inner := c.h.Begin(ctx)
			var wg sync.WaitGroup
			for range of.IntN(3) {
				of := rand.New(rand.NewPCG(of.Uint64(), 1))
				wg.Go(func() { c.work(innerCtx, inner, of, depth+1) })
			}
			wg.Wait()
			failed := errFailed
			switch of.IntN(6) {
			case 0:
				inner.End(&failed)
			case 1: // Shutdown has to, or the garbage collector
			default:
				inner.End(nil)
			}
		case n < 92:
			_ = s.Trigger()
		case n < 94:
			c.h.Stats()
		case n < 96:
			c.h.Process().End(nil)
		}
	}
}

func (c *crowd) open(next slog.Handler, fails int) (slog.Handler, io.Closer, error) {
	switch fails {
	case 0:
		return nil, nil, errFailed
	case 1:
		panic("oops")
	}
	c.files.Add(1)
	return next, closeFunc(func() error { c.files.Add(-1); return nil }), nil
}

// Whatever goes on at once, all that is due comes, once, that of one worker in
// one scope in its order, and nothing stays behind.
func TestNew_keepsItsPromisesInACrowd(t *testing.T) {
	seeds := uint64(40)
	if raceEnabled || testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		of := rand.New(rand.NewPCG(seed, 3))
		c := new(crowd)
		rec := new(handlertest.Recorder)
		next := oneOf[slog.Handler](of, rec, rec.Plain())
		opts := &fingerscrossed.Options{
			Hold:       oneOf[slog.Leveler](of, nil, nil, slog.LevelInfo, slog.LevelWarn),
			Trigger:    oneOf[slog.Leveler](of, nil, nil, slog.LevelDebug, slog.LevelError+8),
			Live:       of.IntN(4) == 0,
			Process:    of.IntN(4) == 0,
			After:      fingerscrossed.After(of.IntN(4)),
			MaxRecords: oneOf(of, -1, 0, 1, 3, 10, math.MaxInt),
			MaxBytes:   oneOf(of, -1, 0, 1, 2000, math.MaxInt),
			TotalBytes: oneOf[int64](of, -1, 0, 1, 16<<10, math.MaxInt64),
			Slow:       oneOf[time.Duration](of, -1, 0, 1, time.Hour),
		}
		if of.IntN(3) == 0 {
			opts.Open = func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) {
				return c.open(next, rand.IntN(10))
			}
		}
		c.h = fingerscrossed.New(next, opts)
		c.logger = slog.New(c.h)
		var wg sync.WaitGroup
		for range 2 {
			of := rand.New(rand.NewPCG(of.Uint64(), 1))
			wg.Go(func() { c.work(context.Background(), nil, of, 0) })
		}
		wg.Wait()
		shutDown(t, c.h)

		seen := map[string]bool{}
		newest := map[int]int{}
		for _, item := range rec.Items() {
			message := item.Record.Message
			var who, i int
			if _, err := fmt.Sscan(message, &who, &i); err != nil {
				continue // it says what was dropped
			}
			if seen[message] {
				t.Errorf("seed %d: %q was written twice", seed, message)
			}
			seen[message] = true
			if i < newest[who] && !opts.Live && !opts.Process {
				t.Errorf("seed %d: %q was written after number %d", seed, message, newest[who])
			}
			newest[who] = i
		}
		c.due.Range(func(message, _ any) bool {
			if !seen[message.(string)] {
				t.Errorf("seed %d: %q is missing", seed, message)
			}
			return true
		})
		if got := c.h.Stats().Written; got != uint64(len(seen)) {
			t.Errorf("seed %d: %d records arrived, and %d are counted", seed, len(seen), got)
		}
		if n := c.files.Load(); n != 0 {
			t.Errorf("seed %d: %d files are open", seed, n)
		}
		if t.Failed() {
			t.Fatalf("seed %d: the options were %+v", seed, *opts)
		}
	}
}

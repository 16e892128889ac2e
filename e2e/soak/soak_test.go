package soak_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
)

var soakFor = flag.Duration("soak", 10*time.Second, "how long the load lasts: -soak=10m")

const (
	workers = 4
	// maxHeap is what the pipeline, its load and its peers, which all are in this
	// process, may take. A leak of what a second's load needs passes it soon.
	maxHeap = 256 << 20
)

// TestPipeline_survivesEverything has a pipeline of every kind of stage under
// load while what is around it fails, one thing after the other and round
// again. In the end all books balance, the file that nothing happened to has
// every record once, and nothing is left of it all.
func TestPipeline_survivesEverything(t *testing.T) {
	// Whoever listens to a signal starts a goroutine that stays.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)
	r := newRig(t)

	ctx, stop := context.WithTimeout(t.Context(), *soakFor)
	defer stop()
	var load sync.WaitGroup
	for worker := range workers {
		load.Go(func() { r.work(ctx, worker) })
	}
	heap := watchHeap(ctx, &load)
	load.Go(func() { r.failInTurn(ctx) })
	load.Wait()

	ending, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := slogworks.Shutdown(ending, r.root); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	r.checkBooks(t)
	r.checkFile(t, "app")
	r.checkFile(t, "managed")
	r.checkPeers(t)
	r.close(t)

	if most := heap.Load(); most > maxHeap {
		t.Errorf("the heap had %d MiB; at most %d are expected", most>>20, maxHeap>>20)
	}
	// What net/http and the runtime wind up takes a moment.
	if !real.Eventually(func() bool { return runtime.NumGoroutine() <= goroutines }) {
		var stacks [1 << 20]byte
		t.Errorf("%d goroutines before, %d after:\n%s", goroutines, runtime.NumGoroutine(),
			stacks[:runtime.Stack(stacks[:], true)])
	}
	if !real.Eventually(func() bool { return openDescriptors(t) <= descriptors }) {
		t.Errorf("%d open descriptors before, %d after", descriptors, openDescriptors(t))
	}
	t.Logf("%d records in %v, faults %v, heap at most %d MiB", r.logged.Load(), *soakFor, r.faults, heap.Load()>>20)
}

// work logs as a service does: some requests, of which some fail, then a pause.
func (r *rig) work(ctx context.Context, worker int) {
	logger := slogworks.Named(slog.New(r.root), fmt.Sprintf("shop.worker%d", worker))
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for request := 0; ctx.Err() == nil; request++ {
		r.request(logger, request)
		if request%5 == 4 {
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
		}
	}
}

func (r *rig) request(logger *slog.Logger, request int) {
	ctx, scope := r.scopes.Begin(context.Background())
	var failed error
	defer scope.End(&failed)
	logger = logger.With("request", request).WithGroup("order")
	logger.DebugContext(ctx, "query", "table", "orders", "took", 3*time.Millisecond)
	for range 5 {
		logger.InfoContext(ctx, "order placed", "n", r.logged.Add(1), "password", "tops3cret")
	}
	logger.InfoContext(ctx, "as always", "n", -1)
	if request%50 == 49 {
		failed = errors.New("the database is gone")
		logger.ErrorContext(ctx, "order failed", "n", r.logged.Add(1), "err", failed)
	}
}

// failInTurn has each fault happen and end, one after the other, until ctx is
// done.
func (r *rig) failInTurn(ctx context.Context) {
	lasts := max(*soakFor/time.Duration(2*len(r.faultsToCome)+1), 100*time.Millisecond)
	for {
		for _, f := range r.faultsToCome {
			wait(ctx, lasts)
			if ctx.Err() != nil {
				return
			}
			f.begin()
			wait(ctx, lasts)
			f.end()
			r.faults = append(r.faults, f.name)
		}
	}
}

// wait is how long a fault lasts.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func watchHeap(ctx context.Context, running *sync.WaitGroup) (most *atomic.Uint64) {
	most = new(atomic.Uint64)
	running.Go(func() {
		for ctx.Err() == nil {
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			most.Store(max(most.Load(), stats.HeapInuse))
			wait(ctx, 200*time.Millisecond)
		}
	})
	return most
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("skipped: /proc not found: %v", err)
	}
	return len(open)
}

// checkBooks asks every stage what became of its records.
func (r *rig) checkBooks(t *testing.T) {
	t.Helper()
	var stages []string
	for _, account := range slogworks.Books(r.root) {
		stages = append(stages, account.Stage)
		dropped := uint64(0)
		for _, n := range account.Dropped {
			dropped += n
		}
		if account.Held != 0 || account.Accepted != account.Delivered+dropped {
			t.Errorf("the books do not balance: %+v", account)
		}
		if account.Accepted == 0 {
			t.Errorf("nothing came to %s", account.Stage)
		}
		if account.Stage == "redis" {
			r.inRedis = account.Delivered
		}
		t.Logf("%+v", account)
	}
	for _, stage := range []string{"queue", "fingerscrossed", "limit", "rotate", "buffer", "notify", "socket", "live"} {
		if !slices.Contains(stages, stage) {
			t.Errorf("%s is not in the books, which have %v", stage, stages)
		}
	}
}

package sharedfile_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/sharedfile"
)

// newLock returns a handle that is closed at the end of the test.
func newLock(t *testing.T, path string) *sharedfile.Lock {
	l := sharedfile.NewLock(path, 0)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func lockPath(t *testing.T) string { return filepath.Join(t.TempDir(), "lock") }

func mustTry(t *testing.T, try func() (bool, error), want bool) {
	t.Helper()
	if ok, err := try(); ok != want || err != nil {
		t.Fatalf("got %v, %v; want %v", ok, err, want)
	}
}

func mustUnlock(t *testing.T, l *sharedfile.Lock) {
	t.Helper()
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestLock_excludesHandlesOfOneProcess(t *testing.T) {
	path := lockPath(t)
	a, b := newLock(t, path), newLock(t, path)
	mustTry(t, a.TryLock, true)
	mustTry(t, b.TryLock, false)
	mustTry(t, b.TryRLock, false)
	mustTry(t, a.TryLock, false)
	mustUnlock(t, a)

	mustTry(t, a.TryRLock, true)
	mustTry(t, b.TryLock, false)
	mustTry(t, b.TryRLock, true)
	mustUnlock(t, a)
	mustTry(t, a.TryLock, false)
	mustUnlock(t, b)
	mustTry(t, a.TryLock, true)
	mustUnlock(t, a)
}

func TestLock_excludesGoroutines(t *testing.T) {
	path := lockPath(t)
	a, b := newLock(t, path), newLock(t, path)
	// The race detector knows no locks on files: hence atomic.
	var inside, n atomic.Int64
	var wg sync.WaitGroup
	for i := range 6 {
		l := []*sharedfile.Lock{a, b}[i%2]
		wg.Go(func() {
			for range 50 {
				if err := l.Lock(t.Context()); err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				runtime.Gosched()
				inside.Add(-1)
				n.Add(1)
				if err := l.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n.Load() != 300 {
		t.Errorf("the lock was had %d times, want 300", n.Load())
	}
}

func TestLock_excludesProcesses(t *testing.T) {
	path := lockPath(t)
	c := start(t, "hold", path)
	c.expect("locked")
	l := newLock(t, path)
	mustTry(t, l.TryLock, false)
	mustTry(t, l.TryRLock, false)
	c.finish()
	mustTry(t, l.TryLock, true)
	mustUnlock(t, l)
}

func TestLock_isFreeOnceItsProcessIsKilled(t *testing.T) {
	path := lockPath(t)
	c := start(t, "hold", path)
	c.expect("locked")
	l := newLock(t, path)
	mustTry(t, l.TryLock, false)
	c.kill()
	if err := l.Lock(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	mustUnlock(t, l)
}

func TestLock_waitsUntilTheContextEnds(t *testing.T) {
	path := lockPath(t)
	a, b := newLock(t, path), newLock(t, path)
	mustTry(t, a.TryLock, true)
	defer a.Unlock()
	for name, l := range map[string]*sharedfile.Lock{"for another handle": b, "for its own": a} {
		t.Run(name, func(t *testing.T) {
			if err := l.Lock(within(t, 5*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Lock: %v, want a deadline exceeded", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := l.RLock(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("RLock: %v, want canceled", err)
			}
		})
	}
}

func TestLock_takesAFreeLockWithAContextThatIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := newLock(t, lockPath(t))
	if err := l.Lock(ctx); err != nil {
		t.Fatal(err)
	}
	mustUnlock(t, l)
}

func TestLock_noticesThatTheFileIsAnother(t *testing.T) {
	faults := map[string]func(t *testing.T, path string){
		"deleted": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"replaced": func(t *testing.T, path string) {
			if err := os.Rename(path, path+".old"); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, fault := range faults {
		t.Run(name+" while it is free", func(t *testing.T) {
			path := lockPath(t)
			a, b := newLock(t, path), newLock(t, path)
			mustTry(t, a.TryLock, true)
			mustUnlock(t, a)
			mustTry(t, b.TryLock, true)
			mustUnlock(t, b)
			fault(t, path)
			mustTry(t, a.TryLock, true)
			mustTry(t, b.TryLock, false)
			mustUnlock(t, a)
			mustTry(t, b.TryLock, true)
			mustUnlock(t, b)
		})
		t.Run(name+" while it is held", func(t *testing.T) {
			path := lockPath(t)
			a, b := newLock(t, path), newLock(t, path)
			mustTry(t, b.TryRLock, true)
			mustUnlock(t, b)
			mustTry(t, a.TryLock, true)
			mustTry(t, b.TryLock, false)
			fault(t, path)
			mustTry(t, b.TryLock, true)
			mustUnlock(t, a)
			mustTry(t, a.TryLock, false)
			mustUnlock(t, b)
		})
	}
}

func TestLock_failsWhileADirectoryIsInItsPlace(t *testing.T) {
	path := lockPath(t)
	l := newLock(t, path)
	mustTry(t, l.TryLock, true)
	mustUnlock(t, l)
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := l.Lock(t.Context()); err == nil {
		t.Fatal("a directory was locked")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	mustTry(t, l.TryLock, true)
	mustUnlock(t, l)
}

func TestLock_createsTheFileWithTheMode(t *testing.T) {
	path := lockPath(t)
	for _, mode := range []os.FileMode{0, 0o400 | 0o200, 0o640} {
		l := sharedfile.NewLock(path, mode)
		mustTry(t, l.TryLock, true)
		if err := errors.Join(l.Unlock(), l.Close()); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if mode == 0 {
			mode = 0o600
		}
		if info.Mode().Perm() != mode {
			t.Errorf("mode %v, want %v", info.Mode().Perm(), mode)
		}
		os.Remove(path)
	}
}

func TestLock_isOverAfterClose(t *testing.T) {
	l := sharedfile.NewLock(lockPath(t), 0)
	mustTry(t, l.TryLock, true)
	mustUnlock(t, l)
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if err := l.Lock(t.Context()); !errors.Is(err, sharedfile.ErrClosed) || !errors.Is(err, os.ErrClosed) {
		t.Errorf("Lock after Close: %v", err)
	}
	if ok, err := l.TryRLock(); ok || !errors.Is(err, sharedfile.ErrClosed) {
		t.Errorf("TryRLock after Close: %v, %v", ok, err)
	}
}

func TestLock_panicsWhenItIsUnlockedTwice(t *testing.T) {
	l := newLock(t, lockPath(t))
	mustTry(t, l.TryLock, true)
	mustUnlock(t, l)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	l.Unlock()
}

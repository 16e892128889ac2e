package sharedfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"time"
)

// A locked file is tried again after minPause, then at doubling pauses up to
// maxPause. Waiting in the kernel instead would need a goroutine and a thread
// that a context cannot call back.
const (
	minPause = 50 * time.Microsecond
	maxPause = 2 * time.Millisecond
)

// errLocked is what lockFile returns for a file that is locked otherwise.
var errLocked = errors.New("locked")

// A Lock is a lock on a file that processes, and handles in one process,
// exclude each other with. The kernel gives it back when the process that holds
// it dies. It is advisory: only those that ask for it are kept out.
//
// The file is created when the lock is first taken and is never removed, since
// removing it would let two have the lock. If somebody else removes or replaces
// it, whoever takes the lock next notices and locks the file that is now at the
// path; one who holds the lock at that moment is not told.
//
// A Lock is safe for concurrent use. One handle is held once at a time, in
// whichever way: goroutines that are to share a shared lock need a handle each.
type Lock struct {
	path string
	mode fs.FileMode
	held chan struct{} // holds an element while the handle is locked; guards what follows

	file   *os.File // nil until needed
	info   os.FileInfo
	closed bool
}

// NewLock returns a handle on the lock file at path, which is created with mode
// (0o600 if that is 0) once it is needed. It does not touch the disk.
func NewLock(path string, mode fs.FileMode) *Lock {
	if mode == 0 {
		mode = 0o600
	}
	return &Lock{path: path, mode: mode, held: make(chan struct{}, 1)}
}

// Lock waits until nobody else holds the lock, and takes it exclusively. If ctx
// ends first the error wraps ctx.Err(); with a ctx that is over already the lock
// is taken if it is free. Waiters are not served in any order.
func (l *Lock) Lock(ctx context.Context) error { return l.wait(ctx, true) }

// RLock is like Lock but shares the lock with others that call RLock.
func (l *Lock) RLock(ctx context.Context) error { return l.wait(ctx, false) }

// TryLock takes the lock exclusively if it is free and reports whether it did.
func (l *Lock) TryLock() (bool, error) { return l.try(true) }

// TryRLock is like TryLock but shares the lock with others that call RLock.
func (l *Lock) TryRLock() (bool, error) { return l.try(false) }

// Unlock gives the lock back. It panics if the handle is not locked.
func (l *Lock) Unlock() error {
	if len(l.held) == 0 {
		panic("sharedfile: Unlock of an unlocked Lock")
	}
	err := unlockFile(l.file)
	<-l.held
	if err != nil {
		return fmt.Errorf("sharedfile: unlock %s: %w", l.path, err)
	}
	return nil
}

// Close waits until the handle is unlocked and closes it; the lock file stays.
// After Close the other methods return [ErrClosed]. A second Close does nothing.
func (l *Lock) Close() error {
	l.held <- struct{}{}
	defer func() { <-l.held }()
	l.closed = true
	return l.forget()
}

func (l *Lock) wait(ctx context.Context, exclusive bool) error {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		ok, err := l.try(exclusive)
		if ok || err != nil {
			return err
		}
		if err := sleep(ctx, pause); err != nil {
			return fmt.Errorf("sharedfile: lock %s: %w", l.path, err)
		}
	}
}

// sleep sleeps for between half of d and d; the error is ctx.Err() if ctx ends
// first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d/2 + rand.N(d/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Lock) try(exclusive bool) (ok bool, err error) {
	select {
	case l.held <- struct{}{}:
	default:
		return false, nil
	}
	defer func() {
		if !ok {
			<-l.held
		}
	}()
	if l.closed {
		return false, ErrClosed
	}

	// A lock file that changes at every look is one to wait for, too.
	for range 10 {
		if err := l.open(); err != nil {
			return false, err
		}
		err := lockFile(l.file, exclusive)
		if err != nil && err != errLocked {
			return false, fmt.Errorf("sharedfile: lock %s: %w", l.path, err)
		}
		// The look comes after the lock: only then is the file at the path the
		// one that others lock, for as long as nobody removes it.
		if names(l.path, l.info) {
			return err == nil, nil
		}
		l.forget()
	}
	return false, nil
}

func (l *Lock) open() error {
	if l.file != nil {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, l.mode)
	if err != nil {
		return fmt.Errorf("sharedfile: lock: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("sharedfile: lock: %w", err)
	}
	l.file, l.info = f, info
	return nil
}

func (l *Lock) forget() error {
	if l.file == nil {
		return nil
	}
	err := release(l.file)
	l.file, l.info = nil, nil
	return err
}

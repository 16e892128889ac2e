package sharedfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// errStalled stands for the error that was reported when the lock was waited
// for in vain.
var errStalled = errors.New("sharedfile: lock file: still locked")

// enter takes the lock and reads the lock file. A caller that got no error calls
// leave.
func (a *Appender) enter(ctx context.Context) error {
	err := a.lock.Lock(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		if err := a.makeDirs(); err != nil {
			return err
		}
		err = a.lock.Lock(ctx)
	}
	if err != nil {
		return err
	}
	return a.entered()
}

// enterToWrite is enter for those who have no context: it waits for
// Options.Wait, and not at all after somebody has waited in vain.
func (a *Appender) enterToWrite() error {
	ok, err := a.lock.TryLock()
	if ok {
		return a.entered()
	}
	if a.stalled && err == nil {
		return errStalled
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.opts.Wait)
	defer cancel()
	err = a.enter(ctx)
	a.stalled = errors.Is(err, context.DeadlineExceeded)
	return err
}

func (a *Appender) entered() error {
	a.stalled = false
	err := a.ledger.attach(a.lock.file, !a.opts.LockEachWrite, a.freshLedger)
	if err != nil {
		a.leave()
	}
	return err
}

// makeDirs creates the directories, which may be gone with all that was in them.
func (a *Appender) makeDirs() error {
	for _, path := range []string{a.opts.Lock, a.path} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("sharedfile: %w", err)
		}
	}
	return nil
}

func (a *Appender) leave() {
	if err := a.lock.Unlock(); err != nil {
		a.trouble(err)
	}
}

// freshLedger is what stands in a lock file that is new or damaged. Its
// generation is one that no process has open, so that all look again.
func (a *Appender) freshLedger() [ledgerSize]byte {
	a.fresh = true
	var size, header int64
	if info, err := os.Stat(a.path); err == nil {
		size = info.Size()
	}
	since := time.Now()
	if a.file != nil && names(a.path, a.info) {
		header, since = a.header, a.since
	}
	return newLedger(a.settings, makeCount(anyGeneration(), size), header, since.UnixNano())
}

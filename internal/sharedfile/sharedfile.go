// Package sharedfile lets several processes use one file: a lock between them,
// and an appender with which they write one log that rotates by size.
//
// Use [Lock] for what several processes may do one at a time, and [Appender]
// for a log that several of them write. For goroutines of one process sync.Mutex
// and an os.File opened with os.O_APPEND do. Use neither across machines: both
// need a file system whose locks and appends all processes see alike, which a
// local disk is and NFS or SMB is not.
//
// A lock that is free costs three system calls to take and give back, and no
// goroutine; one that is not is asked for again after 50µs to 2ms. A write by
// an Appender costs the one system call of any write, and two more while other
// processes write at the same time; it does not allocate. It takes the lock only
// when the file was rotated or has to be, and then at most for [Options.Wait].
// Where processes cannot share memory (Windows, OpenBSD, a file system without
// mmap), and with [Options.LockEachWrite], each write takes the lock.
//
// What is lost: nothing that Append has returned for, by os.Exit, a panic or
// SIGKILL; the kernel has it. A process killed within Append leaves at most a
// part of the line that it was writing: whoever writes behind it notices and
// writes its own line again, whole. Power failure loses what was not synced.
// On Windows the package is unproven: it compiles there, and no test of it has
// run.
//
// The smallest programs:
//
//	lock := sharedfile.NewLock("/var/spool/app/lock", 0o600)
//	defer lock.Close()
//	if err := lock.Lock(ctx); err != nil {
//		return err
//	}
//	defer lock.Unlock()
//
//	log, err := sharedfile.Open("app.log", &sharedfile.Options{
//		MaxBytes: 1 << 20,
//		Rename:   func() error { return os.Rename("app.log", nextName()) },
//	})
//	if err != nil {
//		return err
//	}
//	defer log.Close()
//	log.Append([]byte("one line\n"))
package sharedfile

import (
	"errors"
	"fmt"
	"os"
)

var (
	// ErrBusy is what Claim returns for a file that a process may still write
	// to.
	ErrBusy = errors.New("sharedfile: in use by another process")

	// ErrClosed is what a Lock and an Appender return after Close. It wraps
	// [os.ErrClosed].
	ErrClosed = fmt.Errorf("sharedfile: %w", os.ErrClosed)

	// ErrSettings is what Open returns while processes with other settings
	// have the file open.
	ErrSettings = errors.New("sharedfile: opened by another process with other settings: give all processes the same options")
)

// Claim opens the file at path for reading if no [Appender] in any process has
// it open any more, so that it may be compressed, moved or deleted; otherwise
// the error is [ErrBusy]. A file that an Appender has left is not written to
// again: it holds all its lines. The claim ends when the caller closes the file.
//
// Two claims exclude each other. A claim is on the file, not on its name: if
// rotation gives old files other names, hold the [Lock] of the Appender and look
// whether the name is still that of the file before deleting by it.
func Claim(path string) (*os.File, error) {
	f, err := openClaim(path)
	if err != nil {
		return nil, fmt.Errorf("sharedfile: claim: %w", err)
	}
	if err := lockFile(f, true); err != nil {
		f.Close()
		if err == errLocked {
			return nil, ErrBusy
		}
		return nil, fmt.Errorf("sharedfile: claim %s: %w", path, err)
	}
	info, err := f.Stat()
	if err == nil && !names(path, info) {
		err = os.ErrNotExist
	}
	if err != nil {
		release(f)
		return nil, fmt.Errorf("sharedfile: claim %s: %w", path, err)
	}
	return f, nil
}

// CreateTemp is like [os.CreateTemp], and the file is claimed until it is closed:
// one that can be claimed later is what a process left that died.
func CreateTemp(dir, pattern string) (*os.File, error) {
	const attempts = 100
	for range attempts {
		f, err := os.CreateTemp(dir, pattern)
		if err != nil {
			return nil, fmt.Errorf("sharedfile: %w", err)
		}
		info, err := f.Stat()
		if err == nil {
			err = lockFile(f, true)
		}
		if err == nil && names(f.Name(), info) {
			return f, nil
		}
		// Somebody claimed it to remove it, before this could.
		release(f)
		os.Remove(f.Name())
		if err != nil && err != errLocked {
			return nil, fmt.Errorf("sharedfile: claim %s: %w", f.Name(), err)
		}
	}
	return nil, fmt.Errorf("sharedfile: create in %s: each file was claimed by others", dir)
}

// names reports whether the file at path is the one that info describes.
func names(path string, info os.FileInfo) bool {
	now, err := os.Stat(path)
	return err == nil && os.SameFile(now, info)
}

// release unlocks f and closes it. Closing alone would leave the lock with a
// child that was forked meanwhile, until that one calls exec.
func release(f *os.File) error {
	unlockFile(f)
	return f.Close()
}

package sharedfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

var (
	kernel32         = syscall.NewLazyDLL("kernel32.dll")
	procLockFileEx   = kernel32.NewProc("LockFileEx")
	procUnlockFileEx = kernel32.NewProc("UnlockFileEx")
)

const (
	lockfileFailImmediately = 1
	lockfileExclusiveLock   = 2

	errorLockViolation = syscall.Errno(33)
)

// lockedByte is what is locked in place of the file. Locks are mandatory on
// Windows: one on bytes that hold data would keep others from reading them.
func lockedByte() *syscall.Overlapped {
	const offset = 1 << 62
	return &syscall.Overlapped{OffsetHigh: offset >> 32}
}

// lockFile locks f. It does not wait: the error is errLocked if somebody else
// has f locked.
func lockFile(f *os.File, exclusive bool) error {
	flags := uintptr(lockfileFailImmediately)
	if exclusive {
		flags |= lockfileExclusiveLock
	}
	ok, _, err := procLockFileEx.Call(f.Fd(), flags, 0, 1, 0, uintptr(unsafe.Pointer(lockedByte())))
	switch {
	case ok != 0:
		return nil
	case err == errorLockViolation || err == syscall.ERROR_IO_PENDING:
		return errLocked
	}
	return err
}

func unlockFile(f *os.File) error {
	ok, _, err := procUnlockFileEx.Call(f.Fd(), 0, 1, 0, uintptr(unsafe.Pointer(lockedByte())))
	if ok != 0 {
		return nil
	}
	return err
}

// openLog opens the log at path; flag is os.O_CREATE or 0. Others may rename it
// meanwhile, which a file that was opened by os.OpenFile does not allow on
// Windows and one by os.Root does.
func openLog(path string, flag int, mode fs.FileMode) (*os.File, error) {
	return openIn(path, os.O_RDWR|os.O_APPEND|flag, mode)
}

func openClaim(path string) (*os.File, error) { return openIn(path, os.O_RDONLY, 0) }

func openIn(path string, flag int, mode fs.FileMode) (*os.File, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(filepath.Base(path), flag, mode)
}

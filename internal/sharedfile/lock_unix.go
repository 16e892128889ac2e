//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sharedfile

import (
	"io/fs"
	"os"
	"syscall"
)

// lockFile locks f, which no lock of fcntl would do: those belong to the process,
// so that two handles in one process would not exclude each other, and closing
// any other descriptor of the file would end them. It does not wait: the error
// is errLocked if somebody else has f locked.
func lockFile(f *os.File, exclusive bool) error {
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	err := flock(f, how|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return errLocked
	}
	return err
}

func unlockFile(f *os.File) error { return flock(f, syscall.LOCK_UN) }

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); err != syscall.EINTR {
			return err
		}
	}
}

// openLog opens the log at path; flag is os.O_CREATE or 0.
func openLog(path string, flag int, mode fs.FileMode) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_APPEND|flag, mode)
}

func openClaim(path string) (*os.File, error) { return os.Open(path) }

//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package sharedfile

import (
	"errors"
	"io/fs"
	"os"
)

func lockFile(*os.File, bool) error { return errors.ErrUnsupported }

func unlockFile(*os.File) error { return errors.ErrUnsupported }

// openLog opens the log at path; flag is os.O_CREATE or 0.
func openLog(path string, flag int, mode fs.FileMode) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_APPEND|flag, mode)
}

func openClaim(path string) (*os.File, error) { return os.Open(path) }

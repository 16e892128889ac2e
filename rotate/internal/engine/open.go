//go:build !windows

package engine

import (
	"io/fs"
	"os"
)

func openAppend(path string, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, perm)
}

// Rename renames a file that may be open meanwhile.
func Rename(from, to string) error { return os.Rename(from, to) }

// OpenRead opens a file for reading that may be renamed and removed meanwhile.
func OpenRead(path string) (*os.File, error) { return os.Open(path) }

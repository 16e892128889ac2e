package engine

import (
	"io/fs"
	"os"
	"path/filepath"
)

// A file that os.OpenFile has open cannot be renamed on Windows, one that an
// os.Root has open can: it is opened with FILE_SHARE_DELETE.

func openAppend(path string, perm fs.FileMode) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, perm)
	}
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(filepath.Base(path), os.O_APPEND|os.O_CREATE|os.O_WRONLY, perm)
}

// Rename renames a file that may be open meanwhile.
func Rename(from, to string) error {
	if filepath.Dir(from) != filepath.Dir(to) {
		return os.Rename(from, to)
	}
	root, err := os.OpenRoot(filepath.Dir(from))
	if err != nil {
		return err
	}
	defer root.Close()
	return root.Rename(filepath.Base(from), filepath.Base(to))
}

// OpenRead opens a file for reading that may be renamed and removed meanwhile.
func OpenRead(path string) (*os.File, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(filepath.Base(path))
}

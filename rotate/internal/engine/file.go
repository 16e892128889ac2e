package engine

import (
	"io/fs"
	"os"
)

// File is the engine that writes with an [os.File]. The zero File is ready to
// be opened.
type File struct {
	file *os.File
}

var _ Engine = (*File)(nil)

// Open implements [Engine].
func (e *File) Open(path string, perm fs.FileMode) (fs.FileInfo, error) {
	file, err := openAppend(path, perm)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	if e.file != nil {
		// Its bytes are with the system: there is nobody to tell, and nothing
		// that could be done.
		e.file.Close()
	}
	e.file = file
	return info, nil
}

// Write implements [Engine].
func (e *File) Write(p []byte) (int, error) {
	if e.file == nil {
		return 0, os.ErrClosed
	}
	return e.file.Write(p)
}

// Rename implements [Engine].
func (e *File) Rename(from, to string) error { return Rename(from, to) }

// Sync implements [Engine].
func (e *File) Sync() error {
	if e.file == nil {
		return os.ErrClosed
	}
	return e.file.Sync()
}

// Close implements [Engine].
func (e *File) Close() error {
	if e.file == nil {
		return nil
	}
	err := e.file.Close()
	e.file = nil
	return err
}

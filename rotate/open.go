package rotate

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/slogworks/slogworks/rotate/internal/engine"
)

// start opens the file for the first time. The lock is held.
func (f *File) start() error {
	if err := f.openFile(f.opts.Mode); err != nil {
		return err
	}
	if !f.regular {
		return nil
	}
	if f.opts.ReopenEvery > 0 {
		look := func() { f.look.Store(true) }
		if f.shared != nil {
			look = f.shared.look
		}
		f.lookTimer = time.AfterFunc(f.opts.ReopenEvery, look)
	}
	if f.opts.MaxAge > 0 {
		f.ageing = time.AfterFunc(ageEvery, f.age)
	}
	f.tidyLater()
	return nil
}

// openFile opens what is at the path, or creates it, in place of what is open.
// If that fails, what is open stays open.
func (f *File) openFile(perm fs.FileMode) error {
	info, err := f.engine.Open(f.path, perm)
	if errors.Is(err, fs.ErrNotExist) && os.MkdirAll(filepath.Dir(f.path), directoryMode) == nil {
		info, err = f.engine.Open(f.path, perm)
	}
	if err != nil {
		return fmt.Errorf("rotate: %w", err) // names the operation and the path
	}
	f.info, f.regular = info, info.Mode().IsRegular() && !isStandard(info)
	f.limit = f.opts.limit
	f.size, f.headed, f.torn = 0, 0, false
	if f.shared != nil {
		f.plan(f.shared.refresh().Since)
		return nil
	}
	if !f.regular {
		f.limit = maxSize
		return nil
	}
	f.resize(info.Size())
	if f.opts.Fsync {
		f.syncDirectory()
	}
	f.plan(info.ModTime())
	return nil
}

// syncDirectory makes the name of a file last as the file does.
func (f *File) syncDirectory() {
	if runtime.GOOS == "windows" {
		return // has no such thing
	}
	dir, err := os.Open(filepath.Dir(f.path))
	if err == nil {
		err = dir.Sync()
		dir.Close()
	}
	if err != nil {
		f.report(syncing, fmt.Errorf("rotate: sync directory of %s: %w", f.name, err))
	}
}

// isStandard reports whether the file is one that the process was given, and
// that others may write to as well.
func isStandard(info fs.FileInfo) bool {
	for _, std := range []*os.File{os.Stdout, os.Stderr} {
		if std == nil {
			continue
		}
		if other, err := std.Stat(); err == nil && os.SameFile(info, other) {
			return true
		}
	}
	return false
}

// resize takes notice of a size that comes from elsewhere than Write.
func (f *File) resize(size int64) {
	f.size, f.headed, f.torn, f.usual = size, 0, false, false
	var header []byte
	if f.opts.Header != nil {
		header = f.opts.Header()
	}
	if size == 0 {
		if len(header) > 0 {
			if _, err := f.append(header); err != nil {
				f.report(writing, fmt.Errorf("rotate: write header of %s: %w", f.name, err))
			}
		}
		f.headed = f.size
		return
	}
	// A file that cannot be read is taken to be in order.
	file, err := engine.OpenRead(f.path)
	if err != nil {
		return
	}
	defer file.Close()
	var last [1]byte
	if n, _ := file.ReadAt(last[:], size-1); n == 1 {
		f.torn = last[0] != '\n'
	}
	if size == int64(len(header)) {
		have := make([]byte, size)
		if n, _ := file.ReadAt(have, 0); bytes.Equal(have[:n], header) {
			f.headed = size
		}
	}
}

// ready makes the file ready for a record: open, at its path, and rotated if it
// is time. The lock is held.
func (f *File) ready() error {
	if f.closed {
		return ErrClosed
	}
	if f.info == nil {
		if err := f.start(); err != nil {
			f.report(opening, err)
			return lossError{err}
		}
		f.report(opening, nil)
	}
	if f.look.Load() {
		f.look.Store(false)
		f.lookForFile()
		f.lookTimer.Reset(f.opts.ReopenEvery)
	}
	if f.opts.Schedule != nil && f.regular {
		f.keepTime()
	}
	return nil
}

// lookForFile opens the file anew if it is not at its path any more.
func (f *File) lookForFile() {
	info, err := os.Stat(f.path)
	switch {
	case err == nil && os.SameFile(info, f.info):
		// Others may have written to the file, or truncated it.
		if info.Size() != f.size {
			f.resize(info.Size())
		}
	case err == nil || errors.Is(err, fs.ErrNotExist):
		_ = f.flush()      // what stays in the buffer goes into the new file
		_ = f.follow(info) // is reported
	}
}

// follow opens what is at the path, if anything, after somebody moved or removed
// what was there.
func (f *File) follow(there fs.FileInfo) error {
	size := f.size
	var err error
	if there != nil && !there.Mode().IsRegular() {
		err = fmt.Errorf("rotate: reopen %s: not a regular file any more", f.name)
	} else {
		err = f.openFile(f.info.Mode().Perm())
	}
	f.report(opening, err)
	if err != nil {
		return err
	}
	f.counts.reopens++
	f.tell(Event{Reason: External, Bytes: size, Time: time.Now()}, nil)
	return nil
}

// Reopen opens what is at the path now, in place of the file that is open:
// after logrotate or somebody else has moved it, if ReopenEvery is too slow. If
// that fails, writing goes on in the file that is open. Reopen does nothing with
// what is not a regular file, and nothing before a Lazy file is opened.
func (f *File) Reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrClosed
	}
	if f.info == nil || !f.regular {
		return nil
	}
	_ = f.flush() // what stays in the buffer goes into the new file
	err := f.openFile(f.info.Mode().Perm())
	f.report(opening, err)
	if err == nil {
		f.counts.reopens++
	}
	return err
}

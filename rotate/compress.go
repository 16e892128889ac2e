package rotate

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/slogworks/slogworks/internal/sharedfile"
	"github.com/slogworks/slogworks/rotate/internal/engine"
)

const leftover = ".gz.tmp"

// isLeftover reports whether the name is one that compress gives to a file that
// is not complete.
func (f *File) isLeftover(name string) bool {
	digits, ok := strings.CutPrefix(name, "."+f.backups.base+".")
	if !ok {
		return false
	}
	if digits, ok = strings.CutSuffix(digits, leftover); !ok {
		return false
	}
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

// errAborted is why a compression ended without an error.
var errAborted = errors.New("shutdown")

// compress puts a .gz in the place of a backup. The lock is not held.
func (f *File) compress(b backup) error {
	f.mu.Lock()
	path, ok := f.find(b)
	ok = ok && !f.inUse(b.info)
	f.mu.Unlock()
	if !ok {
		return nil
	}
	source, err := f.claim(path)
	if source == nil {
		return err
	}
	// Closed after the lock has been given up, for the reason given in remove.
	defer source.Close()
	if info, err := source.Stat(); err != nil || !os.SameFile(info, b.info) {
		return nil // renamed in this moment: the rotation that did it has another look
	}
	create := os.CreateTemp
	if f.shared != nil {
		create = sharedfile.CreateTemp
	}
	small, err := create(f.backups.dir, "."+f.backups.base+".*"+leftover)
	if err != nil {
		return fmt.Errorf("rotate: compress %s: %w", path, err)
	}
	defer os.Remove(small.Name()) // in vain if all went well
	defer small.Close()
	err = f.zip(small, source)
	if err == nil {
		err = small.Chmod(b.info.Mode().Perm())
	}
	if err == nil {
		err = small.Sync()
	}
	if err == nil {
		err = f.exclusively(func() error { return f.replace(b, source, small) })
	}
	if err != nil && !errors.Is(err, errAborted) {
		return fmt.Errorf("rotate: compress %s: %w", path, err)
	}
	return nil
}

// claim opens a backup that is to be compressed. It returns nil if that is not
// possible now, because another process writes to it or compresses it.
func (f *File) claim(path string) (*os.File, error) {
	open := engine.OpenRead
	if f.shared != nil {
		open = sharedfile.Claim
	}
	source, err := open(path)
	switch {
	case err == nil:
		return source, nil
	case f.shared != nil && (errors.Is(err, sharedfile.ErrBusy) || errors.Is(err, fs.ErrNotExist)):
		return nil, nil
	}
	return nil, fmt.Errorf("rotate: compress: %w", err)
}

// replace puts what is compressed in the place of the backup that it was made
// of. It is called exclusively.
func (f *File) replace(b backup, source, small *os.File) error {
	// Closed no earlier, since a file that nobody has claimed is a leftover.
	if err := small.Close(); err != nil {
		return err
	}
	path, ok := f.find(b)
	if !ok {
		return nil
	}
	// Nobody is to write to a backup. If someone does, it is left for later.
	read, err := source.Seek(0, io.SeekCurrent)
	if info, statErr := source.Stat(); err != nil || statErr != nil || info.Size() != read {
		return nil
	}
	if err := os.Chtimes(small.Name(), time.Time{}, b.info.ModTime()); err != nil {
		return err
	}
	// A .gz that is there already is of the same file: a process was killed
	// right here.
	if err := os.Rename(small.Name(), path+zipped); err != nil {
		return err
	}
	return os.Remove(path)
}

// blockSize is how much is compressed between two pauses.
const blockSize = 64 << 10

// zip compresses, and after each block sleeps as long as that took, so that
// those who log do not compete with it for more than half of a processor. It
// hurries when the file is being shut down.
func (f *File) zip(to io.Writer, from io.Reader) error {
	z, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return err
	}
	block := make([]byte, blockSize)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		if f.abort.Load() {
			return errAborted
		}
		began := time.Now()
		n, err := from.Read(block)
		if n > 0 {
			if _, err := z.Write(block[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return z.Close()
		}
		if err != nil {
			return err
		}
		pause.Reset(time.Since(began))
		select {
		case <-pause.C:
		case <-f.closing:
		}
	}
}

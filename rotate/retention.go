package rotate

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/slogworks/slogworks/internal/sharedfile"
	"github.com/slogworks/slogworks/rotate/internal/engine"
)

// ageEvery is how often MaxAge is looked at.
const ageEvery = time.Hour

func (f *File) age() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.tidyLater()
		f.ageing.Reset(ageEvery)
	}
}

// tidy removes the backups that are not to be kept and compresses the others.
// The lock is not held.
func (f *File) tidy() {
	kept, err := f.prune()
	f.settle(removing, err)
	if !f.opts.Compress {
		return
	}
	if f.shared != nil {
		kept = withoutNewest(kept)
	}
	var errs []error
	for _, b := range slices.Backward(kept) { // the next to be removed first
		if f.abort.Load() {
			break
		}
		if b.name == b.stem {
			errs = append(errs, f.compress(b))
		}
	}
	f.settle(compressing, errors.Join(errs...))
}

// withoutNewest leaves out the two newest of some backups: another process may
// have yet to notice that they are no longer the file.
func withoutNewest(backups []backup) []backup {
	const plain = 2
	number, stem := 0, ""
	for i, b := range backups {
		if b.stem != stem {
			number, stem = number+1, b.stem
		}
		if number > plain {
			return backups[i:]
		}
	}
	return nil
}

// settle is report for what happens without the lock.
func (f *File) settle(kind int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.report(kind, err)
}

// scan returns the backups that there are, newest first, and removes what is
// left of a compression that a killed process was at.
func (f *File) scan() ([]backup, error) {
	dir, err := os.Open(f.backups.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var found []backup
	for {
		// Only names: a directory may hold a hundred thousand files that are
		// not ours, and to ask for the size of each would take seconds.
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			path := filepath.Join(f.backups.dir, name)
			if f.isLeftover(name) {
				_ = f.removeLeftover(path) // the next scan tries again
				continue
			}
			b, ok := f.backups.parse(name)
			if !ok {
				continue
			}
			if b.info, err = os.Lstat(path); err == nil && b.info.Mode().IsRegular() {
				found = append(found, b)
			}
		}
		if errors.Is(err, io.EOF) || len(names) == 0 {
			break
		}
	}
	slices.SortFunc(found, f.backups.newestFirst)
	return found, nil
}

// prune removes the backups that are not to be kept and returns the others.
func (f *File) prune() (kept []backup, err error) {
	found, err := f.scan()
	if err != nil {
		return nil, fmt.Errorf("rotate: %w", err)
	}
	f.mu.Lock()
	total := max(f.length(), f.opts.MaxBytes)
	f.mu.Unlock()
	now := time.Now()
	var errs []error
	number, stem := 0, ""
	for _, b := range found {
		if b.stem != stem {
			number, stem = number+1, b.stem
		}
		total += b.info.Size() // also if it is removed: then all older ones are
		if (f.opts.MaxBackups == 0 || number <= f.opts.MaxBackups) &&
			(f.opts.MaxTotal == 0 || total <= f.opts.MaxTotal) &&
			(f.opts.MaxAge == 0 || now.Sub(b.info.ModTime()) <= f.opts.MaxAge) {
			kept = append(kept, b)
			continue
		}
		errs = append(errs, f.remove(b))
	}
	return kept, errors.Join(errs...)
}

// remove removes a backup, wherever it has been renamed to meanwhile.
func (f *File) remove(b backup) error {
	// The system frees what a large file occupies when the last who has it open
	// closes it. Without that, whoever logs would wait for it behind the lock.
	path := filepath.Join(f.backups.dir, b.name)
	open, err := engine.OpenRead(path)
	if err == nil {
		defer open.Close()
	}
	err = f.exclusively(func() error {
		if f.inUse(b.info) {
			return nil
		}
		path, ok := f.find(b)
		if !ok {
			return nil
		}
		return os.Remove(path)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errAborted) {
		return fmt.Errorf("rotate: %w", err)
	}
	return nil
}

// removeLeftover removes what is left of a compression, unless another process
// is at it.
func (f *File) removeLeftover(path string) error {
	if f.shared == nil {
		return os.Remove(path)
	}
	return f.exclusively(func() error {
		claim, err := sharedfile.Claim(path)
		if err != nil {
			return err
		}
		defer claim.Close()
		return os.Remove(path)
	})
}

// inUse reports whether the backup is not to be touched: because it is the file
// that is still written to, after a rotation that went half way, or because
// OnRotate has yet to see it. The lock is held.
func (f *File) inUse(info fs.FileInfo) bool {
	return os.SameFile(info, f.info) || f.awaitsOnRotate(info)
}

// find returns where the backup is now: rotations rename those with numbers.
// The lock is held, so that it stays there.
func (f *File) find(b backup) (path string, ok bool) {
	is := func(path string) bool {
		info, err := os.Lstat(path)
		return err == nil && os.SameFile(info, b.info)
	}
	path = filepath.Join(f.backups.dir, b.name)
	if f.opts.Naming != Numbered {
		return path, is(path)
	}
	suffix := strings.TrimPrefix(b.name, b.stem)
	for n := b.n; n <= max(b.n, f.opts.MaxBackups+spare); n++ {
		if path := f.backups.numbered(n) + suffix; is(path) {
			return path, true
		}
		// No rotation renames what is behind a gap.
		if taken, _ := exists(f.backups.numbered(n), f.backups.numbered(n)+zipped); !taken {
			break
		}
	}
	return path, false
}

package sharedfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// place returns a place for n bytes in the file, which it rotates if they do not
// fit. r is the place that the caller had, if any. With an error the file may
// still be written to. The caller has the lock.
func (a *Appender) place(n int, r reservation) (reservation, error) {
	if err := a.adopt(); err != nil {
		return r, err
	}
	var err error
	if r.end.generation() != a.gen {
		if r, err = a.reserve(n); err != nil {
			return r, err
		}
	}
	if a.fits(r) {
		return r, nil
	}
	return a.rotate(n)
}

// adopt makes the file at the path the one that is open. The caller has the
// lock.
func (a *Appender) adopt() error {
	reserved, err := a.ledger.load(atReserved)
	if err != nil {
		return err
	}
	current := count(reserved).generation() == a.gen
	there := a.file == nil || names(a.path, a.info)
	if a.file != nil && current && there {
		return nil
	}
	unlock := lockDirectory(a.path, a.opts.Wait)
	_, err = a.reopen(count(reserved), false, 0)
	unlock()
	if err != nil {
		return err
	}
	if !there && (current || a.fresh) {
		a.moved++ // nobody of those who rotate did that
	}
	a.fresh = false
	return nil
}

// recount begins a generation if the file has another size than what the
// processes have written, because somebody else has truncated it or written to
// it. The caller has the lock and has adopted the file.
func (a *Appender) recount() error {
	reserved, err := a.ledger.load(atReserved)
	if err != nil {
		return err
	}
	written := reserved // without memory nobody writes while another has the lock
	if a.ledger.memory != nil {
		if written, err = a.ledger.load(atWritten); err != nil {
			return err
		}
	}
	base, err := a.ledger.load(atBase)
	if err != nil {
		return err
	}
	info, err := a.file.Stat()
	if err != nil {
		return fmt.Errorf("sharedfile: %w", err)
	}
	again, err := a.ledger.load(atReserved)
	if err != nil || again != reserved || written != reserved ||
		info.Size() == int64(base)+count(reserved).bytes() {
		return err // while somebody writes there is nothing to compare
	}
	_, err = a.fill(count(reserved), 0, a.since)
	return err
}

// rotate moves the file away, opens the next, and returns the place of its first
// n bytes. The caller has the lock and has adopted the file.
func (a *Appender) rotate(n int) (reservation, error) {
	var renamed error
	defer lockDirectory(a.path, a.opts.Wait)()
	if a.opts.Rename != nil && names(a.path, a.info) {
		if renamed = a.opts.Rename(); renamed != nil {
			renamed = fmt.Errorf("sharedfile: rotate: %w", renamed)
		}
	}
	var r reservation
	var err error
	if names(a.path, a.info) {
		// It did not work. The same file in another generation: it may grow by
		// another limit before this is tried again, by whichever process.
		var size int64
		if info, err := a.file.Stat(); err == nil {
			size = info.Size()
		}
		r, err = a.begin(makeCount(nextGeneration(a.gen), 0), n, 0, size, time.Now())
	} else {
		r, err = a.reopen(makeCount(a.gen, 0), true, n)
	}
	return r, errors.Join(renamed, err)
}

// lockDirectory keeps other processes from rotating or beginning the file at
// path, even those that have locked another lock file, because this one was
// removed or replaced and they know of it or do not: they could choose the same
// name for a backup, of which the second would take the place of the first, and
// write two headers. If the directory cannot be locked, there is the lock file
// still.
func lockDirectory(path string, wait time.Duration) (unlock func()) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return func() {}
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	for lockFile(dir, true) == errLocked && sleep(ctx, maxPause) == nil {
	}
	return func() { dir.Close() } // which unlocks it
}

// reopen opens the file at the path in place of the one that is open, which
// stays open if there is an error. If no other process has the new one open, or
// if it is to begin, then this process counts its bytes; else the ledger is right
// about them. In a generation that begins the first n bytes are the caller's.
func (a *Appender) reopen(reserved count, begin bool, n int) (r reservation, err error) {
	f, info, err := a.open()
	if err != nil {
		return r, err
	}
	defer func() {
		if err != nil && a.file != f {
			release(f)
		}
	}()
	alone, err := share(f, a.opts.Wait)
	if err != nil {
		return r, fmt.Errorf("sharedfile: %s: %w", a.path, err)
	}
	settings, err := a.ledger.load(atSettings)
	if err != nil {
		return r, err
	}
	if settings != a.settings {
		switch {
		case alone:
			if err := a.ledger.store(atSettings, a.settings); err != nil {
				return r, err
			}
		case a.file == nil:
			return r, ErrSettings
		default:
			// Both write on: neither may lose lines.
			a.trouble(ErrSettings)
		}
	}

	since := time.Now()
	if info.Size() > 0 && info.ModTime().Before(since) {
		since = info.ModTime()
	}
	if a.file != nil {
		release(a.file)
	}
	a.file, a.info = f, info
	if !begin && !alone {
		return r, a.read(reserved)
	}
	return a.fill(reserved, n, since)
}

// open opens the file at the path, or creates it.
func (a *Appender) open() (f *os.File, info os.FileInfo, err error) {
	f, err = openLog(a.path, 0, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = a.create()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("sharedfile: %w", err)
	}
	info, err = f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", a.path)
	}
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("sharedfile: %w", err)
	}
	return f, info, nil
}

// create creates the file, in the mode of the one that is open.
func (a *Appender) create() (*os.File, error) {
	if a.file == nil {
		return openLog(a.path, os.O_CREATE, a.opts.Mode)
	}
	before, err := a.file.Stat()
	if err != nil {
		return nil, err
	}
	f, err := openLog(a.path, os.O_CREATE, before.Mode().Perm())
	if err == nil {
		// For what umask took away. Not to be allowed to is no reason not to log.
		f.Chmod(before.Mode().Perm())
	}
	return f, err
}

// share locks f for as long as it is open and reports whether nobody else had it
// locked.
func share(f *os.File, wait time.Duration) (alone bool, err error) {
	err = lockFile(f, true)
	if alone = err == nil; alone {
		unlockFile(f)
	} else if err != errLocked {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	for {
		if err = lockFile(f, false); err != errLocked {
			return alone, err
		}
		if sleep(ctx, maxPause) != nil {
			return false, errors.New("locked by another program")
		}
	}
}

// fill begins the next generation with the file that has just been opened: it
// writes the header if the file is empty and mends its end if it is not.
func (a *Appender) fill(before count, n int, since time.Time) (reservation, error) {
	size, err := mend(a.file)
	header := int64(0)
	if size == 0 && a.opts.Header != nil {
		var written int
		written, err = a.file.Write(a.opts.Header())
		size, header = int64(written), int64(written)
	} else if known, err := a.ledger.load(atHeader); err == nil && int64(known) == size {
		header = size // a file with nothing else in it
	}
	if err != nil {
		a.trouble(fmt.Errorf("sharedfile: %w", err))
	}
	return a.begin(makeCount(nextGeneration(before.generation()), size), n, header, 0, since)
}

// begin begins a generation of the open file that has the given bytes, base not
// counted, and the place of n more. Those are reserved at once: others, who do not know yet that
// the file was rotated, may reserve theirs as soon as they can.
func (a *Appender) begin(c count, n int, header, base int64, since time.Time) (reservation, error) {
	if err := a.ledger.begin(c, n, header, base, since.UnixNano()); err != nil {
		return reservation{}, err
	}
	a.gen, a.header, a.since = c.generation(), header, since
	return reservation{end: c + count(n), n: n}, nil
}

// read takes over what others have written in the lock file.
func (a *Appender) read(reserved count) error {
	header, err := a.ledger.load(atHeader)
	if err != nil {
		return err
	}
	since, err := a.ledger.load(atSince)
	if err != nil {
		return err
	}
	a.gen, a.header, a.since = reserved.generation(), int64(header), time.Unix(0, int64(since))
	return nil
}

// Rotate rotates the file if it began before due and there is more in it than
// the header, and reports whether it did. All processes may call it when the
// same time has come: the first one rotates. A zero due means in any case. The
// error is ctx.Err(), wrapped, if the lock could not be had before ctx ended; if
// Rename failed, the file is written to for another MaxBytes. Writes by this
// Appender wait as long as it does.
func (a *Appender) Rotate(ctx context.Context, due time.Time) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false, ErrClosed
	}
	if err := a.enter(ctx); err != nil {
		return false, err
	}
	defer a.leave()
	if err := a.adopt(); err != nil {
		return false, err
	}
	since, err := a.ledger.load(atSince)
	if err != nil {
		return false, err
	}
	// A time that is yet to come was set by a clock that was wrong.
	now := time.Now()
	a.since = time.Unix(0, int64(since))
	if !due.IsZero() && !a.since.Before(due) && !a.since.After(now) {
		return false, nil
	}
	reserved, err := a.ledger.load(atReserved)
	if err != nil {
		return false, err
	}
	base, err := a.ledger.load(atBase)
	if err != nil {
		return false, err
	}
	if int64(base)+count(reserved).bytes() <= a.header {
		a.since = now
		return false, a.ledger.store(atSince, uint64(now.UnixNano()))
	}
	// What has been reserved counts, not what has been written: the file of
	// someone who is about to write is not empty.
	before := a.info
	_, err = a.rotate(0)
	return !names(a.path, before), err
}

// Check looks whether the file and the lock file are still at their paths, and
// opens what is there now if they are not. It also notices if somebody else has
// truncated the file or written to it. Call it once a second or so, also to let
// go of a file that others have rotated. It does not wait: while somebody
// else has the lock it does nothing, since that one looks.
func (a *Appender) Check() error {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	err := a.Reopen(over)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Reopen is like Check but waits for the lock until ctx ends, and writes by this
// Appender with it.
func (a *Appender) Reopen(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return ErrClosed
	}
	if err := a.enter(ctx); err != nil {
		return err
	}
	defer a.leave()
	if err := a.adopt(); err != nil {
		return err
	}
	return a.recount()
}

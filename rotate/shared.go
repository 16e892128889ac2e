package rotate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/slogworks/slogworks/internal/sharedfile"
	"github.com/slogworks/slogworks/rotate/internal/engine"
)

// lockWait is how long to wait for another process that has the lock.
const lockWait = 5 * time.Second

// shared is the engine of a file that several processes write. Its Appender
// rotates by size and writes headers on its own, since that has to happen under
// the lock between them, and calls back for the names of backups. All of it is
// done with the File's lock held, which is always taken before the other.
type shared struct {
	f   *File
	log *sharedfile.Appender // nil until Open

	header   int64  // how long the header of a new file is
	reason   Reason // why a rotation that goes on does
	moved    int    // State.Moved when it was looked at last
	troubled bool   // during the write that goes on
}

var _ engine.Engine = (*shared)(nil)

// moveError is why a file could not be moved aside.
type moveError struct{ error }

func (e moveError) Unwrap() error { return e.error }

// Open opens the file for the first time, or looks for it again.
func (s *shared) Open(path string, perm fs.FileMode) (info fs.FileInfo, err error) {
	if s.log != nil {
		ctx, cancel := context.WithTimeout(context.Background(), lockWait)
		defer cancel()
		if err := s.log.Reopen(ctx); err != nil {
			return nil, err
		}
		s.moved = s.log.State().Moved // is no news to who has asked for it
		return s.log.State().Info, nil
	}
	if info, err := os.Stat(path); err == nil && (!info.Mode().IsRegular() || isStandard(info)) {
		return nil, fmt.Errorf("%s cannot be Shared: use a path of a regular file that is not the process's output", path)
	}
	opts := &s.f.opts
	var header func() []byte
	if opts.Header != nil {
		s.header = int64(len(opts.Header()))
		header = func() []byte {
			h := opts.Header()
			s.header = int64(len(h))
			return h
		}
	}
	s.log, err = sharedfile.Open(path, &sharedfile.Options{
		Lock:     lockOf(path),
		Mode:     perm,
		MaxBytes: opts.MaxBytes,
		Settings: fmt.Sprintf("%v backups %d age %v total %d compress %t schedule %s",
			opts.Naming, opts.MaxBackups, opts.MaxAge, opts.MaxTotal, opts.Compress, describe(opts.Schedule)),
		Rename:  s.moveAside,
		Header:  header,
		Wait:    lockWait,
		OnError: s.trouble,
	})
	if err != nil {
		return nil, err
	}
	return s.log.State().Info, nil
}

// lockOf returns the path of the lock file. It is not one that *.log* matches.
func lockOf(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
}

// describe returns what tells a schedule from others.
func describe(s Schedule) string {
	if _, ok := s.(fmt.Stringer); ok {
		return fmt.Sprint(s)
	}
	return fmt.Sprintf("%T", s)
}

// Write appends p, after a rotation if it does not fit.
func (s *shared) Write(p []byte) (int, error) {
	if s.log == nil {
		return 0, os.ErrClosed
	}
	s.troubled = false
	n, err := s.log.Append(p)
	if !s.troubled && s.f.failing[sharing] {
		s.f.report(sharing, nil)
	}
	return n, err
}

// trouble is told what went wrong although nothing is lost by it.
func (s *shared) trouble(err error) {
	if _, ok := errors.AsType[moveError](err); ok {
		s.f.report(rotating, fmt.Errorf("rotate: %w", err))
		return
	}
	s.troubled = true
	s.f.report(sharing, fmt.Errorf("rotate: %w", err))
}

// Rename implements [engine.Engine].
func (s *shared) Rename(from, to string) error { return engine.Rename(from, to) }

// moveAside is called back to make a backup of the file, with the lock held.
func (s *shared) moveAside() error {
	f := s.f
	now := time.Now()
	info, err := os.Stat(f.path)
	backup := ""
	if err == nil {
		backup, err = f.moveAside(now)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // somebody else moved it in this moment
	}
	if err != nil {
		return moveError{err}
	}
	f.report(rotating, nil)
	f.rotated(Event{Backup: backup, Reason: s.reason, Bytes: info.Size(), Time: now}, info)
	return nil
}

// rotate rotates the file unless another process has done so, if the Schedule is
// the reason.
func (s *shared) rotate(reason Reason) error {
	f := s.f
	var due time.Time // at once
	if reason == ByTime {
		due = f.next
	}
	s.reason = reason
	defer func() { s.reason = BySize }()
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	_, err := s.log.Rotate(ctx, due)
	f.plan(s.refresh().Since)
	if err != nil {
		err = fmt.Errorf("rotate: %w", err)
	}
	f.report(rotating, err)
	return err
}

// refresh takes over what the Appender knows of the file.
func (s *shared) refresh() sharedfile.State {
	f := s.f
	state := s.log.State()
	if state.Moved != s.moved {
		s.moved = state.Moved
		f.counts.reopens++
		f.tell(Event{Reason: External, Bytes: f.size, Time: time.Now()}, nil)
	}
	if f.opts.Fsync && state.Info != f.info {
		f.syncDirectory()
	}
	// What goes to the next file has to leave room for a header.
	f.info, f.size, f.headed = state.Info, max(state.Size, s.header), state.Header
	return state
}

// look looks for the file now and then, and not before the next record only: a
// file that others have rotated can be compressed when all have let go of it.
func (s *shared) look() {
	f := s.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	if info, err := os.Stat(f.path); err != nil || !os.SameFile(info, f.info) {
		_ = f.flush() // belongs into the file that was there, if nobody has rotated it
	}
	err := s.log.Check()
	if err != nil {
		err = fmt.Errorf("rotate: %w", err)
	}
	f.report(opening, err)
	s.refresh()
	f.lookTimer.Reset(f.opts.ReopenEvery)
}

// Sync implements [engine.Engine].
func (s *shared) Sync() error {
	s.refresh()
	return s.log.Sync()
}

// Close implements [engine.Engine].
func (s *shared) Close() error {
	if s.log == nil {
		return nil
	}
	return s.log.Close()
}

// exclusively calls do with the File's lock, which must not be held, and with
// the one that the processes have if the file is Shared. It does not keep those
// who log waiting for the latter.
func (f *File) exclusively(do func() error) error {
	if f.shared == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		return do()
	}
	lock := sharedfile.NewLock(lockOf(f.path), f.opts.Mode)
	defer lock.Close()
	const pause = time.Millisecond
	for deadline := time.Now().Add(lockWait); ; time.Sleep(pause) {
		if ok, err := f.try(lock, do); ok || err != nil {
			return err
		}
		if f.abort.Load() {
			return errAborted
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("lock %s: held by another process for %v", lockOf(f.path), lockWait)
		}
	}
}

// try calls do if the lock is free.
func (f *File) try(lock *sharedfile.Lock, do func() error) (ok bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ok, err = lock.TryLock()
	if !ok {
		return ok, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	return true, do()
}

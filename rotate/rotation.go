package rotate

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"
)

const maxSize = math.MaxInt64

// Rotate makes a backup of the file and starts a new one, as if it were time
// to. It does nothing if the file is empty, not regular, or not open yet. If it
// fails, writing goes on in the file as it is.
func (f *File) Rotate() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrClosed
	}
	if f.info == nil || !f.regular || f.shared == nil && f.isEmpty() {
		return nil
	}
	if err := f.flush(); err != nil {
		return err
	}
	return f.rotate(ByCall)
}

// keepTime rotates if the Schedule says so.
func (f *File) keepTime() {
	now := time.Now()
	if now.Before(f.since) {
		f.plan(now) // the clock was set back, or was wrong when the file was written
	}
	if !f.isTime(now) {
		return
	}
	if f.shared == nil && f.isEmpty() {
		f.plan(now)
		return
	}
	if f.flush() == nil {
		f.rotateOrGoOn(ByTime, 0)
	}
}

// isTime reports whether the Schedule asks for something.
func (f *File) isTime(now time.Time) bool {
	return now.Before(f.since) || !f.next.IsZero() && !now.Before(f.next)
}

// plan finds out when to rotate a file that was last written at some time.
func (f *File) plan(written time.Time) {
	if f.opts.Schedule == nil {
		return
	}
	// Without the monotonic clock, which does not know when the other one is
	// set, nor how long the machine slept.
	f.since = written.Round(0)
	f.next = f.opts.Schedule.Next(f.since)
	if !f.next.After(f.since) {
		f.next = time.Time{}
	}
}

// rotateOrGoOn rotates to make room for n bytes. If that fails, writing goes on,
// and it is tried again when as much again has been written or when the next
// time has come.
func (f *File) rotateOrGoOn(reason Reason, n int) {
	if err := f.rotate(reason); err == nil {
		return
	}
	if reason == ByTime {
		f.plan(time.Now())
	} else {
		f.limit = f.size + max(f.opts.limit, int64(n)+1) // 1 if it is torn
	}
}

// rotate makes a backup of the file, which is not empty and whose buffer is.
func (f *File) rotate(reason Reason) error {
	if f.shared != nil {
		return f.shared.rotate(reason)
	}
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, f.info) {
		return f.follow(info) // somebody else's file may be at the path
	}
	if err != nil {
		err = fmt.Errorf("rotate: %w", err)
	} else {
		err = f.renew(info, reason)
	}
	f.report(rotating, err)
	return err
}

// renew makes a backup of the file that info describes and opens a new one.
func (f *File) renew(info fs.FileInfo, reason Reason) error {
	now := time.Now()
	backup, err := f.moveAside(now)
	if err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	size, perm := f.size, info.Mode().Perm()
	if err := f.openFile(perm); err != nil {
		// What is open is the backup. If it cannot be given its name back,
		// records go there until the file can be created.
		if _, missing := os.Lstat(f.path); errors.Is(missing, fs.ErrNotExist) {
			_ = f.engine.Rename(backup, f.path)
		}
		return err
	}
	if f.info.Mode().Perm() != perm {
		if err := os.Chmod(f.path, perm); err != nil {
			f.report(opening, fmt.Errorf("rotate: %w", err))
		}
	}
	f.rotated(Event{Backup: backup, Reason: reason, Bytes: size, Time: now}, info)
	return nil
}

// moveAside gives the file the name of a backup.
func (f *File) moveAside(now time.Time) (backup string, err error) {
	if backup, err = f.backups.next(now); err == nil {
		err = f.engine.Rename(f.path, backup)
	}
	return backup, err
}

// rotated takes notice of a rotation.
func (f *File) rotated(e Event, info fs.FileInfo) {
	f.counts.rotations++
	f.tell(e, info)
	f.tidyLater()
}

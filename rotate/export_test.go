package rotate

import (
	"fmt"
	"time"
)

// SetClockBack makes f believe that the clock was d ahead until now.
func (f *File) SetClockBack(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.opts.Schedule != nil {
		f.since = time.Now().Add(d).Round(0)
		f.next = f.opts.Schedule.Next(f.since)
	}
	f.backups.stamp, f.backups.n = time.Now().Add(d).UTC().Truncate(time.Millisecond), 0
}

// Working reports whether there is a goroutine.
func (f *File) Working() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.working
}

// Tidy does what is done in the background after a rotation.
func (f *File) Tidy() { f.tidy() }

// BackupName returns the name that is written if name is taken for that of a
// backup of the file.
func BackupName(naming Naming, file, name string) (again string, ok bool) {
	b := newBackups(file, &settings{Options: Options{Naming: naming}})
	is, ok := b.parse(name)
	if !ok {
		return "", false
	}
	if naming == Numbered {
		again = b.numbered(is.n)
	} else {
		again = b.prefix + is.stamp.Format(stampFormat)
		if is.n > 0 {
			again += fmt.Sprint("-", is.n)
		}
		again += b.ext
	}
	if is.name != is.stem {
		again += zipped
	}
	return again, true
}

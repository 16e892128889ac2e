// Package lumberjack lets a program that uses gopkg.in/natefinch/lumberjack.v2
// have the files of package rotate, either on its lumberjack or in its place.
//
// Use [Options] to change over: same path, same limits, same names of backups,
// so that those which are there stay under retention. Use [Open] only where the
// writing itself must stay lumberjack's. Without a lumberjack to begin with, use
// package rotate.
//
// On lumberjack a File costs what it costs otherwise, and a goroutine that
// lumberjack starts for each Logger and never ends
// (https://github.com/natefinch/lumberjack/issues/56). What can be lost is the
// same as in package rotate.
//
// The smallest program:
//
//	path, opts := lumberjack.Options(logger)
//	file, err := rotate.Open(path, opts)
package lumberjack

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/rotate/internal/engine"
	"gopkg.in/natefinch/lumberjack.v2"
)

const megabyte = 1 << 20

// Options returns what makes rotate.Open do what l does: the path, MaxBytes (100
// MiB if MaxSize is 0), MaxAge, MaxBackups and Compress. Two things differ:
// names of backups are always in UTC, so that their order is that of time, and a
// record longer than MaxBytes is written and not refused. It does not change l.
func Options(l *lumberjack.Logger) (path string, opts *rotate.Options) {
	path = l.Filename
	if path == "" {
		path = filepath.Join(os.TempDir(), filepath.Base(os.Args[0])+"-lumberjack.log")
	}
	size := l.MaxSize
	if size == 0 {
		size = 100
	}
	return path, &rotate.Options{
		MaxBytes:   int64(size) * megabyte,
		MaxAge:     time.Duration(l.MaxAge) * 24 * time.Hour,
		MaxBackups: l.MaxBackups,
		Compress:   l.Compress,
	}
}

// Open opens a file that l does the writing for and package rotate all else. The
// limits that l has hold, as [Options] gives them, unless opts sets others. Open
// takes l over: it closes l, resets its limits, and from then on only the File
// that it returns may be used. l should not have been written to before if it has
// MaxAge, MaxBackups or Compress, since lumberjack reads these without a lock.
// Shared, and a Naming other than Timestamp, are errors.
func Open(l *lumberjack.Logger, opts *rotate.Options) (*rotate.File, error) {
	if l == nil {
		return nil, errors.New("lumberjack: nil Logger")
	}
	path, limits := Options(l)
	var merged rotate.Options
	if opts != nil {
		merged = *opts
	}
	if merged.Shared || merged.Naming != rotate.Timestamp {
		return nil, errors.New("lumberjack: Shared and Numbered need the engine of package rotate: use Options and rotate.Open")
	}
	if merged.MaxBytes == 0 {
		merged.MaxBytes = limits.MaxBytes
	}
	if merged.MaxAge == 0 {
		merged.MaxAge = limits.MaxAge
	}
	if merged.MaxBackups == 0 {
		merged.MaxBackups = limits.MaxBackups
	}
	merged.Compress = merged.Compress || limits.Compress

	if err := l.Close(); err != nil {
		return nil, err
	}
	// A petabyte: lumberjack is never to rotate, remove or compress by itself.
	l.MaxSize = 1 << 30
	if l.MaxAge != 0 || l.MaxBackups != 0 || l.Compress {
		// It reads these on its goroutine: one that has none is not written to.
		l.MaxAge, l.MaxBackups, l.Compress = 0, 0, false
	}
	file, err := engine.Open(path, &merged, &driver{logger: l})
	if err != nil {
		return nil, err
	}
	return file.(*rotate.File), nil
}

// driver is a lumberjack as an engine. It has lumberjack open files that exist,
// which lumberjack opens for appending, and nothing else.
type driver struct {
	logger *lumberjack.Logger
}

func (d *driver) Open(path string, perm fs.FileMode) (fs.FileInfo, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, perm)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := d.logger.Close(); err != nil {
		return nil, err
	}
	d.logger.Filename = path
	if _, err := d.logger.Write(nil); err != nil {
		return nil, err
	}
	return info, nil
}

func (d *driver) Write(p []byte) (int, error) { return d.logger.Write(p) }

func (d *driver) Rename(from, to string) error {
	if runtime.GOOS == "windows" {
		// It has the file open in a way in which it cannot be renamed. It opens
		// what is at the path at the next Write.
		if err := d.logger.Close(); err != nil {
			return err
		}
	}
	return os.Rename(from, to)
}

// Sync syncs through another descriptor, since lumberjack does not give its own.
func (d *driver) Sync() error {
	file, err := os.OpenFile(d.logger.Filename, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}

func (d *driver) Close() error { return d.logger.Close() }

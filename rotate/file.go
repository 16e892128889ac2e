package rotate

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks/rotate/internal/engine"
)

// File is an [io.WriteCloser] that rotates. A Write is one record: it is whole
// in one file, and neither a file nor a write to the system begins or ends in
// the midst of one. The handlers of log/slog make one Write per record. Write
// adds nothing to a record, a newline neither.
//
// File is safe for concurrent use. Records stand in the order in which Write
// took them. A Write waits for those before it and for the disk, and for no
// rotation in the background. There is no useful zero File.
type File struct {
	// What each Write needs stands together, since it is read when the caches
	// are cold.
	mu     sync.Mutex
	engine engine.Engine
	size   int64 // of the file; when it was looked at last, if it is Shared
	limit  int64 // the size from which on it is to be rotated
	torn   bool  // the file does not end in a newline
	closed bool
	usual  bool // the last Write went well: a record that fits has only to be written
	// look is set by a timer when it is time to look for the file at its path.
	// That is cheaper than to ask the clock at each Write.
	look    atomic.Bool
	info    fs.FileInfo // of the file that is open; nil: none yet
	failing [kinds]bool
	counts  counts
	buf     []byte
	ends    []int  // of the records in buf
	one     [1]int // the ends for Write

	shared     *shared // the engine if it is Shared
	opts       settings
	name, path string
	backups    *backups
	regular    bool  // the file can be rotated
	headed     int64 // how many bytes of it are the Header

	// since is the time for which next was asked for.
	since, next time.Time

	lookTimer  *time.Timer
	flushTimer *time.Timer
	ageing     *time.Timer   // for MaxAge
	closing    chan struct{} // closed by Shutdown
	background
}

// Write appends the record p, after a rotation if one is due. It returns an
// error if the record is not written, or not on the disk with Fsync, and
// [ErrClosed] after Shutdown; a rotation that fails is no error of Write. With
// Buffer, a record has been written when it is in the buffer.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// Code runs slowly right after a system call, which leaves the caches cold.
	// So the usual case does as little as it can. Where that does not succeed it
	// is left to put to do better, or to say why.
	if f.usual && !f.look.Load() && (f.opts.Schedule == nil || f.isEarly()) && f.size+int64(len(f.buf)+len(p)) <= f.limit && len(p) > 0 {
		switch {
		case f.opts.Buffer == 0:
			n, err := f.engine.Write(p)
			if err == nil && n == len(p) {
				f.size += int64(n)
				f.counts.bytes += uint64(n)
				f.counts.accepted++
				f.counts.written++
				return n, nil
			}
			f.wrote(p, n, err)
		case len(f.buf) > 0 && len(f.buf)+len(p) <= f.opts.Buffer:
			f.buf = append(f.buf, p...)
			f.ends = append(f.ends, len(f.buf))
			f.counts.accepted++
			return len(p), nil
		}
	}
	f.one[0] = len(p)
	done, err := f.put(p, f.one[:])
	if done == 0 {
		return 0, err
	}
	return len(p), err
}

// isEarly reports whether the Schedule asks for nothing yet.
func (f *File) isEarly() bool { return !f.isTime(time.Now()) }

// lossError is an error for records that are counted already.
type lossError struct{ error }

func (e lossError) Unwrap() error { return e.error }

// put writes the records in p, which end at ends, to as few files as possible.
// Records without bytes are as good as written. It returns how many are
// written, from the first on.
func (f *File) put(p []byte, ends []int) (done int, err error) {
	if len(p) == 0 && !f.closed {
		return len(ends), nil
	}
	if err := f.ready(); err != nil {
		n := records(ends, 0)
		f.counts.accepted += n
		if f.closed {
			f.counts.closed += n
		} else {
			f.counts.failed += n
		}
		return 0, err
	}
	start := 0
	for done < len(ends) {
		n := f.fitting(ends[done:], start)
		if n == 0 {
			// What is in the buffer belongs into the file as it is.
			if err = f.flush(); err == nil {
				if f.shared == nil {
					f.rotateOrGoOn(BySize, ends[done]-start)
				}
				continue
			}
		} else {
			end := ends[done+n-1]
			n, err = f.store(p[start:end], ends[done:done+n], start)
			f.counts.accepted += records(ends[done:done+n], start)
			done += n
			start = end
		}
		if err != nil {
			if lost := records(ends[done:], endOf(ends, done)); lost > 0 {
				f.counts.accepted += lost
				f.counts.failed += lost
			}
			return done, lossError{err}
		}
	}
	f.usual = !f.torn && !f.failing[writing] && !f.opts.Fsync
	return done, nil
}

// records counts the records that end at ends and have bytes.
func records(ends []int, start int) (n uint64) {
	for _, end := range ends {
		if end > start {
			n++
		}
		start = end
	}
	return n
}

// endOf returns where the first n records end.
func endOf(ends []int, n int) int {
	if n == 0 {
		return 0
	}
	return ends[n-1]
}

// fitting returns how many of the records have room in the file, 0 if what is in
// the buffer has to be written and the file be rotated for the first.
func (f *File) fitting(ends []int, start int) int {
	if f.shared != nil {
		f.shared.refresh()
	}
	used := f.size + int64(len(f.buf))
	if f.torn {
		used++
	}
	n := f.within(f.limit-used, ends, start)
	switch {
	case n > 0:
		return n
	case f.shared != nil && len(f.buf) == 0:
		// The write that does not fit rotates. Until then others may do so.
		return max(1, f.within(f.limit-f.shared.header, ends, start))
	case f.isEmpty():
		return 1
	}
	return 0
}

// within returns how many of the records have no more than so many bytes.
func (f *File) within(room int64, ends []int, start int) (n int) {
	for n < len(ends) && int64(ends[n]-start) <= room {
		n++
	}
	return n
}

func (f *File) isEmpty() bool { return f.size <= f.headed && len(f.buf) == 0 }

// writeOut writes records to the file at once and returns how many of them are
// whole there.
func (f *File) writeOut(p []byte, ends []int, start int) (done int, err error) {
	n, err := f.append(p)
	if err != nil {
		err = f.withPath("write", err)
	}
	f.report(writing, err)
	for done < len(ends) && ends[done]-start <= n {
		done++
	}
	f.counts.written += records(ends[:done], start)
	if err == nil && f.opts.Fsync && f.regular {
		err = f.sync()
	}
	return done, err
}

// append is one write to the file. What is left of a record that was not
// written whole becomes a line of its own.
func (f *File) append(p []byte) (int, error) {
	out := p
	if f.torn {
		out = append([]byte{'\n'}, p...)
	}
	n, err := f.engine.Write(out)
	if err == nil && n < len(out) {
		err = io.ErrShortWrite
	}
	f.wrote(out, n, err)
	return max(0, n-(len(out)-len(p))), err
}

// wrote takes notice of a write of which n bytes are in the file.
func (f *File) wrote(p []byte, n int, err error) {
	f.size += int64(n)
	f.counts.bytes += uint64(n)
	failed := err != nil || n < len(p)
	if failed {
		f.usual = false
	}
	if n > 0 {
		f.torn = failed && p[n-1] != '\n' && f.shared == nil
	}
}

func (f *File) sync() error {
	err := f.engine.Sync()
	if err != nil {
		err = f.withPath("sync", err)
	}
	f.report(syncing, err)
	return err
}

// withPath is err, which an operation on the file returned, with the operation and
// the path, unless err says that itself.
func (f *File) withPath(operation string, err error) error {
	if named := (*fs.PathError)(nil); errors.As(err, &named) {
		return fmt.Errorf("rotate: %w", err)
	}
	return fmt.Errorf("rotate: %s %s: %w", operation, f.name, err)
}

// Name returns the path as it was given to [Open].
func (f *File) Name() string { return f.name }

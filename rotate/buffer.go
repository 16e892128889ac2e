package rotate

import (
	"context"
	"time"
)

// store puts records that fit into the file or the buffer. It returns how many
// that were.
func (f *File) store(p []byte, ends []int, start int) (done int, err error) {
	if f.opts.Buffer == 0 {
		return f.writeOut(p, ends, start)
	}
	if len(f.buf)+len(p) > f.opts.Buffer {
		err := f.flush()
		switch {
		case len(f.buf)+len(p) <= f.opts.Buffer:
			// There is room now, even if not all of it could be written.
		case err != nil:
			return 0, err
		default:
			return f.writeOut(p, ends, start)
		}
	}
	if len(f.buf) == 0 {
		f.flushLater()
	}
	for _, end := range ends {
		f.ends = append(f.ends, len(f.buf)+end-start)
	}
	f.buf = append(f.buf, p...)
	return len(ends), nil
}

// flush writes what is in the buffer. What could not be written stays there.
func (f *File) flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	done, err := f.writeOut(f.buf, f.ends, 0)
	if end := endOf(f.ends, done); end == len(f.buf) {
		f.buf, f.ends = f.buf[:0], f.ends[:0]
	} else if done > 0 {
		f.buf = f.buf[:copy(f.buf, f.buf[end:])]
		for i, e := range f.ends[done:] {
			f.ends[i] = e - end
		}
		f.ends = f.ends[:len(f.ends)-done]
	}
	return err
}

// flushLater has the buffer written in FlushEvery.
func (f *File) flushLater() {
	switch {
	case f.opts.FlushEvery < 0:
	case f.flushTimer != nil:
		f.flushTimer.Reset(f.opts.FlushEvery)
	default:
		f.flushTimer = time.AfterFunc(f.opts.FlushEvery, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.closed {
				return
			}
			_ = f.flush() // is reported
			if len(f.buf) > 0 {
				f.flushTimer.Reset(f.opts.FlushEvery)
			}
		})
	}
}

// Flush writes what is in the buffer. It does not wait for compressions, and,
// without Fsync, not for the disk either; ctx changes nothing, since a write to
// a file cannot be cancelled. After Shutdown it does nothing.
func (f *File) Flush(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.flush()
}

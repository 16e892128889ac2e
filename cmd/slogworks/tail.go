package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

const (
	// maxExisting is how much of a file that was there before is read at most.
	maxExisting = 64 << 20
	// quietTime is after how long of silence a half line counts as a line, and a
	// file that has lost its name as complete.
	quietTime = 10 * time.Second
	// markBytes is how much of what was read is compared.
	markBytes = 64
)

// tail reads what is appended to an open file.
type tail struct {
	file   *os.File
	info   fs.FileInfo
	offset int64
	lines  lines

	// mark is what was read last. Where it does not stand any more, the file was
	// truncated and has grown to the offset or beyond since.
	mark []byte

	heard time.Time // when there was something to read
}

// openTail opens a file and goes to its last lines, as many as existing says, or
// to its beginning if that is below 0.
func openTail(name string, existing int, emit func(line []byte, isCut bool)) (*tail, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	t := &tail{file: file, lines: lines{emit: emit}, heard: time.Now()}
	if t.info, err = file.Stat(); err == nil && existing >= 0 {
		err = t.skipTo(existing)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return t, nil
}

// skipTo goes to where the last lines begin.
func (t *tail) skipTo(count int) (err error) {
	if t.offset, err = lastLines(t.file, t.info.Size(), count); err != nil {
		return err
	}
	t.mark = make([]byte, min(markBytes, t.offset))
	_, err = t.file.ReadAt(t.mark, t.offset-int64(len(t.mark)))
	return err
}

// lastLines returns where the last lines begin in a file of the size. A line
// without an end comes on top of the count. They begin later if there are more
// than maxExisting bytes of them.
func lastLines(file io.ReaderAt, size int64, count int) (int64, error) {
	const block = 64 << 10
	buf := make([]byte, min(block, size))
	floor := max(0, size-maxExisting)
	start := floor
	for end := size; end > floor; {
		from := max(floor, end-block)
		chunk := buf[:end-from]
		if _, err := file.ReadAt(chunk, from); err != nil {
			return 0, err
		}
		for i := len(chunk); ; count-- {
			if i = bytes.LastIndexByte(chunk[:i], '\n'); i < 0 {
				break
			}
			if start = from + int64(i) + 1; count == 0 {
				return start, nil
			}
		}
		end = from
	}
	if floor == 0 {
		return 0, nil
	}
	return start, nil
}

// read emits the lines that were added.
func (t *tail) read(ctx context.Context) error {
	info, err := t.file.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	same, err := t.hasMark()
	if err != nil {
		return err
	}
	if size < t.offset || !same {
		t.lines.end()
		t.offset, t.mark = 0, nil
	}
	if size == t.offset {
		if t.isQuiet() {
			t.lines.end()
		}
		return nil
	}
	t.heard = time.Now()
	buf := make([]byte, min(256<<10, size-t.offset))
	for ctx.Err() == nil {
		n, err := t.file.ReadAt(buf, t.offset)
		t.offset += int64(n)
		t.lines.write(buf[:n])
		t.mark = append(t.mark, buf[max(0, n-markBytes):n]...)
		t.mark = bytes.Clone(t.mark[max(0, len(t.mark)-markBytes):])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hasMark reports whether the file still has what was read last.
func (t *tail) hasMark() (bool, error) {
	now := make([]byte, len(t.mark))
	n, err := t.file.ReadAt(now, t.offset-int64(len(now)))
	if errors.Is(err, io.EOF) { // it is shorter now
		err = nil
	}
	return bytes.Equal(now[:n], t.mark), err
}

// isQuiet reports whether nothing was added for some time.
func (t *tail) isQuiet() bool { return time.Since(t.heard) > quietTime }

// close makes a line of what is left.
func (t *tail) close() {
	t.lines.end()
	t.file.Close()
}

package bench_test

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"
)

// openLog opens a file for lines, as programs do.
func openLog(tb testing.TB, path string) *os.File {
	tb.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { file.Close() })
	return file
}

// lineCounter counts the lines of a file that somebody else writes.
type lineCounter struct {
	file *os.File
	n    int
	buf  []byte
}

func follow(tb testing.TB, path string) *lineCounter {
	tb.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { file.Close() })
	return &lineCounter{file: file, buf: make([]byte, 64<<10)}
}

// wait waits until the file has n lines, and no more.
func (c *lineCounter) wait(tb testing.TB, n int) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Microsecond) {
		if err := c.read(); err != nil {
			tb.Fatal(err)
		}
		switch {
		case c.n == n:
			return
		case c.n > n || time.Now().After(deadline):
			tb.Fatalf("the file has %d lines, want %d", c.n, n)
		}
	}
}

func (c *lineCounter) read() error {
	for {
		n, err := c.file.Read(c.buf)
		c.n += bytes.Count(c.buf[:n], []byte("\n"))
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// clear removes the lines.
func (c *lineCounter) clear(tb testing.TB) {
	tb.Helper()
	if err := c.file.Truncate(0); err != nil {
		tb.Fatal(err)
	}
	if _, err := c.file.Seek(0, io.SeekStart); err != nil {
		tb.Fatal(err)
	}
	c.n = 0
}

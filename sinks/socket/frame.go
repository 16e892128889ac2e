package socket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// smallBuffer is what a silent connection costs, freeBuffer what each may
	// have; more comes from the budget of all.
	smallBuffer = 4 << 10
	freeBuffer  = 16 << 10
)

// frames divides a stream into frames.
type frames struct {
	conn interface {
		// read waits until timeout, which counts from the beginning of a frame or
		// of the silence before it; inFrame tells which.
		read(p []byte, inFrame bool) (int, error)
	}
	max    int
	budget *budget
	wait   time.Duration // for the budget

	buf    []byte
	r, w   int  // what is in the buffer and not yet part of a frame
	held   int  // taken from the budget
	filled bool // the last read left no room
	last   bool // the frame is what the stream ended with
}

// free gives back what the frames took from the budget.
func (f *frames) free() {
	f.budget.give(f.held)
	f.held = 0
}

func (f *frames) buffered() int { return f.w - f.r }

// next returns the next frame, which is valid until next is called again. The
// error is io.EOF where the stream ends between two frames, a *Refusal for what
// is no frame, and any other is the connection's.
func (f *frames) next() ([]byte, error) {
	f.shrink()
	for {
		for f.r < f.w && isBlank(f.buf[f.r]) {
			f.r++
		}
		if f.r < f.w {
			break
		}
		if err := f.fill(false); err != nil {
			return nil, err
		}
	}
	switch c := f.buf[f.r]; {
	case c == '{':
		return f.line()
	case '1' <= c && c <= '9':
		return f.counted()
	}
	return f.prefixed()
}

func isBlank(c byte) bool { return c == '\n' || c == '\r' || c == ' ' || c == '\t' }

// line reads a frame that ends with a line feed. At the end of the stream the
// line feed may be missing: whether the line is complete, its JSON tells.
func (f *frames) line() ([]byte, error) {
	for seen := 0; ; {
		if i := bytes.IndexByte(f.buf[f.r+seen:f.w], '\n'); i >= 0 {
			return f.take(0, seen+i)
		}
		seen = f.buffered()
		if seen > f.max {
			return nil, refuse(frameTooLong, "a line of more than %d bytes", f.max)
		}
		if err := f.fill(true); err == io.EOF {
			f.last = true
			return f.take(0, seen)
		} else if err != nil {
			return nil, f.broken(err)
		}
	}
}

// counted reads a frame whose length is in decimal digits.
func (f *frames) counted() ([]byte, error) {
	const digits = len("16777216")
	n := 0
	for i := 0; ; i++ {
		if err := f.need(i + 1); err != nil {
			return nil, err
		}
		switch c := f.buf[f.r+i]; {
		case c == ' ':
			if n > f.max {
				return nil, f.tooLong(n)
			}
			return f.body(i+1, n)
		case c < '0' || c > '9':
			return nil, refuse(badLength, "want digits and a space, not %q", f.buf[f.r:f.r+i+1])
		case i == digits:
			return nil, refuse(frameTooLong, "%s… bytes announced, at most %d", f.buf[f.r:f.r+i], f.max)
		default:
			n = n*10 + int(c-'0')
		}
	}
}

// prefixed reads a frame whose length is in 4 bytes.
func (f *frames) prefixed() ([]byte, error) {
	if err := f.need(4); err != nil {
		return nil, err
	}
	prefix := f.buf[f.r : f.r+4]
	n := int(binary.BigEndian.Uint32(prefix))
	switch {
	case isText(prefix):
		return nil, refuse(notAFrame, "begins with %q", prefix)
	case n == 0:
		return nil, refuse(badLength, "0 bytes announced")
	case n > f.max:
		return nil, f.tooLong(n)
	}
	return f.body(4, n)
}

// isText reports whether p is of ASCII's letters, digits and signs.
func isText(p []byte) bool {
	for _, c := range p {
		if (c < ' ' || c > '~') && !isBlank(c) {
			return false
		}
	}
	return true
}

func (f *frames) tooLong(n int) *Refusal {
	return refuse(frameTooLong, "%d bytes announced, at most %d", n, f.max)
}

func (f *frames) body(prefix, n int) ([]byte, error) {
	if err := f.need(prefix + n); err != nil {
		return nil, err
	}
	return f.take(prefix, n)
}

// take returns the n bytes behind a prefix and goes on behind them.
func (f *frames) take(prefix, n int) ([]byte, error) {
	if n > f.max {
		return nil, refuse(frameTooLong, "%d bytes, at most %d", n, f.max)
	}
	begin := f.r + prefix
	f.r = begin + n
	return f.buf[begin : begin+n : begin+n], nil
}

// need reads until the buffer has n bytes of the frame.
func (f *frames) need(n int) error {
	for f.buffered() < n {
		if err := f.fill(true); err != nil {
			return f.broken(err)
		}
	}
	return nil
}

// broken is err within a frame.
func (f *frames) broken(err error) error {
	var refusal *Refusal
	switch n := f.buffered(); {
	case errors.As(err, &refusal) || err == errDrained:
		return err
	case err == io.EOF:
		return refuse(cutShort, "the stream ended %d bytes into a frame", n)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(frameTimeout, "%d bytes of a frame came in time", n)
	default:
		return refuse(connectionLost, "%d bytes into a frame: %v", n, err)
	}
}

// fill reads once, into a buffer that is larger if there is no room. A buffer
// grows with what has come, not with what was announced.
func (f *frames) fill(inFrame bool) error {
	if f.r > 0 && (f.r == f.w || f.w == len(f.buf)) {
		f.w = copy(f.buf, f.buf[f.r:f.w])
		f.r = 0
	}
	if f.w == len(f.buf) || f.filled && len(f.buf) < freeBuffer {
		if err := f.grow(); err != nil {
			return err
		}
	}
	n, err := f.conn.read(f.buf[f.w:], inFrame)
	f.w += n
	f.filled = f.w == len(f.buf)
	if n > 0 {
		return nil // what is wrong will still be so the next time
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (f *frames) grow() error {
	size := max(2*len(f.buf), smallBuffer)
	if size > freeBuffer {
		more := size - f.held
		if !f.budget.take(more, f.wait) {
			return refuse(frameTimeout, "no memory for a frame of more than %d bytes became free in time", len(f.buf))
		}
		f.held += more
	}
	buf := make([]byte, size)
	f.w = copy(buf, f.buf[f.r:f.w])
	f.r = 0
	f.buf = buf
	return nil
}

// shrink gives a large buffer back once what is in it has room elsewhere.
func (f *frames) shrink() {
	if f.held == 0 || f.buffered() > freeBuffer {
		return
	}
	buf := make([]byte, freeBuffer)
	f.w = copy(buf, f.buf[f.r:f.w])
	f.r = 0
	f.buf = buf
	f.free()
}

// budget is the memory that all connections share for long frames. Who wants
// more than there is waits: without this, as many hostile senders as there may
// be connections could each take up the longest frame.
type budget struct {
	mu    sync.Mutex
	left  int
	freed chan struct{} // closed and replaced when some was given back
}

func newBudget(n int) *budget { return &budget{left: n, freed: make(chan struct{})} }

func (b *budget) take(n int, wait time.Duration) bool {
	var timeout <-chan time.Time
	for {
		b.mu.Lock()
		if b.left >= n {
			b.left -= n
			b.mu.Unlock()
			return true
		}
		freed := b.freed
		b.mu.Unlock()
		if timeout == nil {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-freed:
		case <-timeout:
			return false
		}
	}
}

func (b *budget) give(n int) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
	close(b.freed)
	b.freed = make(chan struct{})
}

package intake

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

// FreeBuffer is how many bytes the buffer of each connection may have; more comes
// from the budget of all. A silent one costs smallBuffer.
const (
	FreeBuffer  = 16 << 10
	smallBuffer = 4 << 10
)

// Source is what a Stream reads from: a [Conn], or what stands in front of it.
type Source interface {
	Read(p []byte, deadline time.Time, inFrame bool) (int, error)
	IsDone() bool
}

// Stream is what a connection has sent and nobody has taken yet, frame by frame.
// Its buffer grows with what has come, not with what was announced.
type Stream struct {
	Source Source
	Budget *Budget
	GiveUp <-chan struct{} // closed when no memory is waited for any more
	Unit   string          // what a frame is called

	Idle    time.Duration // how long it may be silent between two frames; below 0: for ever
	Timeout time.Duration // how long a frame may take, and wait for memory
	By      time.Time     // ends each wait, unless it is zero

	buf      []byte
	r, w     int
	share    Share
	filled   bool      // the last read left no room
	deadline time.Time // by which the frame has to be complete; zero between frames
}

// Begin goes on to the next frame, which begins behind all bytes that are in
// blank, and returns its first byte. The error is that of Fill, and ErrDrained
// where a Shutdown has read enough.
func (s *Stream) Begin(blank string) (first byte, err error) {
	s.deadline = time.Time{}
	s.shrink()
	if s.Source.IsDone() {
		return 0, ErrDrained
	}
	for {
		for s.r < s.w && strings.IndexByte(blank, s.buf[s.r]) >= 0 {
			s.r++
		}
		if s.r < s.w {
			return s.buf[s.r], nil
		}
		if err := s.Fill(false); err != nil {
			return 0, err
		}
	}
}

// Bytes returns what is there. It is valid until Fill, Need or Begin is called.
func (s *Stream) Bytes() []byte { return s.buf[s.r:s.w] }

// Cut returns the n bytes behind a prefix, which are valid as Bytes is, and goes
// on behind them.
func (s *Stream) Cut(prefix, n int) []byte {
	begin := s.r + prefix
	s.r = begin + n
	return s.buf[begin:s.r:s.r]
}

// Need fills until there are n bytes of the frame. Its error is made by Broken.
func (s *Stream) Need(n int) error {
	for s.w-s.r < n {
		if err := s.Fill(true); err != nil {
			return s.Broken(err)
		}
	}
	return nil
}

// Counted cuts off a frame of up to limit bytes whose length in digits, and a
// space, are in front of it (RFC 6587). The error is a *[Refusal], or ErrDrained.
func (s *Stream) Counted(limit int) ([]byte, error) {
	const digits = len("16777216")
	n := 0
	for i := 0; ; i++ {
		if err := s.Need(i + 1); err != nil {
			return nil, err
		}
		text := s.Bytes()[:i+1]
		switch c := text[i]; {
		case c == ' ' && n > limit:
			return nil, TooLong(n, limit)
		case c == ' ' && n > 0:
			if err := s.Need(i + 1 + n); err != nil {
				return nil, err
			}
			return s.Cut(i+1, n), nil
		case c < '0' || c > '9' || text[0] == '0':
			return nil, Refuse(BadLength, "want digits, not beginning with 0, and a space, not %q", text)
		case i == digits:
			return nil, Refuse(FrameTooLong, "%s… bytes announced, at most %d", text[:i], limit)
		default:
			n = n*10 + int(c-'0')
		}
	}
}

// TooLong refuses a frame for the length that it is said to have.
func TooLong(n, limit int) *Refusal {
	return Refuse(FrameTooLong, "%d bytes announced, at most %d", n, limit)
}

// Broken is the error of Fill within a frame as a *[Refusal], or ErrDrained.
func (s *Stream) Broken(err error) error {
	n := s.w - s.r
	switch {
	case err == ErrDrained:
		return err
	case err == io.EOF:
		return Refuse(CutShort, "the stream ended %d bytes into a %s", n, s.Unit)
	case err == ErrNoMemory:
		return Refuse(FrameTimeout, "no memory for a %s of more than %d bytes became free in time", s.Unit, len(s.buf))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Refuse(FrameTimeout, "%d bytes of a %s came in time", n, s.Unit)
	default:
		return Refuse(ConnectionLost, "%d bytes into a %s: %v", n, s.Unit, err)
	}
}

// Fill reads once, into a larger buffer if there is no room. inFrame says that
// something of a frame is there. The error is that of the Source, ErrNoMemory, or
// ErrDrained when it was given up to wait for memory.
func (s *Stream) Fill(inFrame bool) error {
	if s.r > 0 && (s.r == s.w || s.w == len(s.buf)) {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	if s.w == len(s.buf) || s.filled && len(s.buf) < FreeBuffer {
		size := max(2*len(s.buf), smallBuffer)
		if size > FreeBuffer {
			if err := s.Budget.Take(&s.share, size, s.Timeout, s.GiveUp); err != nil {
				return err
			}
		}
		s.move(size)
	}
	room := s.buf[s.w:]
	if s.share.held > 0 {
		// So that what is read beyond the frame has room elsewhere, and the large
		// buffer goes to somebody else after each frame.
		room = room[:min(len(room), FreeBuffer)]
	}
	n, err := s.Source.Read(room, s.readBy(inFrame), inFrame)
	s.w += n
	s.filled = s.w == len(s.buf)
	if n > 0 {
		return nil // what is wrong will still be so the next time
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (s *Stream) readBy(inFrame bool) time.Time {
	var by time.Time
	switch {
	case inFrame:
		if s.deadline.IsZero() {
			s.deadline = time.Now().Add(s.Timeout)
		}
		by = s.deadline
	case s.Idle >= 0:
		by = time.Now().Add(s.Idle)
	}
	if !s.By.IsZero() && (by.IsZero() || s.By.Before(by)) {
		by = s.By
	}
	return by
}

// shrink gives a large buffer back once what is in it has room elsewhere.
func (s *Stream) shrink() {
	if s.share.held > 0 && s.w-s.r <= FreeBuffer {
		s.move(FreeBuffer)
		s.Free()
	}
}

func (s *Stream) move(size int) {
	buf := make([]byte, size)
	s.w = copy(buf, s.buf[s.r:s.w])
	s.r = 0
	s.buf = buf
}

// Free gives back what the stream took from the budget. It is not used after
// that.
func (s *Stream) Free() { s.Budget.Give(&s.share) }

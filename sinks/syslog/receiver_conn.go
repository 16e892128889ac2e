package syslog

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/slogworks/slogworks/internal/intake"
)

// settle is how long the first line of a stream is held when nothing follows it,
// because a NUL may still do so.
const settle = 100 * time.Millisecond

// blank is what may stand between two messages.
const blank = "\n\r\x00"

// division is how a stream is divided into messages.
type division int

const (
	unknown division = iota
	counted          // by lengths in digits
	byNUL
	byLF
)

// messages divides a stream into messages.
type messages struct {
	*intake.Stream
	max     int
	divided division
	begun   bool
}

func (r *Receiver) serveConn(conn *intake.Conn) {
	m := messages{Stream: r.server.Stream(conn, "message"), max: r.server.Limits.MaxFrame}
	defer m.Free()
	for {
		message, err := m.next()
		if err == nil {
			err = r.handle(conn.Peer, message)
		}
		var refusal *intake.Refusal
		if errors.As(err, &refusal) {
			r.refuse(conn.Peer, (*Refusal)(refusal))
		}
		if err != nil {
			return
		}
	}
}

func (r *Receiver) handle(peer string, message []byte) error {
	if isShort(message) {
		r.take(peer, message)
		return nil
	}
	return r.server.Budget.Alone(r.server.Life().Done(), func() error {
		r.take(peer, message)
		return nil
	})
}

// isShort reports whether the record of a message is one of which many connections
// may each have one at once: values and groups take more than their text does.
func isShort(message []byte) bool {
	if len(message) > intake.FreeBuffer {
		return false
	}
	values := 0
	for _, mark := range []string{"[", "=", "."} {
		values += bytes.Count(message, []byte(mark))
	}
	return values <= intake.ShortValues
}

// next returns the next message, which is valid until next is called again. The
// error is an *intake.Refusal for what is wrong, and any other where the stream
// ends between two messages.
func (m *messages) next() ([]byte, error) {
	if !m.begun {
		if first, err := m.Begin(""); err != nil {
			return nil, err
		} else if first == 0 {
			return nil, intake.Refuse(notAFrame, "begins with a NUL, as what sinks/socket and Python's SocketHandler send, which is not syslog")
		}
		m.begun = true
	}
	first, err := m.Begin(blank)
	if err != nil {
		return nil, err
	}
	isDigit := '0' <= first && first <= '9'
	if m.divided == unknown && isDigit {
		m.divided = counted
	}
	switch {
	case m.divided == counted && isDigit:
		return m.Counted(m.max)
	case m.divided == counted:
		return nil, intake.Refuse(notAFrame, "want a length, not %.20q", m.Bytes())
	case m.divided == unknown:
		if err := m.findDivision(); err != nil {
			return nil, err
		}
	}
	return m.line()
}

// findDivision reads as much of the first message as it takes to know how it
// ends. Even a line that begins like a message may be part of one that ends with
// a NUL, so that only silence tells.
func (m *messages) findDivision() error {
	defer func() { m.By = time.Time{} }()
	for seen := 0; ; {
		text := m.Bytes()
		if bytes.IndexByte(text[seen:], 0) >= 0 {
			m.divided = byNUL
			return nil
		}
		isLine := !m.By.IsZero()
		if !isLine && bytes.IndexByte(text[seen:], '\n') >= 0 {
			isLine, m.By = true, time.Now().Add(settle)
		}
		seen = len(text)
		if seen > m.max || isLine && !time.Now().Before(m.By) {
			break
		}
		if err := m.Fill(true); err == io.EOF || err != nil && isLine {
			break
		} else if err != nil {
			return m.Broken(err)
		}
	}
	m.divided = byLF
	return nil
}

// line reads a message up to its end, which may be missing where the stream
// ends: nothing tells whether it is whole.
func (m *messages) line() ([]byte, error) {
	end := byte('\n')
	if m.divided == byNUL {
		end = 0
	}
	for seen := 0; ; {
		text := m.Bytes()
		i := bytes.IndexByte(text[seen:], end)
		if i >= 0 && seen+i <= m.max {
			line := m.Cut(0, seen+i+1)
			return bytes.TrimSuffix(line[:seen+i], []byte("\r")), nil
		}
		if seen = len(text); seen > m.max {
			return nil, intake.Refuse(frameTooLong, "a message of more than %d bytes", m.max)
		}
		if err := m.Fill(true); err == io.EOF {
			return m.Cut(0, seen), nil
		} else if err != nil {
			return nil, m.Broken(err)
		}
	}
}

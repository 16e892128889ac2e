package socket

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/slogworks/slogworks/internal/intake"
)

// blank is what may stand between two frames.
const blank = "\n\r \t"

// frames divides a stream into frames.
type frames struct {
	*intake.Stream
	max  int
	last bool // the frame is what the stream ended with
}

// next returns the next frame, which is valid until next is called again. The
// error is a *intake.Refusal for what is no frame, and any other is the stream's
// between two frames.
func (f *frames) next() ([]byte, error) {
	first, err := f.Begin(blank)
	switch {
	case err != nil:
		return nil, err
	case first == '{':
		return f.line()
	case '1' <= first && first <= '9':
		return f.Counted(f.max)
	}
	return f.prefixed()
}

// line reads a frame that ends with a line feed. At the end of the stream the
// line feed may be missing: whether the line is complete, its JSON tells.
func (f *frames) line() ([]byte, error) {
	for seen := 0; ; {
		text := f.Bytes()
		if i := bytes.IndexByte(text[seen:], '\n'); i >= 0 {
			return f.take(seen + i)
		}
		if seen = len(text); seen > f.max {
			return nil, intake.Refuse(frameTooLong, "a line of more than %d bytes", f.max)
		}
		if err := f.Fill(true); err == io.EOF {
			f.last = true
			return f.take(seen)
		} else if err != nil {
			return nil, f.Broken(err)
		}
	}
}

func (f *frames) take(n int) ([]byte, error) {
	if n > f.max {
		return nil, intake.Refuse(frameTooLong, "%d bytes, at most %d", n, f.max)
	}
	return f.Cut(0, n), nil
}

// prefixed reads a frame whose length is in 4 bytes.
func (f *frames) prefixed() ([]byte, error) {
	const prefix = 4
	if err := f.Need(prefix); err != nil {
		return nil, err
	}
	text := f.Bytes()[:prefix]
	n := int(binary.BigEndian.Uint32(text))
	switch {
	case isText(text):
		return nil, intake.Refuse(notAFrame, "begins with %q%s", text, likely(text))
	case n == 0:
		return nil, intake.Refuse(badLength, "0 bytes announced")
	case n > f.max:
		return nil, intake.TooLong(n, f.max)
	}
	if err := f.Need(prefix + n); err != nil {
		return nil, err
	}
	return f.Cut(prefix, n), nil
}

// likely says what a stream may be that begins with the text.
func likely(text []byte) string {
	switch string(text) {
	case "GET ", "POST", "PUT ", "HEAD":
		return ", as HTTP does"
	}
	if text[0] == '<' {
		return ", as syslog does"
	}
	return ""
}

// isText reports whether p is of ASCII's letters, digits and signs.
func isText(p []byte) bool {
	for _, c := range p {
		if (c < ' ' || c > '~') && bytes.IndexByte([]byte(blank), c) < 0 {
			return false
		}
	}
	return true
}

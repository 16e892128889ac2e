package console

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// Color says when a [Handler] uses colour. It can be read from a configuration
// document as "auto", "always" or "never".
type Color int

const (
	// ColorAuto uses colour if the writer is a terminal and the environment
	// has neither NO_COLOR with a value (https://no-color.org) nor TERM=dumb.
	// It is decided once, in New. A terminal is an *os.File that is a
	// character device, which is what the standard library can tell: /dev/null
	// counts as one too, and so does a console of Windows that does not
	// understand escape sequences, for which there is ColorNever. Any other
	// writer counts as none, even if a terminal is behind it, for which there
	// is ColorAlways.
	ColorAuto Color = iota
	// ColorAlways uses colour whatever the writer and the environment are.
	ColorAlways
	// ColorNever uses none.
	ColorNever
)

// String returns "auto", "always" or "never". Other values are the same as
// ColorAuto.
func (c Color) String() string {
	switch c {
	case ColorAlways:
		return "always"
	case ColorNever:
		return "never"
	}
	return "auto"
}

// MarshalText returns what String does.
func (c Color) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText accepts "auto", "always" and "never". An error leaves c as it is.
func (c *Color) UnmarshalText(text []byte) error {
	for _, known := range []Color{ColorAuto, ColorAlways, ColorNever} {
		if string(text) == known.String() {
			*c = known
			return nil
		}
	}
	return fmt.Errorf("console: unknown color %q: use auto, always or never", text)
}

func (c Color) on(w io.Writer) bool {
	switch c {
	case ColorAlways:
		return true
	case ColorNever:
		return false
	}
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// maxKept is how large a buffer may be that is kept for the next record.
const maxKept = 64 << 10

// output is the writer that tint has, which it calls under its lock. It takes
// the colours out again if there are to be none.
type output struct {
	w     io.Writer
	color bool
	plain []byte
}

func (o *output) Write(line []byte) (int, error) {
	out := line
	if !o.color {
		out = appendPlain(o.plain[:0], line)
		if o.plain = out; cap(out) > maxKept {
			o.plain = nil
		}
	}
	n, err := o.w.Write(out)
	if err == nil && n < len(out) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return 0, err
	}
	return len(line), nil
}

// appendPlain appends line without its escape sequences. All are tint's, and so
// end with an m: settle has seen to that.
func appendPlain(dst, line []byte) []byte {
	for {
		text, sequence, found := bytes.Cut(line, []byte{'\x1b'})
		dst = append(dst, text...)
		if !found {
			return dst
		}
		_, line, _ = bytes.Cut(sequence, []byte{'m'})
	}
}

package main

import "bytes"

// maxLine is how many bytes of a line are read.
const maxLine = 1 << 20

// lines divides what is written to it into lines.
type lines struct {
	// emit gets each line without its end, of one that is too long the
	// beginning. It must not keep it.
	emit func(line []byte, isCut bool)

	part     []byte // of a line whose end is yet to come
	skipping bool   // the rest of a line that was cut
}

func (l *lines) write(p []byte) {
	for len(p) > 0 {
		piece, rest, isWhole := bytes.Cut(p, []byte("\n"))
		if len(l.part) == 0 {
			// Where a file was truncated, a writer that goes on behind the old end
			// leaves a hole, which is no part of the line behind it.
			piece = bytes.TrimLeft(piece, "\x00")
		}
		room := maxLine - len(l.part)
		switch {
		case l.skipping:
		case len(piece) > room:
			l.emit(append(l.part, piece[:room]...), true)
			l.part, l.skipping = nil, true
		case isWhole && len(l.part) == 0: // most lines need no copy
			l.emit(piece, false)
		default:
			l.part = append(l.part, piece...)
			if isWhole {
				l.end()
			}
		}
		if isWhole {
			l.skipping = false
		}
		p = rest
	}
}

// end makes a line of what was begun.
func (l *lines) end() {
	if len(l.part) > 0 {
		l.emit(l.part, false)
	}
	l.part, l.skipping = l.part[:0], false
	if cap(l.part) > 64<<10 {
		l.part = nil
	}
}

package wire

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

func (e *encoder) lit(s string) { e.buf = append(e.buf, s...) }

func (e *encoder) time(t time.Time) {
	const day = 24 * 60 * 60
	if _, offset := t.Zone(); offset <= -day || offset >= day {
		t = t.UTC() // RFC 3339 has no such zone
	}
	e.lit(`"`)
	e.buf = t.AppendFormat(e.buf, time.RFC3339Nano)
	e.lit(`"`)
}

// exact is the largest number up to which JavaScript tells all integers apart.
const exact = 1 << 53

func (e *encoder) int(n int64) {
	if n < -exact || n > exact {
		e.lit(`"`)
		e.buf = strconv.AppendInt(e.buf, n, 10)
		e.lit(`"`)
		return
	}
	e.buf = strconv.AppendInt(e.buf, n, 10)
}

func (e *encoder) uint(n uint64) {
	if n > exact {
		e.lit(`"`)
		e.buf = strconv.AppendUint(e.buf, n, 10)
		e.lit(`"`)
		return
	}
	e.buf = strconv.AppendUint(e.buf, n, 10)
}

func (e *encoder) float(f float64) {
	switch {
	case math.IsNaN(f):
		e.lit(`"NaN"`)
	case math.IsInf(f, 1):
		e.lit(`"+Inf"`)
	case math.IsInf(f, -1):
		e.lit(`"-Inf"`)
	default:
		e.buf = strconv.AppendFloat(e.buf, f, 'g', -1, 64)
	}
}

// str writes s, cut if it takes more than the limit.
func (e *encoder) str(s string) {
	if e.limit == 0 {
		e.buf = appendString(e.buf, s)
		return
	}
	begin := len(e.buf)
	fit := clip(s, e.limit)
	e.buf = appendString(e.buf, fit)
	if fit == s && len(e.buf)-begin-2 <= e.limit {
		return
	}
	for len(e.buf)-begin-2 > e.limit {
		fit = clip(fit, len(fit)*3/4)
		e.buf = appendString(e.buf[:begin], fit)
	}
	e.buf = append(e.buf[:len(e.buf)-1], truncated+`"`...)
}

// clip returns what of s has at most n bytes and ends with a whole character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// isPlain tells the bytes that stand for themselves in a JSON string.
var isPlain = func() (plain [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// appendString escapes as slog does, so that its words can be repeated byte for
// byte.
func appendString(buf []byte, s string) []byte {
	buf = append(buf, '"')
	done := 0
	for i := 0; i < len(s); {
		if isPlain[s[i]] {
			i++
			continue
		}
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
			if r != '\u2028' && r != '\u2029' && (r != utf8.RuneError || size > 1) {
				i += size
				continue
			}
		}
		buf = append(buf, s[done:i]...)
		buf = appendEscape(buf, r)
		i += size
		done = i
	}
	buf = append(buf, s[done:]...)
	return append(buf, '"')
}

func appendEscape(buf []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(buf, '\\', byte(r))
	case '\n':
		return append(buf, `\n`...)
	case '\r':
		return append(buf, `\r`...)
	case '\t':
		return append(buf, `\t`...)
	}
	const hex = "0123456789abcdef"
	return append(buf, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

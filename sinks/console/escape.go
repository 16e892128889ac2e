package console

import (
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What tint 1.2.1 lets through, coloured: everything in a message, and in keys,
// the names of groups and values DEL and ESC, which it also makes of the four
// printable characters \x1b in a text that it quotes.

// isSafe reports whether s can be given to tint: whether it is valid UTF-8 and
// without \x1b, and shows all that it is made of. The joiners are allowed,
// without which neither Persian nor many an emoji can be written.
func isSafe(s string) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	for i := 0; i < len(s); {
		b := s[i]
		if b < utf8.RuneSelf {
			if b < ' ' || b == 0x7f || b == '\\' && strings.HasPrefix(s[i:], `\x1b`) {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || !unicode.IsGraphic(r) && r != nonJoiner && r != joiner {
			return false
		}
		i += size
	}
	return true
}

// quoteUnsafe returns s for where tint adds no quotes: as it is, or quoted if
// it is unsafe.
func quoteUnsafe(s string) string {
	if isSafe(s) {
		return s
	}
	return strconv.QuoteToGraphic(s)
}

// safeValue returns s for where tint adds quotes. Bytes it always quotes, with
// strconv alone, so that what is unsafe is escaped once and not twice.
func safeValue(s string) slog.Value {
	if isSafe(s) {
		return slog.StringValue(s)
	}
	return slog.AnyValue([]byte(s))
}

// escapeKey returns key, or the name of a group, with what is unsafe escaped.
// Quotes are left to tint, which adds them around the whole path. If it does,
// the escapes are escaped again; they must not be \x1b then.
func escapeKey(key string) string {
	if isSafe(key) {
		return key
	}
	quoted := strconv.QuoteToGraphic(key)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\x1b`, `\u001b`)
}

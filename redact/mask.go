package redact

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// Hash returns a mask for [Options] that shows a secret as the first 8 bytes of
// its HMAC-SHA256 under the key, in hexadecimal: "[REDACTED:6e9ef29b75fffc5b]".
// Equal secrets look equal, over several processes if these have the same key.
// An empty key is a random one, for each call of Hash.
//
// That is a weakness too. Who reads the log learns which secrets are the same,
// and how often each is used. Who has the key can try guesses, and will find a
// PIN, a birthday or a common password; keep it as you keep the secrets. Without
// the key guessing is no use.
func Hash(key []byte) (mask func(secret string) string) {
	key = slices.Clone(key)
	if len(key) == 0 {
		key = make([]byte, sha256.Size)
		rand.Read(key) // which never fails
	}
	return func(secret string) string {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(secret))
		return "[REDACTED:" + hex.EncodeToString(h.Sum(nil)[:8]) + "]"
	}
}

// Last returns a mask for [Options] that shows the last n characters of a
// secret, and four asterisks instead of the others, however many: "****1234".
// A secret of less than 3*n characters shows none. n < 1 means 4.
func Last(n int) (mask func(secret string) string) {
	if n < 1 {
		n = 4
	}
	return func(secret string) string {
		const stars = "****"
		if utf8.RuneCountInString(secret)/3 < n {
			return stars
		}
		start := len(secret)
		for range n {
			_, size := utf8.DecodeLastRuneInString(secret[:start])
			start -= size
		}
		return stars + secret[start:]
	}
}

// seal redacts an attribute that is a secret.
func (r *rules) seal(a slog.Attr) (slog.Attr, verdict) {
	if isHollow([]slog.Attr{a}) {
		return a, kept
	}
	value, v := r.hide(a.Value)
	return slog.Attr{Key: a.Key, Value: value}, v
}

// hide redacts a value that is a secret.
func (r *rules) hide(value slog.Value) (slog.Value, verdict) {
	if r.remove {
		return slog.Value{}, removed
	}
	if r.mask == nil {
		return slog.StringValue(r.text), changed
	}
	secret, ok := plain(value)
	if !ok {
		return slog.StringValue(r.text), changed
	}
	return slog.StringValue(r.masked(secret)), changed
}

// masked is what stands in the place of the secret.
func (r *rules) masked(secret string) (text string) {
	if r.mask == nil {
		return r.text
	}
	if panics(func() { text = r.mask(secret) }) {
		return r.text
	}
	return text
}

// plain returns the value as text, for a mask. It reports false if that cannot
// be had.
func plain(value slog.Value) (text string, ok bool) {
	for range maxValuers {
		if value.Kind() != slog.KindLogValuer {
			break
		}
		valuer := value.LogValuer()
		if panics(func() { value = valuer.LogValue() }) {
			return "", false
		}
	}
	switch value.Kind() {
	case slog.KindLogValuer:
		return "", false
	case slog.KindGroup:
		var b strings.Builder
		b.WriteByte('{')
		for i, a := range value.Group() {
			member, ok := plain(a.Value)
			if !ok {
				return "", false
			}
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(quote(a.Key))
			b.WriteByte(':')
			b.Write(quote(member))
		}
		b.WriteByte('}')
		return b.String(), true
	case slog.KindAny:
		switch x := value.Any().(type) {
		case []byte:
			return string(x), true
		case error:
			panicked := panics(func() { text = x.Error() })
			return text, !panicked
		case nil:
			return "", true
		default:
			p, ok := show(x)
			return unquote(p.json), ok
		}
	}
	return value.String(), true
}

// pattern matches secrets in text.
type pattern struct {
	*regexp.Regexp
	group int // the one that is the secret; -1 if the whole match is
	// anchored is set if what matches by itself may not match as a part of text.
	anchored bool
}

func newPattern(p *regexp.Regexp) pattern {
	parsed, err := syntax.Parse(p.String(), syntax.Perl)
	return pattern{p, p.SubexpIndex("secret"), err != nil || isAnchored(parsed)}
}

func isAnchored(p *syntax.Regexp) bool {
	switch p.Op {
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpNoWordBoundary:
		return true
	}
	return slices.ContainsFunc(p.Sub, isAnchored)
}

// mask masks what matches, and reports whether anything does.
func (p pattern) mask(r *rules, text string) (masked string, found bool) {
	var b strings.Builder
	copied := 0
	for _, match := range p.FindAllStringSubmatchIndex(text, -1) {
		start, end := match[0], match[1]
		if p.group >= 0 && match[2*p.group] >= 0 {
			start, end = match[2*p.group], match[2*p.group+1]
		}
		if start == end {
			continue
		}
		b.WriteString(text[copied:start])
		if !r.remove {
			b.WriteString(r.masked(text[start:end]))
		}
		copied = end
	}
	if copied == 0 {
		return text, false
	}
	b.WriteString(text[copied:])
	return b.String(), true
}

package redact

import (
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

var commonKeys = []string{
	"password", "passwd", "passphrase", "pwd", "pass", "db_password", "user_password", "old_password", "new_password",
	"secret", "client_secret", "secret_key", "secret_access_key", "aws_secret_access_key", "signing_key", "webhook_secret",
	"token", "access_token", "refresh_token", "id_token", "auth_token", "bearer_token", "session_token", "csrf_token",
	"api_key", "api_token", "api_secret", "x_api_key", "access_key", "private_key", "encryption_key",
	"authorization", "proxy_authorization", "x_auth_token", "x_amz_security_token", "credential", "credentials",
	"cookie", "cookies", "set_cookie", "session_id",
	"card_number", "credit_card", "cvv", "cvc", "ssn",
}

// CommonKeys returns the keys under which programs log most of their secrets,
// such as "password", "token", "authorization" and "set_cookie", as a new slice
// to be added to. A later version may have more of them.
func CommonKeys() []string { return slices.Clone(commonKeys) }

// A branch is where several paths are alike up to a key. The nil *branch is
// where no path leads.
type branch struct {
	next map[string]*branch
	end  bool // a path ends here
}

// grow returns the branch that a part of a path leads to, and makes it first if
// there is none.
func (b *branch) grow(part string) *branch {
	if b.next[part] == nil {
		if b.next == nil {
			b.next = map[string]*branch{}
		}
		b.next[part] = new(branch)
	}
	return b.next[part]
}

// key reports whether the key alone makes what stands under it a secret, at this
// place, and where the paths of secrets go on below the key.
func (r *rules) key(at *branch, key string) (secret bool, below *branch) {
	if r.names.mayHave(key) {
		if secret, below = r.name(at, key); secret {
			return true, below
		}
	}
	for _, p := range r.keyPatterns {
		if p.MatchString(key) {
			return true, below
		}
	}
	return false, below
}

// name is key without patterns.
func (r *rules) name(at *branch, key string) (secret bool, below *branch) {
	var array [64]byte
	name, last, below := simplify(array[:0], at, key)
	secret = r.isKey(name) || last > 0 && r.isKey(name[last:]) || below != nil && below.end
	return secret, below
}

func (r *rules) isKey(name []byte) bool {
	_, ok := r.keys[string(name)]
	return ok
}

// simplify appends to name the key in lower case and without separators, and
// follows the path from at. The part behind the key's last dot is name[last:].
func simplify(name []byte, at *branch, key string) (_ []byte, last int, below *branch) {
	for i := 0; i < len(key); i++ {
		switch c := simplified[key[i]]; {
		case c == separator:
		case key[i] == '.':
			at = at.follow(name[last:])
			last = len(name)
		case c == special:
			letter, size := utf8.DecodeRuneInString(key[i:])
			name = utf8.AppendRune(name, unicode.ToLower(letter))
			i += size - 1
		default:
			name = append(name, c)
		}
	}
	return name, last, at.follow(name[last:])
}

func (b *branch) follow(part []byte) *branch {
	if b == nil || b.end { // all below a secret is one
		return b
	}
	return b.next[string(part)]
}

// simple is the key in lower case and without separators.
func simple(key string) string {
	name, _, _ := simplify(nil, nil, key)
	return string(name)
}

// plant adds a path, and its parts to names. It reports false if a part of it is empty.
func (b *branch) plant(path string, names *filter) bool {
	for part := range strings.SplitSeq(path, ".") {
		name := simple(part)
		if name == "" {
			return false
		}
		b = b.grow(name)
		names.add(name)
	}
	b.end = true
	return true
}

// A filter tells of most names at once that they are not in a set. A bit stands
// for each hash of a name, simplified.
type filter [256]uint64

func (f *filter) add(name string) {
	h := uint32(0)
	for _, c := range []byte(name) {
		h = bits.RotateLeft32(h, 5) ^ uint32(c)
	}
	word, bit := place(h)
	f[word] |= bit
}

// mayHave reports false if no part of the key is in the set. Of keys with dots or
// letters beyond ASCII it cannot say that.
func (f *filter) mayHave(key string) bool {
	h := uint32(0)
	for i := range len(key) {
		c := simplified[key[i]]
		if c < separator {
			h = bits.RotateLeft32(h, 5) ^ uint32(c)
		} else if c == special {
			return true
		}
	}
	word, bit := place(h)
	return f[word]&bit != 0
}

// place is where the bit of a hash is. The multiplication spreads the hashes of
// names that differ little; in place of the rotation it would take longer.
func place(h uint32) (word uint32, bit uint64) {
	h *= 2654435761
	return h >> 24, 1 << (h >> 18 & 63)
}

// simplified is what simplify makes of a byte, or one of these.
var simplified = simplifiedBytes()

const (
	separator = 0xFE
	special   = 0xFF
)

func simplifiedBytes() (table [256]byte) {
	for c := range table {
		switch {
		case c >= utf8.RuneSelf || c == '.':
			table[c] = special
		case c == '-' || c == '_' || c == ' ':
			table[c] = separator
		default:
			table[c] = byte(unicode.ToLower(rune(c)))
		}
	}
	return table
}

// longestName bounds what is taken for a name in front of a colon.
const longestName = 64

// isNamedIn reports whether text has something like a key of a secret in front
// of a colon or an equals sign: "{Password:x}", "map[api key:x]", `"token": `.
// To be sure it rather sees too many.
func (r *rules) isNamedIn(text string) bool {
	for i := range len(text) {
		if text[i] != ':' && text[i] != '=' {
			continue
		}
		name := strings.TrimRight(text[:i], "\"'\\ \t\r\n")
		name = name[max(0, len(name)-longestName):]
		// Where the name ends that is before this one: to look further back would
		// take a time of the text's length squared.
		name = name[strings.LastIndexAny(name, ":=,;&?{}[]\"'\r\n")+1:]
		for start := range len(name) {
			if (start == 0 || !isNameByte(name[start-1])) && r.mayBeKey(name[start:]) {
				return true
			}
		}
	}
	return false
}

func isNameByte(c byte) bool {
	return c == '_' || c == '-' || c >= utf8.RuneSelf || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// mayBeKey is for names of which nobody knows where they stand: the last part of
// a path is enough.
func (r *rules) mayBeKey(name string) bool {
	if secret, _ := r.key(nil, name); secret {
		return true
	}
	_, ok := r.ends[simple(name)]
	return ok
}

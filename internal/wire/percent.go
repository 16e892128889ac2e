package wire

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxArgs is how many bytes of args are put into a message, maxWidth how wide one
// of them may be made, and maxMessage how long the message may become, and how
// many bytes of args are looked at for it: what is beyond would make much of
// little, as a long text does that a format has often, even if a precision then
// cuts it to nothing.
const (
	maxArgs    = 64 << 10
	maxWidth   = 1000
	maxMessage = 1 << 20
)

// percent is Python's format % args. It reports false where Python raises an
// exception.
func percent(format string, args pyValue) (string, bool) {
	p := percenter{rest: format, args: args.items}
	if args.kind != 'l' {
		p.args = []pyValue{args}
	}
	if args.kind == 'd' {
		p.dict = map[string]pyValue{}
		for i := 0; i < len(args.items); i += 2 {
			p.dict[args.items[i].text] = args.items[i+1]
		}
	}
	for p.rest != "" {
		i := strings.IndexByte(p.rest, '%')
		if i < 0 {
			i = len(p.rest)
		}
		p.out.WriteString(p.rest[:i])
		p.rest = p.rest[i:]
		if p.rest != "" && !p.directive() || p.out.Len() > max(maxMessage, len(format)) {
			return "", false
		}
	}
	// A dict may have more than is asked for, a tuple may not.
	return p.out.String(), len(p.args) == 0 || args.kind == 'd'
}

type percenter struct {
	out  strings.Builder
	rest string
	args []pyValue
	dict map[string]pyValue
	used int // bytes of args
}

// spec is a directive without its percent sign and key.
type spec struct {
	flags            string
	width, precision int // precision is negative if there is none
}

func (s spec) has(flag byte) bool { return strings.IndexByte(s.flags, flag) >= 0 }

func (p *percenter) directive() bool {
	p.rest = p.rest[1:]
	s := spec{precision: -1}
	var v pyValue
	keyed := strings.HasPrefix(p.rest, "(")
	if keyed {
		key, rest, ok := strings.Cut(p.rest[1:], ")")
		if p.rest = rest; !ok {
			return false
		}
		if v, ok = p.dict[key]; !ok {
			return false
		}
	}
	n := len(p.rest) - len(strings.TrimLeft(p.rest, "-+ #0"))
	s.flags, p.rest = p.rest[:n], p.rest[n:]
	ok := p.count(&s.width)
	if s.width < 0 {
		s.flags, s.width = s.flags+"-", -s.width
	}
	if rest, dot := strings.CutPrefix(p.rest, "."); dot {
		p.rest, s.precision = rest, 0
		ok = p.count(&s.precision) && ok
		s.precision = max(s.precision, 0)
	}
	p.rest = strings.TrimLeft(p.rest, "hlL")
	if !ok || p.rest == "" {
		return false
	}
	verb := p.rest[0]
	p.rest = p.rest[1:]
	if verb == '%' {
		p.out.WriteByte('%')
		return true
	}
	if !keyed && !p.next(&v) {
		return false
	}
	if p.used += v.size; p.used > maxMessage {
		return false
	}
	text, ok := s.apply(verb, v)
	p.out.WriteString(text)
	return ok
}

func (p *percenter) next(v *pyValue) bool {
	if len(p.args) == 0 {
		return false
	}
	*v, p.args = p.args[0], p.args[1:]
	return true
}

// count reads the number that a width or precision is, or the star for one of
// the args.
func (p *percenter) count(n *int) bool {
	if rest, star := strings.CutPrefix(p.rest, "*"); star {
		p.rest = rest
		var v pyValue
		if !p.next(&v) || v.kind != 'i' {
			return false
		}
		var err error
		*n, err = strconv.Atoi(v.text)
		return err == nil && -maxWidth <= *n && *n <= maxWidth
	}
	digits := len(p.rest) - len(strings.TrimLeft(p.rest, "0123456789"))
	if digits == 0 {
		return true
	}
	var err error
	*n, err = strconv.Atoi(p.rest[:digits])
	p.rest = p.rest[digits:]
	return err == nil && *n <= maxWidth
}

func (s spec) apply(verb byte, v pyValue) (string, bool) {
	switch verb {
	case 's':
		return s.pad(s.cut(v.str())), true
	case 'r':
		return s.pad(s.cut(v.repr())), true
	case 'a':
		return s.pad(s.cut(asciiOnly(v.repr()))), true
	case 'c':
		text, ok := character(v)
		return s.pad(text), ok
	case 'd', 'i', 'u':
		n, ok := v.integer(true)
		return s.integer(n, 10, ""), ok
	case 'o':
		n, ok := v.integer(false)
		return s.integer(n, 8, "0o"), ok
	case 'x':
		n, ok := v.integer(false)
		return s.integer(n, 16, "0x"), ok
	case 'X':
		n, ok := v.integer(false)
		return strings.ToUpper(s.integer(n, 16, "0x")), ok
	case 'e', 'E', 'f', 'F', 'g', 'G':
		f, ok := v.number()
		return s.float(verb, f), ok
	}
	return "", false
}

func (s spec) cut(text string) string {
	if s.precision < 0 || utf8.RuneCountInString(text) <= s.precision {
		return text
	}
	return string([]rune(text)[:s.precision])
}

func (s spec) pad(text string) string {
	missing := s.width - utf8.RuneCountInString(text)
	switch {
	case missing <= 0:
		return text
	case s.has('-'):
		return text + strings.Repeat(" ", missing)
	}
	return strings.Repeat(" ", missing) + text
}

// padNumber puts sign and prefix before the digits, and zeros between them if
// the flags ask for zeros.
func (s spec) padNumber(negative bool, prefix, digits string) string {
	sign := ""
	switch {
	case negative:
		sign = "-"
	case s.has('+'):
		sign = "+"
	case s.has(' '):
		sign = " "
	}
	sign += prefix
	if s.has('0') && !s.has('-') {
		digits = strings.Repeat("0", max(s.width-len(sign)-len(digits), 0)) + digits
	}
	return s.pad(sign + digits)
}

func (s spec) integer(n *big.Int, base int, prefix string) string {
	digits := new(big.Int).Abs(n).Text(base)
	digits = strings.Repeat("0", max(s.precision-len(digits), 0)) + digits
	if !s.has('#') {
		prefix = ""
	}
	return s.padNumber(n.Sign() < 0, prefix, digits)
}

func (s spec) float(verb byte, f float64) string {
	negative := math.Signbit(f) && !math.IsNaN(f)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		digits := strings.TrimPrefix(floatRepr(f), "-")
		if 'A' <= verb && verb <= 'Z' {
			digits = strings.ToUpper(digits)
		}
		return s.padNumber(negative, "", digits)
	}
	precision := s.precision
	if precision < 0 {
		precision = 6
	}
	format := "%." + strconv.Itoa(precision) + string(rune(verb))
	if s.has('#') {
		format = "%#" + format[1:]
	}
	return s.padNumber(negative, "", fmt.Sprintf(format, math.Abs(f)))
}

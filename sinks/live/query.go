package live

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// query is a search expression: terms that must all hold.
type query []term

// term is one word of a query. With an op it is about the value of a key, else
// about any text of the record.
type term struct {
	not  bool
	key  string // in lower case
	op   string // "", = != > >= < <=
	text matcher
	raw  string // what stands behind the op
}

// matcher looks for a text, in any case, or for a regular expression.
type matcher struct {
	lower  string
	regexp *regexp.Regexp // nil: lower
}

func (m matcher) in(s string) bool {
	if m.regexp != nil {
		return m.regexp.MatchString(s)
	}
	return strings.Contains(strings.ToLower(s), m.lower)
}

func (m matcher) is(s string) bool {
	if m.regexp != nil {
		return m.regexp.MatchString(s)
	}
	return strings.ToLower(s) == m.lower
}

// Limits of an expression, which runs for every record.
const (
	maxQuery = 1000
	maxTerms = 32
)

func parseQuery(s string) (query, error) {
	if len(s) > maxQuery {
		return nil, fmt.Errorf("%d bytes long, at most %d", len(s), maxQuery)
	}
	var q query
	for p := (queryParser{rest: s}); p.skipBlanks(); {
		t, err := p.term()
		if err != nil {
			return nil, err
		}
		if q = append(q, t); len(q) > maxTerms {
			return nil, fmt.Errorf("more than %d words", maxTerms)
		}
	}
	return q, nil
}

// maxSteps bounds an expression as it is run. x{1000} is short, but each byte of
// a text may have to be looked at a thousand times for it.
const maxSteps = 2000

func compile(expression string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	if n := len(program.Inst); n > maxSteps {
		return nil, fmt.Errorf("/%s/ is too large an expression: %d steps, at most %d; repeat less often", expression, n, maxSteps)
	}
	return regexp.Compile(expression)
}

type queryParser struct{ rest string }

const blanks = " \t\r\n"

// skipBlanks reports whether anything follows.
func (p *queryParser) skipBlanks() bool {
	p.rest = strings.TrimLeft(p.rest, blanks)
	return p.rest != ""
}

func (p *queryParser) term() (term, error) {
	var t term
	if len(p.rest) > 1 && p.rest[0] == '-' && !strings.ContainsRune(blanks, rune(p.rest[1])) {
		t.not = true
		p.rest = p.rest[1:]
	}
	if p.rest[0] != '"' && p.rest[0] != '/' {
		p.cutKey(&t)
	}
	return t, p.operand(&t)
}

// cutKey takes key and operator off the word that comes next, if it has them.
func (p *queryParser) cutKey(t *term) {
	word := p.rest
	if i := strings.IndexAny(word, blanks+`"`); i >= 0 {
		word = word[:i]
	}
	i := strings.IndexAny(word, "=<>!")
	if i <= 0 {
		return
	}
	for _, op := range []string{">=", "<=", "!=", "=", ">", "<"} {
		if strings.HasPrefix(word[i:], op) {
			t.key, t.op = strings.ToLower(word[:i]), op
			p.rest = p.rest[i+len(op):]
			return
		}
	}
}

// operand reads what is looked for.
func (p *queryParser) operand(t *term) (err error) {
	switch {
	case strings.HasPrefix(p.rest, `"`):
		if t.raw, p.rest, err = unquote(p.rest); err != nil {
			return err
		}
	case strings.HasPrefix(p.rest, "/"):
		if end := endOfRegexp(p.rest); end > 0 {
			expression := p.rest[1:end]
			p.rest = p.rest[end+1:]
			t.raw = expression
			t.text.regexp, err = compile(expression)
			return err
		}
		fallthrough // a path such as /api/users
	default:
		end := len(p.rest)
		if i := strings.IndexAny(p.rest, blanks); i >= 0 {
			end = i
		}
		t.raw, p.rest = p.rest[:end], p.rest[end:]
	}
	t.text.lower = strings.ToLower(t.raw)
	if t.key == "level" {
		if _, err := parseLevel(t.raw); err != nil {
			return err
		}
	}
	return nil
}

// endOfRegexp returns where the slash is that ends the expression: one with a
// blank or nothing behind it. Blanks may stand in between. It is 0 if there is
// none, and then the word is no expression.
func endOfRegexp(s string) int {
	for i := 2; i < len(s); i++ {
		if s[i] == '/' && s[i-1] != '\\' && (i+1 == len(s) || strings.ContainsRune(blanks, rune(s[i+1]))) {
			return i
		}
	}
	return 0
}

func unquote(s string) (text, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			if i+1 < len(s) {
				i++
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errors.New(`no closing quote: want "two words"`)
}

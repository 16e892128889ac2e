package outbound

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/slogworks/slogworks/internal/stage"
)

// Secrets are the texts of a request that an error must not repeat, each in the
// forms in which servers and transports do.
type Secrets []string

// Add adds texts. One of less than four bytes is as good as known, and in every
// other word.
func (s *Secrets) Add(texts ...string) {
	const shortest = 4
	for _, text := range texts {
		if len(text) < shortest {
			continue
		}
		quoted := strconv.Quote(text)
		*s = append(*s, text, url.QueryEscape(text), url.PathEscape(text), html.EscapeString(text), quoted[1:len(quoted)-1])
		*s = append(*s, strings.ReplaceAll(text, "/", `\/`)) // as PHP writes JSON
		if quoted, err := json.Marshal(text); err == nil {
			*s = append(*s, string(quoted[1:len(quoted)-1]))
		}
	}
}

// AddURL adds what is in the URL beside the host. A part of the path that the host
// has too, as in https://logs.example.com/logs, is none: the host is in each error.
func (s *Secrets) AddURL(u *url.URL) {
	for segment := range strings.SplitSeq(u.EscapedPath(), "/") {
		if !strings.Contains(u.Host, segment) {
			s.addEscaped(segment, url.PathUnescape)
		}
	}
	s.Add(u.Fragment)
	s.addEscaped(u.RawQuery, url.QueryUnescape)
	for field := range strings.SplitSeq(u.RawQuery, "&") {
		key, value, _ := strings.Cut(field, "=")
		s.addEscaped(key, url.QueryUnescape) // a query may be nothing but a token
		s.addEscaped(value, url.QueryUnescape)
	}
	if user := u.User; user != nil {
		password, _ := user.Password()
		s.Add(strings.Split(user.String(), ":")...) // escaped
		s.Add(user.Username(), password, base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
}

// addEscaped adds a part of a URL as it stands there, and what that means.
func (s *Secrets) addEscaped(text string, unescape func(string) (string, error)) {
	s.Add(text)
	if plain, err := unescape(text); err == nil && plain != text {
		s.Add(plain)
	}
}

// AddHeader adds the values of a header, the words of each, what is between their
// punctuation, as the token of Token token="…" is, and what is in a Basic one.
func (s *Secrets) AddHeader(header http.Header) {
	for _, values := range header {
		for _, value := range values {
			s.Add(value)
			s.Add(strings.Fields(value)...)
			for _, word := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t,;:\"'", r) }) {
				_, named, _ := strings.Cut(word, "=") // base64 ends with it, too
				s.Add(word, named)
			}
			basic := http.Request{Header: http.Header{"Authorization": {value}}}
			user, password, _ := basic.BasicAuth()
			s.Add(user, password)
		}
	}
}

// Hide returns the text with *** in the place of secrets.
func (s Secrets) Hide(text string) string {
	// The longest first, since one may be part of another.
	longestFirst := func(a, b string) int { return len(b) - len(a) }
	for _, secret := range slices.SortedFunc(slices.Values(s), longestFirst) {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// Error returns what kept a request from being answered as an error without
// secrets: the client gives the URL, and a transport may say what it likes. Where
// one had to be hidden, the cause can be asked for by errors.Is and not be had.
func (s Secrets) Error(err error) (safe error) {
	defer stage.Rescue(&safe) // of the methods of a transport's error, which may be nil inside
	for withURL := (*url.Error)(nil); errors.As(err, &withURL); {
		err = withURL.Err
	}
	if strings.Contains(err.Error(), "Location header") {
		return errors.New("a redirect to what is no URL") // which is in the error, and may repeat the request in any form
	}
	if text := s.Hide(err.Error()); text != err.Error() {
		return &concealed{text, err}
	}
	return err
}

// concealed is an error without the secrets in the text of its cause. It does not
// unwrap to that, whose text is read by whoever walks along.
type concealed struct {
	text  string
	cause error
}

func (e *concealed) Error() string { return e.text }

func (e *concealed) Is(target error) bool { return errors.Is(e.cause, target) }

// quote returns the beginning of what a server says as one line without secrets
// and without what a terminal takes for more than text.
func (s Secrets) quote(said string, isCut bool) string {
	said = s.Hide(said)
	if isCut {
		// The end may be the beginning of a secret.
		longest := 0
		for _, secret := range s {
			longest = max(longest, len(secret))
		}
		said = said[:max(0, len(said)-longest)]
	}
	said = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(said, "\ufffd"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	const longest = 200
	if len(said) <= longest {
		return said
	}
	n := longest
	for !utf8.RuneStart(said[n]) {
		n--
	}
	return said[:n] + "…"
}

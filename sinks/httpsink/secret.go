package httpsink

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// isHeaderValue reports whether net/http sends s in a header.
func isHeaderValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// isHeaderName reports whether net/http sends s as the name of a header: a token
// of RFC 9110, section 5.6.2.
func isHeaderName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		isAlnum := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !isAlnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// secrets returns what an error must not repeat of a request: what is in the URL
// beside the host, the token, the key, and what the user adds to the header.
// The longest come first.
func (c *core) secrets(bearer string) []string {
	var all []string
	add := func(shortest int, texts ...string) {
		for _, text := range texts {
			if len(text) < shortest {
				continue // as good as known, and in every other word
			}
			all = append(all, text, url.QueryEscape(text), url.PathEscape(text))
			if quoted, err := json.Marshal(text); err == nil {
				all = append(all, strings.Trim(string(quoted), `"`))
			}
		}
	}
	const path, other = 8, 4
	for segment := range strings.SplitSeq(c.url.Path, "/") {
		add(path, segment)
	}
	add(other, c.url.RawQuery, c.url.Fragment)
	for _, values := range c.url.Query() {
		add(other, values...)
	}
	if user := c.url.User; user != nil {
		password, _ := user.Password()
		add(other, user.Username(), password, base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	add(other, bearer, string(c.HMACKey), base64.StdEncoding.EncodeToString(c.HMACKey))
	for _, values := range c.Header {
		for _, value := range values {
			add(other, value)
			add(other, strings.Fields(value)...)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(all)
}

func (c *core) hide(text, bearer string) string {
	for _, secret := range c.secrets(bearer) {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// hideError returns err, or only its text if that had a secret in it.
func (c *core) hideError(err error, bearer string) error {
	if strings.Contains(err.Error(), "Location header") {
		return errors.New("a redirect to what is no URL") // which is in the error, and may repeat the request in any form
	}
	if text := c.hide(err.Error(), bearer); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// quote returns the beginning of an answer as one line without secrets.
func (c *core) quote(answer string, isCut bool, bearer string) string {
	answer = c.hide(answer, bearer)
	if secrets := c.secrets(bearer); isCut && len(secrets) > 0 {
		// The end may be the beginning of a secret.
		answer = answer[:max(0, len(answer)-len(secrets[0]))]
	}
	answer = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(answer, "\ufffd"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	const longest = 200
	if len(answer) <= longest {
		return answer
	}
	n := longest
	for !utf8.RuneStart(answer[n]) {
		n--
	}
	return answer[:n] + "…"
}

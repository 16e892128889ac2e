package outbound

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// CheckHeader returns an error, without its package, if net/http would refuse to
// send the header. It does not repeat a value, which may be secret.
func CheckHeader(header http.Header) error {
	for name, values := range header {
		if !IsHeaderName(name) {
			return fmt.Errorf("the header has %q, which is no name that a header can have", name)
		}
		for _, value := range values {
			if !IsHeaderValue(value) {
				return fmt.Errorf("the header %q has a character that no header can have, perhaps a line feed at its end", name)
			}
		}
	}
	return nil
}

// SetHeader gives the request a header of the user's, which replaces what it has.
func SetHeader(req *http.Request, header http.Header) {
	for name, values := range header {
		name = http.CanonicalHeaderKey(name)
		req.Header[name] = values
		if name == "Host" && len(values) > 0 {
			req.Host = values[0] // which is where net/http looks for it
		}
	}
}

// IsHeaderValue reports whether net/http sends s in a header.
func IsHeaderValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// IsHeaderName reports whether net/http sends s as the name of a header: a token
// of RFC 9110, section 5.6.2.
func IsHeaderName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		isAlnum := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !isAlnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// SetKey sets the Idempotency-Key by which a receiver recognises what it has got
// already. An id that no header can have is escaped. Without one there is no key:
// net/http too takes a request that has one for one that it can make twice.
func SetKey(header http.Header, id string) {
	if id == "" {
		return
	}
	if !IsHeaderValue(id) {
		id = url.QueryEscape(id)
	}
	header.Set("Idempotency-Key", id)
}

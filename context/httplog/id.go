package httplog

import (
	"crypto/rand"
	"net/http"
)

// id returns the id of the request: its own, if that can be trusted, or a new
// one.
func (h *handler) id(r *http.Request) string {
	if h.TrustID {
		// Two of them are from two who do not know of each other.
		if ids := r.Header[h.IDHeader]; len(ids) == 1 && validID(ids[0]) {
			return ids[0]
		}
	}
	return rand.Text()
}

const maxID = 128

// validID reports whether an id can go into logs, headers and names of files.
func validID(id string) bool {
	if id == "" || len(id) > maxID || !isAlphanumeric(id[0]) {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case isAlphanumeric(c):
		case c == '-', c == '_', c == '.', c == ':', c == '=', c == '+':
		default:
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

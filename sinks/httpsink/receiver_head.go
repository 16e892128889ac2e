package httpsink

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"slices"
	"strings"
)

// check refuses a request for what its head says.
func (r *Receiver) check(req *http.Request) *Refusal {
	if refusal := r.checkSite(req); refusal != nil {
		return refusal
	}
	if r.Token != "" && !hasToken(req, r.Token) {
		return refuse(badToken, "none, or not the receiver's")
	}
	switch {
	case r.Path != "" && req.URL.Path != r.Path:
		return refuse(badPath, "%.100q", req.URL.Path)
	case req.Method != http.MethodGet && req.Method != http.MethodPost:
		return refuse(badMethod, "%.20q, want GET or POST", req.Method)
	}
	return nil
}

// checkSite refuses what a browser sends on behalf of a page. A name that the
// page's own server resolves to this address would make it one of the same
// origin, which is why the host counts too.
func (r *Receiver) checkSite(req *http.Request) *Refusal {
	host := req.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	isHost := func(name string) bool { return strings.EqualFold(name, host) }
	if !isHost("localhost") && net.ParseIP(host) == nil && !slices.ContainsFunc(r.Hosts, isHost) {
		return refuse(foreignSite, "host %.100q is not expected", host)
	}
	if origin := req.Header.Get("Origin"); origin != "" {
		return refuse(foreignSite, "a browser sent it for %.100q", origin)
	}
	switch site := req.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
		return nil
	default:
		return refuse(foreignSite, "a browser sent it from a page that is %.20q", site)
	}
}

// hasToken compares in a time that tells nothing about the token.
func hasToken(req *http.Request, token string) bool {
	_, got, isBasic := req.BasicAuth()
	if !isBasic {
		scheme, rest, _ := strings.Cut(req.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return false
		}
		got = strings.TrimSpace(rest)
	}
	g, w := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(g[:], w[:]) == 1
}

// peerOf returns the address of the sender, "" for an unnamed unix socket.
func peerOf(req *http.Request) string {
	if req.RemoteAddr == "@" {
		return ""
	}
	return req.RemoteAddr
}

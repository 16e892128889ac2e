// Package guard holds the rules by which everything in this module that answers
// HTTP decides whom it answers. Each of its callers has a policy of its own, made
// of these rules, and says itself what it refuses a request for.
package guard

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Hostname returns a Host header, or an address, without its port.
func Hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// IsLoopback reports whether host, which has no port, is localhost or an address
// that is this machine for itself. It goes by the name and not by what that
// resolves to, which others may have a say in. An address with a zone is none.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && ip.IsLoopback()
}

// IsExpected reports whether a request may call for host, which has no port:
// because it is loopback, or among names. Any other name could be one that its
// owner has lead here, so that a page of his and what is here have the same origin
// (DNS rebinding). A request for no host is never expected, be "" a name or not.
func IsExpected(host string, names []string) bool {
	return IsLoopback(host) || host != "" && slices.ContainsFunc(names, func(name string) bool { return isSame(name, host) })
}

// isSame takes an address for what it is however it is spelled: browsers spell
// those of IPv6 in their own way, and leave the zone out.
func isSame(name, host string) bool {
	if strings.EqualFold(name, host) {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(name, "[]"))
	b, errHost := netip.ParseAddr(host)
	return err == nil && errHost == nil && a.WithZone("").Unmap() == b.Unmap()
}

// IsOtherOrigin reports whether a browser says that the request is made for a page
// of another origin. The scheme does not count: a proxy in front may have TLS.
func IsOtherOrigin(r *http.Request) bool {
	for _, origin := range r.Header.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return true
		}
	}
	return false
}

// IsOtherSite reports whether a browser says that the request was not made by a
// page of the same origin, nor by a person who typed the address (Fetch Metadata).
// Programs and old browsers say nothing of it.
func IsOtherSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return true
}

// IsForwarded reports whether a proxy says that it hands the request on. A field
// counts even if it is empty, since a proxy may put its own behind one that the
// client has sent.
func IsForwarded(r *http.Request) bool {
	for _, field := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
		if _, ok := r.Header[field]; ok {
			return true
		}
	}
	return false
}

// Bearer returns the token of a request (RFC 6750, section 2.1), and whether it
// has Authorization of that scheme.
func Bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}

// IsToken reports whether got is the token. They are compared as hashes, so that
// neither the token's length nor where a guess differs shows in the time it takes.
// Where there is no token, nothing is it.
func IsToken(got, token string) bool {
	g, w := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(token))
	return token != "" && subtle.ConstantTimeCompare(g[:], w[:]) == 1
}

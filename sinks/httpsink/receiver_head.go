package httpsink

import (
	"net"
	"net/http"

	"github.com/slogworks/slogworks/internal/guard"
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

// checkSite refuses what a browser sends on behalf of a page, be it of the same
// origin: there are no pages here, and what sends records is a program. It may be
// on another machine and call this one by any of its addresses, which, other than
// a name, nobody can lead here; where there is something to be read, as in
// sinks/live, those have to be listed too.
func (r *Receiver) checkSite(req *http.Request) *Refusal {
	host := guard.Hostname(req.Host)
	if net.ParseIP(host) == nil && !guard.IsExpected(host, r.Hosts) {
		return refuse(foreignSite, "host %.100q is not expected", host)
	}
	if origins := req.Header.Values("Origin"); len(origins) > 0 {
		return refuse(foreignSite, "a browser sent it for %.100q", origins[0])
	}
	if guard.IsOtherSite(req) {
		return refuse(foreignSite, "a browser sent it from a page that is %.20q", req.Header.Get("Sec-Fetch-Site"))
	}
	return nil
}

// hasToken takes the token as a password too, other than what people look at: it
// is all that Python's HTTPHandler can send.
func hasToken(req *http.Request, token string) bool {
	got, _ := guard.Bearer(req)
	if _, password, isBasic := req.BasicAuth(); isBasic {
		got = password
	}
	return guard.IsToken(got, token)
}

// peerOf returns the address of the sender, "" for an unnamed unix socket.
func peerOf(req *http.Request) string {
	if req.RemoteAddr == "@" {
		return ""
	}
	return req.RemoteAddr
}

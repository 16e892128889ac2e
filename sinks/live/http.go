package live

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/slogworks/slogworks/internal/guard"
)

// endpoint answers requests that may be answered.
type endpoint func(w http.ResponseWriter, r *http.Request)

func (h *Hub) endpoints() map[string]endpoint {
	mux := map[string]endpoint{
		"":         h.servePage,
		"events":   h.serveEvents,
		"records":  h.serveRecords,
		"download": h.serveDownload,
		"stats":    h.serveStats,
	}
	for name := range assets {
		mux[name] = serveAsset
	}
	return mux
}

// ServeHTTP serves the page and what the package comment lists. Only the end of
// the path counts, so that a hub can be mounted behind any prefix that ends in a
// slash, stripped or not.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")

	if err := h.checkSite(r); err != nil {
		refuse(w, http.StatusForbidden, err)
		return
	}
	levels, isLevels := levelsURL(r.URL)
	isLevels = isLevels && h.opts.Levels != nil
	if !isLevels && r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, fmt.Errorf("method %s: want GET", r.Method))
		return
	}
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if name == "" && h.opts.Auth == nil && h.letIn(w, r) {
		return
	}
	if !h.knows(r) {
		h.askForToken(w, r, name == "")
		return
	}
	if isLevels {
		below := r.WithContext(r.Context())
		below.URL = levels
		h.opts.Levels.ServeHTTP(w, below)
		return
	}
	serve, ok := h.mux[name]
	if !ok {
		refuse(w, http.StatusNotFound, fmt.Errorf("no %q here: want events, records, download or stats", name))
		return
	}
	serve(w, r)
}

// levelsURL returns the URL without what stands before /levels or /levels/NAME, if
// the path ends so. NAME is one segment, in which a slash is %2F: the prefix may
// have a /levels/ too.
func levelsURL(u *url.URL) (below *url.URL, ok bool) {
	escaped := u.EscapedPath()
	prefix, ok := strings.CutSuffix(escaped, "/levels")
	if !ok {
		prefix, ok = strings.CutSuffix(escaped[:max(0, strings.LastIndexByte(escaped, '/'))], "/levels")
	}
	if !ok {
		return nil, false
	}
	path, err := url.PathUnescape(escaped[len(prefix):])
	if err != nil {
		return nil, false
	}
	copied := *u
	copied.Path, copied.RawPath = path, escaped[len(prefix):]
	return &copied, true
}

func refuse(w http.ResponseWriter, status int, err error) {
	answer(w, status, map[string]string{"error": err.Error()})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // nobody is left to tell if the client is gone
}

// checkSite refuses what a browser sends on behalf of another site.
func (h *Hub) checkSite(r *http.Request) error {
	if host := guard.Hostname(r.Host); !guard.IsExpected(host, h.opts.Hosts) {
		return fmt.Errorf("live: host %q is not expected: add it to Options.Hosts or --host", host)
	}
	if guard.IsOtherOrigin(r) {
		return errors.New("live: request of another site")
	}
	if !guard.IsOtherSite(r) {
		return nil
	}
	// Nothing else in this module lets anything in from another site, having
	// nothing to look at. A link in a chat or a ticket is followed by the person,
	// who sees the page itself or, since the cookie stays behind, is asked for the
	// token. The other site sees neither.
	if strings.HasSuffix(r.URL.Path, "/") && r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" {
		return nil
	}
	return errors.New("live: request of another site")
}

// cookieOf returns the cookie of whoever has shown the token: a hash, which does
// not give it away.
func cookieOf(token string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("slogworks live cookie"))
	return hex.EncodeToString(mac.Sum(nil))
}

// cookieName has the port, because the browser keeps the cookies of all ports of
// a host together.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "80"
		if r.TLS != nil {
			port = "443"
		}
	}
	return "slogworks-" + port
}

// letIn exchanges a token in the address for a cookie, so that the token does
// not stay in the address bar, the history and what is copied from there. It
// reports whether there was a good one.
func (h *Hub) letIn(w http.ResponseWriter, r *http.Request) bool {
	query := r.URL.Query()
	if !query.Has("token") || !guard.IsToken(query.Get("token"), h.opts.Token) {
		return false
	}
	http.SetCookie(w, &http.Cookie{
		Name:  cookieName(r),
		Value: h.cookie,
		// The path is left out, which means where the page is: the prefix may be
		// one that only a proxy knows. So is the address led to relative.
		HttpOnly: true,
		SameSite: http.SameSiteStrictMode,
		Secure:   r.TLS != nil,
	})
	w.Header().Set("Location", "./")
	w.WriteHeader(http.StatusSeeOther)
	return true
}

// knows reports whether the request shows that it may be answered.
func (h *Hub) knows(r *http.Request) bool {
	if h.opts.Auth != nil {
		return h.opts.Auth(r) == nil
	}
	if token, ok := guard.Bearer(r); ok {
		return guard.IsToken(token, h.opts.Token)
	}
	for _, cookie := range r.CookiesNamed(cookieName(r)) {
		if guard.IsToken(cookie.Value, h.cookie) {
			return true
		}
	}
	return false
}

func (h *Hub) askForToken(w http.ResponseWriter, r *http.Request, isPage bool) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="slogworks"`)
	if isPage && h.opts.Auth == nil && strings.Contains(r.Header.Get("Accept"), "text/html") {
		serveSignIn(w)
		return
	}
	err := errors.New("live: not signed in: open the address with ?token=, or send Authorization: Bearer TOKEN")
	_, hasToken := guard.Bearer(r)
	if h.opts.Auth == nil && (hasToken || isPage && r.URL.Query().Has("token")) {
		err = errors.New("live: this token is not the hub's, which is another after each start unless it is set")
	}
	refuse(w, http.StatusUnauthorized, err)
}

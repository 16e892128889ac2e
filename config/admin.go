package config

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/slogworks/slogworks/internal/guard"
)

// AdminOptions are options for [Manager.Admin]. A zero AdminOptions consists
// entirely of default values.
type AdminOptions struct {
	// Token is what requests have to show, as Authorization: Bearer TOKEN.
	// Default "": none. Then requests are answered from this machine only, and
	// none that a browser makes for a page. That is for machines with one user:
	// who may put a document has files written and commands run as this process
	// does. Among several users set a Token, or listen at a unix socket that has
	// the mode to keep the others out.
	Token string

	// Hosts are the names by which the service is called, without port, besides
	// localhost and loopback addresses. A request under another name is refused,
	// since a site could have its name lead here (DNS rebinding). Default: none.
	Hosts []string
}

// maxBody is how much of a request's body is read.
const maxBody = 1 << 20

// admin is the http.Handler of a manager.
type admin struct {
	m     *Manager
	token string // or "": whoever is on this machine
	hosts []string
}

// Admin returns an http.Handler that shows and changes the document and the
// levels of loggers. Nil options are zero options.
//
//	GET    /config           the document as JSON, secrets as "***", with an ETag
//	PUT    /config           runs the document in the body, JSON or YAML by
//	                         Content-Type. With If-Match, only if it is still the
//	                         one that has the ETag; with ?dry_run=1 it is only built,
//	                         no file or spool being opened.
//	                         "***" stands for the secret that is there now.
//	GET    /levels           {"root":"info","loggers":{"a.b":{"level":"debug","until":"…"}}}
//	GET    /levels/NAME      {"logger":"a.b","level":"debug","until":"…"}; root is /levels/root
//	PUT    /levels/NAME      {"level":"debug"} or the form level=debug; with ?ttl=10m
//	                         it goes back by itself
//	DELETE /levels/NAME      goes back to what the document says
//
// A PUT of a document is answered 200 with {"generation":3,"changed":true}, or
// 422 with {"errors":[{"path":"handlers.q.kind","line":3,"message":"…",
// "nearest":"queue"}]} and nothing changed. It does not write the file, whose
// next change takes the place of what was put. A level without a ttl holds until
// the document changes, one with a ttl until then whatever happens.
//
// Other answers are {"error":"…"}: 400 for a bad level or ttl, 401 without the
// token, 403 for a request of another site, for a Host that is not expected, and
// for one from another machine while there is no token; 404, 405, 412 for a
// stale If-Match, 413 for a body of more than 1 MiB, 415 for another
// Content-Type.
//
// To mount it below a prefix, use http.StripPrefix. A program that listens on an
// address which is not loopback has to set a Token, and should use TLS, since
// the token is sent with each request.
func (m *Manager) Admin(opts *AdminOptions) http.Handler {
	var o AdminOptions
	if opts != nil {
		o = *opts
	}
	return &admin{m, o.Token, slices.Clone(o.Hosts)}
}

func (a *admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	if status, err := a.check(r); err != nil {
		if status == http.StatusUnauthorized {
			header.Set("WWW-Authenticate", `Bearer realm="slogworks"`)
		}
		refuse(w, status, err)
		return
	}
	switch {
	case r.URL.Path != "/config":
		a.m.serveLevels(w, r)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		a.m.serveDocument(w, r)
	case r.Method == http.MethodPut:
		a.m.putDocument(w, r)
	default:
		refuseMethod(w, r, "GET, HEAD, PUT")
	}
}

// check refuses what may not be answered. Order matters: who has the wrong name
// or site learns nothing, not even whether there is a token.
func (a *admin) check(r *http.Request) (status int, err error) {
	if host := guard.Hostname(r.Host); !guard.IsExpected(host, a.hosts) {
		return http.StatusForbidden, fmt.Errorf("config: host %q is not expected: add it to AdminOptions.Hosts", host)
	}
	// Not http.CrossOriginProtection, which lets every GET in: whoever can read the
	// document knows what there is to attack, so that reading is held to the rule
	// for writing. Nor is there anything here to follow a link to, as there is in
	// sinks/live.
	if guard.IsOtherOrigin(r) || guard.IsOtherSite(r) {
		return http.StatusForbidden, errors.New("config: request of another site")
	}
	if a.token == "" {
		return checkLocal(r)
	}
	if token, _ := guard.Bearer(r); !guard.IsToken(token, a.token) {
		return http.StatusUnauthorized, errors.New("config: send Authorization: Bearer TOKEN")
	}
	return 0, nil
}

// checkLocal lets in who needs no token: programs of this machine. A proxy on it
// looks like one of them, and may speak for anybody; a page, even of the same
// origin, has no business here. Others, who ask for a token always or take records
// and show none, have no need of this.
func checkLocal(r *http.Request) (status int, err error) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	switch {
	case local != nil && local.Network() == "unix":
	case local != nil && !guard.IsLoopback(guard.Hostname(local.String())), !guard.IsLoopback(guard.Hostname(r.RemoteAddr)):
		return http.StatusForbidden, errors.New("config: without a token only requests from this machine to a loopback address are answered: set AdminOptions.Token")
	}
	switch {
	case r.Header.Get("Origin") != "":
		return http.StatusForbidden, errors.New("config: without a token no page of a browser is answered: set AdminOptions.Token")
	case guard.IsForwarded(r):
		return http.StatusForbidden, errors.New("config: without a token nothing that a proxy hands on is answered: set AdminOptions.Token")
	}
	return 0, nil
}

// etag names the document that runs. It is not made of the document, because a
// hash of what has a weak secret in it lets guesses be tried.
func (m *Manager) etag(generation int) string {
	return fmt.Sprintf("%q", fmt.Sprintf("%s-%d", m.boot, generation))
}

func (m *Manager) serveDocument(w http.ResponseWriter, r *http.Request) {
	now := m.current()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", m.etag(now.generation))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(now.document.JSON()))
}

func (m *Manager) putDocument(w http.ResponseWriter, r *http.Request) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch media {
	case "application/json", "application/yaml", "text/yaml", "application/x-yaml", "text/x-yaml":
	default:
		w.Header().Set("Accept", "application/json, application/yaml")
		refuse(w, http.StatusUnsupportedMediaType, fmt.Errorf("config: Content-Type %q: want application/json or application/yaml", media))
		return
	}
	dryRun, given, err := parameter(r, "dry_run")
	if err == nil && given && dryRun != "0" && dryRun != "1" {
		err = fmt.Errorf("config: dry_run=%q: want 1", dryRun)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		refuseBody(w, err)
		return
	}
	next := func(now running) (*Document, error) {
		if !matches(r.Header.Values("If-Match"), m.etag(now.generation)) {
			return nil, errStale
		}
		opts := m.options
		opts.File, opts.keep = "PUT /config", now.document
		if media == "application/json" {
			return parseJSON(body, &opts)
		}
		return Parse(body, &opts)
	}
	// A client that goes away does not undo what it asked for.
	ctx := context.WithoutCancel(r.Context())
	run := m.change
	if dryRun == "1" {
		run = m.rehearse
	}
	done, err := run(ctx, next)
	if _, runs := errors.AsType[*RetireError](err); err == nil || runs {
		w.Header().Set("ETag", m.etag(done.Generation))
		answer(w, http.StatusOK, done)
		return
	}
	refuseDocument(w, err)
}

var errStale = errors.New("config: the document was changed meanwhile: get it again")

// matches reports whether the If-Match of a request holds.
func matches(conditions []string, etag string) bool {
	if len(conditions) == 0 {
		return true
	}
	for condition := range strings.SplitSeq(strings.Join(conditions, ","), ",") {
		if condition = strings.TrimSpace(condition); condition == "*" || condition == etag {
			return true
		}
	}
	return false
}

// parseJSON is for what is said to be JSON: Parse would take YAML too.
func parseJSON(body []byte, opts *Options) (*Document, error) {
	if data := bytes.TrimPrefix(body, []byte(byteOrderMark)); !json.Valid(data) {
		found := findings{file: opts.File}
		line, message := jsonError(data)
		found.add(line, "", "%s", message)
		return nil, found.err()
	}
	return Parse(body, opts)
}

// parameter returns the one parameter that a change may have. It is strict,
// because ?dryrun=1 must not be taken for a change that is meant, nor ?tll=10m
// for a level that stays.
func parameter(r *http.Request, name string) (value string, given bool, err error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", false, fmt.Errorf("config: query of the URL: %w", err)
	}
	for key, values := range query {
		if key != name || len(values) > 1 {
			return "", false, fmt.Errorf("config: query of the URL: %q: want nothing but %s, once", key, name)
		}
	}
	return query.Get(name), query.Has(name), nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("config: read the body: %w", err)
	}
	return body, nil
}

func refuseBody(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		status = http.StatusRequestEntityTooLarge
	}
	refuse(w, status, err)
}

func refuseDocument(w http.ResponseWriter, err error) {
	switch mistakes, ok := asMistakes(err); {
	case ok:
		type mistake struct {
			Path    string `json:"path"`
			Line    int    `json:"line,omitempty"`
			Message string `json:"message"`
			Nearest string `json:"nearest,omitempty"`
		}
		var all []mistake
		for _, m := range mistakes {
			all = append(all, mistake{m.Path, m.Line, m.Message, m.Nearest})
		}
		answer(w, http.StatusUnprocessableEntity, map[string]any{"errors": all})
	case errors.Is(err, errStale):
		refuse(w, http.StatusPreconditionFailed, err)
	default:
		// Such as ErrClosed.
		refuse(w, http.StatusServiceUnavailable, err)
	}
}

func refuse(w http.ResponseWriter, status int, err error) {
	answer(w, status, map[string]string{"error": err.Error()})
}

func refuseMethod(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	refuse(w, http.StatusMethodNotAllowed, fmt.Errorf("config: method %s: want %s", r.Method, allow))
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // nobody is left to tell if the client is gone
}

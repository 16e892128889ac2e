package config_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/config"
)

// change adapts a request.
type change func(r *http.Request)

func header(key, value string) change {
	return func(r *http.Request) { r.Header.Set(key, value) }
}

var (
	json_ = header("Content-Type", "application/json")
	yaml  = header("Content-Type", "application/yaml")
	form  = header("Content-Type", "application/x-www-form-urlencoded")
)

const token = "correct horse"

// do asks the Admin of the manager that has a token, which the request shows.
func (s *subject) do(t *testing.T, method, target, body string, changes ...change) *httptest.ResponseRecorder {
	t.Helper()
	changes = append([]change{header("Authorization", "Bearer "+token)}, changes...)
	return ask(s.Admin(&config.AdminOptions{Token: token, Hosts: []string{"log.example.com"}}), method, target, body, changes...)
}

// ask asks as a program on this machine would.
func ask(h http.Handler, method, target, body string, changes ...change) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host, r.RemoteAddr = "127.0.0.1:8515", "127.0.0.1:50000"
	for _, c := range changes {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// checkJSON checks the answer, be its keys in what order.
func checkJSON(t *testing.T, w *httptest.ResponseRecorder, status int, want string) {
	t.Helper()
	var got, wanted any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Errorf("status %d, not JSON: %q", w.Code, w.Body)
		return
	}
	must(t, json.Unmarshal([]byte(want), &wanted))
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(wanted)
	if w.Code != status || !bytes.Equal(a, b) {
		t.Errorf("got %d %s\nwant %d %s", w.Code, a, status, b)
	}
	check(t, "Content-Type", w.Header().Get("Content-Type"), "application/json")
}

func TestAdmin_refuses(t *testing.T) {
	s := open(t, one("first"))
	hosts := []string{"log.example.com"}
	withToken := s.Admin(&config.AdminOptions{Token: token, Hosts: hosts})
	without := s.Admin(&config.AdminOptions{Hosts: hosts})
	shown := header("Authorization", "Bearer "+token)
	host := func(name string) change { return func(r *http.Request) { r.Host = name } }
	from := func(peer string) change { return func(r *http.Request) { r.RemoteAddr = peer } }
	at := func(network, address string) change {
		return func(r *http.Request) {
			*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, addr{network, address}))
		}
	}
	for name, test := range map[string]struct {
		admin   http.Handler
		changes []change
		status  int
	}{
		"nobody with the token":                              {withToken, []change{shown}, 200},
		"nobody with the token from elsewhere":               {withToken, []change{shown, from("192.0.2.1:1"), host("log.example.com")}, 200},
		"nobody who calls it by another case":                {withToken, []change{header("Authorization", "bearer "+token), host("LOG.example.com:80")}, 200},
		"who shows no token":                                 {withToken, nil, 401},
		"who shows another token":                            {withToken, []change{header("Authorization", "Bearer correct hors")}, 401},
		"who shows the token otherwise":                      {withToken, []change{header("Authorization", "Basic "+token)}, 401},
		"a name that is led here":                            {withToken, []change{shown, host("evil.example.com:8515")}, 403},
		"a page of another site":                             {withToken, []change{shown, header("Origin", "http://evil.example.com")}, 403},
		"a page of another port":                             {withToken, []change{shown, header("Origin", "http://127.0.0.1:80")}, 403},
		"what a browser says is cross-site":                  {withToken, []change{shown, header("Sec-Fetch-Site", "cross-site")}, 403},
		"what a browser says is of the same site only":       {withToken, []change{shown, header("Sec-Fetch-Site", "same-site")}, 403},
		"no page of its own":                                 {withToken, []change{shown, header("Origin", "http://127.0.0.1:8515"), header("Sec-Fetch-Site", "same-origin")}, 200},
		"without a token: nobody of this machine":            {without, nil, 200},
		"without a token: nobody of this machine by IPv6":    {without, []change{from("[::1]:50000"), host("[::1]:8515"), at("tcp", "[::1]:8515")}, 200},
		"without a token: nobody at a unix socket":           {without, []change{from("@"), at("unix", "/run/x"), host("localhost")}, 200},
		"without a token: another machine":                   {without, []change{from("192.0.2.1:50000")}, 403},
		"without a token: an address that others reach":      {without, []change{at("tcp", "192.0.2.2:8515")}, 403},
		"without a token: any page":                          {without, []change{header("Origin", "http://127.0.0.1:8515")}, 403},
		"without a token: what a proxy hands on":             {without, []change{header("X-Forwarded-For", "192.0.2.1")}, 403},
		"without a token: what a proxy hands on by RFC 7239": {without, []change{header("Forwarded", "for=192.0.2.1")}, 403},
		"without a token: a name that is led here":           {without, []change{host("evil.example.com:8515")}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			for _, target := range []string{"GET /config", "PUT /config", "GET /levels", "GET /levels/a", "PUT /levels/a", "DELETE /levels/a"} {
				method, path, _ := strings.Cut(target, " ")
				body := map[string]string{"PUT /config": one("first"), "PUT /levels/a": "level=info"}[target]
				w := ask(test.admin, method, path, body, append([]change{yaml}, test.changes...)...)
				check(t, "status of "+target, w.Code, test.status)
				for key := range w.Header() {
					if strings.HasPrefix(key, "Access-Control-") {
						t.Errorf("%s has the header %s", target, key)
					}
				}
				if test.status == 401 && w.Header().Get("WWW-Authenticate") == "" {
					t.Errorf("%s does not say how to authenticate", target)
				}
			}
		})
	}
	check(t, "generation", s.Generation(), 1)
}

// addr is an address as a server puts it into the context.
type addr struct{ network, address string }

func (a addr) Network() string { return a.network }
func (a addr) String() string  { return a.address }

func TestAdmin_servesOverRealConnections(t *testing.T) {
	s := open(t, one("first"))
	server := httptest.NewServer(s.Admin(nil))
	defer server.Close()
	resp, err := http.Get(server.URL + "/levels")
	must(t, err)
	resp.Body.Close()
	check(t, "status", resp.StatusCode, 200)

	// A listener that other machines reach: without a token it answers nobody.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	open := httptest.NewUnstartedServer(s.Admin(nil))
	open.Listener.Close()
	open.Listener = elsewhere{l}
	open.Start()
	defer open.Close()
	resp, err = http.Get("http://" + l.Addr().String() + "/levels")
	must(t, err)
	resp.Body.Close()
	check(t, "status off loopback", resp.StatusCode, 403)
}

// elsewhere says that its connections came in at an address that is not
// loopback, since tests listen at no other.
type elsewhere struct{ net.Listener }

func (l elsewhere) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return conn{c}, err
}

func (l elsewhere) Addr() net.Addr { return addr{"tcp", "192.0.2.2:8515"} }

type conn struct{ net.Conn }

func (conn) LocalAddr() net.Addr { return addr{"tcp", "192.0.2.2:8515"} }

func TestAdmin_showsTheDocument(t *testing.T) {
	s := open(t, `{version: 1, handlers: {a: {kind: probe, note: "redis://me:hunter2@127.0.0.1/0", password: hunter3}}, root: {to: [a]}}`)
	w := s.do(t, "GET", "/config", "")
	checkJSON(t, w, 200, `{"version":1,"handlers":{"a":{"kind":"probe","note":"redis://me:***@127.0.0.1/0","password":"***"}},"root":{"to":["a"]}}`)
	if strings.Contains(w.Body.String(), "hunter") {
		t.Errorf("a secret is shown: %s", w.Body)
	}
	for key, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
		check(t, key, w.Header().Get(key), want)
	}
	etag := w.Header().Get("ETag")
	check(t, "the ETag the second time", s.do(t, "GET", "/config", "").Header().Get("ETag"), etag)
	check(t, "status if it is known", s.do(t, "GET", "/config", "", header("If-None-Match", etag)).Code, 304)
	s.reload(t, one("second"))
	if again := s.do(t, "GET", "/config", "").Header().Get("ETag"); again == etag || etag == "" {
		t.Errorf("the ETag %q stays after a change", etag)
	}
}

func TestAdmin_runsADocument(t *testing.T) {
	s := open(t, one("first"))
	w := s.do(t, "PUT", "/config", one("second"), yaml)
	checkJSON(t, w, 200, `{"generation":2,"changed":true}`)
	check(t, "the ETag", w.Header().Get("ETag"), s.do(t, "GET", "/config", "").Header().Get("ETag"))
	checkJSON(t, s.do(t, "PUT", "/config", one("second"), yaml), 200, `{"generation":2,"changed":false}`)
	third := `{"version":1,"handlers":{"a":{"kind":"probe","note":"third"}},"root":{"to":["a"]}}`
	checkJSON(t, s.do(t, "PUT", "/config", third, header("Content-Type", "application/json; charset=utf-8")), 200, `{"generation":3,"changed":true}`)
	checkAll(t, "told", s.reports.all(), []string{"2 <nil>", "3 <nil>"})
	check(t, "what runs", s.Pipeline().Lookup("a").(*probe).options.Note, "third")
}

func TestAdmin_refusesADocument(t *testing.T) {
	s := open(t, one("first"))
	bad := "version: 1\nhandlers:\n  q: {kind: queu}\n  a: {kind: probe}\nroot: {to: [q, a]}\nloggers: {x: {to: [b]}}\n"
	checkJSON(t, s.do(t, "PUT", "/config", bad, yaml), 422, `{"errors":[
		{"path":"handlers.q.kind","line":3,"message":"unknown kind \"queu\"","nearest":"queue"},
		{"path":"loggers.x.to[0]","line":6,"message":"unknown handler \"b\", there is q, a"}]}`)
	checkAll(t, "told", s.reports.all(), []string{"1 " + `PUT /config:3: handlers.q.kind: unknown kind "queu" (did you mean "queue"?)` + "\n" +
		`PUT /config:6: loggers.x.to[0]: unknown handler "b", there is q, a`})

	w := s.do(t, "PUT", "/config", one("second"), json_)
	if w.Code != 422 || !strings.Contains(w.Body.String(), `"line":1,"message":"not JSON: `) {
		t.Errorf("YAML that calls itself JSON: %d %s", w.Code, w.Body)
	}
	checkJSON(t, s.do(t, "PUT", "/config", "version: 1\nhandlers: {a: {kind: probe, fail: no disk}}\nroot: {to: [a]}", yaml), 422,
		`{"errors":[{"path":"handlers.a","line":2,"message":"no disk"}]}`)
	for _, media := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/toml"} {
		check(t, "status of "+media, s.do(t, "PUT", "/config", one("second"), header("Content-Type", media)).Code, 415)
	}
	check(t, "status of another dry_run", s.do(t, "PUT", "/config?dry_run=yes", one("second"), yaml).Code, 400)
	check(t, "status of 1 MiB and a byte", s.do(t, "PUT", "/config", strings.Repeat("#", 1<<20+1), yaml).Code, 413)
	check(t, "status of the same to a level", s.do(t, "PUT", "/levels/a", strings.Repeat("#", 1<<20+1)).Code, 413)
	check(t, "generation", s.Generation(), 1)
}

func TestAdmin_checksIfMatch(t *testing.T) {
	s := open(t, one("first"))
	etag := s.do(t, "GET", "/config", "").Header().Get("ETag")
	for i, test := range []struct {
		condition string
		status    int
	}{
		{`"x"`, 412}, {etag[1:], 412}, {"W/" + etag, 412}, {etag, 200}, {etag, 412}, {"*", 200},
	} {
		w := s.do(t, "PUT", "/config", one(fmt.Sprint("n", i)), yaml, header("If-Match", test.condition))
		check(t, "status with "+test.condition, w.Code, test.status)
		if w.Code == 412 {
			w = s.do(t, "PUT", "/config?dry_run=1", one(fmt.Sprint("n", i)), yaml, header("If-Match", test.condition))
			check(t, "status of a dry run with "+test.condition, w.Code, 412)
		}
	}
	check(t, "generation", s.Generation(), 3)
	etag = s.do(t, "GET", "/config", "").Header().Get("ETag")
	check(t, "status with one of several", s.do(t, "PUT", "/config", one("last"), yaml, header("If-Match", `"x", `+etag)).Code, 200)
	for _, told := range s.reports.all() {
		if !strings.HasSuffix(told, "<nil>") {
			t.Errorf("a stale request was told as %q", told)
		}
	}
}

func TestAdmin_dryRunChangesNothing(t *testing.T) {
	s := open(t, "version: 1\nhandlers:\n  a: {kind: probe, note: first}\n  b: {kind: probe}\nroot: {to: [a, b]}\n")
	second := "version: 1\nhandlers:\n  a: {kind: probe, note: second}\n  b: {kind: probe}\nroot: {to: [a, b]}\n"
	checkJSON(t, s.do(t, "PUT", "/config?dry_run=1", second, yaml), 200, `{"generation":1,"changed":true}`)
	checkJSON(t, s.do(t, "PUT", "/config?dry_run=1", strings.Replace(second, "second", "first", 1), yaml), 200, `{"generation":1,"changed":false}`)
	check(t, "status of a bad one", s.do(t, "PUT", "/config?dry_run=1", "half", yaml).Code, 422)
	check(t, "generation", s.Generation(), 1)
	checkAll(t, "told", s.reports.all(), nil)
	built := s.probes.all()
	check(t, "handlers built", len(built), 3)
	for i, want := range []bool{false, false, true} {
		check(t, fmt.Sprint("shut down: ", i), built[i].isShutDown(), want)
	}
	slog.New(s.Handler()).Info("still here")
	checkAll(t, "the first got", built[0].messages(), []string{"still here"})
	checkAll(t, "and of the manager", built[0].own(), nil)
}

func TestAdmin_keepsSecrets(t *testing.T) {
	with := func(note, password string) string {
		return fmt.Sprintf("{version: 1, handlers: {a: {kind: probe, note: %q, password: %q}}, root: {to: [a]}}", note, password)
	}
	s := open(t, with("redis://me:hunter2@127.0.0.1/0", "hunter3"))
	shown := s.do(t, "GET", "/config", "").Body.String()
	checkJSON(t, s.do(t, "PUT", "/config", shown, json_), 200, `{"generation":1,"changed":false}`)
	checkJSON(t, s.do(t, "PUT", "/config", with("redis://me:***@127.0.0.1/1", "***"), yaml), 200, `{"generation":2,"changed":true}`)
	now := s.Pipeline().Lookup("a").(*probe).options
	check(t, "the password", now.Password.Reveal(), "hunter3")
	check(t, "the URL", now.Note, "redis://me:hunter2@127.0.0.1/1")
	checkJSON(t, s.do(t, "PUT", "/config", with("x", "***"), yaml), 200, `{"generation":3,"changed":true}`)
	check(t, "the password after two", s.Pipeline().Lookup("a").(*probe).options.Password.Reveal(), "hunter3")
}

func TestAdmin_answersOtherPathsAndMethods(t *testing.T) {
	s := open(t, one("first"))
	for _, test := range []struct {
		target string
		status int
		allow  string
	}{
		{"GET /", 404, ""},
		{"GET /config/", 404, ""},
		{"GET /levels/", 404, ""},
		{"PUT /other", 404, ""},
		{"POST /config", 405, "GET, HEAD, PUT"},
		{"DELETE /config", 405, "GET, HEAD, PUT"},
		{"PUT /levels", 405, "GET, HEAD"},
		{"POST /levels/a", 405, "GET, HEAD, PUT, DELETE"},
		{"HEAD /config", 200, ""},
		{"HEAD /levels", 200, ""},
		{"HEAD /levels/a", 200, ""},
	} {
		method, path, _ := strings.Cut(test.target, " ")
		w := s.do(t, method, path, "")
		check(t, "status of "+test.target, w.Code, test.status)
		check(t, "Allow of "+test.target, w.Header().Get("Allow"), test.allow)
	}
	mounted := http.StripPrefix("/debug/log", s.Admin(nil))
	check(t, "status below a prefix", ask(mounted, "GET", "/debug/log/levels/a.b", "").Code, 200)
}

func TestAdmin_saysIfTheManagerIsClosed(t *testing.T) {
	s := open(t, one("first"))
	must(t, s.Close())
	check(t, "status", s.do(t, "PUT", "/config", one("second"), yaml).Code, 503)
	check(t, "status of a dry run", s.do(t, "PUT", "/config?dry_run=1", one("second"), yaml).Code, 503)
}

const leveled = "version: 1\nhandlers: {a: {kind: probe}}\nroot: {level: warn, to: [a]}\nloggers: {a.b: {level: error}}\n"

func (s *subject) enabled(t *testing.T, logger string, level slog.Level) bool {
	return slogworks.Named(slog.New(s.Handler()), logger).Enabled(t.Context(), level)
}

func TestAdmin_showsLevels(t *testing.T) {
	s := open(t, leveled)
	checkJSON(t, s.do(t, "GET", "/levels", ""), 200, `{"root":"warn","loggers":{"a.b":{"level":"error"}}}`)
	checkJSON(t, s.do(t, "GET", "/levels/root", ""), 200, `{"logger":"root","level":"warn"}`)
	checkJSON(t, s.do(t, "GET", "/levels/a.b", ""), 200, `{"logger":"a.b","level":"error"}`)
	checkJSON(t, s.do(t, "GET", "/levels/a.b.c", ""), 200, `{"logger":"a.b.c","level":"error"}`)
	checkJSON(t, s.do(t, "GET", "/levels/x%2Fy", ""), 200, `{"logger":"x/y","level":"warn"}`)
	s.reload(t, one("second"))
	checkJSON(t, s.do(t, "GET", "/levels", ""), 200, `{"root":"info","loggers":{}}`)
}

func TestAdmin_setsLevels(t *testing.T) {
	s := open(t, leveled)
	checkJSON(t, s.do(t, "PUT", "/levels/a.b", `{"level":"debug"}`, json_), 200, `{"logger":"a.b","level":"debug"}`)
	check(t, "debug of a.b.c", s.enabled(t, "a.b.c", slog.LevelDebug), true)
	check(t, "debug of a", s.enabled(t, "a", slog.LevelDebug), false)
	checkJSON(t, s.do(t, "PUT", "/levels/root", "level=Error%2B4", form), 200, `{"logger":"root","level":"error+4"}`)
	check(t, "error of a", s.enabled(t, "a", slog.LevelError), false)
	checkJSON(t, s.do(t, "PUT", "/levels/x", `{"level":-4}`, form), 200, `{"logger":"x","level":"debug"}`)
	checkJSON(t, s.do(t, "GET", "/levels", ""), 200, `{"root":"error+4","loggers":{"a.b":{"level":"debug"},"x":{"level":"debug"}}}`)

	checkJSON(t, s.do(t, "DELETE", "/levels/a.b", ""), 200, `{"logger":"a.b","level":"error"}`)
	checkJSON(t, s.do(t, "DELETE", "/levels/root", ""), 200, `{"logger":"root","level":"warn"}`)
	checkJSON(t, s.do(t, "DELETE", "/levels/x", ""), 200, `{"logger":"x","level":"warn"}`)
	checkJSON(t, s.do(t, "GET", "/levels", ""), 200, `{"root":"warn","loggers":{"a.b":{"level":"error"}}}`)
	check(t, "generation", s.Generation(), 1)
}

func TestAdmin_refusesLevels(t *testing.T) {
	s := open(t, leveled)
	for target, body := range map[string]string{
		"/levels/a":         `{"level":"loud"}`,
		"/levels/b":         `{"level":"debug","tl":"10m"}`,
		"/levels/c":         `{"level":`,
		"/levels/d":         `{"level":null}`,
		"/levels/e":         "",
		"/levels/f":         "level=%zz",
		"/levels/g":         "level=debug&logger=h",
		"/levels/h?ttl=0s":  "level=debug",
		"/levels/i?ttl=-1m": "level=debug",
		"/levels/j?ttl=10":  "level=debug",
	} {
		w := s.do(t, "PUT", target, body, form)
		if w.Code != 400 || !strings.HasPrefix(w.Body.String(), `{"error":"config: `) {
			t.Errorf("PUT %s with %s: %d %s", target, body, w.Code, w.Body)
		}
	}
	checkJSON(t, s.do(t, "GET", "/levels", ""), 200, `{"root":"warn","loggers":{"a.b":{"level":"error"}}}`)
}

func TestAdmin_levelsEndByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, leveled) // at midnight of 2000-01-01
		checkJSON(t, s.do(t, "PUT", "/levels/a.b?ttl=10m", "level=debug", form), 200, `{"logger":"a.b","level":"debug","until":"2000-01-01T00:10:00Z"}`)
		checkJSON(t, s.do(t, "PUT", "/levels/x?ttl=1d", `{"level":"info"}`, json_), 200, `{"logger":"x","level":"info","until":"2000-01-02T00:00:00Z"}`)
		checkJSON(t, s.do(t, "PUT", "/levels/y", `{"level":"info"}`, json_), 200, `{"logger":"y","level":"info"}`)

		// A change of the document takes the levels that stay and not the others.
		s.reload(t, strings.Replace(leveled, "warn", "error", 1))
		checkJSON(t, s.do(t, "GET", "/levels", ""), 200, `{"root":"error","loggers":{
			"a.b":{"level":"debug","until":"2000-01-01T00:10:00Z"},"x":{"level":"info","until":"2000-01-02T00:00:00Z"}}}`)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		checkJSON(t, s.do(t, "GET", "/levels", ""), 200, `{"root":"error","loggers":{
			"a.b":{"level":"error"},"x":{"level":"info","until":"2000-01-02T00:00:00Z"}}}`)
		check(t, "debug of a.b", s.enabled(t, "a.b", slog.LevelDebug), false)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		checkJSON(t, s.do(t, "GET", "/levels", ""), 200, `{"root":"error","loggers":{"a.b":{"level":"error"}}}`)
	})
}

func TestAdmin_tellsOfLevels(t *testing.T) {
	s := open(t, "version: 1\nhandlers: {a: {kind: probe}}\nroot: {to: [a]}\n")
	s.do(t, "PUT", "/levels/a.b", "level=debug")
	s.do(t, "DELETE", "/levels/a.b", "")
	checkAll(t, "the manager's own records", s.probes.all()[0].own(), []string{"INFO level changed <nil>", "INFO level reset <nil>"})
}

func TestManager_levelsForAPage(t *testing.T) {
	s := open(t, leveled)
	h := s.Levels()
	elsewhere := func(r *http.Request) { r.Host, r.RemoteAddr = "log.example.com", "192.0.2.1:1" }
	checkJSON(t, ask(h, "PUT", "/levels/a.b", "level=info", elsewhere), 200, `{"logger":"a.b","level":"info"}`)
	checkJSON(t, ask(h, "GET", "/levels", "", elsewhere), 200, `{"root":"warn","loggers":{"a.b":{"level":"info"}}}`)
	check(t, "status of the document", ask(h, "GET", "/config", "", elsewhere).Code, 404)
}

// A misspelt dry_run must not run the document, nor a misspelt ttl stay for ever.
func TestAdmin_refusesParametersThatItDoesNotHave(t *testing.T) {
	s := open(t, one("first"))
	defer s.Close()
	for _, query := range []string{"dry_run", "dry_run=", "dry_run=true", "dryrun=1", "dry_run=1;x", "dry_run=1&dry_run=0", "dry_run=%zz"} {
		w := s.do(t, "PUT", "/config?"+query, one("second"), yaml)
		check(t, "status of ?"+query, w.Code, http.StatusBadRequest)
	}
	for _, query := range []string{"tll=10m", "ttl=", "ttl", "ttl=10m;x", "ttl=1m&ttl=2m"} {
		w := s.do(t, "PUT", "/levels/a?"+query, "level=debug", form)
		check(t, "status of ?"+query, w.Code, http.StatusBadRequest)
	}
	check(t, "generation", s.Generation(), 1)
	checkJSON(t, s.do(t, "GET", "/levels", ""), http.StatusOK, `{"root":"info","loggers":{}}`)
	check(t, "status of ?dry_run=0", s.do(t, "PUT", "/config?dry_run=0", one("second"), yaml).Code, http.StatusOK)
	check(t, "generation", s.Generation(), 2)
}

// curl -d level=error+4 sends a blank for the +.
func TestAdmin_takesLevelsWithAnOffsetFromForms(t *testing.T) {
	s := open(t, one("x"))
	defer s.Close()
	checkJSON(t, s.do(t, "PUT", "/levels/a", "level=error+4", form), http.StatusOK, `{"logger":"a","level":"error+4"}`)
}

func TestAdmin_readsJSONBehindAByteOrderMark(t *testing.T) {
	s := open(t, one("x"))
	defer s.Close()
	w := s.do(t, "PUT", "/config", "\ufeff"+`{"version":1,"root":{"to":[]}}`, json_)
	checkJSON(t, w, http.StatusOK, `{"generation":2,"changed":true}`)
}

func TestAdmin_matchesNoWeakTags(t *testing.T) {
	s := open(t, one("x"))
	defer s.Close()
	tag := s.do(t, "GET", "/config", "").Header().Get("ETag")
	for condition, want := range map[string]int{
		"W/" + tag: http.StatusPreconditionFailed, `"other", ` + tag: http.StatusOK, "*": http.StatusOK,
		"": http.StatusPreconditionFailed, strings.Trim(tag, `"`): http.StatusPreconditionFailed,
	} {
		w := s.do(t, "PUT", "/config?dry_run=1", one("y"), yaml, header("If-Match", condition))
		check(t, "status of If-Match "+condition, w.Code, want)
	}
}

// To open a file removes backups, and to open a spool may deliver what is in it.
func TestAdmin_dryRunLeavesFilesAlone(t *testing.T) {
	t.Chdir(t.TempDir())
	for i := 1; i <= 3; i++ {
		must(t, os.WriteFile(fmt.Sprintf("app.log.%d", i), []byte("x\n"), 0o600))
	}
	const document = `version: 1
handlers:
  a: {kind: probe}
  m: {kind: memory}
  f: {kind: file, path: app.log, naming: numbered%s}
  b: {kind: buffer, to: m%s}
root: {to: [a, f, b]}
`
	s := open(t, fmt.Sprintf(document, "", ""))
	defer s.Close()
	put := func(options ...any) *httptest.ResponseRecorder {
		return s.do(t, "PUT", "/config?dry_run=1", fmt.Sprintf(document, options...), yaml)
	}
	check(t, "status", put(", max_backups: 1", ", dir: spool").Code, http.StatusOK)
	check(t, "status of what cannot be changed", put(", shared: true, max_backups: 2", "").Code, http.StatusUnprocessableEntity)
	var names []string
	entries, err := os.ReadDir(".")
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	checkAll(t, "files", names, []string{"app.log", "app.log.1", "app.log.2", "app.log.3"})

	// It says all the same what could not be opened.
	must(t, os.Mkdir("dir", 0o700))
	for path, want := range map[string]string{
		"app.log/x":   "not a directory",
		"app.log/x/y": "not a directory",
		"dir":         "dir is a directory",
	} {
		w := s.do(t, "PUT", "/config?dry_run=1", "version: 1\nhandlers: {f: {kind: file, path: "+path+"}}\nroot: {to: f}\n", yaml)
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s, want %s", path, w.Code, w.Body, want)
		}
	}
}

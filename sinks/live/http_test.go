package live_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/wire"
	"github.com/slogworks/slogworks/sinks/live"
)

func TestHub_refusesWhoHasNoToken(t *testing.T) {
	h := newHub(live.Options{Levels: http.NotFoundHandler()})
	for _, target := range []string{"/", "/events", "/records", "/download", "/stats", "/live.js", "/live.css", "/icon.svg", "/levels/a", "/nothing"} {
		for name, header := range map[string]string{"no header": "", "another token": "Bearer other", "no scheme": token, "another scheme": "Basic " + token} {
			w := do(h, "GET", target, "Authorization", header)
			if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("GET %s with %s: %d", target, name, w.Code)
			}
			if got := strings.Contains(w.Body.String(), "is not the hub's"); got != (name == "another token") {
				t.Errorf("GET %s with %s: %s", target, name, w.Body)
			}
		}
	}
	for _, target := range []string{"/?token=", "/?token=other", "/?token", "/stats?token=the%20token"} {
		if w := do(h, "GET", target, "Authorization", ""); w.Code != http.StatusUnauthorized || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("GET %s: %d", target, w.Code)
		}
	}
}

func TestHub_refusesOtherSites(t *testing.T) {
	h := newHub(live.Options{Hosts: []string{"log.example.com"}})
	for _, test := range []struct {
		name   string
		target string
		header []string
		want   int
	}{
		{"a loopback name", "/stats", []string{"Host", "localhost"}, 200},
		{"a loopback address", "/stats", []string{"Host", "127.0.0.1:8514"}, 200},
		{"another loopback address", "/stats", []string{"Host", "127.1.2.3"}, 200},
		{"the IPv6 loopback address", "/stats", []string{"Host", "[::1]:8514"}, 200},
		{"a host of Options.Hosts", "/stats", []string{"Host", "log.example.com:443"}, 200},
		{"the same in capitals", "/stats", []string{"Host", "LOG.example.com"}, 200},
		{"a foreign host", "/stats", []string{"Host", "evil.example"}, 403},
		{"a foreign host that begins like ours", "/stats", []string{"Host", "localhost.evil.example:8514"}, 403},
		{"no host", "/stats", []string{"Host", ""}, 403},
		{"its own origin", "/stats", []string{"Origin", "http://localhost:8514"}, 200},
		{"a foreign origin", "/stats", []string{"Origin", "http://evil.example"}, 403},
		{"another port of the host", "/stats", []string{"Origin", "http://localhost:9999"}, 403},
		{"the origin null", "/stats", []string{"Origin", "null"}, 403},
		{"a request of the page", "/events", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a request of another subdomain", "/stats", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"an address that was typed", "/stats", []string{"Sec-Fetch-Site", "none"}, 200},
		{"a request of the page itself", "/stats", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"the page in a frame", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		{"a script of another site", "/", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a link to the page", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		{"a form that leads to the page", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Method", "POST"}, 403},
		{"a link to the data", "/download", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := do(h, "GET", test.target, test.header...)
			if w.Code != test.want {
				t.Errorf("status %d, want %d", w.Code, test.want)
			}
			if w.Code == 403 && !strings.Contains(w.Body.String(), `{"error":"live: `) {
				t.Errorf("body %s", w.Body)
			}
			if origin := w.Header().Get("Access-Control-Allow-Origin"); origin != "" {
				t.Errorf("lets in %s", origin)
			}
		})
	}
}

func TestHub_sendsHeadersWithAllAnswers(t *testing.T) {
	h := newHub(live.Options{})
	for _, target := range []string{"/", "/live.js", "/live.css", "/query.js", "/rows.js", "/icon.svg", "/records", "/records?q=/(/", "/download", "/stats", "/nothing", "/?token=the+token"} {
		w := do(h, "GET", target)
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("GET %s: %s: %q", target, name, got)
			}
		}
	}
	for _, target := range []string{"/", "/debug/log/"} {
		policy := do(h, "GET", target).Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("the policy of %s is %q, want %s", target, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("the policy of %s is %q", target, policy)
		}
	}
}

func TestHub_letsABrowserIn(t *testing.T) {
	for _, mount := range []struct {
		name, prefix string
		handler      func(h http.Handler) http.Handler
	}{
		{"at the root", "", func(h http.Handler) http.Handler { return h }},
		{"behind a prefix", "/debug/log", func(h http.Handler) http.Handler { return h }},
		{"behind a prefix that is stripped", "/debug/log", func(h http.Handler) http.Handler { return http.StripPrefix("/debug/log", h) }},
	} {
		t.Run(mount.name, func(t *testing.T) {
			h := newHub(live.Options{})
			mux := http.NewServeMux()
			mux.Handle(mount.prefix+"/", mount.handler(h))
			server := httptest.NewServer(mux)
			defer server.Close()
			jar, _ := cookiejar.New(nil)
			browser := &http.Client{Jar: jar}

			answer, err := browser.Get(server.URL + mount.prefix + "/?token=the+token")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != 200 || answer.Request.URL.String() != server.URL+mount.prefix+"/" || !strings.Contains(string(body), `id="rows"`) {
				t.Fatalf("%s: %s", answer.Request.URL, answer.Status)
			}
			exchange := answer.Request.Response
			_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
			cookie := exchange.Cookies()[0]
			if exchange.StatusCode != http.StatusSeeOther || cookie.Name != "slogworks-"+port || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.MaxAge != 0 || !cookie.Expires.IsZero() {
				t.Errorf("%s with cookie %s", exchange.Status, cookie)
			}
			if strings.Contains(cookie.Value, token) {
				t.Error("the cookie has the token in it")
			}
			for _, name := range []string{"stats", "records", "download", "live.js"} {
				answer, err := browser.Get(server.URL + mount.prefix + "/" + name)
				if err != nil {
					t.Fatal(err)
				}
				_ = answer.Body.Close()
				if answer.StatusCode != 200 {
					t.Errorf("%s with the cookie: %s", name, answer.Status)
				}
			}
			again, err := http.Get(server.URL + mount.prefix + "/?token=the+token")
			if err != nil {
				t.Fatal(err)
			}
			_ = again.Body.Close()
			if again.Request.Response == nil {
				t.Errorf("the token does not let another browser in: %s", again.Status)
			}
		})
	}
}

func TestHub_asksAPersonForTheToken(t *testing.T) {
	h := newHub(live.Options{})
	w := do(h, "GET", "/", "Authorization", "", "Accept", "text/html,*/*")
	if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), `name="token"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("policy %q", policy)
	}
}

func TestOptions_Auth_replacesTheToken(t *testing.T) {
	h := newHub(live.Options{Auth: func(r *http.Request) error {
		if r.Header.Get("X-User") == "admin" {
			return nil
		}
		return errors.New("secret reason")
	}})
	if w := do(h, "GET", "/stats", "X-User", "admin", "Authorization", ""); w.Code != 200 {
		t.Errorf("admin: %d", w.Code)
	}
	for _, target := range []string{"/stats", "/?token=the+token"} {
		w := do(h, "GET", target)
		if w.Code != 401 || strings.Contains(w.Body.String(), "secret reason") {
			t.Errorf("GET %s with the token: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestHub_answersMethodsAndPathsItDoesNotKnow(t *testing.T) {
	h := newHub(live.Options{})
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		w := do(h, method, "/records")
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
	if w := do(h, "HEAD", "/stats"); w.Code != 200 {
		t.Errorf("HEAD: %d", w.Code)
	}
	for _, target := range []string{"/nothing", "/page.html", "/levels/a", "/../live.go"} {
		if w := do(h, "GET", target); w.Code != http.StatusNotFound {
			t.Errorf("GET %s: %d", target, w.Code)
		}
	}
}

func TestHub_answersMistakes(t *testing.T) {
	h := newHub(live.Options{})
	for query, want := range map[string]string{
		"level=loud":                     "level: unknown level",
		"level=info,loud":                "level: unknown level",
		"from=yesterday":                 "from: ",
		"to=2026":                        "to: ",
		"q=/(/":                          "q: error parsing regexp",
		"q=/x{1000}y{1000}z/":            "q: /x{1000}y{1000}z/ is too large",
		"q=%22open":                      "q: no closing quote",
		"q=level=loud":                   "q: unknown level",
		"q=" + strings.Repeat("x", 1001): "q: 1001 bytes long",
		"q=" + strings.Repeat("x+", 33):  "q: more than 32 words",
		strings.Repeat("logger=a&", 101): "logger: given 101 times",
	} {
		for _, target := range []string{"/records", "/download", "/events"} {
			w := do(h, "GET", target+"?"+query)
			var answer struct{ Error string }
			err := json.Unmarshal(w.Body.Bytes(), &answer)
			if w.Code != http.StatusBadRequest || err != nil || !strings.HasPrefix(answer.Error, want) {
				t.Errorf("%s?%.60s: %d %s, want %q", target, query, w.Code, w.Body, want)
			}
		}
	}
	for target, want := range map[string]string{
		"/records?limit=many":     "limit: ",
		"/records?before=x":       "before: ",
		"/records?after=other-7":  "after: ",
		"/events?rate=-1":         "rate: ",
		"/events?backlog=all":     "backlog: ",
		"/download?format=binary": "format: ",
	} {
		if w := do(h, "GET", target); w.Code != 400 || !strings.Contains(w.Body.String(), `{"error":"`+want) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestHub_serveRecords_pages(t *testing.T) {
	h := newHub(live.Options{MaxRecords: 8})
	if p := records(t, h, ""); p.First != 1 || p.Head != 0 || p.Records == nil || len(p.Records) != 0 || p.More {
		t.Errorf("of nothing: %+v", p)
	}
	publish(t, h, 1, 10) // 3 to 10 are kept
	boot := records(t, h, "").Boot
	for query, want := range map[string]string{
		"":                     "3 4 5 6 7 8 9 10 false",
		"limit=2":              "9 10 true",
		"limit=0":              "10 true",
		"before=9&limit=2":     "7 8 true",
		"before=5":             "3 4 false",
		"before=1":             " false",
		"after=4&limit=2":      "5 6 true",
		"after=8":              "9 10 false",
		"after=0":              "3 4 5 6 7 8 9 10 false",
		"after=10":             " false",
		"after=4&before=8":     "5 6 7 false",
		"after=" + boot + "-8": "9 10 false",
		"q=/^[357]$/&limit=2":  "5 7 true",
		"q=/^[357]$/&limit=3":  "3 5 7 false",
		"before=99999&limit=1": "10 true",
	} {
		p := records(t, h, query)
		if got := fmt.Sprint(messages(p.Records), " ", p.More); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
		if p.First != 3 || p.Head != 10 || p.Boot != boot {
			t.Errorf("%s: %+v", query, p)
		}
		for _, r := range p.Records {
			if fmt.Sprint(r.S) != r.M {
				t.Errorf("%s: record %s has number %d", query, r.M, r.S)
			}
		}
	}
	publish(t, h, 11, 1500)
	if got := len(records(t, newHubWith(t, 1500), "limit=5000").Records); got != 1000 {
		t.Errorf("limit=5000 gives %d", got)
	}
}

func newHubWith(t *testing.T, n int) *live.Hub {
	h := newHub(live.Options{})
	publish(t, h, 1, n)
	return h
}

func TestHub_serveDownload(t *testing.T) {
	h := newHub(live.Options{})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := slog.NewRecord(at, slog.LevelWarn, "two\nlines", 0)
	r.AddAttrs(slog.String("logger", "a.b"), slog.Group("g", "k", 1))
	_ = h.Publish(r, live.Origin{Host: "web1", Process: "p", PID: 7})
	_ = h.Publish(slog.NewRecord(at, slog.LevelInfo, "other", 0), live.Origin{})

	w := do(h, "GET", "/download?level=warn&format=jsonl")
	if !regexp.MustCompile(`^attachment; filename="slogworks-\d{8}-\d{6}\.jsonl"$`).MatchString(w.Header().Get("Content-Disposition")) || w.Header().Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("headers %v", w.Header())
	}
	decoded, from, err := wire.Decode(w.Body.Bytes())
	if err != nil || decoded.Message != "two\nlines" || from.Host != "web1" || from.PID != 7 {
		t.Errorf("%+v %+v %v", decoded, from, err)
	}
	want := `time=2026-01-02T03:04:05.000Z level=WARN msg="two\nlines" logger=a.b g.k=1 host=web1 process=p pid=7` + "\n" +
		"time=2026-01-02T03:04:05.000Z level=INFO msg=other\n"
	if got := get(t, h, "/download?format=text"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := strings.Count(get(t, newHubWith(t, 3000), "/download"), "\n"); got != 3000 {
		t.Errorf("%d lines", got)
	}
}

func TestHub_serveStats(t *testing.T) {
	h := newHub(live.Options{MaxRecords: 2, Sources: func() []live.Source {
		return []live.Source{{Source: "tcp://127.0.0.1:9020", Connected: true, Received: 3}}
	}})
	publish(t, h, 1, 3)
	var got map[string]any
	if err := json.Unmarshal([]byte(get(t, h, "/stats")), &got); err != nil {
		t.Fatal(err)
	}
	if keys := fmt.Sprint(sortedKeys(got)); keys != "[boot clients first head kept records sources uptime_s]" {
		t.Errorf("keys %s", keys)
	}
	if got["records"] != 3.0 || got["kept"] != 2.0 || got["first"] != 2.0 || got["head"] != 3.0 || got["clients"] != 0.0 {
		t.Errorf("%v", got)
	}
	if want := `"sources":[{"source":"tcp://127.0.0.1:9020","connected":true,"received":3,"refused":{},"dropped":0}]`; !strings.Contains(get(t, h, "/stats"), want) {
		t.Errorf("%s, want %s", get(t, h, "/stats"), want)
	}
	if got := get(t, newHub(live.Options{}), "/stats"); !strings.Contains(got, `"sources":[]`) {
		t.Error(got)
	}
}

func TestOptions_Levels_answersUnderLevels(t *testing.T) {
	h := newHub(live.Options{Levels: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Method, " ", r.URL.Path)
	})})
	for _, test := range [][3]string{
		{"GET", "/levels", "GET /levels"},
		{"PUT", "/levels/a.b", "PUT /levels/a.b"},
		{"DELETE", "/debug/log/levels/a.b", "DELETE /levels/a.b"},
		{"PUT", "/ops/levels/log/levels/a.b", "PUT /levels/a.b"},
		{"GET", "/ops/levels/log/levels", "GET /levels"},
		{"GET", "/ops%20x/levels/acme%2Fpay%20ment", "GET /levels/acme/pay ment"},
	} {
		if got := do(h, test[0], test[1]).Body.String(); got != test[2] {
			t.Errorf("%s %s: %q", test[0], test[1], got)
		}
	}
	for _, target := range []string{"/ops/levels/log/", "/ops/levels/log/stats", "/ops/levels/log/live.js"} {
		if w := do(h, "GET", target); w.Code != 200 || strings.Contains(w.Body.String(), "GET /levels") {
			t.Errorf("behind a prefix with /levels/, %s is answered %d %.60q", target, w.Code, w.Body)
		}
	}
	if w := do(h, "PUT", "/levels/a.b", "Origin", "http://evil.example"); w.Code != 403 {
		t.Errorf("another site: %d", w.Code)
	}
}

func TestHub_servePage_isComplete(t *testing.T) {
	h := newHub(live.Options{Title: `<script>"shop"`})
	body := get(t, h, "/")
	for _, id := range []string{"state", "pause", "waiting", "rate", "search", "rows", "clear", "histogram"} {
		if !strings.Contains(body, `id="`+id+`"`) {
			t.Errorf("no #%s", id)
		}
	}
	for _, level := range []string{"debug", "info", "warn", "error", "critical"} {
		if !strings.Contains(body, `data-level="`+level+`" aria-pressed="true"`) {
			t.Errorf("no chip %s", level)
		}
	}
	if strings.Contains(body, "<script>") || !strings.Contains(body, "&lt;script&gt;&#34;shop&#34;") {
		t.Error("the title is not escaped")
	}
	for _, match := range regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllStringSubmatch(body, -1) {
		if w := do(h, "GET", "/"+match[1]); w.Code != 200 {
			t.Errorf("%s: %d", match[1], w.Code)
		}
	}
	loads := map[string]string{"live.js": "text/javascript", "live.css": "text/css", "icon.svg": "image/svg+xml"}
	for more := []string{"live.js"}; len(more) > 0; more = more[1:] {
		for _, match := range regexp.MustCompile(`from "\./([a-z]+\.js)"`).FindAllStringSubmatch(get(t, h, "/"+more[0]), -1) {
			if loads[match[1]] == "" {
				loads[match[1]] = "text/javascript"
				more = append(more, match[1])
			}
		}
	}
	for name, kind := range loads {
		w := do(h, "GET", "/"+name)
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) || w.Body.Len() == 0 {
			t.Errorf("%s: %d %s, %d bytes", name, w.Code, w.Header().Get("Content-Type"), w.Body.Len())
		}
		text := strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", "")
		if strings.Contains(text, "http://") || strings.Contains(text, "https://") || strings.Contains(text, "url(") {
			t.Errorf("%s leads outside", name)
		}
		if strings.Contains(text, "innerHTML") {
			t.Errorf("%s makes markup of text", name)
		}
	}
}

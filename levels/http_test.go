package levels_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/levels"
)

const form = "application/x-www-form-urlencoded"

func serve(table *levels.Table, method, target, contentType, body string) (status int, answer string) {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	table.ServeHTTP(w, r)
	return w.Code, strings.TrimSuffix(w.Body.String(), "\n")
}

// The requests are those of zap's documentation, and one that zap refuses
// although it documents it.
func TestTable_servesWhatAtomicLevelOfZapServes(t *testing.T) {
	for _, test := range []struct {
		method, target, contentType, body string
		want                              string
		level                             slog.Level
	}{
		{"GET", "/", "", "", `{"level":"info"}`, slog.LevelInfo},
		{"PUT", "/", "application/json", `{"level":"debug"}`, `{"level":"debug"}`, slog.LevelDebug},
		{"PUT", "/", "", `{"level":"debug"}`, `{"level":"debug"}`, slog.LevelDebug},
		{"PUT", "/", form, `level=debug`, `{"level":"debug"}`, slog.LevelDebug},
		{"PUT", "/?level=debug", form, ``, `{"level":"debug"}`, slog.LevelDebug},
		{"PUT", "/?level=debug", "", ``, `{"level":"debug"}`, slog.LevelDebug},
		{"PUT", "/?level=error", form, `level=warn`, `{"level":"warn"}`, slog.LevelWarn},
	} {
		table := new(levels.Table)
		status, answer := serve(table, test.method, test.target, test.contentType, test.body)
		if status != http.StatusOK || answer != test.want || table.Level("") != test.level {
			t.Errorf("%s %s %q: %d %s, and the level is %v", test.method, test.target, test.body, status, answer, table.Level(""))
		}
	}
}

func TestTable_servesRulesForLoggers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where it is always the year 2000
		table := new(levels.Table)
		for _, step := range []struct {
			method, target, contentType, body, want string
		}{
			{"PUT", "/?logger=a.b&ttl=10m", form, "level=debug", `{"logger":"a.b","level":"debug","until":"2000-01-01T00:10:00Z"}`},
			{"PUT", "/", "application/json; charset=utf-8", `{"logger":"c","level":"error+4"}`, `{"logger":"c","level":"error+4"}`},
			{"PUT", "/", form + "; charset=utf-8", `logger=d&level=-4&ttl=90s`, `{"logger":"d","level":"debug","until":"2000-01-01T00:01:30Z"}`},
			{"PUT", "/?logger=e", form, `{"level":8,"ttl":"1h"}`, `{"logger":"e","level":"error","until":"2000-01-01T01:00:00Z"}`},
			{"PUT", "/?level=warn&logger=c", "", "", `{"logger":"c","level":"warn"}`},
			{"GET", "/?logger=a.b", "", "", `{"logger":"a.b","level":"debug","until":"2000-01-01T00:10:00Z"}`},
			{"GET", "/?logger=a.b.c", "", "", `{"logger":"a.b.c","level":"debug"}`},
			{"DELETE", "/?logger=e", "", "", `{"logger":"e","level":"info"}`},
			{"PUT", "/?logger=f", form, "level=debug", `{"logger":"f","level":"debug"}`},
			{"DELETE", "/", form, "logger=f", `{"logger":"f","level":"info"}`},
			{"PUT", "/?logger=f", form, "level=debug", `{"logger":"f","level":"debug"}`},
			{"DELETE", "/", "application/json", `{"logger":"f"}`, `{"logger":"f","level":"info"}`},
			{"PUT", "/", form, "logger=g&level=warn&ttl=1d12h", `{"logger":"g","level":"warn","until":"2000-01-02T12:00:00Z"}`},
			{"DELETE", "/?logger=g", "", "", `{"logger":"g","level":"info"}`},
			{"PUT", "/?ttl=1h", "", `{"level":"warn"}`,
				`{"level":"warn","until":"2000-01-01T01:00:00Z","loggers":{"a.b":{"level":"debug","until":"2000-01-01T00:10:00Z"},"c":{"level":"warn"},"d":{"level":"debug","until":"2000-01-01T00:01:30Z"}}}`},
			{"DELETE", "/", "", "",
				`{"level":"info","loggers":{"a.b":{"level":"debug","until":"2000-01-01T00:10:00Z"},"c":{"level":"warn"},"d":{"level":"debug","until":"2000-01-01T00:01:30Z"}}}`},
		} {
			status, answer := serve(table, step.method, step.target, step.contentType, step.body)
			if status != http.StatusOK || answer != step.want {
				t.Fatalf("%s %s %q: %d %s, want %s", step.method, step.target, step.body, status, answer, step.want)
			}
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if _, answer := serve(table, "GET", "/", "", ""); answer != `{"level":"info","loggers":{"c":{"level":"warn"}}}` {
			t.Errorf("after ten minutes: %s", answer)
		}
	})
}

// TestTable_turnsOneLoggerToDebugWithOneCurl sends over a connection what
//
//	curl -X PUT localhost:8080/log/level -d logger=shop.db -d level=debug -d ttl=10m
//
// sends.
func TestTable_turnsOneLoggerToDebugWithOneCurl(t *testing.T) {
	rec := new(handlertest.Recorder)
	h := levels.New(rec, nil)
	mux := http.NewServeMux()
	mux.Handle("/log/level", h.Table())
	server := httptest.NewServer(mux)
	defer server.Close()

	request, err := http.NewRequest("PUT", server.URL+"/log/level", strings.NewReader("logger=shop.db&level=debug&ttl=10m"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", form)
	before := time.Now()
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s %q %s: %v", response.Status, response.Header, answer, err)
	}
	if want := `{"logger":"shop.db","level":"debug","until":"`; !strings.HasPrefix(string(answer), want) {
		t.Errorf("the answer is %s", answer)
	}
	rules := h.Table().Rules()
	h.Table().Reset("shop.db")
	if len(rules) != 1 || rules[0].Logger != "shop.db" || rules[0].Level != slog.LevelDebug {
		t.Fatalf("the rules are %v", rules)
	}
	if ttl := rules[0].Until.Sub(before); ttl < 10*time.Minute || ttl > 11*time.Minute {
		t.Errorf("the rule ends after %v", ttl)
	}
}

func TestTable_takesARequestWithoutABody(t *testing.T) {
	table := new(levels.Table)
	table.Set("a", slog.LevelDebug, 0)
	r, err := http.NewRequest("DELETE", "/?logger=a", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	table.ServeHTTP(w, r)
	if w.Code != http.StatusOK || len(table.Rules()) != 0 {
		t.Errorf("%d %s, and the rules are %v", w.Code, w.Body, table.Rules())
	}
}

func TestTable_answersMistakesAndChangesNothing(t *testing.T) {
	const accepted = "want debug, info, warn or error"
	for _, test := range []struct {
		method, target, contentType, body string
		status                            int
		says                              string
	}{
		{"PUT", "/", "application/json", `{"level":"loud"}`, 400, accepted},
		{"PUT", "/", form, `level=loud`, 400, accepted},
		{"PUT", "/", "application/json", `{"level":1.5}`, 400, accepted},
		{"PUT", "/", "application/json", `{}`, 400, "no level"},
		{"PUT", "/", "", ``, 400, "no level"},
		{"PUT", "/", "application/json", `{"level":null}`, 400, "want level, logger and ttl"},
		{"PUT", "/", "application/json", `{"level":"debug","tll":"10m"}`, 400, `bad field \"tll\"`},
		{"PUT", "/", "application/json", `{"level":"debug","ttl":10}`, 400, `bad field \"ttl\"`},
		{"PUT", "/", "application/json", `{"level":"debug"} {}`, 400, "malformed JSON"},
		{"PUT", "/", "application/json", `level=debug`, 400, "malformed JSON"},
		{"PUT", "/", "application/json", `["debug"]`, 400, "malformed JSON"},
		{"PUT", "/", form, `level=debug&tll=10m`, 400, `bad field \"tll\"`},
		{"PUT", "/", form, `level=debug&level=info`, 400, "each once"},
		{"PUT", "/", form, `level=%zz`, 400, "malformed form"},
		{"PUT", "/?ttl=10", form, `level=debug`, 400, "want a duration"},
		{"PUT", "/?ttl=0s", form, `level=debug`, 400, "above 0"},
		{"PUT", "/?ttl=-1m", form, `level=debug`, 400, "above 0"},
		{"PUT", "/", form, `level=debug&logger=` + strings.Repeat("a", 1<<16), 400, "too large"},
		{"DELETE", "/", form, `loger=a`, 400, `bad field \"loger\"`},
		{"DELETE", "/?logger=a", form, `level=debug`, 400, "takes no level"},
		{"DELETE", "/?logger=a&ttl=1m", "", ``, 400, "takes no level"},
		{"POST", "/", form, `level=debug`, 405, "want GET, PUT or DELETE"},
	} {
		table := new(levels.Table)
		table.Set("a", slog.LevelWarn, 0)
		before := table.Rules()
		status, answer := serve(table, test.method, test.target, test.contentType, test.body)
		if status != test.status || !strings.HasPrefix(answer, `{"error":"levels: `) || !strings.Contains(answer, test.says) {
			t.Errorf("%s %s %.40q: %d %s, want %d with %q", test.method, test.target, test.body, status, answer, test.status, test.says)
		}
		if after := table.Rules(); !reflect.DeepEqual(before, after) {
			t.Errorf("%s %s %.40q changed the rules to %v", test.method, test.target, test.body, after)
		}
	}
	w := httptest.NewRecorder()
	new(levels.Table).ServeHTTP(w, httptest.NewRequest("PATCH", "/", nil))
	if allow := w.Header().Get("Allow"); allow != "GET, HEAD, PUT, DELETE" {
		t.Errorf("405 with Allow: %q", allow)
	}
}

func FuzzTable_ServeHTTP(f *testing.F) {
	f.Add(true, `level=debug&logger=a&ttl=1h`)
	f.Add(false, `{"level":"debug","logger":"a","ttl":"1h"}`)
	f.Add(true, `{"level":-4}`)
	f.Add(false, `{"level":1e300}`)
	f.Fuzz(func(t *testing.T, asForm bool, body string) {
		table := new(levels.Table)
		contentType := ""
		if asForm {
			contentType = form
		}
		status, answer := serve(table, "PUT", "/", contentType, body)
		rules := table.Rules()
		if status != http.StatusOK && status != http.StatusBadRequest || (status == http.StatusOK) != (len(rules) == 1) {
			t.Errorf("%q: %d %s, and the rules are %v", body, status, answer, rules)
		}
		for _, rule := range rules {
			if got, err := levels.Parse(fmt.Sprint(rule.Level)); err != nil || got != rule.Level {
				t.Errorf("%q made the level %v", body, rule.Level)
			}
			table.Reset(rule.Logger)
		}
	})
}

// Where the addresses of config are taken for those of a table, not all loggers
// change for one.
func TestTable_takesNoLoggerFromThePath(t *testing.T) {
	table := new(levels.Table)
	mux := http.NewServeMux()
	mux.Handle("/levels/", table)
	mux.Handle("/levels/app", table)
	for target, want := range map[string]int{
		"/levels/shop.db":                    http.StatusBadRequest,
		"/levels/shop.db?logger=shop.orders": http.StatusOK,
		"/levels/root?logger=":               http.StatusOK,
		"/levels/app":                        http.StatusOK,
		"/levels/":                           http.StatusOK,
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("PUT", target, strings.NewReader(`{"level":"warn"}`)))
		if w.Code != want {
			t.Errorf("PUT %s: %d %s, want %d", target, w.Code, w.Body, want)
		}
		if want != http.StatusOK && table.Level("") != slog.LevelInfo {
			t.Errorf("PUT %s changed all loggers", target)
		}
		table.Reset("")
	}
}

package live_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/sinks/live"
)

// story is what the filters are tried on; messages are single letters and what
// the search is to find.
func story() *live.Hub {
	h := newHub(live.Options{})
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	add := func(level slog.Level, message, logger string, from live.Origin, attrs ...slog.Attr) {
		r := slog.NewRecord(at, level, message, 0)
		if logger != "" {
			r.AddAttrs(slog.String(slogworks.LoggerKey, logger))
		}
		r.AddAttrs(attrs...)
		_ = h.Publish(r, from)
		at = at.Add(time.Minute)
	}
	web1, web2 := live.Origin{Host: "web1", Process: "api"}, live.Origin{Host: "web2", Process: "worker"}
	add(slog.LevelDebug-4, "trace", "", web1)
	add(slog.LevelDebug, "debug", "a", web1, slog.Int("status", 200), slog.Duration("took", 90*time.Millisecond))
	add(slog.LevelInfo, "info", "a.b", web2, slog.Int("status", 404), slog.String("path", "/api/users"), slog.Duration("took", 2*time.Second))
	add(slog.LevelInfo+2, "notice", "a.b.c", web2, slog.Float64("load", 0.75), slog.Float64("sum", 1234567.5), slog.Bool("cached", true))
	add(slog.LevelWarn, "warn", "a.bc", web1, slog.String("text", "No Answer from Ümlaut"), slog.Time("due", at))
	add(slog.LevelError, "error", "x", web1, slog.Any("err", errors.New("dial: refused")), slog.Group("req", slog.String("id", "r-7"), slog.Group("user", slog.String("name", "ada"))))
	add(slog.LevelError+4, "critical", "x", web2, slog.Any("map", map[string]int{"n": 7}), slog.String("quote", `say "hi"`), slog.Any("nothing", nil), slog.Uint64("big", 1<<63), slog.String("digits", "12"), slog.String("empty", ""), slog.Any("raw", []byte("hi")))
	return h
}

func TestFilters_take(t *testing.T) {
	h := story()
	const all = "trace debug info notice warn error critical"
	for _, test := range []struct{ query, want string }{
		{"", all},
		{"level=", all},
		{"level=debug", "debug info notice warn error critical"},
		{"level=WARN", "warn error critical"},
		{"level=warning", "warn error critical"},
		{"level=fatal", "critical"},
		{"level=critical", "critical"},
		{"level=trace", all},
		{"level=info%2B2", "notice warn error critical"},
		{"level=-4", "debug info notice warn error critical"},
		{"level=error-4", "warn error critical"},
		{"level=info,error", "info notice error"},
		{"level=info,", "info notice"},
		{"level=critical,debug", "trace debug critical"},
		{"level=,", ""},

		{"logger=a.b", "info notice"},
		{"logger=a", "debug info notice warn"},
		{"logger=a.b&logger=x", "info notice error critical"},
		{"logger=!a.b", "trace debug warn error critical"},
		{"logger=!a&logger=!x", "trace"},
		{"logger=a&logger=!a.b", "debug warn"},
		{"logger=a&logger=!a.b&logger=a.b.c", "debug notice warn"},
		{"logger=a.b.c&logger=!a.b&logger=a", "debug notice warn"},
		{"logger=a.b&logger=!a.b", ""},
		{"logger=!a.b&logger=a.b", ""},
		{"logger=&logger=!", all},

		{"host=web1", "trace debug warn error"},
		{"host=web1&host=web2", all},
		{"host=web3", ""},
		{"process=worker", "info notice critical"},
		{"host=web1&process=worker", ""},

		{"from=2026-11-21T03:05:00Z", "error critical"},
		{"to=2026-11-21T03:01:00Z", "trace debug"},
		{"from=2026-11-21T04:01:00%2B01:00&to=2026-11-21T03:02:30.5Z", "debug info"},

		{"level=error&host=web2&q=n", "critical"},
	} {
		t.Run(test.query, func(t *testing.T) {
			if got := messages(records(t, h, test.query).Records); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// searches are expressions and what they find in the story.
var searches = []struct{ q, want string }{
	{"warn", "warn"},
	{"WARN", "warn"},
	{"wArN", "warn"},
	{"  warn  ", "warn"},
	{"-warn", "trace debug info notice error critical"},
	{"a.b", "info notice warn"},
	{"status", "debug info"},
	{"404", "info"},
	{"status 404", "info"},
	{"status -404", "debug"},
	{"/api/users", "info"},
	{"/user", "info"},
	{"/^info$/", "info"},
	{"/INFO/", ""},
	{"/(?i)INFO/", "info"},
	{"/^a\\.b/", "info notice warn"},
	{"-/r/", "debug"},
	{"/no .*answer/", ""},
	{"/No .*mlaut/", "warn"},
	{`"no answer"`, "warn"},
	{"no answer", "warn"},
	{`answer\ from`, ""},
	{"üMLAUT", "warn"},
	{`-"no answer"`, "trace debug info notice error critical"},
	{`"say \"hi\""`, "critical"},
	{"refused", "error"},
	{"errorString", ""},
	{"name", "error"},
	{"/^name$/", "error"},
	{"req.user", "error"},
	{"ada", "error"},
	{"2s", "info"},
	{"90ms", "debug"},
	{`{"n":7}`, "critical"},
	{"map[n:7]", "critical"},
	{"sum=1.2345675e+06", "notice"}, // to slog.TextHandler
	{"sum=1234567.5", "notice"},     // to slog.JSONHandler
	{"raw=hi", "critical"},
	{"raw=aGk=", "critical"},
	{"-", "warn error"},
	{"source", ""},

	{"status=200", "debug"},
	{"status=20", ""},
	{"status!=200", "trace info notice warn error critical"},
	{"-status=200", "trace info notice warn error critical"},
	{"-status!=200", "debug"},
	{"Status=200", "debug"},
	{"path=/API/users", "info"},
	{"path=/users$/", "info"},
	{`text="no answer from ümlaut"`, "warn"},
	{"text=no", ""},
	{"id=r-7", "error"},
	{"req.id=R-7", "error"},
	{"q.id=r-7", ""},
	{"name=ada", "error"},
	{"user.name=ada", "error"},
	{"err=/refused/", "error"},
	{"cached=true", "notice"},
	{"empty=", "critical"},
	{`empty=""`, "critical"},
	{"took=2s", "info"},

	{"status>200", "info"},
	{"status>=200", "debug info"},
	{"status<404", "debug"},
	{"status<=404", "debug info"},
	{"load>0.5", "notice"},
	{"load>x", ""},
	{"took>100ms", "info"},
	{"took>1", "info"},
	{"took<1m30s", "debug info"},
	{"big>5", "critical"},
	{"digits>11", "critical"},
	{"text>5", ""},
	{"due>2026-11-21T03:00:00Z", "warn"},
	{"due>2026-11-21T03:30:00Z", ""},
	{"-took>100ms status=200", "debug"},

	{"level=warn", "warn"},
	{"level=info", "info notice"},
	{"level>info", "notice warn error critical"},
	{"level>=error", "error critical"},
	{"level!=info", "trace debug warn error critical"},
	{"level<debug", "trace"},
	{"logger=a.b", "info notice"},
	{"logger!=a", "trace error critical"},
	{"logger=/b$/", "info"},
	{"logger=", "trace"},
}

func TestQuery_takes(t *testing.T) {
	h := story()
	for _, test := range searches {
		t.Run(test.q, func(t *testing.T) {
			if got := messages(records(t, h, "q="+url.QueryEscape(test.q)).Records); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestQuery_readsRecordsWithoutTimeByWhenTheyCame(t *testing.T) {
	h := newHub(live.Options{})
	_ = h.Publish(slog.Record{Message: "m"}, live.Origin{})
	if strings.Contains(get(t, h, "/download"), `"t":`) {
		t.Error("the record got a time")
	}
	if got := len(records(t, h, "from=2026-01-01T00:00:00Z").Records); got != 1 {
		t.Errorf("%d records since the beginning of the year", got)
	}
}

func FuzzQuery(f *testing.F) {
	for _, test := range searches {
		f.Add(test.q)
	}
	for _, q := range []string{`"`, "/(/", "a=", "=", "!=", "--", "-/", "/ /", `"\`, "level=x", "a>=", "\xff", `a="b`} {
		f.Add(q)
	}
	h := story()
	f.Fuzz(func(t *testing.T, q string) {
		find := func(q string) (status int, found map[string]bool) {
			w := do(h, "GET", "/records?q="+url.QueryEscape(q))
			var p page
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%d %s: %v", w.Code, w.Body, err)
			}
			found = map[string]bool{}
			for _, r := range p.Records {
				found[r.M] = true
			}
			return w.Code, found
		}
		status, found := find(q)
		if status != http.StatusOK {
			if status != http.StatusBadRequest {
				t.Fatalf("%q: %d", q, status)
			}
			return
		}
		// What is quoted is a text, and every record has it or has not.
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(q) + `"`
		has, with := find(quoted)
		hasNot, without := find("-" + quoted)
		if has == 200 && hasNot == 200 && len(with)+len(without) != 7 {
			t.Errorf("%s has %d records and -%s %d", quoted, len(with), quoted, len(without))
		}
		if again, same := find(q + " "); again == 200 && fmt.Sprint(sortedKeys(same)) != fmt.Sprint(sortedKeys(found)) {
			t.Errorf("%q finds %v, with a blank behind it %v", q, found, same)
		}
	})
}

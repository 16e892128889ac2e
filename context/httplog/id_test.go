package httplog_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/context/httplog"
)

var (
	madeID    = regexp.MustCompile(`^[A-Z2-7]{26}$`)
	trustable = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:=+-]{0,127}$`)
)

// answeredID returns the id that a request with these headers gets.
func answeredID(t *testing.T, opts httplog.Options, header http.Header) string {
	t.Helper()
	r := get("/")
	r.Header = header
	w, logs := serve(opts, func(_ http.ResponseWriter, r *http.Request) {
		if id := httplog.RequestID(r.Context()); id == "" {
			t.Error("RequestID returns nothing")
		}
	}, r)
	name := opts.IDHeader
	if name == "" {
		name = "X-Request-Id"
	}
	ids := w.Header().Values(name)
	if len(ids) != 1 {
		t.Fatalf("the answer has the ids %q", ids)
	}
	wantAttrs(t, logs.Message(access).One(t), map[string]string{"request_id": ids[0]})
	return ids[0]
}

func TestHandler_makesIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := answeredID(t, httplog.Options{}, nil)
		if !madeID.MatchString(id) || seen[id] {
			t.Fatalf("made %q, seen before: %v", id, seen[id])
		}
		seen[id] = true
	}
}

func TestHandler_trustsIDsIfToldTo(t *testing.T) {
	long := strings.Repeat("x", 128)
	for name, tt := range map[string]struct {
		opts   httplog.Options
		header http.Header
		want   string // "" for one that is made
	}{
		"not by default":              {httplog.Options{}, http.Header{"X-Request-Id": {"abc"}}, ""},
		"a UUID":                      {httplog.Options{TrustID: true}, http.Header{"X-Request-Id": {"7f1c0a52-0c1e-4b35-9a51-1f0e3c1d2b4a"}}, "7f1c0a52-0c1e-4b35-9a51-1f0e3c1d2b4a"},
		"an id of a load balancer":    {httplog.Options{TrustID: true, IDHeader: "x-amzn-trace-id"}, http.Header{"X-Amzn-Trace-Id": {"Root=1-67891233-abcdef012345678912345678"}}, "Root=1-67891233-abcdef012345678912345678"},
		"128 bytes":                   {httplog.Options{TrustID: true}, http.Header{"X-Request-Id": {long}}, long},
		"none":                        {httplog.Options{TrustID: true}, nil, ""},
		"none in a header of no name": {httplog.Options{TrustID: true}, http.Header{"": {"abc"}}, ""},
		"two":                         {httplog.Options{TrustID: true}, http.Header{"X-Request-Id": {"abc", "def"}}, ""},
		"no values":                   {httplog.Options{TrustID: true}, http.Header{"X-Request-Id": {}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := answeredID(t, tt.opts, tt.header)
			if tt.want != "" && got != tt.want || tt.want == "" && !madeID.MatchString(got) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// forged are ids that must not get into a log, a header, or a file's name.
var forged = []string{
	"", " ", "a b", " a", "a\r\nSet-Cookie: b=c", "a\n", "a\x00b", "a\x1b[2Jb", "ü", "a\xff", "a\u2028b",
	strings.Repeat("x", 129), strings.Repeat("x", 1<<20),
	`{"level":"ERROR"}`, `a"b`, `a\b`, "a,b", "a;b", "<script>", "%s", "$(id)", "`id`", "a'b",
	".", "..", "../../etc/passwd", "a/b", "-rf", "=cmd",
}

func TestHandler_refusesForgedIDs(t *testing.T) {
	for _, id := range forged {
		name := id
		if len(name) > 20 {
			name = name[:20]
		}
		t.Run(name, func(t *testing.T) {
			got := answeredID(t, httplog.Options{TrustID: true}, http.Header{"X-Request-Id": {id}})
			if !madeID.MatchString(got) {
				t.Errorf("was taken for %q", got)
			}
		})
	}
}

func FuzzHandler_trustsNoOtherIDs(f *testing.F) {
	for _, id := range append(forged, "abc", "7f1c0a52-0c1e-4b35-9a51-1f0e3c1d2b4a") {
		f.Add(id)
	}
	h := httplog.New(http.NotFoundHandler(), &httplog.Options{TrustID: true})
	f.Fuzz(func(t *testing.T, id string) {
		r, w := get("/"), httptest.NewRecorder()
		r.Header["X-Request-Id"] = []string{id}
		h.ServeHTTP(w, r)
		got := w.Header().Get("X-Request-Id")
		if (got == id) != trustable.MatchString(id) || got != id && !madeID.MatchString(got) {
			t.Errorf("%q was answered with %q", id, got)
		}
	})
}

func TestRequestID_isOfRequestsOnly(t *testing.T) {
	if id := httplog.RequestID(t.Context()); id != "" {
		t.Errorf("got %q", id)
	}
}

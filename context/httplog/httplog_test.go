package httplog_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/slogworks/slogworks"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/context/httplog"
	"github.com/slogworks/slogworks/sinks/memory"
)

const (
	access   = "http request"
	panicked = "http handler panicked"
)

// newLogs returns a logger that adds what a context carries, and what it logs.
func newLogs() (*slog.Logger, *memory.Handler) {
	logs := memory.New(nil)
	return slog.New(slogctx.New(logs, nil)), logs
}

// serve serves one request without a server.
func serve(opts httplog.Options, next http.HandlerFunc, r *http.Request) (*httptest.ResponseRecorder, *memory.Handler) {
	logger, logs := newLogs()
	if opts.Logger == nil {
		opts.Logger = logger
	}
	w := httptest.NewRecorder()
	httplog.New(next, &opts).ServeHTTP(w, r)
	return w, logs
}

func get(target string) *http.Request { return httptest.NewRequest("GET", target, nil) }

// keys are those of a record's attributes, with how often each is there.
func keys(v slogworks.View) map[string]int {
	n := map[string]int{}
	for a := range v.Attrs() {
		n[a.Key]++
	}
	return n
}

// text returns an attribute, "" if there is none.
func text(v slogworks.View, key string) string {
	value, ok := v.Attr(key)
	if !ok {
		return ""
	}
	return value.String()
}

// wantAttrs checks some attributes; "" is one that must not be there.
func wantAttrs(t *testing.T, v slogworks.View, want map[string]string) {
	t.Helper()
	for key, value := range want {
		if got := text(v, key); got != value {
			t.Errorf("%s: %s is %q, want %q", v.Message(), key, got, value)
		}
	}
}

func TestNew_refusesNil(t *testing.T) {
	for name, build := range map[string]func(){
		"New":        func() { httplog.New(nil, nil) },
		"Middleware": func() { httplog.Middleware(nil)(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p != "httplog: nil Handler" {
					t.Errorf("panics with %v", p)
				}
			}()
			build()
		})
	}
}

// No t.Parallel: it sets the default logger, as both have no other.
func TestNew_takesNilOptionsForZeroOnes(t *testing.T) {
	logger, w, flags := slog.Default(), log.Writer(), log.Flags()
	defer func() {
		slog.SetDefault(logger)
		log.SetOutput(w) // SetDefault had changed these
		log.SetFlags(flags)
	}()
	handlers := []http.Handler{httplog.New(shop(), nil), httplog.New(shop(), &httplog.Options{})}
	for _, h := range handlers {
		logger, logs := newLogs()
		slog.SetDefault(logger) // after New
		w := httptest.NewRecorder()
		r := get("/orders/7")
		r.Header.Set("X-Request-Id", "mine")
		h.ServeHTTP(w, r)
		v := logs.Message(access).One(t)
		if v.Level() != slog.LevelInfo {
			t.Errorf("level %v", v.Level())
		}
		wantAttrs(t, v, map[string]string{"status": "200", "bytes": "8", "method": "GET", "path": "/orders/7",
			"route": "GET /orders/{id}", "remote_addr": "192.0.2.1:1234", "request_id": w.Header().Get("X-Request-Id")})
		if text(v, "request_id") == "mine" || text(v, "request_id") == "" {
			t.Errorf("the request's id is %q", text(v, "request_id"))
		}
	}
}

func TestNew_copiesItsOptions(t *testing.T) {
	logger, logs := newLogs()
	opts := &httplog.Options{Logger: logger}
	h := httplog.New(shop(), opts)
	if opts.IDHeader != "" || opts.Failed != nil {
		t.Error("defaults stand in the caller's options")
	}
	opts.Logger, opts.IDHeader = nil, "X-Other"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, get("/"))
	logs.Message(access).One(t)
	if w.Header().Get("X-Request-Id") == "" {
		t.Errorf("header %v", w.Header())
	}
}

func TestMiddleware_isNewWithItsOptions(t *testing.T) {
	logger, logs := newLogs()
	wrap := httplog.Middleware(&httplog.Options{Logger: logger})
	for range 2 {
		wrap(shop()).ServeHTTP(httptest.NewRecorder(), get("/orders/7"))
	}
	if n := logs.Message(access).Attr("route", "GET /orders/{id}").Len(); n != 2 {
		t.Errorf("%d access records, want 2", n)
	}
}

func TestHandler_givesItsAttributesToAllRecordsOfARequest(t *testing.T) {
	logger, logs := newLogs()
	shared := []slog.Attr{slog.String("tenant", "acme")}
	mux := http.NewServeMux()
	mux.HandleFunc("/a/{x}", func(_ http.ResponseWriter, r *http.Request) {
		shared[0] = slog.String("tenant", "other")
		logger.WithGroup("g").InfoContext(r.Context(), "own", "k", "v")
	})
	h := httplog.New(mux, &httplog.Options{Logger: logger, Attrs: func(r *http.Request) []slog.Attr { return shared }})
	h.ServeHTTP(httptest.NewRecorder(), get("/a/b"))

	for _, message := range []string{"own", access} {
		v := logs.Message(message).One(t)
		wantAttrs(t, v, map[string]string{"method": "GET", "route": "/a/{x}", "remote_addr": "192.0.2.1:1234", "tenant": "acme"})
		if text(v, "request_id") == "" {
			t.Errorf("%s has no id", message)
		}
		for key, n := range keys(v) {
			if n != 1 {
				t.Errorf("%s: %s is there %d times", message, key, n)
			}
		}
	}
}

func TestHandler_logsAllToALoggerThatAddsNothing(t *testing.T) {
	logs := memory.New(nil)
	serve(httplog.Options{Logger: slog.New(logs)}, func(http.ResponseWriter, *http.Request) {}, get("/a"))
	v := logs.Message(access).One(t)
	if text(v, "request_id") == "" || text(v, "remote_addr") == "" {
		t.Errorf("the record has %v", keys(v))
	}
}

func TestHandler_keepsWhatAnOuterContextCarries(t *testing.T) {
	r := get("/")
	r = r.WithContext(slogctx.With(r.Context(), "listener", "public"))
	_, logs := serve(httplog.Options{}, func(http.ResponseWriter, *http.Request) {}, r)
	wantAttrs(t, logs.Message(access).One(t), map[string]string{"listener": "public"})
}

func TestHandler_findsTheRoute(t *testing.T) {
	own := "own"
	logOwn := func(logger *slog.Logger) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) { logger.InfoContext(r.Context(), own) }
	}
	tests := map[string]struct {
		build       func(logger *slog.Logger) http.Handler
		own, access string
	}{
		"of a mux, in advance": {func(l *slog.Logger) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("GET /a/{x}", logOwn(l))
			return httplog.New(mux, &httplog.Options{Logger: l})
		}, "GET /a/{x}", "GET /a/{x}"},
		"of a mux behind something else, afterwards": {func(l *slog.Logger) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/a/{x}", logOwn(l))
			return httplog.New(http.HandlerFunc(mux.ServeHTTP), &httplog.Options{Logger: l})
		}, "", "/a/{x}"},
		"of a mux in a mux, afterwards": {func(l *slog.Logger) http.Handler {
			inner, outer := http.NewServeMux(), http.NewServeMux()
			inner.Handle("/a/{x}", logOwn(l))
			outer.Handle("/a/", inner)
			return httplog.New(outer, &httplog.Options{Logger: l})
		}, "/a/", "/a/{x}"},
		"of the mux that it is in": {func(l *slog.Logger) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/a/{x}", httplog.New(logOwn(l), &httplog.Options{Logger: l}))
			return mux
		}, "/a/{x}", "/a/{x}"},
		"that there is not": {func(l *slog.Logger) http.Handler {
			return httplog.New(logOwn(l), &httplog.Options{Logger: l})
		}, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			logger, logs := newLogs()
			tt.build(logger).ServeHTTP(httptest.NewRecorder(), get("/a/b"))
			wantAttrs(t, logs.Message(own).One(t), map[string]string{"route": tt.own})
			wantAttrs(t, logs.Message(access).One(t), map[string]string{"route": tt.access})
		})
	}
}

func TestHandler_logsTheRequestAsItCame(t *testing.T) {
	_, logs := serve(httplog.Options{}, func(_ http.ResponseWriter, r *http.Request) {
		r.URL.Path, r.Method, r.RemoteAddr = "/rewritten", "PUT", "10.0.0.1:1"
	}, get("/a"))
	wantAttrs(t, logs.Message(access).One(t), map[string]string{"path": "/a", "method": "GET", "remote_addr": "192.0.2.1:1234"})
}

func TestHandler_logsNoSecrets(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"that answers": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "swordfish") },
		"that fails":   func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) },
		"that panics":  func(w http.ResponseWriter, r *http.Request) { panic("oh") },
	}
	for name, next := range handlers {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			logger := slog.New(slogctx.New(slog.NewTextHandler(&out, &slog.HandlerOptions{AddSource: true, Level: slog.LevelDebug}), nil))
			r := httptest.NewRequest("POST", "https://user:swordfish@example.com/reset?token=swordfish", strings.NewReader("swordfish"))
			for _, header := range []string{"Authorization", "Cookie", "Referer", "X-Forwarded-For"} {
				r.Header.Set(header, "swordfish")
			}
			serve(httplog.Options{Logger: logger}, next, r)
			if out.Len() == 0 || strings.Contains(out.String(), "swordfish") {
				t.Errorf("logged\n%s", &out)
			}
		})
	}
}

func TestHandler_leavesTheRequestAlone(t *testing.T) {
	body := io.NopCloser(strings.NewReader("hello"))
	r := get("/a?b=c")
	r.Body, r.ContentLength = body, 5
	ctx := r.Context()
	serve(httplog.Options{}, func(_ http.ResponseWriter, got *http.Request) {
		if got.Body != body || got.URL != r.URL || got.ContentLength != 5 || got.Pattern != "" {
			t.Errorf("the handler got another request: %v", got)
		}
		if b, err := io.ReadAll(got.Body); string(b) != "hello" || err != nil {
			t.Errorf("the body is %q, %v", b, err)
		}
	}, r)
	if r.Context() != ctx || r.Pattern != "" {
		t.Error("the caller's request was changed")
	}
}

func TestHandler_skipsAccessRecords(t *testing.T) {
	skip := func(r *http.Request) bool { return r.URL.Path == "/health" }
	tests := map[string]struct {
		path string
		next http.HandlerFunc
		want int
	}{
		"of what it is told to":      {"/health", func(http.ResponseWriter, *http.Request) {}, 0},
		"of no other":                {"/other", func(http.ResponseWriter, *http.Request) {}, 1},
		"unless the request fails":   {"/health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, 1},
		"unless the handler panics":  {"/health", func(http.ResponseWriter, *http.Request) { panic("oh") }, 1},
		"of what is not found there": {"/health", http.NotFound, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w, logs := serve(httplog.Options{Skip: skip}, tt.next, get(tt.path))
			if n := logs.Message(access).Len(); n != tt.want {
				t.Errorf("%d access records, want %d", n, tt.want)
			}
			if w.Header().Get("X-Request-Id") == "" {
				t.Error("the request got no id")
			}
		})
	}
}

func TestHandler_choosesTheLevel(t *testing.T) {
	tests := map[string]struct {
		status int
		opts   httplog.Options
		want   slog.Level
	}{
		"Info for what works":                {200, httplog.Options{}, slog.LevelInfo},
		"Info for what the client did wrong": {404, httplog.Options{}, slog.LevelInfo},
		"Error for what fails":               {500, httplog.Options{}, slog.LevelError},
		"Info for what is no failure here": {503, httplog.Options{
			Failed: func(_ *http.Request, status int) bool { return status == 500 }}, slog.LevelInfo},
		"Error for what is one here": {404, httplog.Options{
			Failed: func(_ *http.Request, status int) bool { return status == 404 }}, slog.LevelError},
		"or what it is told": {404, httplog.Options{
			StatusLevel: func(_ *http.Request, status int) slog.Level { return slog.Level(status) }}, 404},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, logs := serve(tt.opts, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) }, get("/"))
			if v := logs.Message(access).One(t); v.Level() != tt.want {
				t.Errorf("level %v, want %v", v.Level(), tt.want)
			}
		})
	}
}

func TestHandler_asksNobodyForRecordsThatNobodyWants(t *testing.T) {
	quiet := memory.New(&memory.Options{Level: slog.LevelError + 1})
	serve(httplog.Options{Logger: slog.New(quiet)}, func(http.ResponseWriter, *http.Request) { panic("oh") }, get("/"))
	if n := quiet.Len(); n != 0 {
		t.Errorf("%d records reached a handler that is not enabled for them", n)
	}
}

func TestAddAttrs_reachesTheAccessRecord(t *testing.T) {
	const goroutines = 20
	_, logs := serve(httplog.Options{}, func(_ http.ResponseWriter, r *http.Request) {
		var wg sync.WaitGroup
		for i := range goroutines {
			wg.Go(func() { httplog.AddAttrs(r.Context(), slog.Int(fmt.Sprint("k", i), i)) })
		}
		wg.Wait()
	}, get("/"))
	v := logs.Message(access).One(t)
	for i := range goroutines {
		wantAttrs(t, v, map[string]string{fmt.Sprint("k", i): fmt.Sprint(i)})
	}
	httplog.AddAttrs(context.Background(), slog.Int("k", 1)) // nothing to add to
}

// So many that there would be a mix-up if there could be one. The race detector
// can watch 8128 goroutines at once, so they come in waves, each of which is
// under way as a whole.
func TestHandler_keepsConcurrentRequestsApart(t *testing.T) {
	const waves, size = 4, 2500
	logs := memory.New(&memory.Options{MaxRecords: 2 * waves * size})
	logger := slog.New(slogctx.New(logs, nil))
	var begun sync.WaitGroup
	h := httplog.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httplog.AddAttrs(r.Context(), slog.String("path_id", r.URL.Path[1:]))
		begun.Done()
		begun.Wait()
		id := httplog.RequestID(r.Context())
		logger.With("k", "v").InfoContext(r.Context(), "own", "path_id", r.URL.Path[1:], "want", id)
		w.WriteHeader(200 + len(r.URL.Path))
	}), &httplog.Options{Logger: logger, TrustID: true})

	for wave := range waves {
		begun.Add(size)
		var wg sync.WaitGroup
		for i := range size {
			wg.Go(func() {
				id := fmt.Sprintf("%d.%d", wave, i)
				r := get("/" + id)
				r.Header.Set("X-Request-Id", id)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if got := w.Header().Get("X-Request-Id"); got != id {
					t.Errorf("request %s was answered as %s", id, got)
				}
			})
		}
		wg.Wait()
	}

	seen := map[string]int{}
	for v := range logs.Records() {
		id := text(v, "request_id")
		seen[id]++
		if text(v, "path_id") != id || v.Message() == "own" && text(v, "want") != id {
			t.Fatalf("a record of %s and %s has the id %q", text(v, "path_id"), text(v, "want"), id)
		}
		for key, n := range keys(v) {
			if n != 1 {
				t.Fatalf("%s of %s is there %d times", key, id, n)
			}
		}
		if v.Message() == access && text(v, "status") != fmt.Sprint(201+len(id)) {
			t.Fatalf("%s has the status %s", id, text(v, "status"))
		}
	}
	for id, n := range seen {
		if n != 2 {
			t.Fatalf("%d records of %s, want 2", n, id)
		}
	}
	if len(seen) != waves*size {
		t.Fatalf("%d ids, want %d", len(seen), waves*size)
	}
}

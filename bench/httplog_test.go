package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	chilog "github.com/go-chi/httplog/v3"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/context/httplog"
	"github.com/slogworks/slogworks/fingerscrossed"
)

// service is a way to log what a server does.
type service struct {
	name string
	new  func(w io.Writer, mux func(*slog.Logger) http.Handler) http.Handler
}

// byHand is what one writes without a package: a line per request.
func byHand(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		counter := &counter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(counter, r)
		logger.LogAttrs(r.Context(), slog.LevelInfo, "http request",
			slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.String("remote_addr", r.RemoteAddr),
			slog.Int("status", counter.status), slog.Int("bytes", counter.bytes), slog.Duration("duration", time.Since(begun)))
	})
}

type counter struct {
	http.ResponseWriter
	status, bytes int
}

func (c *counter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes += n
	return n, err
}

var services = []service{
	{"bare", func(_ io.Writer, mux func(*slog.Logger) http.Handler) http.Handler {
		return mux(slog.New(slog.DiscardHandler))
	}},
	{"hand", func(w io.Writer, mux func(*slog.Logger) http.Handler) http.Handler {
		logger := slog.New(jsonDebug(w))
		return byHand(logger, mux(logger))
	}},
	{"httplog", func(w io.Writer, mux func(*slog.Logger) http.Handler) http.Handler {
		logger := slog.New(slogctx.New(jsonDebug(w), nil))
		return httplog.New(mux(logger), &httplog.Options{Logger: logger})
	}},
	{"scopes", func(w io.Writer, mux func(*slog.Logger) http.Handler) http.Handler {
		scopes := fingerscrossed.New(jsonDebug(w), nil)
		logger := slog.New(slogctx.New(scopes, nil))
		return httplog.New(mux(logger), &httplog.Options{Logger: logger, Scopes: scopes})
	}},
	{"chi/default", func(w io.Writer, mux func(*slog.Logger) http.Handler) http.Handler {
		logger := slog.New(jsonDebug(w))
		return chilog.RequestLogger(logger, &chilog.Options{Schema: chilog.SchemaECS, RecoverPanics: true})(mux(logger))
	}},
	{"chi/six", func(w io.Writer, mux func(*slog.Logger) http.Handler) http.Handler {
		logger := slog.New(jsonDebug(w))
		return chilog.RequestLogger(logger, &chilog.Options{Schema: sixAttrs, RecoverPanics: true})(mux(logger))
	}},
}

// sixAttrs are those that byHand logs.
var sixAttrs = &chilog.Schema{RequestMethod: "method", RequestPath: "path", RequestRemoteIP: "remote_addr",
	ResponseStatus: "status", ResponseBytes: "bytes", ResponseDuration: "duration"}

// quietMux answers and logs nothing.
func quietMux(*slog.Logger) http.Handler { return muxOf(func(*http.Request) {}) }

// talkativeMux logs requestSize debug records for each request.
func talkativeMux(logger *slog.Logger) http.Handler {
	return muxOf(func(r *http.Request) { logRequest(r.Context(), logger) })
}

var page = bytes.Repeat([]byte("x"), 512)

func muxOf(work func(*http.Request)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		work(r)
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(page)
	})
	return mux
}

// idle is a writer that costs nothing and can be used again.
type idle struct{ header http.Header }

func (i *idle) Header() http.Header         { return i.header }
func (i *idle) Write(p []byte) (int, error) { return len(p), nil }
func (i *idle) WriteHeader(int)             {}

func BenchmarkHTTPLog(b *testing.B) {
	for _, kind := range []struct {
		name string
		mux  func(*slog.Logger) http.Handler
	}{{"quiet", quietMux}, {"talkative", talkativeMux}} {
		for _, s := range services {
			b.Run(kind.name+"/"+s.name, func(b *testing.B) {
				h := s.new(io.Discard, kind.mux)
				w, r := &idle{http.Header{}}, httptest.NewRequest("GET", "/orders/7", nil)
				b.ReportAllocs()
				for b.Loop() {
					h.ServeHTTP(w, r)
				}
			})
		}
	}
}

// All of them say what was asked for and what became of it, in one line each,
// which their keys differ in.
func TestHTTPLog_logsTheSameRequest(t *testing.T) {
	keys := map[string][]string{
		"method": {"method", "http.request.method"},
		"path":   {"path", "url.path"},
		"status": {"status", "http.response.status_code"},
		"bytes":  {"bytes", "http.response.body.bytes"},
	}
	want := map[string]string{"method": "GET", "path": "/orders/7", "status": "200", "bytes": "512"}
	for _, s := range services[1:] {
		t.Run(s.name, func(t *testing.T) {
			var out bytes.Buffer
			s.new(&out, quietMux).ServeHTTP(&idle{http.Header{}}, httptest.NewRequest("GET", "/orders/7", nil))
			var line map[string]any
			if err := json.Unmarshal(out.Bytes(), &line); err != nil || bytes.Count(out.Bytes(), []byte("\n")) != 1 {
				t.Fatalf("%v in %s", err, &out)
			}
			for what, names := range keys {
				value, ok := line[names[0]]
				if !ok {
					value = line[names[1]]
				}
				if got := fmt.Sprint(value); got != want[what] {
					t.Errorf("%s is %q, want %q, in %s", what, got, want[what], &out)
				}
			}
		})
	}
}

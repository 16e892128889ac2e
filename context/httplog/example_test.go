package httplog_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/context/httplog"
	"github.com/slogworks/slogworks/fingerscrossed"
)

// sameEachDay leaves out what is another for each request.
var sameEachDay = &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, "request_id", "remote_addr", "duration":
		return slog.Attr{}
	}
	return a
}}

// A whole service: a request that works leaves a line, one that fails tells its
// story.
func Example() {
	scopes := fingerscrossed.New(slog.NewTextHandler(os.Stdout, sameEachDay), nil)
	logger := slog.New(slogctx.New(scopes, nil))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		logger.DebugContext(r.Context(), "looking up", "order", r.PathValue("id"))
		if r.PathValue("id") == "7" {
			logger.DebugContext(r.Context(), "no connection", "db", "orders-2")
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "shipped")
	})
	service := httplog.New(mux, &httplog.Options{Logger: logger, Scopes: scopes})

	// http.ListenAndServe(":8080", service)
	for _, path := range []string{"/orders/6", "/orders/7", "/favicon.ico"} {
		service.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	// Output:
	// level=INFO msg="http request" method=GET route="GET /orders/{id}" path=/orders/6 status=200 bytes=8
	// level=DEBUG msg="looking up" method=GET route="GET /orders/{id}" order=7
	// level=DEBUG msg="no connection" method=GET route="GET /orders/{id}" db=orders-2
	// level=ERROR msg="http request" method=GET route="GET /orders/{id}" path=/orders/7 status=503 bytes=16
	// level=INFO msg="http request" method=GET path=/favicon.ico status=404 bytes=19
}

// What only the handler finds out can be in the access record all the same.
func ExampleAddAttrs() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, sameEachDay))
	login := func(w http.ResponseWriter, r *http.Request) {
		httplog.AddAttrs(r.Context(), slog.String("user", "ada"))
		w.WriteHeader(http.StatusNoContent)
	}
	service := httplog.New(http.HandlerFunc(login), &httplog.Options{Logger: logger})

	service.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/login", nil))
	// Output:
	// level=INFO msg="http request" method=POST path=/login status=204 bytes=0 user=ada
}

// Health checks leave no access record unless they fail, and what is busy on
// purpose is no failure.
func ExampleOptions() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, sameEachDay))
	busy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	healthy := http.NewServeMux()
	healthy.HandleFunc("/health", func(http.ResponseWriter, *http.Request) {})
	healthy.Handle("/busy", busy)
	service := httplog.New(healthy, &httplog.Options{
		Logger: logger,
		Skip:   func(r *http.Request) bool { return r.URL.Path == "/health" },
		Failed: func(_ *http.Request, status int) bool {
			return status >= 500 && status != http.StatusServiceUnavailable
		},
	})

	for _, path := range []string{"/health", "/busy"} {
		service.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	// Output:
	// level=INFO msg="http request" method=GET route=/busy path=/busy status=503 bytes=0
}

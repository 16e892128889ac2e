package main

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/context/httplog"
	"github.com/slogworks/slogworks/fingerscrossed"
)

// shop sells a few things over HTTP and tells its logger about it.
type shop struct {
	mux    *http.ServeMux
	pages  http.Handler // mux, logged
	logger *slog.Logger
	orders orders

	// serving is held for reading by each request.
	serving sync.RWMutex
	closed  bool
}

// newShop returns a shop that logs to logger. Each request has one of the
// scopes, if there are any.
func newShop(logger *slog.Logger, scopes *fingerscrossed.Handler) *shop {
	s := &shop{mux: http.NewServeMux(), logger: logger, orders: orders{byID: map[int]order{}}}
	s.pages = httplog.New(s.mux, &httplog.Options{
		Logger: slogworks.Named(logger, "shop.http"),
		Scopes: scopes,
	})
	s.page("GET /{$}", s.home)
	s.page("GET /orders/{id}", s.showOrder)
	s.page("POST /orders", s.placeOrder)
	s.page("GET /slow", s.slow)
	s.page("GET /broken", s.broken)
	s.page("/", s.nothing)
	return s
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.serving.RLock()
	defer s.serving.RUnlock()
	if s.closed {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	s.pages.ServeHTTP(w, r)
}

// close waits for the requests that are under way and refuses others. The
// server's Shutdown does so too, but not once its time is over.
func (s *shop) close() {
	s.serving.Lock()
	defer s.serving.Unlock()
	s.closed = true
}

// answer is what a page is answered with: a string as it is, anything else as
// JSON.
type answer struct {
	status   int
	location string
	body     any
}

// failure is an error with the status that it is answered with; the status of
// other errors is 500, and their text is for the log only.
type failure struct {
	status int
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// page serves what matches pattern. Who asked is on the access record of the
// request, and what went wrong.
func (s *shop) page(pattern string, page func(*http.Request) (answer, error)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		const maxBody = 4 << 10
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		httplog.AddAttrs(r.Context(), slog.String("agent", r.UserAgent()))
		a, err := page(r)
		if err != nil {
			httplog.AddAttrs(r.Context(), slog.Any("err", err))
			a = answer{status: http.StatusInternalServerError, body: "something broke\n"}
			var f *failure
			if errors.As(err, &f) {
				a = answer{status: f.status, body: f.Error() + "\n"}
			}
		}
		a.send(w)
	})
}

// send ignores the errors of w: the one who asked has left.
func (a answer) send(w http.ResponseWriter) {
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	if text, ok := a.body.(string); ok {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(a.status)
		io.WriteString(w, text)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	json.NewEncoder(w).Encode(a.body)
}

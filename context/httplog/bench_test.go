package httplog_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/context/httplog"
	"github.com/slogworks/slogworks/fingerscrossed"
)

// drain is a writer that can be used again, which costs nothing.
type drain struct{ header http.Header }

func (d *drain) Header() http.Header         { return d.header }
func (d *drain) Write(p []byte) (int, error) { return len(p), nil }
func (d *drain) WriteHeader(int)             {}
func (d *drain) Flush()                      {}

var answer = []byte("shipped\n")

func shop() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(answer)
	})
	return mux
}

// services are a handler without this package and with it.
func services() []struct {
	name    string
	handler http.Handler
} {
	scopes := fingerscrossed.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}), nil)
	plain := slog.New(slogctx.New(slog.NewJSONHandler(io.Discard, nil), nil))
	return []struct {
		name    string
		handler http.Handler
	}{
		{"bare", shop()},
		{"discarded", httplog.New(shop(), &httplog.Options{Logger: slog.New(slog.DiscardHandler)})},
		{"logged", httplog.New(shop(), &httplog.Options{Logger: plain})},
		{"in scope", httplog.New(shop(), &httplog.Options{Logger: slog.New(slogctx.New(scopes, nil)), Scopes: scopes})},
	}
}

func BenchmarkHandler(b *testing.B) {
	for _, s := range services() {
		b.Run(s.name, func(b *testing.B) {
			w, r := &drain{http.Header{}}, httptest.NewRequest("GET", "/orders/7", nil)
			b.ReportAllocs()
			for b.Loop() {
				s.handler.ServeHTTP(w, r)
			}
		})
	}
}

func TestHandler_costsFewAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	allocs := map[string]float64{}
	for _, s := range services() {
		w, r := &drain{http.Header{}}, httptest.NewRequest("GET", "/orders/7", nil)
		allocs[s.name] = testing.AllocsPerRun(200, func() { s.handler.ServeHTTP(w, r) })
	}
	for name, most := range map[string]float64{"discarded": 10, "logged": 10, "in scope": 13} {
		if over := allocs[name] - allocs["bare"]; over > most {
			t.Errorf("%s: %v allocations over the bare handler, want at most %v", name, over, most)
		}
	}
}

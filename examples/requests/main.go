// Requests shows what a log looks like when each request is one thing in it: a
// line with an id for a request that works, and the whole story of one that
// fails, debug records included.
//
//	go run ./examples/requests
package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/context/httplog"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/sinks/console"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "requests:", err)
		os.Exit(1)
	}
}

// run serves two requests, of which the second fails.
func run(screen io.Writer) error {
	// The console has to be open for debug records. The scopes decide of which
	// requests it gets them.
	scopes := fingerscrossed.New(console.New(screen, &console.Options{Level: slog.LevelDebug}), nil)
	defer scopes.Close()
	logger := slog.New(slogctx.New(scopes, nil))

	shop := &shop{logger: logger}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", shop.order)
	service := httptest.NewServer(httplog.New(mux, &httplog.Options{Logger: logger, Scopes: scopes}))
	defer service.Close()

	for _, path := range []string{"/orders/1", "/orders/7"} {
		response, err := http.Get(service.URL + path)
		if err != nil {
			return err
		}
		response.Body.Close()
	}
	return nil
}

type shop struct{ logger *slog.Logger }

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	ctx := slogctx.With(r.Context(), "order", id) // for all that is logged under ctx
	s.logger.DebugContext(ctx, "query", "table", "orders")
	if err := s.find(id); err != nil {
		httplog.AddAttrs(ctx, slog.Any("err", err))
		http.Error(w, "try again later", http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "tea")
}

func (s *shop) find(id string) error {
	if id == "7" {
		return errors.New("the database is gone")
	}
	return nil
}

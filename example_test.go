package slogworks_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	slogmulti "github.com/samber/slog-multi"

	"github.com/slogworks/slogworks"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/context/httplog"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/console"
	"github.com/slogworks/slogworks/sinks/memory"
)

// run is the main function of a service but for the os.Exit, which would not
// run the deferred calls.
func run(name string, screen io.Writer) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()

	people := console.New(screen, nil)
	programs := queue.New(slog.NewJSONHandler(file, nil), nil)
	h := fanout.New(people, programs)
	defer slogworks.Shutdown(context.Background(), h) // before the file is closed: the queue drains into it

	logger := slogworks.Named(slog.New(h), "shop")
	logger.Info("listening", "addr", "127.0.0.1:8080")
	return nil
}

// A whole pipeline: the records of a service go to the console and, by way of a
// queue, to a file.
func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	name := filepath.Join(dir, "service.log")
	if err := run(name, io.Discard); err != nil {
		fmt.Println(err)
	}
	written, _ := os.ReadFile(name)
	fmt.Println(strings.Count(string(written), "\n"), strings.Contains(string(written), `"logger":"shop"`))
	// Output: 1 true
}

// Shutdown goes from the outside in, so that what a queue still holds reaches
// the file behind it; Books says what became of every record.
func ExampleShutdown() {
	var lines bytes.Buffer
	h := fanout.New(queue.New(slog.NewTextHandler(&lines, nil), nil))
	logger := slog.New(h)
	for i := range 3 {
		logger.Info("order placed", "order", i)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := slogworks.Shutdown(ctx, h); err != nil {
		fmt.Println(err) // says how many records were lost
	}
	for _, account := range slogworks.Books(h) {
		fmt.Println(account.Stage, account.Accepted, account.Delivered)
	}
	// Output: queue 3 3
}

// A predicate sees the record with everything that With added.
func ExamplePredicate() {
	audit, errors := memory.New(nil), memory.New(nil)
	h := fanout.Router(
		fanout.Route{When: slogworks.AttrIs("audit", true), To: audit},
		fanout.Route{Min: slog.LevelError, When: slogworks.LoggerIs("shop"), To: errors},
	)

	logger := slogworks.Named(slog.New(h), "shop.payment")
	logger.Info("refunded", "audit", true)
	logger.Error("card refused")
	logger.Info("nobody asked for this")
	fmt.Println(audit.Len(), errors.Len())
	// Output: 1 1
}

// A request that works leaves a line in the log; of one that fails, or for which
// something is logged at slog.LevelError, there is everything.
func Example_requests() {
	var out strings.Builder

	debug := &slog.HandlerOptions{Level: slog.LevelDebug} // the handler behind must be open
	scopes := fingerscrossed.New(slog.NewJSONHandler(&out, debug), nil)
	logger := slog.New(slogctx.New(scopes, nil))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		logger.DebugContext(r.Context(), "looking for the order") // kept in memory, written if the request fails
		if r.PathValue("id") == "7" {
			http.Error(w, "the database is gone", http.StatusInternalServerError)
		}
	})
	service := httplog.New(mux, &httplog.Options{Logger: logger, Scopes: scopes})

	for _, order := range []string{"6", "7"} {
		service.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/orders/"+order, nil))
		fmt.Println("order", order+":", strings.Count(out.String(), "\n"), "lines so far")
	}
	// Output:
	// order 6: 1 lines so far
	// order 7: 3 lines so far
}

// A closure makes a middleware of slog-multi's of any constructor, and keeps
// what there is to ask it later.
func Example_slogMulti() {
	sink := memory.New(nil)
	var q *queue.Handler
	h := slogmulti.Pipe(func(next slog.Handler) slog.Handler {
		q = queue.New(next, nil)
		return q
	}).Handler(sink)

	slog.New(h).Info("piped")
	if err := slogworks.Shutdown(context.Background(), h); err != nil {
		fmt.Println(err)
	}
	fmt.Println(sink.Len(), q.Stats().Handled)
	// Output: 1 1
}

func checkout(logger *slog.Logger) {
	logger.Error("payment failed", "order", 7, "err", io.ErrUnexpectedEOF)
}

func TestCheckout(t *testing.T) {
	logs := memory.New(nil)
	checkout(slog.New(logs))
	logs.Level(slog.LevelError).Message("payment failed").Attr("order", 7).One(t)
}

// In a unit test, the records are in memory and are asked for what they hold.
func Example_unitTest() {
	logs := memory.New(nil)
	checkout(slog.New(logs))
	fmt.Println(logs.HasError("payment failed"), logs.Attr("err", io.ErrUnexpectedEOF).Len())
	// Output: true 1
}

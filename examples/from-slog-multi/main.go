// From-slog-multi is what becomes of the pipelines that samber/slog-multi builds:
// the same shape, and a handler that panics, edits the attributes it was given or
// is slow disturbs no other.
//
//	go run ./examples/from-slog-multi
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	slogmulti "github.com/samber/slog-multi"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/redact"
)

func main() {
	if err := run(os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "from-slog-multi:", err)
		os.Exit(1)
	}
}

func run(all, grave io.Writer) error {
	text, errors := slog.NewTextHandler(all, nil), slog.NewTextHandler(grave, nil)

	// slogmulti.Fanout(text, errors) was fanout.New(text, errors), and
	//	slogmulti.Router().
	//		Add(text).
	//		Add(errors, slogmulti.LevelIs(slog.LevelError)).
	//		Handler()
	// is this. Min decides before a record is made, When after.
	routes := fanout.Router(
		fanout.Route{To: queue.New(text, nil)},
		fanout.Route{Min: slog.LevelError, When: slogworks.Not(slogworks.AttrIs("expected", true)), To: errors},
	)

	// Pipe stays. A constructor of this module fits in by a closure.
	h := slogmulti.
		Pipe(func(next slog.Handler) slog.Handler { return redact.New(next, nil) }).
		Handler(routes)

	logger := slog.New(h)
	logger.Info("signed in", "user", "kim", "password", "tops3cret")
	logger.Error("out of stock", "expected", true)
	logger.Error("database is gone")
	return slogworks.Shutdown(context.Background(), h) // the queue drains
}

// From-python is what becomes of a program with Python's logging: a tree of
// loggers with levels of their own, a file that rotates, and a queue in front
// of what is slow.
//
//	go run ./examples/from-python
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/levels"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/rotate"
)

func main() {
	path := filepath.Join(os.TempDir(), "from-python", "app.log")
	if err := run(path, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "from-python:", err)
		os.Exit(1)
	}
	fmt.Println("wrote", path)
}

func run(path string, stderr io.Writer) (err error) {
	// RotatingFileHandler(path, maxBytes=10_000_000, backupCount=5): the same
	// names, app.log.1 upwards.
	file, err := rotate.Open(path, &rotate.Options{MaxBytes: 10_000_000, MaxBackups: 5, Naming: rotate.Numbered})
	if err != nil {
		return err
	}
	everything := &slog.HandlerOptions{Level: slog.LevelDebug} // or it would be below the loggers' levels
	inFile := rotate.NewHandler(file, func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, everything) })

	// logging.getLogger().addHandler(…), twice: StreamHandler().setLevel("ERROR")
	// and QueueHandler, whose QueueListener nobody has to start.
	root := fanout.New(
		slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError}),
		queue.New(inFile, nil),
	)

	// logging.getLogger().setLevel("WARNING"), logging.getLogger("shop").setLevel("DEBUG")
	tree := levels.NewTable(slog.LevelWarn)
	tree.Set("shop", slog.LevelDebug, 0)
	h := levels.New(root, &levels.Options{Table: tree})

	// logging.shutdown, which nothing calls at the end of the program here.
	defer func() { err = errors.Join(err, slogworks.Shutdown(context.Background(), h)) }()

	log := slog.New(h)
	db := slogworks.Named(log, "shop.db") // logging.getLogger("shop.db")
	other := slogworks.Named(log, "other")

	db.Debug("connected", "host", "db1") // logger.debug("connected", extra={"host": "db1"})
	other.Info("nobody asked for this")
	if _, err := os.Open("/no/such/file"); err != nil {
		other.Error("cannot read", "err", err) // logger.exception("cannot read")
	}
	return nil
}

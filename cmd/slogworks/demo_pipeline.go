package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/console"
)

// pipeline builds what the demo's records go through: programs read all of them
// from the file, which a queue keeps from slowing down the shop; people read
// those that matter on the screen, and all of a request that failed or took
// long, whose scope begins in the scopes that are returned. Report gets the
// errors of both, which a slog.Logger ignores.
func pipeline(screen, file io.Writer, report func(error)) (slog.Handler, *fingerscrossed.Handler) {
	people := fingerscrossed.New(
		console.New(screen, &console.Options{Level: slog.LevelDebug}),
		&fingerscrossed.Options{Slow: slow, OnError: report})
	programs := queue.New(
		slog.NewJSONHandler(file, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}),
		&queue.Options{OnError: report})

	all := fanout.OnError(fanout.New(people, programs),
		func(_ context.Context, _ slogworks.View, err error) { report(err) })
	return slogctx.New(all, nil), people
}

// slow is how long a request takes that people should know of.
const slow = 200 * time.Millisecond

// finish ends the pipeline and then its file, and prints what became of the
// records, a line for each place they went to.
func finish(h slog.Handler, file *logFile, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := errors.Join(slogworks.Shutdown(ctx, h), file.Close())

	var summary string
	var lost, unneeded uint64
	for _, account := range slogworks.Books(h) {
		dropped := account.Accepted - account.Delivered
		switch account.Stage {
		case "fingerscrossed": // what leads to the console alone, which counts failures too
			unneeded = account.Dropped["discarded"]
			dropped -= unneeded + account.Dropped["failed"]
		case "queue": // what leads to the file alone
			summary += fmt.Sprintf("file %s path=%s\n", counts(file.written.Load(), dropped), file.Name())
		default:
			summary += fmt.Sprintf("%s %s discarded=%d\n", account.Stage, counts(account.Delivered, dropped), unneeded)
		}
		lost += dropped
	}
	_, printErr := io.WriteString(stdout, summary)
	if err = errors.Join(err, printErr); err == nil && lost > 0 {
		err = &lostError{lost}
	}
	return err
}

func counts(written, lost uint64) string {
	if lost == 0 {
		return fmt.Sprintf("written=%d", written)
	}
	return fmt.Sprintf("written=%d lost=%d", written, lost)
}

// logFile counts the records that are written to it, each by one Write.
type logFile struct {
	*os.File
	written atomic.Uint64
}

// openLog opens demo.log in dir, or in a new temporary directory if dir is
// empty. What is in the file already stays there.
func openLog(dir string) (*logFile, error) {
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "slogworks-demo-")
	} else if dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, "demo.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return &logFile{File: file}, nil
}

// Write writes one record.
func (f *logFile) Write(record []byte) (int, error) {
	n, err := f.File.Write(record)
	if err == nil {
		f.written.Add(1)
	}
	return n, err
}

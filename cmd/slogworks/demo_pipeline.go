package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/buffer/mail"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/sinks/console"
	"github.com/slogworks/slogworks/sinks/live"
)

// pipeline is what the demo's records go through.
type pipeline struct {
	records slog.Handler
	scopes  *fingerscrossed.Handler
	hub     *live.Hub
	file    *rotate.File
	letters *buffer.Handler
	box     *mailbox
}

// slow is how long a request takes that people should know of.
const slow = 200 * time.Millisecond

// newPipeline builds a pipeline: programs read all records from the file, which
// a queue keeps from slowing down the shop; people read those that matter on the
// screen and the page, and all of a request that failed or took long; and somebody
// else gets the errors by mail, all in one. Report gets the errors that a
// slog.Logger ignores.
func newPipeline(screen io.Writer, dir string, report func(error)) (p *pipeline, err error) {
	p = new(pipeline)
	defer func() {
		if err != nil {
			p.abandon()
		}
	}()
	if p.file, err = rotate.Open(filepath.Join(dir, "demo.log"), &rotate.Options{
		MaxBytes:   10 << 20,
		MaxBackups: 3,
		Mode:       0o644,
		OnError:    report,
	}); err != nil {
		return nil, err
	}
	if p.box, err = openMailbox(); err != nil {
		return nil, err
	}
	mails, err := mail.New(mail.Config{
		Host: "127.0.0.1",
		Port: p.box.port(),
		TLS:  mail.Plaintext,
		HELO: "localhost",
		From: "Shop <shop@example.com>",
		To:   []string{"ops@example.com"},
	})
	if err != nil {
		return nil, err
	}
	if p.letters, err = buffer.Open(mails, &buffer.Options{
		Level:  slog.LevelError,
		Dir:    filepath.Join(dir, "spool"),
		Manual: true, // one mail, when the demo ends
	}); err != nil {
		return nil, err
	}

	p.hub = live.New(&live.Options{Title: "slogworks demo", Process: "shop"})
	p.scopes = fingerscrossed.New(
		fanout.New(
			console.New(screen, &console.Options{Level: slog.LevelDebug}),
			slogworks.Private(p.hub.Handler(slog.LevelDebug))), // ends with its page, after all else
		&fingerscrossed.Options{Slow: slow, OnError: report})
	programs := queue.New(
		rotate.NewHandler(p.file, func(w io.Writer) slog.Handler {
			return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})
		}),
		&queue.Options{OnError: report})
	all := fanout.OnError(fanout.New(p.scopes, programs, p.letters),
		func(_ context.Context, _ slogworks.View, err error) { report(err) })
	p.records = slogctx.New(all, nil)
	return p, nil
}

// abandon closes what there is of a pipeline that could not be built. Nothing
// was written to it.
func (p *pipeline) abandon() {
	if p.letters != nil {
		p.letters.Close()
	}
	if p.box != nil {
		p.box.close()
	}
	if p.file != nil {
		p.file.Close()
	}
}

// finish ends the pipeline and prints the mail, if there is one, and what became
// of the records, a line for each place they went to.
func (p *pipeline) finish(stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	sent := p.letters.Deliver(ctx)
	err := errors.Join(sent.Err, slogworks.Shutdown(ctx, p.records))
	mails := p.box.close()

	var mail, file, console string
	for _, content := range mails {
		subject, text, err := plainText(content)
		if err != nil {
			return fmt.Errorf("mail cannot be read: %w", err)
		}
		mail += fmt.Sprintf("\nThe mail: %s\n\n%s\n", subject, text)
	}
	var lost, unneeded uint64
	page := p.hub.Account()
	for _, account := range append(slogworks.Books(p.records), page) {
		dropped := account.Accepted - account.Delivered
		switch account.Stage {
		case "fingerscrossed": // what leads to the console and the page, which count failures too
			unneeded = account.Dropped["discarded"]
			dropped -= unneeded + account.Dropped["failed"]
		case "console":
			console = fmt.Sprintf("console %s discarded=%d\n", counts(account.Delivered, dropped), unneeded)
		case "queue": // what leads to the file alone, which counts failures too
			file = fmt.Sprintf("file %s path=%s\n", counts(p.file.Stats().Records, dropped), p.file.Name())
		case "rotate":
			continue
		}
		lost += dropped
	}
	_, printErr := fmt.Fprintf(stdout, "%s%s%spage %s\nmail sent=%d records=%d\n",
		mail, file, console, counts(page.Delivered, page.Accepted-page.Delivered), len(mails), sent.Records)
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

// makeDir makes the directory of the demo, a new temporary one if dir is empty,
// and returns its whole path.
func makeDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "slogworks-demo-")
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	return dir, err
}

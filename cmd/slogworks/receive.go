package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"syscall"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/sharedfile"
	"github.com/slogworks/slogworks/levels"
	"github.com/slogworks/slogworks/rotate"
)

const receiveHelp = `Usage: slogworks receive [flags]

Takes records from the network, of Go programs with sinks/socket and of Python
programs with the handlers of its logging package, and writes them to one file
that rotates, or to stdout, or puts them through the pipeline that a document
describes.

SIGINT or SIGTERM ends it when everything that has arrived is written, and without
--config SIGHUP too. The last line on stderr says what became of it all; the exit
status is 3 if records were lost.
There objects counts what Python programs sent in pickles that is no plain data, such
as a Path: a record has a mark like "!refused pathlib.PosixPath" in its place.

Flags:
`

// receiveFlags are what receive is told on the command line.
type receiveFlags struct {
	serverFlags
	documentFlags
	file            string
	text            bool
	maxSize         int64
	keep            int
	daily, compress bool
	level           slog.Level
}

func parseReceive(args []string, stdout io.Writer) (*receiveFlags, error) {
	o := &receiveFlags{maxSize: 100 << 20, keep: 10, level: math.MinInt}
	flags := newFlags(receiveHelp)
	o.serverFlags.add(flags, "tcp://127.0.0.1:9020")
	o.documentFlags.add(flags)
	flags.Lookup("config").Usage = "put records through the pipeline that a document describes, a `FILE`, instead of --file; see slogworks config -h"
	flags.Lookup("tls-cert").Usage = "the server's certificate, a `FILE` in PEM, for tls:// and for an --admin that other machines can reach"
	flags.Lookup("allow-remote").Usage = "listen where other machines can reach it without TLS and a token; --admin needs a token all the same"
	textFlag(flags, &o.file, "file", "append to the file `PATH`, which is made with mode 0600 if it is missing, and its directories too; the lock .NAME.receive.lock beside it keeps a second receive off, and does no harm where a kill has left it (default: stdout)")
	flags.Func("format", "write `json` or text, as slog's handlers do (default json)", func(text string) error {
		if text != "json" && text != "text" {
			return fmt.Errorf("unknown format%s", hint(text, []string{"json", "text"}))
		}
		o.text = text == "text"
		return nil
	})
	sizeFlag(flags, &o.maxSize, "max-size", "rotate a file of this `SIZE` (default 100MiB)")
	countFlag(flags, &o.keep, 1, "keep", "keep `N` files that were rotated; the newest is called as --file is, and .1 (default 10)")
	flags.BoolVar(&o.daily, "daily", false, "rotate at midnight too")
	flags.BoolVar(&o.compress, "compress", false, "compress files that were rotated")
	flags.Func("level", "accept records of the `LEVEL` and above (default: all)", func(text string) (err error) {
		o.level, err = levels.Parse(text)
		return err
	})
	if err := flags.parse(args, stdout); err != nil {
		return nil, err
	}
	if err := flags.noArgs(); err != nil {
		return nil, err
	}
	if given := flags.given("max-size", "keep", "daily", "compress"); len(given) > 0 && o.file == "" && o.config == "" {
		return nil, usagef("--%s needs --file", given[0])
	}
	if err := o.checkConfig(flags); err != nil {
		return nil, err
	}
	if len(o.listen) == 0 {
		e, err := parseEndpoint("tcp://127.0.0.1:9020")
		if err != nil {
			return nil, err
		}
		o.listen = []endpoint{e}
	}
	if err := o.load(); err != nil {
		return nil, err
	}
	return o, o.check(&o.accessFlags)
}

// checkConfig refuses flags that a document leaves nothing to say for, and those
// that mean nothing without one.
func (o *receiveFlags) checkConfig(flags *flagSet) error {
	if o.config == "" {
		if given := flags.given("env", "watch", "admin"); len(given) > 0 {
			return usagef("--%s is about a document: it needs --config", given[0])
		}
		return nil
	}
	if given := flags.given("file", "format", "max-size", "keep", "daily", "compress", "level"); len(given) > 0 {
		return usagef("--%s and --config together: say it in the document, or leave that out", given[0])
	}
	return nil
}

// receive writes records from the network to a file, or puts them through the
// pipeline of a document, until ctx is done.
func receive(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseReceive(args, stdout)
	if err != nil {
		return err
	}
	const name = "slogworks receive"
	complaints := newComplaints(stderr, name)
	defer complaints.stop()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	report := complaints.tellOrEnd(fail)
	settings := &intakeSettings{serverFlags: &o.serverFlags, report: report}
	defer outlive(syscall.SIGPIPE)()
	if o.config != "" {
		defer outlive(syscall.SIGHUP)() // also while the document is not watched
		d, err := o.documentFlags.open(ctx, name, stderr, report)
		if err != nil {
			return err
		}
		settings.handler = d.manager.Handler()
		in, err := settings.listen()
		if err != nil {
			return errors.Join(err, d.manager.Close())
		}
		if err := d.begin(ctx, &o.documentFlags, &o.accessFlags, fail); err != nil {
			in.close()
			return errors.Join(err, d.manager.Close())
		}
		in.serve(stderr, name, fail)
		err = in.wait(ctx)
		return d.end(complaints, in.total(), err)
	}
	ctx, forget := endAtHangup(ctx)
	defer forget()
	release, err := o.claim()
	if err != nil {
		return err
	}
	defer release()
	if settings.handler, err = o.open(stdout, report); err != nil {
		return err
	}
	in, err := settings.listen()
	if err != nil {
		return errors.Join(err, slogworks.Shutdown(context.Background(), settings.handler))
	}
	in.serve(stderr, name, fail)
	err = in.wait(ctx)
	drain, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err = errors.Join(err, slogworks.Shutdown(drain, settings.handler))
	complaints.stop()
	return sumUp(stderr, name, in.total(), err)
}

// sumUp writes the last line of a command, behind the error that has ended it if
// there is one, and returns how it ended.
func sumUp(stderr io.Writer, name string, total tally, err error) error {
	exit := exitDone
	switch {
	case err != nil:
		tellLines(stderr, name, err)
		exit = exitFailed
	case total.dropped > 0:
		exit = exitLost
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, total)
	if exit == exitDone {
		return nil
	}
	return &toldError{exit}
}

// claim keeps other receivers off the file, which two would rotate under each
// other's hands, until release is called. The lock is on a file beside it, since
// the file itself gets another name.
func (o *receiveFlags) claim() (release func(), err error) {
	info, err := os.Stat(o.file)
	switch {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("--file %s is a directory; name a file in it", o.file)
	case o.file == "" || err == nil && !info.Mode().IsRegular():
		return func() {}, nil
	}
	path, err := filepath.Abs(o.file)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	// Only once it is there does it show whether a link leads to it.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	file.Close()
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	path = filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".receive.lock")
	lock := sharedfile.NewLock(path, 0)
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("%w; others are kept off --file by a lock beside it", err)
	}
	if !ok {
		lock.Close()
		return nil, fmt.Errorf("%s is in use by another slogworks receive", o.file)
	}
	return func() {
		os.Remove(path) // while it is locked: who waits for it looks whether it is still there
		lock.Unlock()
		lock.Close()
	}, nil
}

// open returns what writes the records.
func (o *receiveFlags) open(stdout io.Writer, report func(error)) (slog.Handler, error) {
	newHandler := func(w io.Writer) slog.Handler {
		opts := &slog.HandlerOptions{Level: o.level}
		if o.text {
			return slog.NewTextHandler(w, opts)
		}
		return slog.NewJSONHandler(w, opts)
	}
	if o.file == "" {
		return newHandler(stdout), nil
	}
	settings := &rotate.Options{
		MaxBytes: o.maxSize, MaxBackups: o.keep, Naming: rotate.Numbered, Compress: o.compress, OnError: report,
	}
	if o.daily {
		settings.Schedule = rotate.Daily(0, 0, nil)
	}
	file, err := rotate.Open(o.file, settings)
	if err != nil {
		return nil, err
	}
	return rotate.NewHandler(file, newHandler), nil
}

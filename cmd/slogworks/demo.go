package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fingerscrossed"
)

const demoHelp = `Usage: slogworks demo [flags]

Runs a little shop, an HTTP service with a few customers of its own, and shows
its records on a page in the browser and on the console on stderr, those of level
debug only of requests that fail or take long. All of them are in a file, and the
errors go out by mail, to nobody; it is printed on stdout when the demo ends.
The addresses to visit come first on stdout, that of the page before all; what
was written to each of the four comes last.

Flags:
`

// grace is how long requests that are under way may take when the demo ends.
const grace = 5 * time.Second

// demo runs the shop until its time is over or ctx is done.
func demo(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var lasts time.Duration
	address := "127.0.0.1:0"
	flags := newFlags(demoHelp)
	durationFlag(flags, &lasts, "for", "end after the `DURATION`, such as 10s (default: until Ctrl-C)")
	flags.Func("http", "serve the page at `HOST:PORT`, which must be of this machine alone (default 127.0.0.1:0, any free port)", func(text string) error {
		address = text
		return checkLoopback(text)
	})
	var dir string
	textFlag(flags, &dir, "dir", "append to demo.log in the `DIRECTORY`, which is made if missing (default: a new temporary one)")
	if err := flags.parse(args, stdout); err != nil {
		return err
	}
	if err := flags.noArgs(); err != nil {
		return err
	}

	pageListener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w; --http 127.0.0.1:0 takes any free port", err)
	}
	defer pageListener.Close()
	// The shop has a port of its own, so that what it answers is not of the same
	// origin as the page of its log.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	place, err := makeDir(dir)
	if err != nil {
		return fmt.Errorf("%w; --dir names another directory", err)
	}
	var once sync.Once
	pipeline, err := newPipeline(stderr, place, func(err error) {
		once.Do(func() { fmt.Fprintf(stderr, "slogworks demo: a record was lost, and others may be: %v\n", err) })
	})
	if err != nil {
		return fmt.Errorf("%w; --dir names another directory", err)
	}

	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	p := newPage(pipeline.hub, pageListener, nil, func(error) {}) // it is about what browsers do
	p.serve(fail)
	err = demoShop(ctx, listener, p, pipeline, lasts, stdout)
	err = errors.Join(fatalErrorIn(ctx), err, pipeline.finish(stdout))
	drain, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	p.shutdown(drain)
	return err
}

// demoShop says what there is to see and runs the shop.
func demoShop(ctx context.Context, l net.Listener, p *page, pipeline *pipeline, lasts time.Duration, stdout io.Writer) error {
	end := "Ctrl-C ends it"
	if lasts > 0 {
		end = fmt.Sprintf("It ends after %v, or with Ctrl-C", lasts)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, lasts, errors.New("its time is over"))
		defer cancel()
	}
	host, _, _ := net.SplitHostPort(p.listener.Addr().String()) // as package net made it
	url := fmt.Sprintf("http://%v/", l.Addr())
	if _, err := fmt.Fprintf(stdout, demoStart, p.url(host), url, pipeline.file.Name(), end); err != nil {
		return err
	}
	return serve(ctx, l, url, slog.New(pipeline.records), pipeline.scopes)
}

const demoStart = `slogworks demo: page %[1]s
Open it: the log of a shop. GET /broken fails every few seconds. Click its record,
then the + at its request_id, and there is all that led to it, debug records too.
Requests that work leave theirs only in
  %[3]s
slogworks demo: service %[2]s
Be a customer too:
  curl %[2]s
  curl -d '{"item":"tea","quantity":2}' %[2]sorders
  curl %[2]sbroken
%[4]s.
`

// serve runs the shop until ctx is done and then lets requests that are under
// way finish. When it returns nothing is logged any more.
func serve(ctx context.Context, listener net.Listener, url string, logger *slog.Logger, scopes *fingerscrossed.Handler) error {
	began := time.Now()
	shop := newShop(logger, scopes)
	server := &http.Server{
		Handler:        shop,
		ErrorLog:       slog.NewLogLogger(slogworks.Named(logger, "shop.http").Handler(), slog.LevelError),
		ReadTimeout:    10 * time.Second,
		WriteTimeout:   10 * time.Second,
		MaxHeaderBytes: 16 << 10,
	}

	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	served := make(chan error, 1)
	go func() {
		err := server.Serve(listener)
		if !errors.Is(err, http.ErrServerClosed) {
			served <- err
			fail(err)
		}
		close(served)
	}()
	logger.Info("shop opened", "url", url)

	sendCustomers(ctx, url, slogworks.Named(logger, "customers"))

	logger.Info("shop closing", "after", time.Since(began).Round(time.Millisecond), "because", context.Cause(ctx).Error())
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		logger.Warn("requests cut off", "after", grace, "err", err)
		server.Close()
	}
	shop.close()
	return <-served
}

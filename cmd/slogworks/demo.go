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

Runs a little shop, an HTTP service with a few customers of its own, and sends
its records to the console on stderr, to a file, and the errors by mail. Those
of level debug are in the file; the console has them of requests that fail or
take long. The mail goes to nobody but is printed on stdout when the demo ends.
The addresses to visit and the place of the file come first on stdout; what was
written to each of the three comes last.

Flags:
`

// grace is how long requests that are under way may take when the demo ends.
const grace = 5 * time.Second

// demo runs the shop until its time is over or ctx is done.
func demo(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var lasts time.Duration
	address := "127.0.0.1:0"
	flags := newFlags(demoHelp)
	flags.Func("for", "end after the `DURATION`, such as 10s (default: until Ctrl-C)", func(text string) (err error) {
		lasts, err = parseDuration(text)
		return err
	})
	flags.Func("http", "serve at `HOST:PORT`, which must be of this machine alone (default 127.0.0.1:0, any free port)", func(text string) error {
		address = text
		return checkLoopback(text)
	})
	dir := flags.String("dir", "", "append to demo.log in the `DIRECTORY`, which is made if missing (default: a new temporary one)")
	if err := flags.parse(args, stdout); err != nil {
		return err
	}
	if err := flags.noArgs(); err != nil {
		return err
	}

	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w; --http 127.0.0.1:0 takes any free port", err)
	}
	defer listener.Close()
	place, err := makeDir(*dir)
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

	url := fmt.Sprintf("http://%v/", listener.Addr())
	end := "Ctrl-C ends it"
	if lasts > 0 {
		end = fmt.Sprintf("It ends after %v, or with Ctrl-C", lasts)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, lasts, errors.New("its time is over"))
		defer cancel()
	}
	if _, err := fmt.Fprintf(stdout, demoStart, url, pipeline.file.Name(), end); err != nil {
		return errors.Join(err, pipeline.finish(stdout))
	}
	err = serve(ctx, listener, url, slog.New(pipeline.records), pipeline.scopes)
	return errors.Join(err, pipeline.finish(stdout))
}

const demoStart = `slogworks demo: service %[1]s
Its records go to the console on stderr, those of level debug only if their
request fails or takes long, and all of them as JSON to
  %[2]s
Be a customer too:
  curl %[1]s
  curl -d '{"item":"tea","quantity":2}' %[1]sorders
  curl %[1]sbroken
%[3]s.
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

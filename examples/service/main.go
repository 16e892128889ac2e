// Service is an HTTP service with the log that most services want: people read
// it on the terminal and in the browser, programs read a file that rotates, and
// a slow disk slows down no request.
//
//	go run ./examples/service
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/slogworks/slogworks"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/sinks/console"
	"github.com/slogworks/slogworks/sinks/live"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", "127.0.0.1:8080")
	if err == nil {
		err = run(ctx, listener, filepath.Join(os.TempDir(), "service", "service.log"), os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1) // after the deferred calls of run, which os.Exit would not run
	}
}

// run serves until ctx is done.
func run(ctx context.Context, listener net.Listener, logFile string, screen io.Writer) (err error) {
	file, err := rotate.Open(logFile, &rotate.Options{MaxBytes: 100 << 20, MaxBackups: 7, Compress: true})
	if err != nil {
		return err
	}
	page := live.New(nil)
	h := fanout.New(
		console.New(screen, nil),
		queue.New(rotate.NewHandler(file, nil), nil),
		page.Handler(slog.LevelInfo),
	)
	defer func() {
		ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = errors.Join(err, slogworks.Shutdown(ending, h)) // says how much was lost, if anything
	}()
	logger := slogworks.Named(slog.New(h), "shop")

	mux := http.NewServeMux()
	mux.Handle("/debug/log/", page)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		logger.InfoContext(r.Context(), "visited", "from", r.RemoteAddr)
		fmt.Fprintln(w, "hello")
	})
	server := &http.Server{
		Handler:           mux,
		ErrorLog:          log.New(slogctx.LogWriter(h, slog.LevelWarn), "", 0),
		ReadHeaderTimeout: 10 * time.Second,
	}
	server.RegisterOnShutdown(func() { page.Close() }) // or Shutdown would wait for open pages

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	address := "http://" + listener.Addr().String()
	logger.Info("listening", "file", logFile, "url", address+"/")
	fmt.Fprintf(screen, "the log is at %s/debug/log/?token=%s\n", address, page.Token()) // and the token not in it
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	logger.Info("shutting down")
	ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(ending)
}

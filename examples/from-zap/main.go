// From-zap is what becomes of a service that logs by go.uber.org/zap into a
// lumberjack: each part that zap has, and what stands in its place.
//
//	go run ./examples/from-zap
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/levels"
	"github.com/slogworks/slogworks/limit"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/sinks/console"
)

func main() {
	path := filepath.Join(os.TempDir(), "from-zap", "app.log")
	if err := run(path); err != nil {
		fmt.Fprintln(os.Stderr, "from-zap:", err)
		os.Exit(1)
	}
	fmt.Println("wrote", path)
}

func run(path string) (err error) {
	// zapcore.AddSync(&lumberjack.Logger{Filename: path, MaxSize: 100, MaxBackups: 3})
	file, err := rotate.Open(path, &rotate.Options{MaxBytes: 100 << 20, MaxBackups: 3})
	if err != nil {
		return err
	}
	inFile := rotate.NewHandler(file, func(w io.Writer) slog.Handler {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})
	})

	// zapcore.NewTee(console, json), the JSON through a zapcore.BufferedWriteSyncer,
	// which is a queue here: it takes the disk off the caller's path and tells
	// what a full disk cost.
	tee := fanout.New(
		console.New(os.Stderr, nil),
		queue.New(inFile, nil),
	)

	// zap.Config.Sampling: the first 100 of a message in a second. What is left
	// out is not silently so: a summary says how many.
	sampled := limit.New(tee, &limit.Options{First: 100, Window: time.Second})

	// zap.AtomicLevel, and logger.Named with a level of its own.
	leveled := levels.New(sampled, nil)
	mux := http.NewServeMux()
	mux.Handle("/log/level", leveled.Table())

	// defer logger.Sync()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = errors.Join(err, slogworks.Shutdown(ctx, leveled))
	}()

	// zap.New(core).Named("shop").With(zap.String("version", "1.2"))
	logger := slogworks.Named(slog.New(leveled), "shop").With("version", "1.2")

	// zap.String, zap.Int and zap.Error: slog.LogAttrs is what allocates least.
	logger.LogAttrs(context.Background(), slog.LevelInfo, "started", slog.Int("port", 8080))
	logger.Error("payment failed", "err", errors.New("card refused"))
	logger.Debug("nobody asked for this")

	// curl -X PUT localhost:8080/log/level -d logger=shop -d level=debug -d ttl=10m
	change := httptest.NewRequest(http.MethodPut, "/log/level?logger=shop&level=debug&ttl=10m", nil)
	mux.ServeHTTP(httptest.NewRecorder(), change)
	logger.Debug("now somebody did")
	return nil
}

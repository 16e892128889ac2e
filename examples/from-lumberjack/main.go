// From-lumberjack is what becomes of a program that writes its log by
// gopkg.in/natefinch/lumberjack.v2: the settings stay what they are, the files
// keep their names, and there is what lumberjack lacks: a schedule, an end that
// waits for the compression, and errors that somebody learns of.
//
//	go run ./examples/from-lumberjack
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	natefinch "gopkg.in/natefinch/lumberjack.v2"

	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/rotate/lumberjack"
)

func main() {
	path := filepath.Join(os.TempDir(), "from-lumberjack", "app.log")
	if err := run(path); err != nil {
		fmt.Fprintln(os.Stderr, "from-lumberjack:", err)
		os.Exit(1)
	}
	fmt.Println("wrote", path)
}

func run(path string) (err error) {
	// This stood in the program, and next to it
	//	logger := slog.New(slog.NewJSONHandler(settings, nil))
	settings := &natefinch.Logger{Filename: path, MaxSize: 100, MaxBackups: 3, MaxAge: 28, Compress: true}

	path, opts := lumberjack.Options(settings)
	opts.Schedule = rotate.Daily(0, 0, nil)
	opts.OnError = func(err error) { fmt.Fprintln(os.Stderr, err) }
	file, err := rotate.Open(path, opts)
	if err != nil {
		return err // where lumberjack would wait for the first record and lose it
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = errors.Join(err, file.Shutdown(ctx))
	}()

	logger := slog.New(slog.NewJSONHandler(file, nil))
	logger.Info("before")
	if err := file.Rotate(); err != nil {
		return err
	}
	logger.Info("after")
	return nil
}

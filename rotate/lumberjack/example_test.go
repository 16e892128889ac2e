package lumberjack_test

import (
	"fmt"
	"log"
	"path/filepath"

	lj "gopkg.in/natefinch/lumberjack.v2"

	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/rotate/lumberjack"
)

// A program that had a lumberjack changes one line, and has a Schedule besides.
func ExampleOptions() {
	logger := &lj.Logger{Filename: "/var/log/app.log", MaxSize: 50, MaxAge: 7, MaxBackups: 3, Compress: true}

	path, opts := lumberjack.Options(logger)
	opts.Schedule = rotate.Daily(0, 0, nil)
	fmt.Println(filepath.ToSlash(path), opts.MaxBytes, opts.MaxAge, opts.MaxBackups, opts.Compress)
	// rotate.Open(path, opts)

	// Output:
	// /var/log/app.log 52428800 168h0m0s 3 true
}

func ExampleOpen() {
	dir, remove := temporary()
	defer remove()

	logger := &lj.Logger{Filename: filepath.Join(dir, "app.log"), MaxSize: 50}
	file, err := lumberjack.Open(logger, &rotate.Options{Buffer: 64 << 10})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(file, "written by lumberjack, when the buffer is flushed")
	fmt.Println(file.Stats().Buffered, "record in the buffer")
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1 record in the buffer
}

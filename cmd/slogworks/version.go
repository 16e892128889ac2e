package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

func version(_ context.Context, args []string, stdout, _ io.Writer) error {
	flags := newFlags("Usage: slogworks version\n\nPrints the version, the Go release and the platform it was built for.\n")
	if err := flags.parse(args, stdout); err != nil {
		return err
	}
	if err := flags.noArgs(); err != nil {
		return err
	}
	version := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	_, err := fmt.Fprintf(stdout, "slogworks %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

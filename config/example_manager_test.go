package config_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/config"
)

func write(path, level string) {
	document := `
version: 1
handlers:
  out: {kind: console, output: stdout, format: {layout: "{level} {logger}: {msg}"}}
root: {level: ` + level + `, to: [out]}
`
	if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
		panic(err)
	}
}

func ExampleManager() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "pipeline.yaml")
	write(path, "info")

	ctx := context.Background()
	m, err := config.Open(ctx, path, &config.ManagerOptions{
		Options:  config.Options{File: "pipeline.yaml"},
		OnReload: func(generation int, err error) { fmt.Println("generation", generation, err) },
	})
	if err != nil {
		panic(err)
	}
	defer m.Close()
	logger := slogworks.Named(slog.New(m.Handler()), "shop")
	logger.Info("open")
	logger.Debug("not to be seen")

	write(path, "debug")
	_ = m.Reload(ctx) // or m.Watch, or a request to m.Admin
	logger.Debug("to be seen")

	write(path, "loud")
	_ = m.Reload(ctx)
	logger.Debug("still to be seen")
	// Output:
	// INFO shop: open
	// INFO slogworks.config: configuration changed
	// generation 2 <nil>
	// DEBUG shop: to be seen
	// WARN slogworks.config: configuration refused
	// generation 2 pipeline.yaml:5: root.level: is "loud" and has to be a level such as info, error+4 or -4
	// DEBUG shop: still to be seen
}

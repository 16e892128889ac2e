package config_test

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/config"
	"github.com/slogworks/slogworks/internal/peertest"
)

// The documents of the storm. Files, queues and routes come, change and go.
var storm = []string{
	`{kind: file, path: a.log}}, root: {level: debug, to: [x]}`,
	`{kind: queue, to: y}, y: {kind: file, path: a.log}}, root: {level: debug, to: [x]}`,
	`{kind: queue, to: y, capacity: 4096}, y: {kind: file, path: a.log}}, root: {level: debug, to: [x]}`,
	`{kind: file, path: b.log, max_size: 1GB}, y: {kind: file, path: a.log}}, loggers: {storm.1: {to: [y], bubble: false}}, root: {level: debug, to: [x]}`,
	`{kind: file, path: b.log, max_size: 2GB}}, root: {level: debug, to: [x]}`,
	`{kind: buffer, to: y, level: debug, manual: true}, y: {kind: file, path: a.log}}, root: {level: debug, to: [x]}`,
	`{kind: buffer, to: y, level: debug, dir: spool, every: 1ms, trigger: [{count: 1, level: debug}], limit: {n: -1}}, y: {kind: file, path: b.log}}, root: {level: debug, to: [x]}`,
	`{kind: fingerscrossed, to: y, level: debug}, y: {kind: queue, to: z}, z: {kind: file, path: b.log}}, root: {level: debug, to: [x]}`,
	`{kind: fanout, to: [q, w]}, w: {kind: discard}, q: {kind: queue, to: z}, z: {kind: file, path: a.log}}, root: {level: debug, to: [x]}`,
	`{kind: fanout, to: [r, w]}, w: {kind: memory}, r: {kind: queue, to: z}, z: {kind: file, path: a.log}}, root: {level: debug, to: [x]}`,
}

func TestManager_losesNothingOverAThousandReloads(t *testing.T) {
	reloads, perReload := 1000, 80
	if testing.Short() {
		reloads = 100
	}
	t.Chdir(t.TempDir())
	descriptors, goroutines := openFiles(), runtime.NumGoroutine()
	document := func(i int) []byte { return []byte("{version: 1, handlers: {x: " + storm[i%len(storm)] + "}\n") }
	if err := os.WriteFile("pipeline.yaml", document(0), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := config.Open(t.Context(), "pipeline.yaml", &config.ManagerOptions{
		Options: config.Options{OnError: func(err error) { t.Error(err) }},
		OnReload: func(generation int, err error) {
			if err != nil {
				t.Error(generation, err)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}

	// Each record is permitted, so that the two sides keep pace.
	permits := make(chan int, 2*perReload)
	var writers sync.WaitGroup
	for g := range 8 {
		logger := slog.New(m.Handler()).With("logger", "storm."+strconv.Itoa(g%3))
		if g%2 == 1 {
			logger = logger.WithGroup("group").With("writer", g)
		}
		writers.Go(func() {
			for id := range permits {
				logger.LogAttrs(context.Background(), slog.LevelDebug, "record "+strconv.Itoa(id))
			}
		})
	}
	for i := range reloads {
		for j := range perReload / 2 {
			permits <- i*perReload + j
		}
		if err := os.WriteFile("pipeline.yaml", document(i+1), 0o600); err != nil {
			t.Fatal(err)
		}
		former := m.Pipeline()
		if err := m.Reload(context.Background()); err != nil {
			t.Fatal(err)
		}
		// Whatever a stage drops it counts. A pipeline gets 250 records at most, for
		// which each queue has room, so nothing is to be dropped here.
		for _, account := range slogworks.Books(former) {
			for reason, n := range account.Dropped {
				if n > 0 {
					t.Errorf("generation %d: %s dropped %d: %s", i+1, account.Stage, n, reason)
				}
			}
		}
		for j := range perReload / 2 {
			permits <- i*perReload + perReload/2 + j
		}
	}
	close(permits)
	writers.Wait()
	check(t, "generation", m.Generation(), 1+reloads)
	if err := m.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}

	times := make([]int, reloads*perReload)
	for _, file := range []string{"a.log", "b.log"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			if _, rest, ok := strings.Cut(line, `"msg":"record `); ok {
				digits, _, _ := strings.Cut(rest, `"`)
				id, err := strconv.Atoi(digits)
				if err != nil {
					t.Fatal(line)
				}
				times[id]++
			} else if line != "\n" && !strings.Contains(line, config.ManagerLogger) {
				// An empty line is there if a file was opened again while a record
				// was half in it.
				t.Fatalf("a torn line: %q", line)
			}
		}
	}
	lost, twice := 0, 0
	for id, n := range times {
		if n == 0 {
			lost++
			t.Logf("record %d is lost, which was permitted in generation %d", id, 1+id/perReload)
		}
		if n > 1 {
			twice++
		}
	}
	if lost > 0 || twice > 0 {
		t.Errorf("of %d records %d are lost and %d there more than once", len(times), lost, twice)
	}
	peertest.WaitFor(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
	check(t, "open files", openFiles(), descriptors)
}

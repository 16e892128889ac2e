package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/queue"
)

// children are programs of their own, that end as programs do.
var children = map[string]func(){
	// A record at SyncLevel, then os.Exit.
	"exit": func() {
		l := slog.New(queue.New(lines(), &queue.Options{Capacity: 4096, SyncLevel: slog.LevelError}))
		logMany(l)
		l.Error("last")
		os.Exit(3)
	},
	// A panic, with a deferred Close.
	"panic": func() {
		q := queue.New(lines(), &queue.Options{Capacity: 4096})
		defer q.Close()
		logMany(slog.New(q))
		slog.New(q).Error("last")
		panic("end of the program")
	},
	// log.Fatal over a sink that has not come to write yet.
	"fatal": func() {
		q := queue.New(&handlertest.Recorder{Before: make(gate).hold}, nil)
		defer q.Close()
		slog.New(q).Info("lost")
		log.SetOutput(io.Discard)
		log.Fatal("end of the program")
	},
	// The caller goes on to use the map that it has logged.
	"map": func() {
		q := queue.New(slog.NewJSONHandler(io.Discard, nil), &queue.Options{Capacity: 1 << 20})
		header := map[string][]string{}
		l := slog.New(q).With("with", header).WithGroup("g")
		for i := range 20_000 {
			l.Info("request", "header", header, slog.Group("h", "header", header))
			header[fmt.Sprint("key", i%10)] = []string{"value"}
			delete(header, fmt.Sprint("key", (i+5)%10))
		}
		_ = q.Close()
	},
}

func lines() slog.Handler { return slog.NewTextHandler(os.Stdout, nil) }

func logMany(l *slog.Logger) {
	for i := range 1000 {
		l.Info("m", "i", i)
	}
}

const childVariable = "SLOGWORKS_QUEUE_TEST_CHILD"

func TestMain(m *testing.M) {
	if child := children[os.Getenv(childVariable)]; child != nil {
		child()
		os.Exit(0)
	}
	os.Exit(peertest.Main(m, "queue.(*core).work("))
}

// run runs a child and returns what it has written and its exit code.
func run(t *testing.T, child string) (lines [][]byte, code int, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+child)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for line := range bytes.Lines(out.Bytes()) {
		lines = append(lines, line)
	}
	return lines, cmd.ProcessState.ExitCode(), errs.String()
}

// What a program has logged when it ends, and how much of that is written.
func TestHandler_endOfTheProgram(t *testing.T) {
	for name, test := range map[string]struct{ lines, code int }{
		"exit":  {1001, 3},
		"panic": {1001, 2},
		"fatal": {0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got, code, stderr := run(t, name)
			if code != test.code || len(got) != test.lines {
				t.Fatalf("%d lines, exit code %d, want %d and %d\n%s", len(got), code, test.lines, test.code, stderr)
			}
			for i, line := range got {
				want := fmt.Appendf(nil, "level=INFO msg=m i=%d\n", i)
				if i == 1000 {
					want = []byte("level=ERROR msg=last\n")
				}
				if !bytes.HasSuffix(line, want) {
					t.Fatalf("line %d is %s", i, line)
				}
			}
		})
	}
}

// Without freezing, this ends in "concurrent map iteration and map write", which
// no handler can recover from.
func TestHandler_valuesMayChangeAfterwards(t *testing.T) {
	if _, code, stderr := run(t, "map"); code != 0 || stderr != "" {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}

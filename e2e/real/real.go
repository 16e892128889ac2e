// Package real finds and runs the programs that the tests of this module need
// beside Go.
package real

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Required is the environment variable that makes a missing program a failure
// when it is set to 1. Otherwise the test is skipped.
const Required = "SLOGWORKS_REAL"

// Program returns the path of the first of the programs that is installed. If
// none is, the test ends here.
func Program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(t, names[0])
	return ""
}

// Missing ends the test for want of something that has to be installed.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(Required) == "1" {
		t.Fatalf("%s not found, and %s=1 says that it is there", what, Required)
	}
	t.Skipf("skipped: %s not found", what)
}

// limit is the time that a program has which is to end by itself.
const limit = time.Minute

// Output runs a program to its end, in dir, and returns what it writes to
// stdout. The test ends here if the program fails.
func Output(t testing.TB, dir, path string, args ...string) string {
	t.Helper()
	return OutputOf(t, dir, nil, path, args...)
}

// OutputOf is Output of a program that reads stdin.
func OutputOf(t testing.TB, dir string, stdin io.Reader, path string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	command := exec.CommandContext(ctx, path, args...)
	command.Dir = dir
	command.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = stdin, &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("%v: %v\n%s%s", command.Args, err, &stdout, &stderr)
	}
	return stdout.String()
}

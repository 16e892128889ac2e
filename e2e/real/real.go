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

// Patience is how long a program may take for what it does at once, and to its
// end if it ends by itself: far longer than it takes on a busy machine.
const Patience = time.Minute

// Eventually reports whether ok comes to return true within [Patience].
func Eventually(ok func() bool) bool {
	for end := time.Now().Add(Patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// WaitFor ends the test, and says that it was what that did not come, unless ok
// returns true within [Patience].
func WaitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !Eventually(ok) {
		t.Fatalf("%s: not within %v", what, Patience)
	}
}

// Output runs a program to its end, in dir, and returns what it writes to
// stdout. The test ends here if the program fails.
func Output(t testing.TB, dir, path string, args ...string) string {
	t.Helper()
	return OutputOf(t, dir, nil, path, args...)
}

// OutputOf is Output of a program that reads stdin.
func OutputOf(t testing.TB, dir string, stdin io.Reader, path string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
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

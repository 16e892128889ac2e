//go:build unix

package rotate_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/rotate"
)

func makePipe(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFile_reopensOnASignal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	f, err := rotate.Open(path, &rotate.Options{ReopenEvery: -1})
	opened(t, f, err)
	f.ReopenOn(t.Context()) // no signal
	f.ReopenOn(t.Context(), syscall.SIGHUP)
	write(t, f, "0\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	peertest.WaitFor(t, "the file is opened anew", func() bool { return f.Stats().Reopens == 1 })
	write(t, f, "1\n")
	closed(t, f)
	same(t, dir, map[string]string{"app.log": "1\n", "app.log.1": "0\n"})
}

// What it opens is where standard output leads, whatever that is under go test.
func TestFile_writesToStandardOutput(t *testing.T) {
	info, err := os.Stat("/dev/stdout")
	if err != nil {
		t.Skipf("skipped: no /dev/stdout: %v", err)
	}
	f, err := rotate.Open("/dev/stdout", &rotate.Options{MaxBytes: 1})
	opened(t, f, err)
	write(t, f, "\n", "\n")
	if s := f.Stats(); s.Rotations != 0 || s.Records != 2 {
		t.Errorf("the stats are %+v", s)
	}
	closed(t, f)
	if after, err := os.Stat("/dev/stdout"); err != nil || !os.SameFile(info, after) {
		t.Errorf("it leads elsewhere now: %v", err)
	}
}

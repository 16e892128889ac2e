package real_test

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/e2e/real"
)

// ended is a test that looks for something, and how it ended.
type ended struct {
	testing.TB
	skipped, failed string
}

func (e *ended) Helper() {}

func (e *ended) Skipf(format string, _ ...any) {
	e.skipped = format
	runtime.Goexit()
}

func (e *ended) Fatalf(format string, _ ...any) {
	e.failed = format
	runtime.Goexit()
}

// outcome runs f as a test is run, which can end anywhere.
func outcome(t *testing.T, f func(testing.TB)) *ended {
	e := &ended{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(e)
	}()
	<-done
	return e
}

func TestProgram_findsTheFirstThatIsThere(t *testing.T) {
	path := real.Program(t, "no-such-program", "go")
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		t.Errorf("found %q, %v", path, err)
	}
}

func TestProgram_isSkippedOrRequired(t *testing.T) {
	look := func(tb testing.TB) { real.Program(tb, "no-such-program") }
	t.Setenv(real.Required, "")
	if e := outcome(t, look); !strings.HasPrefix(e.skipped, "skipped: ") || e.failed != "" {
		t.Errorf("where it may be missing the test is skipped with %q and fails with %q", e.skipped, e.failed)
	}
	t.Setenv(real.Required, "1")
	if e := outcome(t, look); e.failed == "" || e.skipped != "" {
		t.Errorf("where it is required the test is skipped with %q and fails with %q", e.skipped, e.failed)
	}
}

func TestOutputOf_failsIfTheProgramDoes(t *testing.T) {
	goCommand := real.Program(t, "go")
	if got := strings.TrimSpace(real.Output(t, t.TempDir(), goCommand, "env", "GOROOT")); got == "" {
		t.Error("go env prints nothing")
	}
	if e := outcome(t, func(tb testing.TB) { real.Output(tb, t.TempDir(), goCommand, "no-such-command") }); e.failed == "" {
		t.Error("a program that fails does not fail the test")
	}
}

func TestWaitFor_hasPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		after := func(d time.Duration) func() bool { return func() bool { return time.Since(began) >= d } }
		if e := outcome(t, func(tb testing.TB) { real.WaitFor(tb, "in time", after(real.Patience)) }); e.failed != "" {
			t.Errorf("what comes in time fails with %q", e.failed)
		}
		began = time.Now()
		if e := outcome(t, func(tb testing.TB) { real.WaitFor(tb, "late", after(2*real.Patience)) }); e.failed == "" {
			t.Error("what comes late is no failure")
		}
	})
}

package memory_test

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/slogworks/slogworks/sinks/memory"
)

// fakeT is a memory.TB that writes what is reported and can be ended. Unlike
// the testing package's, its Fatalf returns.
type fakeT struct {
	out io.Writer

	mu       sync.Mutex
	failed   bool
	ended    bool
	cleanups []func()
}

var _ memory.TB = (*fakeT)(nil)

func (*fakeT) Helper() {}

func (t *fakeT) Logf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		panic("Log after the test has completed")
	}
	fmt.Fprintf(t.out, format+"\n", args...)
}

func (t *fakeT) Errorf(format string, args ...any) {
	t.fail()
	t.Logf(format, args...)
}

func (t *fakeT) Fatalf(format string, args ...any) {
	t.fail()
	t.Logf(format, args...)
}

func (t *fakeT) fail() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = true
}

func (t *fakeT) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

func (t *fakeT) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func (t *fakeT) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
}

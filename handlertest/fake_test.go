package handlertest_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/slogworks/slogworks/handlertest"
)

// outcome is what came of a check.
type outcome struct {
	mu       sync.Mutex
	errors   []string
	skipped  string
	cleanups []func()
}

// check runs f as a test would be run.
func check(f func(t handlertest.Reporter)) *outcome {
	o := new(outcome)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(o)
	}()
	<-ended
	for _, cleanup := range slices.Backward(o.cleanups) {
		cleanup()
	}
	return o
}

func (o *outcome) Helper() {}

func (o *outcome) Errorf(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.errors = append(o.errors, fmt.Sprintf(format, args...))
}

func (o *outcome) Fatalf(format string, args ...any) {
	o.Errorf(format, args...)
	runtime.Goexit()
}

func (o *outcome) Skipf(format string, args ...any) {
	o.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (o *outcome) Failed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.errors) > 0
}

func (o *outcome) Cleanup(f func()) { o.cleanups = append(o.cleanups, f) }

func (o *outcome) complains(about string) bool {
	return slices.ContainsFunc(o.errors, func(e string) bool { return strings.Contains(e, about) })
}

package syslog_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain sees that nothing is left running when all tests are over.
func TestMain(m *testing.M) {
	code := m.Run()
	end := time.Now().Add(deadline)
	for code == 0 && (strings.Contains(stacks(), "slogworks/sinks/syslog.(") || strings.Contains(stacks(), "internal/outlet.(")) {
		if time.Now().After(end) {
			fmt.Fprintf(os.Stderr, "goroutines are left:\n%s", stacks())
			code = 1
		}
		time.Sleep(time.Millisecond)
	}
	os.Exit(code)
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

package peertest

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Main runs the tests of a package and returns the code to exit with: that of
// m.Run, or 1 if the tests pass and leave a goroutine behind. Such a goroutine
// has one of marks in its stack, such as "sinks/syslog.(" for the methods of a
// package, and is still there after [Patience]. All stacks go to stderr then.
//
//	func TestMain(m *testing.M) { os.Exit(peertest.Main(m, "sinks/syslog.(")) }
func Main(m interface{ Run() int }, marks ...string) (code int) {
	if code = m.Run(); code != 0 {
		return code // tests that fail may well leave something
	}
	// All goroutines stand still while their stacks are taken.
	for end := time.Now().Add(Patience); ; time.Sleep(10 * time.Millisecond) {
		stacks := Stacks()
		if !slices.ContainsFunc(marks, func(mark string) bool { return strings.Contains(stacks, mark) }) {
			return 0
		}
		if time.Now().After(end) {
			fmt.Fprintf(os.Stderr, "goroutines are left:\n%s", stacks)
			return 1
		}
	}
}

// Stacks returns the stacks of all goroutines, at most a mebibyte of them.
func Stacks() string {
	b := make([]byte, 1<<20)
	return string(b[:runtime.Stack(b, true)])
}

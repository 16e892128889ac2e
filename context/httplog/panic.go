package httplog

import (
	"runtime"
	"strings"
)

// panicPC returns where the panic happened that the caller recovers from.
func panicPC() uintptr {
	var pcs [64]uintptr
	inPanic := false
	for _, pc := range pcs[:runtime.Callers(2, pcs[:])] {
		frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
		inRuntime := strings.HasPrefix(frame.Function, "runtime.")
		if inPanic && !inRuntime {
			return pc
		}
		inPanic = inPanic || inRuntime
	}
	return 0
}

// panicStack returns a stack of debug.Stack from where the panic happened on.
// What comes before is the same each time, and takes the room where a stack is
// cut. The runtime's own frames, such as sigpanic, debug.Stack leaves out.
func panicStack(stack string) string {
	goroutine, frames, _ := strings.Cut(stack, "\n")
	if _, rest, ok := strings.Cut("\n"+frames, "\npanic("); ok {
		// The frame of panic has two lines, the function and its place.
		_, rest, _ = strings.Cut(rest, "\n")
		_, rest, _ = strings.Cut(rest, "\n")
		return goroutine + "\n" + rest
	}
	return stack
}

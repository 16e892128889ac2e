package memory

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"
)

// TB is what the package needs of a test. *testing.T, *testing.B and testing.TB
// have it; programs that keep records are not linked with testing for it.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(func())
}

// FailOn makes the test fail when it ends if there is a record at or above
// level whose message is not one of except, and lists all such records. It also
// fails if one at or above level was dropped to make room, since nobody can say
// whether it was excepted.
//
// The test ends, here and for Dump, when tb runs what was given to tb.Cleanup:
// the latest first, so that what an earlier Cleanup logs comes too late.
func (h *Handler) FailOn(tb TB, level slog.Level, except ...string) {
	tb.Helper()
	except = slices.Clone(except)
	tb.Cleanup(func() {
		tb.Helper()
		there := h.core.snapshot()
		var found []*entry
		for _, e := range there.entries {
			if e.view.Level() >= level && !slices.Contains(except, e.view.Message()) {
				found = append(found, e)
			}
		}
		if len(found) > 0 {
			tb.Errorf("memory: %s at %v or above:%s", records(len(found)), level, lines(found, all))
		}
		if there.dropped > 0 && there.worst >= level {
			tb.Errorf("memory: %s dropped before FailOn(%v) could look, up to %v: raise MaxRecords",
				records(there.dropped), level, there.worst)
		}
	})
}

// Dump makes the test log all records when it ends, if it failed or panicked.
// The text is that of slog.TextHandler without the time, so that it is the same
// each time. Call Dump before FailOn: the end of a test runs what was asked for
// last first, and Dump has to know whether the test failed.
func (h *Handler) Dump(tb TB) {
	tb.Helper()
	tb.Cleanup(func() {
		tb.Helper()
		if tb.Failed() || panicking() {
			tb.Logf("memory: %s", h.core.snapshot().inventory(all))
		}
	})
}

// panicking reports whether a panic ends the test. The testing package counts
// such a test as failed only after its cleanups (golang/go#49929), and recover
// is not for a function that a deferred one calls; the stack tells.
func panicking() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs[:])])
	for {
		frame, more := frames.Next()
		if frame.Function == "runtime.gopanic" {
			return true
		}
		if !more {
			return false
		}
	}
}

// maxListed bounds the lists in failures of a single question: the test goes on
// to say more. all is for the end of the test.
const (
	maxListed = 50
	all       = -1
)

// inventory says what is there and what no longer is.
func (k kept) inventory(limit int) string {
	var b strings.Builder
	switch n := len(k.entries); n {
	case 0:
		b.WriteString("there are no records")
	case 1:
		b.WriteString("there is 1 record")
	default:
		fmt.Fprintf(&b, "there are %d records", n)
	}
	if k.dropped > 0 {
		fmt.Fprintf(&b, " (%d older dropped: raise MaxRecords)", k.dropped)
	}
	if len(k.entries) > 0 {
		b.WriteString(":" + lines(k.entries, limit))
	}
	return b.String()
}

func records(n int) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}

// lines returns the newest entries, a line for each, after a line feed. The
// text is slog's own, because it is what a reader of logs knows.
func lines(entries []*entry, limit int) string {
	var b strings.Builder
	b.WriteString("\n")
	if left := len(entries) - limit; limit != all && left > 0 {
		fmt.Fprintf(&b, "\t(%d earlier left out)\n", left)
		entries = entries[left:]
	}
	text := slog.NewTextHandler(&b, nil)
	for _, e := range entries {
		r := slog.NewRecord(time.Time{}, e.view.Level(), e.view.Message(), 0)
		for a := range e.view.Attrs() {
			r.AddAttrs(a)
		}
		b.WriteString("\t")
		text.Handle(e.ctx, r) // a strings.Builder takes every write
	}
	return strings.TrimSuffix(b.String(), "\n")
}

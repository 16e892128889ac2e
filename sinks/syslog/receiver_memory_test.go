package syslog_test

import (
	"strings"
	"testing"
)

// The handler is busy, and as many peers as there may be have sent what becomes
// long, or is not complete.
func TestReceiver_boundsItsMemoryBehindABusyHandler(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's memory counts too")
	}
	receivers("tcp", nil).BoundTheirMemoryBehindABusyHandler(t, 256, 64<<20, map[string]string{
		"nothing":                         "",
		"a length":                        "1048576 ",
		"many parameters":                 countOctets("<14>1 - - - - - [a" + strings.Repeat(` b=""`, 3200) + "]"),
		"many elements":                   countOctets("<14>1 - - - - - " + strings.Repeat(`[a]`, 4000)),
		"many parameters of a Handler":    countOctets("<14>1 - - - - - [slog@32473" + strings.Repeat(` b=""`, 3200) + "]"),
		"many groups of a Handler":        countOctets("<14>1 - - - - - [slog@32473" + strings.Repeat(` a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a="" b=""`, 380) + "]"),
		"bytes that are no text":          countOctets("<14>" + strings.Repeat("\xffx", 8000)),
		"a long message":                  countOctets("<14>" + strings.Repeat("x", 1<<20-4)),
		"a long message not complete":     "1048576 <14>" + strings.Repeat("x", 1<<20-10),
		"a line without end":              "<14>" + strings.Repeat("x", 1<<20-10),
		"many lines, and then no NUL":     "<14>" + strings.Repeat("x\n", 1<<19-10),
		"a long line, and then no NUL":    "<14>x\x00<14>" + strings.Repeat("x\n", 1<<19-10),
		"many short messages":             strings.Repeat(countOctets("<14>x"), 10_000),
		"many parameters, a long one":     countOctets("<14>1 - - - - - [a" + strings.Repeat(` b=""`, 4000) + "]" + strings.Repeat("x", 1<<20-30_000)),
		"many groups, and a long message": countOctets("<14>1 - - - - - [slog@32473" + strings.Repeat(` a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a="" b=""`, 2000) + "]" + strings.Repeat("x", 900_000)),
	})
}

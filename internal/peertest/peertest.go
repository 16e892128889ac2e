// Package peertest is what the tests of the sinks, and of whatever else talks to
// a peer, do alike: certificates for the loopback interface, connections without
// a network, records to send, waiting for what another goroutine brings about,
// the tests that are the same for all receivers, the memory that hostile peers
// take, and the goroutines that are left.
//
// Only tests import it, since it makes testing part of the program.
package peertest

import (
	"context"
	"testing"
	"time"
)

// Patience is how long a test waits for what has to come: far longer than it
// takes on a busy machine, since whoever waits in vain fails.
const Patience = 10 * time.Second

// WaitFor asks every millisecond until ok returns true. It ends the test if that
// takes longer than [Patience], and says that it was what that did not come.
func WaitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, Patience)
		}
	}
}

// ShutdownAtEnd shuts s down when the test ends, which fails if that fails or
// takes longer than [Patience].
func ShutdownAtEnd(t testing.TB, s interface{ Shutdown(context.Context) error }) {
	t.Helper()
	t.Cleanup(func() {
		// The context of the test is over when it cleans up.
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

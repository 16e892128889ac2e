package live_test

import (
	"os"
	"testing"

	"github.com/slogworks/slogworks/internal/peertest"
)

// TestMain sees that nothing is left running when all tests are over.
func TestMain(m *testing.M) { os.Exit(peertest.Main(m, "slogworks/sinks/live.(")) }

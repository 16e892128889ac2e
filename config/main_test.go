package config_test

import (
	"os"
	"testing"

	"github.com/slogworks/slogworks/internal/peertest"
)

func TestMain(m *testing.M) {
	os.Exit(peertest.Main(m, "/config.(", "/rotate.(", "/queue.(", "/buffer.(", "/live.(", "/notify."))
}

package redis_test

import (
	"os"
	"testing"

	"github.com/slogworks/slogworks/internal/peertest"
)

func TestMain(m *testing.M) {
	os.Exit(peertest.Main(m, "slogworks/sinks/redis.(", "redis/go-redis/"))
}

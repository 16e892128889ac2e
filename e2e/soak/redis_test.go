package soak_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/sinks/redis"
)

const stream = "log"

// redisServer is a redis-server that is killed and comes back.
type redisServer struct {
	t             *testing.T
	path, address string
	dir           string
	command       *exec.Cmd
}

// newRedis returns nil if there is no redis-server.
func (r *rig) newRedis(retry slogworks.Backoff) slog.Handler {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv(real.Required) == "1" {
			r.t.Fatalf("%v, and %s=1 says that it is there", err, real.Required)
		}
		r.t.Logf("nothing goes to Redis: %v", err)
		return nil
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	server := &redisServer{t: r.t, path: path, address: free.Addr().String(), dir: r.t.TempDir()}
	free.Close()
	server.start()
	r.redis = server
	r.onClose(server.kill)
	r.fault("redis-server is killed", server.kill, server.start)
	return redis.New("redis://"+server.address, &redis.Options{
		Stream: stream, MaxLen: 10_000_000, Timeout: time.Second, DialTimeout: time.Second, Backoff: retry,
	})
}

func (s *redisServer) start() {
	_, port, _ := net.SplitHostPort(s.address)
	s.command = exec.Command(s.path, "--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "yes")
	if err := s.command.Start(); err != nil {
		s.t.Error(err)
		return
	}
	client := s.client()
	defer client.Close()
	if !real.Eventually(func() bool { return client.Ping(context.Background()).Err() == nil }) {
		s.t.Errorf("redis-server at %s does not answer", s.address)
	}
}

func (s *redisServer) kill() {
	s.command.Process.Kill()
	s.command.Wait()
}

func (s *redisServer) client() *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: s.address, MaxRetries: -1})
}

// length is how many records the stream has.
func (s *redisServer) length() (uint64, error) {
	client := s.client()
	defer client.Close()
	n, err := client.XLen(context.Background(), stream).Result()
	if err != nil {
		return 0, fmt.Errorf("XLEN: %w", err)
	}
	return uint64(n), nil
}

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks/e2e/real"
)

// redisServer is a redis-server of this test, which keeps what it acknowledges.
type redisServer struct {
	t       *testing.T
	program string
	port    string
	dir     string
	args    []string

	process *exec.Cmd
	ended   chan struct{}
}

// newRedis returns a server that does not run yet.
func newRedis(t *testing.T, args ...string) *redisServer {
	t.Helper()
	s := &redisServer{t: t, program: real.Program(t, "redis-server"), dir: t.TempDir(), args: args}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, s.port, _ = net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	return s
}

func startRedis(t *testing.T, args ...string) *redisServer {
	t.Helper()
	s := newRedis(t, args...)
	s.start()
	return s
}

func (s *redisServer) url() string { return "redis://127.0.0.1:" + s.port }

// start starts the server, also again, and returns when it answers.
func (s *redisServer) start() {
	s.t.Helper()
	s.process = exec.Command(s.program, append([]string{
		"--bind", "127.0.0.1", "--port", s.port, "--dir", s.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "everysec",
	}, s.args...)...)
	var output bytes.Buffer
	s.process.Stdout, s.process.Stderr = &output, &output
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.ended = make(chan struct{})
	go func(p *exec.Cmd, ended chan struct{}) {
		_ = p.Wait()
		close(ended)
	}(s.process, s.ended)
	client := s.client("")
	defer client.Close()
	real.WaitFor(s.t, "redis-server answers", func() bool {
		err := client.Ping(context.Background()).Err()
		return err == nil || goredis.HasErrorPrefix(err, "NOAUTH")
	})
}

// kill ends the server as kill -9 does.
func (s *redisServer) kill() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill() // also what is stopped
	<-s.ended
	s.process = nil
}

func (s *redisServer) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// client returns one that is made for tests: it tries nothing again.
func (s *redisServer) client(password string) *goredis.Client {
	silenceGoRedis()
	return goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:" + s.port, Password: password, MaxRetries: -1, DialerRetries: 1, Protocol: 2})
}

// admin returns a client that lives as long as the test.
func (s *redisServer) admin(password string) *goredis.Client {
	client := s.client(password)
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// silenceGoRedis has the clients of the tests write nothing to stderr while a
// server is down. Those of the module do not need it.
var silenceGoRedis = sync.OnceFunc(func() { goredis.SetLogger(redisSilence{}) })

type redisSilence struct{}

func (redisSilence) Printf(context.Context, string, ...any) {}

// redisSaid are the errors that somebody has met.
type redisSaid struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *redisSaid) add(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(&s.text, err)
}

func (s *redisSaid) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// redisRecords is a handler that keeps messages and levels.
type redisRecords struct {
	mu      sync.Mutex
	records []slog.Record
}

func (h *redisRecords) Enabled(context.Context, slog.Level) bool { return true }
func (h *redisRecords) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *redisRecords) WithGroup(string) slog.Handler            { return h }

func (h *redisRecords) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, r.Clone())
	return nil
}

func (h *redisRecords) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.records)
}

func (h *redisRecords) messages() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var messages []string
	for _, r := range h.records {
		messages = append(messages, r.Message)
	}
	return messages
}

// redisAttr returns an attribute of the record as text.
func redisAttr(r slog.Record, key string) (text string) {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			text = a.Value.String()
		}
		return a.Key != key
	})
	return text
}

// redisMessage is the message of record i.
func redisMessage(i int) string { return fmt.Sprintf("record %d", i) }

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/sinks/redis"
)

// Records of Python programs that use python-redis-log are seen.
func TestRedis_fromPythonRedisLog(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, "redis")
	s := startRedis(t)
	got := new(redisRecords)
	var lines bytes.Buffer
	r := &redis.Reader{URL: s.url(), Handler: slog.NewMultiHandler(got, slog.NewJSONHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Tail(ctx, redis.Source{Channel: "hermey"}) }()
	real.WaitFor(t, "connected", func() bool { return r.Stats().Connected })
	real.Output(t, ".", python, "testdata/redis_log.py", "publish", s.port, "hermey", "records")
	real.WaitFor(t, "five records", func() bool { return got.len() == 5 })
	cancel()
	<-ended

	want := []struct {
		level   slog.Level
		message string
	}{
		{slog.LevelDebug, "100%"}, {slog.LevelInfo, "3 items in cart"}, {slog.LevelWarn, "é\n✓"},
		{slog.LevelError, "Trousers!"}, {slog.LevelError + 4, "all"},
	}
	for i, r := range got.records {
		if r.Message != want[i].message || r.Level != want[i].level || redisAttr(r, "logger") != "my.log" || redisAttr(r, "host") == "" || redisAttr(r, "username") == "" {
			t.Errorf("record %d: %v", i, r)
		}
	}
	if text := redisAttr(got.records[3], "traceback"); !strings.HasPrefix(text, "Traceback") || !strings.Contains(text, "ZeroDivisionError") {
		t.Errorf("traceback %q", text)
	}
	if !strings.Contains(lines.String(), `"source":{"function":"publish","file":"redis_log.py","line":`) {
		t.Errorf("no source: %s", &lines)
	}
	// The list has the same, in the same order.
	listed, err := s.admin("").LRange(t.Context(), "records", 0, -1).Result()
	if err != nil || len(listed) != 5 || !strings.Contains(listed[3], "Trousers!") {
		t.Errorf("list %q, %v", listed, err)
	}
}

// Programs that read python-redis-log see ours.
func TestRedis_toPythonRedisLog(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, "redis")
	s := startRedis(t)
	command := exec.Command(python, "testdata/redis_log.py", "listen", s.port, "hermey")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Process.Kill()
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || lines.Text() != "ready" {
		_ = command.Wait()
		t.Fatalf("%q\n%s", lines.Text(), &stderr)
	}

	h := redis.New(s.url(), &redis.Options{Channel: "hermey", Format: redis.RedisLog})
	defer h.Close()
	l := slogworks.Named(slog.New(h), "my.log")
	l.Debug("100%")
	l.Warn("é\n✓", "n", 3, "k", "v w")
	l.Error("Trousers!", "traceback", "Traceback: x")
	l.Log(t.Context(), slog.LevelError+4, "fatal")
	l.Info("end")

	var got [][]any
	for lines.Scan() {
		var r []any
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if err := command.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	const file, function = "redis_python_test.go", "e2e_test.TestRedis_toPythonRedisLog"
	want := [][]any{
		{"my.log", "debug", "100%", file, function, nil},
		{"my.log", "warning", "é\n✓ n=3 k=\"v w\"", file, function, nil},
		{"my.log", "error", "Trousers!", file, function, "Traceback: x"},
		{"my.log", "fatal", "fatal", file, function, nil},
		{"my.log", "info", "end", file, function, nil},
	}
	if !slices.EqualFunc(got, want, slices.Equal[[]any]) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

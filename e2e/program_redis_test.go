package e2e_test

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/sinks/redis"
)

// programShown are the records on a page.
type programShown struct {
	Records []struct {
		Message string `json:"m"`
		Level   int    `json:"l"`
		Logger  string `json:"n"`
		Host    string `json:"h"`
		Attrs   []struct {
			Key   string `json:"k"`
			Value any    `json:"v"`
		} `json:"a"`
	}
}

type programStats struct {
	Sources []struct {
		Source    string
		Connected bool
		Received  int
		Refused   map[string]int
	}
}

// connected waits until the page has its only source.
func (r *programRun) connected() (stats programStats) {
	r.t.Helper()
	r.until("connected", func() bool {
		r.page("stats", &stats)
		return len(stats.Sources) == 1 && stats.Sources[0].Connected
	})
	return stats
}

// shows waits for messages on the page, whatever stands between them.
func (r *programRun) shows(messages ...string) (shown programShown) {
	r.t.Helper()
	r.until(fmt.Sprintf("%q on the page", messages), func() bool {
		r.page("records", &shown)
		want := messages
		for _, record := range shown.Records {
			if len(want) > 0 && record.Message == want[0] {
				want = want[1:]
			}
		}
		return len(want) == 0
	})
	return shown
}

func programShowsRedis(t *testing.T, program string) {
	python := pythonWith(t, "redis")
	s := startRedis(t)
	r := startProgram(t, program, t.TempDir(), "live", "--http", "127.0.0.1:0", "--redis", s.url()+"/0", "--channel", "her*")
	r.connected()
	real.Output(t, ".", python, "testdata/redis_log.py", "publish", s.port, "hermey", "records")
	if err := s.admin("").Publish(t.Context(), "hermey", "nonsense").Err(); err != nil {
		t.Fatal(err)
	}
	shown := r.shows("100%", "3 items in cart", "é\n✓", "Trousers!", "all").Records
	for i, level := range []int{-4, 0, 4, 8, 12} {
		if shown[i].Level != level || shown[i].Logger != "my.log" || shown[i].Host == "" {
			t.Errorf("record %d is %+v", i, shown[i])
		}
	}
	if text := fmt.Sprint(shown[3].Attrs); !strings.Contains(text, "ZeroDivisionError") {
		t.Errorf("no traceback: %s", text)
	}
	r.says("slogworks live: refused channel hermey bad-json")
	source := r.connected().Sources[0]
	if source.Source != s.url()+"/0 channel her*" || source.Received != 6 || source.Refused["bad-json"] != 1 {
		t.Errorf("the source is %+v", source)
	}
	r.end(syscall.SIGTERM, 0, "slogworks live: received=6 written=5 refused=1 objects=0 dropped=0 connections=0\n")
}

func programSurvivesRedis(t *testing.T, program string) {
	s := startRedis(t, "--requirepass", "hush")
	url := "redis://:hush@127.0.0.1:" + s.port
	stream := redis.New(url, &redis.Options{Stream: "log"})
	channel := redis.New(url, nil)
	defer stream.Close()
	defer channel.Close()
	log := func(h *redis.Handler, message string) {
		t.Helper()
		r := slog.Record{Level: slog.LevelWarn, Message: message}
		real.WaitFor(t, message, func() bool { return h.Handle(t.Context(), r) == nil })
	}
	log(stream, "before")
	r := startProgram(t, program, t.TempDir(), "live", "--http", "127.0.0.1:0", "--redis", url, "--channel", "slogworks", "--stream", "log")
	r.shows("before")
	r.connected()
	log(channel, "published")
	log(stream, "added")
	r.shows("before", "added")
	r.shows("published")

	s.kill()
	r.says("it is tried again until it works\n")
	s.start()
	r.connected()
	log(stream, "added again")
	log(channel, "published again")
	r.shows("before", "added", "added again")
	r.shows("published", "slogworks: records may be missing", "published again")
	r.says("slogworks live: redis: channel slogworks: records may be missing since ")
	var stats any
	r.page("stats", &stats)
	r.command.Process.Signal(syscall.SIGTERM)
	r.end(nil, 0, " refused=0 objects=0 dropped=0 connections=0\n")
	all := r.stderr.String()
	if n := strings.Count(all, "tried again"); n != 1 {
		t.Errorf("told %d times that the server is down", n)
	}
	if strings.Contains(all+r.stdout.String()+fmt.Sprint(stats), "hush") {
		t.Error("the password is told")
	}
}

// Elva's document, with the address of this server and a directory that is hers.
const programElva = `version: 1
handlers:
  redis:     {kind: redis, url: "redis://127.0.0.1:6379/0", channel: hermey, format: redislog, level: debug}
  redis_q:   {kind: queue, to: redis, capacity: 16384, max_batch: 500}
  other.log: {kind: file, path: /var/log/other.log, level: info, naming: numbered, max_backups: 5, max_size: 10MB, format: {layout: "{time} - {logger} - {level} - {msg}"}}
root: {level: warn, to: []}
loggers:
  my.log:     {level: debug, to: [other.log, redis_q]}
  exceptions: {to: [redis_q]}
`

func programPublishes(t *testing.T, program string) {
	s := startRedis(t)
	dir := t.TempDir()
	programFile(t, dir, "elva.yaml", strings.NewReplacer("127.0.0.1:6379", "127.0.0.1:"+s.port, "/var/log/", dir+"/").Replace(programElva))
	page := startProgram(t, program, dir, "live", "--http", "127.0.0.1:0", "--redis", s.url()+"/0", "--channel", "hermey")
	page.connected()
	r := startProgram(t, program, dir, "pipe", "--config", "elva.yaml")
	r.write(
		`{"time":"2026-01-02T03:04:05Z","level":"DEBUG","msg":"for the page only","logger":"my.log"}`,
		`{"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"for both","logger":"my.log.sub","n":7}`,
		`{"time":"2026-01-02T03:04:05Z","level":"INFO","msg":"not grave enough","logger":"exceptions"}`,
		`{"time":"2026-01-02T03:04:05Z","level":"ERROR","msg":"Trousers!","logger":"exceptions"}`,
		`{"time":"2026-01-02T03:04:05Z","level":"ERROR","msg":"of nobody"}`,
	)
	r.stdin.Close()
	r.end(nil, 0, "slogworks pipe: received=5 written=5 refused=0 objects=0 dropped=0 connections=0\n")
	shown := page.shows("for the page only", "for both n=7", "Trousers!").Records
	if len(shown) != 3 || shown[2].Logger != "exceptions" || shown[2].Level != 8 {
		t.Errorf("the page shows %+v", shown)
	}
	programHas(t, dir, "other.log", "2026-01-02T03:04:05.000Z - my.log.sub - INFO - for both\n")
	page.end(syscall.SIGTERM, 0, " dropped=0 connections=0\n")
	if !regexp.MustCompile(`received=3 written=3 `).MatchString(page.stderr.String()) {
		t.Error("the counts are others")
	}
}

package config_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/config"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/memory"
	"github.com/slogworks/slogworks/sinks/socket"
)

// The document of the cookbook: its file and console, its queue, its log server.
const cookbook = `version: 1
handlers:
  spam:    {kind: file, path: spam.log, format: {layout: "{time} - {logger} - {level} - {msg}"}}
  console: {kind: console, output: stderr, level: error, color: auto}
  behind:  {kind: queue, to: spam, capacity: 4096, reserve_level: warn}
  server:  {kind: socket, address: "tcp://127.0.0.1:9020", framing: length32}
  net:     {kind: queue, to: server, max_batch: 64}
root: {level: info, to: [console]}
loggers:
  spam_application: {level: debug, to: [behind]}
  myapp.area1:      {level: debug, to: [net]}
`

// The document of Elva, whose page shows what arrives at redis.
const elva = `version: 1
handlers:
  redis:     {kind: redis, url: "redis://127.0.0.1:6379/0", channel: hermey, format: redislog, level: debug}
  redis_q:   {kind: queue, to: redis, capacity: 16384, max_batch: 500}
  other.log: {kind: file, path: /var/log/other.log, level: info, naming: numbered, max_backups: 5, max_size: 10MB, format: {layout: "{time} - {logger} - {level} - {msg}"}}
root: {level: warn, to: []}
loggers:
  my.log:     {level: debug, to: [other.log, redis_q]}
  exceptions: {to: [redis_q]}
`

// What Python 3.11 writes for the same, configured by dictConfig, when each of
// the loggers logs "debug message", "info message" and so on: the lines without
// their times.
const (
	pythonSpam = `spam_application - DEBUG - debug message
spam_application - INFO - info message
spam_application - WARNING - warning message
spam_application - ERROR - error message
spam_application - CRITICAL - critical message
spam_application.auxiliary - DEBUG - debug message
spam_application.auxiliary - INFO - info message
spam_application.auxiliary - WARNING - warning message
spam_application.auxiliary - ERROR - error message
spam_application.auxiliary - CRITICAL - critical message
`
	pythonConsole = `root - ERROR - error message
root - CRITICAL - critical message
spam_application - ERROR - error message
spam_application - CRITICAL - critical message
spam_application.auxiliary - ERROR - error message
spam_application.auxiliary - CRITICAL - critical message
spam_applications - ERROR - error message
spam_applications - CRITICAL - critical message
myapp - ERROR - error message
myapp - CRITICAL - critical message
myapp.area1 - ERROR - error message
myapp.area1 - CRITICAL - critical message
myapp.area2 - ERROR - error message
myapp.area2 - CRITICAL - critical message
`
	pythonServer = `myapp.area1 - DEBUG - debug message
myapp.area1 - INFO - info message
myapp.area1 - WARNING - warning message
myapp.area1 - ERROR - error message
myapp.area1 - CRITICAL - critical message
`
	pythonOtherLog = `my.log - INFO - info message
my.log - WARNING - warning message
my.log - ERROR - error message
my.log - CRITICAL - critical message
my.log.sub - INFO - info message
my.log.sub - WARNING - warning message
my.log.sub - ERROR - error message
my.log.sub - CRITICAL - critical message
`
	pythonRedis = `my.log - DEBUG - debug message
my.log - INFO - info message
my.log - WARNING - warning message
my.log - ERROR - error message
my.log - CRITICAL - critical message
my.log.sub - DEBUG - debug message
my.log.sub - INFO - info message
my.log.sub - WARNING - warning message
my.log.sub - ERROR - error message
my.log.sub - CRITICAL - critical message
exceptions - WARNING - warning message
exceptions - ERROR - error message
exceptions - CRITICAL - critical message
exceptions.db - WARNING - warning message
exceptions.db - ERROR - error message
exceptions.db - CRITICAL - critical message
`
)

// asPython returns lines of our layout without the time, and with the words for
// levels and the root that Python has.
func asPython(lines string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		_, rest, _ := strings.Cut(line, " - ")
		logger, rest, _ := strings.Cut(rest, " - ")
		level, rest, _ := strings.Cut(rest, " - ")
		fmt.Fprintf(&b, "%s - %s - %s", pythonLogger(logger), pythonLevel(level), rest)
	}
	return b.String()
}

func pythonLevel(level string) string {
	return strings.NewReplacer("ERROR+4", "CRITICAL", "WARN", "WARNING").Replace(level)
}

func pythonLogger(name string) string {
	if name == "" {
		return "root"
	}
	return name
}

// recorded returns what a sink got in the same form.
func recorded(m *memory.Handler) string {
	var b strings.Builder
	for v := range m.Records() {
		fmt.Fprintf(&b, "%s - %s - %s\n", pythonLogger(v.Logger()), pythonLevel(v.Level().String()), v.Message())
	}
	return b.String()
}

// logLikePython logs what was logged in Python.
func logLikePython(h slog.Handler, loggers ...string) {
	for _, name := range loggers {
		logger := slog.New(h)
		if name != "" {
			logger = slogworks.Named(logger, name)
		}
		for _, l := range []struct {
			level slog.Level
			text  string
		}{{slog.LevelDebug, "debug"}, {slog.LevelInfo, "info"}, {slog.LevelWarn, "warning"}, {slog.LevelError, "error"}, {slog.LevelError + 4, "critical"}} {
			logger.Log(context.Background(), l.level, l.text+" message")
		}
	}
}

// openText runs a document given as text.
func openText(t *testing.T, document string, r *config.Registry) *config.Manager {
	t.Helper()
	opts := config.ManagerOptions{Options: config.Options{Registry: r, OnError: func(err error) { t.Error(err) }}}
	d, err := config.Parse([]byte(document), &opts.Options)
	must(t, err)
	m, err := config.New(t.Context(), d, &opts)
	must(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

func TestPython_cookbook(t *testing.T) {
	t.Chdir(t.TempDir())
	received := memory.New(nil)
	receiver := &socket.Receiver{Handler: received}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error)
	go func() { served <- receiver.Serve(listener) }()

	stderr, err := os.Create("stderr")
	must(t, err)
	before := os.Stderr
	os.Stderr = stderr
	m := openText(t, strings.Replace(cookbook, "127.0.0.1:9020", listener.Addr().String(), 1), nil)
	os.Stderr = before

	logLikePython(m.Handler(), "", "spam_application", "spam_application.auxiliary", "spam_applications", "myapp", "myapp.area1", "myapp.area2")
	must(t, m.Shutdown(t.Context()))
	// What nobody has accepted yet is lost when the listener is closed.
	peertest.WaitFor(t, "the records", func() bool { return receiver.Stats().Received == uint64(strings.Count(pythonServer, "\n")) })
	must(t, receiver.Close())
	if err := <-served; !errors.Is(err, socket.ErrClosed) {
		t.Error(err)
	}
	must(t, stderr.Close())

	check(t, "spam.log", asPython(readAll(t, "spam.log")), pythonSpam)
	check(t, "the log server", recorded(received), pythonServer)

	// The console is for people: the same records in another form.
	console := strings.Split(strings.TrimSuffix(readAll(t, "stderr"), "\n"), "\n")
	want := strings.Split(strings.TrimSuffix(pythonConsole, "\n"), "\n")
	check(t, "lines on the console", len(console), len(want))
	for i, line := range want {
		logger, rest, _ := strings.Cut(line, " - ")
		_, message, _ := strings.Cut(rest, " - ")
		if i < len(console) && (!strings.Contains(console[i], message) || logger != "root" && !strings.Contains(console[i], "logger="+logger)) {
			t.Errorf("line %d of the console is %q, want %q", i+1, console[i], line)
		}
	}
}

func TestPython_cookbookWithItsFormatter(t *testing.T) {
	t.Chdir(t.TempDir())
	stderr, err := os.Create("stderr")
	must(t, err)
	before := os.Stderr
	os.Stderr = stderr
	m := openText(t, `version: 1
handlers:
  console: {kind: console, level: error, format: {layout: "{time} - {logger} - {level} - {msg}"}}
root: {to: [console]}
`, nil)
	os.Stderr = before
	logLikePython(m.Handler(), "", "spam_application", "spam_application.auxiliary", "spam_applications", "myapp", "myapp.area1", "myapp.area2")
	must(t, m.Shutdown(t.Context()))
	must(t, stderr.Close())
	check(t, "the console", asPython(readAll(t, "stderr")), pythonConsole)
}

// stubs returns a registry in which the kinds that a program registers are
// stubs, and what the stub of redis got.
func stubs() (*config.Registry, *memory.Handler) {
	r, published := config.NewRegistry(), memory.New(nil)
	config.Register(r, "redis", func(context.Context, struct{ URL, Channel, Format string }, *config.Env) (slog.Handler, error) {
		return published, nil
	})
	config.Register(r, "mail", func(context.Context, struct {
		Host, From, Username string
		To                   []string
		Password             config.Secret
	}, *config.Env) (slog.Handler, error) {
		return memory.New(nil), nil
	})
	return r, published
}

func TestPython_elva(t *testing.T) {
	file := filepath.Join(t.TempDir(), "other.log")
	r, published := stubs()
	m := openText(t, strings.Replace(elva, "/var/log/other.log", file, 1), r)
	logLikePython(m.Handler(), "", "my", "my.log", "my.log.sub", "exceptions", "exceptions.db")
	must(t, m.Flush(t.Context()))
	got := recorded(published)
	must(t, m.Shutdown(t.Context()))
	check(t, "other.log", asPython(readAll(t, file)), pythonOtherLog)
	check(t, "redis", got, pythonRedis)
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	return string(content)
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Each document of the page for people who come from dictConfig is one.
func TestPython_documentsOfThePage(t *testing.T) {
	t.Setenv("SLOGWORKS_MAIL_PASSWORD", "hunter2")
	page := readAll(t, filepath.Join("..", "docs", "python-dictconfig.md"))
	blocks := yamlBlock.FindAllStringSubmatch(page, -1)
	if len(blocks) < 3 {
		t.Fatalf("only %d documents found", len(blocks))
	}
	example := readAll(t, "example_test.go")
	if m := regexp.MustCompile("(?s)```go\n(type mailOptions .*?)```").FindStringSubmatch(page); m == nil || !strings.Contains(example, m[1]) {
		t.Error("the lines for mail are not those of the example")
	}
	r := config.NewRegistry()
	registerMail(r)
	register[struct{}](r, "redis")
	r.Middleware("user", func(h slog.Handler) slog.Handler { return h })
	config.Register(r, "pager", func(context.Context, struct{ Number string }, *config.Env) (slog.Handler, error) {
		return slog.DiscardHandler, nil
	})
	for _, block := range blocks {
		if _, err := config.Parse([]byte(block[1]), &config.Options{Registry: r}); err != nil {
			t.Errorf("%v\n%s", err, block[1])
		}
	}

	// The table of the kinds is that of NewRegistry, and the two to be registered.
	var named []string
	for _, m := range regexp.MustCompile("`kind: ([a-z]+)`").FindAllStringSubmatch(page, -1) {
		named = append(named, m[1])
	}
	slices.Sort(named)
	for _, kind := range slices.Compact(named) {
		_, err := config.Parse([]byte("version: 1\nhandlers: {a: {kind: "+kind+"}}\nroot: {to: [a]}\n"), &config.Options{Registry: r})
		if err != nil && strings.Contains(err.Error(), "unknown kind") {
			t.Errorf("the page names a kind that there is not: %v", err)
		}
	}
}

// Whoever names a kind that a program has to register is sent to the page.
func TestPython_pageHasTheLinesThatRegister(t *testing.T) {
	page := readAll(t, filepath.Join("..", "docs", "python-dictconfig.md"))
	for _, kind := range []string{"mail", "redis"} {
		told := strings.Join(mistakes(t, with("h: {kind: "+kind+"}")), "\n")
		if !strings.Contains(told, "see docs/python-dictconfig.md for the lines that do") {
			t.Errorf("%s: %s", kind, told)
		}
	}
	if !strings.Contains(page, `config.Register(r, "mail", func(`) {
		t.Error("the page does not register mail")
	}
}

// The page shows what a document is turned into and what comes out of it.
func TestPython_exampleOfThePage(t *testing.T) {
	page := readAll(t, filepath.Join("..", "docs", "python-dictconfig.md"))
	document := yamlBlock.FindStringSubmatch(page)[1]
	t.Chdir(t.TempDir())
	stderr, err := os.Create("stderr")
	must(t, err)
	before := os.Stderr
	os.Stderr = stderr
	m := openText(t, document, nil)
	os.Stderr = before
	logger := slogworks.Named(slog.New(m.Handler()), "shop.payment")
	logger.Debug("card read")
	logger.Warn("card refused")
	slogworks.Named(slog.New(m.Handler()), "shop.search").Debug("no hits")
	slogworks.Named(slog.New(m.Handler()), "audit").Info("price changed")
	must(t, m.Shutdown(t.Context()))
	must(t, stderr.Close())
	check(t, "stderr", asPython(readAll(t, "stderr")), "shop.payment - WARNING - card refused\n")
	check(t, "shop.log", asPython(readAll(t, "shop.log")), "shop.payment - DEBUG - card read\nshop.payment - WARNING - card refused\n")
	check(t, "audit.log", asPython(readAll(t, "audit.log")), "audit - INFO - price changed\n")
}

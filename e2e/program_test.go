package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slogworks/slogworks/e2e/real"
)

// The program as users have it, built and run as a process.
func TestProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("signals cannot be sent on Windows")
	}
	program := filepath.Join(t.TempDir(), "slogworks")
	real.Output(t, "..", "go", "build", "-o", program, "./cmd/slogworks")
	for name, test := range map[string]func(*testing.T, string){
		"receives what Python's handlers send":          programReceives,
		"pipes lines through the cookbook's document":   programPipes,
		"reads its document again at SIGHUP":            programReloads,
		"shows what python-redis-log publishes":         programShowsRedis,
		"shows channels and streams again after a kill": programSurvivesRedis,
		"publishes for Elva's page":                     programPublishes,
		"sends what waits in the spool of a mail":       programFlushes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, program)
		})
	}
}

// programRun is a run of the program.
type programRun struct {
	t              *testing.T
	command        *exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr programOutput
}

type programOutput struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *programOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *programOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// startProgram runs the program in dir, until the test ends or it does.
func startProgram(t *testing.T, program, dir string, args ...string) *programRun {
	t.Helper()
	r := &programRun{t: t, command: exec.Command(program, args...)}
	r.command.Dir = dir
	r.command.Env = append(os.Environ(), "SLOGWORKS_TOKEN=", "SLOGWORKS_PASSWORD=hush")
	r.command.Stdout, r.command.Stderr = &r.stdout, &r.stderr
	var err error
	if r.stdin, err = r.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.command.ProcessState == nil {
			r.command.Process.Kill()
			r.command.Wait()
		}
		if t.Failed() {
			t.Logf("%v\nstdout: %s\nstderr: %s", args, &r.stdout, &r.stderr)
		}
	})
	return r
}

// until waits for something to be so.
func (r *programRun) until(what string, ok func() bool) {
	r.t.Helper()
	real.WaitFor(r.t, what, ok)
}

// says waits for a text on stderr.
func (r *programRun) says(text string) {
	r.t.Helper()
	r.until(fmt.Sprintf("%q on stderr", text), func() bool { return strings.Contains(r.stderr.String(), text) })
}

var programListens = regexp.MustCompile(`(?m)^slogworks \w+: listening (\S+)$`)

// listening returns the URLs of that many listeners.
func (r *programRun) listening(count int) (urls []string) {
	r.t.Helper()
	r.until("listeners", func() bool { return len(programListens.FindAllString(r.stderr.String(), -1)) == count })
	for _, m := range programListens.FindAllStringSubmatch(r.stderr.String(), -1) {
		urls = append(urls, m[1])
	}
	return urls
}

// end waits for the program to end, after a signal if there is one, and checks
// its exit status and the end of stderr.
func (r *programRun) end(signal os.Signal, exit int, last string) {
	r.t.Helper()
	if signal != nil {
		if err := r.command.Process.Signal(signal); err != nil {
			r.t.Error(err)
		}
	}
	timer := time.AfterFunc(real.Patience, func() { r.command.Process.Kill() })
	defer timer.Stop()
	var failed *exec.ExitError
	if err := r.command.Wait(); err != nil && !errors.As(err, &failed) {
		r.t.Fatal(err)
	}
	if code := r.command.ProcessState.ExitCode(); code != exit || !strings.HasSuffix(r.stderr.String(), last) {
		r.t.Errorf("exit %d, want %d and %q at the end of stderr", code, exit, last)
	}
}

// write writes lines to stdin.
func (r *programRun) write(lines ...string) {
	r.t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(r.stdin, line+"\n"); err != nil {
			r.t.Fatal(err)
		}
	}
}

// page returns what the page of slogworks live answers.
func (r *programRun) page(path string, into any) {
	r.t.Helper()
	address := regexp.MustCompile(`(?m)^slogworks live: page (http://\S+/)\?token=(\S+)$`)
	r.until("a page", func() bool { return address.MatchString(r.stdout.String()) })
	m := address.FindStringSubmatch(r.stdout.String())
	q, err := http.NewRequestWithContext(r.t.Context(), "GET", m[1]+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+m[2])
	response, err := http.DefaultClient.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil || response.StatusCode != 200 {
		r.t.Fatalf("%s: %s, %v: %s", path, response.Status, err, text)
	}
}

func programFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func programHas(t *testing.T, dir, name, want string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil || string(text) != want {
		t.Errorf("%s has, %v:\n%s\nwant:\n%s", name, err, text, want)
	}
}

const programSenders = `
import logging, logging.handlers, sys
tcp, udp, syslog_udp, syslog_unix, http = sys.argv[1:]
def address(url):
    host, port = url.split("://")[1].split("/")[0].rsplit(":", 1)
    return host, int(port)
handlers = {
    "tcp": logging.handlers.SocketHandler(*address(tcp)),
    "udp": logging.handlers.DatagramHandler(*address(udp)),
    "syslog": logging.handlers.SysLogHandler(address(syslog_udp)),
    "unixgram": logging.handlers.SysLogHandler(syslog_unix),
    "http": logging.handlers.HTTPHandler("%s:%d" % address(http), "/log", method="POST"),
}
for name, handler in handlers.items():
    log = logging.getLogger("app." + name)
    log.addHandler(handler)
    log.warning("by %s", name, extra={"uid": 7})
logging.shutdown()
`

// One program of Python with every handler that sends over a network.
func programReceives(t *testing.T, program string) {
	dir := t.TempDir()
	r := startProgram(t, program, dir, "receive", "--file", "all.log",
		"--listen", "tcp://127.0.0.1:0", "--listen", "udp://127.0.0.1:0", "--listen", "syslog+udp://127.0.0.1:0",
		"--listen", "syslog+unixgram://"+filepath.Join(dir, "log"), "--listen", "http://127.0.0.1:0/log")
	urls := r.listening(5)
	urls[3] = filepath.Join(dir, "log")
	python(t, programSenders, urls...)
	var text []byte
	r.until("five records", func() bool {
		text, _ = os.ReadFile(filepath.Join(dir, "all.log"))
		return bytes.Count(text, []byte("\n")) == 5
	})
	r.end(syscall.SIGTERM, 0, "slogworks receive: received=5 written=5 refused=0 objects=0 dropped=0 connections=2\n")
	for name, want := range map[string]string{
		"tcp":      `"level":"WARN","source":{.*},?.*"msg":"by tcp","logger":"app.tcp",.*"uid":7`,
		"udp":      `"level":"WARN",.*"msg":"by udp","logger":"app.udp",.*"uid":7`,
		"syslog":   `"level":"WARN",.*"msg":"by syslog",.*"facility":"user"`,
		"unixgram": `"level":"WARN",.*"msg":"by unixgram",.*"facility":"user"`,
		"http":     `"level":"WARN",.*"msg":"by %s","logger":"app.http",.*"uid":"7"`,
	} {
		if !regexp.MustCompile(want).Match(text) && !regexp.MustCompile(strings.Replace(want, `"source":{.*},?.*`, `.*`, 1)).Match(text) {
			t.Errorf("no record by %s like %s in\n%s", name, want, text)
		}
	}
}

// The cookbook of Python's logging has a file and a console, a queue, and a log
// server, which here is the program too.
const programCookbook = `version: 1
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

func programPipes(t *testing.T, program string) {
	dir := t.TempDir()
	server := startProgram(t, program, dir, "receive", "--file", "all.log", "--listen", "tcp://127.0.0.1:0")
	address := server.listening(1)[0]
	programFile(t, dir, "pipeline.yaml", strings.Replace(programCookbook, "tcp://127.0.0.1:9020", address, 1))
	if out := real.Output(t, dir, program, "config", "check", "pipeline.yaml"); out != "pipeline.yaml: ok\n" {
		t.Errorf("config check: %q", out)
	}
	const at = "2026-01-02T03:04:05.678Z"
	line := func(level, logger, msg string) string {
		return fmt.Sprintf(`{"time":%q,"level":%q,"msg":%q,"logger":%q}`, at, level, msg, logger)
	}
	programFile(t, dir, "lines", strings.Join([]string{
		line("INFO", "spam_application", "creating an instance of auxiliary_module.Auxiliary"),
		line("DEBUG", "spam_application.auxiliary", "doing something"),
		line("ERROR", "spam_application", "an error"),
		line("DEBUG", "myapp.area1", "Quick zephyrs blow, vexing daft Jim."),
		line("WARN", "myapp.area2", "Jail zesty vixen who grabbed pay from quack."),
	}, "\n"))
	r := startProgram(t, program, dir, "pipe", "--config", "pipeline.yaml", "lines")
	r.end(nil, 0, "slogworks pipe: received=5 written=5 refused=0 objects=0 dropped=0 connections=0\n")
	server.end(syscall.SIGTERM, 0, "slogworks receive: received=1 written=1 refused=0 objects=0 dropped=0 connections=1\n")
	programHas(t, dir, "spam.log", at+` - spam_application - INFO - creating an instance of auxiliary_module.Auxiliary
`+at+` - spam_application.auxiliary - DEBUG - doing something
`+at+` - spam_application - ERROR - an error
`)
	if text := r.stderr.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "an error") || strings.Contains(text, "\x1b") {
		t.Errorf("the console shows %q", text)
	}
	text, err := os.ReadFile(filepath.Join(dir, "all.log"))
	if err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), `"level":"DEBUG","msg":"Quick zephyrs blow, vexing daft Jim.","logger":"myapp.area1"`) {
		t.Errorf("the server has %q, %v", text, err)
	}
}

func programReloads(t *testing.T, program string) {
	dir := t.TempDir()
	document := func(path string) string {
		return "version: 1\nhandlers:\n  all: {kind: file, path: " + path + `, format: {layout: "{msg}"}}` + "\nroot: {to: [all]}\nloggers: {slogworks.config: {level: error}}\n"
	}
	programFile(t, dir, "pipeline.yaml", document("1.log"))
	r := startProgram(t, program, dir, "pipe", "--config", "pipeline.yaml", "--watch", "1h")
	r.write("one")
	r.until("a line", func() bool {
		text, _ := os.ReadFile(filepath.Join(dir, "1.log"))
		return string(text) == "one\n"
	})
	programFile(t, dir, "pipeline.yaml", document("2.log"))
	r.command.Process.Signal(syscall.SIGHUP)
	r.says("slogworks pipe: config generation 2\n")
	r.write("two")
	programFile(t, dir, "pipeline.yaml", strings.Replace(document("3.log"), "kind: file", "kind: flie", 1))
	r.command.Process.Signal(syscall.SIGHUP)
	r.says(`slogworks pipe: config refused, generation 2 stays: pipeline.yaml:3: handlers.all.kind: unknown kind "flie" (did you mean "file"?)` + "\n")
	r.write("three")
	r.stdin.Close()
	r.end(nil, 0, "slogworks pipe: received=3 written=3 refused=0 objects=0 dropped=0 connections=0\n")
	programHas(t, dir, "1.log", "one\n")
	programHas(t, dir, "2.log", "two\nthree\n")
}

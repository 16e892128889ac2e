package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/sinks/syslog"
)

// receivedLog is what a receiver has written and complained about.
type receivedLog struct {
	mu      sync.Mutex
	written bytes.Buffer
	errs    []error
}

func (l *receivedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written.Write(p)
}

func (l *receivedLog) complain(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

func (l *receivedLog) handler() slog.Handler {
	return slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug - 100})
}

// records returns the records without the keys.
func (l *receivedLog) records(t *testing.T, without ...string) []string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, err := range l.errs {
		t.Error(err)
	}
	return orderedRecords(t, l.written.String(), without...)
}

// orderedRecords returns lines of JSON with their keys in order, and without some.
func orderedRecords(t *testing.T, text string, without ...string) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(text) {
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if text, ok := m["time"].(string); ok {
			at, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				t.Fatal(err)
			}
			m["time"] = at.UTC().Format("2006-01-02T15:04:05.000000Z")
		}
		for _, key := range without {
			delete(m, key)
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(b))
	}
	return lines
}

// python runs a program with Debian's Python, or another that there is, and
// returns what it prints.
func python(t *testing.T, program string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "program.py")
	if err := os.WriteFile(path, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	return real.Output(t, dir, real.Program(t, "/usr/bin/python3", "python3", "python"), append([]string{path}, args...)...)
}

func sameRecords(t *testing.T, got, want []string) {
	t.Helper()
	if len(want) == 0 {
		t.Error("nothing was expected")
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("record %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d records arrived, want %d", len(got), len(want))
	}
}

// A program with a SysLogHandler, and a handler that prints what should arrive.
const syslogProgram = `
import json, logging, logging.handlers, socket, sys

network, address, first = sys.argv[1], sys.argv[2], sys.argv[3]

class Expect(logging.Handler):
    LEVELS = {"DEBUG": "DEBUG", "INFO": "INFO", "WARNING": "WARN", "ERROR": "ERROR", "CRITICAL": "ERROR+4"}
    def emit(self, record):
        print(json.dumps({"level": self.LEVELS.get(record.levelname, "WARN"), "msg": handler.format(record), "facility": "local3"}), flush=True)

if network != "unixgram":
    host, port = address.rsplit(":", 1)
    address = (host, int(port))
kind = socket.SOCK_STREAM if network == "tcp" else socket.SOCK_DGRAM
handler = logging.handlers.SysLogHandler(address, facility="local3", socktype=kind)
handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
root = logging.getLogger()
root.setLevel(1)
root.addHandler(Expect())
root.addHandler(handler)

logging.info(first)
log = logging.getLogger("myapp.area1")
log.debug("Quick zephyrs blow, vexing daft Jim.")
log.info("How quickly daft jumping %s vex.", "zebras")
log.warning("Jail zesty vixen who grabbed pay from quack.")
log.error("The five boxing wizards jump quickly.")
log.critical("na\u00efve \u2603 \U0001f600 \"quoted\" [x y=\"z\"]")
log.log(25, "a level of its own")
log.info("several\nlines\n\nand a forged one\n<34>1 - - - - - - forged\n")
log.info("12 <34>counted")
log.info("")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
log.info("x" * 20000)
logging.shutdown()
`

func TestSyslogReceiver_readsWhatPythonSends(t *testing.T) {
	for _, network := range []string{"udp", "tcp", "unixgram"} {
		for name, first := range map[string]string{
			"a line":                  "Jackdaws love my big sphinx of quartz.",
			"several lines":           "first\nsecond\n<34>third",
			"what looks like a count": "5 <14>a",
		} {
			t.Run(network+", of which the first is "+name, func(t *testing.T) {
				var log receivedLog
				r := &syslog.Receiver{Handler: log.handler(), OnError: log.complain}
				address, serve := listenSyslog(t, r, network)
				ended := make(chan error, 1)
				go func() { ended <- serve() }()
				want := orderedRecords(t, python(t, syslogProgram, network, address, first))
				real.Eventually(func() bool { return r.Stats().Received >= uint64(len(want)) })
				if err := r.Close(); err != nil {
					t.Error(err)
				}
				if err := <-ended; !errors.Is(err, syslog.ErrClosed) {
					t.Error(err)
				}
				sameRecords(t, log.records(t, "time", "peer"), want)
				if s := r.Stats(); s.Received != s.Written || s.Written != uint64(len(want)) {
					t.Errorf("the counts are %+v", s)
				}
			})
		}
	}
}

func listenSyslog(t *testing.T, r *syslog.Receiver, network string) (address string, serve func() error) {
	t.Helper()
	if network == "tcp" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l.Addr().String(), func() error { return r.Serve(l) }
	}
	address = "127.0.0.1:0"
	if network == "unixgram" {
		dir, err := os.MkdirTemp("", "s") // short enough for a socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		address = filepath.Join(dir, "log")
	}
	p, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return p.LocalAddr().String(), func() error { return r.ServePacket(p) }
}

func TestSyslogReceiver_losesNothingOfSeveralProcesses(t *testing.T) {
	const processes, each = 4, 2000
	var log receivedLog
	r := &syslog.Receiver{Handler: log.handler(), OnError: log.complain}
	address, serve := listenSyslog(t, r, "tcp")
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	python(t, `
import logging, logging.handlers, multiprocessing, socket, sys
host, port = sys.argv[1].rsplit(":", 1)

def work(number, count):
    log = logging.getLogger("worker.%d" % number)
    log.setLevel(1)
    log.addHandler(logging.handlers.SysLogHandler((host, int(port)), socktype=socket.SOCK_STREAM))
    for i in range(count):
        log.info("%d %d\n<34>more", number, i)
    logging.shutdown()

if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=work, args=(n, int(sys.argv[3]))) for n in range(int(sys.argv[2]))]
    for w in workers: w.start()
    for w in workers: w.join()
    sys.exit(any(w.exitcode for w in workers))
`, address, fmt.Sprint(processes), fmt.Sprint(each))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	<-ended
	next := map[int]int{}
	for _, line := range log.records(t) {
		var m struct{ Msg string }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		var number, i int
		if _, err := fmt.Sscanf(m.Msg, "%d %d\n<34>more", &number, &i); err != nil || i != next[number] {
			t.Fatalf("%q came as number %d of its process: %v", m.Msg, next[number], err)
		}
		next[number]++
	}
	for n := range processes {
		if next[n] != each {
			t.Errorf("%d of %d records of process %d arrived", next[n], each, n)
		}
	}
}

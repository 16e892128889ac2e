package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/socket"
)

// socketReceiver receives what Python's handlers send by TCP and UDP, on the ports
// in args.
type socketReceiver struct {
	*socket.Receiver
	args []string // tcp, udp

	mu          sync.Mutex
	written     bytes.Buffer
	first, last time.Time // of the writes
	errs        []error
}

func (n *socketReceiver) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = time.Now()
	if n.first.IsZero() {
		n.first = n.last
	}
	return n.written.Write(p)
}

func listenSocket(t *testing.T) *socketReceiver {
	t.Helper()
	return listenSocketAs(t, nil, nil)
}

// listenSocketAs is listenSocket with a handler, or one that writes what lines
// returns if it is nil, and with TLS if there is a configuration.
func listenSocketAs(t *testing.T, h slog.Handler, config *tls.Config) *socketReceiver {
	t.Helper()
	n := new(socketReceiver)
	if h == nil {
		h = slog.NewJSONHandler(n, &slog.HandlerOptions{Level: slog.LevelDebug - 100})
	}
	n.Receiver = &socket.Receiver{
		Handler: h,
		TLS:     config,
		OnError: func(err error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.errs = append(n.errs, err)
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []net.Addr{l.Addr(), p.LocalAddr()} {
		_, port, err := net.SplitHostPort(a.String())
		if err != nil {
			t.Fatal(err)
		}
		n.args = append(n.args, port)
	}
	ended := make(chan error, 2)
	go func() { ended <- n.Serve(l) }()
	go func() { ended <- n.ServePacket(p) }()
	t.Cleanup(func() {
		n.shutdown(t)
		for range 2 {
			if err := <-ended; !errors.Is(err, socket.ErrClosed) {
				t.Error(err)
			}
		}
	})
	return n
}

func (n *socketReceiver) shutdown(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := n.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// lines ends the receiver and returns what it has written, without the peers,
// and each in the order of its keys.
func (n *socketReceiver) lines(t *testing.T) []string {
	t.Helper()
	n.shutdown(t)
	for _, err := range n.errs {
		t.Error(err)
	}
	var lines []string
	for line := range bytes.Lines(n.written.Bytes()) {
		lines = append(lines, sortedRecord(t, line))
	}
	return lines
}

// sortedRecord returns a JSON object with its keys in order, its time in UTC and
// without the peer.
func sortedRecord(t *testing.T, line []byte) string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(m["time"]))
	if err != nil {
		t.Fatal(err)
	}
	m["time"] = at.UTC().Format("2006-01-02T15:04:05.000000Z")
	delete(m, "peer")
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// pythonExpectation is the beginning of each program: a handler that prints what
// the receiver should make of each record.
const pythonExpectation = `
import datetime, json, logging, logging.handlers, multiprocessing, os, queue, sys

class Expect(logging.Handler):
    LEVELS = {5: "DEBUG-2", 10: "DEBUG", 20: "INFO", 25: "INFO+2", 30: "WARN", 40: "ERROR", 50: "ERROR+4"}
    def emit(self, r):
        at = datetime.datetime.fromtimestamp(r.created, datetime.timezone.utc)
        e = {"time": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "level": self.LEVELS[r.levelno], "msg": r.getMessage(), "logger": r.name,
             "process": r.processName, "pid": r.process,
             "source": {"function": r.funcName, "file": r.pathname, "line": r.lineno}}
        if r.levelname.startswith("Level "): e["levelname"] = r.levelname
        if r.threadName != "MainThread": e["thread"] = r.threadName
        if r.exc_info: e["traceback"] = logging.Formatter().formatException(r.exc_info)
        elif r.exc_text: e["traceback"] = r.exc_text
        if r.stack_info: e["stack"] = r.stack_info
        if getattr(r, "taskName", None): e["task"] = r.taskName
        e.update(getattr(r, "expect_extra", {}))
        print(json.dumps(e), flush=True)

class Drop(logging.Filter):
    "What Expect needs is not sent."
    def filter(self, r):
        r.__dict__.pop("expect_extra", None)
        return True

tcp, udp = int(sys.argv[1]), int(sys.argv[2])
root = logging.getLogger()
root.setLevel(1)
root.addHandler(Expect())
`

// runPython runs a program and returns the records that it expects.
func runPythonLogging(t *testing.T, n *socketReceiver, program string, args ...string) []string {
	t.Helper()
	python := real.Program(t, "python3", "python")
	dir := t.TempDir()
	path := filepath.Join(dir, "program.py")
	if err := os.WriteFile(path, []byte(pythonExpectation+program), 0o600); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(real.Output(t, dir, python, slices.Concat([]string{path}, n.args, args)...)) {
		lines = append(lines, sortedRecord(t, []byte(line)))
	}
	return lines
}

func compareRecords(t *testing.T, got, want []string) {
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

// The program of the logging cookbook's chapter on sending events across a
// network, and after it what else a record may have.
const cookbookEvents = `
handler.addFilter(Drop())
root.addHandler(handler)

logging.info('Jackdaws love my big sphinx of quartz.')
logger1 = logging.getLogger('myapp.area1')
logger2 = logging.getLogger('myapp.area2')
logger1.debug('Quick zephyrs blow, vexing daft Jim.')
logger1.info('How quickly daft jumping zebras vex.')
logger2.warning('Jail zesty vixen who grabbed pay from quack.')
logger2.error('The five boxing wizards jump quickly.')

def extra(sent, expected=None):
    logger1.info("extra", extra=dict(sent, expect_extra=sent if expected is None else expected))

logger1.log(5, "%s %d%%", "trace", 7)
logger1.log(25, "notice %(a)s", {"a": 1})
logger2.critical("na\u00efve \u2603 \U0001f600 \"quoted\"\nsecond line")
extra({"uid": 7, "big": 2**70, "neg": -5, "ratio": 0.5, "ok": True, "none": None})
extra({"items": [1, "a", None, [2**70]], "group": {"a": {"b": [1, 2]}}})
extra({"pair": (1, 2)}, {"pair": [1, 2]})
extra({"nan": float("nan"), "inf": float("inf")}, {"nan": "NaN", "inf": "+Inf"})
extra({"host": "h", "level": 1, "time": 2, "source": 3, "peer": 4, "pid": 5, "logger": 6},
      {"extra." + k: v for k, v in {"host": "h", "level": 1, "time": 2, "source": 3, "peer": 4, "pid": 5, "logger": 6}.items()})
extra({"when": datetime.date(2026, 1, 2), "raw": b"x"}, {"when": "!refused datetime.date", "raw": "!refused builtins.bytes"})
try:
    1 / 0
except ZeroDivisionError:
    logger2.exception("failed")
logger2.warning("with a stack", stack_info=True)
import threading
t = threading.Thread(target=lambda: logger1.info("from a thread"), name="worker-7")
t.start()
t.join()
`

func TestReceiver_readsWhatPythonSends(t *testing.T) {
	for name, handler := range map[string]string{
		"by SocketHandler":   `handler = logging.handlers.SocketHandler("127.0.0.1", tcp)`,
		"by DatagramHandler": `handler = logging.handlers.DatagramHandler("127.0.0.1", udp)`,
		"by SocketHandler with the newest pickles": `
import pickle, struct
class Newest(logging.handlers.SocketHandler):
    def makePickle(self, record):
        b = pickle.dumps(pickle.loads(super().makePickle(record)[4:]), pickle.HIGHEST_PROTOCOL)
        return struct.pack(">L", len(b)) + b
handler = Newest("127.0.0.1", tcp)`,
	} {
		t.Run(name, func(t *testing.T) {
			n := listenSocket(t)
			want := runPythonLogging(t, n, handler+cookbookEvents)
			if strings.Contains(handler, "Datagram") {
				waitForRecords(t, n, len(want))
			}
			compareRecords(t, n.lines(t), want)
			if s := n.Stats(); s.Received != s.Written || s.Objects != 2 {
				t.Errorf("the counts are %+v", s)
			}
		})
	}
}

// waitForRecords waits for what the system may not have handed on yet.
func waitForRecords(t *testing.T, n *socketReceiver, records int) {
	t.Helper()
	peertest.WaitFor(t, fmt.Sprintf("%d records", records), func() bool { return n.Stats().Received >= uint64(records) })
}

// The cookbook's chapter on handlers that block: a QueueHandler on the loggers,
// and a QueueListener on a thread of its own that does the sending.
func TestReceiver_readsWhatAQueueListenerSends(t *testing.T) {
	n := listenSocket(t)
	want := runPythonLogging(t, n, `
q = queue.Queue(-1)
sender = logging.handlers.SocketHandler("127.0.0.1", tcp)
class Plain(logging.handlers.QueueHandler):
    def prepare(self, record):
        record.__dict__.pop("expect_extra", None)
        return super().prepare(record)
root.addHandler(Plain(q))
listener = logging.handlers.QueueListener(q, sender)
listener.start()
for i in range(500):
    logging.getLogger("queued").warning("Look out! %d", i, extra={"i": i, "expect_extra": {"i": i}})
listener.stop()
sender.close()
`)
	compareRecords(t, n.lines(t), want)
}

// The cookbook's chapter on several processes and one file: each logs by a
// SocketHandler, and one process, here the receiver, writes.
func TestReceiver_losesNothingOfSeveralProcesses(t *testing.T) {
	const processes = 4
	each := socketRecords(100_000)
	n := listenSocket(t)
	runPythonLogging(t, n, `
def worker(number, count):
    root.handlers[:] = [logging.handlers.SocketHandler("127.0.0.1", tcp)]
    log = logging.getLogger("worker.%d" % number)
    for i in range(count):
        log.info("message %d", i, extra={"i": i})
    logging.shutdown()

if __name__ == "__main__":
    spawn = multiprocessing.get_context("fork")
    workers = [spawn.Process(target=worker, args=(i, int(sys.argv[3])), name="worker-%d" % i) for i in range(int(sys.argv[4]))]
    for w in workers: w.start()
    for w in workers: w.join()
    sys.exit(any(w.exitcode for w in workers))
`, fmt.Sprint(each), fmt.Sprint(processes))
	waitForRecords(t, n, processes*each) // on a slow machine, more may be under way than a Shutdown waits for
	lines := n.lines(t)
	t.Logf("%d records in %v, %.0f a second", len(lines), n.last.Sub(n.first).Round(time.Millisecond), float64(len(lines))/n.last.Sub(n.first).Seconds())
	next := map[string]int{}
	pids := map[json.Number]bool{}
	for _, line := range lines {
		var r struct {
			Msg, Logger, Process string
			PID                  json.Number
			I                    int
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		pids[r.PID] = true
		if r.I != next[r.Logger] || r.Msg != fmt.Sprintf("message %d", r.I) || r.Process != strings.Replace(r.Logger, ".", "-", 1) {
			t.Fatalf("%s came as number %d of its process", line, next[r.Logger])
		}
		next[r.Logger]++
	}
	for i := range processes {
		if got := next[fmt.Sprintf("worker.%d", i)]; got != each {
			t.Errorf("%d of %d records of process %d arrived", got, each, i)
		}
	}
	if len(pids) != processes || n.Stats().Connections != processes {
		t.Errorf("%d processes and %d connections, want %d", len(pids), n.Stats().Connections, processes)
	}
}

// A pickle that does something when it is loaded does nothing here, and the
// record arrives.
func TestReceiver_callsNothing(t *testing.T) {
	n := listenSocket(t)
	dir := t.TempDir()
	runPythonLogging(t, n, `
class Evil:
    def __reduce__(self):
        return (open, (sys.argv[3], "w"))
handler = logging.handlers.SocketHandler("127.0.0.1", tcp)
root.handlers[:] = [handler]
logging.warning("evil", extra={"evil": Evil()})
`, filepath.Join(dir, "opened"))
	lines := n.lines(t)
	if len(lines) != 1 || !strings.Contains(lines[0], `"evil":"!refused io.open"`) {
		t.Errorf("the records are %s", lines)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("the pickle made %v, %v", files, err)
	}
}

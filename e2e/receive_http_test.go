package e2e_test

import (
	"errors"
	"net"
	"testing"

	"github.com/slogworks/slogworks/sinks/httpsink"
)

// A program with an HTTPHandler, and a handler that prints what should arrive.
const httpProgram = `
import datetime, json, logging, logging.handlers, sys

class Expect(logging.Handler):
    LEVELS = {5: "DEBUG-2", 10: "DEBUG", 20: "INFO", 25: "INFO+2", 30: "WARN", 40: "ERROR", 50: "ERROR+4"}
    def emit(self, r):
        at = datetime.datetime.fromtimestamp(r.created, datetime.timezone.utc)
        e = {"time": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "level": self.LEVELS[r.levelno], "msg": str(r.msg), "logger": r.name,
             "process": r.processName, "pid": r.process,
             "source": {"function": r.funcName, "file": r.pathname, "line": r.lineno}}
        if r.levelname.startswith("Level "): e["levelname"] = r.levelname
        if r.args: e["args"] = str(r.args)
        if r.threadName != "MainThread": e["thread"] = r.threadName
        if r.exc_info: e["exc_info"] = str(r.exc_info)
        if r.exc_text: e["traceback"] = r.exc_text
        if r.stack_info: e["stack"] = r.stack_info
        e.update(getattr(r, "expect_extra", {}))
        print(json.dumps(e), flush=True)

class Drop(logging.Filter):
    "What Expect needs is not sent."
    def filter(self, r):
        r.__dict__.pop("expect_extra", None)
        return True

address, method, token = sys.argv[1:4]
handler = logging.handlers.HTTPHandler(address, "/logs", method=method, credentials=("", token) if token else None)
handler.addFilter(Drop())
root = logging.getLogger()
root.setLevel(1)
root.addHandler(Expect())
root.addHandler(handler)

def extra(sent, expected):
    log.info("extra", extra=dict(sent, expect_extra=expected))

logging.info("Jackdaws love my big sphinx of quartz.")
log = logging.getLogger("myapp.area1")
log.debug("Quick zephyrs blow, vexing daft Jim.")
log.warning("%d of %s & more = 100%%", 3, "users")
log.log(5, "trace %s", {"a": 1})
log.log(25, "notice %(a)s", {"a": 1})
log.critical("na\u00efve \u2603 \U0001f600 \"quoted\"\nsecond line\x00<34>")
log.info({"a": 1})
extra({"uid": 7, "ratio": 0.5, "none": None, "items": [1, "a"]}, {"uid": "7", "ratio": "0.5", "none": "None", "items": "[1, 'a']"})
extra({"host": "h", "peer": 4, "logger": "x"}, {"extra.host": "h", "extra.peer": "4", "extra.logger": "x"})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
log.warning("with a stack", stack_info=True)
logging.shutdown()
`

func TestHTTPReceiver_readsWhatPythonSends(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		for name, token := range map[string]string{"": "", " with credentials": "s3cret"} {
			t.Run(method+name, func(t *testing.T) {
				var log receivedLog
				r := &httpsink.Receiver{Handler: log.handler(), OnError: log.complain, Path: "/logs", Token: token}
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- r.Serve(l) }()
				want := orderedRecords(t, python(t, httpProgram, l.Addr().String(), method, token))
				if err := r.Close(); err != nil {
					t.Error(err)
				}
				if err := <-ended; !errors.Is(err, httpsink.ErrClosed) {
					t.Error(err)
				}
				sameRecords(t, log.records(t, "peer"), want)
				if s := r.Stats(); s.Received != s.Written || s.Written != uint64(len(want)) {
					t.Errorf("the counts are %+v", s)
				}
			})
		}
	}
}

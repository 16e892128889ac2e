package wire_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/wire"
)

// asJSON returns what slog.JSONHandler writes for the record, in UTC.
func asJSON(t *testing.T, r slog.Record) string {
	t.Helper()
	var b bytes.Buffer
	if !r.Time.IsZero() {
		r.Time = r.Time.UTC()
	}
	if err := slog.NewJSONHandler(&b, nil).Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

var foreignLines = map[string]struct {
	line, want string
	origin     wire.Origin
}{
	"slog": {
		line: `{"time":"2026-01-02T13:00:00.123456789+01:00","level":"WARN+1","source":{"function":"main.f","file":"/src/main.go","line":42},"msg":"no <answer>","logger":"a.b","took":1500000,"g":{"x":1,"y":[1, 2]},"nothing":null,"msg":"another"}`,
		want: `{"time":"2026-01-02T12:00:00.123456789Z","level":"WARN+1","msg":"no <answer>","logger":"a.b","took":1500000,"g":{"x":1,"y":[1,2]},"nothing":null,"msg":"another","source":{"function":"main.f","file":"/src/main.go","line":42}}`,
	},
	"zap, production": {
		line: `{"level":"dpanic","ts":1767355200.1234567,"logger":"db.pool","caller":"db/pool.go:42","msg":"no answer","attempt":3,"backoff":1.5,"stacktrace":"main.main\n\t/src/main.go:7"}`,
		want: `{"time":"2026-01-02T12:00:00.123457Z","level":"ERROR+4","msg":"no answer","logger":"db.pool","caller":"db/pool.go:42","attempt":3,"backoff":1.5,"stacktrace":"main.main\n\t/src/main.go:7"}`,
	},
	"zap, ISO 8601": {
		line: `{"level":"INFO","ts":"2026-01-02T13:00:00.123+0100","msg":"up"}`,
		want: `{"time":"2026-01-02T12:00:00.123Z","level":"INFO","msg":"up"}`,
	},
	"zerolog": {
		line: `{"level":"trace","component":"cache","error":"EOF","time":"2026-01-02T12:00:00Z","message":"miss"}`,
		want: `{"time":"2026-01-02T12:00:00Z","level":"DEBUG-4","msg":"miss","component":"cache","error":"EOF"}`,
	},
	"zerolog, Unix milliseconds, no message": {
		line: `{"level":"error","time":1767355200123,"n":18446744073709551615}`,
		want: `{"time":"2026-01-02T12:00:00.123Z","level":"ERROR","msg":"","n":18446744073709551615}`,
	},
	"logrus": {
		line: `{"file":"/src/main.go:7","func":"main.main","level":"warning","msg":"hot","size":10,"time":"2026-01-02T12:00:00Z"}`,
		want: `{"time":"2026-01-02T12:00:00Z","level":"WARN","msg":"hot","file":"/src/main.go:7","func":"main.main","size":10}`,
	},
	"severity and @timestamp": {
		line: `{"severity":"CRITICAL","@timestamp":"2026-01-02 12:00:00,123","message":"down","name":"app"}`,
		want: `{"time":"2026-01-02T12:00:00.123Z","level":"ERROR+4","msg":"down","logger":"app"}`,
	},
	"logger before name": {
		line: `{"lvl":"info","msg":"m","name":"Bob","logger":"app"}`,
		want: `{"level":"INFO","msg":"m","name":"Bob","logger":"app"}`,
	},
	"the first key that fits": {
		line: `{"level":30,"severity":"debug","msg":7,"message":"m","time":"noon","ts":1767355200,"timestamp":1}`,
		want: `{"time":"2026-01-02T12:00:00Z","level":"DEBUG","msg":"m","level":30,"msg":7,"time":"noon","timestamp":1}`,
	},
	"microseconds": {
		line: `{"msg":"m","ts":1767355200123456}`,
		want: `{"time":"2026-01-02T12:00:00.123456Z","level":"INFO","msg":"m"}`,
	},
	"milliseconds with a fraction": {
		line: `{"msg":"m","ts":1767355200123.456}`,
		want: `{"time":"2026-01-02T12:00:00.123456Z","level":"INFO","msg":"m"}`,
	},
	"microseconds as a float": {
		line: `{"msg":"m","ts":1.767355200123456e15}`,
		want: `{"time":"2026-01-02T12:00:00.123456Z","level":"INFO","msg":"m"}`,
	},
	"nanoseconds as a float": {
		line: `{"msg":"m","ts":1.767355200e18}`,
		want: `{"time":"2026-01-02T12:00:00Z","level":"INFO","msg":"m"}`,
	},
	"a number that is no time": {
		line: `{"msg":"m","ts":1e30,"level":"info+x"}`,
		want: `{"level":"INFO","msg":"m","ts":1e+30,"level":"info+x"}`,
	},
	"nanoseconds": {
		line: `{"msg":"m","ts":1767355200123456789}`,
		want: `{"time":"2026-01-02T12:00:00.123456789Z","level":"INFO","msg":"m"}`,
	},
	"a source that is not slog's": {
		line: `{"msg":"m","source":{"file":"a.go","column":7}}`,
		want: `{"level":"INFO","msg":"m","source":{"file":"a.go","column":7}}`,
	},
	"LogRecord": {
		line:   `{"name": "app.area1", "msg": "%s took %.1f ms", "args": ["job", 2.25], "levelname": "WARNING", "levelno": 30, "pathname": "/src/app.py", "filename": "app.py", "module": "app", "exc_info": null, "exc_text": "Traceback:\nboom", "stack_info": null, "lineno": 42, "funcName": "run", "created": 1767355200.123456, "msecs": 123.0, "relativeCreated": 5.5, "thread": 140, "threadName": "Worker-1", "processName": "MainProcess", "process": 4711, "taskName": null, "uid": 7, "ratio": NaN, "limit": -Infinity, "list": [1, NaN, "NaN"], "empty": {}, "big": 1180591620717411303424}`,
		want:   `{"time":"2026-01-02T12:00:00.123456Z","level":"WARN","msg":"job took 2.2 ms","logger":"app.area1","traceback":"Traceback:\nboom","thread":"Worker-1","uid":7,"ratio":"NaN","limit":"-Inf","list":[1,"NaN","NaN"],"empty":{},"big":1180591620717411303424,"source":{"function":"run","file":"/src/app.py","line":42}}`,
		origin: wire.Origin{Process: "MainProcess", PID: 4711},
	},
	"LogRecord of the main thread": {
		line: `{"name": "root", "msg": 7, "args": [], "levelname": "NOTICE", "levelno": 25, "created": 1767355200, "threadName": "MainThread", "taskName": "Task-1", "stack_info": "Stack:", "exc_info": "text", "message": "7"}`,
		want: `{"time":"2026-01-02T12:00:00Z","level":"INFO+2","msg":"7","logger":"root","levelname":"NOTICE","task":"Task-1","stack":"Stack:","exc_info":"text"}`,
	},
	"LogRecord with other args": {
		line: `{"of": {"args": [2]}, "msg": "%d", "args": [1], "levelno": 10, "args": [3]}`,
		want: `{"level":"DEBUG","msg":"1","of":{"args":[2]},"args":[3]}`,
	},
	"LogRecord with args that do not fit": {
		line: `{"name": "root", "msg": "%d", "args": {"a": "x"}, "levelno": 10}`,
		want: `{"level":"DEBUG","msg":"%d","logger":"root","args":{"a":"x"}}`,
	},
	"python-redis-log": {
		line:   `{"name":"app","level":"critical","filename":"/src/app.py","line_no":42,"msg":"%d items","args":[3],"time":"2026-01-02T12:00:00.123456","username":"bob","funcname":"run","hostname":"web1","traceback":null}`,
		want:   `{"time":"2026-01-02T12:00:00.123456Z","level":"ERROR+4","msg":"3 items","logger":"app","username":"bob","source":{"function":"run","file":"/src/app.py","line":42}}`,
		origin: wire.Origin{Host: "web1"},
	},
	"python-redis-log, a level of its own": {
		line:   `{"name":"app","level":"unknown","filename":"app.py","line_no":1,"msg":"m","args":[],"time":"2026-01-02T12:00:00","username":null,"funcname":"f","hostname":"web1","traceback":"boom","more":1}`,
		want:   `{"time":"2026-01-02T12:00:00Z","level":"INFO","msg":"m","logger":"app","level":"unknown","traceback":"boom","more":1,"source":{"function":"f","file":"app.py","line":1}}`,
		origin: wire.Origin{Host: "web1"},
	},
	"another object": {
		line: ` {"time":"2026-01-02T12:00:00Z","name":"Bob","g":{"":{"a":1},"n":{"":null}}} `,
		want: `{"level":"INFO","msg":"{\"time\":\"2026-01-02T12:00:00Z\",\"name\":\"Bob\",\"g\":{\"\":{\"a\":1},\"n\":{\"\":null}}}","time":"2026-01-02T12:00:00Z","name":"Bob","g":{"":{"a":1},"n":{"":null}}}`,
	},
	"an empty object": {line: `{}`, want: `{"level":"INFO","msg":"{}"}`},
	"a record of a later format": {
		line: `{"l":0,"m":"m","a":[],"z":1}`,
		want: `{"level":"INFO","msg":"{\"l\":0,\"m\":\"m\",\"a\":[],\"z\":1}","l":0,"m":"m","a":[],"z":1}`,
	},
	"ours": {
		line:   `{"t":"2026-01-02T12:00:00Z","l":4,"m":"m","n":"a.b","h":"web1","a":[{"k":"d","t":"d","v":1}]}`,
		want:   `{"time":"2026-01-02T12:00:00Z","level":"WARN","msg":"m","logger":"a.b","d":1}`,
		origin: wire.Origin{Host: "web1"},
	},
}

var textLines = map[string]struct{ line, want string }{
	"TextHandler": {
		`time=2026-01-02T12:00:00.123Z level=WARN+1 source=/src/main.go:42 msg="no \"answer\"" logger=a.b g.x=1 "a key"="" err=EOF`,
		`{"time":"2026-01-02T12:00:00.123Z","level":"WARN+1","msg":"no \"answer\"","source":"/src/main.go:42","logger":"a.b","g.x":"1","a key":"","err":"EOF"}`,
	},
	"TextHandler without time": {`level=DEBUG msg=x`, `{"level":"DEBUG","msg":"x"}`},
	"logrus":                   {`time="2026-01-02T12:00:00Z" level=fatal msg="no more" n=1`, `{"time":"2026-01-02T12:00:00Z","level":"ERROR+4","msg":"no more","n":"1"}`},
	"not key=value throughout": {`level=warn msg=no answer`, `{"level":"WARN","msg":"level=warn msg=no answer"}`},
	"unfinished":               {`level=error msg="no`, `{"level":"ERROR","msg":"level=error msg=\"no"}`},
	"level= far behind":        {`a b c d e f level="error" msg`, `{"level":"ERROR","msg":"a b c d e f level=\"error\" msg"}`},
	"a word in brackets":       {`2026/01/02 12:00:00 [WARNING] disk full`, `{"level":"WARN","msg":"2026/01/02 12:00:00 [WARNING] disk full"}`},
	"a word before a colon":    {"Error: no such file\r\n", `{"level":"ERROR","msg":"Error: no such file"}`},
	"the fifth word":           {`a b c d debug`, `{"level":"DEBUG","msg":"a b c d debug"}`},
	"the sixth word":           {`a b c d e debug`, `{"level":"INFO","msg":"a b c d e debug"}`},
	"an offset":                {`ERROR+4 gone`, `{"level":"ERROR+4","msg":"ERROR+4 gone"}`},
	"no level":                 {`  listening on :80`, `{"level":"INFO","msg":"  listening on :80"}`},
	"a word that begins so":    {`information for errors`, `{"level":"INFO","msg":"information for errors"}`},
	"broken JSON":              {`{"level":"error","msg":`, `{"level":"INFO","msg":"{\"level\":\"error\",\"msg\":"}`},
	"two objects":              {`{} {}`, `{"level":"INFO","msg":"{} {}"}`},
	"a list":                   {`[1]`, `{"level":"INFO","msg":"[1]"}`},
	"not UTF-8":                {"a\xffb", "{\"level\":\"INFO\",\"msg\":\"a\ufffdb\"}"},
}

func TestRead_readsForeignJSON(t *testing.T) {
	for name, test := range foreignLines {
		t.Run(name, func(t *testing.T) {
			r, o, ok := wire.Read([]byte(test.line))
			if got := asJSON(t, r); !ok || got != test.want {
				t.Errorf("read as\n%s\nwant\n%s", got, test.want)
			}
			if o != test.origin {
				t.Errorf("from %+v, want %+v", o, test.origin)
			}
			checkReplays(t, r)
		})
	}
}

func TestRead_readsText(t *testing.T) {
	for name, test := range textLines {
		t.Run(name, func(t *testing.T) {
			r, o, ok := wire.Read([]byte(test.line))
			if got := asJSON(t, r); !ok || got != test.want || o != (wire.Origin{}) {
				t.Errorf("read as\n%s\nwant\n%s", got, test.want)
			}
			checkReplays(t, r)
		})
	}
	for _, blank := range []string{"", "\n", " \t\r\n"} {
		if r, _, ok := wire.Read([]byte(blank)); ok {
			t.Errorf("%q became %v", blank, r)
		}
	}
}

func TestReadText_readsWhatPythonWrites(t *testing.T) {
	local := time.Date(2026, 1, 1, 0, 0, 4, 123e6, time.Local)
	zulu := time.Date(2026, 1, 1, 0, 0, 4, 0, time.UTC)
	for line, want := range map[string]time.Time{
		"2026-01-01 00:00:04,123 - name - ERROR - msg": local,
		"2026-01-01T00:00:04.123 ERROR msg":            local,
		"2026-01-01T00:00:04Z ERROR msg":               zulu,
		"2026-01-01T01:00:04+01:00 ERROR msg":          zulu,
		"2026-01-01 ERROR msg":                         {},
	} {
		r := wire.ReadText([]byte(line))
		if r.Level != slog.LevelError || !r.Time.Equal(want) || r.Message != line {
			t.Errorf("%q became %v at %v: %q", line, r.Level, r.Time, r.Message)
		}
	}
}

func TestReadJSON_refusesWhatIsNoObject(t *testing.T) {
	for _, line := range []string{``, `7`, `[]`, `"{}"`, `{"a":1`, `{"a":1}}`, `{"a":01}`, `{"a":tru}`, `{"a":[1,]}`, `{"a":{"b":}}`, `{a:1}`, `{"a":nan}`,
		`{"a":"` + "\n" + `"}`, `{"a":"\x"}`, `{"a":"\ud8"}`, `{"a":-}`, "{" + strings.Repeat(`"a":1,`, 5000) + `"b":1}`} {
		if r, _, err := wire.ReadJSON([]byte(line)); err == nil {
			t.Errorf("%.40q became %v", line, r)
		} else if !strings.HasPrefix(err.Error(), "wire: offset ") {
			t.Errorf("%.40q: %v", line, err)
		}
	}
	if _, _, err := wire.ReadJSON(make([]byte, wire.MaxLine)); err == nil {
		t.Error("a line that is too long")
	}
}

func TestReadJSON_keepsWhatIsDeep(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500)
	r, _, err := wire.ReadJSON([]byte(`{"msg":"m","deep":` + deep + `}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := asJSON(t, r); !strings.Contains(got, deep) {
		t.Errorf("read as %s", got)
	}
	checkReplays(t, r)
}

func TestFromLogRecord_leavesTheSliceAlone(t *testing.T) {
	attrs := []slog.Attr{slog.String("name", "a"), slog.Int("levelno", 40), slog.String("msg", "100%"), slog.Float64("created", 1767355200.5), slog.String("exc_text", "boom"), slog.Any("args", nil)}
	before := slog.GroupValue(attrs...).String()
	r, _ := wire.FromLogRecord(attrs)
	if after := slog.GroupValue(attrs...).String(); after != before {
		t.Errorf("%s became %s", before, after)
	}
	if want := `{"time":"2026-01-02T12:00:00.5Z","level":"ERROR","msg":"100%","logger":"a","traceback":"boom"}`; asJSON(t, r) != want {
		t.Errorf("read as %s", asJSON(t, r))
	}
	for n, want := range map[int]slog.Level{10: -4, 20: 0, 25: 2, 30: 4, 40: 8, 50: 12, 1: -8, -1: -9, 0: -8} {
		if r, _ := wire.FromLogRecord([]slog.Attr{slog.Int("levelno", n)}); r.Level != want {
			t.Errorf("level %d became %d, want %d", n, r.Level, want)
		}
	}
}

// TestRead_readsWhatSlogWrites checks that slog's own lines lose nothing that
// slog had not lost when it wrote them.
func TestRead_readsWhatSlogWrites(t *testing.T) {
	r := scalarRecord()
	r.AddAttrs(slog.String(slogworks.LoggerKey, "a.b"), slog.Group("g", "x", 1, "y", []string{awkward}))
	line := asJSON(t, r)
	read, _, ok := wire.Read([]byte(line))
	if got := asJSON(t, read); !ok || got != line {
		t.Errorf("read as\n%s\nwant\n%s", got, line)
	}
	if name := slogworks.NewView(read).Logger(); name != "a.b" {
		t.Errorf("name %q", name)
	}
	var b bytes.Buffer
	slog.NewTextHandler(&b, nil).Handle(t.Context(), r)
	read, _, _ = wire.Read(b.Bytes())
	if read.Message != r.Message || read.Level != r.Level || !read.Time.Equal(r.Time.Truncate(time.Millisecond)) {
		t.Errorf("%s read as %+v", &b, read)
	}
}

func FuzzRead(f *testing.F) {
	for _, test := range foreignLines {
		f.Add([]byte(test.line))
	}
	for _, test := range textLines {
		f.Add([]byte(test.line))
	}
	f.Add([]byte(`{"levelno":20,"msg":"%(a)-*.3s|%%|%+05.1f|%#x","args":{"a":[1,{"b":NaN}],"c":-1e400}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if len(line) > 10_000 {
			t.Skip("the line of its record might be cut")
		}
		r, o, ok := wire.Read(line)
		if ok == (len(bytes.TrimSpace(line)) == 0) {
			t.Fatalf("read: %v", ok)
		}
		if !ok {
			return
		}
		sent := wire.AppendRecord(nil, r, o, wire.MaxLine)
		got, from, err := wire.Decode(sent)
		if err != nil || from != o || printedBy(got) != printedBy(r) {
			t.Errorf("%v\n%s\nbecame\n%s", err, printedBy(r), printedBy(got))
		}
		if json.Valid(line) && bytes.HasPrefix(bytes.TrimSpace(line), []byte("{")) {
			if _, _, err := wire.ReadJSON(line); err != nil && !strings.Contains(err.Error(), "more than 4096") {
				t.Errorf("a valid object is refused: %v", err)
			}
		}
	})
}

// The number is one for which to multiply and then to round is a microsecond
// more; CPython's datetime.fromtimestamp has what is wanted.
func TestReadJSON_readsSecondsAsCPythonDoes(t *testing.T) {
	r, _, err := wire.ReadJSON([]byte(`{"time":1432767067.9050534,"level":"info","msg":"m"}`))
	want := time.Date(2015, 5, 27, 22, 51, 7, 905_053_000, time.UTC)
	if err != nil || !r.Time.Equal(want) {
		t.Errorf("got %v, %v; want %v", r.Time.UTC(), err, want)
	}
}

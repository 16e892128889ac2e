package redis

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os/user"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slogworks/slogworks"
)

var noContext = context.Background()

// redisLog is what python-redis-log publishes for a record. Names and form are
// those of _raw in its redislog/logger.py.
type redisLog struct {
	Name      string  `json:"name"`
	Level     string  `json:"level"`
	Filename  string  `json:"filename"`
	Line      int     `json:"line_no"`
	Message   string  `json:"msg"`
	Args      []any   `json:"args"`
	Time      string  `json:"time"`
	User      string  `json:"username"`
	Function  string  `json:"funcname"`
	Host      string  `json:"hostname"`
	Traceback *string `json:"traceback"`
}

func (c *core) appendRedisLog(dst []byte, r slog.Record) []byte {
	v := slogworks.NewView(r)
	out := redisLog{
		Name:    v.Logger(),
		Level:   pythonLevel(r.Level),
		Message: r.Message,
		Args:    []any{},
		// Python's isoformat leaves out a fraction that is zero; strptime with a
		// fixed format wants it.
		Time: r.Time.UTC().Format("2006-01-02T15:04:05.000000"),
		User: c.user,
		Host: c.Host,
	}
	if source := v.Source(); source != nil {
		out.Filename, out.Line = path.Base(strings.ReplaceAll(source.File, `\`, "/")), source.Line
		out.Function = path.Base(source.Function)
	}
	rest := slog.NewRecord(time.Time{}, slog.LevelInfo, "", 0)
	r.Attrs(func(a slog.Attr) bool {
		switch value := a.Value.Resolve(); {
		case a.Key == slogworks.LoggerKey && value.Kind() == slog.KindString:
		case a.Key == slog.SourceKey && isSource(value):
		case a.Key == "traceback" && value.Kind() == slog.KindString && out.Traceback == nil:
			text := value.String()
			out.Traceback = &text
		default:
			rest.AddAttrs(a)
		}
		return true
	})
	if rest.NumAttrs() > 0 {
		if text := attrsText(rest); text != "" {
			out.Message += " " + text
		}
	}
	line := marshal(out)
	for limit := c.MaxRecordBytes / 2; len(line) > c.MaxRecordBytes; limit /= 2 {
		out.Message = cut(out.Message, limit)
		if out.Traceback != nil {
			text := cut(*out.Traceback, limit)
			out.Traceback = &text
		}
		if limit < 64 {
			out.Name, out.Filename, out.Function = cut(out.Name, limit), cut(out.Filename, limit), cut(out.Function, limit)
			out.Host, out.User = cut(out.Host, limit), cut(out.User, limit)
		}
		line = marshal(out)
	}
	return append(dst, line...)
}

func isSource(v slog.Value) bool {
	if v.Kind() != slog.KindAny {
		return false
	}
	_, ok := v.Any().(*slog.Source)
	return ok
}

// attrsText returns the attributes as slog.TextHandler writes them.
func attrsText(attrs slog.Record) string {
	var b bytes.Buffer
	_ = slog.NewTextHandler(&b, nil).Handle(noContext, attrs) // a Buffer takes everything
	return strings.TrimSpace(strings.TrimPrefix(b.String(), `level=INFO msg=""`))
}

func marshal(out redisLog) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(out) // strings and numbers can be encoded
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// cutMark ends what was cut.
const cutMark = "!truncated"

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + cutMark
}

// pythonLevel returns the name of the nearest of Python's levels below. The
// highest is called fatal, because that is what python-redis-log calls it.
func pythonLevel(level slog.Level) string {
	switch {
	case level >= slog.LevelError+4:
		return "fatal"
	case level >= slog.LevelError:
		return "error"
	case level >= slog.LevelWarn:
		return "warning"
	case level >= slog.LevelInfo:
		return "info"
	}
	return "debug"
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "" // without a name, records have none
}

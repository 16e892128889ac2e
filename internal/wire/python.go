package wire

import (
	"log/slog"
	"math"
	"slices"
)

// FromLogRecord makes a record of the attributes of a Python LogRecord, which
// are given as its __dict__ has them: created, levelno, msg and name; pathname,
// lineno and funcName as the source; processName and process as the Origin;
// exc_text as "traceback", stack_info as "stack", taskName as "task" and
// threadName as "thread" unless it is MainThread. Level n becomes n*2/5-8,
// rounded down.
//
// What repeats one of these is left out: filename, module, msecs,
// relativeCreated, thread, message, and levelname if it is a usual one. So are
// those named here and exc_info and args if they are null. Everything else is an
// attribute in its order. The slice is not changed.
//
// The names are those of logging.LogRecord in CPython.
func FromLogRecord(attrs []slog.Attr) (slog.Record, Origin) {
	f := fields(slices.Clone(attrs))
	at, _ := timeOf(f.take(isNumber, "created"))
	levelno := f.takeInt("levelno")
	message := textOf(f.take(isAnything, "msg"))
	name := f.takeString("name")
	source := &slog.Source{Function: f.takeString("funcName"), File: f.takeString("pathname"), Line: int(f.takeInt("lineno"))}
	o := Origin{Process: f.takeString("processName"), PID: int(f.takeInt("process"))}

	f = slices.DeleteFunc(f, func(a slog.Attr) bool {
		switch a.Key {
		case "filename", "module", "msecs", "relativeCreated", "thread":
			return true
		case "levelname":
			return isString(a.Value) && isLevelName(a.Value)
		case "message":
			return isString(a.Value) && a.Value.String() == message
		case "threadName":
			return isNull(a.Value) || isString(a.Value) && a.Value.String() == "MainThread"
		case "exc_info", "exc_text", "stack_info", "taskName", "args":
			return isNull(a.Value)
		}
		return false
	})
	for i := range f {
		switch f[i].Key {
		case "exc_text":
			f[i].Key = "traceback"
		case "stack_info":
			f[i].Key = "stack"
		case "taskName":
			f[i].Key = "task"
		case "threadName":
			f[i].Key = "thread"
		}
	}
	return f.named(name, slog.NewRecord(at, pythonLevel(levelno), message, 0), source), o
}

// redisLog reads the eleven keys that python-redis-log publishes.
func (f fields) redisLog() (slog.Record, Origin) {
	at, _ := timeOf(f.take(isTime, "time"))
	level, _ := levelOf(f.take(isLevelName, "level"))
	message := textOf(f.take(isAnything, "msg"))
	name := f.takeString("name")
	source := &slog.Source{Function: f.takeString("funcname"), File: f.takeString("filename"), Line: int(f.takeInt("line_no"))}
	o := Origin{Host: f.takeString("hostname")}
	f = slices.DeleteFunc(f, func(a slog.Attr) bool {
		return isNull(a.Value) && (a.Key == "traceback" || a.Key == "username" || a.Key == "args")
	})
	return f.named(name, slog.NewRecord(at, level, message, 0), source), o
}

// named adds the attributes to r between the name and the source.
func (f fields) named(name string, r slog.Record, source *slog.Source) slog.Record {
	if name != "" {
		r.AddAttrs(slog.String(loggerKey, name))
	}
	r.AddAttrs(f...)
	if !isEmpty(source) {
		r.AddAttrs(slog.Any(slog.SourceKey, source))
	}
	return r
}

func isNumber(v slog.Value) bool {
	return v.Kind() == slog.KindInt64 || v.Kind() == slog.KindFloat64
}

// textOf returns what str() returns for a message, which may be any object.
func textOf(v slog.Value) string {
	if v.Kind() == slog.KindString {
		return v.String()
	}
	if isNull(v) {
		return "None"
	}
	return v.String()
}

// pythonLevel rounds n*2/5-8 down.
func pythonLevel(n int64) slog.Level {
	n = min(max(n, math.MinInt32), math.MaxInt32)
	return slog.Level(math.Floor(float64(n)*2/5)) - 8
}

// interpolate does what LogRecord.getMessage does, and removes the args if they
// fit the message.
func (f *fields) interpolate(args string) {
	at, msg := f.index("args", isAnything), f.index("msg", isString)
	values, ok := parsePython(args)
	if at < 0 || !ok {
		return
	}
	if !values.isEmpty() {
		if msg < 0 {
			return
		}
		message, ok := percent((*f)[msg].Value.String(), values)
		if !ok {
			return
		}
		(*f)[msg].Value = slog.StringValue(message)
	}
	*f = slices.Delete(*f, at, at+1)
}

package wire

import (
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/slogworks/slogworks/internal/level"
)

// fields are the members of a JSON object of which some will be more than
// attributes.
type fields []slog.Attr

func (f fields) index(key string, fits func(slog.Value) bool) int {
	return slices.IndexFunc(f, func(a slog.Attr) bool { return a.Key == key && fits(a.Value) })
}

func (f fields) has(keys ...string) bool {
	for _, key := range keys {
		if f.index(key, isAnything) < 0 {
			return false
		}
	}
	return true
}

// find returns where the first of the keys is that has a value which fits, and a
// negative number if none has.
func (f fields) find(fits func(slog.Value) bool, keys ...string) int {
	for _, key := range keys {
		if i := f.index(key, fits); i >= 0 {
			return i
		}
	}
	return -1
}

// take removes what find finds. If there is none, it returns the zero Value.
func (f *fields) take(fits func(slog.Value) bool, keys ...string) slog.Value {
	i := f.find(fits, keys...)
	if i < 0 {
		return slog.Value{}
	}
	v := (*f)[i].Value
	*f = slices.Delete(*f, i, i+1)
	return v
}

func (f *fields) takeString(keys ...string) string {
	if v := f.take(isString, keys...); v.Kind() == slog.KindString {
		return v.String()
	}
	return ""
}

func (f *fields) takeInt(keys ...string) int64 {
	if v := f.take(isInteger, keys...); v.Kind() == slog.KindInt64 {
		return v.Int64()
	}
	return 0
}

func isAnything(slog.Value) bool    { return true }
func isString(v slog.Value) bool    { return v.Kind() == slog.KindString }
func isInteger(v slog.Value) bool   { return v.Kind() == slog.KindInt64 }
func isNull(v slog.Value) bool      { return v.Equal(slog.Value{}) }
func isLevelName(v slog.Value) bool { _, ok := levelOf(v); return ok }
func isTime(v slog.Value) bool      { _, ok := timeOf(v); return ok }

func (f fields) record(line string) slog.Record {
	var (
		timeKeys    = []string{"time", "ts", "timestamp", "@timestamp"}
		levelKeys   = []string{"level", "severity", "lvl"}
		messageKeys = []string{"msg", "message"}
	)
	if f.find(isLevelName, levelKeys...) < 0 && f.find(isString, messageKeys...) < 0 {
		r := slog.NewRecord(time.Time{}, slog.LevelInfo, validUTF8(line), 0)
		r.AddAttrs(f...)
		return r
	}
	at, _ := timeOf(f.take(isTime, timeKeys...))
	level, _ := levelOf(f.take(isLevelName, levelKeys...))
	r := slog.NewRecord(at, level, f.takeString(messageKeys...), 0)
	if f.index(loggerKey, isString) < 0 {
		if i := f.index("name", isString); i >= 0 {
			f[i].Key = loggerKey
		}
	}
	source := f.take(isSource, slog.SourceKey)
	r.AddAttrs(f...)
	if source.Kind() == slog.KindGroup {
		r.AddAttrs(slog.Any(slog.SourceKey, sourceIn(source.Group())))
	}
	return r
}

func isSource(v slog.Value) bool { return v.Kind() == slog.KindGroup && sourceIn(v.Group()) != nil }

// sourceIn returns the source that slog.JSONHandler printed, or nil if it is
// something else.
func sourceIn(attrs fields) *slog.Source {
	f := slices.Clone(attrs)
	s := &slog.Source{Function: f.takeString("function"), File: f.takeString("file"), Line: int(f.takeInt("line"))}
	if len(f) > 0 || isEmpty(s) {
		return nil
	}
	return s
}

// levelOf reads the name of a level.
func levelOf(v slog.Value) (slog.Level, bool) {
	if v.Kind() != slog.KindString {
		return slog.LevelInfo, false
	}
	return parseLevel(v.String())
}

// parseLevel reads the names of levels that other loggers have too.
func parseLevel(s string) (slog.Level, bool) {
	switch strings.ToLower(s) {
	case "panic", "dpanic": // zap, zerolog, logrus
		return slog.LevelError + 4, true
	}
	return level.Named(s)
}

// timeOf reads a time as text or as a number.
func timeOf(v slog.Value) (time.Time, bool) {
	switch v.Kind() {
	case slog.KindString:
		return parseAnyTime(v.String())
	case slog.KindInt64:
		switch n := v.Int64(); {
		case -1e11 < n && n < 1e11:
			return time.Unix(n, 0), true
		case -1e14 < n && n < 1e14:
			return time.UnixMilli(n), true
		case -1e17 < n && n < 1e17:
			return time.UnixMicro(n), true
		default:
			return time.Unix(0, n), true
		}
	case slog.KindFloat64:
		// A float64 that counts seconds is no more exact than a microsecond.
		switch f := v.Float64(); {
		case math.Abs(f) < 1e11:
			// As CPython does it; to round after multiplying is to round twice.
			whole, part := math.Modf(f)
			return time.Unix(int64(whole), int64(math.RoundToEven(part*1e6))*1e3), true
		case math.Abs(f) < 1e14:
			return time.UnixMicro(int64(math.Round(f * 1e3))), true
		case math.Abs(f) < 1e17:
			return time.UnixMicro(int64(math.Round(f))), true
		case math.Abs(f) < 1<<63:
			return time.Unix(0, int64(f)), true
		}
	}
	return time.Time{}, false
}

func parseAnyTime(s string) (time.Time, bool) {
	if t, ok := parseTime(s); ok {
		return t, true
	}
	// time.Parse takes a fraction of a second behind a point or a comma, whether
	// or not the layout has one.
	for _, layout := range []string{"2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", time.DateTime} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

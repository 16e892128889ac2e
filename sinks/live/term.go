package live

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/wire"
)

// takes reads the line, which costs some microseconds, once for all terms.
func (q query) takes(e *entry) bool {
	if len(q) == 0 {
		return true
	}
	r, _, err := wire.Decode(e.line)
	if err != nil {
		return false // not reached: the line is our own
	}
	for _, t := range q {
		if t.holds(r, e) == t.not {
			return false
		}
	}
	return true
}

func (t term) holds(r slog.Record, e *entry) bool {
	switch {
	case t.op == "":
		return t.text.in(r.Message) || t.text.in(e.logger) || t.inAttrs(r)
	case t.op == "!=":
		t.op = "="
		return !t.holds(r, e)
	case t.key == "level":
		return t.levelHolds(e.level)
	case t.key == slogworks.LoggerKey:
		return t.op == "=" && (t.text.regexp == nil && covers(t.raw, e.logger) || t.text.is(e.logger))
	}
	found := false
	eachLeaf(r, func(path string, v slog.Value) bool {
		path = strings.ToLower(path)
		if path == t.key || strings.HasSuffix(path, "."+t.key) {
			found = t.valueHolds(v)
		}
		return !found
	})
	return found
}

// levelHolds compares as numbers, and takes = for "has the chip".
func (t term) levelHolds(level slog.Level) bool {
	want, err := parseLevel(t.raw)
	if err != nil {
		return t.op == "=" && t.text.is(chips[chipOf(level)].name)
	}
	if t.op == "=" {
		return chipOf(level) == chipOf(want)
	}
	return compares(t.op, float64(level), float64(want))
}

func (t term) inAttrs(r slog.Record) bool {
	found := false
	eachLeaf(r, func(path string, v slog.Value) bool {
		found = t.inKeys(path) || t.inTexts(v)
		return !found
	})
	return found
}

func (t term) inKeys(path string) bool {
	if t.text.in(path) {
		return true
	}
	for key := range strings.SplitSeq(path, ".") {
		if t.text.in(key) {
			return true
		}
	}
	return false
}

func (t term) inTexts(v slog.Value) bool {
	for _, s := range texts(v) {
		if s != "" && t.text.in(s) {
			return true
		}
	}
	return false
}

func (t term) valueHolds(v slog.Value) bool {
	if t.op == "=" {
		for i, s := range texts(v) {
			if (s != "" || i == 0) && t.text.is(s) {
				return true
			}
		}
		return false
	}
	have, ok := numberOf(v)
	if !ok {
		return false
	}
	want, ok := operandNumber(t.raw, v.Kind())
	return ok && compares(t.op, have, want)
}

func compares(op string, a, b float64) bool {
	switch op {
	case ">":
		return a > b
	case ">=":
		return a >= b
	case "<":
		return a < b
	}
	return a <= b
}

// numberOf returns what can be compared; durations and times count seconds.
func numberOf(v slog.Value) (float64, bool) {
	switch v.Kind() {
	case slog.KindInt64:
		return float64(v.Int64()), true
	case slog.KindUint64:
		return float64(v.Uint64()), true
	case slog.KindFloat64:
		return v.Float64(), true
	case slog.KindDuration:
		return v.Duration().Seconds(), true
	case slog.KindTime:
		return seconds(v.Time()), true
	case slog.KindString:
		n, err := strconv.ParseFloat(v.String(), 64)
		return n, err == nil
	}
	return 0, false
}

func operandNumber(s string, kind slog.Kind) (float64, bool) {
	switch kind {
	case slog.KindDuration:
		if d, err := time.ParseDuration(s); err == nil {
			return d.Seconds(), true
		}
	case slog.KindTime:
		t, err := time.Parse(time.RFC3339, s)
		return seconds(t), err == nil
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }

// texts are the forms in which people may have seen a value: that of TextHandler
// and, where it differs, that of JSONHandler.
func texts(v slog.Value) [2]string {
	switch v.Kind() {
	case slog.KindTime:
		return [2]string{v.Time().Format(time.RFC3339Nano)}
	case slog.KindFloat64:
		doc, _ := json.Marshal(v.Float64()) // none of what JSON has no number for
		return [2]string{v.String(), string(doc)}
	case slog.KindAny:
		switch x := v.Any().(type) {
		case error:
			return [2]string{x.Error()}
		case interface {
			MarshalJSON() ([]byte, error)
			String() string
		}:
			doc, _ := x.MarshalJSON() // a Frozen, which never fails
			return [2]string{x.String(), string(doc)}
		case []byte:
			return [2]string{string(x), base64.StdEncoding.EncodeToString(x)}
		}
	}
	return [2]string{v.String()}
}

// eachLeaf calls f for each attribute that is no group, with its path, until f
// returns false. The logger's name and the source are not among them.
func eachLeaf(r slog.Record, f func(path string, v slog.Value) bool) {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == slogworks.LoggerKey && a.Value.Kind() == slog.KindString {
			return true
		}
		if a.Key == slog.SourceKey && a.Value.Kind() == slog.KindAny {
			if _, ok := a.Value.Any().(*slog.Source); ok {
				return true
			}
		}
		return leaf("", a, f)
	})
}

func leaf(prefix string, a slog.Attr, f func(path string, v slog.Value) bool) bool {
	path := a.Key
	if prefix != "" && path != "" {
		path = prefix + "." + path
	} else if path == "" {
		path = prefix
	}
	if a.Value.Kind() != slog.KindGroup {
		return f(path, a.Value)
	}
	for _, member := range a.Value.Group() {
		if !leaf(path, member, f) {
			return false
		}
	}
	return true
}

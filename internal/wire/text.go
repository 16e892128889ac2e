package wire

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// ReadText makes a record of a line of text. A line as slog.TextHandler writes
// it, which is key=value throughout and has a level and a msg, gives its time,
// level and message; all other pairs become string attributes under their whole
// keys. Of any other line the message is the line; its level is the one after
// level=, else the first word among the first five that names one in any case,
// brackets and punctuation aside, else Info; its time is the one it begins with,
// such as 2026-01-01 00:00:04,123 or 2026-01-01T00:00:04Z, in local time if no
// zone is named as Python writes it, and else zero.
func ReadText(line []byte) slog.Record {
	text := validUTF8(strings.TrimRight(string(line), "\r\n"))
	if f, ok := pairs(text); ok && f.index("level", isLevelName) >= 0 && f.index("msg", isString) >= 0 {
		at, _ := timeOf(f.take(isTime, "time"))
		level, _ := levelOf(f.take(isLevelName, "level"))
		r := slog.NewRecord(at, level, f.takeString("msg"), 0)
		r.AddAttrs(f...)
		return r
	}
	return slog.NewRecord(timeIn(text), levelIn(text), text, 0)
}

// pairs reads a line of key=value with quotes where needed.
func pairs(line string) (fields, bool) {
	if !strings.Contains(line, "level=") || !strings.Contains(line, "msg=") {
		return nil, false
	}
	var f fields
	for rest := strings.TrimLeft(line, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		key, after, ok := word(rest, "=")
		if !ok || !strings.HasPrefix(after, "=") || len(f) == maxAttrs {
			return nil, false
		}
		value, after, ok := word(after[1:], " ")
		if !ok || after != "" && after[0] != ' ' {
			return nil, false
		}
		f = append(f, slog.String(key, value))
		rest = after
	}
	return f, true
}

// word reads a quoted string, or all up to the end mark.
func word(s, end string) (value, rest string, ok bool) {
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", false
		}
		value, err = strconv.Unquote(quoted)
		return validUTF8(value), s[len(quoted):], err == nil
	}
	n := strings.Index(s, end)
	if n < 0 {
		n = len(s)
	}
	value = s[:n]
	return value, s[n:], !strings.ContainsAny(value, ` "`)
}

func levelIn(line string) slog.Level {
	const around = "[](){}<>|,;:.*-=\"'"
	for field := range strings.FieldsSeq(line) {
		if name, ok := strings.CutPrefix(field, "level="); ok {
			if level, ok := parseLevel(strings.Trim(name, around)); ok {
				return level
			}
		}
	}
	n := 0
	for field := range strings.FieldsSeq(line) {
		name := strings.Trim(field, around)
		if name == "" { // such as the dashes between Python's fields
			continue
		}
		if level, ok := parseLevel(name); ok {
			return level
		}
		if n++; n == 5 {
			break
		}
	}
	return slog.LevelInfo
}

// timeIn returns the time that the line begins with, zero if there is none.
func timeIn(line string) time.Time {
	date, rest, _ := strings.Cut(line, " ")
	clock, _, _ := strings.Cut(rest, " ")
	for _, text := range []string{date, date + "T" + clock} {
		for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05"} {
			if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
				return t
			}
		}
	}
	return time.Time{}
}

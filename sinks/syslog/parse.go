package syslog

import (
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/internal/level"
)

// defaultSDID is the element in which a Handler has its attributes.
const defaultSDID = "slog@32473"

// byteOrderMark may stand before a message in UTF-8 (RFC 5424, section 6.4).
const byteOrderMark = "\ufeff"

// severityLevels are the levels of the severities 0 to 7.
var severityLevels = [8]slog.Level{
	slog.LevelError + 4, slog.LevelError + 4, slog.LevelError + 4, slog.LevelError,
	slog.LevelWarn, slog.LevelInfo + 2, slog.LevelInfo, slog.LevelDebug,
}

// parseMessage makes a record of any message. It never fails: what is not well
// formed is text.
func parseMessage(message []byte, arrival time.Time) intake.Record {
	text := strings.ToValidUTF8(string(message), "\ufffd")
	text = strings.TrimSuffix(text, "\x00")
	priority, body, ok := cutPriority(text)
	if !ok {
		return intake.Record{Record: slog.NewRecord(arrival, slog.LevelInfo, text, 0)}
	}
	p := parsed{at: arrival, level: severityLevels[priority&7]}
	p.add(slog.String("facility", Facility(priority>>3).String()))
	if !p.parse5424(body) && !p.parse3164(body, arrival) {
		p.message = strings.TrimPrefix(body, byteOrderMark)
	}
	p.record.Record = slog.NewRecord(p.at, p.level, p.message, 0)
	p.record.AddAttrs(p.attrs...)
	if p.source != nil {
		p.record.AddAttrs(slog.Any(slog.SourceKey, p.source))
	}
	return p.record
}

// cutPriority removes the priority that a message begins with.
func cutPriority(text string) (priority int, rest string, ok bool) {
	end := strings.IndexByte(text[:min(len(text), len("<191>"))], '>')
	if end < 2 || text[0] != '<' {
		return 0, text, false
	}
	for _, c := range text[1:end] {
		if c < '0' || c > '9' {
			return 0, text, false
		}
		priority = 10*priority + int(c-'0')
	}
	if priority > 191 {
		return 0, text, false
	}
	return priority, text[end+1:], true
}

// parsed is what was found in a message.
type parsed struct {
	at      time.Time
	level   slog.Level
	message string
	attrs   []slog.Attr
	source  *slog.Source
	record  intake.Record
}

func (p *parsed) add(a slog.Attr) { p.attrs = append(p.attrs, a) }

// addOwn adds an attribute of the sender, under a name that is none of ours. Of
// others that are, an intake.Record takes care.
func (p *parsed) addOwn(a slog.Attr) {
	switch a.Key {
	case "facility", "msgid", "procid":
		a.Key = "extra." + a.Key
	}
	p.add(a)
}

// from takes who sent a message.
func (p *parsed) from(host, process, pid string) {
	p.record.Origin.Host, p.record.Origin.Process = host, process
	if n, err := strconv.Atoi(pid); err == nil && n > 0 && pid[0] != '+' {
		p.record.Origin.PID = n
	} else if pid != "" {
		p.add(slog.String("procid", pid))
	}
}

// parse5424 reads what RFC 5424 has behind the priority. It reports false, and
// has changed nothing, if it is something else.
func (p *parsed) parse5424(text string) bool {
	rest, ok := strings.CutPrefix(text, "1 ")
	if !ok {
		return false
	}
	var header [5]string // TIMESTAMP HOSTNAME APP-NAME PROCID MSGID
	for i := range header {
		if header[i], rest, ok = strings.Cut(rest, " "); !ok || header[i] == "" {
			return false
		}
		if header[i] == "-" {
			header[i] = ""
		}
	}
	at := p.at
	if header[0] != "" {
		var err error
		if at, err = time.Parse(time.RFC3339Nano, header[0]); err != nil {
			return false
		}
	}
	elements, rest, ok := parseElements(rest)
	if !ok {
		return false
	}
	if rest != "" {
		if rest, ok = strings.CutPrefix(rest, " "); !ok {
			return false
		}
	}
	p.at = at
	p.from(header[1], header[2], header[3])
	if header[4] != "" {
		p.add(slog.String("msgid", header[4]))
	}
	for _, e := range elements {
		if e.id == defaultSDID {
			p.own(e.params)
		} else if len(e.params) == 0 {
			p.addOwn(slog.String(e.id, "")) // a group without members would not be seen
		} else {
			p.addOwn(slog.Attr{Key: e.id, Value: slog.GroupValue(e.params...)})
		}
	}
	p.message = strings.TrimPrefix(rest, byteOrderMark)
	return true
}

// own takes the parameters in which a Handler has its attributes.
func (p *parsed) own(attrs []slog.Attr) {
	params := make([]param, 0, len(attrs))
	for _, a := range attrs {
		text := a.Value.String()
		switch a.Key {
		case slog.LevelKey:
			// The severity says as much of it as it can.
			l, ok := level.Named(text)
			if severity, exact := severityOf(l); ok && !exact && severityLevels[severity] == p.level {
				p.level = l
				continue
			}
		case slog.SourceKey:
			if file, line, ok := cutLine(text); ok && p.source == nil {
				p.source = &slog.Source{File: file, Line: line}
				continue
			}
		}
		path := strings.Split(a.Key, ".")
		if len(path) > maxPath || slices.Contains(path, "") {
			path = []string{a.Key}
		}
		params = append(params, param{path, a.Value})
	}
	for _, a := range grouped(params) {
		p.addOwn(a)
	}
}

// cutLine reads FILE:LINE.
func cutLine(text string) (file string, line int, ok bool) {
	colon := strings.LastIndexByte(text, ':')
	if colon < 1 {
		return "", 0, false
	}
	line, err := strconv.Atoi(text[colon+1:])
	return text[:colon], line, err == nil && line > 0
}

// maxPath is how many groups may stand one in another: a name of 32 bytes has no
// more of them.
const maxPath = 16

// param is an attribute by the groups it is in.
type param struct {
	path  []string
	value slog.Value
}

// grouped returns the attributes of parameters, of which those that follow each
// other and are in the same group share it.
func grouped(params []param) []slog.Attr {
	var attrs []slog.Attr
	for len(params) > 0 {
		name, n := params[0].path[0], 1
		if len(params[0].path) == 1 {
			attrs = append(attrs, slog.Attr{Key: name, Value: params[0].value})
			params = params[1:]
			continue
		}
		for n < len(params) && len(params[n].path) > 1 && params[n].path[0] == name {
			n++
		}
		for i := range params[:n] {
			params[i].path = params[i].path[1:]
		}
		attrs = append(attrs, slog.Attr{Key: name, Value: slog.GroupValue(grouped(params[:n])...)})
		params = params[n:]
	}
	return attrs
}

// element is an element of structured data.
type element struct {
	id     string
	params []slog.Attr
}

// maxParams is how many elements and parameters structured data may have, which
// each cost more as attributes than they do in a message.
const maxParams = 4096

// parseElements reads the structured data that text begins with.
func parseElements(text string) (elements []element, rest string, ok bool) {
	if rest, ok = strings.CutPrefix(text, "-"); ok {
		return nil, rest, true
	}
	n := 0
	for strings.HasPrefix(text, "[") {
		end := strings.IndexAny(text, " ]")
		if end < 2 || !isParamName(text[1:end]) {
			return nil, "", false
		}
		id := text[1:end]
		text = text[end:]
		var params []slog.Attr
		for strings.HasPrefix(text, " ") {
			name, value, after, ok := parseParam(text[1:])
			if n++; !ok || n > maxParams {
				return nil, "", false
			}
			params = append(params, slog.String(name, value))
			text = after
		}
		if text, ok = strings.CutPrefix(text, "]"); !ok {
			return nil, "", false
		}
		if n++; n > maxParams {
			return nil, "", false
		}
		elements = append(elements, element{id, params})
	}
	return elements, text, len(elements) > 0
}

func isParamName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r == '"' || r == ']' || r == '=' || r == 0x7f
	})
}

// parseParam reads NAME="VALUE", with \", \\ and \] in the value.
func parseParam(text string) (name, value, rest string, ok bool) {
	name, rest, ok = strings.Cut(text, `="`)
	if !ok || !isParamName(name) {
		return "", "", "", false
	}
	var unescaped strings.Builder
	isEscaped := false
	for begin, i := 0, 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			if i+1 < len(rest) && strings.IndexByte(`"\]`, rest[i+1]) >= 0 {
				unescaped.WriteString(rest[begin:i])
				isEscaped = true
				i++
				begin = i
			}
		case '"':
			value = rest[begin:i]
			if isEscaped {
				unescaped.WriteString(value)
				value = unescaped.String()
			}
			return name, value, rest[i+1:], true
		case ']':
			return "", "", "", false
		}
	}
	return "", "", "", false
}

// parse3164 reads what RFC 3164 has behind the priority, or a message that has
// RFC 3339's time in its place, as rsyslog's have. It reports false, and has
// changed nothing, if there is no time.
func (p *parsed) parse3164(text string, arrival time.Time) bool {
	at, rest, ok := cutTime(text, arrival)
	if !ok {
		return false
	}
	p.at = at
	if process, pid, message, ok := cutTag(rest); ok {
		// As the C library writes it to /dev/log.
		p.from("", process, pid)
		p.message = message
		return true
	}
	host, message, ok := strings.Cut(rest, " ")
	if !ok || host == "" {
		p.message = rest
		return true
	}
	process, pid, tagged, ok := cutTag(message)
	if ok {
		message = tagged
	}
	p.from(host, process, pid)
	p.message = message
	return true
}

// cutTime removes the time that text begins with, and the space after it.
func cutTime(text string, arrival time.Time) (at time.Time, rest string, ok bool) {
	if len(text) > len(time.Stamp) && text[len(time.Stamp)] == ' ' {
		if at, err := time.ParseInLocation(time.Stamp, text[:len(time.Stamp)], arrival.Location()); err == nil {
			return nearest(at, arrival), text[len(time.Stamp)+1:], true
		}
	}
	first, rest, ok := strings.Cut(text, " ")
	if !ok || len(first) > len(time.RFC3339Nano) {
		return at, text, false
	}
	at, err := time.Parse(time.RFC3339Nano, first)
	return at, rest, err == nil
}

// nearest returns a time in the year in which it is nearest to now.
func nearest(at, now time.Time) time.Time {
	best := time.Time{}
	for year := now.Year() - 1; year <= now.Year()+1; year++ {
		t := time.Date(year, at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, now.Location())
		if t.Day() != at.Day() {
			continue // February 29
		}
		if best.IsZero() || t.Sub(now).Abs() < best.Sub(now).Abs() {
			best = t
		}
	}
	if best.IsZero() {
		return now
	}
	return best
}

// maxTag is longer than any tag of RFC 3164, which has at most 32 characters, is
// in practice.
const maxTag = 128

// cutTag removes a tag such as "app[42]: " that text begins with.
func cutTag(text string) (process, pid, rest string, ok bool) {
	end := strings.IndexByte(text[:min(len(text), maxTag)], ':')
	if end < 1 || end+1 < len(text) && text[end+1] != ' ' {
		return "", "", "", false
	}
	process, rest = text[:end], strings.TrimPrefix(text[end+1:], " ")
	if name, number, ok := strings.Cut(process, "["); ok {
		if process = name; !strings.HasSuffix(number, "]") {
			return "", "", "", false
		}
		pid = strings.TrimSuffix(number, "]")
	}
	if process == "" || strings.ContainsAny(process+pid, " []\t\n") {
		return "", "", "", false
	}
	return process, pid, rest, true
}

package wire

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"strconv"
	"strings"
)

// Read makes a record of any line: one of AppendRecord's or JSON as [ReadJSON]
// takes it, else text as [ReadText] does. It reports false for a blank line, and
// for no other.
func Read(line []byte) (slog.Record, Origin, bool) {
	if len(bytes.TrimSpace(line)) == 0 {
		return slog.Record{}, Origin{}, false
	}
	r, o, err := ReadJSON(line)
	if err != nil {
		return ReadText(line), Origin{}, true
	}
	return r, o, true
}

// ReadJSON makes a record of a line that is a JSON object, whoever wrote it. A
// line that Decode takes is decoded. Of others it reads:
//
//   - slog, zap, zerolog, logrus: the time from time, ts, timestamp or
//     @timestamp, the level from level, severity or lvl, the message from msg or
//     message, the name from logger or name, slog's source; the first key wins
//     that has a value which fits. Numbers are times since 1970 in seconds, or
//     milliseconds, microseconds or nanoseconds if they are 1e11, 1e14 or 1e17
//     and more. Times without zone are UTC. Everything else is an attribute.
//   - json.dumps of the __dict__ of a Python LogRecord, see [FromLogRecord];
//     args are put into msg as Python's % operator would. Where they do not fit,
//     args is an attribute.
//   - The eleven keys of python-redis-log, with args likewise.
//   - Any other object: its keys are attributes, and the line is the message.
//
// Objects become groups, lists stay JSON, integers keep all digits, and the NaN
// and Infinity of Python are the strings NaN, +Inf and -Inf. A record without
// time has the zero time, one without level is of level Info. Of what is read
// twice, as a second msg, the rest stays an attribute.
//
// It returns an error for what is no JSON object, or exceeds the limits of
// Decode.
func ReadJSON(line []byte) (slog.Record, Origin, error) {
	if len(line) >= MaxLine {
		return slog.Record{}, Origin{}, tooLong(len(line))
	}
	text := string(line)
	r, o, err := decode(text)
	if err == nil {
		return r, o, nil
	}
	d := decoder{s: text}
	d.object(0)
	if d.space(); d.err == nil && d.i < len(d.s) {
		d.fail(d.i, "something follows the object")
	}
	if d.err != nil {
		return slog.Record{}, Origin{}, d.err
	}
	f := fields(d.attrs)
	switch {
	case f.index("levelno", isInteger) >= 0 && f.index("msg", isAnything) >= 0:
		f.interpolate(d.args)
		r, o = FromLogRecord(f)
	case f.has("name", "level", "filename", "line_no", "msg", "args", "time", "username", "funcname", "hostname", "traceback"):
		f.interpolate(d.args)
		r, o = f.redisLog()
	default:
		r, o = f.record(strings.TrimSpace(text)), Origin{}
	}
	return r, o, nil
}

// object appends the members of any JSON object to d.attrs.
func (d *decoder) object(depth int) {
	for more := d.open('{', '}'); more; more = d.more('}') {
		if d.n++; d.n > maxAttrs {
			d.fail(d.i, "more than %d attributes", maxAttrs)
			return
		}
		key := d.key()
		d.space()
		begin := d.i
		a := slog.Attr{Key: key, Value: d.foreign(key, depth)}
		d.attrs = append(d.attrs, a)
		if key == "args" && depth == 0 && d.args == "" {
			d.args = d.s[begin:d.i]
		}
	}
}

// foreign reads any JSON value, as an attribute that handlers print.
func (d *decoder) foreign(key string, depth int) slog.Value {
	switch c := d.peek(); {
	case c == '"':
		return slog.StringValue(d.str())
	case c == '{' && depth < maxDepth && key != "": // handlers print no key for a group without one
		return d.members(depth)
	case c == '{' || c == '[':
		return d.verbatim()
	case c == 't' || c == 'f':
		return slog.BoolValue(d.bool())
	case d.null():
		if key == "" {
			return freeze("null", "<nil>") // as a zero Attr it would not be printed
		}
		return slog.Value{}
	}
	if text, ok := d.notFinite(); ok {
		return slog.StringValue(text)
	}
	return d.numeric()
}

func (d *decoder) members(depth int) slog.Value {
	at, begin := d.i, len(d.attrs)
	d.object(depth + 1)
	members := slices.Clone(d.attrs[begin:])
	d.attrs = d.attrs[:begin]
	if d.err == nil && len(members) == 0 {
		d.i = at // handlers print nothing for an empty group
		return d.verbatim()
	}
	return slog.GroupValue(members...)
}

// verbatim reads an object or list that stays JSON.
func (d *decoder) verbatim() slog.Value {
	begin := d.i
	d.skip()
	if d.err != nil {
		return slog.Value{}
	}
	doc := d.s[begin:d.i]
	if !json.Valid([]byte(doc)) {
		doc = quoteNotFinite(doc)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(validUTF8(doc))); err != nil {
		d.fail(begin, "not JSON")
		return slog.Value{}
	}
	return freeze(b.String(), b.String())
}

var notFinite = []struct{ python, text string }{{"NaN", "NaN"}, {"Infinity", "+Inf"}, {"-Infinity", "-Inf"}}

func (d *decoder) notFinite() (string, bool) {
	for _, f := range notFinite {
		if strings.HasPrefix(d.s[d.i:], f.python) {
			d.i += len(f.python)
			return f.text, true
		}
	}
	return "", false
}

// quoteNotFinite makes JSON of what Python writes for numbers that JSON has not.
func quoteNotFinite(doc string) string {
	var b strings.Builder
	d := decoder{s: doc}
	for d.i < len(doc) {
		begin := d.i
		if doc[d.i] == '"' {
			d.skipString()
			b.WriteString(doc[begin:d.i])
		} else if text, ok := d.notFinite(); ok {
			b.WriteString(`"` + text + `"`)
		} else {
			b.WriteByte(doc[d.i])
			d.i++
		}
	}
	return b.String()
}

func (d *decoder) numeric() slog.Value {
	at := d.i
	text := d.number()
	if !json.Valid([]byte(text)) {
		d.fail(at, "want a value")
		return slog.Value{}
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return slog.Int64Value(n)
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return slog.Uint64Value(n)
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && strings.ContainsAny(text, ".eE") {
		return slog.Float64Value(f)
	}
	return freeze(text, text)
}

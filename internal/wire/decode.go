package wire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/slogworks/slogworks/internal/chain"
)

// Decode returns the record of a line and who sent it. A line feed at the end
// may be there or not. The record shares no memory with the line: it holds a copy
// of it, from which most strings are cut, and at most three times the memory of
// the line and half a megabyte. It needs no freezing to be kept.
//
// What is not such a line is an error that says where, such as "wire: offset 12:
// want a string": another key or kind than the format's, one of l and m missing,
// a value that does not fit its kind, more than the limits of [AppendRecord]
// allow, anything behind the record. Decode never panics.
func Decode(line []byte) (slog.Record, Origin, error) {
	if len(line) >= MaxLine {
		return slog.Record{}, Origin{}, tooLong(len(line))
	}
	return decode(string(line))
}

func tooLong(n int) error {
	return fmt.Errorf("wire: a line of %d bytes, must be less than %d", n, MaxLine)
}

// rooms are lists for the attributes of a line while it is read.
var rooms = sync.Pool{New: func() any { return new([]slog.Attr) }}

func decode(line string) (slog.Record, Origin, error) {
	room := rooms.Get().(*[]slog.Attr)
	d := decoder{s: line, attrs: (*room)[:0]}
	var o Origin
	r := d.record(&o)
	if cap(d.attrs) <= 64 {
		*room = d.attrs[:cap(d.attrs)]
		clear(*room) // so that no record is kept alive
		rooms.Put(room)
	}
	if d.err != nil {
		return slog.Record{}, Origin{}, d.err
	}
	return r, o, nil
}

// decoder reads one line. After the first mistake err is set and everything
// else reads as nothing.
type decoder struct {
	s   string
	i   int
	err error

	// attrs are those read of the groups that are still open, n counts all.
	attrs []slog.Attr
	n     int

	args string // JSON of the key args of a foreign object
}

func (d *decoder) fail(at int, format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("wire: offset %d: %s", at, fmt.Sprintf(format, args...))
	}
	d.i = len(d.s)
}

func (d *decoder) record(o *Origin) slog.Record {
	var head struct {
		time    time.Time
		level   slog.Level
		message string
		name    string
		source  *slog.Source
		hasL    bool
		hasM    bool
	}
	// The name's attribute comes first, if it turns out that there is one.
	d.attrs = append(d.attrs, slog.Attr{})
	for more := d.open('{', '}'); more; more = d.more('}') {
		at := d.i
		switch key := d.key(); key {
		case "t":
			head.time = d.time()
		case "l":
			head.level, head.hasL = slog.Level(d.int(strconv.IntSize)), true
		case "m":
			head.message, head.hasM = d.str(), true
		case "n":
			head.name = d.str()
		case "src":
			head.source = d.source("fn", "f", "l")
		case "h":
			o.Host = d.str()
		case "p":
			o.Process = d.str()
		case "pid":
			o.PID = int(d.int(strconv.IntSize))
		case "q":
			o.Seq = d.uint()
		case "b":
			o.Boot = d.str()
		case "s":
			d.uint()
		case "a":
			d.attrs, d.n = d.attrs[:1], 0
			d.list(0)
		default:
			d.fail(at, "unknown key %.20q", key)
		}
	}
	d.space()
	switch {
	case d.err == nil && d.i < len(d.s):
		d.fail(d.i, "something follows the record")
	case !head.hasL || !head.hasM:
		d.fail(d.i, "a record has l and m")
	}
	if d.err != nil {
		return slog.Record{}
	}

	attrs := d.attrs[1:]
	if head.name != "" && !areNamed(attrs) {
		attrs = d.attrs
		attrs[0] = slog.String(loggerKey, head.name)
	}
	if !isEmpty(head.source) {
		attrs = append(attrs, slog.Any(slog.SourceKey, head.source))
	}
	r := slog.NewRecord(head.time, head.level, head.message, 0)
	r.AddAttrs(attrs...)
	return r
}

func areNamed(attrs []slog.Attr) bool {
	names := 0
	for _, a := range attrs {
		_, names = nameOf("", names, a)
	}
	return names > 0
}

// source reads an object with the given keys, each of which may be missing.
func (d *decoder) source(function, file, line string) *slog.Source {
	s := new(slog.Source)
	for more := d.open('{', '}'); more; more = d.more('}') {
		at := d.i
		switch key := d.key(); key {
		case function:
			s.Function = d.str()
		case file:
			s.File = d.str()
		case line:
			s.Line = int(d.int(strconv.IntSize))
		default:
			d.fail(at, "unknown key %.20q in a source", key)
		}
	}
	return s
}

// list appends the attributes of a list to d.attrs.
func (d *decoder) list(depth int) {
	if depth > maxDepth {
		d.fail(d.i, "a group in %d others", maxDepth)
		return
	}
	for more := d.open('[', ']'); more; more = d.more(']') {
		if d.n++; d.n > maxAttrs {
			d.fail(d.i, "more than %d attributes", maxAttrs)
			return
		}
		a := d.attr(depth)
		d.attrs = append(d.attrs, a)
	}
}

func (d *decoder) attr(depth int) (a slog.Attr) {
	begin := d.i
	kind, early, end, read := byte(0), -1, 0, false
	for more := d.open('{', '}'); more; more = d.more('}') {
		at := d.i
		switch key := d.key(); key {
		case "k":
			a.Key = d.str()
		case "t":
			letter := d.str()
			if len(letter) != 1 {
				d.fail(at, "unknown kind %.20q", letter)
				break
			}
			kind = letter[0]
		case "v":
			if kind == 0 {
				// Whoever sorts the keys differently has to be read twice.
				d.space()
				early = d.i
				d.skip()
				d.space()
				end = d.i
				break
			}
			a.Value, read = d.value(kind, depth), true
		default:
			d.fail(at, "unknown key %.20q in an attribute", key)
		}
	}
	switch {
	case d.err != nil || read:
	case kind == 0:
		d.fail(begin, "an attribute without kind")
	case early >= 0:
		after := d.i
		d.i = early
		a.Value = d.value(kind, depth)
		d.space()
		if d.i != end {
			d.fail(d.i, "want ',' or '}'")
		}
		if d.err == nil {
			d.i = after
		}
	case kind != 'n':
		d.fail(begin, "an attribute without value")
	}
	return a
}

// nothing is a group without members that came from a LogValuer. slog omits any
// other empty group where it is made, and so has none to print.
type nothing struct{}

func (nothing) LogValue() slog.Value { return slog.GroupValue() }

func (d *decoder) value(kind byte, depth int) slog.Value {
	switch kind {
	case 's':
		return slog.StringValue(d.str())
	case 'i':
		return slog.Int64Value(d.int(64))
	case 'u':
		return slog.Uint64Value(d.uint())
	case 'f':
		return slog.Float64Value(d.float())
	case 'b':
		return slog.BoolValue(d.bool())
	case 'd':
		return slog.DurationValue(time.Duration(d.int(64)))
	case 't':
		return slog.TimeValue(d.time())
	case 'g':
		begin := len(d.attrs)
		d.list(depth + 1)
		members := slices.Clone(d.attrs[begin:])
		d.attrs = d.attrs[:begin]
		if len(members) == 0 {
			return slog.AnyValue(nothing{})
		}
		return slog.GroupValue(members...)
	case 'e':
		return slog.AnyValue(d.error())
	case 'n':
		if !d.null() {
			d.fail(d.i, "want null")
		}
		return slog.Value{}
	case 'y':
		return slog.AnyValue(d.bytes())
	case 'j':
		return d.json()
	}
	d.fail(d.i, "unknown kind %q", string(rune(kind)))
	return slog.Value{}
}

func (d *decoder) error() *Error {
	e := new(Error)
	n := 0
	for more := d.open('[', ']'); more; more = d.more(']') {
		switch n++; n {
		case 1:
			e.text = d.str()
			e.verbose = e.text
		case 2:
			e.kind = d.str()
		case 3:
			e.verbose = d.str()
		}
	}
	if n != 2 && n != 3 {
		d.fail(d.i, "an error has 2 or 3 parts, not %d", n)
	}
	return e
}

func (d *decoder) bytes() []byte {
	if d.null() {
		return nil
	}
	at := d.i
	b, err := base64.StdEncoding.DecodeString(d.str())
	if err != nil {
		d.fail(at, "not base64")
	}
	return b
}

func (d *decoder) json() slog.Value {
	var doc, text, kind string
	n, begin := 0, 0
	for more := d.open('[', ']'); more; more = d.more(']') {
		switch n++; n {
		case 1:
			d.space()
			begin = d.i
			doc = d.document()
		case 2:
			text = d.str()
		case 3:
			kind = d.str()
		}
	}
	if n != 2 && n != 3 {
		d.fail(d.i, "a value of kind j has 2 or 3 parts, not %d", n)
	}
	if d.err != nil {
		return slog.Value{}
	}
	switch kind {
	case "":
		return freeze(doc, text)
	case rawType:
		if json.Valid([]byte(text)) {
			return slog.AnyValue(json.RawMessage(text))
		}
	case sourceType:
		in := decoder{s: doc}
		if source := in.source("function", "file", "line"); in.err == nil {
			return slog.AnyValue(source)
		}
	}
	d.fail(begin, "not a %.20q", kind)
	return slog.Value{}
}

// freeze returns a value that prints as doc in JSON and as text in text.
func freeze(doc, text string) slog.Value {
	return chain.Freeze(slog.AnyValue(&printed{[]byte(doc), text}))
}

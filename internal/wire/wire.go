// Package wire is the form in which records leave a process and come back: a
// slog.Record as one line of JSON that keeps the kind of every value.
//
// It is for what stores or sends records that a slog handler will handle again
// later or elsewhere. A log that people and other programs read is better
// written by slog.JSONHandler, whose lines are shorter and which nobody needs to
// decode.
//
// AppendRecord does not allocate for scalar values, and Decode allocates little
// more than a copy of the line, from which it cuts its strings. Both work on the
// calling goroutine, and none of it waits for anything. Values that marshal
// themselves run their own code, as under slog's handlers; if it panics, the
// value becomes the text that slog has for that.
//
// A line is all there is of a record: nothing is kept, and nothing can be lost
// later. What a line cannot hold is cut and marked, see [AppendRecord].
//
// # Format
//
// A line has no raw line feed, and the package neither writes nor needs one
// behind it. Keys that have nothing to say are left out, but for l, m and a.
//
//	{"t":"2026-01-02T03:04:05.006Z","l":8,"m":"no answer","n":"db.pool",
//	 "src":{"fn":"main.run","f":"main.go","l":42},
//	 "h":"web1","p":"shop","pid":7,"q":31,"b":"k3f9",
//	 "a":[{"k":"err","t":"e","v":["timeout","*net.OpError"]},{"k":"try","t":"i","v":3}]}
//
//	t    time, RFC 3339 with up to nine digits of a second
//	l    level, slog's number
//	m    message
//	n    name of the logger: the attribute slogworks.LoggerKey
//	src  function, file and line of the call
//	h p pid q b  the fields of Origin
//	s    a number that a reader may have added; it is skipped
//	a    attributes: key, kind, value
//
// The kinds of values:
//
//	s  string
//	i  int64    u  uint64
//	f  float64; NaN, +Inf and -Inf are strings
//	b  bool
//	d  duration in nanoseconds
//	t  time, as above
//	g  group: a list of attributes
//	e  error: its text, its Go type, and what TextHandler prints if that is not the text
//	n  nil: null
//	y  bytes in base64, or null
//	j  any other value: its JSON and what TextHandler prints; its Go type comes
//	   third if that is json.RawMessage or *slog.Source
//
// Integers beyond ±2^53, which JavaScript cannot tell apart, are strings.
//
// # Replay
//
// A decoded record makes slog.JSONHandler and slog.TextHandler write byte for
// byte what the original would have made them write, with three exceptions.
// Invalid UTF-8 becomes U+FFFD. A time zone whose offset is no whole minute
// becomes one that is, and one whose offset is a day or more becomes UTC. And a
// value with a MarshalJSON method that is a slice of bytes, but no valid
// json.RawMessage, may lose its quotes in text.
//
// A program counter means nothing in another process, so a record that had one
// comes back with a last attribute slogworks.View.Source knows:
// slog.Any(slog.SourceKey, *slog.Source). Both handlers print it in their own
// way, behind the other attributes, whether or not HandlerOptions.AddSource is
// set; with AddSource they print it once all the same, because without a program
// counter they have nothing to add.
package wire

import "log/slog"

// Limits of a line. AppendRecord keeps to them and Decode insists on them.
const (
	// DefaultMax is how many bytes a line may have unless the caller says.
	DefaultMax = 64 << 10
	// minMax has room for a record of which everything is cut.
	minMax = 1 << 10
	// MaxLine is how many bytes no line may reach.
	MaxLine = 16 << 20
	// maxAttrs is how many attributes a record may have, those in groups
	// among them. It bounds what a line of many short ones turns into.
	maxAttrs = 4096
	// maxDepth is how many groups may stand one in another.
	maxDepth = 100
)

// truncated marks what was cut: it ends a string, stands for a value, and is the
// key of the attribute that says how long the line would have been.
const truncated = "!truncated"

// Origin is what a sender says about itself beyond the record. The zero Origin
// says nothing.
type Origin struct {
	Host    string
	Process string // name
	PID     int

	// Seq numbers a sender's records from 1, so that a receiver recognises one
	// that is sent again. The numbers begin anew with each Boot.
	Seq  uint64
	Boot string
}

// AppendRecord appends r as a line without line feed and returns the extended
// buffer. LogValuers are resolved and values that could change are printed at
// once; a record that is frozen already is not marshalled again.
//
// The line has at most maxBytes bytes: 0 or less is [DefaultMax], less than 1 KiB
// is 1 KiB, and [MaxLine] and more is just below that. In a record that would
// make a longer line, long strings are cut and end with "!truncated", other
// values that are long become "!truncated", and if that is not enough, the last
// attributes are left out. Then the last attribute is "!truncated", with the
// number of bytes that the line would have had. The same goes for a record of
// more than 4096 attributes. A group in 100 others becomes "!truncated".
func AppendRecord(dst []byte, r slog.Record, o Origin, maxBytes int) []byte {
	switch {
	case maxBytes <= 0:
		maxBytes = DefaultMax
	case maxBytes < minMax:
		maxBytes = minMax
	case maxBytes >= MaxLine:
		maxBytes = MaxLine - 1
	}
	e := encoder{buf: dst}
	e.record(&r, &o)
	size := len(e.buf) - len(dst)
	if size <= maxBytes && e.attrs <= maxAttrs {
		return e.buf
	}
	// A shorter limit for strings comes first, because a record has few long
	// ones and they are all that is too long about it.
	const shortest = 64
	for limit := maxBytes / 2; ; limit /= 4 {
		limit = max(limit, shortest)
		e = encoder{buf: e.buf[:len(dst)], limit: limit, size: size}
		if limit == shortest {
			e.end = len(dst) + maxBytes
		}
		e.record(&r, &o)
		if limit == shortest || len(e.buf)-len(dst) <= maxBytes {
			return e.buf
		}
	}
}

// nameOf returns the name that the attributes give their logger, as
// slogworks.View does, and how many of them give one.
func nameOf(name string, n int, a slog.Attr) (string, int) {
	if a.Key != loggerKey && a.Key != "" {
		return name, n
	}
	value := a.Value.Resolve()
	switch {
	case a.Key == loggerKey && value.Kind() == slog.KindString:
		return value.String(), n + 1
	case a.Key == "" && value.Kind() == slog.KindGroup:
		for _, member := range value.Group() {
			name, n = nameOf(name, n, member)
		}
	}
	return name, n
}

package socket

import (
	"log/slog"
	"math"

	"github.com/slogworks/slogworks/internal/wire"
)

// maxNesting is how many values may stand one in another, the record itself not
// counted.
const maxNesting = 32

// decodePickle makes a record of a pickle that has the __dict__ of a LogRecord,
// as SocketHandler.makePickle writes it. maxBytes bounds what it becomes.
func decodePickle(frame []byte, maxBytes int) (d decoded, refusal *Refusal) {
	return decodePickleWithin(frame, maxBytes, maxValues)
}

func decodePickleWithin(frame []byte, maxBytes, maxPrinted int) (d decoded, refusal *Refusal) {
	v, refusal := unpickle(string(frame))
	if refusal != nil {
		return d, refusal
	}
	if v.kind != dict {
		return d, refuse(notARecord, "a pickle of something else than a dict")
	}
	p := printer{left: maxBytes, values: maxPrinted}
	attrs := p.members(v, 0)
	if p.err != nil {
		return d, p.err
	}
	if !isLogRecord(attrs) {
		return d, refuse(notARecord, "a dict without levelno")
	}
	for i, a := range attrs {
		if a.Key == "created" && a.Value.Kind() == slog.KindFloat64 {
			attrs[i].Value = nanoseconds(a.Value.Float64())
		}
	}
	d.Record.Record, d.Origin = wire.FromLogRecord(attrs)
	d.objects, d.NamedFirst = p.objects, true
	return d, nil
}

// nanoseconds returns seconds since 1970, rounded to microseconds as Python's
// datetime.fromtimestamp does. To multiply all of it by a million would round
// twice, and be off by one now and then.
func nanoseconds(seconds float64) slog.Value {
	whole, part := math.Modf(seconds)
	const from, to = 1e8, 9e9 // where a number of nanoseconds is known as one
	if !(from < whole && whole < to) {
		return slog.Float64Value(seconds)
	}
	return slog.Int64Value(int64(whole)*1e9 + int64(math.RoundToEven(part*1e6))*1e3)
}

func isLogRecord(attrs []slog.Attr) bool {
	for _, a := range attrs {
		if a.Key == "levelno" && a.Value.Kind() == slog.KindInt64 {
			return true
		}
	}
	return false
}

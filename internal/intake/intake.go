// Package intake is what the receivers of the sinks do alike: how connections and
// datagrams are read, within which limits, and until when in a Shutdown; what a
// record looks like that came from somewhere else, how one that is refused is
// reported, and what is counted.
package intake

import (
	"bytes"
	"log/slog"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/wire"
)

// Record is a record as its sender made it.
type Record struct {
	slog.Record
	Origin wire.Origin

	// NamedFirst says that of several attributes named logger the first is the
	// name, and not the last: so it is for a LogRecord of Python, whose name is
	// no attribute.
	NamedFirst bool
}

// ReadJSON reads a JSON object as [wire.Decode] or [wire.ReadJSON] does.
func ReadJSON(text []byte) (r Record, err error) {
	if r.Record, r.Origin, err = wire.Decode(text); err == nil {
		return r, nil
	}
	if r.Record, r.Origin, err = wire.ReadJSON(text); err != nil {
		return r, err
	}
	r.NamedFirst = bytes.Contains(text, []byte(`"levelno"`))
	return r, nil
}

// ShortValues is how many values a frame may have of which many connections may
// each have one at once.
const ShortValues = 512

// ReadShortJSON is ReadJSON for a text that makes a record of which many
// connections may each have one at once. It reports any other as long, and returns
// nothing of it: one that is long, or has many values, or into whose message much
// was put. That is for [Budget.Alone].
func ReadShortJSON(text []byte) (r Record, isLong bool, err error) {
	// Ours have three commas for each value.
	if len(text) > FreeBuffer || bytes.Count(text, []byte(",")) > 3*ShortValues {
		return r, true, nil
	}
	if r, err = ReadJSON(text); len(r.Message) > FreeBuffer {
		return Record{}, true, nil
	}
	return r, false, err
}

// From returns the record as a handler gets it: the attributes logger, host,
// process and pid as far as it has them, peer unless it is empty, and then its
// own, the source last. One of its own that is called like one of these, or like
// a field that slog's handlers write, is renamed to "extra." and its name.
func (r *Record) From(peer string) slog.Record {
	var room [24]slog.Attr
	attrs := room[:0]
	var name, source slog.Attr
	i, last := 0, r.NumAttrs()-1
	r.Attrs(func(a slog.Attr) bool {
		switch {
		case a.Key == slogworks.LoggerKey && a.Value.Kind() == slog.KindString && (name.Key == "" || !r.NamedFirst):
			if name.Key != "" {
				attrs = append(attrs, renamed(name))
			}
			name = a
		case i == last && isSource(a):
			source = a
		default:
			attrs = append(attrs, own(a))
		}
		i++
		return true
	})

	var head [5]slog.Attr
	from := head[:0]
	if name.Key != "" {
		from = append(from, name)
	}
	if r.Origin.Host != "" {
		from = append(from, slog.String("host", r.Origin.Host))
	}
	if r.Origin.Process != "" {
		from = append(from, slog.String("process", r.Origin.Process))
	}
	if r.Origin.PID != 0 {
		from = append(from, slog.Int("pid", r.Origin.PID))
	}
	if peer != "" {
		from = append(from, slog.String("peer", peer))
	}
	if source.Key != "" {
		attrs = append(attrs, source)
	}
	record := slog.NewRecord(r.Time, r.Level, r.Message, 0)
	record.AddAttrs(from...)
	record.AddAttrs(attrs...)
	return record
}

// own is an attribute of the sender, under a name that is none of ours.
func own(a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey, slogworks.LoggerKey, "host", "process", "pid", "peer":
		return renamed(a)
	case "":
		// The members of a group without a name stand where the group stands.
		if a.Value.Kind() != slog.KindGroup {
			return a
		}
		members := make([]slog.Attr, len(a.Value.Group()))
		for i, member := range a.Value.Group() {
			members[i] = own(member)
		}
		return slog.Attr{Value: slog.GroupValue(members...)}
	}
	return a
}

func renamed(a slog.Attr) slog.Attr {
	a.Key = "extra." + a.Key
	return a
}

func isSource(a slog.Attr) bool {
	if a.Key != slog.SourceKey || a.Value.Kind() != slog.KindAny {
		return false
	}
	_, ok := a.Value.Any().(*slog.Source)
	return ok
}

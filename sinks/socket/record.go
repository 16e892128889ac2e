package socket

import (
	"bytes"
	"log/slog"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/wire"
)

// decoded is what a frame held.
type decoded struct {
	record  slog.Record
	origin  wire.Origin
	objects uint64 // values that are marked as refused

	// namedFirst says that of several attributes named logger the first is the
	// name, and not the last: so it is for a LogRecord of Python, whose name is
	// no attribute.
	namedFirst bool
}

func (r *Receiver) decode(frame []byte) (d decoded, refusal *Refusal) {
	if len(frame) > 0 && frame[0] == '{' {
		return decodeJSON(frame)
	}
	return decodePickle(frame, r.limits.maxFrame)
}

func decodeJSON(frame []byte) (d decoded, refusal *Refusal) {
	var err error
	if d.record, d.origin, err = wire.Decode(frame); err == nil {
		return d, nil
	}
	if d.record, d.origin, err = wire.ReadJSON(frame); err != nil {
		return d, refuse(badJSON, "%v", err)
	}
	d.namedFirst = bytes.Contains(frame, []byte(`"levelno"`))
	return d, nil
}

// recordFrom returns the record as the handler gets it.
func (d *decoded) recordFrom(peer string) slog.Record {
	var room [24]slog.Attr
	attrs := room[:1] // the first is for the name
	var name, source slog.Attr
	i, last := 0, d.record.NumAttrs()-1
	d.record.Attrs(func(a slog.Attr) bool {
		switch {
		case a.Key == slogworks.LoggerKey && a.Value.Kind() == slog.KindString && (name.Key == "" || !d.namedFirst):
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
	if d.origin.Host != "" {
		from = append(from, slog.String("host", d.origin.Host))
	}
	if d.origin.Process != "" {
		from = append(from, slog.String("process", d.origin.Process))
	}
	if d.origin.PID != 0 {
		from = append(from, slog.Int("pid", d.origin.PID))
	}
	if peer != "" {
		from = append(from, slog.String("peer", peer))
	}
	attrs = attrs[1:]
	if source.Key != "" {
		attrs = append(attrs, source)
	}
	record := slog.NewRecord(d.record.Time, d.record.Level, d.record.Message, 0)
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

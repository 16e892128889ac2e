package live

import (
	"context"
	"log/slog"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// Handler publishes records in a [Hub]. It is safe for concurrent use and never
// blocks. A record is turned into text before Handle returns, so what it says
// does not change with a value that is changed later.
//
// Shutdown of a pipeline with a Handler in it shuts down the hub. Where the hub
// is to outlive the pipeline, put the Handler into [slogworks.Private].
type Handler struct {
	hub   *Hub
	level slog.Leveler
	relay bool
	with  *chain.Node
}

var _ slogworks.BatchHandler = (*Handler)(nil)

// Handler returns a handler for the records of this process, from level on; nil
// is every level.
func (h *Hub) Handler(level slog.Leveler) *Handler {
	return &Handler{hub: h, level: stage.Level("live", level, everyLevel)}
}

// Relay returns a handler for the records of other processes, which a receiver
// made into records of this one: their attributes host, process and pid, at the
// top level, are the Origin.
func (h *Hub) Relay(level slog.Leveler) *Handler {
	return &Handler{hub: h, level: stage.Level("live", level, everyLevel), relay: true}
}

const everyLevel = slog.Level(-1 << 31)

// Enabled reports whether level is at least the handler's.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

// Handle publishes the record, whatever its level. The error is nil, or
// [ErrClosed] after Shutdown.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	if h.with == nil && !h.relay {
		return h.hub.publish(&r, &h.hub.origin)
	}
	flat, from := h.originOf(h.with.Flatten(r))
	return h.hub.publish(&flat, from)
}

// HandleBatch publishes the records of the batch next to each other. Errors are
// those of Handle, and then none is published.
func (h *Handler) HandleBatch(_ context.Context, b slogworks.Batch) error {
	buf := lines.Get().(*[]byte)
	text := (*buf)[:0]
	entries := make([]entry, len(b.Items))
	for i, item := range b.Items {
		r, from := h.originOf(h.with.Flatten(item.Record))
		entries[i], text = h.hub.entryOf(text, &r, from)
	}
	err := h.hub.add(entries)
	giveBack(buf, text)
	return err
}

func (h *Handler) originOf(r slog.Record) (slog.Record, *Origin) {
	if !h.relay {
		return r, &h.hub.origin
	}
	r, from := splitOrigin(r)
	return r, h.hub.shared(from)
}

// splitOrigin takes the attributes of an Origin out of the record.
func splitOrigin(r slog.Record) (slog.Record, Origin) {
	var from Origin
	rest := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		switch kind := a.Value.Kind(); {
		case a.Key == "host" && kind == slog.KindString:
			from.Host = a.Value.String()
		case a.Key == "process" && kind == slog.KindString:
			from.Process = a.Value.String()
		case a.Key == "pid" && kind == slog.KindInt64:
			from.PID = int(a.Value.Int64())
		default:
			rest.AddAttrs(a)
		}
		return true
	})
	return rest, from
}

// WithAttrs returns a handler that adds attrs to each record.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	derived := *h
	derived.with = h.with.WithAttrs(attrs)
	return &derived
}

// WithGroup returns a handler that opens a group in each record.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	derived := *h
	derived.with = h.with.WithGroup(name)
	return &derived
}

// Shutdown is [Hub.Shutdown], for all handlers of the hub.
func (h *Handler) Shutdown(ctx context.Context) error { return h.hub.Shutdown(ctx) }

// Close is [Hub.Close].
func (h *Handler) Close() error { return h.hub.Close() }

// Account is [Hub.Account], for all handlers of the hub.
func (h *Handler) Account() slogworks.Account { return h.hub.Account() }

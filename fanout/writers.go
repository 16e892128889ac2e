package fanout

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// ErrClosed is what a [WritersHandler] returns for a record after Shutdown.
var ErrClosed = errors.New("fanout: closed")

// Out is a place that [Writers] writes to.
type Out struct {
	W   io.Writer    // must not be nil
	Min slog.Leveler // lowest level; nil: slog.LevelInfo; read for every record
}

// WritersHandler encodes each record once and writes the same bytes to every
// out that is open at its level. It is safe for concurrent use: an out gets one
// Write at a time, but a writer that stands in two outs may get two. A writer
// that fails or panics leaves the others untouched; the errors of all come back
// joined, and so does a panic in what encodes. A record that some out did not
// get is counted in [slogworks.Books] as dropped for "error", and one that came
// after Shutdown as "closed".
type WritersHandler struct {
	core *writersCore

	// encoders holds a handler for each set of outs that may be open at once,
	// since which outs get a record must be known before its bytes are. The
	// index is that of writersCore.open; at 0, where no out is open, is nil.
	//
	// To derive an encoder when its set first gets a record would make With
	// cheaper, but the attributes would have to be kept as what they print until
	// then, and a ReplaceAttr that knows secrets by their type would see none.
	encoders []slog.Handler
}

// writersCore is what derived handlers share.
type writersCore struct {
	fixed   []*outs      // whose level is constant, lowest first
	levels  []slog.Level // of these
	varying []*outs

	closed                      atomic.Bool
	accepted, failed, afterward atomic.Uint64
}

var _ slog.Handler = (*WritersHandler)(nil)

// maxVarying bounds the number of sets, which doubles with each level that can
// change.
const maxVarying = 6

// Writers returns a handler that encodes with what newHandler makes and writes
// to outs. A nil newHandler makes JSON of records of any level.
//
// Any other is called once, before Writers returns, for each set of outs that
// may be open together: one for each different constant level, and about twice
// as many for each different *slog.LevelVar or other level that can change.
// Every With costs as much as it does for that many handlers. What newHandler
// makes must do the same each time, must write each record in one Write, and
// should accept the lowest level of all outs: its own level holds as well.
//
// Writers panics if an out has no writer, if newHandler returns nil or slog's own
// default handler, or if more than 6 different levels can change.
func Writers(newHandler func(io.Writer) slog.Handler, outs ...Out) *WritersHandler {
	if newHandler == nil {
		newHandler = func(w io.Writer) slog.Handler {
			return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.Level(math.MinInt)})
		}
	}
	core := new(writersCore)
	core.fixed, core.varying = groupOuts(outs, &core.closed)
	for _, o := range core.fixed {
		core.levels = append(core.levels, o.min.Level())
	}
	if len(core.varying) > maxVarying {
		panic("fanout: more than 6 levels that can change: let outs share a *slog.LevelVar, or use several Writers under New")
	}
	h := &WritersHandler{core, make([]slog.Handler, (len(core.fixed)+1)<<len(core.varying))}
	for set := 1; set < len(h.encoders); set++ {
		h.encoders[set] = stage.Require("fanout", newHandler(core.writer(set)))
	}
	return h
}

// Enabled reports whether an out is open at the level and what encodes for it
// is enabled.
func (h *WritersHandler) Enabled(ctx context.Context, level slog.Level) bool {
	set := h.core.open(level)
	return set != 0 && h.encoders[set].Enabled(ctx, level)
}

// Handle encodes and writes the record. After Shutdown it returns [ErrClosed].
func (h *WritersHandler) Handle(ctx context.Context, r slog.Record) error {
	set := h.core.open(r.Level)
	if set == 0 {
		return nil
	}
	h.core.accepted.Add(1)
	if h.core.closed.Load() {
		h.core.afterward.Add(1)
		return ErrClosed
	}
	err := stage.Handle(ctx, h.encoders[set], r)
	switch {
	case err == nil:
	case errors.Is(err, ErrClosed):
		h.core.afterward.Add(1)
	default:
		h.core.failed.Add(1)
	}
	return err
}

// WithAttrs returns a handler that adds the attributes to its records.
func (h *WritersHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	// A LogValuer is asked once, not by each encoder for another answer.
	resolved := stage.Resolve(attrs)
	return h.derive(func(e slog.Handler) slog.Handler { return e.WithAttrs(slices.Clone(resolved)) })
}

// WithGroup returns a handler that puts what follows into a group.
func (h *WritersHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.derive(func(e slog.Handler) slog.Handler { return e.WithGroup(name) })
}

func (h *WritersHandler) derive(with func(slog.Handler) slog.Handler) *WritersHandler {
	derived := &WritersHandler{h.core, make([]slog.Handler, len(h.encoders))}
	for set := 1; set < len(h.encoders); set++ {
		derived.encoders[set] = with(h.encoders[set])
	}
	return derived
}

// Unwrap returns what newHandler made.
func (h *WritersHandler) Unwrap() []slog.Handler { return slices.Clone(h.encoders[1:]) }

// Flush flushes the writers that have a Flush method and joins their errors. One
// whose Flush takes no context, such as a *bufio.Writer, is waited for whatever
// ctx says.
func (h *WritersHandler) Flush(ctx context.Context) error {
	return h.core.each(func(o *outs, w io.Writer) error { return o.flush(ctx, w) })
}

// Shutdown refuses further records, flushes the writers as Flush does and shuts
// down those that have a Shutdown(context.Context) method. It closes none: who
// opened a file closes it.
func (h *WritersHandler) Shutdown(ctx context.Context) error {
	h.core.closed.Store(true)
	return h.core.each(func(o *outs, w io.Writer) error {
		return errors.Join(o.flush(ctx, w), shutdown(ctx, w))
	})
}

// Account says how many records were written to all outs that were to get them.
func (h *WritersHandler) Account() slogworks.Account {
	failed, afterward := h.core.failed.Load(), h.core.afterward.Load()
	accepted := h.core.accepted.Load()
	return slogworks.Account{
		Stage:     "fanout.Writers",
		Accepted:  accepted,
		Delivered: accepted - failed - afterward,
		Dropped:   map[string]uint64{"error": failed, "closed": afterward},
	}
}

// open returns the number of the set of outs that are open at the level: how
// many of the fixed ones, and then a bit for each of the others.
func (c *writersCore) open(level slog.Level) int {
	set := 0
	for set < len(c.levels) && level >= c.levels[set] {
		set++
	}
	set <<= len(c.varying)
	for i, o := range c.varying {
		if level >= o.min.Level() {
			set |= 1 << i
		}
	}
	return set
}

func (c *writersCore) writer(set int) setWriter {
	w := setWriter(slices.Clone(c.fixed[:set>>len(c.varying)]))
	for i, o := range c.varying {
		if set&(1<<i) != 0 {
			w = append(w, o)
		}
	}
	return w
}

func (c *writersCore) each(call func(*outs, io.Writer) error) error {
	var errs []error
	for _, o := range slices.Concat(c.fixed, c.varying) {
		for _, w := range o.writers {
			errs = append(errs, call(o, w))
		}
	}
	return errors.Join(errs...)
}

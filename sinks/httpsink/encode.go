package httpsink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
	"github.com/slogworks/slogworks/internal/wire"
)

// encoder turns records into lines, which it keeps until they are sent.
type encoder struct {
	json  slog.Handler // writes to the encoder
	about wire.Origin
	max   int

	lines []byte
	ends  []int   // where the lines end, of which each has a line feed
	items []int   // which item each line is
	lost  []error // of the items that are no line, in their order
}

// maxKept is how large a buffer may be that is kept for the next records.
const maxKept = 4 << 20

func (c *core) newEncoder() *encoder {
	e := &encoder{about: wire.Origin{Host: c.Host, Process: c.Process, PID: os.Getpid()}, max: c.MaxBytes}
	switch {
	case c.Format == Wire:
	case c.NewHandler != nil:
		e.json = c.NewHandler(e)
		if e.json == nil {
			e.json = slog.DiscardHandler // nothing is written, which is counted
		}
	default:
		const everything = slog.Level(-1 << 31)
		e.json = newJSON(e, &slog.HandlerOptions{AddSource: c.AddSource, Level: everything}, e.about)
	}
	return e
}

func newJSON(w io.Writer, opts *slog.HandlerOptions, about wire.Origin) slog.Handler {
	var attrs []slog.Attr
	if about.Host != "" {
		attrs = append(attrs, slog.String("host", about.Host))
	}
	if about.Process != "" {
		attrs = append(attrs, slog.String("process", about.Process))
	}
	return slog.NewJSONHandler(w, opts).WithAttrs(append(attrs, slog.Int("pid", about.PID)))
}

func (e *encoder) Write(p []byte) (int, error) {
	e.lines = append(e.lines, p...)
	return len(p), nil
}

// errNothing is what is wrong with a record that was not written.
var errNothing = errors.New("NewHandler's handler wrote nothing")

func (e *encoder) encode(items []slogworks.Item) {
	e.lines, e.ends, e.items, e.lost = e.lines[:0], e.ends[:0], e.items[:0], e.lost[:0]
	for i := range items {
		begin := len(e.lines)
		if err := e.encodeOne(items[i].Record); err != nil {
			e.lines = e.lines[:begin]
			e.lost = append(e.lost, fmt.Errorf("httpsink: a record cannot be written: %w", err))
			continue
		}
		e.ends = append(e.ends, len(e.lines))
		e.items = append(e.items, i)
	}
}

func (e *encoder) encodeOne(r slog.Record) error {
	begin := len(e.lines)
	if e.json == nil {
		e.lines = wire.AppendRecord(e.lines, r, e.about, e.max-1)
		e.lines = append(e.lines, '\n')
		return nil
	}
	if err := stage.Handle(context.Background(), e.json, r); err != nil {
		return err
	}
	line := bytes.TrimRight(e.lines[begin:], "\r\n")
	if len(line) == 0 {
		return errNothing
	}
	// In JSON, a raw line feed is a blank; anywhere else it would forge a record.
	for {
		i := bytes.IndexByte(line, '\n')
		if i < 0 {
			break
		}
		line[i] = ' '
	}
	e.lines = append(e.lines[:begin+len(line)], '\n')
	return nil
}

// size returns how many bytes the lines from first up to before end have.
func (e *encoder) size(first, end int) int { return e.ends[end-1] - e.begin(first) }

func (e *encoder) begin(i int) int {
	if i == 0 {
		return 0
	}
	return e.ends[i-1]
}

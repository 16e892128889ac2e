package config

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/nearest"
)

// layoutTime is how a layout prints the time unless told otherwise.
const layoutTime = "2006-01-02T15:04:05.000Z07:00"

// piece is literal text, or a part of the record if it has a name.
type piece struct {
	literal, name string
	path          []string // of attr
}

var pieceNames = []string{"time", "level", "logger", "msg", "source", "function", "host", "process", "pid", "attrs", "attr:KEY"}

// layout is a line with parts of the record in it. It has no pieces if there is
// none.
type layout struct{ pieces []piece }

// UnmarshalText reads what parseLayout does.
func (l *layout) UnmarshalText(text []byte) (err error) {
	l.pieces, err = parseLayout(string(text))
	return err
}

// parseLayout reads a layout such as "{time} - {msg}"; {{ and }} are braces.
func parseLayout(layout string) ([]piece, error) {
	var pieces []piece
	var literal strings.Builder
	for rest := layout; rest != ""; {
		i := strings.IndexAny(rest, "{}\r\n")
		if i < 0 {
			literal.WriteString(rest)
			break
		}
		literal.WriteString(rest[:i])
		switch rest = rest[i:]; {
		case rest[0] == '\r' || rest[0] == '\n':
			return nil, errors.New("a layout is one line")
		case strings.HasPrefix(rest, "{{"), strings.HasPrefix(rest, "}}"):
			literal.WriteByte(rest[0])
			rest = rest[2:]
			continue
		case rest[0] == '}':
			return nil, errors.New("a } in the layout has no {; write }} for a brace")
		}
		name, after, ok := strings.Cut(rest[1:], "}")
		if !ok {
			return nil, errors.New("a { in the layout has no }; write {{ for a brace")
		}
		p := piece{literal: literal.String(), name: name}
		literal.Reset()
		if key, ok := strings.CutPrefix(name, "attr:"); ok && key != "" {
			p.name, p.path = "attr", strings.Split(key, ".")
		} else if !slices.Contains(pieceNames, name) || name == "attr:KEY" {
			if near := nearest.Of(name, pieceNames); near != "" {
				return nil, fmt.Errorf("unknown {%s} in the layout, did you mean {%s}?", name, near)
			}
			return nil, fmt.Errorf("unknown {%s} in the layout, there is {%s}", name, strings.Join(pieceNames, "} {"))
		}
		pieces = append(pieces, p)
		rest = after
	}
	return append(pieces, piece{literal: literal.String()}), nil
}

// layoutHandler writes records as lines of a layout. No record can look like
// two: what would end a line, or change what a terminal shows, is escaped.
type layoutHandler struct {
	core  *layoutCore
	attrs slog.Handler // writes the attributes to core.text
	steps []slogworks.GroupOrAttrs
}

type layoutCore struct {
	pieces     []piece
	timeFormat string
	host       string
	process    string
	relayed    bool // records may say themselves where they come from

	mu   sync.Mutex
	w    io.Writer
	text bytes.Buffer // the attributes of the record, as slog.TextHandler has them
	line []byte
}

func newLayoutHandler(w io.Writer, l layout, timeFormat string, relayed bool) slog.Handler {
	host, _ := os.Hostname() // or none is known
	c := &layoutCore{
		pieces: l.pieces, timeFormat: cmp.Or(timeFormat, layoutTime),
		host: host, process: filepath.Base(os.Args[0]), relayed: relayed, w: w,
	}
	own := c.has("logger")
	return &layoutHandler{core: c, attrs: slog.NewTextHandler(&c.text, &slog.HandlerOptions{
		Level: lowest,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.LevelKey && isLevel(a) || a.Key == slog.MessageKey && a.Value.Kind() == slog.KindString && a.Value.String() == "" ||
				own && a.Key == slogworks.LoggerKey && a.Value.Kind() == slog.KindString) {
				return slog.Attr{}
			}
			return a
		},
	})}
}

func isLevel(a slog.Attr) bool {
	_, ok := a.Value.Any().(slog.Level)
	return ok
}

func (c *layoutCore) has(name string) bool {
	return slices.ContainsFunc(c.pieces, func(p piece) bool { return p.name == name })
}

func (h *layoutHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *layoutHandler) Handle(ctx context.Context, r slog.Record) error {
	c := h.core
	view := slogworks.NewView(r, h.steps...)
	c.mu.Lock()
	defer c.mu.Unlock()
	line := c.line[:0]
	for _, p := range c.pieces {
		line = append(line, p.literal...)
		if c.relayed && (p.name == "host" || p.name == "process" || p.name == "pid") {
			if v, ok := view.Attr(p.name); ok {
				line = appendEscaped(line, v.String())
				continue
			}
		}
		switch p.name {
		case "time":
			if !r.Time.IsZero() {
				line = r.Time.AppendFormat(line, c.timeFormat)
			}
		case "level":
			line = append(line, r.Level.String()...)
		case "logger":
			line = appendEscaped(line, view.Logger())
		case "msg":
			line = appendEscaped(line, r.Message)
		case "source":
			if s := view.Source(); s != nil {
				line = appendEscaped(line, filepath.Base(s.File))
				line = strconv.AppendInt(append(line, ':'), int64(s.Line), 10)
			}
		case "function":
			if s := view.Source(); s != nil {
				line = appendEscaped(line, s.Function)
			}
		case "host":
			line = appendEscaped(line, c.host)
		case "process":
			line = appendEscaped(line, c.process)
		case "pid":
			line = strconv.AppendInt(line, int64(os.Getpid()), 10)
		case "attr":
			if v, ok := view.Attr(p.path...); ok {
				line = appendEscaped(line, v.String())
			}
		case "attrs":
			c.text.Reset()
			alone := r.Clone()
			alone.Time, alone.Message, alone.PC = time.Time{}, "", 0
			if err := h.attrs.Handle(ctx, alone); err != nil {
				return err
			}
			line = append(line, bytes.TrimSuffix(c.text.Bytes(), []byte("\n"))...)
		}
	}
	line = append(line, '\n')
	const kept = 64 << 10
	if c.line = line; cap(line) > kept {
		c.line = nil
	}
	_, err := c.w.Write(line)
	return err
}

// appendEscaped appends s with what is not printable escaped as in Go.
func appendEscaped(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c < utf8.RuneSelf && c != 0x7f {
			b = append(b, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if i += size; unicode.IsPrint(r) {
			b = utf8.AppendRune(b, r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b = append(b, quoted[1:len(quoted)-1]...)
	}
	return b
}

func (h *layoutHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	attrs = slices.Clone(attrs)
	return h.with(slogworks.GroupOrAttrs{Attrs: attrs}, h.attrs.WithAttrs(attrs))
}

func (h *layoutHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(slogworks.GroupOrAttrs{Group: name}, h.attrs.WithGroup(name))
}

func (h *layoutHandler) with(step slogworks.GroupOrAttrs, attrs slog.Handler) slog.Handler {
	return &layoutHandler{core: h.core, attrs: attrs, steps: append(slices.Clip(h.steps), step)}
}

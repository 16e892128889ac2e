package config

import (
	"errors"
	"io"
	"log/slog"
	"math"
)

// lowest is a level that lets everything pass: what a handler gets is decided in
// front of it.
const lowest = slog.Level(math.MinInt)

// format is how records become lines.
type format struct {
	Name       string `config:"name,short" enum:"json,text" doc:"lines of slog's JSONHandler or TextHandler; default json"`
	Layout     layout `doc:"a line of your own, with {time} {level} {logger} {msg} {source} {function} {host} {process} {pid} {attrs} {attr:KEY}; {{ and }} are braces"`
	TimeFormat string `doc:"how a layout prints {time}, as Go's time.Format has it; default 2006-01-02T15:04:05.000Z07:00"`
	AddSource  bool   `doc:"json and text say where in the program a record was logged"`
}

// Check reports what does not go together.
func (f *format) Check() error {
	switch {
	case f.Layout.pieces == nil && f.TimeFormat != "":
		return errors.New("time_format is for a layout")
	case f.Layout.pieces != nil && (f.Name != "" || f.AddSource):
		return errors.New("a layout goes with time_format and nothing else")
	}
	return nil
}

// handler returns what writes such lines, each by one Write. Records of others,
// if relayed is set, say themselves where they come from.
func (f format) handler(w io.Writer, relayed bool) slog.Handler {
	opts := &slog.HandlerOptions{Level: lowest, AddSource: f.AddSource}
	switch {
	case f.Layout.pieces != nil:
		return newLayoutHandler(w, f.Layout, f.TimeFormat, relayed)
	case f.Name == "text":
		return slog.NewTextHandler(w, opts)
	}
	return slog.NewJSONHandler(w, opts)
}

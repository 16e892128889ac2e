package config

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/slogworks/slogworks/sinks/console"
)

type consoleOptions struct {
	_          struct{}      `doc:"records for people, in colour on a terminal"`
	Output     string        `enum:"stderr,stdout" doc:"default stderr"`
	Color      string        `enum:"auto,always,never" doc:"default auto: on a terminal, unless NO_COLOR is set"`
	Format     consoleFormat `doc:"console for people, json or text for programs, or {layout: …}; default console"`
	TimeFormat string        `doc:"how the format console prints the time, as Go's time.Format has it; default 15:04:05.000"`
	AddSource  bool          `doc:"print where in the program a record was logged"`
}

// consoleFormat is a format, or console.
type consoleFormat struct {
	Name       string `config:"name,short" enum:"console,json,text" doc:"default console"`
	Layout     layout `doc:"a line of your own, as that of a file"`
	TimeFormat string `doc:"how a layout prints {time}"`
}

func (f consoleFormat) isConsole() bool {
	return f.Layout.pieces == nil && (f.Name == "console" || f.Name == "")
}

func (f consoleFormat) lines() format {
	return format{Name: f.Name, Layout: f.Layout, TimeFormat: f.TimeFormat}
}

// Check reports what does not go together.
func (f *consoleFormat) Check() error {
	lines := f.lines()
	return lines.Check()
}

func newConsole(_ context.Context, o consoleOptions, env *Env) (slog.Handler, error) {
	var w io.Writer = os.Stderr
	if o.Output == "stdout" {
		w = os.Stdout
	}
	if !o.Format.isConsole() {
		f := o.Format.lines()
		f.AddSource = o.AddSource
		return f.handler(w, env.relayed), nil
	}
	opts := &console.Options{Level: lowest, AddSource: o.AddSource, TimeFormat: o.TimeFormat}
	if o.Color != "" {
		if err := opts.Color.UnmarshalText([]byte(o.Color)); err != nil {
			return nil, err
		}
	}
	return console.New(w, opts), nil
}

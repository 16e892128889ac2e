package config_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/config"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/memory"
)

const routed = `
version: 1
handlers:
  r: {kind: memory}
  a: {kind: memory}
  ab: {kind: memory}
  high: {kind: memory, level: error}
root: {level: info, to: [r, high]}
loggers:
  a: {level: debug, to: [a, r]}
  a.b: {to: [ab]}
  alone: {level: warn, to: [a], bubble: false}
  alone.x: {level: info}
  quiet: {level: error}
`

// got returns which handlers have the message.
func got(p *config.Pipeline, message string) string {
	var names []string
	for _, name := range []string{"r", "a", "ab", "high"} {
		for range p.Lookup(name).(*memory.Handler).Message(message).Len() {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

func TestPipeline_routesByTheLongestRuleAndThoseBelow(t *testing.T) {
	p := build(t, routed)
	for i, c := range []struct {
		logger string
		level  slog.Level
		want   string
	}{
		{"", slog.LevelInfo, "r"},
		{"", slog.LevelError, "r high"},
		{"", slog.LevelDebug, ""},
		{"other", slog.LevelInfo, "r"},
		{"a", slog.LevelDebug, "r a"},      // r once, although it stands in both
		{"a.b", slog.LevelDebug, "r a ab"}, // the level is inherited
		{"a.b.c", slog.LevelError, "r a ab high"},
		{"a.bc", slog.LevelDebug, "r a"}, // not below a.b
		{"ab", slog.LevelDebug, ""},      // not below a
		{"alone", slog.LevelError, "a"},  // no bubble
		{"alone", slog.LevelInfo, ""},
		{"alone.x", slog.LevelInfo, "a"}, // bubbles to alone, and no further
		{"quiet", slog.LevelWarn, ""},
		{"quiet.er", slog.LevelError, "r high"},
		{"a.", slog.LevelDebug, "r a"},
		{".a", slog.LevelDebug, ""},
	} {
		for way, log := range map[string]func(message string){
			"by With": func(message string) {
				slogworks.Named(slog.New(p), c.logger).Log(t.Context(), c.level, message)
			},
			"by With in a group": func(message string) {
				slogworks.Named(slog.New(p), c.logger).WithGroup("g").With("logger", "no").Log(t.Context(), c.level, message, "logger", "no")
			},
			"by the last With": func(message string) {
				l := slogworks.Named(slogworks.Named(slog.New(p), "quiet").With("x", 1), c.logger)
				l.With("y", 2).Log(t.Context(), c.level, message)
			},
		} {
			message := fmt.Sprintf("%d %s", i, way)
			log(message)
			if g := got(p, message); g != c.want {
				t.Errorf("logger %q at %v, named %s: got %q, want %q", c.logger, c.level, way, g, c.want)
			}
		}
	}
}

func TestPipeline_goesByTheNameOnARecord(t *testing.T) {
	p := build(t, routed)
	l := slog.New(p).With("x", 1)
	l.Info("a", "logger", "a.b")
	if g := got(p, "a"); g != "r a ab" {
		t.Errorf("got %q", g)
	}
	l.Info("b", "logger", "a.b", "logger", "alone.x") // the last
	if g := got(p, "b"); g != "a" {
		t.Errorf("got %q", g)
	}
	slogworks.Named(l, "alone").Error("c", "logger", "")
	if g := got(p, "c"); g != "r high" {
		t.Errorf("got %q", g)
	}
	for v := range p.Lookup("ab").(*memory.Handler).Records() {
		if x, _ := v.Attr("x"); x.String() != "1" {
			t.Errorf("what With added is lost: %v", x)
		}
	}
}

func TestOptions_NamesOnRecords(t *testing.T) {
	const document = `
version: 1
handlers:
  r: {kind: memory, level: error}
  a: {kind: memory}
root: {level: info, to: [r]}
loggers: {a: {level: debug, to: [a]}}
`
	for open, want := range map[bool]int{false: 0, true: 1} {
		d, err := config.Parse([]byte(document), &config.Options{NamesOnRecords: open})
		if err != nil {
			t.Fatal(err)
		}
		p, err := d.Build(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slog.New(p).Debug("m", "logger", "a.b")
		if n := p.Lookup("a").(*memory.Handler).Len(); n != want {
			t.Errorf("NamesOnRecords %v: %d records, want %d", open, n, want)
		}
		if p.Enabled(t.Context(), slog.LevelDebug-1) {
			t.Error("enabled below every level")
		}
		slogworks.Shutdown(t.Context(), p)
	}
}

// recorders is a registry whose kind recorder keeps batches.
func recorders() (*config.Registry, map[string]*handlertest.Recorder) {
	r, all := config.NewRegistry(), map[string]*handlertest.Recorder{}
	config.Register(r, "recorder", func(_ context.Context, o struct{ Fails bool }, env *config.Env) (slog.Handler, error) {
		rec := &handlertest.Recorder{}
		if o.Fails {
			rec.Before = func(context.Context, slogworks.Batch) error { return errors.New(env.Name + " is down") }
		}
		all[env.Name] = rec
		return rec, nil
	})
	return r, all
}

func TestPipeline_splitsABatchByHandlerAndNoFurther(t *testing.T) {
	r, all := recorders()
	d, err := config.Parse([]byte(`
version: 1
handlers: {r: {kind: recorder}, a: {kind: recorder}, b: {kind: recorder, level: warn}}
root: {to: [r]}
loggers: {a: {to: [a, r]}, b: {to: [b], bubble: false}}
`), &config.Options{Registry: r})
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	item := func(message, logger string, level slog.Level) slogworks.Item {
		rec := slog.Record{Message: message, Level: level}
		if logger != "" {
			rec.AddAttrs(slog.String("logger", logger))
		}
		return slogworks.Item{Context: t.Context(), Record: rec}
	}
	b := slogworks.Batch{ID: "x", Kind: slogworks.Digest, Items: []slogworks.Item{
		item("1", "", slog.LevelInfo), item("2", "a", slog.LevelInfo), item("3", "b", slog.LevelInfo), item("4", "b", slog.LevelError), item("5", "a.x", slog.LevelDebug),
	}}
	if err := p.HandleBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"r": "1 2", "a": "2", "b": "4"} {
		batches := all[name].Batches()
		if len(batches) != 1 || batches[0].ID != "x" || batches[0].Kind != slogworks.Digest {
			t.Errorf("%s got %+v", name, batches)
			continue
		}
		var messages []string
		for _, item := range batches[0].Items {
			messages = append(messages, item.Record.Message)
		}
		if g := strings.Join(messages, " "); g != want {
			t.Errorf("%s got %s, want %s", name, g, want)
		}
	}
	// One logger's batch goes on whole.
	one := slogworks.Batch{Kind: slogworks.Escalation, Items: []slogworks.Item{item("6", "a", slog.LevelInfo), item("7", "a.y", slog.LevelError)}}
	if err := p.HandleBatch(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if got := all["a"].Batches(); len(got) != 2 || len(got[1].Items) != 2 || got[1].Kind != slogworks.Escalation {
		t.Errorf("got %+v", got)
	}
}

// A queue in front hands on in batches what loggers with names have logged: that
// root goes nowhere is no matter of theirs.
func TestPipeline_takesABatchOfNamedRecordsThoughRootGoesNowhere(t *testing.T) {
	p := build(t, `
version: 1
handlers: {m: {kind: memory}}
root: {level: error, to: []}
loggers: {a: {level: debug, to: [m]}}
`)
	q := queue.New(p, nil)
	l := slogworks.Named(slog.New(q), "a")
	for range 10 {
		l.Info("m")
	}
	slog.New(q).Error("nowhere")
	if err := slogworks.Shutdown(t.Context(), q); err != nil {
		t.Error(err)
	}
	if n := p.Lookup("m").(*memory.Handler).Len(); n != 10 {
		t.Errorf("%d records", n)
	}
}

func TestPipeline_keepsHandlersApart(t *testing.T) {
	r, all := recorders()
	d, err := config.Parse([]byte(`
version: 1
handlers: {a: {kind: recorder, fails: true}, b: {kind: recorder}}
root: {to: [a, b]}
`), &config.Options{Registry: r})
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = p.Handle(t.Context(), slog.Record{Message: "m", Level: slog.LevelInfo})
	if err == nil || !strings.Contains(err.Error(), "a is down") {
		t.Errorf("got %v", err)
	}
	if n := len(all["b"].Items()); n != 1 {
		t.Errorf("b got %d records", n)
	}
}

func TestPipeline_allocatesNothingPerRecord(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := config.NewRegistry()
	config.Register(r, "none", func(context.Context, struct{}, *config.Env) (slog.Handler, error) { return taker{}, nil })
	d, err := config.Parse([]byte("version: 1\nhandlers: {n: {kind: none}}\nroot: {to: n}\nloggers: {a.b: {level: debug}, c: {to: n}}\n"), &config.Options{Registry: r})
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h := p.WithAttrs([]slog.Attr{slog.String("logger", "a.b.c")})
	rec := slog.Record{Message: "m", Level: slog.LevelInfo}
	rec.AddAttrs(slog.Int("a", 1), slog.String("b", "c"))
	if n := testing.AllocsPerRun(100, func() {
		if h.Enabled(context.Background(), slog.LevelDebug) {
			_ = h.Handle(context.Background(), rec)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// taker is a handler that wants every record and does nothing.
type taker struct{}

func (taker) Enabled(context.Context, slog.Level) bool  { return true }
func (taker) Handle(context.Context, slog.Record) error { return nil }
func (o taker) WithAttrs([]slog.Attr) slog.Handler      { return o }
func (o taker) WithGroup(string) slog.Handler           { return o }

func TestPipeline_derivesFromManyGoroutines(t *testing.T) {
	p := build(t, routed)
	done := make(chan bool)
	base := slog.New(p).With("x", 1)
	for i := range 8 {
		go func() {
			for j := range 50 {
				name := []string{"a.b", "alone", "other"}[j%3]
				slogworks.Named(base, name).Error("m", "i", i)
				base.Error("m", "logger", name)
			}
			done <- true
		}()
	}
	for range 8 {
		<-done
	}
	if n := p.Lookup("a").(*memory.Handler).Message("m").Len(); n != 8*2*(17+17) {
		t.Errorf("a got %d records", n)
	}
	var levels []string
	for v := range p.Lookup("ab").(*memory.Handler).Records() {
		if x, ok := v.Attr("x"); !ok || x.Int64() != 1 {
			levels = append(levels, v.Message())
		}
	}
	if slices.Contains(levels, "m") {
		t.Error("what With added is lost")
	}
}

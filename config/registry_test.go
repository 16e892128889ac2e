package config_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/config"
)

func register[T any](r *config.Registry, name string) {
	config.Register(r, name, func(context.Context, T, *config.Env) (slog.Handler, error) { return slog.DiscardHandler, nil })
}

func TestRegister_panicsAtWhatNoDocumentCanSay(t *testing.T) {
	for want, f := range map[string]func(r *config.Registry){
		"x.port: an option has to be exported":                          func(r *config.Registry) { register[struct{ port int }](r, "x") },
		"x.F: a document cannot say what a func() is":                   func(r *config.Registry) { register[struct{ F func() }](r, "x") },
		"x.C[]: a document cannot say what a chan int is":               func(r *config.Registry) { register[struct{ C []chan int }](r, "x") },
		"x.P: a document cannot say what a *int is":                     func(r *config.Registry) { register[struct{ P *int }](r, "x") },
		"x.T: time.Duration: use config.Duration":                       func(r *config.Registry) { register[struct{ T time.Duration }](r, "x") },
		"x.M: map[int]string: keys have to be text":                     func(r *config.Registry) { register[struct{ M map[int]string }](r, "x") },
		"x.R: map[string]config.Ref: in a map there can be values only": func(r *config.Registry) { register[struct{ R map[string]config.Ref }](r, "x") },
		"x.I.f: an option has to be exported":                           func(r *config.Registry) { register[struct{ I struct{ f int } }](r, "x") },
		`x.A: "Big" cannot be an option's name`: func(r *config.Registry) {
			register[struct {
				A int `config:"Big"`
			}](r, "x")
		},
		`x.A: unknown word "requird" in the tag`: func(r *config.Registry) {
			register[struct {
				A int `config:",requird"`
			}](r, "x")
		},
		"x.A: a secret has to be a config.Secret": func(r *config.Registry) {
			register[struct {
				A string `config:",secret"`
			}](r, "x")
		},
		"x.A: only text can be one of several words": func(r *config.Registry) {
			register[struct {
				A int `enum:"a,b"`
			}](r, "x")
		},
		"x.B: the option a is there twice": func(r *config.Registry) {
			register[struct {
				A, B int `config:"a"`
			}](r, "x")
		},
		"x.Kind: every handler has a kind already":        func(r *config.Registry) { register[struct{ Kind string }](r, "x") },
		"options have to be a struct, not int":            func(r *config.Registry) { register[int](r, "x") },
		`Register "file": there is such a kind already`:   func(r *config.Registry) { register[struct{}](r, "file") },
		`Register "A kind": use lower case, digits and _`: func(r *config.Registry) { register[struct{}](r, "A kind") },
		"nil build":                    func(r *config.Registry) { config.Register[struct{}](r, "x", nil) },
		`Middleware "m": nil function`: func(r *config.Registry) { r.Middleware("m", nil) },
		`Middleware "n": there is one already`: func(r *config.Registry) {
			same := func(h slog.Handler) slog.Handler { return h }
			r.Middleware("n", same)
			r.Middleware("n", same)
		},
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "config: ") || !strings.Contains(p, want) {
					t.Errorf("panics with %s", p)
				}
			}()
			f(config.NewRegistry())
		})
	}
}

type checked struct {
	Inner struct{ N checkedInt }
	Low   int
}

type checkedInt struct{ V int8 }

func (c checkedInt) Check() error {
	if c.V == 3 {
		return errors.New("3 is no good")
	}
	return nil
}

func (c *checked) Check() error {
	if c.Low < 0 {
		panic("below")
	}
	return nil
}

func TestRegister_asksOptionsWhetherTheyAreRight(t *testing.T) {
	r := config.NewRegistry()
	register[checked](r, "checked")
	for handler, want := range map[string]string{
		"{kind: checked, inner: {n: {v: 3}}}":       "line 3: handlers.h.inner.n: 3 is no good",
		"{kind: checked, inner: {n: {v: 200}}}":     "line 3: handlers.h.inner.n.v: is 200 and has to be a whole number from -128 to 127",
		"{kind: checked, low: -1}":                  "line 3: handlers.h: panic: below",
		"{kind: checked, inner: {n: {v: 4, w: 5}}}": `line 3: handlers.h.inner.n.w: unknown option "w" (did you mean "v"?)`,
		"{kind: checked, low: 1}":                   "<nil>",
	} {
		_, err := config.Parse([]byte(with("h: "+handler)), &config.Options{Registry: r})
		if got := fmt.Sprint(err); !strings.HasPrefix(got, strings.Split(want, " (did")[0]) {
			t.Errorf("%s: got %s, want %s", handler, got, want)
		}
	}
}

type shared struct{ Retries uint16 }

type everyType struct {
	Shared   shared
	Text     string
	Truth    bool
	Real     float64
	Level    slog.Leveler
	Wait     config.Duration
	Size     config.Size
	When     time.Time
	List     []int
	ByName   map[string]bool
	HTTPPort string
	Nested   []struct{ A, B string }
}

func TestRegister_readsEveryType(t *testing.T) {
	r := config.NewRegistry()
	var got everyType
	config.Register(r, "every", func(_ context.Context, o everyType, env *config.Env) (slog.Handler, error) {
		got = o
		if env.Name != "h" || env.Middleware("no") != nil {
			t.Errorf("env %+v", env)
		}
		env.OnError(errors.New("told"))
		return slog.DiscardHandler, nil
	})
	var told error
	d, err := config.Parse([]byte(with(`h:
    kind: every
    shared: {retries: 7}
    text: "a"
    truth: true
    real: 1.5
    level: error+2
    wait: 1d1h
    size: 1KiB
    when: 2026-01-02T03:04:05Z
    list: [1, -2]
    by_name: {a: true}
    http_port: u
    nested: [{a: x}, {b: y}]
`)), &config.Options{Registry: r, OnError: func(err error) { told = err }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := everyType{Shared: shared{7}, Text: "a", Truth: true, Real: 1.5, Level: slog.LevelError + 2, Wait: config.Duration(25 * time.Hour),
		Size: 1024, When: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), List: []int{1, -2}, ByName: map[string]bool{"a": true}, HTTPPort: "u",
		Nested: []struct{ A, B string }{{A: "x"}, {B: "y"}}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if told == nil || told.Error() != "handlers.h: told" {
		t.Errorf("OnError was told %v", told)
	}
}

// starter is a handler that wants to be shut down.
type starter struct {
	slog.Handler
	ended *bool
}

func (s *starter) Shutdown(context.Context) error { *s.ended = true; return nil }

func TestRegistry_endsTheMiddlewareBehindOneThatFails(t *testing.T) {
	for name, fail := range map[string]func(slog.Handler) slog.Handler{
		"has returned no handler": func(slog.Handler) slog.Handler { return nil },
		"no such luck":            func(slog.Handler) slog.Handler { panic("no such luck") },
	} {
		ended := false
		r := config.NewRegistry()
		r.Middleware("starts", func(next slog.Handler) slog.Handler { return &starter{next, &ended} })
		r.Middleware("fails", fail)
		d, err := config.Parse([]byte(with("h: {kind: middleware, use: [fails, starts], to: m}\n  m: {kind: memory}")), &config.Options{Registry: r})
		must(t, err)
		if _, err := d.Build(t.Context()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
		check(t, "ended after "+name, ended, true)
	}
}

func TestRegistry_middlewareWrapsInItsOrder(t *testing.T) {
	r := config.NewRegistry()
	add := func(name string) func(slog.Handler) slog.Handler {
		return func(h slog.Handler) slog.Handler { return h.WithAttrs([]slog.Attr{slog.Bool(name, true)}) }
	}
	r.Middleware("one", add("one"))
	r.Middleware("two", add("two"))
	r.Middleware("none", func(slog.Handler) slog.Handler { return nil })
	d, err := config.Parse([]byte("version: 1\nhandlers:\n  h: {kind: middleware, use: [one, two], to: c}\n  c: {kind: console, output: stdout, format: {layout: '{attrs}'}}\nroot: {to: h}\n"), &config.Options{Registry: r})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Build(t.Context()); err != nil {
		t.Error(err)
	}
	d, err = config.Parse([]byte(with("h: {kind: middleware, use: none, to: c}\n  c: {kind: discard}")), &config.Options{Registry: r})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Build(t.Context()); err == nil || !strings.Contains(err.Error(), "the middleware none has returned no handler") {
		t.Errorf("got %v", err)
	}
}

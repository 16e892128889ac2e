package config

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/internal/stage"
	"github.com/slogworks/slogworks/levels"
)

// abandonTime is how long handlers of a pipeline that could not be built are
// given to end.
const abandonTime = 5 * time.Second

// component is a handler that was built. Pipelines that follow one another share
// those that did not change.
type component struct {
	name    string
	id      uint64
	key     string // equal for components that are built alike and wrap the same
	handler slog.Handler
	uses    []*component
}

var lastID atomic.Uint64

// Build opens what the document names and puts it together. If anything fails,
// it shuts down what it has opened and returns Mistakes, each with the line and
// the path of the handler that it is about. ctx bounds the building only.
//
// The levels of loggers are those of the document, and stay so; a Manager's can
// be changed.
func (d *Document) Build(ctx context.Context) (*Pipeline, error) {
	table := levels.NewTable(nil)
	d.setLevels(table)
	return d.build(ctx, table, nil, nil, false)
}

// build is Build with a table that the caller keeps and, if it is not nil, what
// changes it over HTTP. Components of old that are as this document wants them are
// used again; nothing of old is changed. A rehearsal is for what will not have a
// record: it leaves files and spools alone.
func (d *Document) build(ctx context.Context, table *levels.Table, changes http.Handler, old *Pipeline, rehearsal bool) (*Pipeline, error) {
	b := builder{
		doc: d, ctx: ctx, levels: changes, rehearsal: rehearsal, found: &findings{file: d.options.File},
		built: map[string]*component{}, failed: map[string]bool{}, spools: map[string]bool{},
	}
	if old != nil {
		b.old = old.core
	}
	// What an earlier run has left in a spool goes out once that is open, whatever
	// is wrong with the rest of the document. So spools are opened last.
	for _, h := range d.handlers {
		if !b.leadsToSpool(h) {
			b.component(h)
		}
	}
	if len(b.found.mistakes) == 0 {
		for _, h := range d.handlers {
			b.component(h)
		}
	}
	if len(b.found.mistakes) == 0 {
		b.begin()
	}
	if err := b.found.err(); err != nil {
		b.abandon()
		return nil, err
	}
	c := &core{components: b.order(), byName: b.built, table: table}
	c.routes = newRoutes(d, func(name string) slog.Handler {
		return floor(b.built[name], d.byName[name])
	})
	open := d.options.NamesOnRecords
	return &Pipeline{
		front: levels.New(newRouter(c, open), &levels.Options{Table: table, NamesOnRecords: open}),
		core:  c,
	}, nil
}

// floor returns the handler of a component behind the lowest level that the
// document gives it.
func floor(c *component, d *declaration) slog.Handler {
	if d.level == nil {
		return c.handler
	}
	return fanout.AtLeast(c.handler, *d.level)
}

// builder builds the components of a document.
type builder struct {
	doc       *Document
	ctx       context.Context
	old       *core        // nil if there is none
	levels    http.Handler // see Env
	rehearsal bool
	found     *findings
	built     map[string]*component
	failed    map[string]bool
	spools    map[string]bool // what leadsToSpool has found
	opened    []*component    // those that are new, each after those that it wraps
}

// leadsToSpool reports whether the handler or what it wraps has a spool.
func (b *builder) leadsToSpool(d *declaration) bool {
	leads, known := b.spools[d.name]
	if !known {
		leads = d.kind.options.typ == reflect.TypeFor[bufferOptions]() && d.node.at("dir") != nil ||
			slices.ContainsFunc(d.uses, func(r reference) bool { return b.leadsToSpool(b.doc.byName[r.name]) })
		b.spools[d.name] = leads
	}
	return leads
}

// component returns nil if the handler cannot be built.
func (b *builder) component(d *declaration) *component {
	if c := b.built[d.name]; c != nil {
		return c
	}
	if b.failed[d.name] {
		return nil
	}
	var uses []*component
	whole := true
	for _, r := range d.uses {
		c := b.component(b.doc.byName[r.name])
		if c == nil {
			whole = false
		} else if !slices.Contains(uses, c) {
			uses = append(uses, c)
		}
	}
	c, err := b.open(d, uses, whole)
	b.refuse(d, err)
	if c == nil {
		b.failed[d.name] = true
		return nil
	}
	b.built[d.name] = c
	return c
}

// refuse adds the error about a handler, if there is one, to the mistakes.
func (b *builder) refuse(d *declaration, err error) {
	if err != nil {
		b.found.addMistake(failed(d.line, d.path(), err))
	}
}

// open finds the component in the old pipeline, or makes it. It returns neither
// a component nor an error if one that it wraps could not be built.
func (b *builder) open(d *declaration, uses []*component, whole bool) (*component, error) {
	decoder := &decoder{found: &findings{}, registry: b.doc.options.Registry, refer: func(*node, string) {}}
	opts := decoder.optionsOf(d) // was read before, without a mistake
	files := sha256.New()        // of what is in them
	err := walk(opts, d.kind.options, func(v reflect.Value) error {
		switch o := v.Interface().(type) {
		case Secret:
			if o.file == "" {
				return nil
			}
			s, err := readSecret(o)
			if err != nil {
				return err
			}
			fmt.Fprintf(files, "%d %s", len(s.text), s.text)
			v.Set(reflect.ValueOf(s))
		case TLS:
			return o.digest(files)
		}
		return nil
	})
	if err != nil || !whole {
		return nil, err
	}
	c := &component{name: d.name, key: b.key(d, uses, files.Sum(nil)), uses: uses}
	if same := b.reusable(c); same != nil {
		return same, nil
	}
	err = walk(opts, d.kind.options, func(v reflect.Value) error {
		r, ok := v.Interface().(Ref)
		if !ok {
			return nil
		}
		for _, name := range r.names {
			// Private, because a handler that stays in the next pipeline must
			// not be shut down with what wraps it in this one.
			r.handlers = append(r.handlers, slogworks.Private(floor(b.built[name], b.doc.byName[name])))
		}
		v.Set(reflect.ValueOf(r))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if c.handler, err = b.call(d, opts); err != nil {
		return nil, &told{hide(err.Error(), d.node, opts, d.kind.options), err}
	}
	c.id = lastID.Add(1)
	b.opened = append(b.opened, c)
	return c, nil
}

// told is an error that does not tell secrets.
type told struct {
	text string
	err  error
}

func (t *told) Error() string { return t.text }
func (t *told) Unwrap() error { return t.err }

// call calls the kind's build.
func (b *builder) call(d *declaration, opts reflect.Value) (h slog.Handler, err error) {
	if err := b.ctx.Err(); err != nil {
		return nil, err
	}
	report := b.doc.options.OnError
	env := &Env{Name: d.name, registry: b.doc.options.Registry, levels: b.levels, relayed: b.doc.options.NamesOnRecords, rehearsal: b.rehearsal, OnError: func(err error) {
		if report != nil {
			report(fmt.Errorf("%s: %w", d.path(), err))
		}
	}}
	defer func() {
		if p := recover(); p != nil {
			h, err = nil, fmt.Errorf("%v", p)
		}
	}()
	if h, err = d.kind.build(b.ctx, opts, env); err != nil {
		return nil, err
	}
	return stage.Require("config", h), nil
}

// key is equal for components that are of one kind, with equal options, over the
// same handlers. What is in the files of secrets and certificates is an option.
func (b *builder) key(d *declaration, uses []*component, files []byte) string {
	hash := sha256.New()
	options := *d.node
	if d.kind.floor { // the floor is in front of the component
		options.keys = slices.DeleteFunc(slices.Clone(options.keys), func(e entry) bool { return e.name == "level" })
	}
	hash.Write(options.appendJSON(nil, true))
	hash.Write(files)
	fmt.Fprintf(hash, " %t", b.doc.options.NamesOnRecords) // which Env has
	for _, r := range d.uses {
		fmt.Fprintf(hash, " %s=", r.name)
		i := slices.IndexFunc(uses, func(c *component) bool { return c == b.built[r.name] })
		hash.Write(strconv.AppendUint(nil, uses[i].id, 10))
		if level := b.doc.byName[r.name].level; level != nil {
			fmt.Fprintf(hash, ">=%d", *level)
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// reusable returns the component of the old pipeline that is like c and has its
// name, or nil. One of another name is not it: two handlers that are described
// alike are two.
func (b *builder) reusable(c *component) *component {
	if b.old == nil {
		return nil
	}
	if was := b.old.byName[c.name]; was != nil && was.key == c.key {
		return was
	}
	return nil
}

// order returns the components, each before those that it wraps.
func (b *builder) order() []*component {
	var above []*component // reversed
	done := map[*component]bool{}
	var visit func(c *component)
	visit = func(c *component) {
		if done[c] {
			return
		}
		done[c] = true
		for _, u := range c.uses {
			visit(u)
		}
		above = append(above, c)
	}
	for _, d := range b.doc.handlers {
		visit(b.built[d.name])
	}
	slices.Reverse(above)
	return above
}

// abandon shuts down what was opened for nothing.
func (b *builder) abandon() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), abandonTime)
	defer cancel()
	for _, c := range slices.Backward(b.opened) {
		slogworks.Shutdown(ctx, c.handler) // no record has come
	}
}

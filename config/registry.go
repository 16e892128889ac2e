package config

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"sync"
)

// Registry has the kinds of handlers that documents may name. It is safe for
// concurrent use. The zero Registry has no kinds; NewRegistry has those of this
// module.
type Registry struct {
	mu         sync.RWMutex
	kinds      map[string]*kind
	middleware map[string]func(slog.Handler) slog.Handler
}

// kind is a kind of handlers, with its options.
type kind struct {
	name    string
	doc     string
	options *shape
	// floor is set if level is no option of its own, but the lowest that a
	// handler of any such kind gets.
	floor bool
	build func(ctx context.Context, opts reflect.Value, env *Env) (slog.Handler, error)
}

// Env is what a handler is built with besides its options.
type Env struct {
	// Name is the name that the document gives the handler.
	Name string

	// OnError is where errors go that no caller sees. It is never nil, and tells
	// Options.OnError which handler they are of.
	OnError func(error)

	registry  *Registry
	levels    http.Handler // Manager.Levels; nil without a Manager
	relayed   bool         // Options.NamesOnRecords
	rehearsal bool         // the handler will not have a record, and is to leave no trace
}

// Middleware returns what is registered under the name, or nil.
func (e *Env) Middleware(name string) func(slog.Handler) slog.Handler {
	return e.registry.middlewareOf(name)
}

// Register adds a kind of handlers to the registry. T is a struct whose fields
// are the options of the kind, all of them exported and of the types
//
//	string bool int… uint… float…   Duration Size Secret Ref slog.Leveler
//	an encoding.TextUnmarshaler, lists and structs of these, maps of values by string
//
// An option is called as its field in snake_case, or as its tag says:
//
//	type Options struct {
//		To       config.Ref    `config:"to,required" doc:"the handler that is wrapped"`
//		Timeout  config.Duration                     // timeout: 10s
//		Password config.Secret `doc:"of the server"` // password: …, or password_file: …
//		Format   string        `enum:"json,text"`
//	}
//
// The tag doc is what Schema says about it; that of a field _ struct{} is about
// the kind. If T, or a struct in it, has a method Check() error, Parse calls it
// and its error is a mistake; it must open nothing. An option level that T does
// not have is one of each kind: the lowest level that the handler gets.
//
// build makes the handler. It has to end what it started if it returns an
// error; else the handler's Shutdown does, by [slogworks.Shutdown]. It is called
// when a Document is built, for one handler at a time.
//
// Register panics if the kind is registered already, or if T is not such a
// struct.
func Register[T any](r *Registry, name string, build func(ctx context.Context, opts T, env *Env) (slog.Handler, error)) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: Register %q: options have to be a struct, not %s", name, t))
	}
	if !optionName.MatchString(name) {
		panic(fmt.Sprintf("config: Register %q: use lower case, digits and _", name))
	}
	if build == nil {
		panic(fmt.Sprintf("config: Register %q: nil build", name))
	}
	options := &shape{meaning: asStruct, typ: t, options: optionsOf(t, name, name)}
	k := &kind{
		name:    name,
		options: options,
		doc:     docOf(t),
		floor:   !slices.ContainsFunc(options.options, func(o option) bool { return o.name == "level" }),
		build: func(ctx context.Context, opts reflect.Value, env *Env) (slog.Handler, error) {
			return build(ctx, opts.Interface().(T), env)
		},
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kinds[name] != nil {
		panic(fmt.Sprintf("config: Register %q: there is such a kind already", name))
	}
	if r.kinds == nil {
		r.kinds = map[string]*kind{}
	}
	r.kinds[name] = k
}

// docOf returns the doc of a kind.
func docOf(t reflect.Type) string {
	for i := range t.NumField() {
		if f := t.Field(i); f.Name == "_" {
			return f.Tag.Get("doc")
		}
	}
	return ""
}

// Middleware makes f known by a name that handlers of kind middleware can use.
// It panics if f is nil or the name is taken.
func (r *Registry) Middleware(name string, f func(slog.Handler) slog.Handler) {
	if f == nil {
		panic(fmt.Sprintf("config: Middleware %q: nil function", name))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.middleware[name] != nil {
		panic(fmt.Sprintf("config: Middleware %q: there is one already", name))
	}
	if r.middleware == nil {
		r.middleware = map[string]func(slog.Handler) slog.Handler{}
	}
	r.middleware[name] = f
}

func (r *Registry) middlewareOf(name string) func(slog.Handler) slog.Handler {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.middleware[name]
}

func (r *Registry) middlewareNames() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.middleware))
}

func (r *Registry) kind(name string) *kind {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.kinds[name]
}

func (r *Registry) kindNames() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.kinds))
}

package config

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
)

type fanoutOptions struct {
	_  struct{} `doc:"every handler gets every record"`
	To []Ref    `config:"to,required" doc:"the handlers"`
}

func newFanout(_ context.Context, o fanoutOptions, _ *Env) (slog.Handler, error) {
	return fanout.New(handlersOf(o.To)...), nil
}

type failoverOptions struct {
	_  struct{} `doc:"the first handler that takes a record gets it"`
	To []Ref    `config:"to,required" doc:"the handlers, best first"`
}

func newFailover(_ context.Context, o failoverOptions, _ *Env) (slog.Handler, error) {
	return fanout.Failover(handlersOf(o.To)...), nil
}

func handlersOf(refs []Ref) []slog.Handler {
	handlers := make([]slog.Handler, len(refs))
	for i, r := range refs {
		handlers[i] = r.Handler()
	}
	return handlers
}

type routerOptions struct {
	_      struct{}       `doc:"every route that matches gets the record"`
	Routes []routeOptions `config:"routes,required" doc:"the routes"`
}

type firstOptions struct {
	_      struct{}       `doc:"the first route that matches gets the record"`
	Routes []routeOptions `config:"routes,required" doc:"the routes; a last one with nothing but to is the default"`
}

// routeOptions is a route; a record matches if all that it says is so.
type routeOptions struct {
	Min      slog.Leveler      `doc:"the lowest level; default every"`
	Max      slog.Leveler      `doc:"the highest level; default every"`
	Logger   string            `doc:"the logger, with those below it"`
	Contains string            `doc:"what is in the message"`
	Attrs    map[string]string `doc:"attributes, as printed, by their keys with groups in front, as user.id"`
	To       Ref               `config:"to,required" doc:"the handler"`
}

func (o routeOptions) std() fanout.Route {
	r := fanout.Route{Min: o.Min, Max: o.Max, To: o.To.Handler()}
	var all []slogworks.Predicate
	if o.Logger != "" {
		all = append(all, slogworks.LoggerIs(o.Logger))
	}
	if o.Contains != "" {
		all = append(all, slogworks.MessageContains(o.Contains))
	}
	for _, key := range slices.Sorted(maps.Keys(o.Attrs)) {
		path, want := strings.Split(key, "."), o.Attrs[key]
		all = append(all, func(_ context.Context, v slogworks.View) bool {
			value, ok := v.Attr(path...)
			return ok && value.String() == want
		})
	}
	if len(all) > 0 {
		r.When = slogworks.All(all...)
	}
	return r
}

func routesOf(options []routeOptions) []fanout.Route {
	routes := make([]fanout.Route, len(options))
	for i, o := range options {
		routes[i] = o.std()
	}
	return routes
}

func newRouterKind(_ context.Context, o routerOptions, _ *Env) (slog.Handler, error) {
	return fanout.Router(routesOf(o.Routes)...), nil
}

func newFirst(_ context.Context, o firstOptions, _ *Env) (slog.Handler, error) {
	return fanout.First(routesOf(o.Routes)...), nil
}

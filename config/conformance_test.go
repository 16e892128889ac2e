package config_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/slogworks/slogworks/config"
	"github.com/slogworks/slogworks/handlertest"
)

// around builds a document in which what is behind is called next.
func around(document string) func(next slog.Handler) slog.Handler {
	return func(next slog.Handler) slog.Handler {
		r := config.NewRegistry()
		config.Register(r, "next", func(context.Context, struct{}, *config.Env) (slog.Handler, error) { return next, nil })
		doc, err := config.Parse([]byte(document), &config.Options{Registry: r})
		if err != nil {
			panic(err)
		}
		p, err := doc.Build(context.Background())
		if err != nil {
			panic(err)
		}
		return p
	}
}

const (
	alone = `{version: 1, handlers: {n: {kind: next}}, root: {to: [n]}}`

	throughRules = `
version: 1
handlers:
  n: {kind: next, level: debug}
  q: {kind: queue, to: n}
root: {level: debug, to: [q]}
loggers: {a.b: {to: [q]}}
`
)

func TestPipeline_isAHandler(t *testing.T) {
	handlertest.Run(t, around(alone))
}

func TestPipeline_withAQueueAndRulesIsAHandler(t *testing.T) {
	handlertest.Run(t, around(throughRules))
}

func TestPipeline_composes(t *testing.T) {
	handlertest.Compose(t, handlertest.Stage{Name: "pipeline", New: around(alone)})
}

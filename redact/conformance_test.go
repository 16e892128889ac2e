package redact_test

import (
	"log/slog"
	"reflect"
	"regexp"
	"testing"

	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/redact"
)

// stages find nothing to redact in what handlertest logs, however many rules
// they have.
func stages() []handlertest.Stage {
	return []handlertest.Stage{
		{Name: "New", New: func(next slog.Handler) slog.Handler { return redact.New(next, nil) }},
		{Name: "New with all rules", New: func(next slog.Handler) slog.Handler {
			return redact.New(next, &redact.Options{
				Keys:          []string{"forbidden"},
				Paths:         []string{"group.forbidden", "forbidden.k"},
				KeyPatterns:   []*regexp.Regexp{regexp.MustCompile(`^forbidden`)},
				ValuePatterns: []*regexp.Regexp{regexp.MustCompile(`forbidden`)},
				Types:         []reflect.Type{reflect.TypeFor[pin]()},
				Mask:          redact.Hash(nil),
			})
		}},
	}
}

func TestHandler_passesHandlertest(t *testing.T) {
	for _, stage := range stages() {
		t.Run(stage.Name, func(t *testing.T) { handlertest.Run(t, stage.New) })
	}
}

func TestHandler_passesHandlertestTogether(t *testing.T) {
	handlertest.Compose(t, append(stages(), handlertest.Stage{
		Name: "fanout", New: func(next slog.Handler) slog.Handler { return fanout.New(next) },
	})...)
}

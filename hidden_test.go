package slogworks_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
)

// Handlers of others, which hold a handler and do not give it away.
type (
	embedding struct{ slog.Handler }
	handlers  []slog.Handler
	named     struct {
		leaf
		next *step
	}
	several struct {
		leaf
		children []*several
		parent   *several
		pair     [2]slog.Handler
	}
)

func (handlers) Enabled(context.Context, slog.Level) bool  { return true }
func (handlers) Handle(context.Context, slog.Record) error { return nil }
func (h handlers) WithAttrs([]slog.Attr) slog.Handler      { return h }
func (h handlers) WithGroup(string) slog.Handler           { return h }

func TestFlush_namesWhatHidesAStage(t *testing.T) {
	var called calls
	sink := &step{name: "sink", calls: &called}
	json := slog.NewJSONHandler(io.Discard, nil)

	newFamily := func(member slog.Handler) *several {
		parent := &several{}
		for range 20 {
			parent.children = append(parent.children, &several{parent: parent})
		}
		parent.children[19].pair[1] = member
		return parent
	}

	for _, test := range []struct {
		name string
		h    slog.Handler
		want string // the type that cannot be seen into; "" if all is well
	}{
		{"a MultiHandler with a stage", slog.NewMultiHandler(json, sink), "*slog.MultiHandler"},
		{"a MultiHandler in a MultiHandler", slog.NewMultiHandler(slog.NewMultiHandler(sink)), "*slog.MultiHandler"},
		{"a MultiHandler with handlers of slog only", slog.NewMultiHandler(json, slog.NewTextHandler(io.Discard, nil)), ""},
		{"a MultiHandler with nothing", slog.NewMultiHandler(), ""},
		{"a MultiHandler with nil", slog.NewMultiHandler(nil), ""},
		{"an embedded stage", embedding{sink}, "slogworks_test.embedding"},
		{"a pointer to an embedded stage", &embedding{sink}, "*slogworks_test.embedding"},
		{"an embedded stage in an embedded handler", embedding{&embedding{sink}}, "slogworks_test.embedding"},
		{"an embedded stage that only unwraps", embedding{single{next: json}}, "slogworks_test.embedding"},
		{"an embedded JSONHandler", embedding{json}, ""},
		{"an embedded nil", embedding{}, ""},
		{"a stage in a field of its own type", named{next: sink}, "slogworks_test.named"},
		{"no stage in a field of its own type", named{}, ""},
		{"a slice type with a stage", handlers{json, sink}, "slogworks_test.handlers"},
		{"a slice type without", handlers{json}, ""},
		{"a slice type in a struct", embedding{handlers{sink}}, "slogworks_test.embedding"},
		{"a stage among handlers that hold each other", newFamily(sink), "*slogworks_test.several"},
		{"no stage among handlers that hold each other", newFamily(json), ""},
		{"a hidden stage behind a stage", single{next: slog.NewMultiHandler(sink)}, "*slog.MultiHandler"},
		{"a private stage in a MultiHandler", slog.NewMultiHandler(slogworks.Private(sink)), ""},
		{"a private MultiHandler", slogworks.Private(slog.NewMultiHandler(sink)), ""},
		{"a private MultiHandler in an embedded handler", embedding{slogworks.Private(slog.NewMultiHandler(sink))}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := slogworks.Flush(t.Context(), test.h)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("error %v", err)
			case test.want != "" && err == nil:
				t.Error("no error")
			case test.want != "" && !strings.Contains(err.Error(), "slogworks: Flush cannot see into "+test.want+", which holds "):
				t.Errorf("error %q does not name %s", err, test.want)
			}
			called.check(t)
		})
	}

	t.Run("Shutdown names it too and reaches the others", func(t *testing.T) {
		err := slogworks.Shutdown(t.Context(), listed{next: []slog.Handler{slog.NewMultiHandler(sink), sink}})
		if err == nil || !strings.Contains(err.Error(), "Shutdown cannot see into *slog.MultiHandler, which holds *slogworks_test.step") {
			t.Errorf("error %v", err)
		}
		called.check(t, "shutdown sink")
	})
}

package fanout_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	slogmulti "github.com/samber/slog-multi"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
)

func TestShutdown_reachesEveryStageOfAPipe(t *testing.T) {
	var stopped []string
	sink := func(name string) slog.Handler {
		return &stoppable{stop: func() error { stopped = append(stopped, name); return nil }}
	}
	h := slogmulti.Pipe(
		func(next slog.Handler) slog.Handler {
			return fanout.OnError(next, func(context.Context, slogworks.View, error) {})
		},
		func(next slog.Handler) slog.Handler { return fanout.New(next, sink("beside")) },
		func(next slog.Handler) slog.Handler {
			return fanout.First(fanout.Route{Min: slog.LevelError, To: sink("errors")}, fanout.Route{To: next})
		},
		func(next slog.Handler) slog.Handler { return fanout.Failover(next, sink("spare")) },
		func(next slog.Handler) slog.Handler { return fanout.AtLeast(next, slog.LevelInfo) },
	).Handler(sink("last"))
	if err := handle(h.WithGroup("g"), record(slog.LevelInfo, "message")); err != nil {
		t.Error(err)
	}
	if err := slogworks.Shutdown(t.Context(), h); err != nil {
		t.Error(err)
	}
	slices.Sort(stopped)
	if want := []string{"beside", "errors", "last", "spare"}; !slices.Equal(stopped, want) {
		t.Errorf("Shutdown reached %q, want %q", stopped, want)
	}
}

func TestShutdown_namesWhatItCannotSeeInto(t *testing.T) {
	for want, hide := range map[string]func(...slog.Handler) slog.Handler{
		"*slog.MultiHandler":       func(h ...slog.Handler) slog.Handler { return slog.NewMultiHandler(h...) },
		"*slogmulti.FanoutHandler": func(h ...slog.Handler) slog.Handler { return slogmulti.Fanout(h...) },
	} {
		var file bytes.Buffer
		stopped := false
		hidden := &stoppable{stop: func() error { stopped = true; return nil }}
		h := fanout.New(fanout.Writers(nil, fanout.Out{W: &file}), hide(hidden, slog.NewTextHandler(&file, nil)))
		err := slogworks.Shutdown(t.Context(), h)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "fanout.New") {
			t.Errorf("Shutdown of a pipeline with a %s returned %v", want, err)
		}
		if stopped {
			t.Errorf("Shutdown sees into %s now: it need not be named", want)
		}
	}
}

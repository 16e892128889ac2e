package fingerscrossed_test

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fingerscrossed"
)

// leaver ends the goroutine that gives it a record with the message "leave", as
// a handler does that calls testing.T.FailNow.
type leaver struct {
	slog.Handler
	mu  sync.Mutex
	got []string
}

func (l *leaver) Enabled(context.Context, slog.Level) bool { return true }

func (l *leaver) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "leave" {
		runtime.Goexit()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, r.Message)
	return nil
}

// leaverOfBatches is one that takes batches.
type leaverOfBatches struct{ *leaver }

func (l leaverOfBatches) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	for _, item := range b.Items {
		_ = l.Handle(ctx, item.Record)
	}
	return nil
}

func TestHandler_goesOnAfterGoexitOfTheNextHandler(t *testing.T) {
	for name, test := range map[string]struct {
		messages []string
		in       func(s *fingerscrossed.Scope) // ends the goroutine
		batches  bool
		want     []string
		failed   uint64
	}{
		"in a release": {
			[]string{"a", "leave", "b", "trigger"}, nil, false,
			[]string{"a", "b", "trigger", "later"}, 1,
		},
		"in a release twice": {
			[]string{"a", "leave", "b", "leave", "trigger"}, nil, false,
			[]string{"a", "b", "trigger", "later"}, 2,
		},
		"in a batch": {
			[]string{"a", "leave", "b", "trigger"}, nil, true,
			[]string{"a", "later"}, 4,
		},
		"in an End that releases": {
			[]string{"a", "leave", "b"}, func(s *fingerscrossed.Scope) { err := context.Canceled; s.End(&err) }, false,
			[]string{"a", "b", "later"}, 1,
		},
		"in an End that does not": {
			[]string{"a", "leave", "b"}, func(s *fingerscrossed.Scope) { s.End(nil) }, false,
			[]string{"a", "b", "later"}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			next := &leaver{Handler: slog.DiscardHandler}
			var h *fingerscrossed.Handler
			if test.batches {
				h = fingerscrossed.New(leaverOfBatches{next}, nil)
			} else {
				h = fingerscrossed.New(next, nil)
			}
			logger := slog.New(h)
			outer, around := h.Begin(t.Context())
			ctx, s := h.Begin(outer)
			around.Trigger() // so that it takes over nothing
			left := make(chan struct{})
			go func() {
				defer close(left)
				for _, message := range test.messages {
					level := slog.LevelInfo
					if message == "trigger" {
						level = slog.LevelError
					}
					logger.Log(ctx, level, message)
				}
				test.in(s)
			}()
			<-left
			logger.ErrorContext(ctx, "later")
			s.End(nil)
			around.End(nil)
			if !slices.Equal(next.got, test.want) {
				t.Errorf("written %q, want %q", next.got, test.want)
			}
			if stats := h.Stats(); stats.Failed != test.failed || stats.Held != 0 {
				t.Errorf("%+v, want %d failed and none held", stats, test.failed)
			}
			if n := fingerscrossed.InUse(h); n != 0 {
				t.Errorf("%d scopes are in use", n)
			}
			shutDown(t, h)
		})
	}
}

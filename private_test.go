package slogworks_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
)

// mailer is a stage that takes batches and keeps an account.
type mailer struct {
	*step
	batches []slogworks.Batch
	err     error
}

func (m *mailer) HandleBatch(_ context.Context, b slogworks.Batch) error {
	m.batches = append(m.batches, b)
	return m.err
}

func (m *mailer) WithAttrs([]slog.Attr) slog.Handler { return m }
func (m *mailer) WithGroup(string) slog.Handler      { return m }

func (m *mailer) Account() slogworks.Account { return slogworks.Account{Stage: "mailer"} }

func TestPrivate_hidesTheStage(t *testing.T) {
	var called calls
	for _, h := range []slog.Handler{
		&step{name: "plain", calls: &called},
		&mailer{step: &step{name: "batches", calls: &called}},
		single{next: &mailer{step: &step{name: "behind", calls: &called}}},
	} {
		private := slogworks.Private(h)
		for _, p := range []slog.Handler{private, private.WithAttrs([]slog.Attr{slog.Int("a", 1)}), private.WithGroup("g"), slogworks.Private(private)} {
			if err := slogworks.Flush(t.Context(), p); err != nil {
				t.Errorf("Flush: %v", err)
			}
			if err := slogworks.Shutdown(t.Context(), p); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			if accounts := slogworks.Books(p); len(accounts) != 0 {
				t.Errorf("Books = %v", accounts)
			}
		}
		called.check(t)
	}
}

func TestPrivate_forwardsBatchesIfTheHandlerTakesThem(t *testing.T) {
	full := errors.New("full")
	m := &mailer{step: &step{}, err: full}
	for _, p := range []slog.Handler{
		slogworks.Private(m),
		slogworks.Private(m).WithAttrs([]slog.Attr{slog.Int("a", 1)}),
		slogworks.Private(m).WithGroup("g"),
	} {
		m.batches = nil
		batches, ok := p.(slogworks.BatchHandler)
		if !ok {
			t.Fatalf("%T takes no batches", p)
		}
		if err := batches.HandleBatch(t.Context(), slogworks.Batch{ID: "x"}); err != full {
			t.Errorf("HandleBatch = %v, want the handler's own error", err)
		}
		if len(m.batches) != 1 || m.batches[0].ID != "x" {
			t.Errorf("the handler got %v", m.batches)
		}
	}
	if _, ok := slogworks.Private(leaf{}).(slogworks.BatchHandler); ok {
		t.Error("Private of a handler that takes no batches takes them")
	}
}

func TestPrivate_otherwiseDoesWhatTheHandlerDoes(t *testing.T) {
	write := func(wrap func(slog.Handler) slog.Handler) string {
		var out bytes.Buffer
		h := wrap(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))
		l := slog.New(h).With("a", 1).WithGroup("g").With("b", 2)
		if l.Enabled(t.Context(), slog.LevelInfo) {
			t.Error("enabled below the handler's level")
		}
		l.Handler().Handle(t.Context(), recordOf(slog.Int("c", 3)))
		return out.String()
	}
	want := write(func(h slog.Handler) slog.Handler { return h })
	if got := write(slogworks.Private); got != want || !strings.Contains(got, `"g":{"b":2,"c":3}`) {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, h := range []slog.Handler{slogworks.Private(leaf{}), slogworks.Private(&mailer{step: &step{}})} {
		if h.WithAttrs(nil) != h || h.WithGroup("") != h {
			t.Errorf("%T: WithAttrs(nil) or WithGroup(\"\") is not the receiver", h)
		}
	}

	var enabled, handled int
	p := slogworks.Private(&counting{enabled: &enabled, handled: &handled})
	if p.Enabled(t.Context(), slog.LevelError) || p.Handle(t.Context(), recordOf()) != errCounting || enabled != 1 || handled != 1 {
		t.Errorf("Enabled called %d times, Handle %d times", enabled, handled)
	}
}

var errCounting = errors.New("counted")

// counting is a BatchHandler that is never enabled.
type counting struct {
	leaf
	enabled, handled *int
}

func (c *counting) Enabled(context.Context, slog.Level) bool           { *c.enabled++; return false }
func (c *counting) Handle(context.Context, slog.Record) error          { *c.handled++; return errCounting }
func (c *counting) HandleBatch(context.Context, slogworks.Batch) error { return nil }

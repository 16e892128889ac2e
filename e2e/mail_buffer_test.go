package e2e_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/buffer/mail"
	"github.com/slogworks/slogworks/e2e/real"
)

func openBuffer(t *testing.T, dir string, config mail.Config, opts buffer.Options) *buffer.Handler {
	t.Helper()
	opts.Dir = dir
	h, err := buffer.Open(newMail(t, config), &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// wantOutcome checks what has become of what a buffer holds.
func wantOutcome(t *testing.T, got buffer.Outcome, status buffer.Status, records int) {
	t.Helper()
	if got.Status != status || got.Records != records {
		t.Fatalf("%v with %d records, want %v with %d; cause %q, error %v", got.Status, got.Records, status, records, got.Cause, got.Err)
	}
}

// attached returns the messages of the records that are attached.
func attached(t *testing.T, m received) []string {
	t.Helper()
	if len(m.Attachments) != 1 {
		t.Fatalf("%d attachments", len(m.Attachments))
	}
	var messages []string
	for line := range strings.Lines(m.Attachments[0].Content) {
		var record struct{ Msg string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		messages = append(messages, record.Msg)
	}
	return messages
}

func TestMail_isSentByABufferAtItsThreshold(t *testing.T) {
	server := aiosmtpd{}.start(t)
	dir := filepath.Join(t.TempDir(), "spool")
	outcomes := make(chan buffer.Outcome, 10)
	opts := buffer.Options{
		Trigger:   buffer.AtLeast(5, slog.LevelError),
		OnOutcome: func(o buffer.Outcome) { outcomes <- o },
	}

	h := openBuffer(t, dir, server.config, opts)
	logger := slog.New(h).With("run", 1)
	logger.Error("error 1")
	logger.Error("error 2")
	logger.Warn("warning 1")
	logger.Error("error 3")
	wantOutcome(t, h.Evaluate(t.Context()), buffer.Kept, 4)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, h.Last(), buffer.Kept, 4)

	h = openBuffer(t, dir, server.config, opts)
	logger = slog.New(h).With("run", 2)
	wantOutcome(t, h.Evaluate(t.Context()), buffer.Kept, 4)
	logger.Error("error 4")
	logger.Warn("warning 2")
	wantOutcome(t, h.Evaluate(t.Context()), buffer.Kept, 6)
	if mails, err := filepath.Glob(filepath.Join(server.Maildir, "new", "*")); err != nil || len(mails) > 0 || len(outcomes) > 0 {
		t.Fatalf("mails before the fifth error: %q, %d attempts, %v", mails, len(outcomes), err)
	}

	logger.Error("error 5", "err", errors.New("connection refused"))
	var outcome buffer.Outcome
	select {
	case outcome = <-outcomes:
	case <-time.After(real.Patience):
		t.Fatalf("the fifth error has no mail sent; last was %+v", h.Last())
	}
	wantOutcome(t, outcome, buffer.Sent, 7)
	m := receive(t, server.Maildir, 1)[0]
	if got, want := m.header("Message-ID"), "<"+outcome.BatchID+"@example.org>"; got != want || outcome.BatchID == "" {
		t.Errorf("Message-ID: %s, want %s", got, want)
	}
	if got, want := attached(t, m), []string{"error 1", "error 2", "warning 1", "error 3", "error 4", "warning 2", "error 5"}; !slices.Equal(got, want) {
		t.Errorf("attached are %q, want %q", got, want)
	}
	for _, part := range []string{"7 records", "error 5", "run = 1", "run = 2", "err = connection refused"} {
		if !strings.Contains(m.Text, part) {
			t.Errorf("the text lacks %q:\n%s", part, m.Text)
		}
	}
	if len(m.Defects) > 0 {
		t.Errorf("Python finds fault with the mail: %s", m.Defects)
	}

	if err := h.Close(); err != nil {
		t.Error(err)
	}
	receive(t, server.Maildir, 1)
	info, err := buffer.Inspect(dir)
	if err != nil || info.Total+len(info.Pending)+len(info.Dead) > 0 {
		t.Errorf("the spool still has %+v, %v", info, err)
	}
}

func TestMail_isSentByTheNextRunIfTheServerWasAway(t *testing.T) {
	server := aiosmtpd{}.start(t)
	away := server.config
	away.Port = freePorts(t, 1)[0]
	dir := filepath.Join(t.TempDir(), "spool")
	opts := buffer.Options{Manual: true, Trigger: buffer.Immediately(slog.LevelError)}

	h := openBuffer(t, dir, away, opts)
	slog.New(h).Error("error 1")
	first := h.Evaluate(t.Context())
	wantOutcome(t, first, buffer.Failed, 1)
	var cause *mail.Error
	if !errors.As(first.Err, &cause) || cause.Phase != mail.PhaseConnect {
		t.Errorf("the error is %v", first.Err)
	}
	slog.New(h).Error("error 2")
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}

	h = openBuffer(t, dir, server.config, opts)
	second := h.Deliver(t.Context())
	wantOutcome(t, second, buffer.Sent, 1)
	if second.BatchID != first.BatchID || second.Attempt != 2 {
		t.Errorf("attempt %d for the batch %s, want the second for %s", second.Attempt, second.BatchID, first.BatchID)
	}
	m := receive(t, server.Maildir, 1)[0]
	if got, want := m.header("Message-ID"), "<"+first.BatchID+"@example.org>"; got != want {
		t.Errorf("Message-ID: %s, want %s", got, want)
	}
	if got := attached(t, m); !slices.Equal(got, []string{"error 1"}) {
		t.Errorf("attached are %q", got)
	}
	// What came later is another mail.
	wantOutcome(t, h.Deliver(t.Context()), buffer.Sent, 1)
	receive(t, server.Maildir, 2)
	wantOutcome(t, h.Deliver(t.Context()), buffer.Empty, 0)
}

// sendsToTheRest checks that a buffer that is opened anew sends no mail to whom
// one was sent before: has takes mails, refuses does not yet.
func sendsToTheRest(t *testing.T, config mail.Config, has, maildir, refuses string) {
	config.To = []string{refuses, has}
	dir := filepath.Join(t.TempDir(), "spool")
	opts := buffer.Options{Manual: true, Limit: slogworks.Rate{N: -1}}
	h := openBuffer(t, dir, config, opts)
	slog.New(h).Error("error 1")
	first := h.Deliver(t.Context())
	wantOutcome(t, first, buffer.Partial, 1)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}

	info, err := buffer.Inspect(dir)
	if err != nil || len(info.Pending) != 1 || !slices.Equal(info.Pending[0].Done, []string{has}) {
		t.Errorf("the spool has %+v, %v", info, err)
	}
	h = openBuffer(t, dir, config, opts)
	second := h.Deliver(t.Context())
	if second.Status == buffer.Sent || second.BatchID != first.BatchID || second.Attempt != 2 {
		t.Errorf("the second attempt is %+v", second)
	}
	m := receive(t, maildir, 1)[0]
	if got, want := m.header("Message-ID"), "<"+first.BatchID+"@example.org>"; got != want {
		t.Errorf("Message-ID: %s, want %s", got, want)
	}
}

package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
)

// away is a handler that takes nothing.
type away struct {
	slogworks.BatchHandler
	err error
}

func (away) Enabled(context.Context, slog.Level) bool { return true }

func (a away) HandleBatch(context.Context, slogworks.Batch) error { return a.err }

func TestMail_statusSaysWhatWaits(t *testing.T) {
	dir := t.TempDir()
	next := &away{}
	h, err := buffer.Open(next, &buffer.Options{Dir: dir, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	logger := slog.New(h)
	status := func(want string) {
		t.Helper()
		code, stdout, stderr := runArgs(t, "mail", "status", dir)
		if code != 0 || stderr != "" || !regexp.MustCompile("^"+want+"\n$").MatchString(stdout) {
			t.Errorf("exit %d, stderr %q, stdout %q; want %q", code, stderr, stdout, want)
		}
	}
	const at = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`

	status("pending=0 dead=0 oldest=- next=-")
	logger.Error("disk is full")
	logger.Error("disk is full")
	status("pending=2 dead=0 oldest=" + at + " next=-")
	next.err = &slogworks.DeliveryError{Permanent: true, Err: errors.New("no such user")}
	h.Deliver(t.Context())
	status("pending=0 dead=2 oldest=- next=-")
	logger.Error("disk is full")
	next.err = errors.New("server is down")
	h.Deliver(t.Context())
	status("pending=1 dead=2 oldest=" + at + " next=" + at)
	logger.Error("disk is full")
	status("pending=2 dead=2 oldest=" + at + " next=" + at)
}

func TestMail_mistakesAreUsageErrors(t *testing.T) {
	for want, args := range map[string][]string{
		`no command (there is status)`:             nil,
		`unknown command "send" (there is status)`: {"send"},
		`no directory`:                              {"status"},
		`unexpected argument "b"`:                   {"status", "a", "b"},
		`unknown command "statsu" (did you mean st`: {"statsu", "a"},
	} {
		code, stdout, stderr := runArgs(t, append([]string{"mail"}, args...)...)
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "slogworks mail: "+want) {
			t.Errorf("%q: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
	code, _, stderr := runArgs(t, "mail", "status", filepath.Join(t.TempDir(), "none"))
	if code != 1 || !strings.Contains(stderr, "none") {
		t.Errorf("of no directory: exit %d, %q", code, stderr)
	}
}

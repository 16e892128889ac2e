package main

import (
	"context"
	"errors"
	"fmt"
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
		`no command (there is flush, status)`:             nil,
		`unknown command "send" (there is flush, status)`: {"send"},
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

// mailDocument describes a mail buffer, and a page whose port is taken by the
// service that the document is of.
const mailDocument = `version: 1
handlers:
  page:  {kind: live, http: %q, token: x}
  spool: {kind: buffer, to: mails, dir: %q, retry: {min: 1ms, max: 1ms}, trigger: [{count: 3}]}
  mails: {kind: mail, port: %d, tls: plaintext, from: shop@example.org, to: [ops@example.org], subject: "[shop] {{.Subject}}"%s}
root: {to: [page, spool]}
`

func TestMail_flushSendsWhatIsDue(t *testing.T) {
	dir := t.TempDir()
	spool := filepath.Join(dir, "spool")
	h, err := buffer.Open(&away{err: errors.New("not here")}, &buffer.Options{Dir: spool, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	box, err := openMailbox()
	if err != nil {
		t.Fatal(err)
	}
	document := documentIn(t, dir, fmt.Sprintf(mailDocument, taken(t), spool, box.port(), ", host: 127.0.0.1"))
	flushed := func(exit int, want string, args ...string) (stderr string) {
		t.Helper()
		code, stdout, stderr := runArgs(t, append([]string{"mail", "flush", "--config", document}, args...)...)
		if code != exit || !regexp.MustCompile("^"+want+"$").MatchString(stdout) {
			t.Errorf("exit %d, stderr %q, stdout %q; want %d, %q", code, stderr, stdout, exit, want)
		}
		return stderr
	}
	const at = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`

	flushed(0, "status=empty records=0 next=-\n")
	logger := slog.New(h)
	logger.Error("disk is full")
	logger.Error("disk is full")
	flushed(0, "status=kept records=2 next=-\n")
	flushed(0, "status=sent records=2 attempt=1 next=-\n", "--now", "--handler", "mails")
	for range 3 {
		logger.Error("feed is gone")
	}
	flushed(0, "status=sent records=3 attempt=1 next=-\n", "--handler", "spool")
	mails := box.close()
	if len(mails) != 2 {
		t.Fatalf("%d mails", len(mails))
	}
	if subject, _, err := plainText(mails[1]); err != nil || !strings.HasPrefix(subject, "[shop] ERROR feed is gone (3 records") {
		t.Errorf("the subject is %q, %v", subject, err)
	}
	for range 3 {
		logger.Error("nobody is there")
	}
	stderr := flushed(1, "status=failed records=3 attempt=1 next="+at+"\n")
	if !strings.Contains(stderr, "slogworks mail: 3 records could not be delivered, kept for another attempt: ") {
		t.Errorf("stderr is %q", stderr)
	}
	if info, err := buffer.Inspect(spool); err != nil || len(info.Pending) != 1 || info.Pending[0].Records != 3 {
		t.Errorf("the spool has %+v, %v", info, err)
	}
}

func TestMail_flushOpensNothingElse(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "password"), "hush\n")
	flush := func(login string) (code int, stderr string) {
		document := documentIn(t, dir, fmt.Sprintf(mailDocument, taken(t), filepath.Join(dir, "spool"), 25, login))
		code, _, stderr = runArgs(t, "mail", "flush", "--config", document, "--env", "MAIL_HOST")
		return code, stderr
	}
	t.Setenv("MAIL_HOST", "localhost")
	if code, stderr := flush(fmt.Sprintf(`, host: "${MAIL_HOST}", username: shop, password_file: %q`, filepath.Join(dir, "password"))); code != 0 {
		t.Errorf("with a file: exit %d, %s", code, stderr)
	}
	if code, stderr := flush(`, host: localhost, username: shop, password: hush`); code != 0 {
		t.Errorf("with a secret in the document: exit %d, %s", code, stderr)
	}
}

func TestMail_flushNeedsAMailBuffer(t *testing.T) {
	dir := t.TempDir()
	const two = `  spool2: {kind: buffer, to: [mails], dir: x}
`
	document := fmt.Sprintf(mailDocument, "127.0.0.1:0", filepath.Join(dir, "spool"), 25, ", host: 127.0.0.1")
	for want, test := range map[string]struct {
		document string
		args     []string
	}{
		"no handler of kind buffer":             {fmt.Sprintf(fileDocument, "all.log"), nil},
		`--handler "spol" is no mail buffer`:    {document, []string{"--handler", "spol"}},
		"did you mean spool?":                   {document, []string{"--handler", "spol"}},
		"choose one by --handler":               {strings.NewReplacer("root: {to: [", "root: {to: [spool2, ", "  mails:", two+"  mails:").Replace(document), nil},
		"handlers.spool has no dir":             {regexp.MustCompile(`dir: "[^"]*", `).ReplaceAllString(document, ""), nil},
		"unknown kind \"bufer\" (did you mean ": {strings.Replace(document, "kind: buffer", "kind: bufer", 1), nil},
	} {
		path := documentIn(t, dir, test.document)
		code, stdout, stderr := runArgs(t, append([]string{"mail", "flush", "--config", path}, test.args...)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, want) || !strings.HasPrefix(stderr, "slogworks mail: "+path) {
			t.Errorf("exit %d, stdout %q, stderr %q; want %q", code, stdout, stderr, want)
		}
	}
}

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const programMail = `version: 1
handlers:
  spool: {kind: buffer, to: mails, dir: spool, trigger: [{count: 3}]}
  mails:
    kind: mail
    host: 127.0.0.1
    port: %d
    tls_config: {ca_file: %q}
    username: shop
    password: "${SLOGWORKS_PASSWORD}"
    from: Shop <shop@example.org>
    to: [ops@example.test]
    subject: "[shop] {{.Subject}}"
root: {to: [spool]}
`

func programFlushes(t *testing.T, program string) {
	s := aiosmtpd{Username: "shop", Password: "hush"}.start(t)
	dir := t.TempDir()
	programFile(t, dir, "shop.yaml", fmt.Sprintf(programMail, s.config.Port, s.Certificate))
	flush := func(exit int, stdout string, args ...string) *programRun {
		t.Helper()
		r := startProgram(t, program, dir, append([]string{"mail", "flush", "--config", "shop.yaml"}, args...)...)
		r.end(nil, exit, "")
		if r.stdout.String() != stdout {
			t.Errorf("stdout %q, want %q", &r.stdout, stdout)
		}
		return r
	}
	log := func(lines ...string) {
		t.Helper()
		r := startProgram(t, program, dir, "pipe", "--config", "shop.yaml")
		r.write(lines...)
		r.stdin.Close()
		r.end(nil, 0, fmt.Sprintf("slogworks pipe: received=%[1]d written=%[1]d refused=0 objects=0 dropped=0 connections=0\n", len(lines)))
	}
	mails := func() (all []string) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(s.Maildir, "new", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(text))
		}
		return all
	}
	flush(0, "status=empty records=0 next=-\n")
	log("ERROR feed is gone", "ERROR feed is gone")
	flush(0, "status=kept records=2 next=-\n", "--handler", "mails")
	if n := len(mails()); n != 0 {
		t.Fatalf("%d mails before it is time", n)
	}
	flush(0, "status=sent records=2 attempt=1 next=-\n", "--now")
	got := mails()
	if len(got) != 1 || !strings.Contains(got[0], "Subject: [shop] ERROR ERROR feed is gone (2 records") || strings.Contains(got[0], "X-Seen-Encryption: no") || strings.Contains(got[0], "X-Seen-Auth: None") {
		t.Fatalf("the mails are %q", got)
	}

	programFile(t, dir, "shop.yaml", strings.Replace(fmt.Sprintf(programMail, s.config.Port, s.Certificate), "${SLOGWORKS_PASSWORD}", "wrong", 1))
	log("ERROR feed is gone again")
	r := startProgram(t, program, dir, "mail", "flush", "--config", "shop.yaml", "--now")
	r.end(nil, 1, "")
	if text := r.stderr.String(); !strings.Contains(text, "1 record could not be delivered, kept for another attempt: ") || !strings.Contains(text, "AUTH") {
		t.Errorf("stderr %q", text)
	}
	programFile(t, dir, "shop.yaml", fmt.Sprintf(programMail, s.config.Port, s.Certificate))
	flush(0, "status=sent records=1 attempt=2 next=-\n", "--now")
	if n := len(mails()); n != 2 {
		t.Errorf("%d mails, want 2", n)
	}
}

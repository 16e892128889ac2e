package e2e_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/buffer/mail"
	"github.com/slogworks/slogworks/e2e/real"
)

// keepRunning starts a program that runs until its standard input ends, as it
// does when the test ends, however it ends. It returns the first line that the
// program prints.
func keepRunning(t *testing.T, path string, args ...string) string {
	t.Helper()
	command := exec.Command(path, args...)
	complaints, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer complaints.Close()
	command.Stderr = complaints
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout = stdout
	err = command.Start()
	stdout.Close() // or else there is no end of output when the program ends
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		timer := time.AfterFunc(real.Patience, func() { command.Process.Kill() })
		defer timer.Stop()
		if err := command.Wait(); err != nil {
			t.Errorf("%v: %v", command.Args, err)
		}
		output.Close()
		if t.Failed() {
			if text, err := os.ReadFile(complaints.Name()); err == nil {
				t.Logf("%s: %s", path, text)
			}
		}
	})
	if err := output.SetReadDeadline(time.Now().Add(real.Patience)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(output)
	first, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("%v did not start: %v", command.Args, err)
	}
	// A program that prints more must not wait for somebody to read it.
	output.SetReadDeadline(time.Time{})
	go io.Copy(io.Discard, lines)
	return strings.TrimSpace(first)
}

// aiosmtpd is a server in Python. It takes mails over encrypted connections
// only, for whomever they are.
type aiosmtpd struct {
	Username    string `json:"username"` // "" asks nobody who they are
	Password    string `json:"password"`
	SizeLimit   int    `json:"size_limit"`
	Maildir     string `json:"maildir"`
	Certificate string `json:"certificate"`
	Key         string `json:"key"`

	config mail.Config
}

// start starts the server and returns it with a config that can send to it.
func (s aiosmtpd) start(t *testing.T) aiosmtpd {
	t.Helper()
	python := pythonWith(t, "aiosmtpd")
	c := newCertificate(t)
	s.Maildir, s.Certificate, s.Key = filepath.Join(t.TempDir(), "maildir"), c.certFile, c.keyFile
	if s.SizeLimit == 0 {
		s.SizeLimit = 32 << 20
	}
	settings, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(keepRunning(t, python, "testdata/mail_aiosmtpd.py", string(settings)))
	if err != nil {
		t.Fatal(err)
	}
	s.config = mail.Config{
		Host:      "127.0.0.1",
		Port:      port,
		TLSConfig: c.trust,
		HELO:      "shop.example.org",
		From:      "Shop <shop@example.org>",
		To:        []string{"ops@example.test"},
	}
	if s.Username != "" {
		s.config.Username, s.config.Password = s.Username, mail.Password(s.Password)
	}
	return s
}

// pythonWith returns a Python that has the module. Debian's packages are for
// Debian's Python, which need not be the first in the path.
func pythonWith(t *testing.T, module string) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(name)
		if err == nil && exec.Command(path, "-c", "import "+module).Run() == nil {
			return path
		}
	}
	real.Missing(t, "a python3 with "+module)
	return ""
}

// received is a mail as Python's email package understands it.
type received struct {
	Headers     map[string][]string
	Types       []string // of the parts, from the outside in
	Text        string
	HTML        string
	Shown       string   // the text in HTML
	Elements    []string // of HTML
	Attachments []struct{ Name, Type, Content string }
	Defects     []string
	LongestLine int `json:"longest_line"`
}

// header returns the values of a header. Python counts the space after a line
// break as a part of the value.
func (r received) header(name string) string {
	return strings.TrimSpace(strings.Join(r.Headers[name], "\n"))
}

// receive waits until the Maildir has n mails and returns them, in no order.
func receive(t *testing.T, maildir string, n int) []received {
	t.Helper()
	python := real.Program(t, "python3")
	var paths []string
	ok := real.Eventually(func() bool {
		var err error
		if paths, err = filepath.Glob(filepath.Join(maildir, "new", "*")); err != nil {
			t.Fatal(err)
		}
		return len(paths) >= n
	})
	if !ok || len(paths) != n {
		t.Fatalf("%d mails in %s, want %d", len(paths), maildir, n)
	}
	output := real.Output(t, "testdata", python, append([]string{"mail_parse.py"}, paths...)...)
	var mails []received
	if err := json.Unmarshal([]byte(output), &mails); err != nil {
		t.Fatal(err)
	}
	return mails
}

package notify_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/notify"
)

// program returns a Command that runs this test program in a role.
func program(t testing.TB, role string) *notify.Command {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// A program that was built with the race detector takes a second to end.
	return &notify.Command{Path: path, Env: []string{roleVariable + "=" + role, "GORACE=atexit_sleep_ms=0"}}
}

// reportOf sends m by c, which has the role "report", and returns the report.
func reportOf(t *testing.T, c *notify.Command, m *notify.Message) (r run) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report")
	c.Env = append(c.Env, reportVariable+"="+file)
	if err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(doc, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// messageOf returns the message of a record, with title and body replaced.
func messageOf(t *testing.T, title, body string, attrs ...slog.Attr) *notify.Message {
	t.Helper()
	return sendOne(t, &notify.Options{Render: func(*notify.Message) (string, string) { return title, body }},
		at(noon, record(slog.LevelError, "message", attrs...)))
}

func TestCommand_insertsPlaceholders(t *testing.T) {
	c := program(t, "report")
	c.Args = []string{"--title={title}", "--", "{body}", "{level}/{count}/{time}/{urgency}", "{attr:user}", "{attr:raw}", "{attr:http.status}", "{attr:a.b}", "{attr:none}", "{{title}}", "}}{{", ""}
	c.Env = append(c.Env, "NOTIFY_TEST_TITLE=<{title}>")
	c.Stdin = "{title}\n{body}\n{json}"
	c.Dir = t.TempDir()
	m := messageOf(t, "a title", "a {title} {attr:user}\nbody",
		slog.String("user", "x; rm -rf / $(id)"), slog.Any("raw", []byte("bytes")), slog.Group("http", slog.Int("status", 500)), slog.Time("a.b", noon))
	r := reportOf(t, c, m)
	want := []string{"--title=a title", "--", "a {title} {attr:user}\nbody", "ERROR/1/2026-01-02T12:00:00Z/critical", "x; rm -rf / $(id)", "bytes", "500", "2026-01-02T12:00:00Z", "", "{title}", "}{", ""}
	if !slices.Equal(r.Args, want) {
		t.Errorf("arguments %q\nwant %q", r.Args, want)
	}
	doc, err := m.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if r.Stdin != "a title\na {title} {attr:user}\nbody\n"+string(doc) {
		t.Errorf("stdin %q", r.Stdin)
	}
	if !slices.Contains(r.Env, "NOTIFY_TEST_TITLE=<a title>") || len(r.Env) < 4 {
		t.Errorf("environment %q", r.Env)
	}
	if dir, _ := filepath.EvalSymlinks(c.Dir); r.Dir != c.Dir && r.Dir != dir {
		t.Errorf("directory %q, want %q", r.Dir, c.Dir)
	}
}

func TestCommand_tellsUrgencyByLevel(t *testing.T) {
	for level, want := range map[slog.Level]string{slog.LevelDebug: "low", slog.LevelInfo: "normal", slog.LevelWarn: "normal", slog.LevelError: "critical", 12: "critical"} {
		c := program(t, "report")
		c.Args = []string{"urgency={urgency}", "time={time}"}
		if got := reportOf(t, c, &notify.Message{Level: level}).Args; !slices.Equal(got, []string{"urgency=" + want, "time="}) {
			t.Errorf("%v: %q, want %q", level, got, want)
		}
	}
}

func TestCommand_cleansAndCutsText(t *testing.T) {
	for name, test := range map[string]struct{ title, body, wantTitle, wantBody string }{
		"NUL":                {"a\x00b", "c\x00d", "a\ufffdb", "c\ufffdd"},
		"invalid UTF-8":      {"a\xff\xfeb", "c\xc3", "a\ufffdb", "c\ufffd"},
		"control characters": {"a\x1b[31m\tb\nc", "\x07\u009b\td\r\ne\rf", "a\ufffd[31m b c", "\ufffd\ufffd\td\ne\ufffdf"},
		"what is too long":   {strings.Repeat("x", 1<<18), strings.Repeat("ä", 1<<18), strings.Repeat("x", 8189) + "…", strings.Repeat("ä", 4094) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			// A Message as a Sender may be given by somebody else, too.
			m := &notify.Message{Title: test.title, Body: test.body}
			c := program(t, "report")
			c.Args = []string{"--", "{title}", "{body}"}
			c.Env = append(c.Env, "NOTIFY_TEST_BODY={body}")
			r := reportOf(t, c, m)
			if !slices.Equal(r.Args, []string{"--", test.wantTitle, test.wantBody}) || !slices.Contains(r.Env, "NOTIFY_TEST_BODY="+test.wantBody) {
				t.Errorf("the program got %.100q", r.Args)
			}

			c = program(t, "report")
			c.ArgsFunc = func(m *notify.Message) []string { return []string{m.Body} }
			if r := reportOf(t, c, m); !slices.Equal(r.Args, []string{test.wantBody}) {
				t.Errorf("by ArgsFunc the program got %.100q", r.Args)
			}
		})
	}
}

func TestCommand_startsWithTheLongestArguments(t *testing.T) {
	c := program(t, "report")
	for range 40 {
		c.Args = append(c.Args, "x={title}")
	}
	c.Stdin = "{body}"
	r := reportOf(t, c, &notify.Message{Title: strings.Repeat("x", 1<<16), Body: strings.Repeat("y", 2<<20)})
	if len(r.Args) != 40 || len(r.Args[39]) != 2+8<<10 || len(r.Stdin) != 2<<20 {
		t.Errorf("%d arguments, %d bytes of stdin", len(r.Args), len(r.Stdin))
	}
}

func TestCommand_escapesAfterCleaningAndKeepsToTheLimit(t *testing.T) {
	var names []string
	c := program(t, "report")
	c.Args = []string{"--", "{title}", "{attr:user}"}
	c.Stdin = "{body}"
	c.MaxArg = 50
	c.Escape = func(name, value string) string {
		names = append(names, name)
		if strings.ContainsRune(value, 0) {
			t.Error("it got a NUL")
		}
		return strings.ReplaceAll(value, "<", "&lt;")
	}
	m := messageOf(t, strings.Repeat("<", 40), strings.Repeat("<", 40), slog.String("user", "a\x00<b"))
	r := reportOf(t, c, m)
	want := []string{"--", strings.Repeat("&lt;", 11) + "…", "a\ufffd&lt;b"}
	if !slices.Equal(r.Args, want) {
		t.Errorf("arguments %q, want %q", r.Args, want)
	}
	if r.Stdin != strings.Repeat("&lt;", 40) {
		t.Errorf("stdin %q", r.Stdin)
	}
	slices.Sort(names)
	if names = slices.Compact(names); !slices.Equal(names, []string{"attr:user", "body", "title"}) {
		t.Errorf("it was called for %q", names)
	}

	c = program(t, "report")
	c.Args, c.MaxArg = []string{"--", "{title}", "{attr:user}"}, 50
	c.Escape = func(string, string) string { return strings.Repeat("x", 51) }
	if r := reportOf(t, c, m); !slices.Equal(r.Args, []string{"--", "", ""}) {
		t.Errorf("what is too long whatever the value came as %q", r.Args)
	}
}

func TestCommand_reportsAPanicOfItsFunctions(t *testing.T) {
	c := program(t, "report")
	c.ArgsFunc = func(*notify.Message) []string { panic("broken") }
	if err := c.Send(t.Context(), &notify.Message{}); err == nil || !strings.Contains(err.Error(), "panic: broken") {
		t.Errorf("%v", err)
	}
}

func TestCommand_environment(t *testing.T) {
	t.Setenv("NOTIFY_TEST_OURS", "inherited")
	c := program(t, "report")
	if r := reportOf(t, c, &notify.Message{}); !slices.Contains(r.Env, "NOTIFY_TEST_OURS=inherited") {
		t.Errorf("not inherited: %q", r.Env)
	}
	c = program(t, "report")
	c.CleanEnv = true
	if r := reportOf(t, c, &notify.Message{}); slices.Contains(r.Env, "NOTIFY_TEST_OURS=inherited") || runtime.GOOS != "windows" && len(r.Env) != 3 {
		t.Errorf("not clean: %q", r.Env)
	}
}

func TestCommand_needNotReadStdin(t *testing.T) {
	c := program(t, "ignore stdin")
	c.Stdin = "{body}"
	if err := c.Send(t.Context(), &notify.Message{Body: strings.Repeat("x", 2<<20)}); err != nil {
		t.Error(err)
	}
}

func TestCommand_Check(t *testing.T) {
	type command = notify.Command
	const fine = ""
	dir := t.TempDir()
	for name, test := range map[string]struct {
		command *notify.Command
		want    string // part of the error
	}{
		"nothing that varies":                  {&command{Path: "go", Args: []string{"version"}}, fine},
		"after --":                             {&command{Path: "go", Args: []string{"--", "{title}", "-{body}"}}, fine},
		"text in front":                        {&command{Path: "go", Args: []string{"title: {title}"}}, fine},
		"a value of an option":                 {&command{Path: "go", Args: []string{"--title={title}"}}, fine},
		"stdin":                                {&command{Path: "go", Stdin: "{title}"}, fine},
		"the environment":                      {&command{Path: "go", Env: []string{"TITLE={title}"}}, fine},
		"arguments of a script":                {&command{Path: "sh", Args: []string{"-c", `echo "$1"`, "--", "{title}"}}, fine},
		"a placeholder that begins":            {&command{Path: "go", Args: []string{"{title}"}}, `argument 1, "{title}", could become an option`},
		"a literal -- that comes after":        {&command{Path: "go", Args: []string{"-x", "{title}", "--"}}, "argument 2"},
		"a -- with a placeholder":              {&command{Path: "go", Args: []string{"--{title}", "{title}"}}, `argument 1, "--{title}", could become any option`},
		"an option made of text":               {&command{Path: "go", Args: []string{"-{title}"}}, "could become any option"},
		"an attached value":                    {&command{Path: "curl", Args: []string{"-d{title}"}}, "could become any option"},
		"an escaped brace in front":            {&command{Path: "go", Args: []string{"{{{title}"}}, fine},
		"with AllowDash":                       {&command{Path: "go", Args: []string{"{title}", "-{title}"}, AllowDash: true}, fine},
		"a script of sh":                       {&command{Path: "sh", Args: []string{"-c", "echo {title}"}}, `argument 2, "echo {title}", would be run as a script`},
		"a script of sh after --":              {&command{Path: "/bin/bash", Args: []string{"--", "-lc", "echo {title}"}}, "as a script"},
		"a script with AllowDash":              {&command{Path: "sh", Args: []string{"-c", "{title}"}, AllowDash: true}, "as a script"},
		"a script of a shell that sudo starts": {&command{Path: "sudo", Args: []string{"-u", "ops", "/bin/sh", "-c", "echo {title}"}}, "as a script"},
		"a script of python":                   {&command{Path: "python3.12", Args: []string{"-c", "print('{title}')"}}, "as a script"},
		"a script of perl":                     {&command{Path: "perl", Args: []string{"-ne", "print '{title}'"}}, "as a script"},
		"a script of osascript":                {&command{Path: "osascript", Args: []string{"-e", `display notification "{title}"`}}, "as a script"},
		"a script of sh after -c and --":       {&command{Path: "sh", Args: []string{"-c", "--", "{title}"}}, "as a script"},
		"a script of sh after -c and -e":       {&command{Path: "sh", Args: []string{"-c", "-e", "echo {title}"}}, "as a script"},
		"a script of sh after -c and -o":       {&command{Path: "sh", Args: []string{"-c", "-o", "nounset", "echo {title}"}}, "as a script"},
		"a script of sh after -ce":             {&command{Path: "sh", Args: []string{"-ce", "echo {title}"}}, "as a script"},
		"a script of su":                       {&command{Path: "su", Args: []string{"ops", "--command=echo {title}"}}, "as a script"},
		"a script of node":                     {&command{Path: "node", Args: []string{"--eval=say('{title}')"}}, "as a script"},
		"a script in an option of python":      {&command{Path: "python3", Args: []string{"-B", "-cx='{title}'"}}, "as a script"},
		"an option of a script of python":      {&command{Path: "go", Args: []string{"python3", "a.py", "-subject={title}"}}, fine},
		"a statement of psql":                  {&command{Path: "psql", Args: []string{"-d", "alerts", "-c", "INSERT INTO alerts VALUES ('{title}')"}}, "as a script"},
		"a statement of mysql":                 {&command{Path: "mysql", Args: []string{"--execute=INSERT INTO alerts VALUES ('{title}')"}}, "as a script"},
		"a message of tmux":                    {&command{Path: "tmux", Args: []string{"display-message", "--", "{title}"}}, "as a script"},
		"a remote command that sudo starts":    {&command{Path: "sudo", Args: []string{"-u", "ops", "--", "ssh", "host", "wall", "--", "{title}"}}, "as a script"},
		"a tag that is called ssh":             {&command{Path: "go", Args: []string{"-t", "ssh", "--", "{title}"}}, fine},
		"a batch file with a dot more":         {&command{Path: "a.bat. ", Args: []string{"x{title}"}}, "cmd.exe"},
		"a NUL in an argument":                 {&command{Path: "go", Args: []string{"a\x00b"}}, "argument 1 has a NUL"},
		"a NUL in a variable":                  {&command{Path: "go", Env: []string{"A=b\x00hunter22"}}, "variable A has a NUL"},
		"a script of PowerShell":               {&command{Path: "powershell.exe", Args: []string{"-File", "a.ps1", "x{title}"}}, "as a script"},
		"cmd.exe":                              {&command{Path: "cmd.exe", Args: []string{"/c", "echo", "x{title}"}}, "as a script"},
		"a batch file":                         {&command{Path: "a.bat", Args: []string{"x{title}"}}, "cmd.exe"},
		"a batch file by ArgsFunc":             {&command{Path: "a.CMD", ArgsFunc: func(*notify.Message) []string { return nil }}, "cmd.exe"},
		"a placeholder that there is not":      {&command{Path: "go", Args: []string{"x{titel}"}}, "there is no placeholder {titel}"},
		"an attribute without a key":           {&command{Path: "go", Args: []string{"x{attr:}"}}, "there is no placeholder {attr:}"},
		"a brace that is not closed":           {&command{Path: "go", Stdin: "{title"}, `stdin: a "{" without "}"`},
		"a brace that was not opened":          {&command{Path: "go", Env: []string{"A=title}"}}, `variable A: a "}" without "{"`},
		"a variable without a value":           {&command{Path: "go", Env: []string{"A"}}, `must be "KEY=value"`},
		"a variable with a placeholder":        {&command{Path: "go", Env: []string{"{title}=a"}}, `must be "KEY=value"`},
		"Args and ArgsFunc":                    {&command{Path: "go", Args: []string{}, ArgsFunc: func(*notify.Message) []string { return nil }}, "both Args and ArgsFunc"},
		"a program that is not there":          {&command{Path: "no-such-program-as-this"}, "notify: command no-such-program-as-this: install the program"},
		"a directory":                          {&command{Path: dir}, "install the program"},
		"a program that is not there, given":   {&command{Path: filepath.Join(dir, "none")}, "install the program"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.command.Check()
			if test.want == fine && errors.Is(err, exec.ErrNotFound) {
				t.Skip(err)
			}
			if test.want == fine && err != nil || test.want != fine && (err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "notify: command ")) {
				t.Fatalf("%v, want %q", err, test.want)
			}
			if sent := test.command.Send(t.Context(), &notify.Message{}); test.want != fine && (sent == nil || sent.Error() != err.Error()) {
				t.Errorf("Send: %v", sent)
			}
		})
	}
	t.Run("can tell why", func(t *testing.T) {
		if err := (&command{Path: "no-such-program-as-this"}).Check(); !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("%v", err)
		}
		if err := (&command{Path: filepath.Join(dir, "none")}).Check(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v", err)
		}
	})
}

func TestCommand_refusesAProgramOfTheCurrentDirectory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a program there is one by its name")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "planted"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	t.Setenv("PATH", ".")
	if err := (&notify.Command{Path: "planted"}).Check(); !errors.Is(err, exec.ErrDot) {
		t.Errorf("%v", err)
	}
}

// The program that Check found is the one that runs, whatever becomes of PATH
// and of the working directory.
func TestCommand_looksForItsProgramOnce(t *testing.T) {
	c := program(t, "report")
	dir, name := filepath.Split(c.Path)
	t.Chdir(dir)
	c.Path = "." + string(filepath.Separator) + name
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := c.Send(t.Context(), &notify.Message{}); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("the program, which has no file to report to, did not run: %v", err)
	}
}

func TestCommand_failsWithTheProgram(t *testing.T) {
	c := program(t, "fail")
	c.Args = []string{"no", "bus", "for", "a\x1b[31m\n", "b"}
	err := c.Send(t.Context(), &notify.Message{})
	var exit *notify.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("%v", err)
	}
	if exit.Code != 3 || exit.Signal != "" || exit.TimedOut || exit.Path != c.Path || exit.Output != "no bus for a\ufffd[31m\n b" {
		t.Errorf("%+v", exit)
	}
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		t.Errorf("the error does not wrap an *exec.ExitError: %v", err)
	}
	if want := "notify: command " + filepath.Base(c.Path) + ": exit status 3: no bus for a\ufffd[31m b"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestCommand_hidesSecretsInItsErrors(t *testing.T) {
	const url = "mailtos://joe:hunter22@example.com/ABCDEFGH1?to=jane"
	c := program(t, "fail")
	c.Args = []string{"cannot", "reach", url, "with", "hunter22", "at", "/ABCDEFGH1", "by {urgency}"}
	c.Env = append(c.Env, "APPRISE_URLS=tgram://123456789/chat,"+url+" {title}")
	err := c.Send(t.Context(), &notify.Message{Title: "urgency is low"})
	if want := "notify: command " + filepath.Base(c.Path) + ": exit status 3: cannot reach *** with *** at /*** by normal"; err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
}

// Of what is too long only the end is kept, which may begin within a secret.
func TestCommand_hidesTheRestOfASecret(t *testing.T) {
	const secret = "swordfish-with-a-long-tail"
	for kept := range len(secret) {
		c := program(t, "fail")
		c.Args = []string{strings.Repeat("a ", 100) + secret + " " + strings.Repeat("b", 4<<10-2-kept)}
		c.Env = append(c.Env, "PASSWORD="+secret)
		err := c.Send(t.Context(), &notify.Message{})
		var exit *notify.ExitError
		if !errors.As(err, &exit) || len(exit.Output) < 4<<10-2-kept {
			t.Fatalf("%v", err)
		}
		if rest := strings.TrimRight(exit.Output, "b"); strings.TrimSpace(rest) != "" && rest != "*** " {
			t.Errorf("with %d bytes of it the output begins with %q", kept, rest)
		}
	}
}

func TestCommand_boundsTheOutput(t *testing.T) {
	err := program(t, "flood").Send(t.Context(), &notify.Message{})
	var exit *notify.ExitError
	if !errors.As(err, &exit) || len(exit.Output) != 4<<10 || !strings.HasSuffix(exit.Output, "the end") || len(err.Error()) > 1000 {
		t.Errorf("an error of %d bytes, %d of output", len(err.Error()), len(exit.Output))
	}
}

// listener is what the processes under test connect to, so that their end shows
// as that of the connection.
type listener struct {
	t        *testing.T
	listener net.Listener
	running  chan net.Conn // processes that hang
}

func newListener(t *testing.T) *listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	all := &listener{t, l, make(chan net.Conn, 2)}
	go all.accept()
	return all
}

func (l *listener) accept() {
	var waiting []net.Conn
	running := false
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		switch line, _ := bufio.NewReader(conn).ReadString('\n'); line {
		case "running\n":
			running = true
			l.running <- conn
		case "waiting\n":
			waiting = append(waiting, conn)
		}
		if running {
			for _, conn := range waiting {
				conn.Close()
			}
			waiting = nil
		}
	}
}

// wantRunning waits until a process hangs.
func (l *listener) wantRunning() net.Conn {
	l.t.Helper()
	select {
	case conn := <-l.running:
		return conn
	case <-time.After(30 * time.Second):
		l.t.Fatal("a process does not run")
		return nil
	}
}

// wantEnd checks that the process which has the other end of conn ends.
func (l *listener) wantEnd(conn net.Conn) {
	l.t.Helper()
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		l.t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
		l.t.Error("a process runs on")
	}
}

func TestCommand_endsWhatTakesTooLong(t *testing.T) {
	var err error
	var exit *notify.ExitError
	for timeout := 50 * time.Millisecond; exit == nil && timeout < time.Minute; timeout *= 2 { // until there is time to start it
		c := program(t, "sleep")
		c.Timeout = timeout
		err = c.Send(t.Context(), &notify.Message{})
		errors.As(err, &exit)
	}
	if exit == nil || !exit.TimedOut || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "timed out") {
		t.Errorf("%v", err)
	}
}

func TestCommand_endsWithItsContext(t *testing.T) {
	for name, test := range map[string]struct {
		role      string
		processes int
		signal    string
	}{
		"a program that hangs":                           {"hang", 1, "terminated"},
		"a program that ignores SIGTERM":                 {"deaf", 1, "killed"},
		"a program with a child that ignores SIGTERM":    {"family", 2, "terminated"},
		"a program that ignores SIGTERM and has a child": {"deaf family", 2, "killed"},
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && test.processes > 1 {
				t.Skip("only the program itself is killed")
			}
			l := newListener(t)
			c := program(t, test.role)
			c.Env = append(c.Env, reportVariable+"="+l.listener.Addr().String())
			c.Timeout, c.Grace = -1, -1
			ctx, cancel := context.WithCancelCause(t.Context())
			sent := make(chan error)
			go func() { sent <- c.Send(ctx, &notify.Message{}) }()
			var running []net.Conn
			for range test.processes {
				running = append(running, l.wantRunning())
			}
			cause := errors.New("the house is closing")
			cancel(cause)
			err := <-sent
			var exit *notify.ExitError
			if !errors.As(err, &exit) || exit.TimedOut || !errors.Is(err, cause) {
				t.Fatalf("%v", err)
			}
			if runtime.GOOS != "windows" && exit.Signal != test.signal {
				t.Errorf("ended by %q, want %q", exit.Signal, test.signal)
			}
			for _, conn := range running {
				l.wantEnd(conn)
			}
			if err := c.Send(ctx, &notify.Message{}); !errors.Is(err, cause) {
				t.Errorf("with a context that has ended: %v", err)
			}
		})
	}
}

// The child is asked to end as its parent is, and has time to.
func TestCommand_asksTheWholeGroupToEnd(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("only the program itself is killed")
	}
	l := newListener(t)
	c := program(t, "polite family")
	c.Env = append(c.Env, reportVariable+"="+l.listener.Addr().String())
	c.Timeout, c.Grace = -1, 30*time.Second
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan error)
	go func() { sent <- c.Send(ctx, &notify.Message{}) }()
	conn := l.wantRunning()
	defer conn.Close()
	cancel()
	if err := <-sent; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(conn); string(said) != "good bye\n" {
		t.Errorf("the child said %q, %v", said, err)
	}
}

func TestCommand_leavesNoProcessBehind(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("only the program itself is killed")
	}
	l := newListener(t)
	c := program(t, "parent")
	c.Env = append(c.Env, reportVariable+"="+l.listener.Addr().String())
	c.Grace = 50 * time.Millisecond
	if err := c.Send(t.Context(), &notify.Message{}); err != nil {
		t.Errorf("the program ended well and the error is %v", err)
	}
	l.wantEnd(l.wantRunning())
}

// A process that has left the group is not ended, and not waited for either.
func TestCommand_doesNotWaitForWhatLeftItsGroup(t *testing.T) {
	setsid, err := exec.LookPath("setsid")
	if err != nil {
		t.Skip(err)
	}
	l := newListener(t)
	c := program(t, "held")
	c.Args = []string{"--fork", c.Path}
	c.Path = setsid
	c.Env = append(c.Env, reportVariable+"="+l.listener.Addr().String())
	c.Timeout, c.Grace = -1, 50*time.Millisecond
	if err := c.Send(t.Context(), &notify.Message{}); err != nil {
		t.Errorf("the program ended well and the error is %v", err)
	}
	l.wantRunning().Close() // by which it ends
}

func TestCommand_leavesNoFileOpen(t *testing.T) {
	open := func() int {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(files)
	}
	fail := program(t, "fail")
	fail.Stdin = "{body}"
	slow := program(t, "sleep")
	slow.Timeout, slow.Grace = 10*time.Millisecond, -1
	none := program(t, "fail")
	none.Dir = filepath.Join(t.TempDir(), "none")
	m := &notify.Message{Body: strings.Repeat("x", 1<<20)}
	for _, c := range []*notify.Command{fail, slow, none} {
		if err := c.Send(t.Context(), m); err == nil {
			t.Error("no error")
		}
	}
	before := open()
	for range 5 {
		for _, c := range []*notify.Command{fail, slow, none} {
			_ = c.Send(t.Context(), m)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); open() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d files are open, %d before", open(), before)
		}
	}
}

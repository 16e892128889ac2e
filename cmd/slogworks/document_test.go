package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/slogworks/slogworks/config"
)

// documentIn writes a document and returns its path.
func documentIn(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "pipeline.yaml")
	put(t, path, text)
	return path
}

// put replaces a file by another.
func put(t *testing.T, path, text string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// running is a command that runs until it ends or is ended.
type running struct {
	t              *testing.T
	stdout, stderr output
	cancel         context.CancelFunc
	ended          chan struct{}
	code           int
}

func startCommand(t *testing.T, args ...string) *running {
	t.Helper()
	leavesNoGoroutine(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, cancel: cancel, ended: make(chan struct{})}
	go func() {
		r.code = run(ctx, args, &r.stdout, &r.stderr)
		close(r.ended)
	}()
	t.Cleanup(func() { r.end() })
	return r
}

// wait waits until the command ends by itself.
func (r *running) wait() (code int, stderr string) {
	<-r.ended
	return r.code, r.stderr.String()
}

func (r *running) end() (code int, stderr string) {
	r.cancel()
	return r.wait()
}

// says waits for a text on stderr.
func (r *running) says(text string) {
	r.t.Helper()
	if !eventually(func() bool { return strings.Contains(r.stderr.String(), text) }) {
		r.t.Fatalf("no %q on stderr:\n%s", text, r.stderr.String())
	}
}

// listening returns the URL of the first listener.
func (r *running) listening() string {
	r.t.Helper()
	ready := regexp.MustCompile(`(?m)^slogworks \w+: listening (\S+)$`)
	if !eventually(func() bool { return ready.MatchString(r.stderr.String()) }) {
		r.t.Fatalf("it does not listen: %s", r.stderr.String())
	}
	return ready.FindStringSubmatch(r.stderr.String())[1]
}

// has waits until a file has the text, and fails if it does not get it.
func has(t *testing.T, path, text string) {
	t.Helper()
	if !eventually(func() bool {
		found, _ := os.ReadFile(path)
		return strings.Contains(string(found), text)
	}) {
		t.Fatalf("no %q in %s: %q", text, path, content(t, path))
	}
}

// fileDocument has one file.
const fileDocument = `version: 1
handlers:
  all: {kind: file, path: %q, format: {layout: "{level} {logger} {msg}"}}
root: {level: debug, to: [all]}
`

func TestPipe_putsLinesThroughTheDocument(t *testing.T) {
	dir := t.TempDir()
	stdin := pipeStdin(t)
	spam, errors := filepath.Join(dir, "spam.log"), filepath.Join(dir, "errors.log")
	document := documentIn(t, dir, fmt.Sprintf(`version: 1
handlers:
  spam:   {kind: file, path: %q, format: {layout: "{logger} - {level} - {msg} {attr:n}"}}
  behind: {kind: queue, to: spam, capacity: 4096, reserve_level: warn}
  errors: {kind: file, path: %q, level: error, format: {layout: "{msg}"}}
root: {level: info, to: [errors]}
loggers:
  spam_application: {level: debug, to: [behind]}
`, spam, errors))
	write(t, filepath.Join(dir, "more.log"), "WARN of nobody\n")
	r := startCommand(t, "pipe", "--config", document, "-", filepath.Join(dir, "more.log"))
	fmt.Fprintln(stdin, `{"time":"2026-01-02T03:04:05Z","level":"DEBUG","msg":"quiet","logger":"spam_application.auxiliary","n":7}`)
	fmt.Fprintln(stdin)
	fmt.Fprintln(stdin, `{"level":"ERROR","msg":"loud","logger":"spam_application"}`)
	fmt.Fprintln(stdin, `{"level":"DEBUG","msg":"too quiet for root"}`)
	io.WriteString(stdin, "ERROR half a line")
	stdin.Close()
	code, stderr := r.wait()
	const summary = "slogworks pipe: received=5 written=5 refused=0 objects=0 dropped=0 connections=0\n"
	if code != 0 || stderr != summary || r.stdout.String() != "" {
		t.Errorf("exit %d, stdout %q, stderr %q", code, r.stdout.String(), stderr)
	}
	if got, want := content(t, spam), "spam_application.auxiliary - DEBUG - quiet 7\nspam_application - ERROR - loud \n"; got != want {
		t.Errorf("the logger's file has %q, want %q", got, want)
	}
	if got, want := content(t, errors), "loud\nERROR half a line\n"; got != want {
		t.Errorf("root's file has %q, want %q", got, want)
	}
}

func TestPipe_doesNotCountWhatIsBelowAllLevels(t *testing.T) {
	dir := t.TempDir()
	all := filepath.Join(dir, "all.log")
	document := documentIn(t, dir, fmt.Sprintf("version: 1\nhandlers: {all: {kind: file, path: %q, format: {layout: \"{msg}\"}}}\nroot: {to: [all]}\n", all))
	write(t, filepath.Join(dir, "lines"), "DEBUG quiet\nINFO loud\n")
	code, _, stderr := runArgs(t, "pipe", "--config", document, filepath.Join(dir, "lines"))
	if code != 0 || !strings.Contains(stderr, "received=1 written=1 ") || content(t, all) != "INFO loud\n" {
		t.Errorf("exit %d, %q in the file: %s", code, content(t, all), stderr)
	}
}

func TestPipe_waitsForItsQueues(t *testing.T) {
	dir := t.TempDir()
	all := filepath.Join(dir, "all.log")
	document := documentIn(t, dir, fmt.Sprintf(`version: 1
handlers:
  all:    {kind: file, path: %q, format: {layout: "{msg}"}}
  behind: {kind: queue, to: all, capacity: 200, max_batch: 1, linger: 1ms}
root: {to: [behind]}
`, all))
	var lines strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&lines, "line %d\n", i)
	}
	write(t, filepath.Join(dir, "lines"), lines.String())
	code, _, stderr := runArgs(t, "pipe", "--config", document, filepath.Join(dir, "lines"))
	if code != 0 || !strings.Contains(stderr, "received=3000 written=3000 ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if content(t, all) != lines.String() {
		t.Error("the file is another")
	}
}

func TestPipe_saysWhereRecordsWereLost(t *testing.T) {
	dir := t.TempDir()
	document := documentIn(t, dir, fmt.Sprintf(`version: 1
handlers:
  all:  {kind: file, path: %q}
  away: {kind: socket, address: "tcp://%s", backoff: {min: 1ms, max: 1ms}}
  net:  {kind: queue, to: away, retry: {min: 1ms, max: 1ms, max_elapsed: 2ms}}
  too:  {kind: queue, to: away, retry: {min: 1ms, max: 1ms, max_elapsed: 2ms}}
root: {to: [all, net, too]}
`, filepath.Join(dir, "all.log"), nobodyListens(t)))
	write(t, filepath.Join(dir, "lines"), "one\ntwo\n")
	code, _, stderr := runArgs(t, "pipe", "--config", document, filepath.Join(dir, "lines"))
	const last = "slogworks pipe: lost in handlers.net: failed=2\n" +
		"slogworks pipe: lost in handlers.too: failed=2\n" +
		"slogworks pipe: received=2 written=0 refused=0 objects=0 dropped=2 connections=0\n"
	if code != 3 || !strings.HasSuffix(stderr, last) || !strings.Contains(stderr, "slogworks pipe: handlers.net: ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestPipe_countsWhatALevelOfItsPipelineRefuses(t *testing.T) {
	dir := t.TempDir()
	document := documentIn(t, dir, `version: 1
handlers:
  away: {kind: socket, address: "tcp://`+nobodyListens(t)+`"}
root: {to: [away]}
`)
	write(t, filepath.Join(dir, "lines"), "one\n")
	code, _, stderr := runArgs(t, "pipe", "--config", document, filepath.Join(dir, "lines"))
	if code != 3 || !strings.HasSuffix(stderr, " received=1 written=0 refused=0 objects=0 dropped=1 connections=0\n") || !strings.Contains(stderr, "a record was lost") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestPipe_endsWhileARecordIsNotTaken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lines")
	write(t, file, "line\n")
	leavesNoGoroutine(t)
	synctest.Test(t, func(t *testing.T) {
		var told []string
		p := &pipe{document: &document{report: func(err error) { told = append(told, err.Error()) }}, handling: make(chan struct{}, 1)}
		p.handling <- struct{}{} // for ever
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.copy(ctx, file); err != nil || len(told) != 1 {
			t.Errorf("%v, told %q", err, told)
		}
		if got := p.total(); got.received != 1 || got.dropped != 1 {
			t.Errorf("the counts are %v", got)
		}
		<-p.handling
	})
}

// stuck is a handler that does not come back until its gate is open.
type stuck struct {
	slog.Handler
	gate chan struct{}
}

func (s *stuck) Handle(context.Context, slog.Record) error {
	<-s.gate
	return nil
}

func TestDocument_countsWhatAFormerPipelineDoesNotGiveBack(t *testing.T) {
	dir := t.TempDir()
	text := func(capacity int) string {
		return fmt.Sprintf("version: 1\nhandlers:\n  behind: {kind: queue, to: stuck, capacity: %d, max_batch: 1}\n  stuck: {kind: stuck}\nroot: {level: warn, to: [behind]}\n", capacity)
	}
	path := documentIn(t, dir, text(10))
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		registry := config.NewRegistry()
		config.Register(registry, "stuck", func(context.Context, struct{}, *config.Env) (slog.Handler, error) {
			return &stuck{slog.NewTextHandler(io.Discard, nil), gate}, nil
		})
		var stderr output
		d := &document{name: "slogworks pipe", stderr: &stderr, report: func(error) {}, losses: losses{}}
		var err error
		if d.manager, err = config.Open(t.Context(), path, &config.ManagerOptions{Options: config.Options{Registry: registry}, OnReload: d.reloaded}); err != nil {
			t.Fatal(err)
		}
		d.current = d.manager.Pipeline()
		logger := slog.New(d.manager.Handler())
		logger.Warn("is in the hands of what hangs")
		synctest.Wait()
		logger.Warn("is abandoned")
		documentIn(t, dir, text(20))
		if err := d.manager.Reload(t.Context()); err == nil {
			t.Error("the former pipeline was ended")
		}
		err = d.end(newComplaints(&stderr, d.name), tally{received: 5}, nil)
		close(gate)
		if told := new(toldError); !errors.As(err, &told) || told.exit != exitLost || !strings.HasSuffix(stderr.String(), " received=5 written=3 refused=0 objects=0 dropped=2 connections=0\n") {
			t.Errorf("%v, %s", err, stderr.String())
		}
	})
}

// nobodyListens returns an address where a connection is refused.
func nobodyListens(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestPipe_followsItsDocument(t *testing.T) {
	dir := t.TempDir()
	stdin := pipeStdin(t)
	first, second := filepath.Join(dir, "1.log"), filepath.Join(dir, "2.log")
	document := documentIn(t, dir, fmt.Sprintf(fileDocument, first))
	r := startCommand(t, "pipe", "--config", document, "--watch", "10ms")
	fmt.Fprintln(stdin, "one")
	has(t, first, "one")
	put(t, document, fmt.Sprintf(fileDocument, second))
	r.says("slogworks pipe: config generation 2\n")
	fmt.Fprintln(stdin, "two")
	has(t, second, "two")
	put(t, document, strings.Replace(fmt.Sprintf(fileDocument, second), "kind: file", "kind: flie", 1)+"unknown: 1\n")
	r.says(`slogworks pipe: config refused, generation 2 stays: ` + document + `:3: handlers.all.kind: unknown kind "flie" (did you mean "file"?); ` + document + ":5: ")
	fmt.Fprintln(stdin, "three")
	has(t, second, "three")
	stdin.Close()
	code, stderr := r.wait()
	if code != 0 || !strings.HasSuffix(stderr, "slogworks pipe: received=3 written=3 refused=0 objects=0 dropped=0 connections=0\n") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if n := strings.Count(stderr, "config "); n != 2 {
		t.Errorf("%d lines about two changes: %s", n, stderr)
	}
	if text := content(t, first); strings.Contains(text, "two") {
		t.Errorf("the first file has %q", text)
	}
}

func TestPipe_countsOnceWhatAFormerPipelineLost(t *testing.T) {
	dir := t.TempDir()
	stdin := pipeStdin(t)
	net := fmt.Sprintf(`
  away: {kind: socket, address: "tcp://%s", backoff: {min: 1ms, max: 1ms}}
  net:  {kind: queue, to: away, retry: {min: 1ms, max: 1ms, max_elapsed: 2ms}}`, nobodyListens(t))
	file := fmt.Sprintf(`
  all:  {kind: file, path: %q}`, filepath.Join(dir, "all.log"))
	const begin, end = "version: 1\nhandlers:", "\nloggers: {slogworks.config: {level: error}}\n"
	document := documentIn(t, dir, begin+net+"\nroot: {to: [net]}"+end)
	r := startCommand(t, "pipe", "--config", document, "--watch", "10ms")
	fmt.Fprintln(stdin, "lost")
	r.says("handlers.net: ")
	put(t, document, begin+net+file+"\nroot: {to: [net, all]}"+end) // the queue stays
	r.says("config generation 2")
	put(t, document, begin+file+"\nroot: {to: [all]}"+end)
	r.says("config generation 3")
	fmt.Fprintln(stdin, "written")
	stdin.Close()
	code, stderr := r.wait()
	if code != 3 || !strings.Contains(stderr, "lost in handlers.net: failed=1\n") || !strings.Contains(stderr, " received=2 written=1 refused=0 objects=0 dropped=1 ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestPipe_isControlledOverHTTP(t *testing.T) {
	dir := t.TempDir()
	stdin := pipeStdin(t)
	all := filepath.Join(dir, "all.log")
	document := documentIn(t, dir, fmt.Sprintf(fileDocument, all))
	write(t, filepath.Join(dir, "token"), "secret\n")
	r := startCommand(t, "pipe", "--config", document, "--admin", "127.0.0.1:0", "--token-file", filepath.Join(dir, "token"))
	url := r.listening()
	ask := func(method, path, token, body string) (status int, answer string) {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+token)
		q.Header.Set("Content-Type", "application/json")
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	if status, answer := ask("GET", "/config", "", ""); status != 401 {
		t.Errorf("without the token: %d, %s", status, answer)
	}
	status, answer := ask("GET", "/config", "secret", "")
	var found struct {
		Handlers map[string]struct{ Kind, Path string }
	}
	if err := json.Unmarshal([]byte(answer), &found); status != 200 || err != nil || found.Handlers["all"].Path != all {
		t.Errorf("%d, %v: %s", status, err, answer)
	}
	if status, answer := ask("PUT", "/levels/a.b", "secret", `{"level":"error"}`); status != 200 {
		t.Errorf("%d, %s", status, answer)
	}
	fmt.Fprintln(stdin, `{"level":"WARN","msg":"hidden","logger":"a.b.c"}`)
	fmt.Fprintln(stdin, `{"level":"WARN","msg":"shown","logger":"a"}`)
	has(t, all, "WARN a shown")
	if status, answer := ask("PUT", "/config", "secret", strings.Replace(answer, "{msg}", "<{msg}>", 1)); status != 200 {
		t.Errorf("%d, %s", status, answer)
	}
	r.says("slogworks pipe: config generation 2\n")
	fmt.Fprintln(stdin, `{"level":"WARN","msg":"new","logger":"a.b"}`)
	has(t, all, "<new>")
	if code, stderr := r.end(); code != 0 || !strings.Contains(stderr, "received=3 written=3 ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if text := content(t, all); strings.Contains(text, "hidden") {
		t.Errorf("the file has %q", text)
	}
}

func TestNamesOf_haveTheMachinesWhereItIsAllOfThem(t *testing.T) {
	if names := namesOf("logs.example.org:80"); !slices.Equal(names, []string{"logs.example.org"}) {
		t.Errorf("the names are %q", names)
	}
	for _, address := range []string{"0.0.0.0:80", ":80", "[::]:80"} {
		if names := namesOf(address); !slices.Contains(names, "127.0.0.1") {
			t.Errorf("the names of %s are %q", address, names)
		}
	}
}

func TestReceive_takesADocument(t *testing.T) {
	dir := t.TempDir()
	all := filepath.Join(dir, "all.log")
	document := documentIn(t, dir, fmt.Sprintf(`version: 1
handlers:
  all:    {kind: file, path: %q, format: {layout: "{level} {msg} {attr:process}"}}
  behind: {kind: queue, to: all}
root: {to: [behind]}
loggers: {slogworks.config: {level: error}}
`, all))
	r := startCommand(t, "receive", "--config", document, "--listen", "tcp://127.0.0.1:0", "--watch", "10ms")
	url := r.listening()
	send(t, url, "one")
	has(t, all, "WARN one sender")
	put(t, document, strings.Replace(content(t, document), "{level} ", "level={level} ", 1))
	r.says("slogworks receive: config generation 2\n")
	send(t, url, "two")
	code, stderr := r.end()
	if code != 0 || !strings.HasSuffix(stderr, "slogworks receive: received=2 written=2 refused=0 objects=0 dropped=0 connections=2\n") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if got, want := content(t, all), "WARN one sender\nlevel=WARN two sender\n"; got != want {
		t.Errorf("the file has %q, want %q", got, want)
	}
}

func TestDocument_thatCannotRunIsTold(t *testing.T) {
	dir := t.TempDir()
	good := documentIn(t, dir, fmt.Sprintf(fileDocument, filepath.Join(dir, "all.log")))
	bad := filepath.Join(dir, "bad.yaml")
	put(t, bad, "version: 1\nhandlers:\n  a: {kind: flie}\n  b: {kind: file}\nroot: {to: [a, b]}\n")
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"mistakes are a line each": {[]string{"pipe", "--config", bad}, []string{
			"slogworks pipe: " + bad + `:3: handlers.a.kind: unknown kind "flie" (did you mean "file"?)` + "\n",
			"slogworks pipe: " + bad + ":4: handlers.b: needs path\n",
		}},
		"no document":      {[]string{"receive", "--config", filepath.Join(dir, "none.yaml")}, []string{"slogworks receive: ", "none.yaml", "no such file"}},
		"no input":         {[]string{"pipe", "--config", good, filepath.Join(dir, "none.log")}, []string{"slogworks pipe: ", "none.log", "no such file"}},
		"a taken address":  {[]string{"receive", "--config", good, "--listen", "tcp://" + taken(t)}, []string{"address already in use"}},
		"a taken --admin":  {[]string{"receive", "--config", good, "--listen", "tcp://127.0.0.1:0", "--admin", taken(t)}, []string{"--admin 127.0.0.1:0 takes any free port"}},
		"a taken --admin2": {[]string{"pipe", "--config", good, "--admin", taken(t)}, []string{"--admin 127.0.0.1:0 takes any free port"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := runArgs(t, test.args...)
			if code != 1 || stdout != "" || strings.Contains(stderr, "received=") {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("no %q in %q", want, stderr)
				}
			}
		})
	}
}

// taken returns an address that somebody else listens at.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestDocument_flagsThatDoNotFitAreUsageErrors(t *testing.T) {
	dir := t.TempDir()
	document := documentIn(t, dir, fmt.Sprintf(fileDocument, filepath.Join(dir, "all.log")))
	t.Setenv("SLOGWORKS_TOKEN", "")
	for _, test := range []struct{ args, want string }{
		{"pipe", "no --config"},
		{"pipe --config DOC --watch 0s", "not more than 0"},
		{"pipe --config DOC --admin 8080", "not HOST:PORT"},
		{"pipe --config DOC --admin 0.0.0.0:0", "it needs a token"},
		{"pipe --config DOC --admin 0.0.0.0:0 --allow-remote", "it needs a token"},
		{"pipe --config DOC - -", "twice"},
		{"pipe --confg DOC", "did you mean -config?"},
		{"pipe --config DOC DIR", "is a directory"},
		{"receive --config DOC --file all.log", "--file and --config together"},
		{"receive --config DOC --format text", "--format and --config together"},
		{"receive --watch 1s", "it needs --config"},
		{"receive --admin 127.0.0.1:0", "it needs --config"},
		{"receive --env HOME", "it needs --config"},
		{"config", "no command (there is check, schema)"},
		{"config chekc", "did you mean check?"},
		{"config check", "no file"},
		{"config schema x", `unexpected argument "x"`},
		{"mail flush", "no --config"},
		{"mail flush --config DOC x", `unexpected argument "x"`},
	} {
		args := strings.Fields(strings.NewReplacer("DOC", document, "DIR", dir).Replace(test.args))
		code, stdout, stderr := runArgs(t, args...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want %q", test.args, code, stdout, stderr, test.want)
		}
	}
	t.Setenv("SLOGWORKS_TOKEN", "secret")
	code, _, stderr := runArgs(t, "pipe", "--config", document, "--admin", "0.0.0.0:0")
	if code != 2 || !strings.Contains(stderr, "use --tls-cert and --tls-key, or --allow-remote") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestConfig_checkSaysEveryMistake(t *testing.T) {
	dir := t.TempDir()
	good, bad, none := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml"), filepath.Join(dir, "none.yaml")
	put(t, good, "version: 1\nhandlers:\n  a: {kind: redis, url: \"redis://127.0.0.1\", password: \"${PASS}\"}\nroot: {to: [a]}\n")
	put(t, bad, "version: 1\nhandlers:\n  q: {kind: queu, to: a}\n  a: {kind: discard, colour: 1}\nroot: {to: [q, a]}\n")
	t.Setenv("PASS", "x")
	code, stdout, stderr := runArgs(t, "config", "check", good, bad, none, "--env", "PASS")
	want := bad + `:3: handlers.q.kind: unknown kind "queu" (did you mean "queue"?)` + "\n" +
		bad + `:4: handlers.a.colour: unknown option "colour"`
	if code != 1 || stdout != good+": ok\n" || !strings.HasPrefix(stderr, want) || !strings.HasSuffix(stderr, "\n"+none+": no such file or directory\n") || strings.Count(stderr, "\n") != 3 {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if code, stdout, stderr := runArgs(t, "config", "check", "--env", "PASS", good); code != 0 || stdout != good+": ok\n" || stderr != "" {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if code, _, stderr := runArgs(t, "config", "check", good); code != 1 || !strings.Contains(stderr, "PASS") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}

func TestConfig_checkReadsNothingWithoutEnd(t *testing.T) {
	if _, err := os.Stat("/dev/zero"); err != nil {
		t.Skip(err)
	}
	if code, _, stderr := runArgs(t, "config", "check", "/dev/zero"); code != 1 || !strings.HasPrefix(stderr, "/dev/zero:") || len(stderr) > 1000 {
		t.Errorf("exit %d, stderr %.1000q", code, stderr)
	}
}

func TestConfig_schemaHasEveryKind(t *testing.T) {
	code, stdout, stderr := runArgs(t, "config", "schema")
	var schema map[string]any
	if err := json.Unmarshal([]byte(stdout), &schema); code != 0 || stderr != "" || err != nil {
		t.Fatalf("exit %d, %v, stderr %q", code, err, stderr)
	}
	for _, word := range []string{`"redis"`, `"mail"`, `"max_len"`, `"redislog"`, `"opportunistic"`, `"password_file"`, `"queue"`} {
		if !strings.Contains(stdout, word) {
			t.Errorf("no %s", word)
		}
	}
	if version, _ := schema["$schema"].(string); !strings.Contains(version, "2020-12") || !bytes.HasSuffix([]byte(stdout), []byte("}\n")) {
		t.Errorf("$schema is %q", version)
	}
}

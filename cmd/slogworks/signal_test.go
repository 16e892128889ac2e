package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram in the environment makes the test's binary the program, which takes
// less time than to build it. Its value is for how long signals mean the same.
const asProgram = "SLOGWORKS_TEST_IS_THE_PROGRAM"

func TestMain(m *testing.M) {
	if interval := os.Getenv(asProgram); interval != "" {
		var err error
		if sameWish, err = time.ParseDuration(interval); err != nil {
			panic(err)
		}
		main()
	}
	os.Exit(m.Run())
}

// process is the program in a process of its own.
type process struct {
	*exec.Cmd
	stdout, stderr output
	address        string // of the demo
}

// newProcess returns a process that is not started.
func newProcess(t *testing.T, sameWish time.Duration, args ...string) *process {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("signals cannot be sent on Windows")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.CommandContext(t.Context(), program, args...)}
	p.Env = append(os.Environ(), asProgram+"="+sameWish.String())
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	return p
}

// start starts the process, which ends with the test.
func (p *process) start(t *testing.T) {
	t.Helper()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // does nothing if it has ended
		p.Process.Kill()
		p.Wait()
	})
}

// startDemo starts a demo.
func startDemo(t *testing.T, sameWish time.Duration) *process {
	t.Helper()
	p := newProcess(t, sameWish, "demo", "-dir", t.TempDir())
	p.start(t)
	if !eventually(func() bool { return startLine.MatchString(p.stdout.String()) }) {
		t.Fatalf("no URL; stdout %q, stderr %q", p.stdout.String(), p.stderr.String())
	}
	url := startLine.FindStringSubmatch(p.stdout.String())[1]
	p.address = strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")
	return p
}

// listening waits until the process listens, and returns the URLs.
func (p *process) listening(t *testing.T, count int) (urls []string) {
	t.Helper()
	ready := regexp.MustCompile(`(?m)^slogworks \w+: listening (\S+)$`)
	if !eventually(func() bool { return len(ready.FindAllString(p.stderr.String(), -1)) == count }) {
		t.Fatalf("it does not listen: %q", p.stderr.String())
	}
	for _, m := range ready.FindAllStringSubmatch(p.stderr.String(), -1) {
		urls = append(urls, m[1])
	}
	return urls
}

// unread returns a file such as stdout is when nobody reads it any more.
func unread(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	t.Cleanup(func() { w.Close() })
	return w
}

// exit waits for the process and returns its exit status, which is -1 if a
// signal killed it.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	var failed *exec.ExitError
	if err := p.Wait(); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

func TestProgram_endsInOrderOnASignal(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			p := startDemo(t, time.Hour)
			if !eventually(func() bool { return strings.Contains(p.stderr.String(), "logger=shop.http") }) {
				t.Fatal("no request is logged")
			}
			p.Process.Signal(signal)
			if code := p.exit(t); code != 0 {
				t.Errorf("exit %d; want 0", code)
			}
			records := checkSummary(t, p.stdout.String(), p.stderr.String())
			last := records[len(records)-1]
			if last["msg"] != "shop closing" || last["because"] != "received "+signal.String() {
				t.Errorf("the last record is %v", last)
			}
		})
	}
}

// startHanging starts a demo and sends it a signal, after which it waits for
// the connection to be closed.
func startHanging(t *testing.T, sameWish time.Duration) (*process, net.Conn) {
	t.Helper()
	p := startDemo(t, sameWish)
	// A request that never ends keeps the demo from ending in order.
	hanging, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hanging.Close() })
	if _, err := hanging.Write([]byte("POST /orders HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 100) // 100 Continue: the shop waits for the order
	if n, err := hanging.Read(answer); err != nil || !bytes.Contains(answer[:n], []byte("100 Continue")) {
		t.Fatalf("%q, %v; want 100 Continue", answer[:n], err)
	}
	p.Process.Signal(os.Interrupt)
	if !eventually(func() bool { return strings.Contains(p.stderr.String(), "shop closing") }) {
		t.Fatal("the first signal does nothing")
	}
	return p, hanging
}

func TestProgram_endsAtOnceOnALaterSignal(t *testing.T) {
	p, _ := startHanging(t, 0)
	began := time.Now()
	p.Process.Signal(os.Interrupt)
	if code := p.exit(t); code != 130 {
		t.Errorf("exit %d after %v; want 130", code, time.Since(began))
	}
}

func TestProgram_takesSignalsTogetherForOne(t *testing.T) {
	p, hanging := startHanging(t, time.Hour)
	p.Process.Signal(syscall.SIGTERM)
	p.Process.Signal(os.Interrupt)
	hanging.Close()
	if code := p.exit(t); code != 0 {
		t.Errorf("exit %d; want 0", code)
	}
	checkSummary(t, p.stdout.String(), p.stderr.String())
}

func TestProgram_endsInOrderWhenNobodyReadsStdout(t *testing.T) {
	dir := t.TempDir()
	document := documentIn(t, dir, "version: 1\nhandlers:\n  screen: {kind: console, output: stdout}\n  behind: {kind: queue, to: screen}\nroot: {to: [behind]}\n")
	for name, args := range map[string][]string{
		"without a document":        {"receive", "--listen", "tcp://127.0.0.1:0"},
		"behind a queue of its own": {"receive", "--listen", "tcp://127.0.0.1:0", "--config", document},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProcess(t, time.Hour, args...)
			p.Stdout = unread(t)
			p.start(t)
			conn, err := net.Dial("tcp", strings.TrimPrefix(p.listening(t, 1)[0], "tcp://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintln(conn, `{"level":"WARN","msg":"unheard"}`)
			code, stderr := p.exit(t), p.stderr.String()
			const last = "slogworks receive: nobody reads stdout any more\n" +
				"slogworks receive: received=1 written=0 refused=0 objects=0 dropped=1 connections=1\n"
			if code != 1 || !strings.HasSuffix(stderr, last) {
				t.Errorf("exit %d: %s", code, stderr)
			}
		})
	}
}

func TestProgram_tellsByItsExitStatusWhatNobodyReadsOnStderr(t *testing.T) {
	dir := t.TempDir()
	document := documentIn(t, dir, "version: 1\nhandlers:\n  screen: {kind: console, output: stderr}\nroot: {to: [screen]}\n")
	write(t, filepath.Join(dir, "lines"), "lost\n")
	p := newProcess(t, time.Hour, "pipe", "--config", document, filepath.Join(dir, "lines"))
	p.Stderr = unread(t)
	p.start(t)
	if code := p.exit(t); code != 3 {
		t.Errorf("exit %d; want 3", code)
	}
}

func TestProgram_endsInOrderAtAHangup(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "app.log"), "line\n")
	for _, args := range [][]string{
		{"receive", "--listen", "tcp://127.0.0.1:0", "--file", filepath.Join(dir, "all.log")},
		{"live", "--http", "127.0.0.1:0", "--listen", "tcp://127.0.0.1:0"},
	} {
		t.Run(args[0], func(t *testing.T) {
			p := newProcess(t, 0, args...)
			p.start(t)
			send(t, p.listening(t, 1)[0], "before it")
			p.Process.Signal(syscall.SIGHUP)
			code, stderr := p.exit(t), p.stderr.String()
			if code != 0 || !strings.HasSuffix(stderr, "received=1 written=1 refused=0 objects=0 dropped=0 connections=1\n") {
				t.Errorf("exit %d: %s", code, stderr)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".*.lock")); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}

func TestProgram_goesOnAfterAHangupItWasToldToIgnore(t *testing.T) {
	p := newProcess(t, 0, "receive", "--listen", "tcp://127.0.0.1:0")
	p.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`, p.Path}, p.Args[1:]...)
	p.Path = "/bin/sh"
	p.start(t)
	url := p.listening(t, 1)[0]
	p.Process.Signal(syscall.SIGHUP)
	const records = 50 // which take longer than to stop listening
	for range records {
		send(t, url, "after it")
	}
	p.Process.Signal(syscall.SIGTERM)
	code, stderr := p.exit(t), p.stderr.String()
	if code != 0 || !strings.Contains(stderr, fmt.Sprintf("received=%d written=%[1]d ", records)) {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// While it ends, the document is not watched any more.
func TestProgram_endsInOrderInSpiteOfAHangup(t *testing.T) {
	dir := t.TempDir()
	document := documentIn(t, dir, fmt.Sprintf(fileDocument, filepath.Join(dir, "all.log")))
	p := newProcess(t, time.Hour, "receive", "--config", document, "--listen", "tcp://127.0.0.1:0", "--admin", "127.0.0.1:0")
	p.start(t)
	admin := strings.TrimPrefix(p.listening(t, 2)[0], "http://")
	hanging, err := net.Dial("tcp", admin)
	if err != nil {
		t.Fatal(err)
	}
	defer hanging.Close()
	fmt.Fprint(hanging, "PUT /config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
	if answer, err := bufio.NewReader(hanging).ReadString('\n'); !strings.Contains(answer, "100 Continue") {
		t.Fatalf("%q, %v; want 100 Continue", answer, err)
	}
	p.Process.Signal(syscall.SIGTERM)
	if !eventually(func() bool {
		conn, err := net.Dial("tcp", admin)
		if err == nil {
			conn.Close()
		}
		return err != nil
	}) {
		t.Fatal("it does not end")
	}
	p.Process.Signal(syscall.SIGHUP)
	hanging.Close()
	code, stderr := p.exit(t), p.stderr.String()
	if code != 0 || !strings.HasSuffix(stderr, "slogworks receive: received=0 written=0 refused=0 objects=0 dropped=0 connections=0\n") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

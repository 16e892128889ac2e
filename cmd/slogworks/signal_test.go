package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
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

// process is a demo that runs as a process of its own.
type process struct {
	*exec.Cmd
	stdout, stderr output
	address        string
}

func startProcess(t *testing.T, sameWish time.Duration) *process {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("signals cannot be sent on Windows")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.CommandContext(t.Context(), program, "demo", "-dir", t.TempDir())}
	p.Env = append(os.Environ(), asProgram+"="+sameWish.String())
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // does nothing if it has ended
		p.Process.Kill()
		p.Wait()
	})
	if !eventually(func() bool { return startLine.MatchString(p.stdout.String()) }) {
		t.Fatalf("no URL; stdout %q, stderr %q", p.stdout.String(), p.stderr.String())
	}
	url := startLine.FindStringSubmatch(p.stdout.String())[1]
	p.address = strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")
	return p
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
			p := startProcess(t, time.Hour)
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

// startHanging starts a process and sends it a signal, after which it waits for
// the connection to be closed.
func startHanging(t *testing.T, sameWish time.Duration) (*process, net.Conn) {
	t.Helper()
	p := startProcess(t, sameWish)
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

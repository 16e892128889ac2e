package main

import (
	"bytes"
	"errors"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// output is a writer that a test can read while a command writes to it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// full is a writer on a full disk.
type full struct{}

var errFull = errors.New("disk full")

func (full) Write([]byte) (int, error) { return 0, errFull }

// runArgs runs a command that ends by itself.
func runArgs(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	leavesNoGoroutine(t)
	var out, errOut output
	code = run(t.Context(), args, &out, &errOut)
	return code, out.String(), errOut.String()
}

// leavesNoGoroutine fails the test if it ends with more goroutines than now.
func leavesNoGoroutine(t *testing.T) {
	t.Helper()
	listensForSignals()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		if !eventually(func() bool { return runtime.NumGoroutine() <= before }) {
			stacks := make([]byte, 64<<10)
			t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
	})
}

// listensForSignals starts the goroutine that package signal keeps for ever.
var listensForSignals = sync.OnceFunc(func() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	signal.Stop(signals)
})

// eventually reports whether what it asks for comes true in time.
func eventually(ask func() bool) bool {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if ask() {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return ask()
}

func TestRun_mistakesAreUsageErrors(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{nil, `slogworks: no command (there is config, demo, live, mail, pipe, receive, version); see slogworks -h`},
		{[]string{"demmo"}, `slogworks: unknown command "demmo" (did you mean demo?); see slogworks -h`},
		{[]string{"dmeo", "-for", "1s"}, `slogworks: unknown command "dmeo" (did you mean demo?); see slogworks -h`},
		{[]string{"vresion"}, `slogworks: unknown command "vresion" (did you mean version?); see slogworks -h`},
		{[]string{"frobnicate"}, `slogworks: unknown command "frobnicate" (there is config, demo, live, mail, pipe, receive, version); see slogworks -h`},
		{[]string{"--verbose"}, `slogworks: unknown flag -verbose; see slogworks -h`},
		{[]string{"demo", "--htpp", "x"}, `slogworks demo: unknown flag -htpp (did you mean -http?); see slogworks demo -h`},
		{[]string{"demo", "-fro=1s"}, `slogworks demo: unknown flag -fro (did you mean -for?); see slogworks demo -h`},
		{[]string{"demo", "-duration=1s"}, `slogworks demo: unknown flag -duration (there is -dir, -for, -http); see slogworks demo -h`},
		{[]string{"demo", "-for"}, `slogworks demo: flag needs an argument: -for; see slogworks demo -h`},
		{[]string{"demo", "-for", "soon"}, `slogworks demo: invalid value "soon" for flag -for: not a duration such as 10s, 1h30m or 7d; see slogworks demo -h`},
		{[]string{"demo", "-for=0s"}, `slogworks demo: invalid value "0s" for flag -for: not more than 0; see slogworks demo -h`},
		{[]string{"demo", "-http", "0.0.0.0:0"}, `slogworks demo: invalid value "0.0.0.0:0" for flag -http: host "0.0.0.0" is not this machine alone; use 127.0.0.1, [::1] or localhost; see slogworks demo -h`},
		{[]string{"demo", "-http", ":8080"}, `slogworks demo: invalid value ":8080" for flag -http: host "" is not this machine alone; use 127.0.0.1, [::1] or localhost; see slogworks demo -h`},
		{[]string{"demo", "-http", "8080"}, `slogworks demo: invalid value "8080" for flag -http: not HOST:PORT, such as 127.0.0.1:0; see slogworks demo -h`},
		{[]string{"demo", "-http", "127.0.0.1:65536"}, `slogworks demo: invalid value "127.0.0.1:65536" for flag -http: port "65536" is not a number from 0 to 65535; see slogworks demo -h`},
		{[]string{"demo", "now"}, `slogworks demo: unexpected argument "now"; see slogworks demo -h`},
		{[]string{"version", "-x"}, `slogworks version: unknown flag -x; see slogworks version -h`},
		{[]string{"help", "demmo"}, `slogworks: unknown command "demmo" (did you mean demo?); see slogworks -h`},
		{[]string{"config", "check"}, `slogworks config: no file: name the documents, such as pipeline.yaml; see slogworks config check -h`},
		{[]string{"config", "schema", "2"}, `slogworks config: unexpected argument "2"; see slogworks config schema -h`},
		{[]string{"config", "chekc"}, `slogworks config: unknown command "chekc" (did you mean check?); see slogworks config -h`},
		{[]string{"mail", "flush", "-handlr", "a"}, `slogworks mail: unknown flag -handlr (did you mean -handler?); see slogworks mail flush -h`},
		{[]string{"mail", "status"}, `slogworks mail: no directory: name the spool, such as /var/spool/shop; see slogworks mail status -h`},
		{[]string{"version", "2"}, `slogworks version: unexpected argument "2"; see slogworks version -h`},
	}
	for _, tt := range tests {
		t.Run(strings.Join(append([]string{"slogworks"}, tt.args...), " "), func(t *testing.T) {
			code, stdout, stderr := runArgs(t, tt.args...)
			if code != 2 || stdout != "" || stderr != tt.want+"\n" {
				t.Errorf("exit %d, stdout %q, stderr:\n%swant exit 2 and:\n%s", code, stdout, stderr, tt.want)
			}
		})
	}
}

func TestRun_helpGoesToStdout(t *testing.T) {
	tests := []struct {
		args []string
		want []string
	}{
		{[]string{"-h"}, []string{"Usage: slogworks COMMAND", "\n  demo ", "\n  version "}},
		{[]string{"--help"}, []string{"Usage: slogworks COMMAND"}},
		{[]string{"help"}, []string{"Usage: slogworks COMMAND", "slogworks help COMMAND"}},
		{[]string{"help", "-h"}, []string{"Usage: slogworks COMMAND"}},
		{[]string{"help", "help"}, []string{"Usage: slogworks COMMAND"}},
		{[]string{"help", "live"}, []string{"Usage: slogworks live", "\n  -http HOST:PORT\n"}},
		{[]string{"help", "live", "--", "x"}, []string{"Usage: slogworks live"}},
		{[]string{"help", "mail", "flush"}, []string{"Usage: slogworks mail flush"}},
		{[]string{"demo", "-h"}, []string{"Usage: slogworks demo", "\n  -for DURATION\n", "\n  -http HOST:PORT\n", "\n  -dir DIRECTORY\n"}},
		{[]string{"demo", "-for", "1s", "--help"}, []string{"Usage: slogworks demo"}},
		{[]string{"live", "-h"}, []string{"Usage: slogworks live", "\n  -http HOST:PORT\n", "\n  -listen URL\n", "\n  -lines N\n"}},
		{[]string{"live", "-h"}, []string{"objects counts what Python programs", "!refused pathlib.PosixPath"}},
		{[]string{"pipe", "-h"}, []string{"below the level", "info unless it says", "not counted"}},
		{[]string{"live", "-h"}, []string{"\n  -redis URL\n", "\n  -channel NAME\n", "\n  -stream KEY\n"}},
		{[]string{"pipe", "-h"}, []string{"Usage: slogworks pipe --config FILE", "\n  -config FILE\n", "\n  -watch DURATION\n", "\n  -admin HOST:PORT\n", "\n  -env NAME\n", "\n  -token-file FILE\n"}},
		{[]string{"receive", "-h"}, []string{"Usage: slogworks receive", "\n  -config FILE\n", "\n  -watch DURATION\n", "\n  -admin HOST:PORT\n"}},
		{[]string{"config", "-h"}, []string{"Usage: slogworks config COMMAND", "check FILE...", "schema "}},
		{[]string{"config", "check", "-h"}, []string{"Usage: slogworks config check", "\n  -env NAME\n"}},
		{[]string{"config", "schema", "-h"}, []string{"Usage: slogworks config schema"}},
		{[]string{"mail", "-h"}, []string{"Usage: slogworks mail COMMAND", "status DIRECTORY", "flush --config FILE"}},
		{[]string{"mail", "status", "-h"}, []string{"Usage: slogworks mail status DIRECTORY"}},
		{[]string{"mail", "flush", "-h"}, []string{"Usage: slogworks mail flush", "\n  -config FILE\n", "\n  -handler NAME\n", "\n  -now\n", "\n  -env NAME\n"}},
		{[]string{"version", "--h"}, []string{"Usage: slogworks version"}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(append([]string{"slogworks"}, tt.args...), " "), func(t *testing.T) {
			code, stdout, stderr := runArgs(t, tt.args...)
			if code != 0 || stderr != "" {
				t.Errorf("exit %d, stderr %q; want 0 and nothing", code, stderr)
			}
			for _, want := range tt.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("no %q in:\n%s", want, stdout)
				}
			}
		})
	}
}

func TestRun_failsIfStdoutDoes(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"version"}, {"demo", "-h"}, {"config", "schema"}, {"demo", "-dir", t.TempDir()}, {"live", "-http", "127.0.0.1:0"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			leavesNoGoroutine(t)
			var stderr output
			if code := run(t.Context(), args, full{}, &stderr); code != 1 {
				t.Errorf("exit %d; want 1", code)
			}
			if !strings.Contains(stderr.String(), errFull.Error()) {
				t.Errorf("stderr does not say why: %q", stderr.String())
			}
		})
	}
}

func TestVersion(t *testing.T) {
	code, stdout, stderr := runArgs(t, "version")
	if code != 0 || stderr != "" {
		t.Errorf("exit %d, stderr %q; want 0 and nothing", code, stderr)
	}
	line := regexp.MustCompile(`^slogworks \S+ ` + regexp.QuoteMeta(runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH) + `\n$`)
	if !line.MatchString(stdout) {
		t.Errorf("got %q; want one line like %v", stdout, line)
	}
}

func TestCheckLoopback(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "127.1.2.3:80", "[::1]:0", "localhost:65535", "LOCALHOST:1"} {
		if err := checkLoopback(address); err != nil {
			t.Errorf("%s is refused: %v", address, err)
		}
	}
	for _, address := range []string{"", ":0", "0.0.0.0:0", "[::]:0", "10.0.0.1:80", "example.com:80", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:-1", "127.0.0.1:", "localhost.example.com:80"} {
		if checkLoopback(address) == nil {
			t.Errorf("%s is accepted", address)
		}
	}
}

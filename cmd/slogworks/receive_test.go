package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/sinks/socket"
)

// startReceive runs slogworks receive and returns the URLs it listens at, and
// what ends it and returns its exit status and stderr.
func startReceive(t *testing.T, stdout io.Writer, args ...string) (urls []string, end func() (code int, stderr string)) {
	t.Helper()
	leavesNoGoroutine(t)
	ctx, cancel := context.WithCancel(t.Context())
	var stderr output
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, append([]string{"receive"}, args...), stdout, &stderr) }()
	end = func() (int, string) {
		cancel()
		code := <-ended
		ended <- code
		return code, stderr.String()
	}
	t.Cleanup(func() { end() })
	ready := regexp.MustCompile(`(?m)^slogworks receive: listening (\S+)$`)
	want := max(1, strings.Count(strings.Join(args, " "), "--listen"))
	if !eventually(func() bool { return len(ready.FindAllString(stderr.String(), -1)) == want || len(ended) > 0 }) || len(ended) > 0 {
		t.Fatalf("it does not listen: %s", stderr.String())
	}
	for _, m := range ready.FindAllStringSubmatch(stderr.String(), -1) {
		urls = append(urls, m[1])
	}
	return urls, end
}

// send sends a record and waits until the receiver has it.
func send(t *testing.T, url, message string) {
	t.Helper()
	h := socket.New(url, &socket.Options{Ack: strings.HasPrefix(url, "tcp") || strings.HasPrefix(url, "unix:"), Process: "sender"})
	r := slog.NewRecord(time.Now(), slog.LevelWarn, message, 0)
	r.AddAttrs(slog.Int("n", 7))
	if err := h.Handle(t.Context(), r); err != nil {
		t.Error(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

func TestReceive_writesAFileAndASummary(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "all.log")
	urls, end := startReceive(t, io.Discard, "--file", file,
		"--listen", "tcp://127.0.0.1:0", "--listen", "unix://"+filepath.Join(dir, "sock"))
	for _, url := range urls {
		send(t, url, "hello from "+url)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(urls[0], "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	conn.Close()

	code, stderr := end()
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	const summary = "slogworks receive: received=3 written=2 refused=1 objects=0 dropped=0 connections=3\n"
	if !strings.HasSuffix(stderr, summary) {
		t.Errorf("stderr does not end with %q:\n%s", summary, stderr)
	}
	if !regexp.MustCompile(`(?m)^slogworks receive: refused 127\.0\.0\.1:\d+ not-a-frame: .+$`).MatchString(stderr) {
		t.Errorf("the refusal is not told:\n%s", stderr)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var messages []string
	for line := range strings.Lines(string(content)) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record["level"] != "WARN" || record["process"] != "sender" || record["n"] != 7.0 {
			t.Errorf("a record is %s", line)
		}
		messages = append(messages, record["msg"].(string))
	}
	if len(messages) != 2 || messages[0] != "hello from "+urls[0] || messages[1] != "hello from "+urls[1] {
		t.Errorf("the messages are %q", messages)
	}
	if _, err := os.Stat(filepath.Join(dir, "sock")); err == nil {
		t.Error("the socket is left")
	}
}

func TestReceive_hasItsFileAlone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "made", "all.log")
	args := []string{"--file", file, "--listen", "tcp://127.0.0.1:0"}
	for range 2 { // the lock ends with the receiver
		_, end := startReceive(t, io.Discard, args...)
		code, _, stderr := runArgs(t, append([]string{"receive"}, args...)...)
		if want := "slogworks receive: " + file + " is in use by another slogworks receive\n"; code != 1 || stderr != want {
			t.Errorf("exit %d, stderr %q; want %q", code, stderr, want)
		}
		if code, stderr := end(); code != 0 {
			t.Errorf("exit %d: %s", code, stderr)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	link, target := filepath.Join(dir, "link.log"), filepath.Join(dir, "target.log")
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err) // Windows may not let everybody
	}
	startReceive(t, io.Discard, "--file", link, "--listen", "tcp://127.0.0.1:0")
	for _, name := range []string{link, target} { // of a file that was not there before
		code, _, stderr := runArgs(t, "receive", "--file", name, "--listen", "tcp://127.0.0.1:0")
		if code != 1 || !strings.Contains(stderr, " is in use ") {
			t.Errorf("%s: exit %d, stderr %q", name, code, stderr)
		}
	}
	if code, _, stderr := runArgs(t, "receive", "--file", dir); code != 1 || strings.Count(stderr, "is a directory") != 1 {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestReceive_takesSyslogAndHTTP(t *testing.T) {
	var stdout output
	socketPath := filepath.Join(t.TempDir(), "log")
	args := []string{"--listen", "syslog+udp://127.0.0.1:0", "--listen", "syslog+tcp://127.0.0.1:0", "--listen", "http://127.0.0.1:0/log"}
	if runtime.GOOS != "windows" {
		args = append(args, "--listen", "syslog+unixgram://"+socketPath)
	}
	urls, end := startReceive(t, &stdout, args...)
	dial := func(network, url string) net.Conn {
		t.Helper()
		_, address, _ := strings.Cut(url, "://")
		conn, err := net.Dial(network, address)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	conns := []net.Conn{dial("udp", urls[0]), dial("tcp", urls[1])}
	if len(urls) > 3 {
		conns = append(conns, dial("unixgram", urls[3]))
	}
	for _, conn := range conns {
		if _, err := io.WriteString(conn, "<11>by "+conn.RemoteAddr().Network()+"\n"); err != nil {
			t.Error(err)
		}
		conn.Close()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, post := range []struct {
		url    string
		status int
	}{{urls[2], 204}, {urls[2] + "/elsewhere", 404}} {
		response, err := client.Post(post.url, "application/json", strings.NewReader(`{"level":"error","msg":"by http"}`))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != post.status {
			t.Errorf("%s: %s", post.url, response.Status)
		}
	}
	if !eventually(func() bool { return strings.Count(stdout.String(), `"level":"ERROR"`) == len(urls) }) {
		t.Errorf("not all is there:\n%s", stdout.String())
	}
	code, stderr := end()
	summary := fmt.Sprintf("slogworks receive: received=%d written=%d refused=1 objects=0 dropped=0 connections=3\n", len(urls)+1, len(urls))
	if code != 0 || !strings.HasSuffix(stderr, summary) {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if !regexp.MustCompile(`(?m)^slogworks receive: refused 127\.0\.0\.1:\d+ bad-path: .+$`).MatchString(stderr) {
		t.Errorf("the refusal is not told like others:\n%s", stderr)
	}
	if _, err := os.Lstat(socketPath); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket of datagrams is left: %v", err)
	}
}

func TestReceive_writesTextToStdout(t *testing.T) {
	var stdout output
	urls, end := startReceive(t, &stdout, "--format", "text", "--level", "warn", "--listen", "tcp://127.0.0.1:0")
	send(t, urls[0], "hello")
	if code, stderr := end(); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if !strings.Contains(stdout.String(), " level=WARN msg=hello ") {
		t.Errorf("stdout is %q", stdout.String())
	}
}

func TestReceive_countsWhatItsFileLost(t *testing.T) {
	urls, end := startReceive(t, full{}, "--listen", "tcp://127.0.0.1:0")
	send(t, urls[0], "hello")
	code, stderr := end()
	if code != 3 || !strings.Contains(stderr, " received=1 written=0 refused=0 objects=0 dropped=1 ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestReceive_takesTheSocketOfADeadProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if code, _, stderr := runArgs(t, "receive", "--listen", "unix://"+path); code != 1 || !strings.Contains(stderr, path) {
		t.Errorf("of a living one: exit %d, %s", code, stderr)
	}
	l.Close()
	urls, end := startReceive(t, io.Discard, "--listen", "unix://"+path)
	send(t, urls[0], "hello")
	if code, stderr := end(); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestReceive_mistakesAreUsageErrors(t *testing.T) {
	for _, test := range []struct {
		args string
		want string
	}{
		{"--listen tpc://127.0.0.1:1", "did you mean tcp?"},
		{"--listen 127.0.0.1:1", "not a URL"},
		{"--listen tcp://127.0.0.1", "tcp://HOST:PORT"},
		{"--listen tcp://127.0.0.1:x", "not a URL"},
		{"--listen unix://x", "unix:///PATH"},
		{"--listen tcp://0.0.0.0:0", "--allow-remote"},
		{"--listen tcp://me:hush@127.0.0.1:0", "--token-file"},
		{"--listen udp://127.0.0.1:0?bind=1", "?QUERY"},
		{"--listen unix:///run/a#b", "#FRAGMENT"},
		{"--token-file=", "empty"},
		{"--file=", "empty"},
		{"--config=", "empty"},
		{"--listen http://127.0.0.1:0", "http://HOST:PORT/PATH"},
		{"--listen syslog+unixgram://x", "syslog+unixgram:///PATH"},
		{"--max-size 0", "not more than 0"},
		{"--listen tls://127.0.0.1:0", "--tls-cert"},
		{"--tls-cert x", "--tls-key"},
		{"--max-size 10XB", "not a size"},
		{"--max-frame 16MiB", "--max-frame"},
		{"--max-conns 0", "-max-conns: not a number from 1 to "},
		{"--keep 0 --file x", "-keep: not a number from 1 to "},
		{"--keep 3", "--keep needs --file"},
		{"--compress", "--compress needs --file"},
		{"--daily", "--daily needs --file"},
		{"--max-size 1MiB", "--max-size needs --file"},
		{"--level lout", "lout"},
		{"--format jsn", "did you mean json?"},
		{"--idle-timeout never", "not a duration"},
		{"all.log", `unexpected argument "all.log"`},
	} {
		code, stdout, stderr := runArgs(t, append([]string{"receive"}, strings.Fields(test.args)...)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want %q", test.args, code, stdout, stderr, test.want)
		}
	}
}

func TestComplaints_areTenInASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w output
		c := newComplaints(&w, "it")
		for range 25 {
			c.tell(&socket.Refusal{Peer: "peer", Reason: "bad", Detail: "a\nb"})
		}
		time.Sleep(2 * time.Second) // in a bubble, which has time of its own
		c.tell(errors.New("later"))
		c.stop()
		c.tell(errors.New("too late"))
		want := strings.Repeat("it: refused peer bad: a?b\n", 10) + "it: and 15 more\nit: later\n"
		if w.String() != want {
			t.Errorf("got\n%s", w.String())
		}
	})
}

func TestReceive_leavesASocketOfAnotherKindAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no unixgram on Windows")
	}
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if code, _, stderr := runArgs(t, "receive", "--listen", "unix://"+path); code != 1 || !strings.Contains(stderr, path+" is in use") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatalf("it is gone: %v", err)
	}
	conn.Close()
}

func TestReceive_wantsATokenThatIsOne(t *testing.T) {
	t.Setenv("SLOGWORKS_TOKEN", " \n")
	if code, _, stderr := runArgs(t, "receive", "--listen", "tcp://127.0.0.1:0"); code != 1 || !strings.Contains(stderr, "SLOGWORKS_TOKEN") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	t.Setenv("SLOGWORKS_TOKEN", "secret\n")
	if token, err := readToken(""); err != nil || token != "secret" {
		t.Errorf("%q, %v", token, err)
	}
}

func TestInlets_shutdownDoesNotWaitForAHandlerThatHangs(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	in := &inlets{receivers: []receiver{{shutdown: func(ctx context.Context) error { return ctx.Err() }}}}
	hanging := make(chan struct{})
	in.serving.Go(func() { <-hanging }) // as ServePacket does
	if err := in.shutdown(over); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	close(hanging)
}

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/live"
)

// anyServer trusts the certificates of tests.
var anyServer = &tls.Config{InsecureSkipVerify: true}

var livePage = regexp.MustCompile(`^slogworks live: page (https?://\S+/)\?token=(\S+)\n$`)

// viewer is a slogworks live that runs until it is ended.
type viewer struct {
	t              *testing.T
	url, token     string
	listening      []string
	stdout, stderr output
	cancel         context.CancelFunc
	ended          chan struct{}
	code           int
}

func startLive(t *testing.T, args ...string) *viewer {
	t.Helper()
	leavesNoGoroutine(t)
	if !slices.Contains(args, "--http") {
		args = append([]string{"--http", "127.0.0.1:0"}, args...)
	}
	ctx, cancel := context.WithCancel(t.Context())
	v := &viewer{t: t, cancel: cancel, ended: make(chan struct{})}
	go func() {
		v.code = run(ctx, append([]string{"live"}, args...), &v.stdout, &v.stderr)
		close(v.ended)
	}()
	t.Cleanup(func() { v.end() })
	ready := regexp.MustCompile(`(?m)^slogworks live: listening (\S+)$`)
	want := strings.Count(strings.Join(args, " "), "--listen")
	if !eventually(func() bool {
		return livePage.MatchString(v.stdout.String()) && len(ready.FindAllString(v.stderr.String(), -1)) == want
	}) {
		t.Fatalf("it does not start: %q, %q", v.stdout.String(), v.stderr.String())
	}
	page := livePage.FindStringSubmatch(v.stdout.String())
	v.url, v.token = page[1], page[2]
	for _, m := range ready.FindAllStringSubmatch(v.stderr.String(), -1) {
		v.listening = append(v.listening, m[1])
	}
	return v
}

func (v *viewer) end() (code int, stderr string) {
	v.cancel()
	<-v.ended
	return v.code, v.stderr.String()
}

// shown is a record on the page.
type shown struct {
	Message string    `json:"m"`
	Level   int       `json:"l"`
	Logger  string    `json:"n"`
	Host    string    `json:"h"`
	Process string    `json:"p"`
	PID     int       `json:"pid"`
	Time    time.Time `json:"t"`
}

func (v *viewer) records() []shown {
	v.t.Helper()
	var answer struct{ Records []shown }
	if err := json.Unmarshal([]byte(asked(v.t, v.url, v.token, "records?limit=1000")), &answer); err != nil {
		v.t.Fatal(err)
	}
	return answer.Records
}

// until waits for the messages.
func (v *viewer) until(want ...string) []shown {
	v.t.Helper()
	var all []shown
	var got []string
	if !eventually(func() bool {
		all, got = v.records(), nil
		for _, r := range all {
			got = append(got, r.Message)
		}
		return slices.Equal(got, want)
	}) {
		v.t.Fatalf("the messages are %q, want %q\n%s", got, want, v.stderr.String())
	}
	return all
}

func (v *viewer) sources() (all []live.Source) {
	v.t.Helper()
	var stats struct{ Sources []live.Source }
	if err := json.Unmarshal([]byte(asked(v.t, v.url, v.token, "stats")), &stats); err != nil {
		v.t.Fatal(err)
	}
	return stats.Sources
}

func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// pipeStdin puts a pipe in the place of stdin.
func pipeStdin(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin := os.Stdin
	os.Stdin = r
	t.Cleanup(func() {
		os.Stdin = stdin
		r.Close()
		w.Close()
	})
	return w
}

func TestLive_showsEverySource(t *testing.T) {
	stdin := pipeStdin(t)
	file := filepath.Join(t.TempDir(), "app.log")
	write(t, file, `{"time":"2026-01-02T03:04:05Z","level":"WARN","msg":"in the file","logger":"a.b"}`+"\n")
	v := startLive(t, file, "-", "--listen", "tcp://127.0.0.1:0")
	v.until("in the file")
	send(t, v.listening[0], "from a socket")
	v.until("in the file", "from a socket")
	fmt.Fprintln(stdin, "ERROR on stdin")
	v.until("in the file", "from a socket", "ERROR on stdin")
	io.WriteString(stdin, "the last half line")
	stdin.Close()
	all := v.until("in the file", "from a socket", "ERROR on stdin", "the last half line")

	if r := all[0]; r.Level != 4 || r.Logger != "a.b" || r.Process != "app.log" || r.Host != "" || r.Time.Year() != 2026 {
		t.Errorf("the record of the file is %+v", r)
	}
	if r := all[1]; r.Level != 4 || r.Process != "sender" || r.Host == "" || r.PID != os.Getpid() {
		t.Errorf("the record of the socket is %+v", r)
	}
	if r := all[2]; r.Level != 8 || r.Process != "stdin" || time.Since(r.Time) > time.Minute {
		t.Errorf("the record of stdin is %+v", r)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(v.listening[0], "tcp://")); err != nil {
		t.Error(err)
	} else {
		io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	if !eventually(func() bool { return !v.sources()[2].Connected }) {
		t.Error("stdin seems not to have ended")
	}
	want := []live.Source{
		{Source: v.listening[0], Connected: true, Received: 2, Refused: map[string]uint64{"not-a-frame": 1}},
		{Source: file, Connected: true, Received: 1},
		{Source: "stdin", Received: 2},
	}
	for i, got := range v.sources() {
		if got.Source != want[i].Source || got.Connected != want[i].Connected || got.Received != want[i].Received ||
			got.Refused["not-a-frame"] != want[i].Refused["not-a-frame"] {
			t.Errorf("source %+v, want %+v", got, want[i])
		}
	}
	code, stderr := v.end()
	const summary = "slogworks live: received=5 written=4 refused=1 objects=0 dropped=0 connections=2\n"
	if code != 0 || !strings.HasSuffix(stderr, summary) || !strings.Contains(stderr, "slogworks live: refused 127.0.0.1:") ||
		!strings.Contains(stderr, "slogworks live: end of stdin") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if _, err := http.Get(v.url); err == nil {
		t.Error("the page still answers")
	}
}

func TestLive_tellsOnceThatRedisIsDown(t *testing.T) {
	const password = "hush%21"
	v := startLive(t, "--redis", "redis://elva:"+password+"@"+nobodyListens(t)+"/1?dial_timeout=1s", "--channel", "her*", "--stream", "log", "--listen", "tcp://127.0.0.1:0")
	if !eventually(func() bool { return strings.Contains(v.stderr.String(), "slogworks live: redis: ") }) {
		t.Fatalf("nothing is told: %s", v.stderr.String())
	}
	send(t, v.listening[0], "others are shown")
	v.until("others are shown")
	source := v.sources()[1]
	if !regexp.MustCompile(`^redis://127\.0\.0\.1:\d+/1 channel her\*, stream log$`).MatchString(source.Source) || source.Connected {
		t.Errorf("the source is %+v", source)
	}
	stats := asked(t, v.url, v.token, "stats")
	code, stderr := v.end()
	if code != 0 || strings.Count(stderr, "redis") != 1 || !strings.Contains(stderr, "refused; it is tried again until it works\n") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if all := v.stdout.String() + stderr + stats; strings.Contains(all, "hush") {
		t.Errorf("the password is told: %s", all)
	}
}

func TestLive_mistakesAboutRedisAreUsageErrors(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"--channel a", "name it by --redis"},
		{"--stream a", "name it by --redis"},
		{"--redis http://:hush@127.0.0.1", "--redis: redis: the URL has another scheme"},
		{"--redis redis://:hush/@127.0.0.1", "--redis: redis: the URL cannot be read"},
		{"--redis redis://:hush@127.0.0.1/x", "--redis: redis: the URL has a host, a database number"},
		{"--redis redis://127.0.0.1 --channel=", "empty"},
	} {
		code, stdout, stderr := runArgs(t, append([]string{"live"}, strings.Fields(test.args)...)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 || strings.Contains(stderr, "hush") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want %q", test.args, code, stdout, stderr, test.want)
		}
	}
}

func TestLive_endsWhileABrowserAndStdinAreOpen(t *testing.T) {
	pipeStdin(t)
	v := startLive(t, "-")
	r, _ := http.NewRequestWithContext(t.Context(), "GET", v.url+"events", nil)
	r.Header.Set("Authorization", "Bearer "+v.token)
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if code, stderr := v.end(); code != 0 || !strings.Contains(stderr, "received=0 ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if events, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(events), "event: hello") {
		t.Errorf("%q, %v", events, err)
	}
}

func TestLive_takesFlagsBehindFilesAndTheTokenGiven(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "token"), "secret\n")
	write(t, filepath.Join(dir, "a.log"), "1\n2\n3\n")
	t.Setenv("SLOGWORKS_TOKEN", "another")
	v := startLive(t, filepath.Join(dir, "a.log"), "--lines", "2", "--token-file", filepath.Join(dir, "token"), "--host", "logs.example", "--backlog", "3")
	if v.token != "secret" {
		t.Errorf("the token is %s", v.token)
	}
	v.until("2", "3")
	write(t, filepath.Join(dir, "a.log"), "4\n5\n")
	v.until("3", "4", "5") // those that are kept
	for host, want := range map[string]int{"logs.example": 200, "evil.example": 403} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", v.url+"stats", nil)
		r.Host = host
		r.Header.Set("Authorization", "Bearer secret")
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %s", host, response.Status)
		}
	}
}

// writeCertificate writes one for 127.0.0.1.
func writeCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	server, _ := peertest.Certificate()
	return peertest.WriteCertificate(t, server)
}

// parsedLive is what live would do, without doing it.
func parsedLive(args string) (*liveFlags, error) {
	return parseLive(strings.Fields(args), io.Discard)
}

func TestLive_isForThisMachineUnlessTold(t *testing.T) {
	cert, key := writeCertificate(t)
	encrypted := " --tls-cert " + cert + " --tls-key " + key
	for args, ok := range map[string]bool{
		"--http 0.0.0.0:0":                  false,
		"--http :0":                         false,
		"--http 0.0.0.0:0 --allow-remote":   true,
		"--http 0.0.0.0:0" + encrypted:      true,
		"--http [::1]:0":                    true,
		"--http localhost:0":                true,
		"--listen tcp://0.0.0.0:0":          false,
		"--listen syslog+udp://0.0.0.0:0":   false,
		"--listen http://0.0.0.0:0/log":     false,
		"--listen tcp://[::1]:0":            true,
		"--listen syslog+unixgram:///dev/x": true,
	} {
		if _, err := parsedLive(args); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "--allow-remote") {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestLive_announcesAnAddressThatIsOne(t *testing.T) {
	for args, want := range map[string]string{
		"":                                "127.0.0.1",
		"--http localhost:0":              "localhost",
		"--http 0.0.0.0:0 --allow-remote": "127.0.0.1",
		"--http :0 --allow-remote --host logs.example": "logs.example",
		"--http logs.example:0 --allow-remote":         "logs.example",
	} {
		o, err := parsedLive(args)
		if err != nil {
			t.Fatal(err)
		}
		host := o.pageHost()
		if host != want {
			t.Errorf("%s: %s, want %s", args, host, want)
		}
		hub := o.newHub(nil)
		r := httptest.NewRequest("GET", "http://"+host+"/?token="+hub.Token(), nil)
		w := httptest.NewRecorder()
		if hub.ServeHTTP(w, r); w.Code != http.StatusSeeOther {
			t.Errorf("%s: that address is answered with %d: %s", args, w.Code, w.Body)
		}
	}
}

func TestLive_speaksTLSWhereOthersCanReachIt(t *testing.T) {
	cert, key := writeCertificate(t)
	v := startLive(t, "--http", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", cert, "--host", "127.0.0.1")
	if !strings.HasPrefix(v.url, "https://127.0.0.1:") {
		t.Fatalf("the page is %s", v.url)
	}
	v.until()
}

func TestLive_mistakesAreUsageErrors(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"--lnies 3", "did you mean -lines?"},
		{"--host=", "empty"},
		{"--lines -1", "-lines: not a number from 0 to "},
		{"--lines 1e3", "-lines: not a number from 0 to "},
		{"--backlog 0", "-backlog: not a number from 1 to "},
		{"--rate -1", "-rate: not a number from 0 to "},
		{"--http 8514", "not HOST:PORT"},
		{"--http 127.0.0.1:65536", "port"},
		{"--listen tcp://0.0.0.0:0", "--allow-remote"},
		{"--listen syslog+upd://127.0.0.1:0", "did you mean syslog+udp?"},
		{"--listen http://127.0.0.1:0", "http://HOST:PORT/PATH"},
		{"--listen syslog+tcp://127.0.0.1:0/x", "syslog+tcp://HOST:PORT"},
		{"--listen tls://127.0.0.1:0", "--tls-cert"},
		{"a.log --max-conns 0", "-max-conns: "},
		{t.TempDir(), "is a directory"},
	} {
		code, stdout, stderr := runArgs(t, append([]string{"live"}, strings.Fields(test.args)...)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want %q", test.args, code, stdout, stderr, test.want)
		}
	}
}

func TestLive_saysWhatToDoIfThePortIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, args := range [][]string{
		{"--http", taken.Addr().String()},
		{"--http", "127.0.0.1:0", "--listen", "tcp://" + taken.Addr().String()},
	} {
		code, stdout, stderr := runArgs(t, append([]string{"live"}, args...)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, taken.Addr().String()) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
		}
	}
}

func TestLive_opensTheBrowser(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the browser that is opened here is a shell script")
	}
	dir := t.TempDir()
	name := browserCommand(runtime.GOOS, "").Args[0]
	script := "#!/bin/sh\necho \"$@\" > " + filepath.Join(dir, "opened.new") + "\nmv " + filepath.Join(dir, "opened.new") + " " + filepath.Join(dir, "opened") + "\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	v := startLive(t, "--open")
	var opened []byte
	if !eventually(func() (ok bool) {
		var err error
		opened, err = os.ReadFile(filepath.Join(dir, "opened"))
		return err == nil
	}) {
		t.Fatalf("nothing was opened: %s", v.stderr.String())
	}
	if want := v.url + "?token=" + url.QueryEscape(v.token) + "\n"; string(opened) != want {
		t.Errorf("opened %q, want %q", opened, want)
	}
	v.end()

	t.Setenv("PATH", t.TempDir())
	v = startLive(t, "--open")
	if !eventually(func() bool { return strings.Contains(v.stderr.String(), "--open: "+name) }) {
		t.Errorf("it does not say that it cannot: %s", v.stderr.String())
	}
}

func TestBrowserCommand(t *testing.T) {
	for goos, want := range map[string]string{
		"linux": "xdg-open URL", "freebsd": "xdg-open URL", "darwin": "open URL", "windows": "rundll32 url.dll,FileProtocolHandler URL",
	} {
		if got := strings.Join(browserCommand(goos, "URL").Args, " "); got != want {
			t.Errorf("%s: %s", goos, got)
		}
	}
}

func TestStdinFeed_publishesNothingOnceItHasReturned(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	f := &stdinFeed{feed: feed{hub: live.New(nil)}, in: r, tell: func(error) {}}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	f.run(over)
	f.line([]byte("which a terminal gave later"), false)
	if n := f.state().Received; n != 0 {
		t.Errorf("%d were received", n)
	}
}

func TestRoomFor(t *testing.T) {
	for records, want := range map[int]int{1: 16 << 20, 20_000: 20_000 << 10, math.MaxInt: math.MaxInt &^ 1023} {
		if got := roomFor(records); got != want {
			t.Errorf("%d: %d, want %d", records, got, want)
		}
	}
}

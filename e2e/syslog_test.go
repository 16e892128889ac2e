package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/syslog"
)

// rsyslogd is one that reads everything and writes what it makes of it as lines
// of JSON.
type rsyslogd struct {
	program, dir  string
	udp, tcp, tls int // ports
	cert          certificate
	process       *exec.Cmd
	output        bytes.Buffer
}

func startRsyslogd(t *testing.T) *rsyslogd {
	t.Helper()
	d := &rsyslogd{program: real.Program(t, "rsyslogd", "/usr/sbin/rsyslogd"), cert: newCertificate(t)}
	// The path of a socket must not be long.
	dir, err := os.MkdirTemp("", "rsyslogd")
	if err != nil {
		t.Fatal(err)
	}
	d.dir = dir
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ports := freePorts(t, 3)
	d.udp, d.tcp, d.tls = ports[0], ports[1], ports[2]
	config := fmt.Sprintf(`
global(workDirectory=%[1]q
	defaultNetstreamDriverCAFile=%[5]q defaultNetstreamDriverCertFile=%[5]q defaultNetstreamDriverKeyFile=%[6]q)
module(load="imudp")
module(load="imtcp")
module(load="imuxsock" sysSock.use="off")
input(type="imudp" address="127.0.0.1" port="%[2]d")
input(type="imtcp" address="127.0.0.1" port="%[3]d")
input(type="imtcp" address="127.0.0.1" port="%[4]d" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
input(type="imuxsock" socket="%[1]s/log" rateLimit.interval="0")
template(name="json" type="list") {
	constant(value="{")
	property(outname="severity" name="syslogseverity" format="jsonf") constant(value=",")
	property(outname="facility" name="syslogfacility-text" format="jsonf") constant(value=",")
	property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf") constant(value=",")
	property(outname="host" name="hostname" format="jsonf") constant(value=",")
	property(outname="app" name="app-name" format="jsonf") constant(value=",")
	property(outname="proc" name="procid" format="jsonf") constant(value=",")
	property(outname="id" name="msgid" format="jsonf") constant(value=",")
	property(outname="data" name="structured-data" format="jsonf") constant(value=",")
	property(outname="msg" name="msg" format="jsonf")
	constant(value="}\n")
}
action(type="omfile" file="%[1]s/out" template="json")
`, dir, d.udp, d.tcp, d.tls, d.cert.certFile, d.cert.keyFile)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start(t)
	t.Cleanup(func() { d.stop(t) })
	return d
}

// start runs the daemon until it listens.
func (d *rsyslogd) start(t *testing.T) {
	t.Helper()
	d.process = exec.Command(d.program, "-n", "-f", filepath.Join(d.dir, "conf"), "-i", filepath.Join(d.dir, "pid"))
	d.process.Dir = d.dir
	d.process.Stdout, d.process.Stderr = &d.output, &d.output
	d.process.WaitDelay = time.Second
	if err := d.process.Start(); err != nil {
		t.Fatal(err)
	}
	for _, port := range []int{d.tcp, d.tls} {
		d.wait(t, "it listens", func() bool {
			conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
			if err != nil {
				return false
			}
			_ = conn.Close()
			return true
		})
	}
	d.wait(t, "the socket is there", func() bool {
		_, err := os.Stat(filepath.Join(d.dir, "log"))
		return err == nil
	})
}

// stop ends the daemon in order.
func (d *rsyslogd) stop(t *testing.T) {
	t.Helper()
	if d.process == nil {
		return
	}
	_ = d.process.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(20*time.Second, func() { _ = d.process.Process.Kill() })
	defer timer.Stop()
	if err := d.process.Wait(); err != nil {
		t.Errorf("rsyslogd: %v\n%s", err, &d.output)
	}
	d.process = nil
}

func (d *rsyslogd) wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if !real.Eventually(ok) {
		lines, _ := os.ReadFile(filepath.Join(d.dir, "out"))
		t.Fatalf("%s: not in time, with\n%s", what, lines[max(0, len(lines)-2000):])
	}
}

// message is what rsyslogd has made of one.
type message struct {
	Severity, Facility, Time, Host, App, Proc, ID, Data, Msg string
}

// messages returns what was written when there are n, the oldest first.
func (d *rsyslogd) messages(t *testing.T, n int) []message {
	t.Helper()
	var lines []byte
	d.wait(t, fmt.Sprint(n, " messages"), func() bool {
		var err error
		if lines, err = os.ReadFile(filepath.Join(d.dir, "out")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return bytes.Count(lines, []byte("\n")) >= n
	})
	var all []message
	for line := range bytes.Lines(lines) {
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, m)
	}
	if len(all) != n {
		t.Fatalf("%d messages, want %d:\n%s", len(all), n, lines)
	}
	return all
}

// nastyText is what must not become two messages.
const nastyText = "first line\n<34>1 2026-01-02T12:00:00Z evil su - - - forged\n58 <34>1 - - - - - - forged\x00<34>forged \"quoted\" [brackets] \\ na\u00efve \u2603"

func TestSyslog_rsyslogdReadsOneMessagePerRecord(t *testing.T) {
	d := startRsyslogd(t)
	read := strings.NewReplacer("\n", "#012", "\x00", "#000").Replace(nastyText)
	n := 0
	for name, test := range map[string]struct {
		target string
		opts   syslog.Options
	}{
		"udp":                     {fmt.Sprint("udp://127.0.0.1:", d.udp), syslog.Options{}},
		"tcp":                     {fmt.Sprint("tcp://127.0.0.1:", d.tcp), syslog.Options{}},
		"tcp by lines":            {fmt.Sprint("tcp://127.0.0.1:", d.tcp), syslog.Options{Framing: syslog.LF}},
		"tls":                     {fmt.Sprint("tls://127.0.0.1:", d.tls), syslog.Options{TLS: d.cert.trust}},
		"tcp by RFC 3164":         {fmt.Sprint("tcp://127.0.0.1:", d.tcp), syslog.Options{Format: syslog.RFC3164}},
		"a socket by RFC 3164":    {"unixgram://" + d.dir + "/log", syslog.Options{Format: syslog.RFC3164}},
		"tcp, RFC 3164, by lines": {fmt.Sprint("tcp://127.0.0.1:", d.tcp), syslog.Options{Format: syslog.RFC3164, Framing: syslog.LF}},
	} {
		t.Run(name, func(t *testing.T) {
			test.opts.Hostname, test.opts.AppName, test.opts.ProcID, test.opts.Facility = "web1", "shop", "7", syslog.Local3
			h := syslog.New(test.target, &test.opts)
			defer h.Close()
			logger := slogworks.Named(slog.New(h), "shop.db").WithGroup("request")
			logger.Warn(nastyText, "k", nastyText, "bad key=]\"", 1)
			logger.Error("second")
			if a := h.Account(); a.Delivered != 2 {
				t.Fatalf("the account is %+v", a)
			}
			n += 2
			got := d.messages(t, n)[n-2:]
			for i := range got {
				if at, err := time.Parse(time.RFC3339Nano, got[i].Time); err != nil || time.Since(at) > time.Hour || time.Since(at) < -time.Second {
					t.Errorf("the time is %q", got[i].Time)
				}
				got[i].Time = ""
				got[i].Msg = strings.TrimPrefix(got[i].Msg, "\ufeff") // rsyslogd keeps it
			}
			host := "web1"
			if strings.HasPrefix(test.target, "unix") {
				host, _ = os.Hostname()
				got[0].Host, got[1].Host = host, host // as the daemon knows it
			}
			want := []message{
				{"4", "local3", "", host, "shop", "7", "-", `[slog@32473 logger="shop.db" request.k="` + escapeSD(read) + `" request.bad_key___="1"]`, read},
				{"3", "local3", "", host, "shop", "7", "-", `[slog@32473 logger="shop.db"]`, "second"},
			}
			if test.opts.Format == syslog.RFC3164 {
				for i := range want {
					want[i].Data, want[i].ID = "-", "-"
					got[i].Msg = strings.TrimPrefix(got[i].Msg, " ") // rsyslogd keeps the blank after the tag
				}
				quoted := strconv.Quote(read)
				if test.opts.Framing != syslog.LF {
					quoted = strconv.Quote(strings.ReplaceAll(nastyText, "\x00", "#000"))
				}
				want[0].Msg += ` logger=shop.db request.k=` + quoted + ` request.bad_key___=1`
				want[1].Msg += ` logger=shop.db`
			}
			if !slices.Equal(got, want) {
				t.Errorf("rsyslogd reads\n%+q\nwant\n%+q", got, want)
			}
		})
	}
}

func escapeSD(s string) string {
	return strings.NewReplacer(`"`, `\"`, `\`, `\\`, `]`, `\]`).Replace(s)
}

// rsyslogd takes 8096 bytes, and cuts or splits what goes beyond.
func TestSyslog_rsyslogdGetsNoMoreThanItTakes(t *testing.T) {
	d := startRsyslogd(t)
	n := 0
	for _, target := range []string{fmt.Sprint("udp://127.0.0.1:", d.udp), fmt.Sprint("tcp://127.0.0.1:", d.tcp)} {
		for _, framing := range []syslog.Framing{syslog.Octet, syslog.LF} {
			h := syslog.New(target, &syslog.Options{Framing: framing})
			logger := slog.New(h)
			logger.Info(strings.Repeat("\u2603", 10_000), "k", "kept")
			logger.Info("the message", "long", strings.Repeat(`"]`, 10_000))
			if err := h.Close(); err != nil {
				t.Error(err)
			}
			n += 2
			got := d.messages(t, n)[n-2:]
			if m := got[0]; !strings.HasSuffix(m.Msg, "\u2603!truncated") || !strings.Contains(m.Data, ` k="kept" !truncated="30`) || len(m.Msg) < 6000 {
				t.Errorf("rsyslogd reads %+v", m)
			}
			if m := got[1]; m.Msg != "the message" || !strings.Contains(m.Data, `!truncated" !truncated="40`) || len(m.Data) < 4000 {
				t.Errorf("rsyslogd reads %+v", m)
			}
		}
	}
}

// A daemon that restarts loses nothing of what was logged while it was away.
func TestSyslog_rsyslogdRestarts(t *testing.T) {
	for name, target := range map[string]func(d *rsyslogd) (string, syslog.Options){
		"tcp": func(d *rsyslogd) (string, syslog.Options) {
			return fmt.Sprint("tcp://127.0.0.1:", d.tcp), syslog.Options{}
		},
		"tls": func(d *rsyslogd) (string, syslog.Options) {
			return fmt.Sprint("tls://127.0.0.1:", d.tls), syslog.Options{TLS: d.cert.trust}
		},
		"socket": func(d *rsyslogd) (string, syslog.Options) {
			return "unixgram://" + d.dir + "/log", syslog.Options{Format: syslog.RFC3164}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := startRsyslogd(t)
			to, opts := target(d)
			opts.Backoff = slogworks.Backoff{Min: time.Millisecond, Max: 50 * time.Millisecond}
			q := queue.New(syslog.New(to, &opts), &queue.Options{Capacity: 10_000, Retry: slogworks.Backoff{Min: time.Millisecond, Max: 50 * time.Millisecond}})
			logger := slog.New(q)
			n := 0
			log := func(records int) {
				for range records {
					logger.Info(fmt.Sprint("message ", n))
					n++
				}
			}
			log(1000)
			d.messages(t, n) // what it has in its hands when it ends, nobody knows
			d.stop(t)
			// What is written before the sink has noticed is lost, too.
			d.wait(t, "the sink notices", func() bool {
				return !strings.Contains(peertest.Stacks(), "outlet.(*link).watch")
			})
			log(1000)
			d.start(t)
			log(1000)
			if err := slogworks.Shutdown(t.Context(), q); err != nil {
				t.Fatal(err)
			}
			for i, m := range d.messages(t, n) {
				if strings.TrimPrefix(m.Msg, " ") != fmt.Sprint("message ", i) {
					t.Fatalf("message %d is %q", i, m.Msg)
				}
			}
			for _, a := range slogworks.Books(q) {
				if a.Accepted != uint64(n) || a.Delivered != uint64(n) {
					t.Errorf("the account is %+v", a)
				}
			}
		})
	}
}

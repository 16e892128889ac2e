package syslog_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/syslog"
)

// daemon reads messages as their framing divides them, and nothing else.
type daemon struct {
	target string
	stop   func()

	mu       sync.Mutex
	messages []string
	conns    []net.Conn
	running  sync.WaitGroup
}

// newDaemon serves a scheme of New's on the loopback interface until the end of
// the test. The address is that of a daemon that has stopped, or empty.
func newDaemon(t testing.TB, scheme, address string, framing syslog.Framing) *daemon {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
		if scheme == "unix" || scheme == "unixgram" {
			address = socketFile(t)
		}
	}
	d := new(daemon)
	switch scheme {
	case "udp", "unixgram":
		p, err := net.ListenPacket(scheme, address)
		if err != nil {
			t.Fatal(err)
		}
		d.target = scheme + "://" + p.LocalAddr().String()
		d.stop = func() { _ = p.Close() }
		d.running.Go(func() {
			b := make([]byte, 1<<17)
			for {
				n, _, err := p.ReadFrom(b)
				if err != nil {
					return
				}
				d.add(string(b[:n]))
			}
		})
	default:
		network := scheme
		if scheme == "tls" {
			network = "tcp"
		}
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		d.target = scheme + "://" + l.Addr().String()
		d.stop = func() {
			_ = l.Close()
			d.hangUp()
		}
		server, _ := loopback()
		d.running.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				if scheme == "tls" {
					conn = tls.Server(conn, server)
				}
				d.mu.Lock()
				d.conns = append(d.conns, conn)
				d.mu.Unlock()
				d.running.Go(func() { d.read(conn, framing) })
			}
		})
	}
	t.Cleanup(func() {
		d.stop()
		d.running.Wait()
	})
	return d
}

// hangUp closes the connections.
func (d *daemon) hangUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range d.conns {
		_ = conn.Close()
	}
	d.conns = nil
}

func (d *daemon) connections() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

func (d *daemon) read(conn net.Conn, framing syslog.Framing) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		if framing == syslog.LF {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			d.add(strings.TrimSuffix(line, "\n"))
			continue
		}
		length, err := r.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(length, " "))
		if err != nil || n <= 0 || n > 1<<20 {
			d.add("not a length: " + length)
			return
		}
		message := make([]byte, n)
		if _, err := io.ReadFull(r, message); err != nil {
			return
		}
		d.add(string(message))
	}
}

func (d *daemon) add(message string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.messages = append(d.messages, message)
}

func (d *daemon) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.messages...)
}

// await returns the messages when there are n.
func (d *daemon) await(t testing.TB, n int) []string {
	t.Helper()
	peertest.WaitFor(t, fmt.Sprintf("%d messages", n), func() bool { return len(d.all()) >= n })
	messages := d.all()
	if len(messages) != n {
		t.Fatalf("%d messages, want %d: %q", len(messages), n, messages)
	}
	return messages
}

// socketFile returns a path that is short enough for a socket.
func socketFile(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// loopback is made once, so that all that newHandler returns trust all daemons.
var loopback = sync.OnceValues(peertest.Certificate)

// newHandler returns a handler that is closed at the end of the test, and whose
// failures do not keep it waiting.
func newHandler(t testing.TB, to string, opts syslog.Options) *syslog.Handler {
	t.Helper()
	if opts.Hostname == "" {
		opts.Hostname, opts.AppName, opts.ProcID = "web1", "shop", "7"
	}
	if opts.Backoff.Min == 0 {
		opts.Backoff.Min, opts.Backoff.Max = time.Millisecond, 10*time.Millisecond
	}
	if opts.TLS == nil && strings.HasPrefix(to, "tls:") {
		_, opts.TLS = loopback()
	}
	h := syslog.New(to, &opts)
	peertest.ShutdownAtEnd(t, h)
	return h
}

// param is a parameter of structured data.
type param struct{ name, value string }

// strict is a message as RFC 5424, section 6, has it.
type strict struct {
	facility, severity               int
	stamp, host, app, proc, id, sdID string
	params                           []param
	message                          string
}

// parseStrict takes nothing that the grammar does not allow, but for the control
// characters that it leaves to the receiver.
func parseStrict(text string) (m strict, err error) {
	at := 0
	fail := func(what string) (strict, error) {
		return strict{}, fmt.Errorf("offset %d: want %s in %q", at, what, text)
	}
	end := strings.IndexByte(text, '>')
	if end < 2 || end > 4 || text[0] != '<' {
		return fail("a priority")
	}
	pri, err := strconv.Atoi(text[1:end])
	if err != nil || pri > 191 || text[1] == '0' && end > 2 {
		return fail("a priority")
	}
	m.facility, m.severity = pri/8, pri%8
	at = end + 1
	words := []*string{new(string), &m.stamp, &m.host, &m.app, &m.proc, &m.id}
	for i, limit := range []int{3, 32, 255, 48, 128, 32} {
		n := strings.IndexByte(text[at:], ' ')
		if n < 1 || n > limit {
			return fail("a word")
		}
		*words[i] = text[at : at+n]
		if strings.IndexFunc(*words[i], func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
			return fail("printable ASCII")
		}
		at += n + 1
	}
	if *words[0] != "1" {
		return fail("version 1")
	}
	if m.stamp != "-" {
		if _, err := time.Parse("2006-01-02T15:04:05.999999Z07:00", m.stamp); err != nil {
			return fail("a time")
		}
	}
	isName := func(s string) bool {
		return 0 < len(s) && len(s) <= 32 && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`="]`, r) }) < 0
	}
	switch {
	case strings.HasPrefix(text[at:], "-"):
		at++
	case strings.HasPrefix(text[at:], "["):
		at++
		n := strings.IndexAny(text[at:], " ]")
		if n < 0 || !isName(text[at:at+n]) {
			return fail("an SD-ID")
		}
		m.sdID = text[at : at+n]
		at += n
		for text[at] == ' ' {
			at++
			n := strings.Index(text[at:], `="`)
			if n < 0 || !isName(text[at:at+n]) {
				return fail("a parameter")
			}
			p := param{name: text[at : at+n]}
			at += n + 2
			var value strings.Builder
			for {
				if at >= len(text) {
					return fail("the end of a value")
				}
				c := text[at]
				if c == '"' {
					break
				}
				if c == ']' {
					return fail("a backslash before ]")
				}
				if c == '\\' {
					at++
					if at >= len(text) || strings.IndexByte(`"\]`, text[at]) < 0 {
						return fail("what a backslash may stand before")
					}
					c = text[at]
				}
				value.WriteByte(c)
				at++
			}
			p.value = value.String()
			if !utf8.ValidString(p.value) {
				return fail("UTF-8")
			}
			m.params = append(m.params, p)
			at++
			if at >= len(text) {
				return fail("the end of the element")
			}
		}
		if text[at] != ']' {
			return fail("the end of the element")
		}
		at++
	default:
		return fail("structured data")
	}
	if at == len(text) {
		return m, nil
	}
	if text[at] != ' ' {
		return fail("a space")
	}
	at++
	message, isMarked := strings.CutPrefix(text[at:], "\ufeff")
	if !utf8.ValidString(message) || !isMarked && strings.IndexFunc(message, func(r rune) bool { return r > '~'+1 }) >= 0 {
		return fail("UTF-8 behind a byte order mark")
	}
	m.message = message
	return m, nil
}

func mustParse(t testing.TB, text string) strict {
	t.Helper()
	m, err := parseStrict(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

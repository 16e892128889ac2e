package mail_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/buffer/mail"
	"github.com/slogworks/slogworks/internal/peertest"
)

// act is what a server does in place of what it should.
type act struct {
	reply string // answer with this line
	hang  bool   // answer nothing until the client goes away
	cut   bool   // close the connection
}

func reply(line string) act { return act{reply: line} }

var (
	hang = act{hang: true}
	cut  = act{cut: true}
)

// script is a server's behaviour. The keys of acts are greeting, EHLO, HELO,
// STARTTLS, handshake, AUTH, MAIL, DATA, body, end, QUIT, and an address for RCPT.
type script struct {
	acts       map[string]act
	extensions []string // besides STARTTLS
	noTLS      bool     // does not offer STARTTLS
	implicit   bool     // encrypts from the start
	users      map[string]string
}

// received is a mail that the server has taken.
type received struct {
	from    string
	to      []string
	content []byte
}

// server is an SMTP server on 127.0.0.1 that follows a script.
type server struct {
	script
	listener net.Listener
	wg       sync.WaitGroup
	closed   chan struct{}

	mu       sync.Mutex
	conns    map[net.Conn]bool
	accepted int
	mails    []received
	lines    []string      // commands, in order
	hangs    chan struct{} // one for each act that hangs
}

// newServer returns a server that ends with the test. Examples, which have no t,
// close it themselves.
func newServer(t testing.TB, s script) *server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	srv := &server{
		script: s, listener: listener, closed: make(chan struct{}),
		conns: map[net.Conn]bool{}, hangs: make(chan struct{}, 100),
	}
	srv.wg.Go(srv.accept)
	if t != nil {
		t.Cleanup(srv.close)
	}
	return srv
}

// close ends the server; what hangs ends too.
func (s *server) close() {
	s.mu.Lock()
	select {
	case <-s.closed:
		s.mu.Unlock()
		return
	default:
	}
	close(s.closed)
	s.listener.Close()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.accepted++
		s.conns[conn] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			(&dialogue{server: s, raw: conn, conn: conn}).run()
			conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
	}
}

// config returns a Config that reaches the server and trusts it.
func (s *server) config() mail.Config {
	host, port, _ := net.SplitHostPort(s.listener.Addr().String())
	cfg := mail.Config{
		Host:      host,
		TLSConfig: trusting.Clone(),
		From:      "Shop <shop@example.com>",
		To:        []string{"ops@example.com"},
		HELO:      "client.example.com",
	}
	fmt.Sscan(port, &cfg.Port)
	switch {
	case s.implicit:
		cfg.TLS = mail.Implicit
	case s.noTLS:
		cfg.TLS = mail.Plaintext
	}
	return cfg
}

func (s *server) received() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

func (s *server) commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

func (s *server) connections() (accepted, open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted, len(s.conns)
}

// dialogue is one connection.
type dialogue struct {
	*server
	raw, conn net.Conn
	in        *bufio.Reader
	encrypted bool
	mail      received
}

// do carries out the act for a key, if there is one, or says line. It reports
// whether the dialogue goes on.
func (d *dialogue) do(key, line string) (goOn bool) {
	a, ok := d.acts[key]
	if !ok {
		a = reply(line)
	}
	switch {
	case a.cut:
		return false
	case a.hang:
		d.hangs <- struct{}{}
		io.Copy(io.Discard, d.raw) // until the client closes
		return false
	}
	if a.reply == "" {
		return true
	}
	_, err := io.WriteString(d.conn, a.reply+"\r\n")
	return err == nil
}

// failed reports whether the script has d refuse key.
func (d *dialogue) failed(key string) bool { return d.acts[key].reply != "" }

func (d *dialogue) encrypt() bool {
	if !d.do("handshake", "") {
		return false
	}
	conn := tls.Server(d.raw, trusted)
	if conn.Handshake() != nil {
		return false
	}
	d.conn, d.encrypted = conn, true
	d.in = bufio.NewReader(conn)
	return true
}

func (d *dialogue) run() {
	d.in = bufio.NewReader(d.conn)
	if d.implicit && !d.encrypt() {
		return
	}
	if !d.do("greeting", "220 test ESMTP") || d.failed("greeting") {
		return
	}
	for {
		command, err := d.in.ReadString('\n')
		if err != nil {
			return
		}
		command = strings.TrimRight(command, "\r\n")
		d.mu.Lock()
		d.lines = append(d.lines, command)
		d.mu.Unlock()
		verb, rest, _ := strings.Cut(command, " ")
		if !d.answer(strings.ToUpper(verb), rest) {
			return
		}
	}
}

func (d *dialogue) answer(verb, rest string) bool {
	switch verb {
	case "EHLO":
		lines := append([]string{"test"}, d.extensions...)
		if !d.noTLS && !d.implicit && !d.encrypted {
			lines = append(lines, "STARTTLS")
		}
		for i, line := range lines {
			sep := "-"
			if i == len(lines)-1 {
				sep = " "
			}
			lines[i] = "250" + sep + line
		}
		return d.do(verb, strings.Join(lines, "\r\n"))
	case "STARTTLS":
		return d.do(verb, "220 go on") && (d.failed(verb) || d.encrypt())
	case "AUTH":
		return d.auth(rest)
	case "MAIL":
		d.mail = received{from: rest}
		return d.do(verb, "250 ok")
	case "RCPT":
		address := strings.TrimSuffix(strings.TrimPrefix(rest, "TO:<"), ">")
		if !d.failed(address) {
			d.mail.to = append(d.mail.to, address)
		}
		return d.do(address, "250 ok")
	case "DATA":
		return d.do(verb, "354 go on") && (d.failed(verb) || d.data())
	case "QUIT":
		d.do(verb, "221 bye")
		return false
	}
	return d.do(verb, "250 ok")
}

func (d *dialogue) data() bool {
	if a := d.acts["body"]; a.cut || a.hang {
		d.in.ReadString('\n')
		return d.do("body", "")
	}
	var content bytes.Buffer
	for {
		line, err := d.in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		content.WriteString(strings.TrimPrefix(line, "."))
	}
	d.mail.content = content.Bytes()
	if _, ok := d.acts["end"]; !ok {
		d.mu.Lock()
		d.mails = append(d.mails, d.mail)
		d.mu.Unlock()
	}
	return d.do("end", "250 taken")
}

// auth knows PLAIN and LOGIN.
func (d *dialogue) auth(rest string) bool {
	if _, ok := d.acts["AUTH"]; ok {
		return d.do("AUTH", "")
	}
	mechanism, initial, _ := strings.Cut(rest, " ")
	var user, password string
	decode := func(s string) string {
		b, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
		return string(b)
	}
	switch mechanism {
	case "PLAIN":
		parts := strings.Split(decode(initial), "\x00")
		if len(parts) == 3 {
			user, password = parts[1], parts[2]
		}
	case "LOGIN":
		for i, prompt := range []string{"Username:", "Password:"} {
			fmt.Fprintf(d.conn, "334 %s\r\n", base64.StdEncoding.EncodeToString([]byte(prompt)))
			line, err := d.in.ReadString('\n')
			if err != nil {
				return false
			}
			if i == 0 {
				user = decode(line)
			} else {
				password = decode(line)
			}
		}
	}
	if want, ok := d.users[user]; !ok || want != password {
		return d.do("AUTH", "535 5.7.8 no")
	}
	return d.do("AUTH", "235 ok")
}

// trusted is the configuration of all servers, and trusting that of their clients.
var trusted, trusting = peertest.Certificate()

// newHandler returns a Handler that sends to the server, whose Config change may
// change.
func newHandler(t testing.TB, s *server, change func(*mail.Config)) *mail.Handler {
	t.Helper()
	cfg := s.config()
	if change != nil {
		change(&cfg)
	}
	h, err := mail.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// generous is a limit for what must end soon.
func generous(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

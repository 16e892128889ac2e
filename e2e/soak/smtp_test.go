package soak_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// postOffice takes mails by as much of SMTP as that needs (RFC 5321).
type postOffice struct {
	listener net.Listener
	down     atomic.Bool // connections are closed at once
	open     sync.WaitGroup

	mu    sync.Mutex
	mails map[string]int // by Message-ID
}

func newPostOffice(t *testing.T) *postOffice {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &postOffice{listener: listener, mails: map[string]int{}}
	p.open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.open.Go(func() {
				defer conn.Close()
				if !p.down.Load() {
					conn.SetDeadline(time.Now().Add(10 * time.Second))
					p.talk(conn)
				}
			})
		}
	})
	return p
}

func (p *postOffice) talk(conn net.Conn) {
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, 1<<20)
	fmt.Fprint(conn, "220 ready\r\n")
	for lines.Scan() {
		verb, _, _ := strings.Cut(strings.ToUpper(lines.Text()), " ")
		switch verb {
		case "EHLO":
			fmt.Fprint(conn, "250-here\r\n250 8BITMIME\r\n")
		case "DATA":
			fmt.Fprint(conn, "354 go on\r\n")
			p.keep(lines)
			fmt.Fprint(conn, "250 kept\r\n")
		case "QUIT":
			fmt.Fprint(conn, "221 bye\r\n")
			return
		default:
			fmt.Fprint(conn, "250 fine\r\n")
		}
	}
}

func (p *postOffice) keep(lines *bufio.Scanner) {
	id := ""
	for lines.Scan() && lines.Text() != "." {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && id == "" && strings.EqualFold(name, "Message-ID") {
			id = strings.TrimSpace(value)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mails[id]++
}

func (p *postOffice) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

func (p *postOffice) close() {
	p.listener.Close()
	p.open.Wait()
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// mailbox is an SMTP server (RFC 5321) that keeps what it gets, so that the
// demo's mail goes to nobody.
type mailbox struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu    sync.Mutex
	mails [][]byte
}

// openMailbox returns a mailbox at a free port of this machine.
func openMailbox() (*mailbox, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &mailbox{listener: listener}
	m.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			m.serving.Go(func() { m.serve(conn) })
		}
	})
	return m, nil
}

func (m *mailbox) port() int { return m.listener.Addr().(*net.TCPAddr).Port }

// close returns what came in.
func (m *mailbox) close() [][]byte {
	m.listener.Close()
	m.serving.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mails
}

// serve answers one client, which hears nothing when it does what no client of
// the demo does.
func (m *mailbox) serve(conn net.Conn) {
	c := textproto.NewConn(conn)
	defer c.Close()
	_ = conn.SetDeadline(time.Now().Add(grace))
	answer := "220 slogworks demo"
	for {
		if err := c.PrintfLine("%s", answer); err != nil {
			return
		}
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(line, " "); strings.ToUpper(verb) {
		case "QUIT":
			_ = c.PrintfLine("221 bye") // the last word to who has left
			return
		case "DATA":
			if err := c.PrintfLine("354 end with a dot"); err != nil {
				return
			}
			content, err := c.ReadDotBytes()
			if err != nil {
				return
			}
			m.mu.Lock()
			m.mails = append(m.mails, content)
			m.mu.Unlock()
			answer = "250 kept"
		case "EHLO", "HELO", "MAIL", "RCPT", "RSET", "NOOP":
			answer = "250 OK"
		default:
			answer = "502 not known here"
		}
	}
}

// plainText returns the subject and the text of a mail.
func plainText(content []byte) (subject, text string, err error) {
	message, err := netmail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		return "", "", err
	}
	subject, err = new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
	if err != nil {
		return "", "", err
	}
	text, err = plainPart(textproto.MIMEHeader(message.Header), message.Body)
	return subject, text, err
}

var errNoText = errors.New("no text/plain")

// plainPart returns the first text/plain in what has the header.
func plainPart(header textproto.MIMEHeader, body io.Reader) (string, error) {
	mediaType, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return "", err
	}
	if mediaType == "text/plain" {
		if strings.EqualFold(header.Get("Content-Transfer-Encoding"), "quoted-printable") {
			body = quotedprintable.NewReader(body)
		}
		text, err := io.ReadAll(body)
		return string(text), err
	}
	if !strings.HasPrefix(mediaType, "multipart/") {
		return "", errNoText
	}
	for parts := multipart.NewReader(body, params["boundary"]); ; {
		part, err := parts.NextRawPart()
		if err != nil {
			return "", fmt.Errorf("%w: %w", errNoText, err)
		}
		if text, err := plainPart(part.Header, part); !errors.Is(err, errNoText) {
			return text, err
		}
	}
}

package httpsink

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/internal/stage"
)

// maxHead is how many bytes the head of a request may have, and so a query, and
// maxLines how many lines.
const (
	maxHead  = 32 << 10
	maxLines = 256
)

// quiet is how long a Shutdown waits for the request of a new connection.
const quiet = 100 * time.Millisecond

// Serve answers requests of HTTP/1 on connections that it accepts, and closes l in
// the end. A head of more than 32 KiB, and so a longer query, gets the answer 431
// of [http.Server], one of more than 256 lines, and what is no HTTP, gets 400, and
// none is counted. It blocks until Shutdown or Close, and then returns [ErrClosed],
// or until l fails.
func (r *Receiver) Serve(l net.Listener) error {
	r.init()
	stage.Require("httpsink", r.Handler)
	server := &http.Server{
		Handler:           r,
		ReadHeaderTimeout: r.limits.FrameTimeout,
		WriteTimeout:      r.limits.FrameTimeout, // begins anew with the answer
		IdleTimeout:       r.limits.IdleTimeout,
		MaxHeaderBytes:    maxHead,
		ErrorLog:          log.New(io.Discard, "", 0), // what peers do wrong
		ConnState:         r.track,
	}
	r.mu.Lock()
	isClosed := r.closed
	if !isClosed {
		r.servers = append(r.servers, server)
	}
	r.mu.Unlock()
	if isClosed {
		_ = l.Close()
		return ErrClosed
	}
	accept := &gate{Listener: l, r: r, tls: intake.ServerTLS(r.TLS)}
	if accept.tls != nil {
		// Without the protocols of HTTP/2, of which one connection has many
		// requests at once.
		accept.tls.NextProtos = []string{"http/1.1"}
	}
	if err := server.Serve(accept); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("httpsink: accept: %w", err)
	}
	return ErrClosed
}

// track notes which connections have sent something, and where a head begins.
func (r *Receiver) track(conn net.Conn, state http.ConnState) {
	c := conn.(*admitted)
	switch state {
	case http.StateActive:
		r.mu.Lock()
		defer r.mu.Unlock()
		c.isFresh = false
	case http.StateIdle:
		c.inHead, c.lines = true, 0
	}
}

// gate closes connections that are too many, and knows those that there are.
type gate struct {
	net.Listener
	r   *Receiver
	tls *tls.Config
}

func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		// net/http would do the handshake of a *tls.Conn, and read it itself.
		c := &admitted{Conn: conn, r: g.r, isFresh: true, inHead: true}
		if g.tls != nil {
			c.Conn = tls.Server(conn, g.tls)
		}
		if g.r.admit(c) {
			return c, nil
		}
		_ = conn.Close()
		g.r.refuse(intake.AddressOf(conn.RemoteAddr()), refuse(tooManyConns, "there are %d", g.r.limits.MaxConns))
	}
}

// admitted is a connection that is counted until it is closed.
type admitted struct {
	net.Conn
	r       *Receiver
	isFresh bool // no request has come; under the lock of r

	// The head that is being read, as far as it goes.
	inHead, inLine bool
	lines          int
}

var errManyLines = fmt.Errorf("httpsink: a head of more than %d lines", maxLines)

// Read limits how many fields a head has, each of which costs more than its text.
func (c *admitted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for i := 0; i < n && c.inHead; i++ {
		switch {
		case p[i] != '\n':
			c.inLine = c.inLine || p[i] != '\r'
		case !c.inLine:
			c.inHead = false
		default:
			c.inLine = false
			c.lines++
		}
	}
	if c.lines > maxLines {
		return 0, errManyLines
	}
	return n, err
}

func (r *Receiver) admit(c *admitted) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.limits.MaxConns > 0 && len(r.conns) >= r.limits.MaxConns {
		return false
	}
	r.conns[c] = struct{}{}
	r.connections++
	return true
}

func (c *admitted) Close() error {
	c.r.mu.Lock()
	delete(c.r.conns, c)
	c.r.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite lets the server end an answer so that it arrives although there was
// more to be read.
func (c *admitted) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// SetReadDeadline does not wait in a Shutdown for a request that has not begun.
func (c *admitted) SetReadDeadline(t time.Time) error {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	return c.setReadDeadline(t)
}

func (c *admitted) setReadDeadline(t time.Time) error {
	if soon := time.Now().Add(quiet); c.r.closed && c.isFresh && (t.IsZero() || soon.Before(t)) {
		t = soon
	}
	return c.Conn.SetReadDeadline(t)
}

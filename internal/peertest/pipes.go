package peertest

import (
	"net"
	"sync"
)

// Pipes is a listener whose connections are pipes, for tests in a bubble of
// [testing/synctest], where a real connection would keep the time from passing.
type Pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	close    func()
}

var _ net.Listener = (*Pipes)(nil)

// NewPipes returns a listener that is open.
func NewPipes() *Pipes {
	p := &Pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

// Dial waits until the connection is accepted, and returns the peer's end of it.
func (p *Pipes) Dial() net.Conn {
	here, there := net.Pipe()
	p.accepted <- there
	return here
}

// Accept waits for Dial. After Close it fails with [net.ErrClosed].
func (p *Pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.accepted:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. The connections stay open.
func (p *Pipes) Close() error {
	p.close()
	return nil
}

// Addr returns nil: there is no address to dial.
func (p *Pipes) Addr() net.Addr { return nil }

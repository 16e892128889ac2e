package intake

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// budgetBytes is what all connections together may have for long frames.
	budgetBytes = 8 << 20

	// packetBuffer is asked of the system for datagrams that wait to be read; it
	// may give less.
	packetBuffer = 4 << 20
)

// Config is what a Server is made of.
type Config struct {
	Package   string // whose errors these are
	ErrClosed error  // what Serve and ServePacket return after Shutdown

	Limits Limits      // with defaults
	TLS    *tls.Config // nil: no TLS

	Refuse func(peer string, why *Refusal) // is told of connections that are refused
	Report func(error)                     // is told of failures that pass
}

// Server reads connections and datagrams until it is shut down. It is safe for
// concurrent use.
type Server struct {
	Config
	Budget *Budget

	tls       *tls.Config
	life      context.Context // ends when a Shutdown gives up
	endLife   context.CancelFunc
	draining  chan struct{} // closed by Shutdown
	ending    sync.Once
	hurryFrom atomic.Int64 // when a Shutdown loses its patience, in ns since 1970

	mu          sync.Mutex
	closed      bool
	listeners   map[interface{ Close() error }]struct{}
	conns       map[*Conn]struct{}
	connections uint64
	running     sync.WaitGroup
}

// NewServer returns a Server that does not serve yet.
func NewServer(c Config) *Server {
	s := &Server{
		Config:    c,
		Budget:    NewBudget(budgetBytes, c.Limits.MaxFrame),
		tls:       ServerTLS(c.TLS),
		draining:  make(chan struct{}),
		listeners: map[interface{ Close() error }]struct{}{},
		conns:     map[*Conn]struct{}{},
	}
	s.life, s.endLife = context.WithCancel(context.Background())
	return s
}

// Life returns a context that ends when a Shutdown gives up.
func (s *Server) Life() context.Context { return s.life }

// Stream returns the stream of a connection, or of what stands in front of one.
// A refusal calls its frames unit.
func (s *Server) Stream(source Source, unit string) *Stream {
	return &Stream{
		Source: source, Budget: s.Budget, GiveUp: s.life.Done(), Unit: unit,
		Idle: s.Limits.IdleTimeout, Timeout: s.Limits.FrameTimeout,
	}
}

// Serve accepts connections, calls serve for each on a goroutine of its own, and
// closes a connection when serve returns, and l in the end. With TLS, only those
// whose handshake is done are served.
func (s *Server) Serve(l net.Listener, serve func(*Conn)) error {
	if !s.enter(l) {
		_ = l.Close()
		return s.ErrClosed
	}
	defer s.leave(l)
	for failures := 1; ; failures++ {
		accepted, err := l.Accept()
		if err == nil {
			failures = 0
			s.accept(accepted, serve)
			continue
		}
		if s.IsDraining() {
			return s.ErrClosed
		}
		// A net.Error of Accept that is temporary means that the process is out
		// of descriptors, as in net/http.
		if !isPassing(err) {
			return fmt.Errorf("%s: accept: %w", s.Package, err)
		}
		s.Report(fmt.Errorf("%s: accept: %w", s.Package, err))
		select {
		case <-time.After(min(time.Second, 5*time.Millisecond<<min(failures, 10))):
		case <-s.draining:
			return s.ErrClosed
		}
	}
}

// isPassing reports whether err is about the moment and not about the socket, as
// Windows has one for a datagram that is longer than the buffer.
func isPassing(err error) bool {
	var passing interface{ Temporary() bool }
	return errors.As(err, &passing) && passing.Temporary()
}

func (s *Server) accept(accepted net.Conn, serve func(*Conn)) {
	c := &Conn{Peer: AddressOf(accepted.RemoteAddr()), server: s, raw: accepted, conn: accepted}
	s.mu.Lock()
	tooMany := s.Limits.MaxConns > 0 && len(s.conns) >= s.Limits.MaxConns
	isClosed := s.closed
	if !isClosed && !tooMany {
		s.conns[c] = struct{}{}
		s.connections++
		s.running.Add(1)
	}
	s.mu.Unlock()
	switch {
	case isClosed:
		_ = accepted.Close()
	case tooMany:
		_ = accepted.Close()
		s.Refuse(c.Peer, Refuse(TooManyConns, "there are %d", s.Limits.MaxConns))
	default:
		go s.serve(c, serve)
	}
}

func (s *Server) serve(c *Conn, serve func(*Conn)) {
	defer s.running.Done()
	defer func() {
		_ = c.conn.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	if s.tls == nil || c.secure() {
		serve(c)
	}
}

// AddressOf returns an address as text, "" for an unnamed unix socket.
func AddressOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	if text := a.String(); text != "@" {
		return text
	}
	return ""
}

// ServePacket calls take with each datagram of p, of which it reads up to size
// bytes, and closes p in the end. take must not keep the datagram.
func (s *Server) ServePacket(p net.PacketConn, size int, take func(datagram []byte, peer string)) error {
	if !s.enter(p) {
		_ = p.Close()
		return s.ErrClosed
	}
	defer s.leave(p)
	if b, ok := p.(interface{ SetReadBuffer(int) error }); ok {
		_ = b.SetReadBuffer(packetBuffer) // it works with less
	}
	buf := make([]byte, size)
	for {
		n, from, err := p.ReadFrom(buf)
		if n > 0 || err == nil {
			take(buf[:n], AddressOf(from))
		}
		switch {
		case s.IsDraining():
			if err != nil || s.isLate() || p.SetReadDeadline(s.drainDeadline()) != nil {
				return s.ErrClosed
			}
		case err != nil && (errors.Is(err, net.ErrClosed) || !isPassing(err)):
			return fmt.Errorf("%s: read: %w", s.Package, err)
		}
	}
}

// enter registers what Shutdown has to close, unless it has been.
func (s *Server) enter(l interface{ Close() error }) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listeners[l] = struct{}{}
	s.running.Add(1)
	return true
}

func (s *Server) leave(l interface{ Close() error }) {
	_ = l.Close() // Shutdown may have done so
	s.mu.Lock()
	delete(s.listeners, l)
	s.mu.Unlock()
	s.running.Done()
}

// Connections returns how many were accepted and how many there are at present.
func (s *Server) Connections() (accepted uint64, open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections, len(s.conns)
}

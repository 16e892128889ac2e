package intake

import (
	"context"
	"fmt"
	"net"
	"time"
)

const (
	// quiet is how long a peer has to be silent for a Shutdown to believe that
	// everything it has sent was read. From patience on, a moment is enough, so
	// that one who goes on and on is only read for as long as there is a backlog,
	// and of that no more than fits into the buffers of both systems.
	quiet    = 100 * time.Millisecond
	moment   = 5 * time.Millisecond
	patience = 3 * time.Second
	backlog  = 16 << 20
)

// IsDraining reports whether Shutdown was called.
func (s *Server) IsDraining() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// drainDeadline is by when a read in a Shutdown is over.
func (s *Server) drainDeadline() time.Time {
	now := time.Now()
	if s.isLate() {
		return now.Add(moment)
	}
	return now.Add(quiet)
}

// isLate reports whether a Shutdown has run out of patience.
func (s *Server) isLate() bool { return time.Now().UnixNano() > s.hurryFrom.Load() }

// Shutdown refuses further connections, has read what has arrived, and closes. A
// connection counts as read when it was silent for 100ms; after 3 seconds, as soon
// as there is nothing to be read at once; and after 16 MiB in any case. Datagrams
// are read for 3 seconds at most. If ctx ends first, all is closed at once, Life
// ends, and the error wraps ctx.Err() and says how many connections were still
// being read.
func (s *Server) Shutdown(ctx context.Context) error {
	s.ending.Do(func() {
		s.hurryFrom.Store(time.Now().Add(patience).UnixNano())
		close(s.draining)
	})
	s.mu.Lock()
	s.closed = true
	for l := range s.listeners {
		// A PacketConn still has datagrams to be read.
		if _, ok := l.(net.Listener); ok {
			_ = l.Close()
		} else if p, ok := l.(net.PacketConn); ok {
			_ = p.SetReadDeadline(s.drainDeadline())
		}
	}
	for c := range s.conns {
		c.hurry()
	}
	isIdle := len(s.listeners) == 0 && len(s.conns) == 0
	s.mu.Unlock()
	if isIdle { // even if ctx is over
		s.running.Wait()
		s.endLife()
		return nil
	}

	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		s.endLife()
		return nil
	case <-ctx.Done():
	}
	s.endLife()
	s.mu.Lock()
	open := len(s.conns)
	for c := range s.conns {
		_ = c.raw.Close()
	}
	for l := range s.listeners {
		_ = l.Close()
	}
	s.mu.Unlock()
	return fmt.Errorf("%s: shutdown: %w with %d connections being read", s.Package, ctx.Err(), open)
}

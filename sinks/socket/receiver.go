package socket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks/internal/stage"
)

// Receiver takes records from connections and datagrams and hands them to a
// handler. Set the fields before it is used, and not afterwards; a zero field
// has its default, and a Receiver must not be copied. It is safe for concurrent
// use: Serve and ServePacket may run several times at once, each on its own
// goroutine.
//
// A frame is recognised by its first bytes, whatever the sender: a length of 4
// bytes or in digits, or a line of JSON. So is what is in it:
//
//   - records of a [Handler];
//   - JSON of slog, zap, zerolog, logrus and python-redis-log, and of
//     json.dumps(record.__dict__) in Python; any other object is a record whose
//     message is the line;
//   - the pickles of Python's SocketHandler and DatagramHandler, of protocols 0
//     to 5. Nothing in them is looked up or called: what is no plain value, such
//     as a date or a path, becomes a text like "!refused datetime.datetime", and
//     what contains itself becomes "!cycle".
//
// A record comes with time, level and message as the sender had them, the
// attributes logger, host, process and pid as far as it said so, the attribute
// peer with its address if it has one, and then its own attributes, the source
// last. An attribute that is called like one of these, or time, level, msg or
// source, becomes "extra." and its name, so that nobody can pass for another.
//
// What is no record is refused and counted by reason, and ends its connection,
// because what follows cannot be trusted; others go on. A datagram has no
// connection to end. With the default limits, as many hostile peers as there may
// be take less than 64 MiB of memory, whatever they send.
//
// Handler is called by one goroutine per connection, and by several at once. If
// it blocks, the senders have to wait, which is what they should; if it returns
// an error, the record is counted as Dropped. An acknowledgement says that it
// was called, so a queue of which nothing may be lost is not behind a Receiver
// but in front of a socket.
type Receiver struct {
	// Handler gets the records. A nil Handler panics in Serve and ServePacket.
	Handler slog.Handler

	// TLS makes Serve talk TLS. Default nil: no TLS.
	TLS *tls.Config

	// Token is what each connection and each datagram has to begin with, as a
	// Handler with the same Token does. Python's handlers send none. Default "":
	// none is asked for.
	Token string

	// MaxFrame is how many bytes a record may have on its way. Default 1 MiB; at
	// least 2 KiB and less than 16 MiB.
	MaxFrame int

	// MaxConns is how many connections there may be at once, over all of Serve.
	// Further ones are closed. Default 256; below 0: any number.
	MaxConns int

	// IdleTimeout is how long a connection may be silent between two frames
	// before it is closed. Default 5 minutes; below 0: for ever.
	IdleTimeout time.Duration

	// FrameTimeout is how long a frame may take from its first byte to its last,
	// and a TLS handshake, and a token. Default 30s.
	FrameTimeout time.Duration

	// OnError is called with each [*Refusal], with errors of the Handler, a
	// panic as a [*slogworks.PanicError] among them, and of listeners. Calls may
	// come at once, from many goroutines and as often as peers please, so it
	// should limit what it writes. Default nil: they are counted.
	OnError func(error)

	start  sync.Once
	limits limits
	budget *budget
	large  chan struct{} // whoever handles a long frame holds its only place

	life      context.Context // ends when a Shutdown gives up
	endLife   context.CancelFunc
	draining  chan struct{} // closed by Shutdown
	ending    sync.Once
	hurryFrom atomic.Int64 // when a Shutdown loses its patience, in ns since 1970

	mu        sync.Mutex
	closed    bool
	listeners map[interface{ Close() error }]struct{}
	conns     map[*conn]struct{}
	running   sync.WaitGroup
	origins   origins
	refused   map[string]uint64

	written, dropped, ignored, duplicates, objects, connections atomic.Uint64
}

// limits are the fields with their defaults.
type limits struct {
	maxFrame, maxConns        int
	idleTimeout, frameTimeout time.Duration
}

const (
	// quiet is how long a peer has to be silent for a Shutdown to believe that
	// everything it has sent was read. From patience on, a moment is enough, so
	// that one who goes on and on is only read for as long as there is a backlog,
	// and of that no more than fits into the buffers of both systems.
	quiet    = 100 * time.Millisecond
	moment   = 5 * time.Millisecond
	patience = time.Second
	backlog  = 16 << 20
)

func (r *Receiver) init() {
	r.start.Do(func() {
		r.limits = limits{frameLimit(r.MaxFrame), r.MaxConns, r.IdleTimeout, r.FrameTimeout}
		if r.limits.maxConns == 0 {
			r.limits.maxConns = 256
		}
		if r.limits.idleTimeout == 0 {
			r.limits.idleTimeout = 5 * time.Minute
		}
		if r.limits.frameTimeout <= 0 {
			r.limits.frameTimeout = 30 * time.Second
		}
		// A buffer has up to twice the length of its frame.
		r.budget = newBudget(max(16<<20, 4*r.limits.maxFrame))
		r.large = make(chan struct{}, 1)
		r.draining = make(chan struct{})
		r.life, r.endLife = context.WithCancel(context.Background())
		r.listeners = map[interface{ Close() error }]struct{}{}
		r.conns = map[*conn]struct{}{}
		r.refused = map[string]uint64{}
	})
}

// Serve accepts connections, reads records from each, and closes l in the end.
// It blocks until Shutdown or Close, and then returns [ErrClosed], or until l
// fails, which is no matter of a single connection.
func (r *Receiver) Serve(l net.Listener) error {
	r.init()
	stage.Require("socket", r.Handler)
	if !r.enter(l) {
		_ = l.Close()
		return ErrClosed
	}
	defer r.leave(l)
	for failures := 1; ; failures++ {
		accepted, err := l.Accept()
		if err == nil {
			failures = 0
			r.accept(accepted)
			continue
		}
		if r.isDraining() {
			return ErrClosed
		}
		// A net.Error of Accept that is temporary means that the process is out
		// of descriptors, as in net/http.
		var temporary interface{ Temporary() bool }
		if !errors.As(err, &temporary) || !temporary.Temporary() {
			return fmt.Errorf("socket: accept: %w", err)
		}
		r.report(fmt.Errorf("socket: accept: %w", err))
		select {
		case <-time.After(min(time.Second, 5*time.Millisecond<<min(failures, 10))):
		case <-r.draining:
			return ErrClosed
		}
	}
}

func (r *Receiver) accept(accepted net.Conn) {
	c := &conn{receiver: r, raw: accepted, conn: accepted, peer: addressOf(accepted.RemoteAddr())}
	r.mu.Lock()
	tooMany := r.limits.maxConns > 0 && len(r.conns) >= r.limits.maxConns
	if !r.closed && !tooMany {
		r.conns[c] = struct{}{}
		r.running.Add(1)
		defer func() { go c.serve() }()
	}
	isClosed := r.closed
	r.mu.Unlock()
	switch {
	case isClosed:
		_ = accepted.Close()
	case tooMany:
		_ = accepted.Close()
		r.refuse(c.peer, refuse(tooManyConns, "there are %d", r.limits.maxConns))
	default:
		r.connections.Add(1)
	}
}

func addressOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	if text := a.String(); text != "@" { // an unnamed unix socket
		return text
	}
	return ""
}

// enter registers what Shutdown has to close, unless it has been.
func (r *Receiver) enter(l interface{ Close() error }) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.listeners[l] = struct{}{}
	r.running.Add(1)
	return true
}

func (r *Receiver) leave(l interface{ Close() error }) {
	_ = l.Close() // Shutdown may have done so
	r.mu.Lock()
	delete(r.listeners, l)
	r.mu.Unlock()
	r.running.Done()
}

func (r *Receiver) isDraining() bool {
	select {
	case <-r.draining:
		return true
	default:
		return false
	}
}

// drainDeadline is by when a read in a Shutdown is over.
func (r *Receiver) drainDeadline() time.Time {
	now := time.Now()
	if r.isLate() {
		return now.Add(moment)
	}
	return now.Add(quiet)
}

// isLate reports whether a Shutdown has run out of patience.
func (r *Receiver) isLate() bool { return time.Now().UnixNano() > r.hurryFrom.Load() }

// Shutdown refuses further connections, reads what has arrived, and closes. A
// connection counts as read when it was silent for 100ms; after a second, as soon
// as there is nothing to be read at once; and after 16 MiB in any case. Datagrams
// are read for a second at most. With acknowledgement, what is not acknowledged
// will be sent again, so that nothing more is read. If ctx ends first, all is
// closed at once, the context of the Handler's calls ends, and the error wraps
// ctx.Err() and says how many connections were still being read.
func (r *Receiver) Shutdown(ctx context.Context) error {
	r.init()
	r.ending.Do(func() {
		r.hurryFrom.Store(time.Now().Add(patience).UnixNano())
		close(r.draining)
	})
	r.mu.Lock()
	r.closed = true
	for l := range r.listeners {
		// A PacketConn still has datagrams to be read.
		if _, ok := l.(net.Listener); ok {
			_ = l.Close()
		} else if p, ok := l.(net.PacketConn); ok {
			_ = p.SetReadDeadline(r.drainDeadline())
		}
	}
	for c := range r.conns {
		c.hurry()
	}
	r.mu.Unlock()

	done := make(chan struct{})
	go func() {
		r.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		r.endLife()
		return nil
	case <-ctx.Done():
	}
	r.endLife()
	r.mu.Lock()
	open := len(r.conns)
	for c := range r.conns {
		_ = c.raw.Close()
	}
	for l := range r.listeners {
		_ = l.Close()
	}
	r.mu.Unlock()
	return fmt.Errorf("socket: shutdown: %w with %d connections being read", ctx.Err(), open)
}

// Close is Shutdown with 5 seconds of time.
func (r *Receiver) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return r.Shutdown(ctx)
}

// Stats are counts since the Receiver was made. Always,
//
//	Received == Written + Dropped + the sum of Refused
type Stats struct {
	Received    uint64            // records and what was no record
	Written     uint64            // records that the Handler took
	Dropped     uint64            // records that it returned an error for
	Refused     map[string]uint64 // what was no record, by the reason of its Refusal
	Ignored     uint64            // records that the Handler was not enabled for
	Duplicates  uint64            // records that were there already
	Objects     uint64            // values of pickles that are marked as refused
	Connections uint64            // accepted
	Open        int               // connections at present
}

// Stats returns the counts.
func (r *Receiver) Stats() Stats {
	r.init()
	r.mu.Lock()
	s := Stats{Refused: maps.Clone(r.refused), Open: len(r.conns)}
	r.mu.Unlock()
	s.Written = r.written.Load()
	s.Dropped = r.dropped.Load()
	s.Ignored = r.ignored.Load()
	s.Duplicates = r.duplicates.Load()
	s.Objects = r.objects.Load()
	s.Connections = r.connections.Load()
	s.Received = s.Written + s.Dropped
	for _, n := range s.Refused {
		s.Received += n
	}
	return s
}

func (r *Receiver) refuse(peer string, why *Refusal) {
	why.Peer = peer
	r.mu.Lock()
	r.refused[why.Reason]++
	r.mu.Unlock()
	r.report(why)
}

func (r *Receiver) report(err error) {
	if r.OnError == nil {
		return
	}
	var ignored error
	defer stage.Rescue(&ignored)
	r.OnError(err)
}

// handle hands a record to the handler.
func (r *Receiver) handle(peer string, d decoded) {
	r.objects.Add(d.objects)
	if err := stage.Handle(r.life, r.Handler, d.recordFrom(peer)); err != nil {
		r.dropped.Add(1)
		r.report(fmt.Errorf("socket: handling a record of %s: %w", peer, err))
		return
	}
	r.written.Add(1)
}

// isEnabled asks the handler; if it panics, it is left to Handle to do so again.
func (r *Receiver) isEnabled(level slog.Level) (enabled bool) {
	defer func() {
		if recover() != nil {
			enabled = true
		}
	}()
	return r.Handler.Enabled(r.life, level)
}

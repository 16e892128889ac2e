package socket

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks/internal/intake"
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
// be take less than 64 MiB of memory, whatever they send. That is why records of
// more than 16 KiB, or of hundreds of values, are handled one at a time, and what
// is longer may have to wait for memory, for FrameTimeout at most. All others are
// read and handled side by side.
//
// Handler is called by one goroutine per connection, and by several at once. If
// it blocks, the senders have to wait, which is what they should; if it returns
// an error, the record is counted as Dropped. An acknowledgement says that it
// was called, so a queue of which nothing may be lost is not behind a Receiver
// but in front of a socket.
type Receiver struct {
	// Handler gets the records. A nil Handler panics in Serve and ServePacket.
	Handler slog.Handler

	// TLS makes Serve talk TLS. Default nil: no TLS. Session tickets are disabled:
	// Python's ssl does not read them, and closing a connection on which something
	// was not read destroys what was sent last.
	TLS *tls.Config

	// Token is what each connection and each datagram has to begin with, as a
	// Handler with the same Token does. Python's handlers send none. Until it has
	// come, 2 KiB are read at most. Default "": none is asked for.
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

	start   sync.Once
	server  *intake.Server
	counts  intake.Counts
	origins origins

	duplicates, objects atomic.Uint64
}

func (r *Receiver) init() {
	r.start.Do(func() {
		r.server = intake.NewServer(intake.Config{
			Package:   "socket",
			ErrClosed: ErrClosed,
			Limits: intake.Limits{
				MaxFrame: r.MaxFrame, MaxConns: r.MaxConns, IdleTimeout: r.IdleTimeout, FrameTimeout: r.FrameTimeout,
			}.WithDefaults(),
			TLS:    r.TLS,
			Refuse: func(peer string, why *intake.Refusal) { r.refuse(peer, (*Refusal)(why)) },
			Report: r.report,
		})
	})
}

// Serve accepts connections, reads records from each, and closes l in the end.
// It blocks until Shutdown or Close, and then returns [ErrClosed], or until l
// fails, which is no matter of a single connection.
func (r *Receiver) Serve(l net.Listener) error {
	r.init()
	stage.Require("socket", r.Handler)
	return r.server.Serve(l, r.serve)
}

// Shutdown refuses further connections, reads what has arrived, and closes. A
// connection counts as read when it was silent for 100ms; after 3 seconds, as soon
// as there is nothing to be read at once; and after 16 MiB in any case. Datagrams
// are read for 3 seconds at most. With acknowledgement, what is not acknowledged
// will be sent again, so that nothing more is read. If ctx ends first, all is
// closed at once, the context of the Handler's calls ends, and the error wraps
// ctx.Err() and says how many connections were still being read.
func (r *Receiver) Shutdown(ctx context.Context) error {
	r.init()
	return r.server.Shutdown(ctx)
}

// Close is Shutdown with 5 seconds of time.
func (r *Receiver) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return r.Shutdown(ctx)
}

func (r *Receiver) refuse(peer string, why *Refusal) {
	why.Peer = peer
	r.counts.Refuse(why.Reason)
	r.report(why)
}

func (r *Receiver) report(err error) { intake.Report(r.OnError, err) }

// take hands a record on if it is wanted.
func (r *Receiver) take(peer string, d *decoded) {
	wanted, err := r.counts.HandFrom(r.server.Life(), r.Handler, &d.Record, peer)
	if wanted {
		r.objects.Add(d.objects)
	}
	if err != nil {
		r.report(fmt.Errorf("socket: handling a record of %s: %w", peer, err))
	}
}

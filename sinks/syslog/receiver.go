package syslog

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/internal/stage"
)

// Receiver takes syslog messages from connections and datagrams and hands them
// to a handler. Set the fields before it is used, and not afterwards; a zero
// field has its default, and a Receiver must not be copied. It is safe for
// concurrent use: Serve and ServePacket may run several times at once, each on
// its own goroutine.
//
// A datagram is one record whatever it holds; how it is read, [Receiver.ServePacket]
// says. On a connection, the first byte tells how messages are divided (RFC 6587):
// a digit means that each begins with its length in digits and a space, and
// anything else that each ends with a NUL, if the first one does, or with a line
// feed. A first message may have several lines and a NUL behind them, as Python
// sends it, so that a first line is held for 100ms before it counts as a message.
// One without end is taken when its sender closes the connection.
//
// A message is read as
//
//   - RFC 5424: HOSTNAME, APP-NAME and PROCID are the attributes host, process and
//     pid, or procid if it is no number; MSGID is msgid; each element of structured
//     data is a group named after its SD-ID, with its parameters as strings. The
//     parameters of the element slog@32473, in which a [Handler] has its
//     attributes, are attributes again, those with dots in groups, and level and
//     source what they were;
//   - RFC 3164, with or without a host: the tag is the attribute process, and pid.
//     The time, which has neither year nor zone there, is taken as local and as
//     the nearest to now;
//   - a text behind the priority, as Python's SysLogHandler sends it;
//   - a text without priority, of level Info and without facility.
//
// What resembles one of them but is not well formed is the next below, so that
// nothing of it is lost. What a [Handler] has sent as RFC 5424 comes back as
// slog.TextHandler would print it.
//
// The severities 0 to 2, 3, 4, 5, 6 and 7 are the levels Error+4, Error, Warn,
// Info+2, Info and Debug. A record without a time of its own has the time of its
// arrival. The attributes come in the order logger, host, process, pid, peer (the
// address, if it has one), facility (a name such as "user" or "local0"), procid,
// msgid, structured data. An attribute that is called like one of these, or time,
// level, msg or source, becomes "extra." and its name.
//
// What has no end that can be found is refused and counted by reason, and ends
// its connection; others go on. With the default limits, as many hostile peers
// as there may be take less than 64 MiB of memory, whatever they send. That is why
// messages of more than 16 KiB, or of hundreds of values, are handled one at a
// time, and what is longer may have to wait for memory, for FrameTimeout at most.
// All others are read and handled side by side. Nothing in syslog says who sends:
// where that matters, use TLS with client certificates.
//
// Handler is called by one goroutine per connection, and by several at once. If
// it blocks, senders by streams have to wait, and datagrams are lost; if it
// returns an error, the record is counted as Dropped.
type Receiver struct {
	// Handler gets the records. A nil Handler panics in Serve and ServePacket.
	Handler slog.Handler

	// TLS makes Serve talk TLS (RFC 5425). Default nil: no TLS. Session tickets are
	// disabled: many senders do not read them, and closing a connection on which
	// something was not read destroys what was sent last.
	TLS *tls.Config

	// MaxFrame is how many bytes a message may have on its way. Default 1 MiB; at
	// least 2 KiB and less than 16 MiB.
	MaxFrame int

	// MaxConns is how many connections there may be at once, over all of Serve.
	// Further ones are closed. Default 256; below 0: any number.
	MaxConns int

	// IdleTimeout is how long a connection may be silent between two messages
	// before it is closed. Default 5 minutes; below 0: for ever.
	IdleTimeout time.Duration

	// FrameTimeout is how long a message may take from its first byte to its
	// last, and a TLS handshake. Default 30s.
	FrameTimeout time.Duration

	// OnError is called with each [*Refusal], with errors of the Handler, a
	// panic as a [*slogworks.PanicError] among them, and of listeners. Calls may
	// come at once, from many goroutines and as often as peers please, so it
	// should limit what it writes. Default nil: they are counted.
	OnError func(error)

	start  sync.Once
	server *intake.Server
	counts intake.Counts
}

func (r *Receiver) init() {
	r.start.Do(func() {
		r.server = intake.NewServer(intake.Config{
			Package:   "syslog",
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

// Serve accepts connections, reads messages from each, and closes l in the end.
// It blocks until Shutdown or Close, and then returns [ErrClosed], or until l
// fails, which is no matter of a single connection.
func (r *Receiver) Serve(l net.Listener) error {
	r.init()
	stage.Require("syslog", r.Handler)
	return r.server.Serve(l, r.serveConn)
}

// ServePacket reads messages from p, one per datagram, and closes p in the end.
// A NUL or line feed at the end of a datagram is removed; an empty datagram is a
// record without message. What the system has no room for while the Handler is
// busy is lost. It blocks until Shutdown or Close, and then returns [ErrClosed],
// or until p fails.
func (r *Receiver) ServePacket(p net.PacketConn) error {
	r.init()
	stage.Require("syslog", r.Handler)
	limit := r.server.Limits.MaxFrame
	// A longer datagram fills the buffer.
	return r.server.ServePacket(p, limit+1, func(datagram []byte, peer string) {
		if len(datagram) > limit {
			r.refuse(peer, refuse(frameTooLong, "a datagram of more than %d bytes", limit))
			return
		}
		if _, hasNUL := bytes.CutSuffix(datagram, []byte("\x00")); !hasNUL {
			datagram = bytes.TrimSuffix(bytes.TrimSuffix(datagram, []byte("\n")), []byte("\r"))
		}
		r.take(peer, datagram)
	})
}

// Shutdown refuses further connections, reads what has arrived, and closes. A
// connection counts as read when it was silent for 100ms; after 3 seconds, as soon
// as there is nothing to be read at once; and after 16 MiB in any case. Datagrams
// are read for 3 seconds at most. If ctx ends first, all is closed at once, the
// context of the Handler's calls ends, and the error wraps ctx.Err() and says how
// many connections were still being read.
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

// Stats are counts since the Receiver was made. Always,
//
//	Received == Written + Dropped + the sum of Refused
type Stats struct {
	Received    uint64            // records and what was no record
	Written     uint64            // records that the Handler took
	Dropped     uint64            // records that it returned an error for
	Refused     map[string]uint64 // what was no record, by the reason of its Refusal
	Ignored     uint64            // records that the Handler was not enabled for
	Connections uint64            // accepted
	Open        int               // connections at present
}

// Stats returns the counts.
func (r *Receiver) Stats() Stats {
	r.init()
	t := r.counts.Totals()
	s := Stats{Received: t.Received, Written: t.Written, Dropped: t.Dropped, Refused: t.Refused, Ignored: t.Ignored}
	s.Connections, s.Open = r.server.Connections()
	return s
}

func (r *Receiver) refuse(peer string, why *Refusal) {
	why.Peer = peer
	r.counts.Refuse(why.Reason)
	r.report(why)
}

func (r *Receiver) report(err error) { intake.Report(r.OnError, err) }

// take hands on a message, which may still have a NUL at its end.
func (r *Receiver) take(peer string, message []byte) {
	record := parseMessage(message, time.Now())
	if _, err := r.counts.HandFrom(r.server.Life(), r.Handler, &record, peer); err != nil {
		r.report(fmt.Errorf("syslog: handling a record of %s: %w", peer, err))
	}
}

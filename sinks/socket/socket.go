// Package socket sends records to another process over a socket, and receives
// them, from this package and from Python's logging alike.
//
// Use it to gather the logs of several processes in one: of programs that share
// a file, of services on several machines, of Python programs beside those in
// Go. Where something collects what programs write to stderr already,
// slog.NewJSONHandler on stderr is enough.
//
// [New] makes a handler that writes each record, or each batch with one write,
// on the calling goroutine. Put a queue in front of it, which takes it off the
// path of the code that logs, gathers batches, waits and tries again:
//
//	h := queue.New(socket.New("tcp://127.0.0.1:9020", nil), nil)
//
// A record costs its caller the encoding and a write, without allocation for
// scalar values; as long as a stream is connected, one goroutine watches it, so
// that a peer that went away is noticed before the next record and not by it.
// Handle and HandleBatch block for at most DialTimeout to connect and
// WriteTimeout for each of writing and the acknowledgement, and return at once
// while the peer is known to be down. They never sleep and never try again: they
// return a [*slogworks.DeliveryError] and leave that to the queue.
//
// What is lost: nothing with [Options].Ack, as long as the queue in front has
// the record: it is delivered at least once, and as the receiver recognises what
// it already has, once, unless the receiver itself is killed meanwhile or
// something else sends through the same handler while the queue waits. Without
// Ack, a record is delivered at most once: what the system had taken for sending
// when the connection broke is lost, and nobody knows how much that was. A
// datagram may get lost, and its record with it. os.Exit, SIGKILL and a panic
// lose what the queue in front holds, nothing else.
//
// A [Receiver] takes records from any number of connections and hands them to a
// handler. It runs one goroutine per connection, bounds what each may cost, and
// calls nothing that a record asks for: Python's pickles are read as data.
//
// The smallest program that receives:
//
//	l, err := net.Listen("tcp", "127.0.0.1:9020")
//	if err != nil {
//		log.Fatal(err)
//	}
//	r := &socket.Receiver{Handler: slog.NewJSONHandler(os.Stdout, nil)}
//	log.Fatal(r.Serve(l))
//
// # Protocol
//
// A frame is a record as a line of JSON that keeps the kinds of values, framed
// as [Framing] says. If there is a token, or acknowledgement is asked for, the
// sender begins with a line of its own,
//
//	{"slogworks":1,"token":"…","ack":true}
//
// and waits for eight bytes, a big-endian number, which is how many bytes the
// receiver takes as a frame. A datagram has that line in front of its record and
// no answer. With "ack", each further eight bytes from the receiver are the
// number of the last record that was handled, its key "q"; the numbers ascend
// for each sender, its key "b".
package socket

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/outlet"
	"github.com/slogworks/slogworks/internal/stage"
	"github.com/slogworks/slogworks/internal/wire"
)

// ErrClosed is what Handle returns after Shutdown or Close, and what Serve and
// ServePacket return after those of the [Receiver].
var ErrClosed = errors.New("socket: closed")

// Handler sends records over a socket. It is safe for concurrent use. Records go
// out in the order in which Handle and HandleBatch get hold of the connection,
// one call at a time. It connects when there is a record to send, and again when
// the connection has ended, so that it can be made while the peer is down.
// Without Ack, what the network still had of the last connection may arrive
// after what goes over the next. Derived handlers share the connection.
//
// The end of the context of Handle changes nothing; that of HandleBatch, which
// is the lifetime of the stage in front, ends the attempt.
type Handler struct {
	core *core
	with *chain.Node
}

var _ slogworks.BatchHandler = (*Handler)(nil)

// core is what derived handlers share.
type core struct {
	Options
	outlet *outlet.Outlet
	about  wire.Origin // without Seq and Boot, which a frame has at its end
	boot   string
	hello  []byte // empty if there is nothing to say

	limit atomic.Int64 // bytes that a frame may have

	// What follows belongs to who has acquired the outlet.

	acks     *acks  // of the connection, if there are any
	seq      uint64 // of the last record that was sent
	repeated struct {
		id   string // of the batch that failed, if it has one
		next uint64 // the number of its first item that was not accepted
		// items is how many were not, which is how many come again.
		items int
	}
	out  []byte
	ends []int // where the frames in out end
}

// New returns a handler that sends records to the target, one of
//
//	tcp://HOST:PORT
//	tls://HOST:PORT
//	udp://HOST:PORT
//	unix:///PATH
//	unixgram:///PATH
//
// It does not connect before there is a record. New panics if target and
// options do not fit, as [Check] says.
func New(target string, opts *Options) *Handler {
	t, err := outlet.ParseTarget("socket", target)
	if err == nil {
		err = check(t, opts)
	}
	if err != nil {
		panic(err.Error())
	}
	c := &core{boot: rand.Text()}
	if opts != nil {
		c.Options = *opts
	}
	if c.Level != nil {
		c.Level = stage.Level("socket", c.Level, slog.LevelInfo)
	}
	c.setDefaults(t)
	c.about = wire.Origin{Host: c.Host, Process: c.Process, PID: os.Getpid()}
	c.hello = helloLine(c.Token, c.Ack)
	c.limit.Store(int64(c.MaxFrame))
	o := outlet.Options{
		Name: "socket", Closed: ErrClosed, Target: t, TLS: c.TLS,
		DialTimeout: c.DialTimeout, WriteTimeout: c.WriteTimeout, Backoff: c.Backoff,
	}
	switch {
	case t.IsDatagram():
		c.limit.Add(-int64(len(c.hello)))
	case len(c.hello) > 0:
		o.Greet = c.greet
	}
	c.outlet = outlet.New(o)
	return &Handler{core: c}
}

// Check returns an error that says what is wrong with a target and its options,
// for those who read them from a configuration.
func Check(target string, opts *Options) error {
	t, err := outlet.ParseTarget("socket", target)
	if err != nil {
		return err
	}
	return check(t, opts)
}

// Enabled reports whether level is at least [Options].Level, whether or not the
// peer can be reached.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return h.core.Level == nil || level >= h.core.Level.Level()
}

// Handle sends the record, and returns a [*slogworks.DeliveryError] if that
// failed, with After saying for how long the next would fail too. After Shutdown
// it returns [ErrClosed].
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	s := scratches.Get().(*scratch)
	defer s.free()
	s.one[0].Record = h.with.Flatten(r)
	return h.core.send(context.Background(), s, slogworks.Batch{Items: s.one[:]})
}

// HandleBatch sends the records of the batch with one write, datagrams with one
// each. It returns a [*slogworks.DeliveryError] if that failed. With Ack, what
// is sent again under the same ID is recognised by the receiver.
func (h *Handler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	s := scratches.Get().(*scratch)
	defer s.free()
	return h.core.send(ctx, s, b)
}

// WithAttrs returns a handler that adds the attributes, frozen, to its records.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &Handler{core: h.core, with: h.with.WithAttrs(attrs)}
}

// WithGroup returns a handler that puts what follows into a group.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &Handler{core: h.core, with: h.with.WithGroup(name)}
}

// Shutdown refuses further records, waits for those that are being sent, and
// closes the connection. If ctx ends first, the connection is closed at once,
// whoever sends gets an error, and so does the caller, wrapping ctx.Err().
func (h *Handler) Shutdown(ctx context.Context) error { return h.core.outlet.Shutdown(ctx) }

// closeTimeout is the time that Close gives to Shutdown.
const closeTimeout = 5 * time.Second

// Close is Shutdown with 5 seconds of time.
func (h *Handler) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return h.Shutdown(ctx)
}

// Account gives the counts as part of [slogworks.Books]. A batch with an Attempt
// that failed, or what of it did, is not counted, because whoever counts
// attempts has it still.
func (h *Handler) Account() slogworks.Account { return h.core.outlet.Account() }

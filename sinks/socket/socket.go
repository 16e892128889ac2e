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
// it already has, once, unless the receiver itself is killed meanwhile. Without
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
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
	"github.com/slogworks/slogworks/internal/wire"
)

// ErrClosed is what Handle returns after Shutdown or Close, and what Serve and
// ServePacket return after those of the [Receiver].
var ErrClosed = errors.New("socket: closed")

// Framing is how a stream is divided into records. A Receiver understands all
// of them, also mixed. A datagram is one record and has no framing.
type Framing int

const (
	// Length32 puts the length before each record, as 4 bytes in big-endian
	// order, as Python's SocketHandler does.
	Length32 Framing = iota
	// LF ends each record with a line feed, which no record contains. It suits
	// receivers that read lines of JSON.
	LF
	// Octet puts the length before each record, as decimal digits and a space:
	// the octet counting of RFC 6587.
	Octet
)

// Options are options for a [Handler]. A zero Options consists entirely of
// default values.
type Options struct {
	// Level is the lowest level that Enabled accepts. Default nil: every level.
	Level slog.Leveler

	// Framing divides a stream into records. Default Length32.
	Framing Framing

	// TLS is the configuration for a target tls://. Default nil: the roots of
	// the system, and the host of the target as the name of the server.
	TLS *tls.Config

	// Token is what a Receiver with a Token asks for. It goes over the network
	// as it is, so that beyond this machine it wants tls://.
	Token string

	// Ack waits until the receiver says that its handler was called with the
	// record. It needs a stream with a Receiver of this package at its end.
	Ack bool

	// MaxFrame is how many bytes a record may have; of a longer one, the
	// longest strings are cut and marked. Default 1 MiB, for datagrams 65,507
	// bytes; at least 2 KiB and less than 16 MiB. If the receiver says that it
	// takes less, that holds.
	MaxFrame int

	// DialTimeout bounds connecting, TLS and the receiver's answer to a token
	// included. Default 5s.
	DialTimeout time.Duration

	// WriteTimeout bounds a write, and then the wait for the acknowledgement.
	// Default 10s.
	WriteTimeout time.Duration

	// Backoff is how long no new connection is tried after one has failed: each
	// record gets its error at once until then. Only a batch that has an Attempt
	// is tried all the same, because whoever counts attempts does the waiting.
	// Default 1s to 30s; MaxElapsed is not used.
	Backoff slogworks.Backoff

	// Host and Process are what records say about where they come from, beside
	// the process id. Default the name of the host and of the program's file.
	Host, Process string
}

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
	target target
	about  wire.Origin // without Seq and Boot, which a frame has at its end
	boot   string
	hello  []byte // empty if there is nothing to say

	limit atomic.Int64 // bytes that a frame may have

	sent, failed, refused, tooLong atomic.Uint64

	life    context.Context // ends when a Shutdown gives up
	endLife context.CancelFunc
	closing chan struct{}
	close   sync.Once
	inUse   atomic.Pointer[link] // what a Shutdown that gives up has to close
	links   sync.WaitGroup

	// busy is a lock that can be waited for with a context; who holds it owns
	// what follows.
	busy      chan struct{}
	link      *link
	failures  int // in a row
	notBefore time.Time
	lastErr   error
	seq       uint64 // of the last record that was sent
	repeated  struct {
		id   string // of the batch that failed, if it has one
		next uint64 // the number of its first item that was not accepted
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
	t, err := parseTarget(target)
	if err == nil {
		err = t.check(opts)
	}
	if err != nil {
		panic(err.Error())
	}
	c := &core{target: t, boot: rand.Text(), busy: make(chan struct{}, 1), closing: make(chan struct{})}
	if opts != nil {
		c.Options = *opts
	}
	if c.Level != nil {
		c.Level = stage.Level("socket", c.Level, slog.LevelInfo)
	}
	c.TLS = t.config(c.TLS)
	c.setDefaults()
	c.about = wire.Origin{Host: c.Host, Process: c.Process, PID: os.Getpid()}
	c.hello = helloLine(c.Token, c.Ack)
	c.limit.Store(int64(c.MaxFrame))
	if t.isDatagram {
		c.limit.Add(-int64(len(c.hello)))
	}
	c.life, c.endLife = context.WithCancel(context.Background())
	return &Handler{core: c}
}

// Check returns an error that says what is wrong with a target and its options,
// for those who read them from a configuration.
func Check(target string, opts *Options) error {
	t, err := parseTarget(target)
	if err != nil {
		return err
	}
	return t.check(opts)
}

// maxDatagram is what a UDP datagram can carry over IPv4.
const maxDatagram = 65507

func (c *core) setDefaults() {
	c.MaxFrame = frameLimit(c.MaxFrame)
	if c.target.isDatagram {
		c.MaxFrame = min(c.MaxFrame, maxDatagram)
	}
	if c.DialTimeout <= 0 {
		c.DialTimeout = 5 * time.Second
	}
	if c.WriteTimeout <= 0 {
		c.WriteTimeout = 10 * time.Second
	}
	if c.Backoff.Min <= 0 {
		c.Backoff.Min = time.Second
	}
	if c.Backoff.Max <= 0 {
		c.Backoff.Max = 30 * time.Second
	}
	if c.Host == "" {
		c.Host, _ = os.Hostname() // without a name, records have none
	}
	if c.Process == "" && len(os.Args) > 0 {
		c.Process = filepath.Base(os.Args[0])
	}
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
func (h *Handler) Shutdown(ctx context.Context) error {
	c := h.core
	c.close.Do(func() { close(c.closing) })
	var err error
	select {
	case c.busy <- struct{}{}: // even if ctx is over
	default:
		select {
		case c.busy <- struct{}{}:
		case <-ctx.Done():
			c.endLife()
			if l := c.inUse.Load(); l != nil {
				l.cut()
			}
			c.busy <- struct{}{}
			err = fmt.Errorf("socket: shutdown: %w: the records that were being sent got an error", ctx.Err())
		}
	}
	if c.link != nil {
		_ = c.link.conn.Close() // tells TLS
	}
	c.disconnect()
	c.links.Wait()
	c.endLife()
	<-c.busy
	return err
}

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
func (h *Handler) Account() slogworks.Account {
	c := h.core
	a := slogworks.Account{
		Stage:     "sinks/socket",
		Delivered: c.sent.Load(),
		Dropped: map[string]uint64{
			"closed":   c.refused.Load(),
			"failed":   c.failed.Load(),
			"too long": c.tooLong.Load(),
		},
	}
	a.Accepted = a.Delivered
	for _, n := range a.Dropped {
		a.Accepted += n
	}
	return a
}

// Package syslog sends records to a syslog daemon or collector, and receives
// them.
//
// Use it where a daemon is there already, such as rsyslog, syslog-ng or
// journald, on this machine or another. To gather the logs of several Go
// programs, package sinks/socket loses less and keeps the kinds of values. The
// log/syslog package of the standard library writes RFC 3164 without structured
// data, TLS or a deadline, and takes no slog records.
//
// [New] makes a handler that writes each record, or each batch with one write,
// on the calling goroutine. Put a queue in front of it, which takes it off the
// path of the code that logs, gathers batches, waits and tries again:
//
//	h := queue.New(syslog.New("tcp://logs.example.com:601", nil), nil)
//
// A record costs its caller the encoding and a write, without allocation for
// scalar values; as long as a stream is connected, one goroutine watches it, so
// that a peer that went away is noticed before the next record and not by it.
// Handle and HandleBatch block for at most DialTimeout to connect and
// WriteTimeout to write, for a datagram each, and return at once while the peer
// is known to be down. They never sleep and never try again: they return a
// [*slogworks.DeliveryError] and leave that to the queue.
//
// What is lost: syslog has no acknowledgement, so a record is delivered at most
// once. What the system had taken for sending when the connection broke or the
// daemon stopped is lost, and nobody knows how much that was; all that is known
// is sent again by the queue. A datagram may get lost without anybody knowing.
// A message that is longer than MaxRecordBytes is cut, with a mark. os.Exit, SIGKILL
// and a panic lose what the queue in front holds, nothing else.
//
// A [Receiver] reads what others send, in RFC 5424, RFC 3164 or in no form at
// all, and hands it to a handler as records.
//
// The smallest program:
//
//	h := syslog.New(syslog.Local, nil)
//	defer h.Close()
//	slog.New(h).Info("ready", "port", 8080)
//
// # Protocol
//
// A record becomes one message, whatever is in it. With [RFC5424], attributes
// are the parameters of one element of structured data, by names that are dotted
// where there are groups:
//
//	<14>1 2026-01-02T12:00:00.000000Z web1 shop 7 - [slog@32473 request.id="k3f9" took="1.5s"] slow query
//
// Values are what slog.TextHandler prints, times with all their digits. In
// names, what is not allowed there becomes an underscore, and of a name with more
// than 32 bytes the last 32 are kept. Control characters become # and three octal
// digits, as rsyslogd writes them, but for tabs and, unless a line feed ends the
// message, line feeds. Invalid UTF-8 becomes U+FFFD. A message that is not ASCII
// begins with the byte order mark, as the RFC asks. With [RFC3164], attributes
// follow the message, as slog.TextHandler would print them.
//
// Levels become severities: from Error+4 on critical (2), from Error error (3),
// from Warn warning (4), from Info+2 notice (5), from Info informational (6),
// below debug (7). A level that cannot be told from the severity is the
// attribute level in addition.
package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/outlet"
	"github.com/slogworks/slogworks/internal/stage"
)

// ErrClosed is what Handle returns after Shutdown or Close, and what Serve and
// ServePacket return after those of the [Receiver].
var ErrClosed = errors.New("syslog: closed")

// Format is the form of a message.
type Format int

const (
	// RFC5424 is the form with structured data, and the default but for [Local].
	RFC5424 Format = iota + 1
	// RFC3164 is the old form of BSD, in local time without year and zone. On a
	// socket of this machine it has no host name, as daemons expect it there.
	RFC3164
)

// Framing is how a stream is divided into messages. A datagram is one message
// and has no framing.
type Framing int

const (
	// Octet puts the length before each message, as decimal digits and a space:
	// octet counting of RFC 6587 and RFC 5425. It is the default but for [Local].
	Octet Framing = iota + 1
	// LF ends each message with a line feed; line feeds in it become #012. It is
	// for receivers that do not count octets.
	LF
)

// Options are options for a [Handler]. A zero Options consists entirely of
// default values.
type Options struct {
	// Level is the lowest level that Enabled accepts. Default nil: every level.
	Level slog.Leveler

	// Format is the form of messages. Default RFC5424; for Local it is RFC3164,
	// because journald and rsyslog read no other there.
	Format Format

	// Framing divides a stream into messages. Default Octet; for Local it is LF.
	Framing Framing

	// Facility says what kind of program it is. Default User.
	Facility Facility

	// Hostname, AppName, ProcID and MsgID stand in the head of each message.
	// Default the name of the host, of the program's file, the process id, and
	// none. What is not printable ASCII becomes an underscore, and what is longer
	// than the 255, 48, 128 and 32 bytes of RFC 5424 is cut. RFC3164 has no MsgID.
	Hostname, AppName, ProcID, MsgID string

	// SDID is the SD-ID of the element of structured data that holds the
	// attributes: a name and the private enterprise number of who has defined it.
	// Default slog@32473, with the number that is set aside for examples.
	SDID string

	// AddSource adds the file and line of the call as the attribute source.
	AddSource bool

	// MaxRecordBytes is how many bytes a message may have, head and all. In one that
	// would be longer, the longest texts are cut on a character and end with
	// "!truncated"; if that is not enough, the last attributes are left out. It
	// then has an attribute "!truncated" with the number of bytes that it would
	// have had. Default 8000, as rsyslogd takes 8096 unless it is told otherwise;
	// at least 1 KiB.
	MaxRecordBytes int

	// TLS is the configuration for a target tls://. Default nil: the roots of
	// the system, and the host of the target as the name of the server.
	TLS *tls.Config

	// DialTimeout bounds connecting, TLS included. Default 5s.
	DialTimeout time.Duration

	// WriteTimeout bounds a write. Default 10s.
	WriteTimeout time.Duration

	// Backoff is how long no new connection is tried after one has failed: each
	// record gets its error at once until then. Only a batch that has an Attempt
	// is tried all the same, because whoever counts attempts does the waiting.
	// Default 1s to 30s; MaxElapsed is not used.
	Backoff slogworks.Backoff
}

// Handler sends records as syslog messages. It is safe for concurrent use.
// Messages go out in the order in which Handle and HandleBatch get hold of the
// connection, one call at a time. It connects when there is a record to send,
// and again when the connection has ended, so that it can be made while the peer
// is down. Derived handlers share the connection.
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
	form   form

	// What follows belongs to who has acquired the outlet.

	out  []byte
	ends []int // where the messages in out end
}

// New returns a handler that sends records to the target, one of
//
//	udp://HOST:PORT
//	tcp://HOST:PORT
//	tls://HOST:PORT
//	unix:///PATH
//	unixgram:///PATH
//
// or [Local]. Daemons mostly listen on port 514, for tls on 6514. It does not
// connect before there is a record. New panics if target and options do not fit,
// as [Check] says.
func New(target string, opts *Options) *Handler {
	t, err := parseTarget(target)
	if err == nil {
		err = check(t, opts)
	}
	if err != nil {
		panic(err.Error())
	}
	c := new(core)
	if opts != nil {
		c.Options = *opts
	}
	if c.Level != nil {
		c.Level = stage.Level("syslog", c.Level, slog.LevelInfo)
	}
	c.setDefaults(t)
	c.form = newForm(&c.Options, t)
	o := outlet.Options{
		Name: "syslog", Closed: ErrClosed, Target: t.Target, TLS: c.TLS,
		DialTimeout: c.DialTimeout, WriteTimeout: c.WriteTimeout, Backoff: c.Backoff,
	}
	if t.isLocal {
		o.Dial = dialLocal
	}
	c.outlet = outlet.New(o)
	return &Handler{core: c}
}

// Check returns an error that says what is wrong with a target and its options,
// for those who read them from a configuration.
func Check(target string, opts *Options) error {
	t, err := parseTarget(target)
	if err != nil {
		return err
	}
	return check(t, opts)
}

func (c *core) setDefaults(t target) {
	if c.Format == 0 {
		c.Format = RFC5424
		if t.isLocal {
			c.Format = RFC3164
		}
	}
	if c.Framing == 0 {
		c.Framing = Octet
		if t.isLocal {
			c.Framing = LF
		}
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
// each. It returns a [*slogworks.DeliveryError] if that failed.
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

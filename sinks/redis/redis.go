// Package redis sends records to a Redis server, by channel, stream or list, and
// reads them from there.
//
// Use it where the programs of many machines log to one place, or many readers
// share what was logged: a channel shows it to who looks at it now, a stream
// keeps it until it is trimmed, and a group of readers shares a stream so that
// each record is handled by one of them. Where one machine is all there is,
// package socket needs no server in between, and where something collects what
// programs write to stderr already, slog.NewJSONHandler on stderr is enough.
//
// [New] makes a handler that sends each record, or each batch with one round
// trip, on the calling goroutine. Put a queue in front of it, which takes it off
// the path of the code that logs, gathers batches, waits and tries again:
//
//	h := queue.New(redis.New("redis://127.0.0.1:6379", &redis.Options{Stream: "log"}), nil)
//
// A record costs its caller the encoding, a few allocations and the round trip;
// a batch of 100 costs one round trip too. There is no goroutine. Handle and
// HandleBatch block for at most DialTimeout and Timeout together, and as long for
// each call that came before, and return at once while the server is known to be
// down. They never sleep and never try again: they return a
// [*slogworks.DeliveryError] and leave that to the queue.
//
// What is lost: nothing, in a stream or list, as long as the queue in front has
// the record, the stream is not trimmed before it is read, and the server keeps
// what it has acknowledged, which is a matter of its appendonly and appendfsync,
// and at a failover of what the replica had got. A batch is one transaction, so
// what was refused is tried again from where it stopped, in order. If the answer
// to it did not come, nobody knows whether it was carried out: then the records
// are sent again, and may be there twice; [Reader.Tail] recognises them by their
// numbers, which [RedisLog] has not, and hands them on once. A channel keeps
// nothing: who does not listen at the moment does not get the record. os.Exit,
// SIGKILL and a panic lose what the queue in front holds, nothing else.
//
// A [Reader] hands what it finds in channels and streams to a handler, and says
// what it has missed.
//
// The smallest program that reads:
//
//	r := &redis.Reader{URL: "redis://127.0.0.1:6379", Handler: slog.NewJSONHandler(os.Stdout, nil)}
//	log.Fatal(r.Tail(context.Background(), redis.Source{Stream: "log"}))
//
// # Format
//
// A record is a line of JSON that keeps the kinds of values, or with [RedisLog]
// an object with the eleven keys of Python's python-redis-log. In a stream it is
// the field "record" of an entry. A Reader understands both forms, and the JSON
// of other loggers, of entries that have one field only under any name.
package redis

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

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
	"github.com/slogworks/slogworks/internal/wire"
)

// ErrClosed is what Handle returns after Shutdown or Close.
var ErrClosed = errors.New("redis: closed")

// Format is what a record looks like in Redis. A Reader understands both.
type Format int

const (
	// Wire is JSON that keeps the kind of every value, and where the record comes
	// from.
	Wire Format = iota
	// RedisLog is the object of Python's python-redis-log: the keys name, level,
	// filename, line_no, msg, args, time, username, funcname, hostname and
	// traceback. It has no place for attributes: they are added to msg as
	// slog.TextHandler writes them, but for a string called traceback.
	RedisLog
)

// DefaultChannel is where records are published if Options name nothing else.
const DefaultChannel = "slogworks"

// Options are options for a [Handler]. A zero Options consists entirely of
// default values.
type Options struct {
	// Level is the lowest level that Enabled accepts. Default nil: every level.
	Level slog.Leveler

	// Channel, Stream and List are where records go, by PUBLISH, XADD and RPUSH;
	// each may be left out. Default: the channel [DefaultChannel].
	Channel, Stream, List string

	// ChannelFunc, if set, names the channel of each record instead of Channel;
	// "" is none. It must be safe for concurrent use. If it panics, the record, or
	// the batch that it is in, is not sent, and the error is Permanent.
	ChannelFunc func(slogworks.View) string

	// MaxLen is about how many entries the stream keeps; the server trims it
	// when that costs little, so that there are some more. Default 100,000;
	// below 0: it is not trimmed.
	MaxLen int64

	// MaxList is how many records the list keeps, the newest. Default 10,000;
	// below 0: it is not trimmed.
	MaxList int64

	// Format is the form of the records. Default Wire.
	Format Format

	// Client is what commands are sent with, instead of a client of the
	// handler's own; then the URL is "" and TLS and DialTimeout are not used. It
	// is not closed. Retries of its own would repeat what may have been carried
	// out, and its deadlines hold unless it has ContextTimeoutEnabled: it should
	// be made with MaxRetries -1 and ContextTimeoutEnabled. With anything but a
	// *redis.Client, as for a cluster, a batch is no transaction.
	Client goredis.UniversalClient

	// TLS is the configuration for a URL rediss://. Default nil: the roots of
	// the system, and the host of the URL as the name of the server.
	TLS *tls.Config

	// MaxRecordBytes is how many bytes a record may have; of a longer one, the
	// longest strings are cut and marked. Default 64 KiB; at least 2 KiB and less
	// than 16 MiB.
	MaxRecordBytes int

	// DialTimeout bounds connecting. Default 2s, or dial_timeout of the URL.
	DialTimeout time.Duration

	// Timeout bounds a round trip, be it of one record or of a batch. Default 5s,
	// or read_timeout of the URL.
	Timeout time.Duration

	// Backoff is how long no further attempt is made after one has failed: each
	// record gets its error at once until then. Only a batch that has an Attempt
	// is tried all the same, because whoever counts attempts does the waiting.
	// Default 100ms to 5s; MaxElapsed is not used.
	Backoff slogworks.Backoff

	// Host and Process are what records say about where they come from, beside
	// the process id. Default the name of the host and of the program's file.
	Host, Process string
}

// Handler sends records to Redis. It is safe for concurrent use. Records go out
// in the order in which Handle and HandleBatch get hold of the connection, one
// call at a time. It connects when there is a record to send, so that it can be
// made while the server is down. Derived handlers share the connection.
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
	link  *link
	about wire.Origin // without Seq and Boot, which a record has at its end
	boot  string
	user  string // for RedisLog
	names names

	sent, failed, refused atomic.Uint64

	life    context.Context // ends when a Shutdown gives up
	endLife context.CancelFunc
	closing chan struct{}
	close   sync.Once

	// busy is a lock that can be waited for with a context; who holds it owns
	// what follows.
	busy      chan struct{}
	closed    bool
	failures  int // in a row
	notBefore time.Time
	lastErr   error
	seq       uint64 // of the last record that was sent
	repeated  repeated
	out       []byte // the records, numbered
	commands  commands
}

// New returns a handler that sends records to the server at the URL, one of
//
//	redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]
//	rediss://…                                   with TLS
//	unix://[[USER]:PASSWORD@]/PATH[?db=DB]
//
// or "" with [Options].Client. It does not connect before there is a record. New
// panics if URL and options do not fit, as [Check] says.
func New(url string, opts *Options) *Handler {
	var o Options
	if opts != nil {
		o = *opts
	}
	server, err := check(url, &o)
	if err != nil {
		panic(err.Error())
	}
	if o.Level != nil {
		o.Level = stage.Level("redis", o.Level, slog.LevelInfo)
	}
	o.setDefaults(server)
	c := &core{Options: o, boot: rand.Text(), busy: make(chan struct{}, 1), closing: make(chan struct{})}
	c.link = newLink(o.Client, server, o.TLS, o.DialTimeout, o.Timeout)
	c.about = wire.Origin{Host: c.Host, Process: c.Process, PID: os.Getpid()}
	c.names = c.Options.names()
	if c.Format == RedisLog {
		c.user = userName()
	}
	c.life, c.endLife = context.WithCancel(context.Background())
	return &Handler{core: c}
}

// Check returns an error that says what is wrong with a URL and its options, for
// those who read them from a configuration. It connects to nothing, and the
// error has no password in it.
func Check(url string, opts *Options) error {
	var o Options
	if opts != nil {
		o = *opts
	}
	_, err := check(url, &o)
	return err
}

func check(url string, o *Options) (*goredis.Options, error) {
	server, err := parseServer(url, o.Client, o.TLS)
	switch {
	case err != nil:
		return nil, err
	case o.Format < Wire || o.Format > RedisLog:
		return nil, fmt.Errorf("redis: Format %d: want Wire or RedisLog", o.Format)
	case o.Channel != "" && o.ChannelFunc != nil:
		return nil, errors.New("redis: both Channel and ChannelFunc: want one of them")
	case o.Stream != "" && o.Stream == o.List:
		return nil, fmt.Errorf("redis: %q cannot be both stream and list: want two names", o.Stream)
	}
	return server, nil
}

func (o *Options) setDefaults(server *goredis.Options) {
	if o.Channel == "" && o.ChannelFunc == nil && o.Stream == "" && o.List == "" {
		o.Channel = DefaultChannel
	}
	if o.MaxLen == 0 {
		o.MaxLen = 100_000
	}
	if o.MaxList == 0 {
		o.MaxList = 10_000
	}
	if o.MaxRecordBytes <= 0 {
		o.MaxRecordBytes = wire.DefaultMax
	}
	o.MaxRecordBytes = min(max(o.MaxRecordBytes, minRecord), wire.MaxLine-1)
	o.DialTimeout, o.Timeout = timeouts(o.DialTimeout, o.Timeout, server)
	setBackoff(&o.Backoff)
	if o.Host == "" {
		o.Host, _ = os.Hostname() // without a name, records have none
	}
	if o.Process == "" && len(os.Args) > 0 {
		o.Process = filepath.Base(os.Args[0])
	}
}

// minRecord has room for a record of which everything is cut.
const minRecord = 2 << 10

func setBackoff(b *slogworks.Backoff) {
	if b.Min <= 0 {
		b.Min = 100 * time.Millisecond
	}
	if b.Max <= 0 {
		b.Max = 5 * time.Second
	}
}

// Enabled reports whether level is at least [Options].Level, whether or not the
// server can be reached.
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

// HandleBatch sends the records of the batch with one round trip, and returns a
// [*slogworks.DeliveryError] if that failed. What of a record was delivered, as
// to the channel but not to the stream, is not sent again under the same ID.
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
			c.link.cut()
			c.busy <- struct{}{}
			err = fmt.Errorf("redis: shutdown: %w: the records that were being sent got an error", ctx.Err())
		}
	}
	if !c.closed {
		c.closed = true
		c.link.close()
	}
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
		Stage:     "redis",
		Delivered: c.sent.Load(),
		Dropped: map[string]uint64{
			"closed": c.refused.Load(),
			"failed": c.failed.Load(),
		},
	}
	a.Accepted = a.Delivered
	for _, n := range a.Dropped {
		a.Accepted += n
	}
	return a
}

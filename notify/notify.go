// Package notify tells people that something grave has happened: on a desktop,
// in a chat, on a phone, by whatever a command line or a URL reaches.
//
// Use it for the few records that somebody must see now. It is no log: a person
// reads one message in ten minutes and not a thousand, so what comes in quick
// succession is told together, and most of it by its number only. Write the log
// beside it, with fanout.New. For mail, package buffer/mail; for a service that
// takes whole logs, a sink and a queue. To run a command now and then without
// any of this, os/exec in a few lines is enough.
//
// The first record is sent at once. Those that follow within Window are sent
// together when it ends; then the next window is twice as long, up to
// MaxWindow, until one passes without a record. Ten thousand errors in ten
// seconds make two messages.
//
// What a record says was often typed by a stranger. By the commands and webhooks
// made up here it never becomes an option, a line of a shell, a file to be
// uploaded, markup, or a ping to everyone. What a [Command] of your own makes of
// it is checked as far as that can be known beforehand.
//
// Handle never waits for the sender. A record that is told by its number only
// costs a lock and allocates nothing; one that a message holds is copied. There
// is a goroutine while a message is being sent and none otherwise. A command
// costs the start of a process, a millisecond or more, per message.
//
// A message that cannot be sent is not tried again: it is counted, and
// [Options].OnResult is told. Where each has to arrive, put a queue or a buffer
// in front of [Direct]. os.Exit, SIGKILL and a panic that ends the program lose
// the message that is being sent and what the window has collected; Shutdown
// sends both.
//
// The smallest program:
//
//	h, err := notify.New(notify.NotifySend("shop"), nil)
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer h.Close()
//	slog.New(h).Error("payment failed", "order", 7)
package notify

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// ErrClosed is what Handle and HandleBatch return after Shutdown or Close.
var ErrClosed = errors.New("notify: closed")

// Sender sends a message somewhere. Send may take its time and should end when
// ctx does. It must not change the message, which others may be reading, and
// must not call Flush or Shutdown of the handler it sends for, which would wait
// for it. An error that is a [*slogworks.DeliveryError] says when it makes sense
// to try again.
//
// A Sender that has a method Check() error is asked by [New] whether it is
// complete.
type Sender interface {
	Send(ctx context.Context, m *Message) error
}

// SenderFunc is a function as a [Sender].
type SenderFunc func(ctx context.Context, m *Message) error

// Send calls f.
func (f SenderFunc) Send(ctx context.Context, m *Message) error { return f(ctx, m) }

// Adapt makes a Sender of what sends a subject and a text, as the services of
// github.com/nikoksr/notify do. What such a library puts into its errors, and
// what it takes for markup, is its own affair. Adapt panics if x is nil.
func Adapt(x interface {
	Send(ctx context.Context, subject, message string) error
}) Sender {
	if isNil(x) {
		panic("notify: nil Sender")
	}
	return SenderFunc(func(ctx context.Context, m *Message) error {
		return x.Send(ctx, m.Title, m.Body)
	})
}

// Options are options for a [Handler]. A zero Options consists entirely of
// default values.
type Options struct {
	// Level is the lowest level that Enabled accepts. Default slog.LevelError.
	// It is read for every record.
	Level slog.Leveler

	// Window is how long after a message the next may follow. Default 10s.
	Window time.Duration

	// MaxWindow is what Window grows to, doubled after each window in which
	// there was something to tell. Default 5m, or Window if that is longer.
	MaxWindow time.Duration

	// MaxRecords is how many records a message holds, the rest being told by
	// number: the most severe, and of those the first. They are held whole,
	// however big. Default 20.
	MaxRecords int

	// Timeout is how long a message may take: the deadline of the context that
	// the Sender gets. Default 30s.
	Timeout time.Duration

	// Render makes the title, one line, and the body of a message, of which it
	// gets everything else. It is called on the goroutine that sends. If it
	// panics, the default is used, and the body says so. Default nil: the title
	// is the level and the message of the most severe record and says how many
	// more there are; the body has a line for each record, with its attributes,
	// cut at 1000 bytes, and no record can look like two. Of what Render returns,
	// control characters and invalid UTF-8 are replaced. It must not call Flush or
	// Shutdown, which would wait for it.
	Render func(m *Message) (title, body string)

	// OnResult is called with each message when it was sent, err being nil, or
	// when that failed; a panic of the Sender is a [*slogworks.PanicError]. It
	// runs on the goroutine that sends. If it logs an error to this handler, the
	// failure of one message makes the next. It must not call Flush or Shutdown,
	// which would wait for it. Default nil: failures are in Stats, and Shutdown
	// tells of them.
	OnResult func(m *Message, err error)
}

// Handler tells a [Sender] what happened. It is safe for concurrent use.
// Messages are sent one at a time and in order; while one is being sent the next
// collects what comes. Handle does not block, and drops nothing without a
// number: see [Stats].
//
// A batch of Kind Escalation or Digest makes one message, if none was sent
// within the window; otherwise its records are told with the others, because a
// hundred requests that fail make a hundred escalations. Of an escalation that
// has more than MaxRecords, the last are kept. The records of a Stream come as if
// each had come alone. HandleBatch takes records of every level.
//
// Derived handlers share the window, the counts and the end.
type Handler struct {
	core *core
	with *chain.Node
}

var _ slogworks.BatchHandler = (*Handler)(nil)

// New returns a handler that tells s. It panics if s is nil. The error is that
// of the Sender's method Check, if it has one: a program that is not installed,
// a placeholder where a stranger's text could become an option. Nothing runs
// until there is a record.
func New(s Sender, opts *Options) (*Handler, error) {
	if isNil(s) {
		panic("notify: nil Sender")
	}
	if checker, ok := s.(interface{ Check() error }); ok {
		if err := checker.Check(); err != nil {
			return nil, err
		}
	}
	return &Handler{core: newCore(s, opts)}, nil
}

func isNil(x any) bool {
	if x == nil {
		return true
	}
	v := reflect.ValueOf(x)
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil()
}

// Enabled reports whether level is at least [Options].Level.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.core.Level.Level()
}

// Handle takes the record, whatever its level, and returns at once. The error is
// nil, or ErrClosed.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	if done, err := h.core.count(r.Level); done {
		return err
	}
	// LogValuers may log, so that the values are frozen outside of the lock.
	return h.core.add(chain.FreezeRecord(h.with.Flatten(r)))
}

// HandleBatch takes the records of the batch and returns at once: the message
// need not have been sent, so that behind a buffer, which would forget them,
// belongs [Direct]. The error is nil, or ErrClosed.
func (h *Handler) HandleBatch(_ context.Context, b slogworks.Batch) error {
	return h.core.addBatch(h.with, b)
}

// WithAttrs returns a Handler that adds attrs to each record.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &Handler{core: h.core, with: h.with.WithAttrs(attrs)}
}

// WithGroup returns a Handler that opens a group in each record.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &Handler{core: h.core, with: h.with.WithGroup(name)}
}

// Flush waits for the message that is being sent, and for the one that follows
// it if its window is over, unless the Sender asks for time before that. What the
// window still collects stays collected. A message that cannot be sent is no error
// of Flush. If ctx ends first, the error wraps ctx.Err() and says how many records
// were waiting.
func (h *Handler) Flush(ctx context.Context) error { return h.core.flush(ctx) }

// Shutdown refuses further records, sends what the window has collected without
// waiting for its end, and waits for it. If ctx ends first, it cancels the
// context of the message that is being sent, gives up the rest and returns an
// error that wraps ctx.Err() and says how many records were lost. What becomes
// of the message that was being sent is counted when its Sender returns. Without
// OnResult the error also says how many messages have failed before.
func (h *Handler) Shutdown(ctx context.Context) error { return h.core.shutdown(ctx) }

// closeTimeout is the time that Close gives to Shutdown.
const closeTimeout = 5 * time.Second

// Close is Shutdown with 5 seconds of time.
func (h *Handler) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return h.Shutdown(ctx)
}

func settingsOf(opts *Options) Options {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Level = stage.Level("notify", o.Level, slog.LevelError)
	if o.Window <= 0 {
		o.Window = 10 * time.Second
	}
	if o.MaxWindow <= 0 {
		o.MaxWindow = 5 * time.Minute
	}
	o.MaxWindow = max(o.MaxWindow, o.Window)
	if o.MaxRecords <= 0 {
		o.MaxRecords = 20
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	return o
}

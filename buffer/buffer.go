// Package buffer collects records over restarts of the program, and delivers
// them as one batch when there are enough of them.
//
// Use it in front of what tells a person: buffer/mail, a notification. One
// failure of a service that is away for a minute is no news, five are; with
// [AtLeast] records wait on disk, from one run of a program to the next, until
// they are worth a mail, and a mail that could not be sent waits too. Use queue,
// not buffer, where records are to go on at once, and never one in front of the
// other: both wait and try again. To just have the records on disk,
// slog.NewJSONHandler on a file is enough.
//
// A record costs its caller what it takes to print it as a line, and five system
// calls, of which one writes; in a burst it is that one alone, because the lock is
// kept for 4ms. Nothing waits for a delivery. With [SyncAlways] the caller waits for
// the disk as well, together with all others that log at the time. Up to eight
// objects are allocated and none of them is kept: what is held is lines, on disk or,
// without a directory, in memory. A goroutine runs while the trigger is asked or a
// batch is delivered, and none otherwise; while something is held there is a timer.
// A batch is read into memory to be delivered: at most an eighth of
// Options.MaxBytes of lines, by default one megabyte, which becomes a multiple of
// that as records.
//
// What can be lost: with a directory, nothing that Handle has returned nil for, by
// os.Exit, a panic or SIGKILL; the kernel has it. A power failure loses up to a
// second, or nothing with SyncAlways. Without a directory everything that is held
// is lost, unless Shutdown is called and can deliver it. Beyond Options.MaxBytes
// the oldest records are dropped, which is counted and told with the next batch.
// The context of a record is not kept.
//
// A batch is delivered at least once. If the program is killed when the batch is
// out but not yet removed, the next run delivers it again, with the same
// Batch.ID, by which mail makes the same Message-ID. A batch that cannot be
// delivered is tried again, also by the next run; what is logged meanwhile waits,
// so that when the server is back there are two mails and not one for each try.
// One that is refused for good moves to the directory dead in the spool, see
// [Requeue].
//
// Several processes may share a directory, on a local disk; each record is in one
// batch, and the limit holds for all together.
//
// The smallest program:
//
//	h, err := buffer.Open(mails, &buffer.Options{Dir: "/var/spool/shop"})
//	if err != nil {
//		return err
//	}
//	defer h.Close()
//	slog.New(h).Error("feed is gone")
//
// # Format
//
// A spool is a directory, mode 0700, of files of mode 0600:
//
//	lock              locked by who writes a journal, or moves a file
//	sender            locked by who delivers
//	state.json        when batches went out, and what was dropped
//	journal-<n>       records that wait, oldest in the lowest n
//	batch-<id>        a journal that has become a batch, which does not change
//	batch-<id>.state  attempts, and who has the batch already
//	dead/             batches that were refused for good
//	*.unknown         what was found in place of these and is not understood
//
// The first line of a journal is slogspool/1. Each further line is the CRC-32C of
// the rest in eight hex digits, a space, a record as JSON, and a line feed. A line
// that is not what its checksum says is skipped and counted.
package buffer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// ErrClosed is what Handle returns after Shutdown or Close, and Outcome.Err is
// then.
var ErrClosed = errors.New("buffer: closed")

// Options are options for a [Handler]. A zero Options consists entirely of
// default values.
type Options struct {
	// Level is the lowest level that is collected. Default slog.LevelWarn. It is
	// read for every record.
	Level slog.Leveler

	// Dir is the spool, made if it is not there. It must be on a local disk.
	// Default "": records are kept in memory, and lost with the process.
	Dir string

	// Sync says when records are safe from a power failure. Default
	// SyncInterval: within a second.
	Sync SyncPolicy

	// Trigger says when the records that are held are worth a batch. Default
	// Any(AtLeast(5, slog.LevelError), OlderThan(24*time.Hour)).
	Trigger Trigger

	// Manual has the trigger asked by Evaluate and Shutdown only, and tries no
	// delivery again but by them: for programs that do their work and end.
	Manual bool

	// Every is how often the trigger is asked while records are held, besides
	// after each record: so exactly do OlderThan and Quiet work, and so soon is
	// seen what other processes log. Default 1m; below 0: never.
	Every time.Duration

	// Limit is how many batches go out in a time; it survives restarts. A batch
	// counts when it is first tried. Default 6 in an hour; N below 0: no limit.
	Limit slogworks.Rate

	// Retry says how long a batch that could not be delivered waits before the
	// next attempt. A DeliveryError's After is kept to if it is longer. If
	// MaxElapsed has passed since the first attempt, the batch is given up as if
	// refused. Default 1m to 1h, for 7 days; of a Retry that is set in part, Min
	// and Max have these defaults, and a MaxElapsed of 0 is for ever.
	Retry slogworks.Backoff

	// MaxBytes is how much is held: when it is exceeded, the oldest eighth is
	// dropped and counted. The batch that is being delivered does not count.
	// An eighth of it is also the most that goes into one batch, except that
	// what came by one HandleBatch stays together. Default 8 MiB.
	MaxBytes int64

	// MaxRecordBytes is how long the line of a record may be. In a longer one
	// values are cut and marked with "!truncated". Default 64 KiB; at least
	// 1 KiB.
	MaxRecordBytes int

	// Fingerprint says which records are alike, for State.Distinct: those for
	// which it is the same. It must not log. Default: level, message, and file
	// and line of the call.
	Fingerprint func(slogworks.View) string

	// OnOutcome is called after each attempt to deliver, and when the limit
	// begins to hold a batch back; not when records are just kept. It runs on the
	// goroutine that delivers, must not log to the Handler and must not call its
	// methods other than Last and Stats. Default nil.
	OnOutcome func(Outcome)
}

// Handler collects records. It is safe for concurrent use, as is a directory by
// several Handlers, in one process or in many. Records are delivered in the order
// in which they were stored, one batch at a time, as a Digest. Derived handlers
// share what is held. Handle blocks for the disk and for other processes that
// write to the same spool, never for a delivery.
//
// next is called without any lock held; it may log to the Handler it is behind.
// It gets what Handle got, decoded: values are of the kinds that slog has, an
// error has its text and no longer its type, and the source of a call is an
// attribute, see [slogworks.View]. slog's handlers print them alike.
//
// next is for what takes batches itself. A handler of single records behind stages
// that only pass batches on gets the records one by one up to the first that
// fails, and that one is where the next attempt begins. What it fails at each
// time, by a panic too, holds up all behind it until Retry.MaxElapsed has passed,
// and then, or if it refuses the record for good, the rest of the batch is given
// up with it.
//
// A batch that comes in, as fingerscrossed makes them, becomes part of the Digest
// with all its items, whatever Level says.
type Handler struct {
	core *core
	with *chain.Node
}

var _ slogworks.BatchHandler = (*Handler)(nil)

// Open returns a Handler in front of next, with what earlier runs have left in
// the spool. What it finds there and does not understand it sets aside as
// *.unknown. The error says why the directory cannot be used; without one there is
// no error. Open panics if next is nil.
func Open(next slogworks.BatchHandler, opts *Options) (*Handler, error) {
	c, err := newCore(next, opts)
	if err != nil {
		return nil, err
	}
	return &Handler{core: c}, nil
}

// Enabled reports whether the level is at least Options.Level and next is
// enabled.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.core.Level.Level() && h.core.next.Enabled(ctx, level)
}

// Handle stores the record. An error means that it is not stored and is counted:
// [ErrClosed] after Shutdown, that of the disk if it is full, or that another
// process has kept the spool locked for 5 seconds. Only the error of a sync, with
// SyncAlways, leaves the record stored: it may not survive a power failure. A
// record that is not enabled is ignored. The end of ctx changes nothing.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if !h.Enabled(ctx, r.Level) {
		return nil
	}
	return h.core.put(h.with.Flatten(r))
}

// HandleBatch stores every item of the batch, whatever its level, and asks the
// trigger once, after the last. If it returns an error, none is stored, but for
// that of a sync, as in Handle. What the batch has lost before is told with the
// next batch that goes out.
func (h *Handler) HandleBatch(_ context.Context, b slogworks.Batch) error {
	return h.core.putBatch(h.with, b)
}

// WithAttrs returns a handler that adds the attributes, as they are now, to its
// records.
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

// Unwrap returns the handler that batches go to.
func (h *Handler) Unwrap() slog.Handler { return h.core.next }

// Evaluate delivers one batch if the trigger, which it asks once, says so, or if
// a batch is due to be tried again; otherwise it keeps what is held. It blocks
// while a delivery goes on, its own or another, and ctx bounds that; of its own
// only as far as the handler behind heeds it. Called by the handler behind, with
// the context that was given, it returns an error at once.
func (h *Handler) Evaluate(ctx context.Context) Outcome { return h.core.evaluate(ctx, asked) }

// Deliver delivers one batch now, whatever the trigger, the limit and the waiting
// time between attempts say: the one that could not be delivered before, if there
// is one, or else the oldest records. The batch counts towards the limit. When
// nothing is left, the Status is Empty. Blocking is as for Evaluate; it also waits
// while another process delivers.
func (h *Handler) Deliver(ctx context.Context) Outcome { return h.core.evaluate(ctx, forced) }

// Flush makes what is stored safe from a power failure. It delivers nothing:
// records that are held stay held. It blocks for the disk, whatever ctx says.
func (h *Handler) Flush(context.Context) error { return h.core.flush() }

// Shutdown refuses further records, evaluates once within ctx, as Evaluate does,
// makes the rest safe from a power failure, and closes the files. With a directory
// the error is nil once everything is on disk, whether it was delivered or not:
// see Last. Without one, what is held is delivered whatever the trigger says, and
// the error says how many records are lost.
//
// If ctx ends while a batch is being delivered, the context of the delivery is
// cancelled and Shutdown returns, at most a tenth of a second later; what the
// handler behind makes of it counts when it returns.
func (h *Handler) Shutdown(ctx context.Context) error { return h.core.shutdown(ctx) }

// closeTimeout is the time that Close gives to Shutdown.
const closeTimeout = 5 * time.Second

// Close is Shutdown with 5 seconds of time.
func (h *Handler) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return h.Shutdown(ctx)
}

// settings are the options with their defaults.
type settings struct{ Options }

func settingsOf(opts *Options) settings {
	var s settings
	if opts != nil {
		s.Options = *opts
	}
	s.Level = stage.Level("buffer", s.Level, slog.LevelWarn)
	if s.Trigger == nil {
		s.Trigger = Any(AtLeast(5, slog.LevelError), OlderThan(24*time.Hour))
	}
	if s.Every == 0 {
		s.Every = time.Minute
	}
	if s.Limit.N == 0 {
		s.Limit.N = 6
	}
	if s.Limit.Per <= 0 {
		s.Limit.Per = time.Hour
	}
	if s.Retry == (slogworks.Backoff{}) {
		s.Retry.MaxElapsed = 7 * 24 * time.Hour
	}
	if s.Retry.Min <= 0 {
		s.Retry.Min = time.Minute
	}
	if s.Retry.Max <= 0 {
		s.Retry.Max = max(time.Hour, s.Retry.Min)
	}
	if s.MaxBytes <= 0 {
		s.MaxBytes = 8 << 20
	}
	return s
}

// segmentBytes is how large a journal grows, and so a batch.
func (s *settings) segmentBytes() int64 { return max(1, s.MaxBytes/8) }

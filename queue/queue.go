// Package queue takes a slow handler off the path of the code that logs: Handle
// puts the record into a bounded queue, and a goroutine hands it on.
//
// Use it in front of what can be slow: a network sink, a file on a disk that
// may stall, a handler that several goroutines contend for. Use none in front
// of memory or of a terminal, and none where a program that dies must have
// written its last words: there, write synchronously, with slog.NewJSONHandler
// on the file itself. One slow handler needs one queue; behind a shared one
// each waits for the others.
//
// A record costs its caller a copy, about 320 bytes in the queue, and a lock.
// Nothing is allocated for records of up to five attributes unless a value has
// to be frozen: LogValuers are resolved and values that can change are rendered
// when the record is logged, since by the time it is handled they would say
// something else. There is no goroutine while the queue is idle, closed or not:
// it ends some 10ms after the last record. A test in a testing/synctest bubble,
// where that time does not pass by itself, has to close the queue.
//
// What a full queue does depends on the level of the record:
//
//	                          room       only the reserve    full
//	below ReserveLevel        queued     dropped, counted    dropped, counted
//	  with BlockAll           queued     waits for MaxBlock  waits for MaxBlock
//	ReserveLevel and above    queued     queued              waits for MaxBlock
//	SyncLevel and above       as its level says, then waits until it is handled
//
// Whoever has waited in vain is dropped and counted, and then nobody waits
// again until the handler has made progress: a sink that hangs costs all
// callers together one MaxBlock. What was dropped is told in the log itself, by
// a record at Warn: once the backlog drains, every ReportEvery while it lasts,
// and before Flush and Shutdown return.
//
// A handler that is down is tried again for as long as Retry says. Set OnError
// to be told why: without it, that is only in Stats and in the error of a
// Shutdown that runs out of time.
//
// What is lost: os.Exit, log.Fatal, a panic that ends the program and SIGKILL
// lose the records that are in the queue. Records at SyncLevel are handled
// before the call returns, and so are those before them. A deferred Shutdown
// saves the queue from a panic; nothing saves it from SIGKILL.
//
// The smallest program:
//
//	q := queue.New(slog.NewJSONHandler(file, nil), nil)
//	defer q.Close()
//	slog.New(q).Info("off the caller's path")
package queue

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

var (
	// ErrFull is what Handle returns for a record that found no room, unless
	// the Fallback took it.
	ErrFull = errors.New("queue: full")

	// ErrClosed is what Handle returns after Shutdown or Close.
	ErrClosed = errors.New("queue: closed")
)

// Options are options for a [Handler]. A zero Options consists entirely of
// default values.
type Options struct {
	// Capacity is how many records may wait, those that the handler is working
	// on included. Default 1024. Memory follows the backlog, not the capacity.
	Capacity int

	// ReserveLevel is the lowest level that may use the reserve and may wait
	// for room. Default slog.LevelWarn. It is read for every record that finds
	// no room outside the reserve.
	ReserveLevel slog.Leveler

	// Reserve is how many places are kept for ReserveLevel and above. Default
	// a fifth of Capacity, at least 1; below 0: none.
	Reserve int

	// BlockAll lets records of every level wait for room.
	BlockAll bool

	// MaxBlock is how long a record may wait for room, once for each time that
	// the handler stalls. Default 100ms; below 0: not at all.
	MaxBlock time.Duration

	// SyncLevel is the lowest level whose records the caller waits for until
	// they are handled, in order with all others. Default nil: none.
	SyncLevel slog.Leveler

	// SyncTimeout bounds that wait, which starts once the record is in the
	// queue: a call takes at most MaxBlock and SyncTimeout. Default 1s. The
	// record stays in the queue when the time is over.
	SyncTimeout time.Duration

	// MaxBatch is how many records are handed on in one call to a handler that
	// takes batches. Default 64.
	MaxBatch int

	// Linger is how long the goroutine sleeps before it looks again when the
	// queue is empty, 50 times before it ends: a record that comes in between
	// costs its caller no wake-up and is handled within Linger. A backlog
	// wakes it at once. Default 200us; below 0: it ends at once.
	Linger time.Duration

	// Retry says how long to wait before handing on again what the handler did
	// not accept, as it said by returning a [*slogworks.DeliveryError] itself;
	// no other error is tried again, because a fan-out that failed in part
	// would repeat the rest. Default 50ms to 30s, for ever.
	Retry slogworks.Backoff

	// Fallback gets the records that are dropped because the queue is full, on
	// the caller's goroutine, and those that the handler failed to take, on the
	// queue's: with what With added, and a batch whole if it takes batches. They
	// count as dropped or failed all the same. It does not get what comes after
	// Shutdown or what a Shutdown abandons. Default nil.
	Fallback slog.Handler

	// DropContext hands records on with an empty context, those of batches too.
	// Else the values of the context are kept while the record waits, and
	// whatever they hold on to.
	DropContext bool

	// ReportEvery is the shortest time between two records that tell what was
	// dropped, while the backlog lasts, and between two calls of OnError about
	// one stall. Default 10s.
	ReportEvery time.Duration

	// OnError is called with each error of the handler that is not tried
	// again, a panic among them as a [*slogworks.PanicError]. While the handler
	// is down and tried again, it is called with the error of the first attempt
	// that failed, and then with that of an attempt at most every ReportEvery,
	// until one succeeds. Handlers that share the queue are told apart, and it
	// is called whether or not a Fallback takes the records. It runs on the
	// queue's goroutine and must not log to the queue. The error is that of the
	// call, however many records the call was about. Default nil: errors are in
	// Stats, and Shutdown tells of them.
	OnError func(error)
}

// Handler is a queue in front of a handler. It is safe for concurrent use.
// Records are handed on in the order in which they came, one call at a time,
// and with the time and source of the call that logged them; their contexts
// keep their values and lose their cancellation, and end when a Shutdown gives
// up. Derived handlers share the queue. Handle blocks as the package comment
// says, and not otherwise.
//
// A handler that is a [slogworks.BatchHandler] gets up to MaxBatch records at
// once, as a Stream. A batch that comes in takes as many places as it has
// records, is handed on as it came, and is dropped whole if it finds no room; a
// handler that takes no batches gets the records one by one, as far as it is
// enabled for them. A call that fails for good has failed for all its records
// that it does not say were accepted: a fan-out, which cannot say, may have
// written some.
//
// The handler may log to the queue it is behind, and never waits for itself: a
// record that finds no room is dropped at once. If it panics, or ends its
// goroutine by runtime.Goexit, the records it was given have failed and the
// queue goes on.
type Handler struct {
	core *core
	to   *destination
	with *chain.Node
}

var _ slogworks.BatchHandler = (*Handler)(nil)

// New returns a queue in front of next. It starts no goroutine until there is
// a record. It panics if next is nil or is slog's own default handler.
func New(next slog.Handler, opts *Options) *Handler {
	c := newCore(opts)
	return &Handler{core: c, to: c.addDestination(next)}
}

// Share returns a handler that uses the same queue for another destination, to
// keep the order of records across the two. The verbs on either act on both.
// Each has to wait for the other's handler, so a slow one should have a queue
// of its own. Share panics if next is nil or is slog's own default handler.
func (h *Handler) Share(next slog.Handler) *Handler {
	return &Handler{core: h.core, to: h.core.addDestination(next)}
}

// Enabled reports whether the next handler is enabled.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.with.Handler(h.to.target).Enabled(ctx, level)
}

// Handle puts the record into the queue. It returns [ErrFull] if there is no
// room and no Fallback that takes it, and [ErrClosed] after Shutdown; what the
// next handler will make of the record it cannot know. A record that the next
// handler is not enabled for is ignored. The end of ctx changes nothing.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if !h.Enabled(ctx, r.Level) {
		return nil
	}
	if !chain.Settled(&r) {
		r = chain.FreezeRecord(r)
	}
	return h.core.put(ctx, h, &r)
}

// HandleBatch puts b into the queue, to be handed on as it is. Whether it waits
// goes by the record of the highest level; errors are those of Handle. Nothing
// is kept of the slices of b.
func (h *Handler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	return h.core.putBatch(h, b)
}

// WithAttrs returns a handler that adds the attributes, frozen, to its records.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return &Handler{core: h.core, to: h.to, with: h.with.WithAttrs(attrs)}
}

// WithGroup returns a handler that puts what follows into a group.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &Handler{core: h.core, to: h.to, with: h.with.WithGroup(name)}
}

// Unwrap returns the handlers of all that share the queue, and the Fallback.
func (h *Handler) Unwrap() []slog.Handler { return h.core.unwrap() }

// Flush waits until every record that was in the queue when it was called is
// handled, failed for good or abandoned, however many come after, and until the
// handler was told what had been dropped. It does not flush the next handler:
// [slogworks.Flush] does both. Called by the handler behind the queue it
// returns an error at once. If ctx ends first, the error says how many records
// were waiting, and if a Shutdown abandons some, how many these were.
func (h *Handler) Flush(ctx context.Context) error { return h.core.flush(ctx) }

// Shutdown refuses further records, waits until those in the queue are
// handled, and ends the goroutine. A handler that is down is tried once more at
// once. If ctx ends first, Shutdown cancels the context of what is being
// handled, abandons the records that wait, and returns an error that wraps
// ctx.Err() and says how many; if the last attempt to hand something on failed,
// it ends with the error of that attempt and wraps it, too. What the handler
// still has in its hands then is counted by what becomes of it; another
// Shutdown waits for that. Without OnError and Fallback, from which one would
// know, the error also says how many records the handler did not take before.
// Called by the handler behind the queue Shutdown returns an error at once and
// changes nothing.
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
type settings struct {
	Options
	open int // places that are not in the reserve
}

func settingsOf(opts *Options) settings {
	var s settings
	if opts != nil {
		s.Options = *opts
	}
	if s.Capacity <= 0 {
		s.Capacity = 1024
	}
	s.ReserveLevel = stage.Level("queue", s.ReserveLevel, slog.LevelWarn)
	if s.Reserve == 0 {
		s.Reserve = max(1, s.Capacity/5)
	}
	// With a capacity of 1, a reserve would leave no place for anything else.
	s.Reserve = min(max(0, s.Reserve), s.Capacity-1)
	s.open = s.Capacity - s.Reserve
	s.MaxBlock = orDefault(s.MaxBlock, 100*time.Millisecond)
	if s.SyncLevel != nil {
		s.SyncLevel = stage.Level("queue", s.SyncLevel, slog.LevelError)
	}
	if s.SyncTimeout <= 0 {
		s.SyncTimeout = time.Second
	}
	if s.MaxBatch <= 0 {
		s.MaxBatch = 64
	}
	s.Linger = orDefault(s.Linger, 200*time.Microsecond)
	if s.Retry.Min <= 0 {
		s.Retry.Min = 50 * time.Millisecond
	}
	if s.Retry.Max <= 0 {
		s.Retry.Max = 30 * time.Second
	}
	if s.ReportEvery <= 0 {
		s.ReportEvery = 10 * time.Second
	}
	if s.Fallback != nil {
		stage.Require("queue", s.Fallback)
	}
	return s
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return max(0, d)
}

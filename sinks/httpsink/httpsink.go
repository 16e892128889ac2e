// Package httpsink posts records to an HTTP collector, and receives them.
//
// Use it where something takes lines of JSON by HTTP: Vector, Fluent Bit,
// Logstash, a cloud's intake, a service of your own. A program that runs where
// stderr is collected is better served by slog.NewJSONHandler on stderr, and
// programs in Go that gather their logs in one by package sinks/socket, which
// keeps a connection, the kinds of values, and asks for less.
//
// [New] makes a handler that posts each record, or each batch in one request, on
// the calling goroutine, and waits for the answer. Put a queue in front of it,
// which takes it off the path of the code that logs, gathers batches, waits and
// tries again:
//
//	h := queue.New(httpsink.New("https://logs.example.com/in", nil), &queue.Options{MaxBatch: 500})
//
// Handle and HandleBatch block for at most Timeout per request, and return at
// once while the collector is known to be down. They never sleep and never try
// again: they return a [*slogworks.DeliveryError] and leave that to the queue. A
// batch is one request, unless it is longer than MaxBytes or the collector
// answers that it is too large: then it is several. A request costs net/http a few
// dozen allocations, a record of scalar values none. While a connection is open,
// net/http runs two goroutines for it.
//
// What is lost: nothing that the collector can take, as long as the queue in
// front has it: a record is delivered at least once, and twice if the answer got
// lost and the collector does not look at the Idempotency-Key. What the
// collector refuses for good, with 400 for example, is lost and counted, and so
// is a record that is too large by itself. What a body of 2xx says is not looked
// at. os.Exit, SIGKILL and a panic lose what the queue in front holds.
//
// A [Receiver] takes what this package and others post, and hands it to a
// handler as records.
//
// The smallest program:
//
//	q := queue.New(httpsink.New("http://127.0.0.1:8080/logs", nil), nil)
//	defer q.Close()
//	slog.New(q).Info("ready", "port", 8080)
//
// # Protocol
//
// Each request is a POST. Answers of 2xx are success. Those of 408, 425, 429 and
// 5xx, and no answer, are temporary; a Retry-After, in seconds or as a date, is
// passed on (RFC 9110, section 10.2.3). 413 splits the batch in halves, down to
// one record. Any other answer is permanent for the records of its request, and
// the next is made all the same; if it is that of a [Receiver], which takes what
// it can of a request and says how much that was, the others alone are refused. A
// redirect is followed only to the same host, by the same method, and never from
// https to http; any other is permanent.
//
// A batch with an ID has an Idempotency-Key: the ID, how many of its items were
// left to send before the request, and how many after it, as in "k3f9-500-0".
// When a part of the batch is tried again, it has the same key.
package httpsink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/outbound"
)

// ErrClosed is what Handle returns after Shutdown or Close, and what Serve
// returns after those of the [Receiver].
var ErrClosed = errors.New("httpsink: closed")

// Handler posts records. It is safe for concurrent use, and makes as many
// requests at a time as there are calls. It connects when there is a record to
// send, so that it can be made while the collector is down. Derived handlers
// share connections and counts.
//
// The end of the context of Handle changes nothing; that of HandleBatch, which
// is the lifetime of the stage in front, ends the request.
type Handler struct {
	core *core
	with *chain.Node
}

var _ slogworks.BatchHandler = (*Handler)(nil)

// core is what derived handlers share.
type core struct {
	Options
	url       *url.URL
	client    *http.Client
	transport *http.Transport // nil if it is the user's
	encoders  sync.Pool

	sent, failed, refused, tooLarge, notEncoded, closed atomic.Uint64

	life    context.Context // ends when a Shutdown gives up
	endLife context.CancelFunc

	mu        sync.Mutex
	isClosed  bool
	running   int
	idle      chan struct{} // closed when closed and none is running
	failures  int           // in a row, those of requests at the same time as one
	failedAt  time.Time
	notBefore time.Time
	lastErr   error
}

// New returns a handler that posts records to an http:// or https:// URL. A user
// and a password in it go out as basic authentication. New panics if URL and
// options do not fit, as [Check] says.
func New(url string, opts *Options) *Handler {
	if err := Check(url, opts); err != nil {
		panic(err.Error())
	}
	c := &core{idle: make(chan struct{})}
	c.url, _ = outbound.ParseURL(url)
	if opts != nil {
		c.Options = *opts
	}
	c.setDefaults()
	c.client = c.newClient()
	c.encoders.New = func() any { return c.newEncoder() }
	c.life, c.endLife = context.WithCancel(context.Background())
	return &Handler{core: c}
}

// Enabled reports whether level is at least [Options].Level, whether or not the
// collector can be reached.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return h.core.Level == nil || level >= h.core.Level.Level()
}

// Handle posts the record, and returns a [*slogworks.DeliveryError] if that
// failed, with After saying for how long the next would fail too. After Shutdown
// it returns [ErrClosed].
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	item := slogworks.Item{Context: context.Background(), Record: h.with.Flatten(r)}
	return h.core.send(context.Background(), slogworks.Batch{Items: []slogworks.Item{item}})
}

// HandleBatch posts the batch. It returns a [*slogworks.DeliveryError] if that
// failed: its Accepted items are done with, which are those that the collector
// has and, counted as dropped and given to OnError, those among them that it will
// never take. The others were all refused if the error is permanent.
func (h *Handler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	return h.core.send(ctx, b)
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

// Shutdown refuses further records, waits for the requests that are under way,
// and closes the connections. If ctx ends first, the requests are cut off,
// whoever sends gets an error, and so does the caller, wrapping ctx.Err(). The
// connections of a Client of yours stay open.
func (h *Handler) Shutdown(ctx context.Context) error {
	c := h.core
	c.mu.Lock()
	if !c.isClosed {
		c.isClosed = true
		if c.running == 0 {
			close(c.idle)
		}
	}
	c.mu.Unlock()
	var err error
	select {
	case <-c.idle: // even if ctx is over
	default:
		select {
		case <-c.idle:
		case <-ctx.Done():
			c.endLife()
			<-c.idle
			err = fmt.Errorf("httpsink: shutdown: %w: the records that were being sent got an error", ctx.Err())
		}
	}
	c.endLife()
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
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
// that failed for now, or what of it did, is not counted, because whoever counts
// attempts has it still.
func (h *Handler) Account() slogworks.Account {
	c := h.core
	a := slogworks.Account{
		Stage:     "httpsink",
		Delivered: c.sent.Load(),
		Dropped: map[string]uint64{
			"closed":      c.closed.Load(),
			"failed":      c.failed.Load(),
			"refused":     c.refused.Load(),
			"too large":   c.tooLarge.Load(),
			"not encoded": c.notEncoded.Load(),
		},
	}
	a.Accepted = a.Delivered
	for _, n := range a.Dropped {
		a.Accepted += n
	}
	return a
}

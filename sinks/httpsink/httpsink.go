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
// is a record that is too large by itself. A collector that answers 200 and
// says in the body that it took less is believed. os.Exit, SIGKILL and a panic
// lose what the queue in front holds.
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
// one record. Any other answer is permanent. A redirect is followed only to the
// same host, by the same method, and never from https to http; any other is
// permanent.
//
// A batch with an ID has an Idempotency-Key: the ID, how many of its items were
// left to send before the request, and how many after it, as in "k3f9-500-0".
// When a part of the batch is tried again, it has the same key.
package httpsink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// ErrClosed is what Handle returns after Shutdown or Close, and what Serve
// returns after those of the [Receiver].
var ErrClosed = errors.New("httpsink: closed")

// Format is the form of a request's body.
type Format int

const (
	// NDJSON is a line of JSON per record (application/x-ndjson).
	NDJSON Format = iota
	// Array is one JSON array of the records (application/json).
	Array
	// Wire is a line of JSON per record that keeps the kinds of values, for a
	// receiver of this module.
	Wire
)

// Options are options for a [Handler]. A zero Options consists entirely of
// default values.
type Options struct {
	// Level is the lowest level that Enabled accepts. Default nil: every level.
	Level slog.Leveler

	// Format is the form of the body. Default NDJSON.
	Format Format

	// NewHandler makes the handler that writes records as JSON, of which each is
	// what the handler writes in one call of Handle. A line feed within it becomes
	// a space. Default: slog.NewJSONHandler, with the attributes host, process and
	// pid in front of those of the record. Wire has no use for it.
	NewHandler func(io.Writer) slog.Handler

	// AddSource adds the source of the call, as slog.HandlerOptions has it. It is
	// for the default of NewHandler; Wire always has it.
	AddSource bool

	// Host and Process are what records say about where they come from, beside
	// the process id. Default the name of the host and of the program's file.
	Host, Process string

	// MaxBytes is how long a body may be before it is compressed: a batch that
	// needs more goes out in several requests, one after the other. A record that
	// needs more by itself is sent all the same; by Wire, it is cut. Default
	// 1 MiB, which is what nginx takes unless it is told otherwise.
	MaxBytes int

	// Gzip compresses the body, for speed rather than for size.
	Gzip bool

	// Bearer is sent as Authorization: Bearer. It goes over the network as it is,
	// so that beyond this machine it wants https.
	Bearer string

	// BearerFunc is asked for it before each request, for tokens that expire, on a
	// goroutine of its own: one that does not return when its context ends, within
	// the Timeout, is not waited for. An error counts as temporary, and is returned
	// as it is. It must be safe for concurrent use.
	BearerFunc func(ctx context.Context) (string, error)

	// HMACKey signs the body as it is sent, after compression: HMACHeader is
	// "sha256=" and the HMAC-SHA256 of the body in hexadecimal digits.
	HMACKey []byte

	// HMACHeader is the name of that header. Default X-Signature-256.
	HMACHeader string

	// Header is added to each request, and replaces what it has otherwise.
	Header http.Header

	// Client makes the requests. Its CheckRedirect is asked about the redirects
	// that would be followed. Default: one with connections of its own, that goes
	// by the environment's proxies.
	Client *http.Client

	// Timeout bounds a request, the reading of its answer included. Default 10s.
	Timeout time.Duration

	// Backoff is how long no request is made after one that met with a temporary
	// error: each record gets its error at once until then. A Retry-After counts
	// instead if it is longer. Only a batch that has an Attempt is tried all the
	// same, because whoever counts attempts does the waiting. Default 1s to 30s;
	// MaxElapsed is not used.
	Backoff slogworks.Backoff

	// OnError is called for records that are lost while the rest of their batch
	// is delivered: those that are too large by themselves, or could not be
	// written. It is called on the goroutine of the caller, and must neither log to
	// the handler nor close it. Default nil.
	OnError func(error)
}

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
func New(to string, opts *Options) *Handler {
	if err := Check(to, opts); err != nil {
		panic(err.Error())
	}
	c := &core{idle: make(chan struct{})}
	c.url, _ = url.Parse(to)
	if opts != nil {
		c.Options = *opts
	}
	c.setDefaults()
	c.client = c.newClient()
	c.encoders.New = func() any { return c.newEncoder() }
	c.life, c.endLife = context.WithCancel(context.Background())
	return &Handler{core: c}
}

// Check returns an error that says what is wrong with a URL and its options, for
// those who read them from a configuration. It does not repeat the URL, which
// may be secret.
func Check(to string, opts *Options) error {
	u, err := url.Parse(to)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("httpsink: the URL must be http://HOST/PATH or https://HOST/PATH")
	case opts == nil:
		return nil
	case opts.Format < NDJSON || opts.Format > Wire:
		return fmt.Errorf("httpsink: Format %d: want NDJSON, Array or Wire", opts.Format)
	case opts.Format == Wire && opts.NewHandler != nil:
		return errors.New("httpsink: NewHandler for Wire: want NDJSON or Array")
	case opts.Bearer != "" && opts.BearerFunc != nil:
		return errors.New("httpsink: Bearer and BearerFunc: want one of them")
	case (opts.Bearer != "" || opts.BearerFunc != nil) && u.User != nil:
		return errors.New("httpsink: a bearer token and a user in the URL: want one of them")
	case !isHeaderValue(opts.Bearer):
		return errors.New("httpsink: Bearer has a character that no header can have, perhaps a line feed at its end")
	case opts.HMACHeader != "" && len(opts.HMACKey) == 0:
		return errors.New("httpsink: HMACHeader without HMACKey")
	}
	if opts.HMACHeader != "" && !isHeaderName(opts.HMACHeader) {
		return fmt.Errorf("httpsink: HMACHeader %q is no name that a header can have", opts.HMACHeader)
	}
	for name, values := range opts.Header {
		if !isHeaderName(name) {
			return fmt.Errorf("httpsink: Header has %q, which is no name that a header can have", name)
		}
		if slices.ContainsFunc(values, func(v string) bool { return !isHeaderValue(v) }) {
			return fmt.Errorf("httpsink: Header %q has a character that no header can have", name)
		}
	}
	return nil
}

func (c *core) setDefaults() {
	if c.Level != nil {
		c.Level = stage.Level("httpsink", c.Level, slog.LevelInfo)
	}
	if c.Host == "" {
		c.Host, _ = os.Hostname() // without a name, records have none
	}
	if c.Process == "" && len(os.Args) > 0 {
		c.Process = filepath.Base(os.Args[0])
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 1 << 20
	}
	c.HMACKey = append([]byte(nil), c.HMACKey...)
	if c.HMACHeader == "" {
		c.HMACHeader = "X-Signature-256"
	}
	c.Header = c.Header.Clone()
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Backoff.Min <= 0 {
		c.Backoff.Min = time.Second
	}
	if c.Backoff.Max <= 0 {
		c.Backoff.Max = 30 * time.Second
	}
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
// has and, counted as dropped, those among them that it will never take.
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

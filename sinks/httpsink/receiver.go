package httpsink

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/internal/stage"
)

// Receiver takes records from HTTP requests and hands them to a handler. It is an
// [http.Handler], to be mounted in a server, and has [Receiver.Serve] where there
// is none. Set the fields before it is used, and not afterwards; a zero field has
// its default, and a Receiver must not be copied. It is safe for concurrent use.
//
// A request is
//
//   - a POST with the Content-Type application/x-ndjson (application/ndjson,
//     application/jsonl and application/json-lines are the same): a JSON object per
//     line, empty lines aside;
//   - a POST of application/json: an object, or an array of them;
//   - a GET with a query, or a POST of application/x-www-form-urlencoded: one
//     record of Python's HTTPHandler. All its values are texts, so that args and
//     exc_info are attributes as Python prints them, and msg is not formatted. A
//     form that is no LogRecord is read as a JSON object would be.
//
// An object is a record of a [Handler] or of sinks/socket, JSON of slog, zap,
// zerolog, logrus and python-redis-log, or json.dumps(record.__dict__) in Python;
// any other is a record whose message is the object. A body may be packed with
// gzip.
//
// The answer is 204, or a status with a JSON object of which error says what was
// wrong, accepted how many records were handed on and refused how many were not.
// A body is read to its end before any record of it is handed on: one that is
// longer than MaxBody, breaks off or cannot be divided into records is refused
// whole, so that it may be sent again, in parts if it was 413. An object that is
// no record, or longer than MaxFrame, is refused alone and counted, and the
// others of its body are handed on: that is a 400, and there is nothing to be
// sent again. A Shutdown that gives up may leave the rest of a body: that is a 503,
// and what was handed on of it comes twice if it is sent again.
//
// A record comes with time, level and message as the sender had them, the
// attributes logger, host, process and pid as far as it said so, the attribute
// peer with its address if it has one, and then its own attributes, the source
// last. An attribute that is called like one of these, or time, level, msg or
// source, becomes "extra." and its name, so that nobody can pass for another: so
// it is for host, process and pid of a [Handler] too, which are attributes like
// others unless its Format is Wire.
//
// What a browser sends on behalf of a page is refused: a request with Origin, or
// with Sec-Fetch-Site other than same-origin and none, or for a Host that is
// neither localhost, an IP address nor among Hosts.
//
// With the default limits, as many hostile peers of Serve as there may be take
// less than 64 MiB of memory, whatever they send; in another server, the memory
// of bodies is bounded, and the rest is up to its limits. That is why bodies of
// more than 16 KiB or packed with gzip, and records of hundreds of values, are
// handled one at a time, and a long body may have to wait for memory, for
// FrameTimeout at most. All others are read and handled side by side.
//
// Handler is called by one goroutine per request, and by several at once. If it
// blocks, the sender has to wait for its answer; if it returns an error, the
// record is counted as Dropped. The answer says that it was called.
type Receiver struct {
	// Handler gets the records. A nil Handler panics in Serve and ServeHTTP.
	Handler slog.Handler

	// Token is what each request has to bring: as Authorization: Bearer, or as the
	// password of Basic, as in HTTPHandler(…, credentials=("", token)) in Python.
	// Default "": none is asked for.
	Token string

	// Hosts are further names that a Host header may have, without port. Default
	// nil: localhost and IP addresses, which no other site can be led to.
	Hosts []string

	// Path is the only path that is not answered with 404. Default "": all.
	Path string

	// MaxFrame is how many bytes a record may have, unpacked. Default 1 MiB; at
	// least 2 KiB and less than 16 MiB.
	MaxFrame int

	// MaxBody is how many bytes a body may have, both packed and unpacked. Default
	// 4 MiB; at least MaxFrame.
	MaxBody int

	// FrameTimeout is how long a request may take to arrive. Default 30s.
	FrameTimeout time.Duration

	// TLS makes Serve talk TLS. Default nil: no TLS. Session tickets are disabled:
	// closing a connection on which something was not read destroys what was sent
	// last.
	TLS *tls.Config

	// MaxConns is how many connections there may be at once, over all of Serve.
	// Further ones are closed. Default 256; below 0: any number.
	MaxConns int

	// IdleTimeout is how long Serve leaves a connection open between two
	// requests. Default 5 minutes; below 0: for ever.
	IdleTimeout time.Duration

	// OnError is called with each [*Refusal], with errors of the Handler, a
	// panic as a [*slogworks.PanicError] among them, and of listeners. Calls may
	// come at once, from many goroutines and as often as peers please, so it
	// should limit what it writes. Default nil: they are counted.
	OnError func(error)

	start   sync.Once
	limits  intake.Limits
	maxBody int
	counts  intake.Counts
	budget  *intake.Budget

	unpacker unpacker // of whoever is alone in the budget

	life    context.Context // ends when a Shutdown gives up
	endLife context.CancelFunc

	mu          sync.Mutex
	closed      bool
	running     int           // requests
	idle        chan struct{} // closed when there are none after Shutdown
	servers     []*http.Server
	conns       map[*admitted]struct{}
	connections uint64
}

// budgetBytes is what all requests together may have for long bodies.
const budgetBytes = 8 << 20

func (r *Receiver) init() {
	r.start.Do(func() {
		r.limits = intake.Limits{
			MaxFrame: r.MaxFrame, MaxConns: r.MaxConns, IdleTimeout: r.IdleTimeout, FrameTimeout: r.FrameTimeout,
		}.WithDefaults()
		r.maxBody = r.MaxBody
		if r.maxBody <= 0 {
			r.maxBody = 4 << 20
		}
		r.maxBody = max(r.maxBody, r.limits.MaxFrame)
		r.budget = intake.NewBudget(budgetBytes, r.limits.MaxFrame)
		r.idle = make(chan struct{})
		r.conns = map[*admitted]struct{}{}
		r.life, r.endLife = context.WithCancel(context.Background())
	})
}

// ServeHTTP reads a request and hands its records to the Handler before it
// answers.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.init()
	stage.Require("httpsink", r.Handler)
	if !r.enter() {
		r.answer(w, req, outcome{}, refuse(closed, "the receiver is being shut down"))
		return
	}
	defer r.leave()
	if refusal := r.check(req); refusal != nil {
		r.answer(w, req, outcome{}, refusal)
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(r.limits.FrameTimeout)) // where there is a connection
	done, refusal := r.receive(req)
	if refusal == nil {
		_ = control.SetReadDeadline(time.Time{}) // what is left of another body must still come in time
	}
	_ = control.SetWriteDeadline(time.Now().Add(r.limits.FrameTimeout))
	r.answer(w, req, done, refusal)
}

func (r *Receiver) refuse(peer string, why *Refusal) {
	why.Peer = peer
	r.counts.Refuse(why.Reason)
	r.report(why)
}

func (r *Receiver) report(err error) { intake.Report(r.OnError, err) }

// hand hands on a record.
func (r *Receiver) hand(peer string, record *intake.Record) {
	if _, err := r.counts.HandFrom(r.life, r.Handler, record, peer); err != nil {
		r.report(fmt.Errorf("httpsink: handling a record of %s: %w", peer, err))
	}
}

// enter counts a request, unless it comes after Shutdown.
func (r *Receiver) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.running++
	}
	return !r.closed
}

func (r *Receiver) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running--; r.closed && r.running == 0 {
		close(r.idle)
	}
}

// Shutdown refuses further connections and requests, and waits for those whose
// head has arrived. If ctx ends first, the connections of Serve are closed, the
// context of the Handler's calls ends, and the error wraps ctx.Err() and says how
// many requests there still were.
func (r *Receiver) Shutdown(ctx context.Context) error {
	r.init()
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		if r.running == 0 {
			close(r.idle)
		}
	}
	for conn := range r.conns {
		// The deadlines of others are net/http's, which breaks off a read by one.
		if conn.isFresh {
			_ = conn.setReadDeadline(time.Time{})
		}
	}
	servers := r.servers
	r.mu.Unlock()

	inTime := true
	for _, server := range servers {
		if server.Shutdown(ctx) != nil && ctx.Err() != nil {
			inTime = false
		}
	}
	select {
	case <-r.idle: // even if ctx is over
	default:
		select {
		case <-r.idle:
		case <-ctx.Done():
			inTime = false
		}
	}
	r.endLife()
	if inTime {
		return nil
	}
	for _, server := range servers {
		_ = server.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Errorf("httpsink: shutdown: %w with %d requests being read", ctx.Err(), r.running)
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
	Received    uint64            // records, and requests that were refused whole
	Written     uint64            // records that the Handler took
	Dropped     uint64            // records that it returned an error for
	Refused     map[string]uint64 // records and requests, by the reason of the Refusal
	Ignored     uint64            // records that the Handler was not enabled for
	Connections uint64            // accepted by Serve
	Open        int               // of these, at present
}

// Stats returns the counts.
func (r *Receiver) Stats() Stats {
	r.init()
	t := r.counts.Totals()
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{
		Received: t.Received, Written: t.Written, Dropped: t.Dropped, Refused: t.Refused, Ignored: t.Ignored,
		Connections: r.connections, Open: len(r.conns),
	}
}

var _ http.Handler = (*Receiver)(nil)

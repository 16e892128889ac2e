// Package live shows a program's log in the browser while it is written.
//
// Mount a Hub in a service to look at what it does right now, or feed one with
// the records of many processes. It keeps the newest records in memory and
// nothing else: for a log to keep, write a file, as with slog.NewJSONHandler,
// and for a look at one process on your own terminal, slog.NewTextHandler is
// enough. The page needs no internet: it is part of the program.
//
// A record is made into text at once, which costs its caller about as much as
// slog.JSONHandler does, no allocation but one for some hundred records together,
// and a mutex that is held for moments.
// Nothing blocks, whatever a browser does or fails to do. A hub starts no goroutine;
// each browser is served by the one that net/http has for it. 20,000 records and
// 16 MiB are kept unless Options say otherwise.
//
// Records live as long as the process: os.Exit, SIGKILL and a panic that ends
// it lose them. The oldest make room for new ones. A browser that cannot follow,
// or asked for fewer records a second than there are, is told how many it did
// not get.
//
// The smallest program, which prints the address of its page:
//
//	hub := live.New(nil)
//	slog.SetDefault(slog.New(hub.Handler(slog.LevelDebug)))
//	http.Handle("/debug/log/", hub)
//	fmt.Println("http://localhost:8080/debug/log/?token=" + hub.Token())
//	http.ListenAndServe("localhost:8080", nil)
//
// An http.Server that is shut down waits for open pages, unless it has Close from
// http.Server.RegisterOnShutdown.
//
// # Security
//
// What a service logs is not for everybody. Every request needs the token: as
// ?token= in the first address, for which the browser gets a cookie, or in a
// header Authorization: Bearer. Requests that other sites make a browser send
// are refused, and so are those to a Host that is neither a loopback name nor
// one of Options.Hosts, which is how a foreign name is made to lead to a local
// address. The page runs no script but its own.
//
// # HTTP
//
// The addresses below stand for themselves or behind any prefix.
//
//	GET /            the page
//	GET /events      the stream: events hello, b (an array of records) and gap
//	GET /records     before=, after= (numbers of records), limit=: kept records
//	GET /download    format=jsonl or text: all kept records
//	GET /stats       what the hub and its sources have counted
//	/levels          Options.Levels, also for /levels/NAME
//
// Events, records and download take the filters level= (a lowest level, or a
// set as in info,error), logger= (a name and all below it, with ! all others;
// repeatable), host=, process=, from= and to= (RFC 3339), and q=, in which blanks
// mean "and":
//
//	text         in the message, the logger's name, a key or a value, in any case
//	"two words"  with blanks, and signs that would mean something
//	/a.*b/       a regular expression of package regexp
//	-text        not; before any of these
//	key=value    an attribute, also one in a group, under its whole path or the
//	             end of it; key!=value; level and logger are keys too
//	key>5        more; also >= < <=; durations as in took>100ms, a number without
//	             unit being seconds
//
// Events also take rate= (records a second), backlog= (how many kept records
// come first, 1000) and after= (an id) or a header Last-Event-ID. Records are
// numbered from 1; an id is the number behind the name of the hub's run, so that
// a browser notices a restart. The format of events is that of
// https://html.spec.whatwg.org/multipage/server-sent-events.html.
package live

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/wire"
)

// ErrClosed is what Publish and the handlers return after Shutdown.
var ErrClosed = errors.New("live: closed")

// Options are options for a [Hub]. A zero Options consists entirely of default
// values; numbers and durations below 0 mean those too.
type Options struct {
	// MaxRecords and MaxBytes bound what is kept: by default 20,000 records of
	// 16 MiB as JSON. At least one record is kept.
	MaxRecords, MaxBytes int

	// MaxRecordBytes bounds a record as JSON. What is too long is cut and
	// marked. Default 64 KiB, at least 1 KiB.
	MaxRecordBytes int

	// MaxRate is how many new records a second a browser gets at most; of more,
	// the newest. Default 0: as many as there are.
	MaxRate int

	// MaxClients is how many streams are open at once; more are refused.
	// Default 100.
	MaxClients int

	// Interval is the shortest time between two batches of a stream. Default 50ms.
	Interval time.Duration

	// WriteTimeout is how long a browser may take to accept anything before its
	// stream is cut. It overrides that of the http.Server. Default 5s.
	WriteTimeout time.Duration

	// Heartbeat is how often a stream without records shows that it is alive.
	// Default 15s.
	Heartbeat time.Duration

	// Token is the password. The default, "", is a random one: see [Hub.Token].
	Token string

	// Auth, if set, is asked instead of the token whether a request may be
	// answered, for services that know their users; an error means no, and its
	// text is not shown.
	Auth func(*http.Request) error

	// Hosts are the names, without port, under which the hub may be asked for
	// besides localhost, 127.0.0.0/8 and ::1.
	Hosts []string

	// Title stands on the page. Default: the Process.
	Title string

	// Host and Process are told with the records of this process. By default
	// the machine's name, and the program's without directories.
	Host, Process string

	// Levels, if set, answers GET /levels and what comes to /levels/NAME, with the
	// path from there on, and the page shows a control for the level of each
	// logger. It sends PUT /levels/NAME?ttl=10m with {"level":"debug"}, and DELETE
	// to take that back; NAME is root for all loggers without a level of their own.
	// So does the Levels of a *config.Manager understand it, which answers GET with
	// {"root":"info","loggers":{…}}. Whatever answers without root is taken for a
	// *levels.Table, and gets the name in the parameter logger too. A slash in a
	// name is %2F, and the prefix of the hub must not end in /levels/.
	Levels http.Handler

	// Sources, if set, says for /stats where the records come from. It is
	// called for each such request.
	Sources func() []Source
}

// Source is what is known of one of the places that records come from.
type Source struct {
	Source    string            `json:"source"` // such as tcp://127.0.0.1:9020
	Connected bool              `json:"connected"`
	Received  uint64            `json:"received"`
	Refused   map[string]uint64 `json:"refused"` // by reason
	Dropped   uint64            `json:"dropped"`
}

// Origin is the process that a record comes from. Fields that are zero are not
// known.
type Origin struct {
	Host    string
	Process string // name
	PID     int
}

// Hub keeps the newest records and serves them to browsers. It is safe for
// concurrent use. Records are in the order in which they were published. Make
// one with [New]; the zero Hub is of no use.
//
// A browser cannot slow down those who log: it reads what is kept at its own
// pace, and what has made room before it could, it is told as a gap.
type Hub struct {
	opts   Options
	origin Origin
	boot   string // names this run
	began  time.Time
	cookie string // of who has shown the token
	mux    map[string]endpoint
	ring   ring

	done     chan struct{} // closed by the first Shutdown
	shutOnce sync.Once
	streams  streams

	lastOrigin atomic.Pointer[Origin]

	refused atomic.Uint64 // records after Shutdown
	counts  counts
}

// counts are those of all streams there were.
type counts struct{ lagged, limited, cut, turnedAway atomic.Uint64 }

// New returns a Hub without records. Options may be nil.
func New(opts *Options) *Hub {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.MaxRecords = orDefault(o.MaxRecords, 20_000)
	o.MaxBytes = orDefault(o.MaxBytes, 16<<20)
	o.MaxRecordBytes = orDefault(o.MaxRecordBytes, wire.DefaultMax)
	o.MaxRate = max(o.MaxRate, 0)
	o.MaxClients = orDefault(o.MaxClients, 100)
	o.Interval = orDefault(o.Interval, 50*time.Millisecond)
	o.WriteTimeout = orDefault(o.WriteTimeout, 5*time.Second)
	o.Heartbeat = orDefault(o.Heartbeat, 15*time.Second)
	if o.Token == "" {
		o.Token = rand.Text()
	}
	o.Hosts = slices.Clone(o.Hosts)
	if o.Host == "" {
		o.Host, _ = os.Hostname() // not known otherwise
	}
	if o.Process == "" && len(os.Args) > 0 {
		o.Process = filepath.Base(os.Args[0])
	}
	if o.Title == "" {
		o.Title = o.Process
	}
	h := &Hub{
		opts:   o,
		origin: Origin{o.Host, o.Process, os.Getpid()},
		boot:   strings.ToLower(rand.Text()[:8]),
		began:  time.Now(),
		cookie: cookieOf(o.Token),
		ring:   ring{maxRecords: o.MaxRecords, maxBytes: o.MaxBytes},
		done:   make(chan struct{}),
	}
	h.mux = h.endpoints()
	return h
}

func orDefault[T int | time.Duration](n, def T) T {
	if n <= 0 {
		return def
	}
	return n
}

// Token returns [Options].Token or the random one in its place, for the address
// that lets a browser in.
func (h *Hub) Token() string { return h.opts.Token }

// Publish adds a record that came from another process. It does not keep r or
// anything of it, as it makes its text at once. The error is nil, or [ErrClosed]
// after Shutdown.
func (h *Hub) Publish(r slog.Record, from Origin) error {
	return h.publish(&r, h.shared(from))
}

// publish gets a pointer because a record is large enough for each copy to be
// felt.
func (h *Hub) publish(r *slog.Record, from *Origin) error {
	buf := lines.Get().(*[]byte)
	e, line := h.entryOf((*buf)[:0], r, from)
	err := h.add([]entry{e})
	giveBack(buf, line)
	return err
}

// add copies the entries.
func (h *Hub) add(entries []entry) error {
	if !h.ring.add(entries) {
		h.refused.Add(uint64(len(entries)))
		return ErrClosed
	}
	return nil
}

// Shutdown refuses further records, gives each stream what it has yet to get,
// and ends it. Give it to http.Server.RegisterOnShutdown or call it before
// http.Server.Shutdown, which waits for streams and would otherwise wait in
// vain. If ctx ends first, the streams are cut, and the error, which wraps
// ctx.Err(), says how many. What is kept can still be had from /records and
// /download.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.shutOnce.Do(func() {
		h.ring.close()
		close(h.done)
	})
	if n := h.streams.wait(ctx); n > 0 {
		return fmt.Errorf("live: shutdown cut %d streams: %w", n, ctx.Err())
	}
	return nil
}

// closeTimeout is the time that Close gives to Shutdown.
const closeTimeout = 5 * time.Second

// Close is Shutdown with 5 seconds of time.
func (h *Hub) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return h.Shutdown(ctx)
}

// Stats are counts since the hub was made, and how things are now.
type Stats struct {
	Records uint64 // published
	Refused uint64 // after Shutdown

	Kept, Bytes int    // records that are kept, and their size as JSON
	First, Head uint64 // the numbers of the oldest and the newest; First is Head+1 if none is kept

	Clients    int    // streams that are open
	Lagged     uint64 // records that made room before a stream got there, over all streams
	Limited    uint64 // records that a stream did not get for its rate, over all streams
	Cut        uint64 // streams cut because nothing was accepted, for WriteTimeout or until Shutdown had to end
	TurnedAway uint64 // streams refused beyond MaxClients
}

// Stats returns the counts.
func (h *Hub) Stats() Stats {
	s := h.ring.stats()
	s.Refused = h.refused.Load()
	s.Clients = h.streams.open()
	s.Lagged = h.counts.lagged.Load()
	s.Limited = h.counts.limited.Load()
	s.Cut = h.counts.cut.Load()
	s.TurnedAway = h.counts.turnedAway.Load()
	return s
}

// Account returns the stage "live". Delivered are the records that were
// published, where whoever looks can read them; that old ones make room for new
// ones is what a hub is for, and counts as no loss. Dropped are those that came
// after Shutdown, as "closed".
func (h *Hub) Account() slogworks.Account {
	records, refused := h.ring.stats().Records, h.refused.Load()
	return slogworks.Account{
		Stage:     "live",
		Accepted:  records + refused,
		Delivered: records,
		Dropped:   map[string]uint64{"closed": refused},
	}
}

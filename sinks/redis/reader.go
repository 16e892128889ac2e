package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/internal/stage"
	"github.com/slogworks/slogworks/internal/wire"
)

// Reader hands the records of channels and streams to a handler. Set the fields
// before it is used, and not afterwards; a zero field has its default, and a
// Reader must not be copied. It is safe for concurrent use: Tail and Consume may
// run several times at once, each on its own goroutine and with connections of
// its own.
//
// A record comes with time, level and message as the sender had them, the
// attributes logger, host, process and pid as far as it said so, and then its
// own attributes, the source last. An attribute that is called like one of
// these, or time, level, msg or source, becomes "extra." and its name.
//
// What is no record is counted by reason, told to OnError, and left behind. A
// server that is down is tried again for ever. What was missed is told to OnGap,
// and to the handler as a record of level Warn: "slogworks: records dropped" if
// it is known how many, else "slogworks: records may be missing".
type Reader struct {
	// URL is the server, as for [New].
	URL string

	// Client is what commands are sent with, instead of clients of the reader's
	// own; then URL is "". It is not closed. Its deadlines hold: with a
	// ReadTimeout, and ContextTimeoutEnabled to end soon when ctx does.
	Client goredis.UniversalClient

	// TLS is the configuration for a URL rediss://, as for [New].
	TLS *tls.Config

	// Handler gets the records. A nil Handler panics in Tail and Consume.
	Handler slog.Handler

	// MaxRecordBytes is how many bytes a record may have; a longer one is
	// refused. Default 1 MiB.
	MaxRecordBytes int

	// MaxBatch is how many entries of a stream are read at once. Default 500.
	MaxBatch int

	// DialTimeout bounds connecting, and Timeout a round trip. A subscription
	// that is silent for as long as Timeout is asked whether it is alive.
	// Defaults 2s and 5s, or dial_timeout and read_timeout of the URL.
	DialTimeout, Timeout time.Duration

	// Backoff is how long to wait before another attempt. Default 100ms to 5s;
	// MaxElapsed is not used.
	Backoff slogworks.Backoff

	// OnError is called with each [*Refusal], with errors of the Handler, a
	// panic as a [*slogworks.PanicError] among them, and whenever an attempt at
	// the server has failed. Calls may come from several goroutines at once.
	// Default nil: they are counted.
	OnError func(error)

	// OnGap is called with what was missed, from several goroutines at once.
	OnGap func(Gap)

	counts                               intake.Counts
	handed, lost, ignored                atomic.Uint64 // by Consume
	repeated, missed, gaps, acknowledged atomic.Uint64
	claimed                              atomic.Uint64
	feeds, connected                     atomic.Int64
}

// Gap is something that a Reader has missed, or may have.
type Gap struct {
	// Source is "channel NAME", several with commas, or "stream KEY".
	Source string

	// Reason is "disconnected" of a channel, which keeps nothing for who is not
	// there; "trimmed" of a stream; or "recreated" of a stream or a group that
	// was deleted meanwhile.
	Reason string

	// Missed is how many records there were; 0 if that is not known, as it never
	// is for a channel, and then there may have been none. Entries that were
	// deleted one by one, by XDEL, count too. Of a group with several consumers
	// it may say more than there were, if two of them meet a gap.
	Missed uint64

	// Since is when the source was last known to be read without a gap.
	Since time.Time
}

// Stats are counts of a Reader. Received is the sum of Written, Dropped, and
// what was Refused.
type Stats struct {
	Received uint64            // records and what was none
	Written  uint64            // the Handler took
	Dropped  uint64            // the Handler returned an error for, and that will not come again
	Refused  map[string]uint64 // were no records, by reason; never nil

	Ignored      uint64 // the Handler is not enabled for
	Repeated     uint64 // Tail had handed on already, or gets once more by another of its patterns
	Missed       uint64 // are known to be missed
	Gaps         uint64 // there were, with those of which it is not known how much was missed
	Claimed      uint64 // entries taken over from consumers that did not acknowledge them
	Acknowledged uint64 // entries acknowledged

	// Connected says that Tail or Consume is running and reaches the server for
	// all it reads.
	Connected bool
}

// Stats returns the counts so far.
func (r *Reader) Stats() Stats {
	t := r.counts.Totals()
	s := Stats{
		Written:      t.Written + r.handed.Load(),
		Dropped:      t.Dropped + r.lost.Load(),
		Refused:      t.Refused,
		Ignored:      t.Ignored + r.ignored.Load(),
		Repeated:     r.repeated.Load(),
		Missed:       r.missed.Load(),
		Gaps:         r.gaps.Load(),
		Claimed:      r.claimed.Load(),
		Acknowledged: r.acknowledged.Load(),
	}
	s.Received = s.Written + s.Dropped
	for _, n := range s.Refused {
		s.Received += n
	}
	feeds := r.feeds.Load()
	s.Connected = feeds > 0 && r.connected.Load() == feeds
	return s
}

// Refusal says what a [Reader] has refused. Reasons are
//
//	bad-json         no JSON object
//	not-a-record     an entry without a field "record" and with more than one field
//	record-too-long  more than MaxRecordBytes
type Refusal struct {
	Peer   string // "channel NAME" or "stream KEY ID"
	Reason string
	Detail string // may quote a little of what was sent
}

// Error gives all three.
func (r *Refusal) Error() string { return (*intake.Refusal)(r).Text("redis") }

// Refused gives all three too: the receivers of other packages have a type of
// their own with this method.
func (r *Refusal) Refused() (peer, reason, detail string) { return r.Peer, r.Reason, r.Detail }

var _ intake.Refused = (*Refusal)(nil)

// Source is a channel or a stream to read.
type Source struct {
	// Channel is the name of a channel, or a pattern as for PSUBSCRIBE if one of
	// * ? [ is in it. Either Channel or Stream is set.
	Channel string

	// Stream is the key of a stream.
	Stream string

	// From is where a stream is read from: "" or "$" only what is added from now
	// on, "0" all it has, else what follows the entry of that ID.
	From string

	// Last is how many of the newest entries come first, with From "".
	Last int
}

func (s Source) isPattern() bool { return strings.ContainsAny(s.Channel, "*?[") }

func (s Source) check() error {
	switch {
	case (s.Channel == "") == (s.Stream == ""):
		return errors.New("redis: a Source with both or none of Channel and Stream: want one of them")
	case s.Channel != "" && (s.From != "" || s.Last != 0):
		return fmt.Errorf("redis: channel %q with From or Last: a channel keeps nothing, want a Stream", s.Channel)
	case s.Last != 0 && s.From != "":
		return fmt.Errorf("redis: stream %q with both From and Last: want one of them", s.Stream)
	}
	if s.From != "" && s.From != "$" {
		if _, err := parseID(s.From); err != nil {
			return fmt.Errorf("redis: stream %q from %q: want $, 0 or an ID such as 1700000000000-0", s.Stream, s.From)
		}
	}
	return nil
}

// Check returns an error that says what is wrong with the reader's fields and
// the sources, for those who read them from a configuration. It connects to
// nothing, and the error has no password in it.
func (r *Reader) Check(sources ...Source) error {
	if _, err := parseServer(r.URL, r.Client, r.TLS); err != nil {
		return err
	}
	for _, s := range sources {
		if err := s.check(); err != nil {
			return err
		}
	}
	return nil
}

// Tail hands on the records of the sources, by default those of the channel
// [DefaultChannel], until ctx is over, and then returns its error. It returns
// another one at once if [Reader.Check] does. It runs a goroutine for each
// stream and one for all channels, and two more that watch these. A server that
// is down, at the start or later, is tried again after the Backoff.
//
// Records that a Handler of this package has sent twice, because it could not
// know about the first time, are handed on once.
//
// The Handler is called by each of the goroutines. If it blocks, what comes by
// channel waits in the server, which ends the subscription when that is too much
// (client-output-buffer-limit pubsub), and what is in a stream may be trimmed;
// both are told as gaps. If it returns an error, the record is counted as
// Dropped.
func (r *Reader) Tail(ctx context.Context, sources ...Source) error {
	stage.Require("redis", r.Handler)
	if len(sources) == 0 {
		sources = []Source{{Channel: DefaultChannel}}
	}
	if err := r.Check(sources...); err != nil {
		return err
	}
	var channels, patterns, names []string
	var running sync.WaitGroup
	for _, s := range sources {
		switch {
		case s.Stream != "":
			f := r.feed("stream " + s.Stream)
			running.Go(func() {
				defer f.end()
				f.tailStream(ctx, s)
			})
			continue
		case s.isPattern():
			patterns = append(patterns, s.Channel)
		default:
			channels = append(channels, s.Channel)
		}
		names = append(names, s.Channel)
	}
	if len(names) > 0 {
		f := r.feed("channel " + strings.Join(names, ", "))
		running.Go(func() {
			defer f.end()
			f.subscribe(ctx, channels, patterns)
		})
	}
	running.Wait()
	return ctx.Err()
}

// feed is what one goroutine reads.
type feed struct {
	*Reader
	name string // of the source
	link *link

	maxRecord, maxBatch int64
	dialTimeout         time.Duration
	timeout             time.Duration
	backoff             slogworks.Backoff

	failures int // in a row
	isUp     bool
	lastSeen time.Time // when the server last answered
	wholeAt  time.Time // when a stream was last read, before which all is known
	seen     repeats
}

func (r *Reader) feed(name string) *feed {
	server, _ := parseServer(r.URL, r.Client, r.TLS) // checked before
	f := &feed{Reader: r, name: name, maxRecord: int64(r.MaxRecordBytes), maxBatch: int64(r.MaxBatch), backoff: r.Backoff}
	if f.maxRecord <= 0 {
		f.maxRecord = 1 << 20
	}
	f.maxRecord = min(f.maxRecord, wire.MaxLine-1)
	if f.maxBatch <= 0 {
		f.maxBatch = 500
	}
	f.dialTimeout, f.timeout = timeouts(r.DialTimeout, r.Timeout, server)
	setBackoff(&f.backoff)
	f.link = newLink(r.Client, server, r.TLS, f.dialTimeout, f.timeout)
	r.feeds.Add(1)
	return f
}

func (f *feed) end() {
	f.down()
	f.feeds.Add(-1)
	f.link.close()
}

// up notes that the server answers.
func (f *feed) up() {
	f.lastSeen = time.Now()
	if !f.isUp {
		f.isUp = true
		f.connected.Add(1)
	}
}

func (f *feed) down() {
	if f.isUp {
		f.isUp = false
		f.connected.Add(-1)
	}
}

// do calls f, which talks to the server and may have it wait for up to the time
// given, with a context that ends in time.
func (f *feed) do(ctx context.Context, wait time.Duration, talk func(context.Context) error) error {
	limit := wait + f.timeout
	if f.link.own && !f.link.ready.Load() {
		limit += f.dialTimeout
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer context.AfterFunc(ctx, f.link.cut)()
	if err := talk(bounded); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.down()
		if f.link.own {
			f.link.cut() // so that nothing of this answer is taken for the next
		}
		return fmt.Errorf("redis: %s: %w", f.name, f.link.withoutSecrets(err))
	}
	f.up()
	return nil
}

// failed tells the error and waits, for as long as given at least. It reports
// false if ctx is over.
func (f *feed) failed(ctx context.Context, err error, least time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	intake.Report(f.OnError, err)
	f.failures++
	timer := time.NewTimer(max(least, f.backoff.Delay(f.failures)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// gap tells what was missed.
func (f *feed) gap(ctx context.Context, g Gap) {
	g.Source = f.name
	f.gaps.Add(1)
	f.missed.Add(g.Missed)
	if f.OnGap != nil {
		var ignored error
		func() {
			defer stage.Rescue(&ignored)
			f.OnGap(g)
		}()
	}
	message := "slogworks: records may be missing"
	if g.Missed > 0 {
		message = "slogworks: records dropped"
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, message, 0)
	r.AddAttrs(slog.String("stage", "sinks/redis"), slog.String("from", f.name))
	if g.Missed > 0 {
		r.AddAttrs(slog.Uint64("dropped", g.Missed))
	}
	r.AddAttrs(slog.String("reason", g.Reason), slog.Time("since", g.Since))
	if err := stage.Offer(context.WithoutCancel(ctx), f.Handler, r); err != nil {
		intake.Report(f.OnError, fmt.Errorf("redis: %s: telling what was missed: %w", f.name, err))
	}
}

// read makes a record of what was sent, or counts why not.
func (f *feed) read(peer, text string) (r intake.Record, ok bool) {
	if int64(len(text)) > f.maxRecord {
		f.refuse(intake.Refuse("record-too-long", "%d bytes, at most %d", len(text), f.maxRecord), peer)
		return r, false
	}
	r, err := intake.ReadJSON([]byte(text))
	if err != nil {
		f.refuse(intake.Refuse("bad-json", "%v", err), peer)
		return r, false
	}
	return r, true
}

func (f *feed) refuse(refusal *intake.Refusal, peer string) {
	refusal.Peer = peer
	f.counts.Refuse(refusal.Reason)
	intake.Report(f.OnError, (*Refusal)(refusal))
}

// hand reads a record and hands it on, unless it was there before.
func (f *feed) hand(ctx context.Context, peer, place, text string) {
	r, ok := f.read(peer, text)
	if !ok {
		return
	}
	if f.seen.has(place, r.Origin) {
		f.repeated.Add(1)
		return
	}
	if err := f.counts.Hand(context.WithoutCancel(ctx), f.Handler, r.From("")); err != nil {
		intake.Report(f.OnError, fmt.Errorf("redis: %s: handler: %w", f.name, err))
	}
}

// maxSenders is how many senders are remembered at least.
const maxSenders = 4096

// repeats remembers the number of the last record of each sender. A sender sends
// in the order of its numbers, and what it sends again it sends in the same
// order, so that whatever becomes of the first time, no number that is higher
// comes before one that is new.
type repeats struct{ recent, older map[sender]uint64 }

type sender struct{ place, boot string }

func (s *repeats) has(place string, o wire.Origin) bool {
	if o.Boot == "" || o.Seq == 0 {
		return false
	}
	// What cannot be told from a boot id by its length is not ours, and not kept.
	if len(o.Boot) > 64 {
		return false
	}
	key := sender{place, o.Boot}
	last, known := s.recent[key]
	if !known {
		last = s.older[key]
		if len(s.recent) >= maxSenders {
			s.recent, s.older = nil, s.recent
		}
		if s.recent == nil {
			s.recent = map[sender]uint64{}
		}
		// The id is part of a line, which need not be kept.
		key.boot = strings.Clone(key.boot)
	}
	s.recent[key] = max(last, o.Seq)
	return o.Seq <= last
}

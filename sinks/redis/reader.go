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
// server that is down, or refuses, as one without memory refuses to be read too,
// is tried again for ever. What was missed is told to OnGap, and to the handler
// as a record of level Warn: "slogworks: records dropped" if it is known how
// many, else "slogworks: records may be missing".
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

	// MaxBatch is how many entries of a stream are read at once, and are in memory
	// together, long ones too. Default 500.
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

	counts                                 intake.Counts
	handed, lost, ignored                  atomic.Uint64 // by Consume
	duplicates, missed, gaps, acknowledged atomic.Uint64
	claimed                                atomic.Uint64
	feeds, connected                       atomic.Int64
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
	Duplicates   uint64 // Tail had handed on already, or gets once more by another of its patterns
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
		Duplicates:   r.duplicates.Load(),
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
			f := r.feedStream(s.Stream)
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

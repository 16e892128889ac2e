package redis

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/internal/stage"
	"github.com/slogworks/slogworks/internal/wire"
)

// feed is what one goroutine reads.
type feed struct {
	*Reader
	name   string // of the source
	stream string // its key, or ""
	link   *link

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

// feedStream returns a feed for the stream.
func (r *Reader) feedStream(key string) *feed {
	f := r.feed("stream " + key)
	f.stream = key
	return f
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
		return fmt.Errorf("redis: %s: %w", f.name, f.link.explain(err, f.stream))
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
		f.duplicates.Add(1)
		return
	}
	if err := f.counts.Hand(context.WithoutCancel(ctx), f.Handler, r.From("")); err != nil {
		intake.Report(f.OnError, fmt.Errorf("redis: %s: handler: %w", f.name, err))
	}
}

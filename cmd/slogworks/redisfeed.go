package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/slogworks/slogworks/internal/intake"
	"github.com/slogworks/slogworks/sinks/live"
	"github.com/slogworks/slogworks/sinks/redis"
)

// redisFlags are what live is told about Redis on the command line.
type redisFlags struct {
	url      string
	channels []string
	streams  []string
}

func (o *redisFlags) add(flags *flagSet) {
	// Looked at later: the errors of flags quote what is wrong, and this may
	// have a password in it.
	textFlag(flags, &o.url, "redis", "show what is published at the server redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], a `URL`; rediss:// with TLS, or unix:///PATH; others on this machine see it in the list of processes")
	listFlag(flags, &o.channels, "channel", "of --redis, the channel of that `NAME`, or those that match it if * ? [ is in it; may be repeated (default slogworks, if there is no --stream)")
	listFlag(flags, &o.streams, "stream", "of --redis, the stream under the `KEY`; may be repeated")
}

// check returns an error if the flags do not fit together.
func (o *redisFlags) check() error {
	if o.url == "" {
		if len(o.channels)+len(o.streams) > 0 {
			return usagef("--channel and --stream are at a server: name it by --redis, such as redis://127.0.0.1:6379")
		}
		return nil
	}
	if err := (&redis.Reader{URL: o.url}).Check(); err != nil {
		return usagef("--redis: %v", err)
	}
	return nil
}

// feed returns what publishes the records of the server, with so many of the
// newest that streams have already. It returns nil if there is no server.
func (o *redisFlags) feed(hub *live.Hub, existing int, tell func(error)) source {
	if o.url == "" {
		return nil
	}
	f := &redisFeed{tell: tell}
	var names []string
	for _, name := range o.channels {
		f.sources = append(f.sources, redis.Source{Channel: name})
		names = append(names, "channel "+name)
	}
	for _, key := range o.streams {
		f.sources = append(f.sources, redis.Source{Stream: key, Last: existing})
		names = append(names, "stream "+key)
	}
	if len(names) == 0 {
		names = []string{"channel " + redis.DefaultChannel}
	}
	f.name = publicURL(o.url) + " " + strings.Join(names, ", ")
	f.reader = &redis.Reader{URL: o.url, Handler: hub.Relay(nil), OnError: f.failed, OnGap: f.missed}
	return f
}

// publicURL returns the URL without what is not for everybody.
func publicURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "redis" // redis.Check has taken it, so that this cannot be
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// redisFeed publishes the records of channels and streams.
type redisFeed struct {
	name    string
	sources []redis.Source
	reader  *redis.Reader
	tell    func(error)

	isTold atomic.Bool // that the server cannot be reached
}

// run publishes records until ctx is done. A server that is down is tried again.
func (f *redisFeed) run(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := f.reader.Tail(ctx, f.sources...); ctx.Err() == nil {
			f.tell(err)
		}
	}()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			if f.reader.Stats().Connected {
				f.isTold.Store(false)
			}
		}
	}
}

// failed tells of what is no record, and once that the server cannot be reached.
func (f *redisFeed) failed(err error) {
	var refusal intake.Refused
	if errors.As(err, &refusal) {
		f.tell(err)
		return
	}
	if !f.isTold.Swap(true) {
		f.tell(fmt.Errorf("%w; it is tried again until it works", err))
	}
}

// missed tells of a gap.
func (f *redisFeed) missed(g redis.Gap) {
	f.isTold.Store(false)
	what := "records may be missing"
	if g.Missed > 0 {
		what = fmt.Sprintf("%d records are missing", g.Missed)
	}
	f.tell(fmt.Errorf("redis: %s: %s since %s (%s)", g.Source, what, g.Since.Format(time.TimeOnly), g.Reason))
}

func (f *redisFeed) state() live.Source {
	n := f.reader.Stats()
	return live.Source{
		Source: f.name, Connected: n.Connected,
		Received: n.Received, Refused: n.Refused, Dropped: n.Dropped,
	}
}

package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks/internal/stage"
)

// Group is a group of consumers that share a stream: each entry is given to one
// of them.
type Group struct {
	// Stream is the key of the stream. It is created if there is none.
	Stream string

	// Name is the name of the group. It is created if there is none.
	Name string

	// Consumer is the name of this consumer, which no other that runs at the
	// same time has. One that comes back under its name goes on with what it had
	// not acknowledged. Default: a new one, made of host and process id, that is
	// removed from the group in the end if it has acknowledged all.
	Consumer string

	// From is where a new group begins: "" or "0" with all that the stream has,
	// "$" with what is added from then on, else after the entry of that ID.
	From string

	// ClaimAfter is how long another consumer may take to acknowledge an entry
	// before it is taken over. It has to be longer than the Handler takes for
	// MaxBatch records. Default 1 minute.
	ClaimAfter time.Duration
}

// Check returns an error that says what is wrong with the group.
func (g Group) Check() error {
	switch {
	case g.Stream == "":
		return errors.New("redis: a Group without a Stream")
	case g.Name == "":
		return fmt.Errorf("redis: a Group of stream %q without a Name", g.Stream)
	}
	if g.From != "" && g.From != "$" {
		if _, err := parseID(g.From); err != nil {
			return fmt.Errorf("redis: group %q from %q: want $, 0 or an ID such as 1700000000000-0", g.Name, g.From)
		}
	}
	return nil
}

// Consume hands on the entries of the group's stream that the server gives to
// this consumer, until ctx is over, and then returns its error. It returns
// another one at once if the fields or the group are wrong. It runs no goroutine
// of its own, and calls the Handler with batches if it takes them. A server that
// hangs delays the return by as long as it takes to acknowledge what was handled,
// at most DialTimeout and Timeout. It needs Redis 6.2, for XAUTOCLAIM.
//
// Every entry is handled at least once: it is acknowledged when the Handler has
// returned nil for it, and until then the server keeps it for this consumer and,
// after ClaimAfter, for any other. So a record is handled again if a consumer
// ends between handling and acknowledging it, or takes longer than ClaimAfter. A
// queue in front of the Handler would have an entry acknowledged before it is
// handled; it is not needed here.
//
// If the Handler returns an error, what it did not accept comes again after the
// Backoff, or the After of a [*slogworks.DeliveryError], and nothing else before
// that; only a [*slogworks.DeliveryError] that is Permanent, and a panic, have the
// record counted as Dropped and acknowledged. What is no record is refused and
// acknowledged too.
//
// A group that is deleted meanwhile, alone or with its stream, is created again
// and told as a gap. It begins at From, or at the beginning if that is "$", so
// that all which was handled since is handled again.
func (r *Reader) Consume(ctx context.Context, g Group) error {
	stage.Require("redis", r.Handler)
	if err := r.Check(); err != nil {
		return err
	}
	if err := g.Check(); err != nil {
		return err
	}
	c := &consumer{feed: r.feedStream(g.Stream), group: g, isNew: g.Consumer == "", rereads: true}
	defer c.end()
	if c.isNew {
		host, _ := os.Hostname()
		c.group.Consumer = host + "-" + strconv.Itoa(os.Getpid()) + "-" + rand.Text()[:8]
	}
	if c.group.From == "" {
		c.group.From = "0"
	}
	if c.group.ClaimAfter <= 0 {
		c.group.ClaimAfter = time.Minute
	}
	for ctx.Err() == nil {
		if err := c.round(ctx); err != nil {
			// What was not acknowledged is given again to who asks for it.
			c.rereads = true
			c.failed(ctx, err, c.retry.after)
			c.retry.after = 0
			continue
		}
		c.failures = 0
	}
	c.leave(ctx)
	return ctx.Err()
}

// consumer is one of a group.
type consumer struct {
	*feed
	group Group
	isNew bool // its name is

	hasJoined, joinedBefore bool
	rereads                 bool      // what it was given and did not acknowledge
	unacked                 []string  // was handled
	claimedAt               time.Time // when the others were last looked after
	retry                   retry     // of the handler

	own     position // of the last entry that it was given
	drift   int64    // what the server's count of entries read lacks
	stopped entryID  // what the group was given up to
}

// round does what is to be done next.
func (c *consumer) round(ctx context.Context) error {
	if !c.hasJoined {
		if err := c.join(ctx); err != nil {
			return err
		}
	}
	if err := c.acknowledge(ctx); err != nil {
		return err
	}
	if c.rereads {
		entries, err := c.mine(ctx)
		c.rereads = err != nil || len(entries) > 0
		if err != nil {
			return err
		}
		return c.settle(ctx, entries)
	}
	if time.Since(c.claimedAt) >= c.group.ClaimAfter/2 {
		if err := c.claim(ctx); err != nil {
			return err
		}
		c.claimedAt = time.Now()
	}
	entries, err := c.next(ctx)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return c.await(ctx, c.group.Stream, c.stopped, max(min(maxWait, c.group.ClaimAfter/2), time.Millisecond))
	}
	return c.settle(ctx, entries)
}

// join makes the group if there is none.
func (c *consumer) join(ctx context.Context) error {
	from := c.group.From
	if c.joinedBefore && from == "$" {
		from = "0" // of what was added since, nobody knows what was handled
	}
	isNew := false
	began := time.Now()
	err := c.do(ctx, func(ctx context.Context) error {
		err := c.link.client.XGroupCreateMkStream(ctx, c.group.Stream, c.group.Name, from).Err()
		if goredis.HasErrorPrefix(err, "BUSYGROUP") {
			return nil
		}
		isNew = err == nil
		return err
	})
	if err != nil {
		return err
	}
	if isNew && c.joinedBefore {
		c.tell(ctx, loss{reason: "recreated"})
	}
	c.hasJoined, c.joinedBefore, c.wholeAt = true, true, began
	return nil
}

// do is that of the feed, and notes if there is no group any more, or no stream.
func (c *consumer) do(ctx context.Context, talk func(context.Context) error) error {
	return c.feed.do(ctx, 0, func(ctx context.Context) error {
		err := talk(ctx)
		if goredis.HasErrorPrefix(err, "NOGROUP") {
			c.hasJoined = false
			c.own, c.drift = position{}, 0
		}
		return err
	})
}

// mine returns what this consumer was given and has not acknowledged.
func (c *consumer) mine(ctx context.Context) (entries []goredis.XMessage, err error) {
	err = c.do(ctx, func(ctx context.Context) error {
		streams, err := c.link.client.XReadGroup(ctx, c.readArgs("0")).Result()
		if errors.Is(err, goredis.Nil) {
			return nil
		}
		if len(streams) > 0 {
			entries = streams[0].Messages
		}
		return err
	})
	return entries, err
}

func (c *consumer) readArgs(from string) *goredis.XReadGroupArgs {
	return &goredis.XReadGroupArgs{
		Group: c.group.Name, Consumer: c.group.Consumer, Streams: []string{c.group.Stream, from},
		Count: c.maxBatch, Block: -1,
	}
}

// next returns entries that nobody was given yet, and tells what was trimmed
// before them. To ask and to wait are two things, because what the server gives
// when it has waited comes without the state of the stream at that moment.
func (c *consumer) next(ctx context.Context) (entries []goredis.XMessage, err error) {
	var info *goredis.XInfoStream
	var was, is goredis.XInfoGroup
	began := time.Now()
	err = c.do(ctx, func(ctx context.Context) error {
		pipe := c.link.client.TxPipeline()
		before := pipe.XInfoGroups(ctx, c.group.Stream)
		read := pipe.XReadGroup(ctx, c.readArgs(">"))
		about := pipe.XInfoStream(ctx, c.group.Stream)
		after := pipe.XInfoGroups(ctx, c.group.Stream)
		_, err := pipe.Exec(ctx)
		if err := failureOf(err, read, about, before, after); err != nil {
			return err
		}
		if info = about.Val(); info == nil {
			return about.Err()
		}
		if streams := read.Val(); len(streams) > 0 {
			entries = streams[0].Messages
		}
		was, is = c.groupIn(before), c.groupIn(after)
		return nil
	})
	if err != nil {
		return nil, err
	}
	p := position{idOf(was.LastDeliveredID), -1}
	switch {
	case p.last == c.own.last && c.own.index > 0:
		p.index = c.own.index
	case was.EntriesRead > 0:
		p.index = was.EntriesRead + c.drift
	}
	isBefore := func(id entryID) bool { return id.before(c.own.last) }
	if isBefore(p.last) && (len(entries) == 0 || !isBefore(idOf(entries[0].ID))) {
		p = c.own // nothing was left of what came after p
	}
	l := p.advance(entries, c.maxBatch, info)
	// Servers before 7.2 do not count what was trimmed as read.
	if p.index >= 0 && is.EntriesRead > 0 {
		c.drift = p.index - is.EntriesRead
	}
	c.own, c.stopped = p, p.last
	c.tell(ctx, l)
	c.wholeAt = began
	return entries, nil
}

func (c *consumer) groupIn(cmd *goredis.XInfoGroupsCmd) goredis.XInfoGroup {
	for _, g := range cmd.Val() {
		if g.Name == c.group.Name {
			return g
		}
	}
	return goredis.XInfoGroup{}
}

// leave takes a consumer that will not come back out of the group, unless it
// would take entries with it.
func (c *consumer) leave(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if c.acknowledge(ctx) != nil || !c.isNew || !c.hasJoined || !c.isUp {
		return
	}
	// If it fails, there is a consumer more in a list.
	_ = c.do(ctx, func(ctx context.Context) error {
		pending, err := c.link.client.XPendingExt(ctx, &goredis.XPendingExtArgs{
			Stream: c.group.Stream, Group: c.group.Name, Start: "-", End: "+", Count: 1, Consumer: c.group.Consumer,
		}).Result()
		if err != nil || len(pending) > 0 {
			return err
		}
		return c.link.client.XGroupDelConsumer(ctx, c.group.Stream, c.group.Name, c.group.Consumer).Err()
	})
}

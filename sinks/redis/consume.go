package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/intake"
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
// of its own, and calls the Handler with batches if it takes them.
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
// that; only a [*slogworks.DeliveryError] that
// is Permanent, and a panic, have the record counted as Dropped and
// acknowledged. What is no record is refused and acknowledged too.
func (r *Reader) Consume(ctx context.Context, g Group) error {
	stage.Require("redis", r.Handler)
	if err := r.Check(); err != nil {
		return err
	}
	if err := g.Check(); err != nil {
		return err
	}
	c := &consumer{feed: r.feed("stream " + g.Stream), group: g, isNew: g.Consumer == "", rereads: true}
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
	if c.joinedBefore {
		from = "0"
	}
	isNew := false
	began := time.Now()
	err := c.do(ctx, 0, func(ctx context.Context) error {
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

// noGroup notes that there is no group any more, or no stream.
func (c *consumer) noGroup(err error) {
	if goredis.HasErrorPrefix(err, "NOGROUP") {
		c.hasJoined = false
		c.own, c.drift = position{}, 0
	}
}

// mine returns what this consumer was given and has not acknowledged.
func (c *consumer) mine(ctx context.Context) (entries []goredis.XMessage, err error) {
	err = c.do(ctx, 0, func(ctx context.Context) error {
		streams, err := c.link.client.XReadGroup(ctx, c.readArgs("0")).Result()
		if errors.Is(err, goredis.Nil) {
			return nil
		}
		if len(streams) > 0 {
			entries = streams[0].Messages
		}
		return err
	})
	c.noGroup(err)
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
	err = c.do(ctx, 0, func(ctx context.Context) error {
		pipe := c.link.client.TxPipeline()
		before := pipe.XInfoGroups(ctx, c.group.Stream)
		read := pipe.XReadGroup(ctx, c.readArgs(">"))
		about := pipe.XInfoStream(ctx, c.group.Stream)
		after := pipe.XInfoGroups(ctx, c.group.Stream)
		_, err := pipe.Exec(ctx)
		streams, readErr := read.Result()
		if readErr != nil && !errors.Is(readErr, goredis.Nil) {
			return readErr
		}
		if info, _ = streamInfo(about); info == nil {
			return errors.Join(err, about.Err())
		}
		if len(streams) > 0 {
			entries = streams[0].Messages
		}
		was, is = c.groupIn(before), c.groupIn(after)
		return nil
	})
	if err != nil {
		c.noGroup(err)
		return nil, err
	}
	p := position{idOf(was.LastDeliveredID), -1}
	switch {
	case p.last == c.own.last && c.own.index > 0:
		p.index = c.own.index
	case was.EntriesRead > 0:
		p.index = was.EntriesRead + c.drift
	}
	if p.last.before(c.own.last) { // nothing was left of what came after p
		p = c.own
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

// claim takes over and hands on what others were given too long ago.
func (c *consumer) claim(ctx context.Context) error {
	for from := "0-0"; ; {
		var entries []goredis.XMessage
		var deleted int
		err := c.do(ctx, 0, func(ctx context.Context) error {
			// The client's own command does not say how many were deleted.
			reply, err := c.link.client.Do(ctx, "xautoclaim", c.group.Stream, c.group.Name, c.group.Consumer,
				c.group.ClaimAfter.Milliseconds(), from, "count", c.maxBatch).Slice()
			if err != nil {
				return err
			}
			from, entries, deleted, err = claimed(reply)
			return err
		})
		if err != nil {
			c.noGroup(err)
			return err
		}
		if deleted > 0 {
			c.tell(ctx, loss{"trimmed", int64(deleted)})
		}
		c.claimed.Add(uint64(len(entries)))
		if err := c.settle(ctx, entries); err != nil {
			return err
		}
		if from == "0-0" || ctx.Err() != nil {
			return nil
		}
	}
}

// claimed reads the answer to XAUTOCLAIM: where to go on, the entries as pairs of
// an ID and a list of fields, and since Redis 7 the IDs of those that are gone.
func claimed(reply []any) (from string, entries []goredis.XMessage, deleted int, err error) {
	unexpected := errors.New("an answer to XAUTOCLAIM that cannot be read")
	if len(reply) < 2 {
		return "", nil, 0, unexpected
	}
	from, ok := reply[0].(string)
	list, ok2 := reply[1].([]any)
	if !ok || !ok2 {
		return "", nil, 0, unexpected
	}
	for _, one := range list {
		if one == nil { // before Redis 7, one that is gone
			deleted++
			continue
		}
		pair, _ := one.([]any)
		if len(pair) != 2 {
			return "", nil, 0, unexpected
		}
		id, ok := pair[0].(string)
		fields, ok2 := pair[1].([]any)
		if !ok || !ok2 {
			return "", nil, 0, unexpected
		}
		values := make(map[string]any, len(fields)/2)
		for i := 0; i+1 < len(fields); i += 2 {
			if name, ok := fields[i].(string); ok {
				values[name] = fields[i+1]
			}
		}
		entries = append(entries, goredis.XMessage{ID: id, Values: values})
	}
	if len(reply) > 2 {
		gone, _ := reply[2].([]any)
		deleted += len(gone)
	}
	return from, entries, deleted, nil
}

// settle hands on the entries, and acknowledges what was handled and what never
// can be.
func (c *consumer) settle(ctx context.Context, entries []goredis.XMessage) error {
	if len(entries) == 0 {
		return nil
	}
	var ids []string // of the items
	var b slogworks.Batch
	gone := 0
	for _, e := range entries {
		item, ok := slogworks.Item{Context: context.WithoutCancel(ctx)}, false
		if e.Values == nil { // trimmed since it was given to a consumer
			gone++
		} else if text, hasText := c.textOf(c.group.Stream, e); hasText {
			var r intake.Record
			if r, ok = c.read("stream "+c.group.Stream+" "+e.ID, text); ok {
				item.Record = r.From("")
				if ok = c.wants(item); !ok {
					c.ignored.Add(1)
				}
			}
		}
		if !ok {
			c.unacked = append(c.unacked, e.ID)
			continue
		}
		ids = append(ids, e.ID)
		b.Items = append(b.Items, item)
	}
	if gone > 0 {
		c.tell(ctx, loss{"trimmed", int64(gone)})
	}
	n, err := 0, error(nil)
	if len(ids) > 0 {
		// What is left of a batch ends with the same entry.
		b.ID = strings.Join([]string{c.group.Stream, c.group.Name, ids[len(ids)-1]}, " ")
		c.retry.begin(&b)
		n, err = c.handle(ctx, b)
	}
	c.unacked = append(c.unacked, ids[:n]...)
	if err == nil {
		c.retry = retry{}
	}
	return errors.Join(err, c.acknowledge(ctx))
}

// retry is a batch that the handler has not taken yet.
type retry struct {
	id       string
	attempts int
	done     []string      // the recipients that have it
	after    time.Duration // to the next attempt, at least
}

// begin fills in what the handler is told of earlier attempts.
func (r *retry) begin(b *slogworks.Batch) {
	if r.id != b.ID {
		*r = retry{id: b.ID}
	}
	r.attempts++
	b.Attempt, b.Done = r.attempts, r.done
}

// failed notes what the handler said.
func (r *retry) failed(d *slogworks.DeliveryError) {
	r.after = d.After
	r.done = slices.Clip(r.done) // the handler may have kept it
	for _, recipient := range d.Done {
		if !slices.Contains(r.done, recipient) {
			r.done = append(r.done, recipient)
		}
	}
}

// wants asks the handler; if it panics, it is left to Handle to do so again.
func (c *consumer) wants(item slogworks.Item) (enabled bool) {
	defer func() {
		if recover() != nil {
			enabled = true
		}
	}()
	return c.Handler.Enabled(item.Context, item.Record.Level)
}

// handle hands on a batch and returns how many items, from the first on, are
// settled.
func (c *consumer) handle(ctx context.Context, b slogworks.Batch) (settled int, err error) {
	err = stage.HandleBatch(ctx, c.Handler, b)
	settled = stage.Accepted(err, len(b.Items))
	c.handed.Add(uint64(settled))
	if err == nil {
		return settled, nil
	}
	delivery := stage.DeliveryOf(err)
	var panicked *slogworks.PanicError
	switch {
	case errors.As(err, &panicked):
		// Which record it was can only be found out one by one.
		for _, item := range b.Items[settled:] {
			err := stage.Offer(ctx, c.Handler, item.Record.Clone())
			if err != nil && !errors.As(err, &panicked) {
				return settled, c.handlerError(err)
			}
			c.count(err)
			settled++
		}
		return settled, nil
	case delivery.Permanent:
		for range b.Items[settled:] {
			c.lost.Add(1)
		}
		intake.Report(c.OnError, c.handlerError(err))
		return len(b.Items), nil
	}
	c.retry.failed(delivery)
	return settled, c.handlerError(err)
}

func (c *consumer) count(err error) {
	if err == nil {
		c.handed.Add(1)
		return
	}
	c.lost.Add(1)
	intake.Report(c.OnError, c.handlerError(err))
}

func (c *consumer) handlerError(err error) error {
	return fmt.Errorf("redis: %s: handler: %w", c.name, err)
}

// acknowledge tells the server what was handled, also when ctx is over: what it
// is not told comes again.
func (c *consumer) acknowledge(ctx context.Context) error {
	if len(c.unacked) == 0 {
		return nil
	}
	err := c.do(context.WithoutCancel(ctx), 0, func(ctx context.Context) error {
		return c.link.client.XAck(ctx, c.group.Stream, c.group.Name, c.unacked...).Err()
	})
	if err != nil {
		return err
	}
	c.acknowledged.Add(uint64(len(c.unacked)))
	c.unacked = c.unacked[:0]
	return nil
}

// leave takes a consumer that will not come back out of the group, unless it
// would take entries with it.
func (c *consumer) leave(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if c.acknowledge(ctx) != nil || !c.isNew || !c.hasJoined || !c.isUp {
		return
	}
	// If it fails, there is a consumer more in a list.
	_ = c.do(ctx, 0, func(ctx context.Context) error {
		pending, err := c.link.client.XPendingExt(ctx, &goredis.XPendingExtArgs{
			Stream: c.group.Stream, Group: c.group.Name, Start: "-", End: "+", Count: 1, Consumer: c.group.Consumer,
		}).Result()
		if err != nil || len(pending) > 0 {
			return err
		}
		return c.link.client.XGroupDelConsumer(ctx, c.group.Stream, c.group.Name, c.group.Consumer).Err()
	})
}

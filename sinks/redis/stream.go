package redis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks/internal/intake"
)

// entryID is the ID of an entry. The zero one is before all entries.
type entryID struct{ ms, seq uint64 }

func parseID(text string) (id entryID, err error) {
	ms, seq, both := strings.Cut(text, "-")
	if id.ms, err = strconv.ParseUint(ms, 10, 64); err == nil && both {
		id.seq, err = strconv.ParseUint(seq, 10, 64)
	}
	return id, err
}

// idOf is parseID of what the server says.
func idOf(text string) entryID {
	id, _ := parseID(text)
	return id
}

func (id entryID) String() string {
	return strconv.FormatUint(id.ms, 10) + "-" + strconv.FormatUint(id.seq, 10)
}

func (id entryID) before(other entryID) bool {
	return id.ms < other.ms || id.ms == other.ms && id.seq < other.seq
}

func (id entryID) previous() entryID {
	switch {
	case id.seq > 0:
		return entryID{id.ms, id.seq - 1}
	case id.ms > 0:
		return entryID{id.ms - 1, math.MaxUint64}
	}
	return entryID{}
}

// position is where a reader stands in a stream: at the last entry it got, up to
// which index entries were added to the stream; negative if that is not known.
type position struct {
	last  entryID
	index int64
}

// loss is what lies between two positions.
type loss struct {
	reason string // "" if nothing
	missed int64  // 0 if unknown
}

// advance moves the position past entries that were read together with info, up
// to limit of them. They are one state of the stream: info counts how many
// entries it ever had and how many it has, so that if the first entry read is the
// first one left, the number of those before it is known.
func (p *position) advance(entries []goredis.XMessage, limit int64, info *goredis.XInfoStream) (l loss) {
	if info == nil { // there is no such stream
		if p.last != (entryID{}) {
			l.reason = "recreated"
		}
		*p = position{}
		return l
	}
	newest := idOf(info.LastGeneratedID)
	// Before Redis 7 nothing is counted.
	isCounted := info.EntriesAdded > 0 || info.Length == 0
	if newest.before(p.last) {
		*p = position{} // and everything in it is read in the next round
		return loss{reason: "recreated"}
	}
	if len(entries) == 0 {
		if isCounted && p.last.before(newest) && p.index >= 0 && p.index < info.EntriesAdded {
			l = loss{"trimmed", info.EntriesAdded - p.index}
		}
		p.last = newest
		if isCounted {
			p.index = info.EntriesAdded
		}
		return l
	}
	n := int64(len(entries))
	before := info.EntriesAdded - info.Length
	switch isFirst := entries[0].ID == info.FirstEntry.ID; {
	case !isFirst || !isCounted:
		if p.index >= 0 {
			p.index += n
		}
		if isFirst && p.last != (entryID{}) && p.index < 0 {
			l.reason = "trimmed"
		}
	case p.index > before:
		l.reason = "recreated" // it counts from the beginning again
		p.index = before + n
	default:
		switch {
		case p.last == (entryID{}): // whoever wants everything gets what there is
		case p.index < 0 && before > 0:
			l.reason = "trimmed"
		case p.index >= 0 && p.index < before:
			l = loss{"trimmed", before - p.index}
		}
		p.index = before + n
	}
	if isCounted && n < limit {
		p.index = info.EntriesAdded
	}
	p.last = idOf(entries[n-1].ID)
	return l
}

// tailStream reads a stream until ctx is over.
func (f *feed) tailStream(ctx context.Context, s Source) {
	var p position
	hasBegun := false
	for ctx.Err() == nil {
		var n int
		err := error(nil)
		if !hasBegun {
			p, err = f.begin(ctx, s)
			hasBegun = err == nil
		}
		if err == nil {
			n, err = f.readOn(ctx, s.Stream, &p)
		}
		if err == nil && n == 0 {
			err = f.await(ctx, s.Stream, p.last, maxWait)
		}
		if err != nil {
			f.failed(ctx, err, 0)
			continue
		}
		f.failures = 0
	}
}

// maxWait is how long the server is asked to wait for an entry. The user's client
// may have a deadline of its own, and does not notice that ctx is over.
const maxWait = time.Second

// begin returns where a source is read from.
func (f *feed) begin(ctx context.Context, s Source) (p position, err error) {
	f.wholeAt = time.Now()
	if s.From != "" && s.From != "$" {
		return position{idOf(s.From), -1}, nil
	}
	err = f.do(ctx, 0, func(ctx context.Context) error {
		pipe := f.link.client.TxPipeline()
		newest := pipe.XRevRangeN(ctx, s.Stream, "+", "-", max(1, int64(s.Last)))
		about := pipe.XInfoStream(ctx, s.Stream)
		_, err := pipe.Exec(ctx)
		if err := failureOf(err, newest, about); err != nil {
			return err
		}
		info := about.Val()
		if info == nil { // there is no such stream
			p = position{}
			return nil
		}
		entries := newest.Val()
		p = position{idOf(info.LastGeneratedID), info.EntriesAdded}
		if s.Last > 0 && len(entries) > 0 {
			p = position{idOf(entries[len(entries)-1].ID).previous(), info.EntriesAdded - int64(len(entries))}
		}
		if info.EntriesAdded == 0 && info.Length > 0 {
			p.index = -1
		}
		return nil
	})
	return p, err
}

// readOn hands on the next entries and returns how many there were.
func (f *feed) readOn(ctx context.Context, stream string, p *position) (n int, err error) {
	var entries []goredis.XMessage
	var info *goredis.XInfoStream
	began := time.Now()
	err = f.do(ctx, 0, func(ctx context.Context) error {
		pipe := f.link.client.TxPipeline()
		read := pipe.XRead(ctx, &goredis.XReadArgs{Streams: []string{stream, p.last.String()}, Count: f.maxBatch, Block: -1})
		about := pipe.XInfoStream(ctx, stream)
		_, err := pipe.Exec(ctx)
		if err := failureOf(err, read, about); err != nil {
			return err
		}
		if streams := read.Val(); len(streams) > 0 {
			entries = streams[0].Messages
		}
		info = about.Val()
		return nil
	})
	if err != nil {
		return 0, err
	}
	f.tell(ctx, p.advance(entries, f.maxBatch, info))
	f.wholeAt = began
	for _, e := range entries {
		if text, ok := f.textOf(stream, e); ok {
			f.hand(ctx, "stream "+stream+" "+e.ID, stream, text)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return len(entries), nil
}

func (f *feed) tell(ctx context.Context, l loss) {
	if l.reason != "" {
		f.gap(ctx, Gap{Reason: l.reason, Missed: uint64(l.missed), Since: f.wholeAt})
	}
}

// await returns when there is an entry after last, or after some time.
func (f *feed) await(ctx context.Context, stream string, last entryID, wait time.Duration) error {
	return f.do(ctx, wait, func(ctx context.Context) error {
		err := f.link.client.XRead(ctx, &goredis.XReadArgs{Streams: []string{stream, last.String()}, Count: 1, Block: wait}).Err()
		if errors.Is(err, goredis.Nil) {
			return nil
		}
		return err
	})
}

// textOf returns what should be the record in an entry, or counts that there is
// none.
func (f *feed) textOf(stream string, e goredis.XMessage) (string, bool) {
	if text, ok := e.Values[recordField].(string); ok {
		return text, true
	}
	if len(e.Values) == 1 {
		for _, value := range e.Values {
			if text, ok := value.(string); ok {
				return text, true
			}
		}
	}
	f.refuse(intake.Refuse("not-a-record", "%d fields, none called %s", len(e.Values), recordField), fmt.Sprintf("stream %s %s", stream, e.ID))
	return "", false
}

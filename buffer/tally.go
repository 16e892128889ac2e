package buffer

import (
	"cmp"
	"hash/maphash"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/slogworks/slogworks"
)

// entry is what is remembered of a record while it is held.
type entry struct {
	level slog.Level
	time  time.Time
	print uint64 // equal for records that are alike
	bytes int
}

// segment is a journal and what is in it.
type segment struct {
	number  int64
	end     int64 // up to where it has been read
	records int
	corrupt int // lines
	bytes   int64
	oldest  time.Time
	newest  time.Time
	levels  []levelCount
}

// born is when the segment was made, for records that have no time.
func (s *segment) born() time.Time { return time.Unix(0, s.number) }

// ledger is what is held, and what happened to it beyond the deliveries.
type ledger struct {
	segments []*segment       // oldest first
	prints   map[uint64]int64 // the newest segment that has a record of the fingerprint

	adopted   int // records found that this Handler did not store
	elsewhere int // records that went to another process
	dropped   int // records dropped for want of room
	corrupt   int // lines, and files that were set aside
}

func (l *ledger) add(s *segment, e entry) {
	if e.time.IsZero() {
		e.time = s.born()
	}
	s.records++
	s.bytes += int64(e.bytes)
	if s.records == 1 || e.time.Before(s.oldest) {
		s.oldest = e.time
	}
	if s.records == 1 || e.time.After(s.newest) {
		s.newest = e.time
	}
	s.levels = count(s.levels, e.level, 1)
	if l.prints == nil {
		l.prints = map[uint64]int64{}
	}
	l.prints[e.print] = max(l.prints[e.print], s.number)
}

func count(levels []levelCount, level slog.Level, n int) []levelCount {
	i, found := slices.BinarySearchFunc(levels, level, func(c levelCount, l slog.Level) int { return cmp.Compare(c.level, l) })
	if !found {
		levels = slices.Insert(levels, i, levelCount{level: level})
	}
	levels[i].n += n
	return levels
}

// remove forgets a segment.
func (l *ledger) remove(s *segment) {
	l.segments = slices.DeleteFunc(l.segments, func(other *segment) bool { return other == s })
	for print, newest := range l.prints {
		if newest == s.number {
			delete(l.prints, print)
		}
	}
}

func (l *ledger) find(number int64) *segment {
	for _, s := range l.segments {
		if s.number == number {
			return s
		}
	}
	return nil
}

func (l *ledger) state(lastSent time.Time) State {
	state := State{Distinct: len(l.prints), LastSent: lastSent}
	for _, s := range l.segments {
		if s.records == 0 {
			continue
		}
		if state.Total == 0 || s.oldest.Before(state.Oldest) {
			state.Oldest = s.oldest
		}
		if state.Total == 0 || s.newest.After(state.Newest) {
			state.Newest = s.newest
		}
		state.Total += s.records
		state.Bytes += s.bytes
		for _, c := range s.levels {
			state.levels = count(state.levels, c.level, c.n)
		}
	}
	return state
}

// size is how many bytes the journals have, as far as they have been read.
func (l *ledger) size() (bytes int64) {
	for _, s := range l.segments {
		bytes += s.end
	}
	return bytes
}

func (l *ledger) records() (n int) {
	for _, s := range l.segments {
		n += s.records
	}
	return n
}

// printer makes entries of records.
type printer struct {
	fingerprint func(slogworks.View) string
	seed        maphash.Seed
	places      sync.Map // uintptr -> string: finding the line of a call takes longer than all else
}

func newPrinter(fingerprint func(slogworks.View) string) *printer {
	return &printer{fingerprint: fingerprint, seed: maphash.MakeSeed()}
}

func (p *printer) entry(r slog.Record, bytes int) entry {
	return entry{level: r.Level, time: r.Time, print: p.print(r), bytes: bytes}
}

func (p *printer) print(r slog.Record) (print uint64) {
	if p.fingerprint != nil {
		// A function that panics makes all records alike that it panics on.
		defer func() { _ = recover() }()
		return maphash.String(p.seed, p.fingerprint(slogworks.NewView(r)))
	}
	var h maphash.Hash
	h.SetSeed(p.seed)
	maphash.WriteComparable(&h, r.Level)
	h.WriteString(r.Message)
	h.WriteByte(0)
	h.WriteString(p.place(r))
	return h.Sum64()
}

// place returns file and line of the call that made the record.
func (p *printer) place(r slog.Record) string {
	if place, ok := p.places.Load(r.PC); ok && r.PC != 0 {
		return place.(string)
	}
	source := slogworks.NewView(r).Source()
	if source == nil {
		return ""
	}
	place := source.File + ":" + strconv.Itoa(source.Line)
	if r.PC != 0 {
		p.places.Store(r.PC, place)
	}
	return place
}

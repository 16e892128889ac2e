package queue

import (
	"context"
	"log/slog"
	"time"

	"github.com/slogworks/slogworks"
)

// slot is what the queue holds: a record with the handler that it was logged
// to, or a whole batch.
type slot struct {
	from   *Handler
	ctx    context.Context // nil: nothing to keep
	record slog.Record
	batch  *slogworks.Batch
}

// size is how many places the slot takes.
func (s *slot) size() int {
	if s.batch != nil {
		return len(s.batch.Items)
	}
	return 1
}

// time is when its first record was made.
func (s *slot) time() time.Time {
	if s.batch != nil {
		return s.batch.Items[0].Record.Time
	}
	return s.record.Time
}

func highest(items []slogworks.Item) slog.Level {
	level := items[0].Record.Level
	for _, item := range items[1:] {
		level = max(level, item.Record.Level)
	}
	return level
}

const segmentSize = 64

// segment is a piece of the queue, of about 20 kB.
type segment struct {
	slots [segmentSize]slot
	next  *segment
}

// fifo is a queue that never moves a slot: producers fill the last segment
// while the worker reads the first slots where they stand, without the lock.
// Its memory follows what it holds, in whole segments. A ring that doubles would
// copy everything under the lock each time it grows, which takes up to a
// millisecond.
type fifo struct {
	head, tail *segment
	first, end int      // the first slot in head, and the one after the last in tail
	len        int      // in slots
	free       *segment // to be used again, empty
}

func (f *fifo) push() *slot {
	if f.tail == nil || f.end == segmentSize {
		f.grow()
	}
	s := &f.tail.slots[f.end]
	f.end++
	f.len++
	return s
}

func (f *fifo) grow() {
	next := f.free
	if next == nil {
		next = new(segment)
	} else {
		f.free, next.next = next.next, nil
	}
	if f.tail == nil {
		f.head = next
	} else {
		f.tail.next = next
	}
	f.tail, f.end = next, 0
}

// peek returns the first slots that stand side by side, at most n.
func (f *fifo) peek(n int) []slot {
	end := segmentSize
	if f.head == f.tail {
		end = f.end
	}
	return f.head.slots[f.first : f.first+min(end-f.first, n)]
}

// pop removes the first n slots, which must stand side by side and be zero, so
// that they hold on to nothing.
func (f *fifo) pop(n int) {
	f.first += n
	f.len -= n
	switch {
	case f.len == 0:
		f.first, f.end = 0, 0
	case f.first == segmentSize:
		used := f.head
		f.head, f.first = used.next, 0
		used.next, f.free = f.free, used
	}
}

// shrink gives back all memory but one segment, if the queue is empty.
func (f *fifo) shrink() {
	if f.len == 0 {
		f.free = nil
	}
}

// abandon removes all slots but the first keep, which somebody is about to pop,
// and counts the records in those after the first claimed. It returns how many
// these are.
func (f *fifo) abandon(claimed, keep int, counts *Counts) int {
	n := 0
	seg, at := f.head, f.first
	for i := range f.len {
		if at == segmentSize {
			seg, at = seg.next, 0
		}
		if i >= claimed {
			s := &seg.slots[at]
			n += s.size()
			s.count(counts)
		}
		if i >= keep {
			seg.slots[at] = slot{}
		}
		at++
	}
	if f.len > keep {
		f.len = keep
		f.tail, f.end = f.head, f.first+keep
		f.tail.next = nil
	}
	return n
}

func (s *slot) count(counts *Counts) {
	if s.batch == nil {
		counts.add(s.record.Level)
		return
	}
	for _, item := range s.batch.Items {
		counts.add(item.Record.Level)
	}
}

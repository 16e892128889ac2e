package queue

import (
	"log/slog"
	"unsafe"

	"github.com/slogworks/slogworks"
)

// Waiters is how many callers the queue has to wake when something is done.
func (h *Handler) Waiters() int {
	h.core.mu.Lock()
	defer h.core.mu.Unlock()
	return len(h.core.waiters)
}

// FIFO is a fifo whose slots hold a number each.
type FIFO struct{ fifo }

const (
	SegmentSize = segmentSize
	SlotSize    = unsafe.Sizeof(slot{})
)

// Push appends a record, or a batch if size is not 1.
func (f *FIFO) Push(n, size int) {
	s := f.push()
	if size == 1 {
		s.record.PC = uintptr(n)
		return
	}
	s.batch = &slogworks.Batch{Dropped: n, Items: make([]slogworks.Item, size)}
}

// Peek returns what peek does.
func (f *FIFO) Peek(n int) []int {
	var numbers []int
	for _, s := range f.peek(n) {
		if s.batch != nil {
			numbers = append(numbers, s.batch.Dropped)
		} else {
			numbers = append(numbers, int(s.record.PC))
		}
	}
	return numbers
}

func (f *FIFO) Pop(n int) {
	clear(f.peek(n))
	f.pop(n)
}

func (f *FIFO) Abandon(claimed, keep int) (n int, counts Counts) {
	n = f.abandon(claimed, keep, &counts)
	return n, counts
}

func (f *FIFO) Shrink()  { f.shrink() }
func (f *FIFO) Len() int { return f.len }

// Segments is how many segments f holds on to.
func (f *FIFO) Segments() int {
	n := 0
	for s := f.head; s != nil; s = s.next {
		n++
	}
	for s := f.free; s != nil; s = s.next {
		n++
	}
	return n
}

// Zero reports whether all slots that hold nothing are zero.
func (f *FIFO) Zero() bool {
	at := -f.first
	for s := f.head; s != nil; s = s.next {
		for i := range s.slots {
			if (at < 0 || at >= f.len) && !s.slots[i].isZero() {
				return false
			}
			at++
		}
	}
	for s := f.free; s != nil; s = s.next {
		for i := range s.slots {
			if !s.slots[i].isZero() {
				return false
			}
		}
	}
	return true
}

func (s *slot) isZero() bool {
	return s.from == nil && s.ctx == nil && s.batch == nil && s.record.PC == 0 &&
		s.record.Level == slog.Level(0) && s.record.NumAttrs() == 0
}

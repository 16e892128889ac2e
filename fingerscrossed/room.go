package fingerscrossed

import (
	"log/slog"
	"sync"
)

// trim drops the oldest records until there are not too many. It stops at one of
// Level or above, which has to be written as it would be without this handler,
// and reports false then. The lock is held.
func (b *buffer) trim(v *contexts, level slog.Level) bool {
	for b.held.len > 0 && b.isFull() {
		l := b.held.front().record.Level
		if l >= level {
			return false
		}
		b.drop(l)
		b.held.pop()
		v.pop(1)
	}
	return true
}

// isFull reports whether the buffer holds more than it may.
func (b *buffer) isFull() bool {
	c := b.core
	return b.held.len > c.MaxRecords || b.held.bytes > c.MaxBytes || !b.reserve(b.held.bytes)
}

// queueFactor is how much longer than a buffer the queue behind a release may
// be. What is in it is on its way out.
const queueFactor = 4

// isCrowded reports whether there is no room for another record behind what is
// being written. The lock is held.
func (b *buffer) isCrowded(size int) bool {
	c := b.core
	return b.held.len > 0 &&
		(b.held.len/queueFactor >= c.MaxRecords || (b.held.bytes+size)/queueFactor >= c.MaxBytes || !b.reserve(b.held.bytes+size))
}

// maxRounds is how often whoever writes finds that something has queued before
// the others have to wait, so that nobody writes for them for ever.
const maxRounds = 4

// reserve sees to it that the buffer has n bytes of the total. It asks for them
// in steps, because every buffer needs them. The lock is held.
func (b *buffer) reserve(n int) bool {
	missing := int64(n) - b.granted
	if missing <= 0 {
		return true
	}
	missing = (missing + reserveStep - 1) / reserveStep * reserveStep
	if c := b.core; c.granted.Add(missing) > c.TotalBytes {
		c.granted.Add(-missing)
		return false
	}
	b.granted += missing
	return true
}

const reserveStep = 4 << 10

// giveBack returns to the total what an empty buffer has no use for. The lock
// is held.
func (b *buffer) giveBack() {
	b.core.granted.Add(-b.granted)
	b.granted = 0
}

// awaitRoom waits until there is room, so that a release which is slower than
// those who log does not fill the memory. It reports false where waiting would
// be for ever. The lock is held, and not meanwhile.
func (b *buffer) awaitRoom(size int) bool {
	return b.wait(func() bool { return b.state.Load() != busy || b.rounds <= maxRounds && !b.isCrowded(size) })
}

// await waits until the first n records that the buffer has ever held are on
// their way no longer, or gives up where that would be for ever. The lock is
// held, and not meanwhile.
func (b *buffer) await(n uint64) {
	b.wait(func() bool { return b.state.Load() != busy || b.put >= n })
}

// wait waits for what changes as the writing goes on. It gives up, and reports
// false, if the caller is part of that writing, or when a Shutdown gives up. The
// lock is held, and not meanwhile.
func (b *buffer) wait(until func() bool) bool {
	if until() {
		return true
	}
	if isWriting() {
		return false
	}
	for !until() {
		if b.core.life.Err() != nil {
			return false
		}
		b.changing().Wait()
	}
	return true
}

// changing returns what tell wakes up. The lock is held.
func (b *buffer) changing() *sync.Cond {
	if b.changed == nil {
		b.changed = sync.NewCond(&b.mu)
	}
	return b.changed
}

// tell wakes up those who wait for a change. The lock is held.
func (b *buffer) tell() {
	if b.changed != nil {
		b.changed.Broadcast()
	}
}

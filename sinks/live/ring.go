package live

import (
	"log/slog"
	"sync"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/wire"
)

// entry is a record that is kept. Once it is in the ring it never changes, so
// that streams can read it without a lock.
type entry struct {
	seq    uint64
	line   []byte // of package wire, without a sequence number
	at     time.Time
	level  slog.Level
	logger string
	from   *Origin
}

var lines = sync.Pool{New: func() any { return new([]byte) }}

// keepLine is the size up to which a buffer is used again.
const keepLine = 64 << 10

// entryOf appends the record's line to buf. The entry is one to be given to the
// ring, which copies it, line and all.
func (h *Hub) entryOf(buf []byte, r *slog.Record, from *Origin) (entry, []byte) {
	begin := len(buf)
	buf = wire.AppendRecord(buf, *r, wire.Origin{Host: from.Host, Process: from.Process, PID: from.PID}, h.opts.MaxRecordBytes)
	e := entry{
		line:   buf[begin:len(buf):len(buf)],
		at:     r.Time,
		level:  r.Level,
		logger: slogworks.NewView(*r).Logger(),
		from:   from,
	}
	if e.at.IsZero() {
		e.at = time.Now()
	}
	return e, buf
}

// shared returns a pointer to an Origin like this one. Records that follow each
// other mostly come from the same.
func (h *Hub) shared(from Origin) *Origin {
	if last := h.lastOrigin.Load(); last != nil && *last == from {
		return last
	}
	h.lastOrigin.Store(&from)
	return &from
}

func giveBack(buf *[]byte, used []byte) {
	if cap(used) <= keepLine {
		*buf = used
		lines.Put(buf)
	}
}

// ring holds the newest entries, numbered without holes.
type ring struct {
	maxRecords, maxBytes int

	mu      sync.Mutex // held for moments only, and never while a stream writes or filters
	entries []*entry   // grows up to maxRecords
	begin   int        // where the oldest is; the others follow, over the end to the beginning
	head    uint64     // the newest number; 0 if there was none
	kept    int
	bytes   int
	closed  bool

	freeEntries []entry // what is left of a block
	freeBytes   []byte
}

// add copies the entries. It reports false if the ring is closed.
func (r *ring) add(entries []entry) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	for i := range entries {
		size := len(entries[i].line)
		for r.kept > 0 && (r.kept == r.maxRecords || r.bytes+size > r.maxBytes) {
			r.dropOldest()
		}
		if r.kept == len(r.entries) {
			r.grow()
		}
		next := r.slot(r.head + 1)
		r.head++
		r.kept++
		r.bytes += size
		*next = r.store(&entries[i])
	}
	return true
}

// Entries and lines are cut from blocks, as an allocation for each would cost
// more than all the rest. A block lives as long as anything in it is kept or
// being sent.
const (
	blockEntries = 256
	blockBytes   = 64 << 10
)

func (r *ring) store(e *entry) *entry {
	if len(r.freeEntries) == 0 {
		r.freeEntries = make([]entry, min(blockEntries, r.maxRecords))
	}
	stored := &r.freeEntries[0]
	r.freeEntries = r.freeEntries[1:]
	*stored = *e
	stored.seq = r.head

	n := len(e.line)
	if n > blockBytes/8 {
		stored.line = append([]byte(nil), e.line...)
		return stored
	}
	if len(r.freeBytes) < n {
		r.freeBytes = make([]byte, blockBytes)
	}
	copy(r.freeBytes, e.line)
	stored.line = r.freeBytes[:n:n]
	r.freeBytes = r.freeBytes[n:]
	return stored
}

// slot is where the entry with the number stands, which is kept or the next one.
func (r *ring) slot(seq uint64) **entry {
	i := r.begin + int(seq-r.first())
	if i >= len(r.entries) {
		i -= len(r.entries)
	}
	return &r.entries[i]
}

func (r *ring) first() uint64 { return r.head + 1 - uint64(r.kept) }

func (r *ring) dropOldest() {
	oldest := &r.entries[r.begin]
	r.bytes -= len((*oldest).line)
	*oldest = nil
	r.kept--
	if r.begin++; r.begin == len(r.entries) {
		r.begin = 0
	}
}

func (r *ring) grow() {
	old, begin := r.entries, r.begin
	r.entries = make([]*entry, min(max(2*len(old), 256), r.maxRecords))
	r.begin = 0
	copied := copy(r.entries, old[begin:])
	copy(r.entries[copied:], old[:begin])
}

func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

func (r *ring) stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{Records: r.head, Kept: r.kept, Bytes: r.bytes, First: r.first(), Head: r.head}
}

// after appends to buf up to limit entries that follow the number, and returns
// which one the oldest is that is kept: if it is not the next, those between
// have made room.
func (r *ring) after(buf []*entry, seq uint64, limit int) (found []*entry, first uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first = r.first()
	for n := max(seq+1, first); n <= r.head && len(buf) < limit; n++ {
		buf = append(buf, *r.slot(n))
	}
	return buf, first
}

// snapshot returns all that is kept.
func (r *ring) snapshot() (kept []*entry, first, head uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept = make([]*entry, 0, r.kept)
	for n := r.first(); n <= r.head; n++ {
		kept = append(kept, *r.slot(n))
	}
	return kept, r.first(), r.head
}

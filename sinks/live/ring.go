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
	from   Origin
}

var lines = sync.Pool{New: func() any { return new([]byte) }}

// keepLine is the size up to which a buffer is used again.
const keepLine = 16 << 10

func (h *Hub) entryOf(r slog.Record, from Origin) *entry {
	buf := lines.Get().(*[]byte)
	line := wire.AppendRecord((*buf)[:0], r, wire.Origin{Host: from.Host, Process: from.Process, PID: from.PID}, h.opts.MaxRecordBytes)
	e := &entry{
		line:   append([]byte(nil), line...),
		at:     r.Time,
		level:  r.Level,
		logger: slogworks.NewView(r).Logger(),
		from:   from,
	}
	if cap(line) <= keepLine {
		*buf = line
		lines.Put(buf)
	}
	if e.at.IsZero() {
		e.at = time.Now()
	}
	return e
}

// ring holds the newest entries, numbered without holes.
type ring struct {
	maxRecords, maxBytes int

	mu      sync.Mutex // held for moments only, and never while a stream writes or filters
	entries []*entry   // where the entry with number n is at n % len; grows up to maxRecords
	head    uint64     // the newest number; 0 if there was none
	kept    int
	bytes   int
	closed  bool
}

// add reports false if the ring is closed.
func (r *ring) add(entries []*entry) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	for _, e := range entries {
		for r.kept > 0 && (r.kept == r.maxRecords || r.bytes+len(e.line) > r.maxBytes) {
			r.dropOldest()
		}
		if r.kept == len(r.entries) {
			r.grow()
		}
		r.head++
		e.seq = r.head
		*r.slot(e.seq) = e
		r.kept++
		r.bytes += len(e.line)
	}
	return true
}

func (r *ring) slot(seq uint64) **entry { return &r.entries[seq%uint64(len(r.entries))] }

func (r *ring) first() uint64 { return r.head + 1 - uint64(r.kept) }

func (r *ring) dropOldest() {
	oldest := r.slot(r.first())
	r.bytes -= len((*oldest).line)
	*oldest = nil
	r.kept--
}

func (r *ring) grow() {
	old := r.entries
	r.entries = make([]*entry, min(max(2*len(old), 256), r.maxRecords))
	for seq := r.first(); seq <= r.head; seq++ {
		*r.slot(seq) = old[seq%uint64(len(old))]
	}
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

package fingerscrossed

import (
	"log/slog"
	"math/bits"
	"sync"

	"github.com/slogworks/slogworks/internal/chain"
)

// entry is a record that waits. Its context waits elsewhere, see contexts.
type entry struct {
	with   *chain.Node
	record slog.Record
}

// chunkSize lets a chunk just about fill a size class of the allocator.
const chunkSize = 10

// chunk is a piece of a list.
type chunk struct {
	entries  [chunkSize]entry
	sizes    [chunkSize]int32
	triggers uint16 // a bit for each record that triggers
	next     *chunk
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// list is a queue of records in chunks that are used again, so that holding a
// record allocates nothing and moves no other.
type list struct {
	head, tail *chunk
	first, end int // the first record in head, and the one after the last in tail
	len        int
	bytes      int
	triggers   int        // how many of the records trigger
	highest    slog.Level // no record is above it, unless the list is empty
}

// push adds a record that shares no memory with one of somebody else's.
func (l *list) push(with *chain.Node, r *slog.Record, size int, triggers bool) {
	if l.tail == nil || l.end == chunkSize {
		l.grow()
	}
	e := &l.tail.entries[l.end]
	e.with = with
	e.record = *r // not together with the other, which would take two copies
	size = min(size, maxSize)
	l.tail.sizes[l.end] = int32(size)
	if triggers {
		l.tail.triggers |= 1 << l.end
		l.triggers++
	}
	if l.len == 0 || r.Level > l.highest {
		l.highest = r.Level
	}
	l.end++
	l.len++
	l.bytes += size
}

// maxSize is counted for a record that is even larger.
const maxSize = 1 << 30

// reuse lets a chunk be used again, in which there were so many records. One that
// waits for that must hold on to nothing. To clear its records together takes a
// fraction of clearing one at a time.
func (c *chunk) reuse(used int) {
	clear(c.entries[:used])
	c.triggers, c.next = 0, nil
	chunks.Put(c)
}

func (l *list) grow() {
	c := chunks.Get().(*chunk)
	if l.tail == nil {
		l.head, l.first = c, 0
	} else {
		l.tail.next = c
	}
	l.tail, l.end = c, 0
}

// front returns the oldest record. The list must not be empty.
func (l *list) front() *entry { return &l.head.entries[l.first] }

// frontSize returns its size.
func (l *list) frontSize() int { return int(l.head.sizes[l.first]) }

// last returns the newest record. The list must not be empty.
func (l *list) last() *entry { return &l.tail.entries[l.end-1] }

// pop removes the oldest record, which front no longer points to then.
func (l *list) pop() {
	c := l.head
	size := int(c.sizes[l.first])
	l.bytes -= size
	if size > largeSize {
		c.entries[l.first] = entry{}
	}
	if c.triggers&(1<<l.first) != 0 {
		l.triggers--
	}
	l.first++
	l.len--
	if l.len == 0 || l.first == chunkSize {
		used := l.first
		l.head, l.first = c.next, 0
		if l.head == nil {
			l.tail, l.end = nil, 0
		}
		c.reuse(used)
	}
}

// largeSize is that of a record which must not wait for its chunk to be cleared:
// those that are gone take no more room than those that are held.
const largeSize = 2 * entrySize

func (l *list) clear() {
	for c := l.head; c != nil; {
		used := chunkSize
		if c == l.tail {
			used = l.end
		}
		next := c.next
		c.reuse(used)
		c = next
	}
	*l = list{}
}

// throughTrigger returns how many records there are up to the first that
// triggers, that one included; all if none does.
func (l *list) throughTrigger() int {
	if l.triggers == 0 {
		return l.len
	}
	n := 0
	for c, first := l.head, l.first; ; c, first = c.next, 0 {
		if c.triggers>>first != 0 {
			return n + bits.TrailingZeros16(c.triggers>>first) + 1
		}
		n += chunkSize - first
	}
}

// take moves the oldest n records to a list of their own.
func (l *list) take(n int) (taken list) {
	if n == l.len {
		taken, *l = *l, taken
		return taken
	}
	for range n {
		e := l.front()
		taken.push(e.with, &e.record, l.frontSize(), l.head.triggers&(1<<l.first) != 0)
		l.pop()
	}
	return taken
}

// A record takes its place in a chunk and one in contexts, and its attributes
// what they point to.
const (
	entrySize = 336
	attrSize  = 40
)

// inlineAttrs is how many attributes a slog.Record has room for. One that has
// no more shares no memory, and is its own clone.
const inlineAttrs = 5

// measure estimates what keeping r takes, and counts its attributes. It gives
// up, and reports false, at a value that may need freezing: one look at the
// attributes is measurably less than two, and mostly it is enough. NumAttrs
// would copy the record, which can be measured as well.
func measure(r *slog.Record) (size, attrs int, plain bool) {
	size, plain = entrySize+len(r.Message), true
	r.Attrs(func(a slog.Attr) bool {
		size += len(a.Key)
		attrs++
		switch a.Value.Kind() {
		case slog.KindString:
			size += len(a.Value.String())
		case slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindBool, slog.KindDuration, slog.KindTime:
		default:
			plain = false
		}
		return plain
	})
	return size + attrSize*max(0, attrs-inlineAttrs), attrs, plain
}

// measureAll is measure for records that have any values.
func measureAll(r *slog.Record) int {
	size := entrySize + len(r.Message) + attrSize*max(0, r.NumAttrs()-inlineAttrs)
	r.Attrs(func(a slog.Attr) bool {
		size += len(a.Key) + payload(a.Value)
		return true
	})
	return size
}

// payload estimates what v takes beyond its attribute.
func payload(v slog.Value) int {
	n := 0
	switch v.Kind() {
	case slog.KindString:
		n = len(v.String())
	case slog.KindGroup:
		for _, member := range v.Group() {
			n += attrSize + len(member.Key) + payload(member.Value)
		}
	case slog.KindAny:
		switch x := v.Any().(type) {
		case *chain.Frozen:
			n = x.Size()
		case []byte:
			n = len(x)
		default:
			n = 64
		}
	}
	return n
}

package limit

import (
	"log/slog"
	"strings"
	"time"
)

// kindID tells kinds apart.
type kindID struct {
	level slog.Level
	pc    uintptr
	text  string
}

// maxText is how many bytes of a message, or of a name by Options.Kind, tell
// kinds apart and are remembered.
const maxText = 1 << 10

func cut(text string) string { return text[:min(len(text), maxText)] }

// kind is what is remembered of one in this window.
type kind struct {
	id         kindID
	passed     int
	more       summary // of those that did not pass
	prev, next *kind   // in its queue
}

// newKind returns a kind that does not hold on to what a message is a part of.
func newKind(id kindID) *kind {
	id.text = strings.Clone(id.text)
	return &kind{id: id}
}

// summary stands for records of one kind that were dropped.
type summary struct {
	from        *Handler
	level       slog.Level
	pc          uintptr
	message     string
	count       uint64
	first, last time.Time
}

func (s *summary) add(h *Handler, r *slog.Record) {
	at := timeOf(r)
	if s.count == 0 {
		*s = summary{from: h, level: r.Level, pc: r.PC, message: strings.Clone(cut(r.Message)), first: at, last: at}
	}
	s.count++
	s.from = nearest(s.from, h)
	s.level = max(s.level, r.Level)
	if at.Before(s.first) {
		s.first = at
	}
	if at.After(s.last) {
		s.last = at
	}
}

func timeOf(r *slog.Record) time.Time {
	if r.Time.IsZero() {
		return time.Now()
	}
	return r.Time
}

// queue holds kinds, the oldest first.
type queue struct{ first, last *kind }

func (q *queue) push(k *kind) {
	k.prev, k.next = q.last, nil
	if q.last != nil {
		q.last.next = k
	} else {
		q.first = k
	}
	q.last = k
}

func (q *queue) remove(k *kind) {
	if k.prev != nil {
		k.prev.next = k.next
	} else {
		q.first = k.next
	}
	if k.next != nil {
		k.next.prev = k.prev
	} else {
		q.last = k.prev
	}
	k.prev, k.next = nil, nil
}

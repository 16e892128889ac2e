package buffer

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/slogworks/slogworks"
)

// store is where records are held: a spool, or memory. Methods are called with
// core.mu held, but for those that say otherwise.
type store interface {
	held() *ledger
	state() *spoolState
	batches() []*parcel

	append(lines []byte, entries []entry, dropped int) (ticket int, err error) // dropped too, or neither
	refresh() error
	update(func(*spoolState)) error

	take(now time.Time, cause string) (*parcel, error) // nil if nothing is left
	save(*parcel) error
	finish(*parcel) error // delivered
	bury(*parcel) error   // given up

	// Without core.mu.
	claim(ctx context.Context, wait bool) (release func(), err error)
	read(p *parcel, f func(slogworks.Item)) (records, corrupt int, err error)
	secure(*parcel) error
	sync() error
	awaitSync(ticket int) error

	close() error
}

// memory is a store for want of a directory. It keeps the lines of a journal,
// since these take a fraction of the memory that the records would.
type memory struct {
	ledger
	*settings
	shared  spoolState
	lines   map[int64][]byte // by the number of the segment
	parcels []*parcel
}

var _ store = (*memory)(nil)

func newMemory(s *settings) *memory {
	return &memory{settings: s, lines: map[int64][]byte{}}
}

func (m *memory) held() *ledger      { return &m.ledger }
func (m *memory) state() *spoolState { return &m.shared }
func (m *memory) batches() []*parcel { return m.parcels }

func (m *memory) append(lines []byte, entries []entry, dropped int) (int, error) {
	m.shared.Dropped += dropped
	n := int64(len(lines))
	var s *segment
	if len(m.segments) > 0 {
		s = m.segments[len(m.segments)-1]
	}
	if s == nil || s.end+n > m.segmentBytes() {
		for len(m.segments) > 0 && m.size()+max(n, m.segmentBytes()) > m.MaxBytes {
			oldest := m.segments[0]
			m.dropped += oldest.records
			m.shared.Dropped += oldest.records
			delete(m.lines, oldest.number)
			m.remove(oldest)
		}
		number := time.Now().UnixNano()
		if s != nil {
			number = max(number, s.number+1)
		}
		s = &segment{number: number}
		m.segments = append(m.segments, s)
	}
	m.lines[s.number] = append(m.lines[s.number], lines...)
	s.end += n
	for _, e := range entries {
		m.add(s, e)
	}
	return 0, nil
}

func (m *memory) refresh() error { return nil }

func (m *memory) update(f func(*spoolState)) error {
	f(&m.shared)
	return nil
}

func (m *memory) take(now time.Time, cause string) (*parcel, error) {
	if len(m.segments) == 0 {
		return nil, nil
	}
	s := m.segments[0]
	p := &parcel{id: newID(now), records: s.records, lines: m.lines[s.number]}
	p.state.Cause, p.state.Dropped = cause, m.shared.Dropped
	m.shared.Dropped = 0
	delete(m.lines, s.number)
	m.remove(s)
	m.parcels = append(m.parcels, p)
	return p, nil
}

func (m *memory) save(*parcel) error { return nil }

func (m *memory) finish(p *parcel) error {
	m.parcels = slices.DeleteFunc(m.parcels, func(other *parcel) bool { return other == p })
	return nil
}

func (m *memory) bury(p *parcel) error { return m.finish(p) }

// claim has nobody to exclude: core lets one delivery go on at a time.
func (m *memory) claim(context.Context, bool) (func(), error) { return func() {}, nil }

func (m *memory) read(p *parcel, f func(slogworks.Item)) (records, corrupt int, err error) {
	_, err = scan(bytes.NewReader(p.lines), true, func(line []byte) {
		r, ok := parseLine(line)
		if !ok {
			corrupt++
			return
		}
		records++
		f(slogworks.Item{Context: context.Background(), Record: r})
	})
	return records, corrupt, err
}

func (m *memory) secure(*parcel) error { return nil }
func (m *memory) sync() error          { return nil }
func (m *memory) awaitSync(int) error  { return nil }
func (m *memory) close() error         { return nil }

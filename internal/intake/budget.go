package intake

import (
	"errors"
	"sync"
	"time"
)

// ErrNoMemory says that the budget had no memory for a long frame in time.
var ErrNoMemory = errors.New("no memory for a long frame became free in time")

// Budget is the memory that all connections share for long frames. Who wants
// more than there is waits: without this, as many hostile senders as there may
// be connections could each take up the longest frame.
//
// One frame at a time may go beyond it. Otherwise many that are half there, and
// have what there is, would wait for each other until none came in time.
type Budget struct {
	mu     sync.Mutex
	left   int           // below 0 while one goes beyond
	beyond *Share        // which may
	freed  chan struct{} // closed and replaced when some was given back
	alone  chan struct{} // whoever is alone holds its only place
}

// Share is what a frame has of a Budget. The zero Share has nothing.
type Share struct{ held int }

// NewBudget returns a budget of n bytes, and of more if two frames of maxFrame
// would not fit: a buffer has up to twice the length of its frame.
func NewBudget(n, maxFrame int) *Budget {
	return &Budget{left: max(n, 4*maxFrame), freed: make(chan struct{}), alone: make(chan struct{}, 1)}
}

// Take makes a share as large as it says, and waits for that. It returns
// ErrNoMemory when it has waited long enough, and ErrDrained when giveUp is
// closed.
func (b *Budget) Take(s *Share, size int, wait time.Duration, giveUp <-chan struct{}) error {
	var timeout <-chan time.Time
	for {
		freed, ok := b.tryTake(s, size)
		if ok {
			return nil
		}
		if timeout == nil {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-freed:
		case <-giveUp:
			return ErrDrained
		case <-timeout:
			return ErrNoMemory
		}
	}
}

func (b *Budget) tryTake(s *Share, size int) (freed <-chan struct{}, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	more := size - s.held
	if b.left < more && b.beyond == nil {
		b.beyond = s
	}
	if b.left < more && b.beyond != s {
		return b.freed, false
	}
	b.left -= more
	s.held = size
	return nil, true
}

// Give gives a share back.
func (b *Budget) Give(s *Share) {
	if s.held == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += s.held
	s.held = 0
	if b.beyond == s {
		b.beyond = nil
	}
	close(b.freed)
	b.freed = make(chan struct{})
}

// Alone calls f while no other f is running, because a record takes several times
// the memory of its frame. It returns ErrDrained when giveUp is closed before it
// is f's turn, and else what f does.
func (b *Budget) Alone(giveUp <-chan struct{}, f func() error) error {
	select {
	case b.alone <- struct{}{}:
	case <-giveUp:
		return ErrDrained
	}
	defer func() { <-b.alone }()
	return f()
}

package socket

import (
	"strings"
	"sync"
)

const (
	// maxOrigins is how many senders are remembered that have no connection.
	maxOrigins = 1024
	// maxBoot is how long a boot id may be: ours has 26 characters.
	maxBoot = 64
)

// origin is a sender that asked for acknowledgements.
type origin struct {
	boot string

	mu   sync.Mutex
	last uint64 // number of the last record that was handled

	users int    // connections; under the lock of origins
	used  uint64 // when it was let go, as a count
}

// origins remembers senders, so that what they send again is recognised.
type origins struct {
	mu     sync.Mutex
	byBoot map[string]*origin
	idle   int
	clock  uint64
}

func (s *origins) get(boot string) *origin {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byBoot[boot]
	if o == nil {
		if s.byBoot == nil {
			s.byBoot = map[string]*origin{}
		}
		// The id is part of a line, which need not be kept.
		o = &origin{boot: strings.Clone(boot)}
		s.byBoot[o.boot] = o
	} else if o.users == 0 {
		s.idle--
	}
	o.users++
	return o
}

// release lets go of an origin, which may be nil, and forgets the one that was
// let go the longest ago if there are too many.
func (s *origins) release(o *origin) {
	if o == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.users--; o.users > 0 {
		return
	}
	s.clock++
	o.used = s.clock
	if s.idle++; s.idle <= maxOrigins {
		return
	}
	var oldest *origin
	for _, o := range s.byBoot {
		if o.users == 0 && (oldest == nil || o.used < oldest.used) {
			oldest = o
		}
	}
	delete(s.byBoot, oldest.boot)
	s.idle--
}

package limit

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/slogworks/slogworks"
)

// sampler lets one of each so many pass. It picks the one at random, because
// one that always took the same place would see one half of a log in which two
// messages alternate.
type sampler struct {
	below slog.Leveler
	every int
	n     int // of the present row
	pick  int // which of the row passes
}

func (s *sampler) take() bool {
	if s.every <= 1 {
		return true
	}
	if s.n == 0 {
		s.pick = rand.IntN(s.every)
	}
	passes := s.n == s.pick
	s.n = (s.n + 1) % s.every
	return passes
}

// bucket is a token bucket that stores no tokens but the time at which it will
// be full again, which is exact in whole nanoseconds (the generic cell rate
// algorithm, ITU-T I.371).
type bucket struct {
	interval time.Duration // from one token to the next; 0: no limit
	burst    time.Duration // how long before it is full there still is a token
	full     time.Time
}

func newBucket(r slogworks.Rate) bucket {
	if r.N <= 0 || r.Per <= 0 {
		return bucket{}
	}
	interval := r.Per / time.Duration(r.N)
	return bucket{interval: interval, burst: interval * time.Duration(r.N-1)}
}

func (b *bucket) take() bool {
	if b.interval == 0 {
		return true
	}
	now := time.Now()
	if b.full.Before(now) {
		b.full = now
	}
	if b.full.Sub(now) > b.burst {
		return false
	}
	b.full = b.full.Add(b.interval)
	return true
}

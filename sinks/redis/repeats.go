package redis

import (
	"strings"

	"github.com/slogworks/slogworks/internal/wire"
)

// maxSenders is how many senders are remembered at least.
const maxSenders = 4096

// repeats remembers the number of the last record of each sender. A sender sends
// in the order of its numbers, and what it sends again it sends in the same
// order, so that whatever becomes of the first time, no number that is higher
// comes before one that is new.
type repeats struct{ recent, older map[sender]uint64 }

type sender struct{ place, boot string }

func (s *repeats) has(place string, o wire.Origin) bool {
	if o.Boot == "" || o.Seq == 0 {
		return false
	}
	// What cannot be told from a boot id by its length is not ours, and not kept.
	if len(o.Boot) > 64 {
		return false
	}
	key := sender{place, o.Boot}
	last, known := s.recent[key]
	if !known {
		last = s.older[key]
		if len(s.recent) >= maxSenders {
			s.recent, s.older = nil, s.recent
		}
		if s.recent == nil {
			s.recent = map[sender]uint64{}
		}
		// The id is part of a line, which need not be kept.
		key.boot = strings.Clone(key.boot)
	}
	s.recent[key] = max(last, o.Seq)
	return o.Seq <= last
}

package limit

import "github.com/slogworks/slogworks"

// Stats are counts since the handler was made. Every record that the next
// handler is enabled for is in one of the first five.
type Stats struct {
	Passed     uint64 // given to the next handler
	Suppressed uint64 // dropped, because so many of its kind had passed
	Sampled    uint64 // dropped by Sample
	OverRate   uint64 // dropped by Rate
	Closed     uint64 // refused after Shutdown

	Summaries uint64 // records written about what was dropped
	Evicted   uint64 // kinds forgotten before the end of their window; many: raise MaxKinds
	Kinds     int    // that are remembered
}

// Stats returns the counts, for all handlers that were derived from one.
func (h *Handler) Stats() Stats {
	c := h.core
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Kinds = len(c.kinds)
	return s
}

// Account gives the same counts as part of [slogworks.Books]. Summaries are not
// in it.
func (h *Handler) Account() slogworks.Account {
	s := h.Stats()
	return slogworks.Account{
		Stage:     "limit",
		Accepted:  s.Passed + s.Suppressed + s.Sampled + s.OverRate + s.Closed,
		Delivered: s.Passed,
		Dropped: map[string]uint64{
			"suppressed": s.Suppressed,
			"sampled":    s.Sampled,
			"rate":       s.OverRate,
			"closed":     s.Closed,
		},
	}
}

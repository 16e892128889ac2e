package notify

import "github.com/slogworks/slogworks"

// Stats are counts since the handler was made. Every record that came is in a
// message that was sent, or in Coalesced, Dropped or Pending.
type Stats struct {
	Records   uint64 // records that came
	Messages  uint64 // messages that were sent
	Failed    uint64 // messages that could not be sent
	Coalesced uint64 // records that messages which were sent told by number only
	Dropped   uint64 // records that nobody was told of: of messages that failed, after Shutdown, or given up by it
	Pending   uint64 // records that wait for the window to end or are being sent
}

// Stats returns the counts, for all handlers that were derived from one.
func (h *Handler) Stats() Stats {
	c := h.core
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{
		Messages:  c.sent,
		Failed:    c.failed,
		Coalesced: c.coalesced,
		Dropped:   c.lostToFailure + c.lostToClose + c.lostToTime,
		Pending:   uint64(c.pending.given + c.sending),
	}
	s.Records = c.told + s.Coalesced + s.Dropped + s.Pending
	return s
}

// Account gives the same counts as part of [slogworks.Books]. Delivered are the
// records that messages held; those that were told by number only are Dropped
// as "coalesced".
func (h *Handler) Account() slogworks.Account {
	c := h.core
	c.mu.Lock()
	defer c.mu.Unlock()
	a := slogworks.Account{
		Stage:     "notify",
		Delivered: c.told,
		Held:      uint64(c.pending.given + c.sending),
		Dropped: map[string]uint64{
			"coalesced": c.coalesced,
			"failed":    c.lostToFailure,
			"closed":    c.lostToClose,
			"abandoned": c.lostToTime,
		},
	}
	a.Accepted = a.Delivered + a.Held
	for _, n := range a.Dropped {
		a.Accepted += n
	}
	return a
}

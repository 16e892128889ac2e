package buffer

import (
	"time"

	"github.com/slogworks/slogworks"
)

// Stats are counts since the Handler was opened, except for what is held.
type Stats struct {
	Held    uint64 // records that wait, those left by earlier runs and those in a batch included
	Sent    uint64 // records that were delivered
	Dropped uint64 // records lost: for want of room, at or after Shutdown, given up, or no longer readable
	Corrupt uint64 // lines that could not be read, and files that were set aside
	Failed  uint64 // records that could not be stored, for which Handle returned the error
	Bytes   int64  // of the lines that wait and are in no batch yet
}

// Stats returns the counts, for all derived handlers together.
func (h *Handler) Stats() Stats {
	c := h.core
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.store.held()
	return Stats{
		Held:    c.held(),
		Sent:    c.sent,
		Dropped: uint64(l.dropped) + c.refused + c.rejected + c.unread + c.lost,
		Corrupt: uint64(l.corrupt),
		Failed:  c.failed,
		Bytes:   l.state(time.Time{}).Bytes,
	}
}

// held is how many records wait. The lock is held.
func (c *core) held() uint64 {
	n := 0
	if !c.over || c.Dir != "" {
		n = c.store.held().records()
	}
	for _, p := range c.store.batches() {
		n += p.waiting()
	}
	return uint64(n)
}

// Account gives the same counts as part of [slogworks.Books]. With a directory,
// what is still held after Shutdown counts as delivered, since it is on disk, and
// so does what another process took over. What was found in the spool counts as
// accepted.
func (h *Handler) Account() slogworks.Account {
	c := h.core
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.store.held()
	account := slogworks.Account{
		Stage:     "buffer",
		Accepted:  c.accepted + uint64(l.adopted),
		Delivered: c.sent + uint64(l.elsewhere),
		Held:      c.held(),
		Dropped: map[string]uint64{
			"overflow":  uint64(l.dropped),
			"closed":    c.refused,
			"failed":    c.failed,
			"rejected":  c.rejected,
			"corrupt":   c.unread,
			"abandoned": c.lost,
		},
	}
	if c.over && c.Dir != "" {
		account.Delivered += account.Held
		account.Held = 0
	}
	return account
}

package memory

// Waiters returns how many Wait calls are under way.
func (h *Handler) Waiters() int {
	h.core.mu.Lock()
	defer h.core.mu.Unlock()
	return len(h.core.waiters)
}

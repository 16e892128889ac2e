package fingerscrossed

import "reflect"

// Granted returns how much of TotalBytes the buffers have.
func Granted(h *Handler) int64 { return h.core.granted.Load() }

// InUse returns how many buffers Shutdown would have to end.
func InUse(h *Handler) int {
	all, _ := h.core.inUse()
	return len(all)
}

// PooledIsZero reports whether what waits to be used again holds on to nothing.
func PooledIsZero() bool {
	c := chunks.Get().(*chunk)
	c.sizes = [chunkSize]int32{}
	zero := reflect.ValueOf(*c).IsZero()
	chunks.Put(c)
	if v, ok := contextsPool.Get().(*contexts); ok {
		for _, ctx := range v.queue[:cap(v.queue)] {
			zero = zero && ctx == nil
		}
		zero = zero && v.owner.Load() == nil
		contextsPool.Put(v)
	}
	return zero
}

// OpenNow has h open what it would open for its first record.
func OpenNow(h *LazyHandler) { _, _ = h.core.target() }

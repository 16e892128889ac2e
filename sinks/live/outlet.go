package live

import (
	"context"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// outlet writes to a client, which has WriteTimeout to take what is written.
type outlet struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	isCut   atomic.Bool
}

func (h *Hub) newOutlet(w http.ResponseWriter) *outlet {
	return &outlet{w: w, control: http.NewResponseController(w), timeout: h.opts.WriteTimeout}
}

func (o *outlet) write(b []byte) error {
	// Not every ResponseWriter has deadlines; those of net/http do.
	_ = o.control.SetWriteDeadline(time.Now().Add(o.timeout))
	if o.isCut.Load() {
		return os.ErrDeadlineExceeded // the deadline that cut has set may be gone
	}
	_, err := o.w.Write(b)
	return err
}

// writeAll writes what may take a slow client longer than WriteTimeout.
func (o *outlet) writeAll(b []byte) error {
	for part := range slices.Chunk(b, chunk) {
		if err := o.write(part); err != nil {
			return err
		}
	}
	return nil
}

func (o *outlet) flush(b []byte) error {
	if err := o.writeAll(b); err != nil {
		return err
	}
	return o.control.Flush()
}

// chunk is how much is written to a client at once.
const chunk = 64 << 10

// cut makes a write return that waits for the client, and the next ones fail.
func (o *outlet) cut() {
	o.isCut.Store(true)
	_ = o.control.SetWriteDeadline(time.Unix(1, 0))
}

// streams are those that are open.
type streams struct {
	mu     sync.Mutex
	outlet map[*outlet]bool
	closed bool
	empty  chan struct{} // closed when the last one has ended after close
}

// add reports false if there are too many or the hub is closed.
func (s *streams) add(o *outlet, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.outlet) >= limit {
		return false
	}
	if s.outlet == nil {
		s.outlet = map[*outlet]bool{}
	}
	s.outlet[o] = true
	return true
}

func (s *streams) remove(o *outlet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.outlet, o)
	if s.closed && len(s.outlet) == 0 {
		close(s.empty)
	}
}

func (s *streams) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.outlet)
}

// wait admits no more streams and waits for the others. When ctx ends it cuts
// those that are left, and returns how many there were.
func (s *streams) wait(ctx context.Context) int {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		s.empty = make(chan struct{})
		if len(s.outlet) == 0 {
			close(s.empty)
		}
	}
	empty := s.empty
	s.mu.Unlock()
	select {
	case <-empty:
		return 0
	default:
	}
	select {
	case <-empty:
		return 0
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for o := range s.outlet {
		o.cut()
	}
	return len(s.outlet)
}

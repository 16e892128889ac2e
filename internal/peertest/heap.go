package peertest

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Heap knows how much memory the program had when the Heap was made, and the
// most that it has had since whenever it was measured: the spans of the heap that
// are in use, with what the collector has not come to. It is for one goroutine.
type Heap struct{ base, highest uint64 }

// NewHeap collects the garbage and measures.
func NewHeap() *Heap {
	runtime.GC()
	h := new(Heap)
	h.Measure()
	h.base = h.highest
	return h
}

// Measure takes what is in use now into account. It stops all goroutines for a
// moment.
func (h *Heap) Measure() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.highest = max(h.highest, m.HeapInuse)
}

// MeasureWhileBusy measures every millisecond until as many records are being
// handled as there are peers or, since they may not all come so far, until all is
// sent and for half a second nobody has got any further. The handler counts in
// handling, and keeps every record until MeasureWhileBusy has returned.
func (h *Heap) MeasureWhileBusy(t testing.TB, peers int64, handling *atomic.Int64, sending *sync.WaitGroup) {
	t.Helper()
	sent := make(chan struct{})
	go func() {
		sending.Wait()
		close(sent)
	}()
	before, since := int64(-1), time.Now()
	for before < peers && time.Since(since) < 500*time.Millisecond {
		n := handling.Load()
		select {
		case <-sent:
		default:
			since = time.Now()
		}
		if n != before {
			before, since = n, time.Now()
		}
		h.Measure()
		time.Sleep(time.Millisecond)
	}
	t.Logf("%d records were being handled", before)
}

// AtMost fails the test if the program has had over limit bytes more than when
// the Heap was made.
func (h *Heap) AtMost(t testing.TB, limit uint64) {
	t.Helper()
	grown := h.highest - h.base // the highest is never below the first
	if grown > limit {
		t.Errorf("the heap had %d MiB more than before, want at most %d", grown>>20, limit>>20)
	}
	t.Logf("the heap had %d MiB more than before", grown>>20)
}

// Flood dials for each peer, and has all of them write text at once. Each gives
// up after a second or when the receiver has had enough, which is no failure.
// The connections are closed at the end of the test.
func Flood(t testing.TB, peers int, dial func() net.Conn, text []byte) (sending *sync.WaitGroup) {
	t.Helper()
	sending = new(sync.WaitGroup)
	for range peers {
		conn := dial()
		t.Cleanup(func() { _ = conn.Close() })
		sending.Go(func() {
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = conn.Write(text)
		})
	}
	return sending
}

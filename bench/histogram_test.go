package bench_test

import (
	"math/bits"
	"testing"
	"time"
)

// histogram counts durations to within 1 %, in memory that does not depend on
// how many there are: those that share their 7 highest bits are one bucket.
type histogram [64 * 58]uint32

func (h *histogram) add(d time.Duration) {
	ns := uint64(max(0, d))
	shift := max(0, bits.Len64(ns)-7)
	h[64*shift+int(ns>>shift)]++
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other {
		h[i] += n
	}
}

// quantile returns the middle of the bucket that the quantile is in, in ns.
func (h *histogram) quantile(q float64) float64 {
	total := 0.0
	for _, n := range h {
		total += float64(n)
	}
	seen := 0.0
	for i, n := range h {
		seen += float64(n)
		if n > 0 && seen >= q*total {
			shift := max(0, i/64-1)
			return float64(i-64*shift)*float64(uint64(1)<<shift) + float64(uint64(1)<<shift-1)/2
		}
	}
	return 0
}

func TestHistogram_quantileIsWithinOnePerCent(t *testing.T) {
	var odd, even histogram
	const n = 100_000
	for i := 1; i <= n; i++ {
		h := &odd
		if i%2 == 0 {
			h = &even
		}
		h.add(time.Duration(i) * 37)
	}
	odd.merge(&even)
	for _, q := range []float64{0.00001, 0.5, 0.99, 0.999, 1} {
		got, want := odd.quantile(q), q*n*37
		if got < 0.99*want || got > 1.01*want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

func TestHistogram_hasABucketForEachDuration(t *testing.T) {
	for _, d := range []time.Duration{-5, 0, 1, 127, 128, 129, time.Microsecond, time.Hour, 1<<63 - 1} {
		var h histogram
		h.add(d)
		want := float64(max(0, d))
		if got := h.quantile(1); got < 0.99*want || got > 1.01*want {
			t.Errorf("%d comes back as %v", d, got)
		}
	}
}

package queue_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/slogworks/slogworks/queue"
)

func TestFIFO_keepsOrderOverSegments(t *testing.T) {
	const n = 3*queue.SegmentSize + 1
	for _, take := range []int{1, 2, 63, 64, 65, 500} {
		t.Run(fmt.Sprintf("taking %d at once", take), func(t *testing.T) {
			var f queue.FIFO
			for i := range n {
				f.Push(i, 1)
			}
			for next := 0; next < n; {
				got := f.Peek(take)
				if len(got) == 0 || len(got) > take {
					t.Fatalf("Peek(%d) = %d slots with %d in the queue", take, len(got), f.Len())
				}
				for _, number := range got {
					if number != next {
						t.Fatalf("slot %d holds %d", next, number)
					}
					next++
				}
				f.Pop(len(got))
			}
			if f.Len() != 0 {
				t.Errorf("%d left", f.Len())
			}
		})
	}
}

func TestFIFO_slotTakes320Bytes(t *testing.T) {
	if got := queue.SlotSize; strconv.IntSize == 64 && got != 320 {
		t.Errorf("a slot takes %d bytes", got)
	}
}

func TestFIFO_memoryFollowsWhatItHolds(t *testing.T) {
	var f queue.FIFO
	if n := f.Segments(); n != 0 {
		t.Errorf("a new fifo has %d segments", n)
	}
	for i := range 10_000 {
		f.Push(i, 1)
		if i >= 100 {
			f.Pop(1)
		}
	}
	if n := f.Segments(); n > 4 {
		t.Errorf("%d segments for 100 slots", n)
	}
	for f.Len() > 0 {
		f.Pop(1)
	}
	f.Shrink()
	if n := f.Segments(); n != 1 {
		t.Errorf("%d segments when empty, want 1", n)
	}
	for i := range 1000 {
		f.Push(i, 1)
	}
	f.Shrink()
	if f.Len() != 1000 {
		t.Errorf("Shrink of a fifo that is not empty left %d of 1000", f.Len())
	}
}

func TestFIFO_allocatesNothingOnceItIsWarm(t *testing.T) {
	var f queue.FIFO
	for i := range 100 {
		f.Push(i, 1)
	}
	if n := testing.AllocsPerRun(100, func() {
		for i := range queue.SegmentSize {
			f.Push(i, 1)
			f.Pop(1)
		}
	}); n > 0 {
		t.Errorf("%v allocations per segment", n)
	}
}

// FuzzFIFO compares with a slice. Each byte is an operation: two bits say
// which, the rest how many.
func FuzzFIFO(f *testing.F) {
	f.Add([]byte{0xfc, 0xfc, 0xfd, 0xfd, 0x07, 0x04})
	f.Add([]byte{0xfc, 0xfc, 0xfc, 0x81, 0x47, 0xfc, 0xfd})
	f.Add([]byte{0x04, 0x05, 0x04, 0x05, 0x06, 0x05, 0xff})
	f.Add([]byte{0xfc, 0x04, 0xfd, 0x05, 0xfc, 0xfd, 0xfd, 0x02, 0xfd, 0x03})
	f.Fuzz(func(t *testing.T, ops []byte) {
		type entry struct{ number, size int }
		var (
			fifo  queue.FIFO
			model []entry
			next  int
		)
		for _, op := range ops[:min(len(ops), 200)] {
			n := int(op >> 2)
			switch op & 3 {
			case 0:
				for range n + 1 {
					next++
					fifo.Push(next, 1)
					model = append(model, entry{next, 1})
				}
			case 1:
				if len(model) == 0 {
					continue
				}
				got := fifo.Peek(n + 1)
				if len(got) == 0 {
					t.Fatalf("Peek found nothing in %d", len(model))
				}
				for i, number := range got {
					if number != model[i].number {
						t.Fatalf("slot %d holds %d, want %d", i, number, model[i].number)
					}
				}
				fifo.Pop(len(got))
				model = model[len(got):]
			case 2:
				next++
				fifo.Push(next, n+2)
				model = append(model, entry{next, n + 2})
			case 3:
				// As in a queue: keep what stands side by side at the head,
				// a part of it claimed.
				keep := 0
				if len(model) > 0 {
					keep = len(fifo.Peek(n))
				}
				claimed := keep / 2
				want := 0
				for _, e := range model[claimed:] {
					want += e.size
				}
				got, counts := fifo.Abandon(claimed, keep)
				if got != want || counts.Total() != uint64(want) {
					t.Fatalf("Abandon(%d, %d) of %d = %d, counted %+v, want %d", claimed, keep, len(model), got, counts, want)
				}
				model = slices.Clip(model[:keep])
			}
			if fifo.Len() != len(model) {
				t.Fatalf("%d slots, want %d", fifo.Len(), len(model))
			}
		}
		if !fifo.Zero() {
			t.Fatal("a slot that is free holds on to something")
		}
	})
}

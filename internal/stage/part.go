package stage

import "github.com/slogworks/slogworks"

// Part is what one handler gets of a batch.
type Part struct {
	slogworks.Batch
	from []int // where the items stood in the batch; nil if it is the whole batch
}

// Pick adds an item, which stood at i in the batch, to a part that is not the
// whole batch. Items are picked in their order.
func (p *Part) Pick(i int, item slogworks.Item) {
	p.Items = append(p.Items, item)
	p.from = append(p.from, i)
}

// Filter returns the items of b that keep accepts, still one batch; keep sees
// each item once, in order. An Escalation that loses its last record has lost
// what it escalates, and goes on as a Stream. If every item is kept, b.Items is
// not copied.
func Filter(b slogworks.Batch, keep func(i int, item slogworks.Item) bool) Part {
	var (
		items           []slogworks.Item
		from            []int
		whole, lastKept = true, true
	)
	for i, item := range b.Items {
		lastKept = keep(i, item)
		switch {
		case lastKept && !whole:
			items = append(items, item)
			from = append(from, i)
		case !lastKept && whole:
			whole = false
			items = b.Items[:i:i] // so that append copies
			for before := range i {
				from = append(from, before)
			}
		}
	}
	if whole {
		return Part{Batch: b}
	}
	b.Items = items
	if b.Kind == slogworks.Escalation && !lastKept {
		b.Kind = slogworks.Stream
	}
	return Part{b, from}
}

// Origin returns where item n stood in the batch.
func (p Part) Origin(n int) int {
	if p.from == nil {
		return n
	}
	return p.from[n]
}

// InWhole is err, which came of the part, as the error of the batch, which has
// the given number of items: a DeliveryError counts the items of the batch.
func (p Part) InWhole(err error, items int) error {
	delivery, ok := err.(*slogworks.DeliveryError)
	if !ok || delivery == nil {
		return err
	}
	n := items
	if a := Accepted(err, len(p.Items)); a < len(p.Items) {
		n = p.Origin(a)
	}
	if n == delivery.Accepted {
		return err
	}
	whole := *delivery
	whole.Accepted = n
	return &whole
}

// Accepted returns how many of n items were delivered, counted from the first,
// where HandleBatch returned err.
func Accepted(err error, n int) int {
	if err == nil {
		return n
	}
	return min(max(DeliveryOf(err).Accepted, 0), n)
}

// DeliveryOf returns err as a DeliveryError: what any other error means.
func DeliveryOf(err error) *slogworks.DeliveryError {
	if delivery, ok := err.(*slogworks.DeliveryError); ok && delivery != nil {
		return delivery
	}
	return &slogworks.DeliveryError{Err: err}
}

// Final is err, which the last attempt met, without when the next one is due.
func Final(err error) error {
	delivery, ok := err.(*slogworks.DeliveryError)
	if !ok || delivery == nil || delivery.After == 0 {
		return err
	}
	last := *delivery
	last.After = 0
	return &last
}

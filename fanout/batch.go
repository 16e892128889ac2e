package fanout

import "github.com/slogworks/slogworks"

// part is what one handler gets of a batch.
type part struct {
	slogworks.Batch
	from []int // where the items stood in the batch; nil if it is the whole batch
}

// filter returns the items of b that keep accepts, still one batch; keep sees
// each item once, in order. An Escalation that loses its last record has lost
// what it escalates, and goes on as a Stream. If every item is kept, b.Items is
// not copied.
func filter(b slogworks.Batch, keep func(i int, item slogworks.Item) bool) part {
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
		return part{Batch: b}
	}
	b.Items = items
	if b.Kind == slogworks.Escalation && !lastKept {
		b.Kind = slogworks.Stream
	}
	return part{b, from}
}

// origin returns where item n stood in the batch.
func (p part) origin(n int) int {
	if p.from == nil {
		return n
	}
	return p.from[n]
}

// inWhole is err, which came of the part, as the error of the batch, which has
// the given number of items: a DeliveryError counts the items of the batch.
func (p part) inWhole(err error, items int) error {
	delivery, ok := err.(*slogworks.DeliveryError)
	if !ok || delivery == nil {
		return err
	}
	n := items
	if a := accepted(err, len(p.Items)); a < len(p.Items) {
		n = p.origin(a)
	}
	if n == delivery.Accepted {
		return err
	}
	whole := *delivery
	whole.Accepted = n
	return &whole
}

// accepted returns how many of n items were delivered, counted from the first,
// where HandleBatch returned err.
func accepted(err error, n int) int {
	if err == nil {
		return n
	}
	return min(max(deliveryOf(err).Accepted, 0), n)
}

// deliveryOf returns err as a DeliveryError: what any other error means.
func deliveryOf(err error) *slogworks.DeliveryError {
	if delivery, ok := err.(*slogworks.DeliveryError); ok && delivery != nil {
		return delivery
	}
	return &slogworks.DeliveryError{Err: err}
}

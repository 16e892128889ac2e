package notify

import (
	"cmp"
	"crypto/rand"
	"log/slog"
	"slices"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
)

// draft is a message that still collects records. The zero draft is empty.
type draft struct {
	max     int // how many records it may hold
	records []slog.Record
	given   int        // records that it was given
	lost    int        // records that belonged to a batch and were lost before
	floor   slog.Level // the lowest level of records, if it is full
	// escalation says that all it has is one escalation, of which the last
	// record is the significant one.
	escalation bool
}

// wants reports whether a record of that level would be held rather than
// counted.
func (d *draft) wants(level slog.Level) bool { return len(d.records) < d.max || level > d.floor }

// count notes a record, held or not.
func (d *draft) count() {
	d.given++
	d.escalation = false
}

// take adds a record of a batch, of which it copies only what it holds.
func (d *draft) take(with *chain.Node, r slog.Record) {
	if d.wants(r.Level) {
		d.add(with.Flatten(r).Clone())
	} else {
		d.count()
	}
}

// add adds a record, which must be frozen and flat.
func (d *draft) add(r slog.Record) {
	wanted := d.wants(r.Level)
	d.count()
	if !wanted {
		return
	}
	if len(d.records) == d.max {
		for i, kept := range slices.Backward(d.records) {
			if kept.Level == d.floor {
				d.records = slices.Delete(d.records, i, i+1)
				break
			}
		}
	}
	d.records = append(d.records, r)
	if len(d.records) == d.max {
		d.floor = slices.MinFunc(d.records, byLevel).Level
	}
}

func byLevel(a, b slog.Record) int { return cmp.Compare(a.Level, b.Level) }

// takeBatch adds the records of an Escalation or a Digest.
func (d *draft) takeBatch(with *chain.Node, b slogworks.Batch) {
	alone := d.given == 0 && b.Kind == slogworks.Escalation
	for i, item := range b.Items {
		if alone && i < len(b.Items)-d.max {
			d.count() // what led up to the end is worth more than how it began
		} else {
			d.take(with, item.Record)
		}
	}
	d.lost += b.Dropped
	d.escalation = alone
}

// message returns what was collected, without title and body.
func (d *draft) message() *Message {
	m := &Message{
		ID:      rand.Text(),
		Count:   d.given + d.lost,
		Dropped: d.given + d.lost - len(d.records),
		Records: d.records,
	}
	if d.escalation {
		m.significant = len(d.records) - 1
	} else {
		worst := slices.MaxFunc(d.records, byLevel).Level
		m.significant = slices.IndexFunc(d.records, func(r slog.Record) bool { return r.Level == worst })
	}
	m.Time, m.Level = m.record().Time, m.record().Level
	return m
}

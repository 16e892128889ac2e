package slogworks

import (
	"context"
	"fmt"
	"log/slog"
)

// Item is a record that was kept past Handle, with what it needs to be handled
// later. The record is frozen, so that its values cannot change, and flattened,
// so that it holds the attributes and groups of the logger that made it: it is
// handled by a handler that was not derived. Context carries the values of the
// context it was logged with, and neither its deadline nor its cancellation; it
// is never nil.
type Item struct {
	Context context.Context
	Record  slog.Record
}

// Kind says what belongs together in a [Batch].
type Kind int

const (
	// Stream batches exist for transport only: no record stands out, and a
	// sink handles each as if it had come alone.
	Stream Kind = iota
	// Escalation batches tell what led up to their last record.
	Escalation
	// Digest batches collect records that are all worth telling.
	Digest
)

// String returns "stream", "escalation" or "digest".
func (k Kind) String() string {
	switch k {
	case Stream:
		return "stream"
	case Escalation:
		return "escalation"
	case Digest:
		return "digest"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Batch is several records that are handed on in one call. An Escalation or a
// Digest is one thing: one mail, one notification.
type Batch struct {
	// ID is the same each time that the same batch is tried again, so that a
	// receiver can recognise what it already has. It is empty if nobody will
	// try the batch again.
	ID string

	Kind Kind

	// Items are in the order logged. The slice is the caller's: it is not to be
	// changed and not to be kept when HandleBatch has returned. The records may
	// be kept.
	Items []Item

	// Dropped counts the records that belonged here and were lost before.
	Dropped int

	// Attempt counts from 1 for batches that are tried again, else it is 0.
	Attempt int

	// Done names the recipients that already have the batch from an earlier
	// attempt, as the sink that has recipients reported them in a DeliveryError.
	Done []string
}

// BatchHandler is a handler that takes batches as well as single records.
//
// HandleBatch returns nil if the whole batch is delivered, or accepted for good
// by a queue or a disk. If it returns a [*DeliveryError], the first Accepted
// items are delivered; any other error leaves open which are, so that only who
// would rather deliver twice than not at all tries again. The items hold
// everything that With added upstream, so HandleBatch is called on a handler as
// it was built, not on one derived from it. A stage splits no batch and merges
// no two.
type BatchHandler interface {
	slog.Handler
	HandleBatch(ctx context.Context, b Batch) error
}

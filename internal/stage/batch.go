package stage

import (
	"context"
	"log/slog"

	"github.com/slogworks/slogworks"
)

// HandleBatch hands b to h as one batch if h takes batches. Otherwise it hands
// h the records that h is enabled for, one by one up to the first that fails;
// then the error is a [*slogworks.DeliveryError] whose Accepted counts the items
// before that one, and [FailedAlone] says whether that one is worth another
// attempt. A panic comes back as an error.
func HandleBatch(ctx context.Context, h slog.Handler, b slogworks.Batch) error {
	if batches, ok := h.(slogworks.BatchHandler); ok {
		return handleWhole(ctx, batches, b)
	}
	for i, item := range b.Items {
		if err := Offer(item.Context, h, item.Record.Clone()); Accepted(err, 1) == 0 {
			return after(i, err)
		}
	}
	return nil
}

func handleWhole(ctx context.Context, h slogworks.BatchHandler, b slogworks.Batch) (err error) {
	defer Rescue(&err)
	return h.HandleBatch(ctx, b)
}

// after is err, which a single record met, as the error of a batch of which n
// records came before it.
func after(n int, err error) error {
	d, ok := err.(*slogworks.DeliveryError)
	if !ok || d == nil {
		return &slogworks.DeliveryError{Accepted: n, Err: &Alone{err}}
	}
	whole := *d
	whole.Accepted = n
	if d.Permanent {
		whole.Err = &Alone{err}
	}
	return &whole
}

// Alone is the Err of a [*slogworks.DeliveryError] of HandleBatch where a
// handler of single records failed at one of them and does not ask for another
// attempt: it panicked, or returned an error that is Permanent or no
// DeliveryError. Of the items that says more than the DeliveryError can: the
// first that is not accepted has failed, as it would have failed alone, and
// those behind it were not offered.
type Alone struct{ Err error }

func (a *Alone) Error() string {
	if d, ok := a.Err.(*slogworks.DeliveryError); ok && d != nil {
		// The DeliveryError around says the rest.
		return (&slogworks.DeliveryError{Err: d.Err}).Error()
	}
	return a.Err.Error()
}

// Unwrap returns what the handler returned.
func (a *Alone) Unwrap() error { return a.Err }

// FailedAlone reports whether err, which HandleBatch returned, is about one
// record, and returns what the handler of that record returned. It does not look
// into what err wraps, which would be about other items.
func FailedAlone(err error) (cause error, ok bool) {
	delivery, _ := err.(*slogworks.DeliveryError)
	if delivery == nil {
		return nil, false
	}
	alone, _ := delivery.Err.(*Alone)
	if alone == nil {
		return nil, false
	}
	return alone.Err, true
}

// HandleAll is HandleBatch for callers that do not try again: behind a record
// that failed alone it goes on with the rest. It calls failed with each error
// and with which items that cost, from first up to but not including end.
func HandleAll(ctx context.Context, h slog.Handler, b slogworks.Batch, failed func(err error, first, end int)) {
	for done := 0; len(b.Items) > 0; {
		err := HandleBatch(ctx, h, b)
		if err == nil {
			return
		}
		first, end := Accepted(err, len(b.Items)), len(b.Items)
		if cause, alone := FailedAlone(err); alone {
			err, end = cause, min(first+1, end)
		}
		failed(err, done+first, done+end)
		done, b.Items = done+end, b.Items[end:]
	}
}

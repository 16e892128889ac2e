package levels

import (
	"context"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// HandleBatch passes on, as one batch, the items that are of the level of their
// logger or above; an Escalation that loses its last item goes on as a Stream.
// It returns what the next handler returns, a [*slogworks.DeliveryError] with
// Accepted counting the items of b.
func (h *Handler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	part := stage.Filter(b, func(_ int, item slogworks.Item) bool {
		r := item.Record
		return r.Level >= h.levelOf(&r) && h.next.Enabled(item.Context, r.Level)
	})
	if len(part.Items) == 0 {
		return nil
	}
	return part.InWhole(stage.HandleBatch(ctx, h.next, part.Batch), len(b.Items))
}

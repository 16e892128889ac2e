package slogctx

import (
	"context"
	"errors"
	"slices"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/chain"
	"github.com/slogworks/slogworks/internal/stage"
)

// HandleBatch passes b on as one batch, each item with what its own Context
// carries, as if it had come alone. The attributes stand before those of the
// item, outside all groups even with Options.InGroup: items no longer show
// which group was open. It returns what next returns.
func (h *Handler) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	shared := true
	for i, item := range b.Items {
		whole, changed := h.injectItem(item)
		if !changed {
			continue
		}
		if shared {
			b.Items = slices.Clone(b.Items)
			shared = false
		}
		b.Items[i] = whole
	}
	return stage.HandleBatch(ctx, h.next, b)
}

// injectItem returns the item with what its Context carries, and whether that is
// anything. It freezes what comes in and leaves alone what is frozen.
func (h *Handler) injectItem(item slogworks.Item) (whole slogworks.Item, changed bool) {
	item.Context = known(item.Context)
	c := scopeOf(item.Context)
	if c == nil {
		c = nothing
	}
	if len(c.processors) > 0 {
		item.Context, item.Record = c.process(item.Context, item.Record)
		item.Record = chain.FreezeRecord(item.Record)
		changed = true
	}
	carried := *c.attrs
	if h.addExtracted(&carried, item.Context); carried.NumAttrs() > 0 {
		carried = chain.FreezeRecord(carried)
		join(&carried, &item.Record, nil)
		item.Record = carried
		changed = true
	}
	return item, changed
}

// HandleBatch passes on to each handler, as one batch, the items that it would
// have got had they come alone, each by what its own Context carries. An
// Escalation without its last item has lost what it escalates and goes on as a
// Stream. If all goes to one handler, its error is returned as it is, except
// that a [*slogworks.DeliveryError] counts the items of b; the errors of several
// are joined.
func (s *Stack) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	var parts []*part
	for i, item := range b.Items {
		item.Context = known(item.Context)
		v := visit{stack: s, ctx: item.Context, scope: scopeOf(item.Context), level: item.Record.Level}
		v.gather = func(d destination) {
			if v.processed {
				item.Context, item.Record = v.ctx, chain.FreezeRecord(item.Record)
			}
			parts = assign(parts, d, i, item)
		}
		v.walk(&item.Record)
	}
	if len(parts) == 1 {
		p := parts[0]
		return p.InWhole(stage.HandleBatch(ctx, p.to.handler, p.batch(b)), len(b.Items))
	}
	var errs []error
	for _, p := range parts {
		// Nobody can try again what one of several did not take.
		stage.HandleAll(ctx, p.to.handler, p.batch(b), func(err error, _, _ int) { errs = append(errs, err) })
	}
	return errors.Join(errs...)
}

// part is what one handler gets of a batch.
type part struct {
	to destination
	stage.Part
}

func assign(parts []*part, to destination, i int, item slogworks.Item) []*part {
	at := slices.IndexFunc(parts, func(p *part) bool { return p.to.binding == to.binding })
	if at < 0 {
		at = len(parts)
		parts = append(parts, &part{to: to})
	}
	parts[at].Pick(i, item)
	return parts
}

// batch returns what of b is the handler's.
func (p *part) batch(b slogworks.Batch) slogworks.Batch {
	if last := len(b.Items) - 1; b.Kind == slogworks.Escalation && p.Origin(len(p.Items)-1) != last {
		b.Kind = slogworks.Stream
	}
	b.Items = p.Items
	return b
}

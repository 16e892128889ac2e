package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slogworks/slogworks"
)

// Advance is position.advance, with IDs as text.
func Advance(last string, index int64, entries []goredis.XMessage, limit int64, info *goredis.XInfoStream) (newLast string, newIndex int64, reason string, missed int64) {
	p := position{idOf(last), index}
	l := p.advance(entries, limit, info)
	return p.last.String(), p.index, l.reason, l.missed
}

// Claimed reads an answer to XAUTOCLAIM.
var Claimed = claimed

// BootOf returns the id in the records of the handler.
func BootOf(h *Handler) string { return h.core.boot }

// Settle hands a batch to the handler of r as Consume does.
func Settle(ctx context.Context, r *Reader, b slogworks.Batch) (settled int, err error) {
	c := &consumer{feed: &feed{Reader: r}}
	return c.handle(ctx, b)
}

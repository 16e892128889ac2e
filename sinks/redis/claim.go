package redis

import (
	"context"
	"errors"

	goredis "github.com/redis/go-redis/v9"
)

// claim takes over and hands on what others were given too long ago.
func (c *consumer) claim(ctx context.Context) error {
	for from := "0-0"; ; {
		var entries []goredis.XMessage
		var deleted int
		err := c.do(ctx, func(ctx context.Context) error {
			// The client's own command does not say how many were deleted.
			reply, err := c.link.client.Do(ctx, "xautoclaim", c.group.Stream, c.group.Name, c.group.Consumer,
				c.group.ClaimAfter.Milliseconds(), from, "count", c.maxBatch).Slice()
			if err != nil {
				return err
			}
			from, entries, deleted, err = claimed(reply)
			return err
		})
		if err != nil {
			return err
		}
		if deleted > 0 {
			c.tell(ctx, loss{"trimmed", int64(deleted)})
		}
		c.claimed.Add(uint64(len(entries)))
		if err := c.settle(ctx, entries); err != nil {
			return err
		}
		if from == "0-0" || ctx.Err() != nil {
			return nil
		}
	}
}

// claimed reads the answer to XAUTOCLAIM: where to go on, the entries as pairs of
// an ID and a list of fields, and since Redis 7 the IDs of those that are gone.
func claimed(reply []any) (from string, entries []goredis.XMessage, deleted int, err error) {
	unexpected := errors.New("an answer to XAUTOCLAIM that cannot be read")
	if len(reply) < 2 {
		return "", nil, 0, unexpected
	}
	from, ok := reply[0].(string)
	list, ok2 := reply[1].([]any)
	if !ok || !ok2 {
		return "", nil, 0, unexpected
	}
	for _, one := range list {
		if one == nil { // before Redis 7, one that is gone
			deleted++
			continue
		}
		pair, _ := one.([]any)
		if len(pair) != 2 {
			return "", nil, 0, unexpected
		}
		id, ok := pair[0].(string)
		fields, ok2 := pair[1].([]any)
		if !ok || !ok2 {
			return "", nil, 0, unexpected
		}
		values := make(map[string]any, len(fields)/2)
		for i := 0; i+1 < len(fields); i += 2 {
			if name, ok := fields[i].(string); ok {
				values[name] = fields[i+1]
			}
		}
		entries = append(entries, goredis.XMessage{ID: id, Values: values})
	}
	if len(reply) > 2 {
		gone, _ := reply[2].([]any)
		deleted += len(gone)
	}
	return from, entries, deleted, nil
}

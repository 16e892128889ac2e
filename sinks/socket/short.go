package socket

import "github.com/slogworks/slogworks/internal/intake"

// decodeShort is decode for a frame that makes a record of which many connections
// may each have one at once. It reports any other as large, and returns nothing
// of it: one that is long, or has many values, or whose values repeat, or into
// whose message much was put.
func decodeShort(frame []byte) (d decoded, refusal *Refusal, isLarge bool) {
	if len(frame) > 0 && frame[0] == '{' {
		var err error
		if d.Record, isLarge, err = intake.ReadShortJSON(frame); err != nil {
			refusal = refuse(badJSON, "%v", err)
		}
		return d, refusal, isLarge
	}
	if len(frame) > intake.FreeBuffer {
		return d, nil, true
	}
	d, refusal = decodePickleWithin(frame, intake.FreeBuffer, intake.ShortValues)
	if refusal != nil && refusal.Reason == recordTooLong {
		return decoded{}, nil, true
	}
	return d, refusal, false
}

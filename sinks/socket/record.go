package socket

import "github.com/slogworks/slogworks/internal/intake"

// decoded is what a frame held.
type decoded struct {
	intake.Record
	objects uint64 // values that are marked as refused
}

func (r *Receiver) decode(frame []byte) (d decoded, refusal *Refusal) {
	if len(frame) > 0 && frame[0] == '{' {
		return decodeJSON(frame)
	}
	return decodePickle(frame, r.server.Limits.MaxFrame)
}

func decodeJSON(frame []byte) (d decoded, refusal *Refusal) {
	var err error
	if d.Record, err = intake.ReadJSON(frame); err != nil {
		return d, refuse(badJSON, "%v", err)
	}
	return d, nil
}

package socket

import (
	"io"
	"log/slog"
	"time"

	"github.com/slogworks/slogworks/internal/intake"
)

// DecodePickle returns the record of a pickle as the handler of a Receiver gets
// it, and how many of its values are marked as refused.
func DecodePickle(frame []byte, maxBytes int) (slog.Record, uint64, *Refusal) {
	d, refusal := decodePickle(frame, maxBytes)
	if refusal != nil {
		return slog.Record{}, 0, refusal
	}
	return d.From("192.0.2.1:7"), d.objects, nil
}

// DecodeShort is DecodePickle as it is for a short frame, of which many
// connections may have one at once. It reports false if it is none of those.
func DecodeShort(frame []byte) (slog.Record, *Refusal, bool) {
	d, refusal, isLarge := decodeShort(frame)
	if refusal != nil || isLarge {
		return slog.Record{}, refusal, !isLarge
	}
	return d.From("192.0.2.1:7"), nil, true
}

// Datagram has r handle a datagram.
func (r *Receiver) Datagram(datagram []byte) {
	r.init()
	r.receive(datagram, "192.0.2.1:7")
}

// ReadFrames returns the frames of a stream that comes in pieces of n bytes, and
// how it ends.
func ReadFrames(stream []byte, n, maxBytes int) (all []string, err error) {
	b := intake.NewBudget(1<<30, 0)
	f := frames{Stream: &intake.Stream{Source: &pieces{stream, n}, Budget: b, Unit: "frame", Timeout: time.Second}, max: maxBytes}
	for {
		frame, err := f.next()
		if refusal := refusalOf(err); refusal != nil {
			err = refusal
		}
		if err != nil {
			f.Free()
			// One share may go beyond the budget, a second only has what is left.
			for _, size := range []int{1 << 30, 1} {
				if b.Take(new(intake.Share), size, 0, nil) != nil {
					panic("the budget is not given back")
				}
			}
			return all, err
		}
		all = append(all, string(frame))
	}
}

type pieces struct {
	rest []byte
	n    int
}

func (p *pieces) IsDone() bool { return false }

func (p *pieces) Read(b []byte, _ time.Time, _ bool) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(p.n, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}

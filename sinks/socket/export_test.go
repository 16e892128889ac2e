package socket

import (
	"io"
	"log/slog"
	"time"
)

// DecodePickle returns the record of a pickle as the handler of a Receiver gets
// it, and how many of its values are marked as refused.
func DecodePickle(frame []byte, maxBytes int) (slog.Record, uint64, *Refusal) {
	d, refusal := decodePickle(frame, maxBytes)
	if refusal != nil {
		return slog.Record{}, 0, refusal
	}
	return d.recordFrom("192.0.2.1:7"), d.objects, nil
}

// ReadFrames returns the frames of a stream that comes in pieces of n bytes, and
// how it ends.
func ReadFrames(stream []byte, n, maxBytes int) (all []string, err error) {
	f := frames{conn: &pieces{stream, n}, max: maxBytes, budget: newBudget(1 << 30), wait: time.Second}
	for {
		frame, err := f.next()
		if err != nil {
			f.free()
			if f.budget.left != 1<<30 {
				panic("the budget is not given back")
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

func (p *pieces) read(b []byte, _ bool) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest[:min(p.n, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}

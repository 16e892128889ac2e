package httpsink

import (
	"bytes"
	"compress/gzip"
	"io"
	"sync"
	"sync/atomic"
)

// payload is the body of a request. The transport may read it, and close it,
// after the answer has come, so that it is used again only when everybody who
// has a reader is done with it.
type payload struct {
	bytes []byte
	users atomic.Int32
}

var payloads = sync.Pool{New: func() any { return new(payload) }}

// newPayload makes a body of the lines from first up to before end. It belongs
// to the caller until release.
func (c *core) newPayload(e *encoder, first, end int) *payload {
	p := payloads.Get().(*payload)
	p.bytes = p.bytes[:0]
	p.users.Store(1)
	if !c.Gzip {
		c.write(p, e, first, end)
		return p
	}
	z := compressors.Get().(*gzip.Writer)
	z.Reset(p)
	c.write(z, e, first, end)
	_ = z.Close() // writing to memory does not fail
	compressors.Put(z)
	return p
}

var compressors = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // only for a level that does not exist
	}
	return z
}}

func (c *core) write(w io.Writer, e *encoder, first, end int) {
	if c.Format != Array {
		_, _ = w.Write(e.lines[e.begin(first):e.ends[end-1]])
		return
	}
	before := []byte{'['}
	for i := first; i < end; i++ {
		_, _ = w.Write(before)
		_, _ = w.Write(e.lines[e.begin(i) : e.ends[i]-1])
		before[0] = ','
	}
	before[0] = ']'
	_, _ = w.Write(before)
}

// Write appends to the body.
func (p *payload) Write(b []byte) (int, error) {
	p.bytes = append(p.bytes, b...)
	return len(b), nil
}

func (p *payload) release() {
	if p.users.Add(-1) == 0 && cap(p.bytes) <= maxKept {
		payloads.Put(p)
	}
}

func (p *payload) reader() io.ReadCloser {
	p.users.Add(1)
	r := &reader{payload: p}
	r.rest.Reset(p.bytes)
	return r
}

// reader reads a payload once. The transport may close it while it reads it.
type reader struct {
	mu      sync.Mutex
	rest    bytes.Reader // not embedded: it has WriteTo, which knows no lock
	payload *payload     // nil when closed
}

func (r *reader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.payload == nil {
		return 0, io.ErrClosedPipe
	}
	return r.rest.Read(b)
}

func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.payload != nil {
		r.payload.release()
		r.payload = nil
	}
	return nil
}

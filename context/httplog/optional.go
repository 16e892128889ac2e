package httplog

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// The optional interfaces of a writer. Each is for those whose server's writer
// has it.
type (
	flusher    struct{ x *exchange }
	hijacker   struct{ x *exchange }
	readerFrom struct{ x *exchange }
	pusher     struct{ x *exchange }
)

func (f flusher) Flush() { _ = f.x.FlushError() }

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.x.hijack() }

func (p pusher) Push(target string, opts *http.PushOptions) error {
	return p.x.ResponseWriter.(http.Pusher).Push(target, opts)
}

// ReadFrom lets the server use sendfile. If src panics, nobody knows whether
// the header was written, and it is taken for that.
func (r readerFrom) ReadFrom(src io.Reader) (int64, error) {
	x := r.x
	before := x.status
	x.wrote(http.StatusOK)
	n, err := x.ResponseWriter.(io.ReaderFrom).ReadFrom(src)
	if n == 0 {
		x.status = before
	}
	x.count(n)
	return n, err
}

// writer returns the exchange as a writer that has the optional interfaces of
// the server's.
func (x *exchange) writer() http.ResponseWriter {
	const (
		flushes = 1 << iota
		hijacks
		reads
		pushes
	)
	can := 0
	if _, ok := x.ResponseWriter.(http.Flusher); ok {
		can |= flushes
	}
	if _, ok := x.ResponseWriter.(http.Hijacker); ok {
		can |= hijacks
	}
	if _, ok := x.ResponseWriter.(io.ReaderFrom); ok {
		can |= reads
	}
	if _, ok := x.ResponseWriter.(http.Pusher); ok {
		can |= pushes
	}
	f, h, r, p := flusher{x}, hijacker{x}, readerFrom{x}, pusher{x}
	// Nothing shorter makes types of which each has exactly what it should.
	switch can {
	case flushes:
		return struct {
			*exchange
			flusher
		}{x, f}
	case hijacks:
		return struct {
			*exchange
			hijacker
		}{x, h}
	case flushes | hijacks:
		return struct {
			*exchange
			flusher
			hijacker
		}{x, f, h}
	case reads:
		return struct {
			*exchange
			readerFrom
		}{x, r}
	case flushes | reads:
		return struct {
			*exchange
			flusher
			readerFrom
		}{x, f, r}
	case hijacks | reads:
		return struct {
			*exchange
			hijacker
			readerFrom
		}{x, h, r}
	case flushes | hijacks | reads:
		return struct {
			*exchange
			flusher
			hijacker
			readerFrom
		}{x, f, h, r}
	case pushes:
		return struct {
			*exchange
			pusher
		}{x, p}
	case flushes | pushes:
		return struct {
			*exchange
			flusher
			pusher
		}{x, f, p}
	case hijacks | pushes:
		return struct {
			*exchange
			hijacker
			pusher
		}{x, h, p}
	case flushes | hijacks | pushes:
		return struct {
			*exchange
			flusher
			hijacker
			pusher
		}{x, f, h, p}
	case reads | pushes:
		return struct {
			*exchange
			readerFrom
			pusher
		}{x, r, p}
	case flushes | reads | pushes:
		return struct {
			*exchange
			flusher
			readerFrom
			pusher
		}{x, f, r, p}
	case hijacks | reads | pushes:
		return struct {
			*exchange
			hijacker
			readerFrom
			pusher
		}{x, h, r, p}
	case flushes | hijacks | reads | pushes:
		return struct {
			*exchange
			flusher
			hijacker
			readerFrom
			pusher
		}{x, f, h, r, p}
	}
	return x
}

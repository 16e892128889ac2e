package httplog

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
)

// wrote notes that the header is written, with a status that counts if it is
// the first.
func (x *exchange) wrote(status int) {
	if x.status != 0 || x.hijacked {
		return
	}
	x.status = status
	x.gone = isCanceled(&x.ctx)
}

// WriteHeader notes the status unless it is an informational one, which another
// follows. These may be written by other goroutines, as httputil.ReverseProxy
// does, and so touch nothing.
func (x *exchange) WriteHeader(status int) {
	x.ResponseWriter.WriteHeader(status) // panics on what is no status
	if status >= 200 || status == http.StatusSwitchingProtocols {
		x.wrote(status)
	}
}

func (x *exchange) Write(p []byte) (int, error) {
	n, err := x.ResponseWriter.Write(p)
	x.wrote(http.StatusOK)
	x.count(int64(n))
	return n, err
}

// WriteString saves the copy that Write needs, if the server's writer does.
func (x *exchange) WriteString(s string) (int, error) {
	n, err := io.WriteString(x.ResponseWriter, s)
	x.wrote(http.StatusOK)
	x.count(int64(n))
	return n, err
}

func (x *exchange) count(n int64) {
	if x.method != http.MethodHead { // its body goes nowhere
		x.bytes += n
	}
}

// FlushError is what http.ResponseController looks for first.
func (x *exchange) FlushError() error {
	err := http.NewResponseController(x.ResponseWriter).Flush()
	if !errors.Is(err, http.ErrNotSupported) {
		x.wrote(http.StatusOK)
	}
	return err
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter {
	_, wraps := x.ResponseWriter.(interface{ Unwrap() http.ResponseWriter })
	if _, hijacks := x.ResponseWriter.(http.Hijacker); wraps && !hijacks {
		return beneath{x}
	}
	return x.ResponseWriter
}

// beneath stands between an exchange and a writer that is no http.Hijacker
// itself but may wrap one, to see the connection hijacked.
type beneath struct{ *exchange }

func (b beneath) Hijack() (net.Conn, *bufio.ReadWriter, error) { return b.hijack() }
func (b beneath) Unwrap() http.ResponseWriter                  { return b.ResponseWriter }

func (x *exchange) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err == nil {
		x.hijacked = true
	}
	return conn, buffered, err
}

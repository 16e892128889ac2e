package outlet

import "net"

// HangsUp returns a function that reports whether the peer has ended the stream.
func HangsUp(conn net.Conn) func() bool {
	h := new(hangup)
	h.of(conn)
	return h.happened
}

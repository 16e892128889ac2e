package socket

import (
	"bytes"
	"encoding/binary"
	"net"

	"github.com/slogworks/slogworks/internal/stage"
)

// ServePacket reads records from p, one per datagram, and closes p in the end.
// What the system has no room for while the Handler is busy is lost. It blocks
// until Shutdown or Close, and then returns [ErrClosed], or until p fails.
func (r *Receiver) ServePacket(p net.PacketConn) error {
	r.init()
	stage.Require("socket", r.Handler)
	// A longer datagram fills the buffer.
	return r.server.ServePacket(p, r.server.Limits.MaxFrame+len(helloPrefix)+256, r.receive)
}

// receive handles a datagram.
func (r *Receiver) receive(datagram []byte, peer string) {
	if refusal := r.handleDatagram(datagram, peer); refusal != nil {
		r.refuse(peer, refusal)
	}
}

func (r *Receiver) handleDatagram(datagram []byte, peer string) *Refusal {
	line, rest, _ := bytes.Cut(datagram, []byte("\n"))
	h, isHello := readHello(line)
	if isHello {
		datagram = rest
	}
	if r.Token != "" && !(isHello && isToken(h.Token, r.Token)) {
		return refuse(badToken, "none, or not the receiver's")
	}
	if len(datagram) > 4 && datagram[0] == 0 {
		// Python's makePickle puts the length there for datagrams too.
		n := int(binary.BigEndian.Uint32(datagram))
		datagram = datagram[4:]
		if n != len(datagram) {
			return refuse(badLength, "%d bytes announced in a datagram of %d", n, len(datagram))
		}
	}
	if len(datagram) > r.server.Limits.MaxFrame {
		return refuse(frameTooLong, "a datagram of more than %d bytes", r.server.Limits.MaxFrame)
	}
	d, refusal := r.decode(datagram)
	if refusal == nil {
		r.take(peer, &d)
	}
	return refusal
}

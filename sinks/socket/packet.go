package socket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"github.com/slogworks/slogworks/internal/stage"
)

// packetBuffer is asked of the system for datagrams that wait to be read; it may
// give less.
const packetBuffer = 4 << 20

// ServePacket reads records from p, one per datagram, and closes p in the end.
// What the system has no room for while the Handler is busy is lost. It blocks
// until Shutdown or Close, and then returns [ErrClosed], or until p fails.
func (r *Receiver) ServePacket(p net.PacketConn) error {
	r.init()
	stage.Require("socket", r.Handler)
	if !r.enter(p) {
		_ = p.Close()
		return ErrClosed
	}
	defer r.leave(p)
	if b, ok := p.(interface{ SetReadBuffer(int) error }); ok {
		_ = b.SetReadBuffer(packetBuffer) // it works with less
	}
	// A longer datagram fills the buffer.
	buf := make([]byte, r.limits.maxFrame+len(helloPrefix)+256)
	for {
		n, from, err := p.ReadFrom(buf)
		if n > 0 || err == nil {
			r.receive(buf[:n], addressOf(from))
		}
		switch {
		case r.isDraining():
			if err != nil || r.isLate() || p.SetReadDeadline(r.drainDeadline()) != nil {
				return ErrClosed
			}
		case err != nil && errors.Is(err, net.ErrClosed):
			return fmt.Errorf("socket: read: %w", err)
		case err != nil && !isPassing(err):
			return fmt.Errorf("socket: read: %w", err)
		}
	}
}

// isPassing reports whether err is about a datagram and not about the socket, as
// Windows has one for a datagram that is longer than the buffer.
func isPassing(err error) bool {
	var passing interface{ Temporary() bool }
	return errors.As(err, &passing) && passing.Temporary()
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
	if len(datagram) > r.limits.maxFrame {
		return refuse(frameTooLong, "a datagram of more than %d bytes", r.limits.maxFrame)
	}
	d, refusal := r.decode(datagram)
	if refusal == nil {
		r.take(peer, d)
	}
	return refusal
}

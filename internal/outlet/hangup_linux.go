package outlet

import (
	"net"
	"syscall"
	"unsafe"
)

// hangup tells that a stream's peer has ended it, without reading. A peek would
// tell it only when there is nothing else to read, and by TLS there is, the
// alert that says goodbye.
type hangup struct {
	conn  syscall.RawConn
	check func(fd uintptr) // made once, so that asking allocates nothing
	is    bool
}

const (
	pollERR   = 0x8
	pollHUP   = 0x10
	pollRDHUP = 0x2000
)

// pollFD is struct pollfd of poll(2).
type pollFD struct {
	fd              int32
	events, revents int16
}

func (h *hangup) of(conn net.Conn) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	h.conn = raw
	h.check = func(fd uintptr) {
		var noTime [2]int64 // a timespec, or more than one
		p := pollFD{fd: int32(fd), events: pollRDHUP}
		n, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&noTime)), 0, 0, 0)
		h.is = errno == 0 && n == 1 && p.revents&(pollRDHUP|pollHUP|pollERR) != 0
	}
}

func (h *hangup) happened() bool {
	if h.conn == nil {
		return false
	}
	h.is = false
	// Control does not wait for the read that watch is in, as Read would.
	return h.conn.Control(h.check) != nil || h.is
}

//go:build !linux

package outlet

import "net"

// hangup is nothing here: the end of a stream is noticed by who reads it, a
// moment after it has come.
type hangup struct{}

func (hangup) of(net.Conn) {}

func (hangup) happened() bool { return false }

package socket

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/outlet"
)

// Framing is how a stream is divided into records. A Receiver understands all
// of them, also mixed. A datagram is one record and has no framing.
type Framing int

const (
	// Length32 puts the length before each record, as 4 bytes in big-endian
	// order, as Python's SocketHandler does.
	Length32 Framing = iota
	// LF ends each record with a line feed, which no record contains. It suits
	// receivers that read lines of JSON.
	LF
	// Octet puts the length before each record, as decimal digits and a space:
	// the octet counting of RFC 6587.
	Octet
)

// Options are options for a [Handler]. A zero Options consists entirely of
// default values.
type Options struct {
	// Level is the lowest level that Enabled accepts. Default nil: every level.
	Level slog.Leveler

	// Framing divides a stream into records. Default Length32.
	Framing Framing

	// TLS is the configuration for a target tls://. Default nil: the roots of
	// the system, and the host of the target as the name of the server.
	TLS *tls.Config

	// Token is what a Receiver with a Token asks for, as UTF-8 and at most 2,000
	// bytes in JSON. It goes over the network as it is, so that beyond this
	// machine it wants tls://.
	Token string

	// Ack waits until the receiver says that its handler was called with the
	// record. It needs a stream with a Receiver of this package at its end.
	Ack bool

	// MaxFrame is how many bytes a record may have; of a longer one, the
	// longest strings are cut and marked. Default 1 MiB, for datagrams 65,507
	// bytes; at least 2 KiB and less than 16 MiB. If the receiver says that it
	// takes less, that holds.
	MaxFrame int

	// DialTimeout bounds connecting, TLS and the receiver's answer to a token
	// included. Default 5s.
	DialTimeout time.Duration

	// WriteTimeout bounds a write, and then the wait for the acknowledgement.
	// Default 10s.
	WriteTimeout time.Duration

	// Backoff is how long no new connection is tried after one has failed: each
	// record gets its error at once until then. Only a batch that has an Attempt
	// is tried all the same, because whoever counts attempts does the waiting.
	// Default 1s to 30s; MaxElapsed is not used.
	Backoff slogworks.Backoff

	// Host and Process are what records say about where they come from, beside
	// the process id. Default the name of the host and of the program's file.
	Host, Process string
}

// maxDatagram is what a UDP datagram can carry over IPv4.
const maxDatagram = 65507

func (c *core) setDefaults(t outlet.Target) {
	c.MaxFrame = frameLimit(c.MaxFrame)
	if t.IsDatagram() {
		c.MaxFrame = min(c.MaxFrame, maxDatagram)
	}
	if c.Host == "" {
		c.Host, _ = os.Hostname() // without a name, records have none
	}
	if c.Process == "" && len(os.Args) > 0 {
		c.Process = filepath.Base(os.Args[0])
	}
}

// check returns what is wrong with the options for the target.
func check(t outlet.Target, opts *Options) error {
	switch {
	case opts == nil:
		return nil
	case opts.TLS != nil && !t.IsTLS:
		return fmt.Errorf("socket: TLS for a target %s://: want tls://", t.Network)
	case opts.Ack && t.IsDatagram():
		return fmt.Errorf("socket: Ack for a target %s://: datagrams are not acknowledged", t.Network)
	case !utf8.ValidString(opts.Token):
		return errors.New("socket: Token: not UTF-8")
	case len(helloLine(opts.Token, true)) > minFrame:
		return fmt.Errorf("socket: Token of %d bytes: want at most 2,000", len(opts.Token))
	case opts.Framing < Length32 || opts.Framing > Octet:
		return fmt.Errorf("socket: Framing %d: want Length32, LF or Octet", opts.Framing)
	}
	return nil
}

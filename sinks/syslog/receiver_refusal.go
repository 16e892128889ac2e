package syslog

import "github.com/slogworks/slogworks/internal/intake"

// Why something was refused.
const (
	frameTooLong = intake.FrameTooLong
	notAFrame    = "not-a-frame"
)

// Refusal says what a [Receiver] has refused. Reasons are
//
//	frame-too-long        more than MaxFrame, announced or sent
//	frame-timeout         not complete within FrameTimeout
//	cut-short             the stream ended before as many bytes as were announced
//	connection-lost       the connection broke within a message
//	not-a-frame           no length where the messages before had one, or a NUL
//	                      at the beginning
//	bad-length            digits that are no length
//	bad-tls               no TLS, or none that both ends accept
//	too-many-connections  more than MaxConns
type Refusal struct {
	Peer   string // address, if it has one
	Reason string
	Detail string // may quote a little of what was sent
}

// Error gives all three.
func (r *Refusal) Error() string { return (*intake.Refusal)(r).Text("syslog") }

// Refused gives all three too: the receivers of other packages have a type of
// their own with this method.
func (r *Refusal) Refused() (peer, reason, detail string) { return r.Peer, r.Reason, r.Detail }

var _ intake.Refused = (*Refusal)(nil)

func refuse(reason, format string, args ...any) *Refusal {
	return (*Refusal)(intake.Refuse(reason, format, args...))
}

package socket

import "github.com/slogworks/slogworks/internal/intake"

// Why something was refused.
const (
	frameTooLong  = intake.FrameTooLong
	frameTimeout  = intake.FrameTimeout
	cutShort      = intake.CutShort
	notAFrame     = "not-a-frame"
	badLength     = intake.BadLength
	badJSON       = "bad-json"
	badPickle     = "bad-pickle"
	notARecord    = "not-a-record"
	tooDeep       = "too-deep"
	tooManyValues = "too-many-values"
	recordTooLong = "record-too-long"
	badToken      = "bad-token"
)

// Refusal says what a [Receiver] has refused. Reasons are
//
//	frame-too-long        more than MaxFrame, announced or sent
//	frame-timeout         not complete within FrameTimeout
//	cut-short             the stream ended within a frame
//	connection-lost       the connection broke within a frame
//	not-a-frame           neither a length nor JSON
//	bad-length            a length that cannot be one
//	bad-json              a line that begins with { and is no JSON object
//	bad-pickle            not a pickle, or not one that Python would have written
//	not-a-record          a pickle of something else than a LogRecord's dict
//	too-deep              values in more than 32 others
//	too-many-values       more than 65,536
//	record-too-long       values that repeat until they are more than MaxFrame
//	bad-token             none, or another than the receiver's
//	bad-tls               no TLS, or none that both ends accept
//	too-many-connections  more than MaxConns
type Refusal struct {
	Peer   string // address, if it has one
	Reason string
	Detail string // may quote a little of what was sent
}

// Error gives all three.
func (r *Refusal) Error() string {
	return (*intake.Refusal)(r).Text("socket")
}

// Refused gives all three too: the receivers of other packages have a type of
// their own with this method.
func (r *Refusal) Refused() (peer, reason, detail string) { return r.Peer, r.Reason, r.Detail }

var _ intake.Refused = (*Refusal)(nil)

func refuse(reason, format string, args ...any) *Refusal {
	return (*Refusal)(intake.Refuse(reason, format, args...))
}

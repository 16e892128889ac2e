package intake

import "fmt"

// Why a connection is refused by all receivers. Their documentation says what
// each means.
const (
	FrameTooLong   = "frame-too-long"
	FrameTimeout   = "frame-timeout"
	CutShort       = "cut-short"
	ConnectionLost = "connection-lost"
	BadLength      = "bad-length"
	BadTLS         = "bad-tls"
	TooManyConns   = "too-many-connections"
)

// Refused is the error of each receiver that something is no record, or not
// allowed. Find it with errors.As.
type Refused interface {
	error

	// Refused returns the address of the peer or "", a reason such as
	// "frame-too-long", and more for people or "".
	Refused() (peer, reason, detail string)
}

// Refusal says what was refused. A package converts it to its own type of this
// form, which has a documentation of its reasons.
type Refusal struct{ Peer, Reason, Detail string }

// Refuse returns a Refusal of a peer that is filled in later.
func Refuse(reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Error is for what stays within a package.
func (r *Refusal) Error() string { return r.Text("intake") }

// Text returns the words of the error in the name of the package pkg.
func (r *Refusal) Text(pkg string) string {
	text := pkg + ": refused"
	if r.Peer != "" {
		text += " " + r.Peer
	}
	text += " " + r.Reason
	if r.Detail != "" {
		text += ": " + r.Detail
	}
	return text
}

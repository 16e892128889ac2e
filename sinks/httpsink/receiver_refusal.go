package httpsink

import (
	"net/http"

	"github.com/slogworks/slogworks/internal/intake"
)

// Why something was refused.
const (
	foreignSite  = "foreign-site"
	badToken     = "bad-token"
	badMethod    = "bad-method"
	badPath      = "bad-path"
	badType      = "bad-type"
	badEncoding  = "bad-encoding"
	badJSON      = "bad-json"
	notARecord   = "not-a-record"
	frameTooLong = intake.FrameTooLong
	bodyTooLong  = "body-too-long"
	bodyTimeout  = "body-timeout"
	cutShort     = intake.CutShort
	tooManyConns = intake.TooManyConns
	closed       = "closed"
)

// statuses are the answers to what was refused.
var statuses = map[string]int{
	foreignSite:  http.StatusForbidden,
	badToken:     http.StatusUnauthorized,
	badMethod:    http.StatusMethodNotAllowed,
	badPath:      http.StatusNotFound,
	badType:      http.StatusUnsupportedMediaType,
	badEncoding:  http.StatusBadRequest,
	badJSON:      http.StatusBadRequest,
	notARecord:   http.StatusBadRequest,
	frameTooLong: http.StatusRequestEntityTooLarge,
	bodyTooLong:  http.StatusRequestEntityTooLarge,
	bodyTimeout:  http.StatusRequestTimeout,
	cutShort:     http.StatusBadRequest,
	closed:       http.StatusServiceUnavailable,
}

// Refusal says what a [Receiver] has refused. Reasons are, with the answer,
//
//	foreign-site          403: sent by a browser, or for a host that is not expected
//	bad-token             401: none, or another than the receiver's
//	bad-path              404: another than Path
//	bad-method            405: neither GET nor POST
//	bad-type              415: a Content-Type that is not known
//	bad-encoding          400: a Content-Encoding that is not gzip, or is broken
//	bad-json              400: no JSON object where a record should be
//	not-a-record          400: an empty body, query or form
//	frame-too-long        413: more than MaxFrame; 400 if it is one of several records
//	body-too-long         413: more than MaxBody, unpacked
//	body-timeout          408: not complete within FrameTimeout
//	cut-short             400: the connection broke within a body
//	closed                503: after Shutdown, or when it gives up the rest of a body
//	too-many-connections  no answer: more than MaxConns
type Refusal struct {
	Peer   string // address, if it has one
	Reason string
	Detail string // may quote a little of what was sent
}

// Error gives all three.
func (r *Refusal) Error() string { return (*intake.Refusal)(r).Text("httpsink") }

// Refused gives all three too: the receivers of other packages have a type of
// their own with this method.
func (r *Refusal) Refused() (peer, reason, detail string) { return r.Peer, r.Reason, r.Detail }

var _ intake.Refused = (*Refusal)(nil)

func refuse(reason, format string, args ...any) *Refusal {
	return (*Refusal)(intake.Refuse(reason, format, args...))
}

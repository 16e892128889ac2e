package mail

import (
	"context"
	"errors"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/slogworks/slogworks"
)

// Phase is a step on the way of a mail to the server.
type Phase string

// The phases in their order; with [Implicit], PhaseTLS comes before the greeting.
const (
	PhasePassword Phase = "password"
	PhaseConnect  Phase = "connect"
	PhaseGreeting Phase = "greeting"
	PhaseHello    Phase = "EHLO"
	PhaseTLS      Phase = "TLS"
	PhaseAuth     Phase = "AUTH"
	PhaseMail     Phase = "MAIL"
	PhaseRcpt     Phase = "RCPT"
	PhaseData     Phase = "DATA"        // the command and the mail itself
	PhaseEnd      Phase = "end of DATA" // the answer to the mail
)

// Error says where and why a mail was not delivered. If what the server answers,
// or what Config.Password or go-mail complain of, has the password in it, Err is
// without the text; a password of up to three characters counts where it is a
// word of it.
type Error struct {
	Server  string // host:port
	Phase   Phase
	Code    int       // the server's answer, such as 550; 0 if there was none, or one per recipient
	Refused []Refusal // in PhaseRcpt, the recipients that the server refused
	Err     error     // the cause: a *textproto.Error, what net or crypto/tls returned, or the end of the context
}

// Refusal is the server's answer to one recipient that it does not accept.
type Refusal struct {
	Address string
	Err     error // a *textproto.Error
}

// Error returns the server, the phase and the cause.
func (e *Error) Error() string {
	return "mail: " + e.Server + ": " + string(e.Phase) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// refusals are the refused recipients as a cause.
type refusals []Refusal

func (r refusals) Error() string {
	texts := make([]string, len(r))
	for i, refusal := range r {
		texts[i] = refusal.Address + ": " + refusal.Err.Error()
	}
	return strings.Join(texts, "; ")
}

func (r refusals) Unwrap() []error {
	errs := make([]error, len(r))
	for i, refusal := range r {
		errs[i] = refusal.Err
	}
	return errs
}

// retryLater is how long to wait before trying again where somebody has to mend
// something first: soon enough for who is at it, and too rarely for a server to
// lock the account.
const retryLater = 15 * time.Minute

// deliver sends b to the recipients. What it returns is nil or a
// *slogworks.DeliveryError.
func (c *core) deliver(ctx context.Context, b slogworks.Batch, to []string) error {
	id := messageID(b.ID)
	message, err := c.compose(b, id, c.maxAttach)
	if err != nil {
		return undelivered(err, b.Done, nil)
	}
	s, err := c.open(ctx)
	if err != nil {
		return undelivered(err, b.Done, nil)
	}
	defer s.close()
	if limit := s.limit(); limit > 0 && int64(len(message)) > limit {
		if message, err = c.composeWithin(limit, b, id); err != nil {
			return undelivered(err, b.Done, nil)
		}
	}
	if done, err := s.send(to, message); err != nil {
		return undelivered(err, b.Done, done)
	}
	return nil
}

// undelivered returns err for the one who may try again. Some recipients had the
// mail before and some got it now.
func undelivered(err error, before, now []string) *slogworks.DeliveryError {
	d := &slogworks.DeliveryError{Done: slices.Concat(before, now), Err: err}
	e, ok := err.(*Error)
	if !ok {
		return d
	}
	switch e.Phase {
	case PhasePassword, PhaseGreeting, PhaseHello, PhaseTLS, PhaseAuth:
		if needsMending(e) {
			d.After = retryLater
		}
	case PhaseMail, PhaseData, PhaseEnd:
		switch {
		case isAboutAuth(e.Code):
			d.After = retryLater
		case e.Code/100 == 5:
			d.Permanent = true
		case e.Code == 0:
			d.Uncertain = e.Phase == PhaseEnd
		}
	case PhaseRcpt:
		if len(e.Refused) == 0 || len(now) > 0 {
			break
		}
		d.Permanent = true
		for _, refusal := range e.Refused {
			switch code := codeOf(refusal.Err); {
			case isAboutAuth(code):
				d.After, d.Permanent = retryLater, false
			case code/100 != 5:
				d.Permanent = false
			}
		}
	}
	return d
}

// needsMending reports whether a failure before the mail will be there again
// unless somebody changes something.
func needsMending(e *Error) bool {
	if e.Code != 0 {
		return e.Code/100 == 5
	}
	return !isPassing(e.Err)
}

// isPassing reports whether err is one of the network, or of the time.
func isPassing(err error) bool {
	var network net.Error
	return errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// isAboutAuth reports whether the code is one that RFC 4954 has for whom the
// server does not know well enough, which is not the mail's fault.
func isAboutAuth(code int) bool {
	switch code {
	case 530, 534, 535, 538:
		return true
	}
	return false
}

// codeOf returns the code of an answer, 0 if err is none.
func codeOf(err error) int {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return reply.Code
	}
	return 0
}

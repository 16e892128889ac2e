package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	netmail "net/mail"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/slogworks/slogworks/internal/stage"
)

// session is one connection to the server. go-mail's own client is not used: it
// does not end with a context, leaves connections open when it fails to set them
// up, sends to nobody if one recipient is refused, and does not say where it
// failed.
type session struct {
	core   *core
	ctx    context.Context
	conn   *bounded // below encryption
	client *smtp.Client
	phase  Phase
	secret secret
	stop   func() bool
	polite bool // the server answers, so that it is due a QUIT
}

const (
	// farewell is how long to wait for the answer to QUIT, which no longer
	// matters.
	farewell = time.Second
	// endFactor is how many times longer than other answers the answer to the
	// whole mail may take. RFC 5321, 4.5.3.2.6 has ten minutes.
	endFactor = 10
	// maxReplies is how many bytes a server may send in one session. It ends one
	// that never comes to the end of a line.
	maxReplies = 1 << 20
)

// open returns a session that is encrypted and authenticated as configured. An
// error is an *Error, and then the connection is closed.
func (c *core) open(ctx context.Context) (*session, error) {
	s := &session{core: c, ctx: ctx}
	password, err := s.password()
	if err != nil {
		return nil, s.fail(err)
	}
	if err := s.connect(); err != nil {
		return nil, s.fail(err)
	}
	// To close the connection is what ends a read at once; a deadline could be
	// overwritten by that of the next phase.
	s.stop = context.AfterFunc(ctx, func() { s.conn.Close() })
	if err := s.greet(password); err != nil {
		err = s.fail(err)
		s.close()
		return nil, err
	}
	s.polite = true
	return s, nil
}

func (s *session) password() (password string, err error) {
	s.phase = PhasePassword
	if s.core.username == "" {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.core.timeout)
	defer cancel()
	defer stage.Rescue(&err)
	password, err = s.core.password(ctx)
	s.secret = newSecret(s.core.username, password)
	return password, s.masked(err)
}

func (s *session) connect() (err error) {
	s.phase = PhaseConnect
	ctx, cancel := context.WithTimeout(s.ctx, s.core.timeout)
	defer cancel()
	defer stage.Rescue(&err)
	conn, err := s.core.dial(ctx, "tcp", s.core.address)
	if err != nil {
		return err
	}
	if conn == nil {
		return errors.New("neither a connection nor an error from Config.Dial")
	}
	s.conn = &bounded{Conn: conn, left: maxReplies}
	return nil
}

// greet takes the connection to where a mail can be sent.
func (s *session) greet(password string) (err error) {
	defer stage.Rescue(&err) // of what TLSConfig calls
	var conn net.Conn = s.conn
	if s.core.mode == Implicit {
		s.enter(PhaseTLS)
		encrypted := tls.Client(s.conn, s.core.tlsConfig)
		if err := encrypted.Handshake(); err != nil {
			return advised(err)
		}
		conn = encrypted
	}
	s.enter(PhaseGreeting)
	if s.client, err = smtp.NewClient(conn, s.core.host); err != nil {
		if s.core.mode != Implicit && s.conn.left == maxReplies && errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("%w: the server says nothing: use Implicit if it wants TLS from the first byte on, as on port 465", err)
		}
		return s.masked(err)
	}
	// A server that is told that addresses may be in UTF-8 sends the mail only
	// to those that understand it.
	s.client.SkipSMTPUTF8(!s.core.utf8)
	s.enter(PhaseHello)
	if err := s.client.Hello(s.core.helo); err != nil {
		return s.masked(err)
	}
	if err := s.encrypt(); err != nil {
		return err
	}
	if s.core.username == "" {
		return nil
	}
	s.enter(PhaseAuth)
	mechanism, err := s.choose(password)
	if err != nil {
		return err
	}
	return s.masked(s.client.Auth(mechanism))
}

func (s *session) encrypt() error {
	if s.core.mode != StartTLS && s.core.mode != Opportunistic {
		return nil
	}
	s.enter(PhaseTLS)
	if ok, _ := s.client.Extension("STARTTLS"); !ok {
		if s.core.mode == Opportunistic {
			return nil
		}
		return errors.New("the server does not offer STARTTLS: use Implicit, another port, or Plaintext for a server on this machine")
	}
	return s.masked(s.client.StartTLS(s.core.tlsConfig))
}

// advised adds to the error of a handshake what to do about a server that does
// not speak TLS.
func advised(err error) error {
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) {
		return fmt.Errorf("%w: use StartTLS, or Plaintext for a server on this machine", err)
	}
	return err
}

// enter begins a phase, for which there is time anew.
func (s *session) enter(p Phase) {
	s.phase = p
	s.wait(s.core.timeout)
}

func (s *session) wait(d time.Duration) {
	// It fails on a closed connection, as does all that follows.
	_ = s.conn.SetDeadline(time.Now().Add(d))
}

// send carries out one transaction. Of the recipients it returns those that have
// the mail. The error is an *Error; if some have the mail it names the others.
func (s *session) send(to []string, message []byte) (done []string, err error) {
	s.enter(PhaseMail)
	if err := s.client.Mail(angled(s.core.from.Address)); err != nil {
		return nil, s.fail(s.masked(err))
	}
	var refused refusals
	for _, address := range to {
		s.enter(PhaseRcpt)
		err := s.client.Rcpt(angled(address))
		switch {
		case err == nil:
			done = append(done, address)
		case codeOf(err) != 0:
			refused = append(refused, Refusal{address, s.masked(err)})
		default:
			return nil, s.fail(s.masked(err))
		}
	}
	if len(done) == 0 {
		return nil, s.fail(refused)
	}
	if err := s.data(message); err != nil {
		return nil, s.fail(err)
	}
	if len(refused) > 0 {
		s.phase = PhaseRcpt
		return done, s.fail(refused)
	}
	return done, nil
}

// limit returns how many bytes a mail may have by RFC 1870, 0 for any number.
func (s *session) limit() int64 {
	_, size := s.client.Extension("SIZE")
	limit, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return 0
	}
	return max(limit, 0)
}

// angled returns the address as it stands in MAIL and RCPT. net/mail quotes the
// part before the @ where it must be, so that it cannot end the command.
func angled(address string) string { return (&netmail.Address{Address: address}).String() }

func (s *session) data(message []byte) error {
	s.enter(PhaseData)
	w, err := s.client.Data()
	if err != nil {
		return s.masked(err)
	}
	// From here on a failure must not be followed by a command, which would end
	// the mail where it stands and so deliver a part of it.
	for part := range slices.Chunk(message, 64<<10) {
		s.wait(s.core.timeout)
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	s.wait(s.core.timeout)
	// The Close of go-mail's writer would not tell whether the end of the mail
	// was sent.
	if data, ok := w.(*smtp.DataCloser); ok {
		w = data.WriteCloser
	}
	if err := w.Close(); err != nil {
		return err
	}
	s.phase = PhaseEnd
	s.wait(endFactor * s.core.timeout)
	_, _, err = s.client.Text.ReadResponse(2)
	return s.masked(err)
}

// fail returns err as the *Error of the current phase.
func (s *session) fail(err error) error {
	e := &Error{Server: s.core.address, Phase: s.phase}
	refused, isRefused := err.(refusals)
	if isRefused {
		e.Refused = refused
	} else {
		e.Code = codeOf(err)
	}
	s.polite = isRefused || e.Code != 0
	if !s.polite && s.ctx.Err() != nil {
		// The connection was closed because of it and says only that.
		err = s.ctx.Err()
		if cause := context.Cause(s.ctx); cause != err {
			err = fmt.Errorf("%w: %w", err, cause)
		}
	}
	e.Err = err
	return e
}

// close takes leave of the server, if it answers, and closes the connection.
func (s *session) close() {
	if s.polite && s.client != nil {
		s.wait(farewell)
		// The mail is delivered or is not, whatever the server says to this.
		_ = s.client.Quit()
	}
	s.conn.Close()
	s.stop()
}

// bounded is a connection that ends when the other side has sent too much.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the server sent more than %d bytes: %w", maxReplies, io.ErrUnexpectedEOF)
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

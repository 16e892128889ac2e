package mail_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer/mail"
	"github.com/slogworks/slogworks/internal/peertest"
)

// deliver sends a batch, which must fail, and takes the error apart.
func deliver(t testing.TB, ctx context.Context, h *mail.Handler, b slogworks.Batch) (*slogworks.DeliveryError, *mail.Error) {
	t.Helper()
	err := h.HandleBatch(ctx, b)
	d, ok := err.(*slogworks.DeliveryError)
	if !ok {
		t.Fatalf("HandleBatch returned %T %v", err, err)
	}
	e, ok := d.Err.(*mail.Error)
	if !ok {
		t.Fatalf("the cause is %T %v", d.Err, d.Err)
	}
	if d.Accepted != 0 {
		t.Errorf("Accepted is %d, and a mail is all or nothing", d.Accepted)
	}
	if !strings.HasPrefix(e.Error(), "mail: "+e.Server+": "+string(e.Phase)+": ") || strings.Count(e.Error(), "mail: ") != 1 {
		t.Errorf("the error reads %q", e)
	}
	return d, e
}

const later = 15 * time.Minute

func TestHandler_saysWhatAFailureMeans(t *testing.T) {
	with := func(key string, a act) script { return script{acts: map[string]act{key: a}} }
	implicit := func(key string, a act) script { return script{implicit: true, acts: map[string]act{key: a}} }
	credentials := func(cfg *mail.Config) { cfg.Username, cfg.Password = "shop", mail.Password("secret") }
	login := script{extensions: []string{"AUTH PLAIN"}, users: map[string]string{"shop": "other"}}
	loginWith := func(a act) script {
		s := login
		s.acts = map[string]act{"AUTH": a}
		return s
	}

	for name, test := range map[string]struct {
		script    script
		change    func(*mail.Config)
		phase     mail.Phase
		code      int
		after     time.Duration
		permanent bool
		uncertain bool
	}{
		"the greeting is 421":                        {script: with("greeting", reply("421 busy")), phase: mail.PhaseGreeting, code: 421},
		"the greeting is 554":                        {script: with("greeting", reply("554 go away")), phase: mail.PhaseGreeting, code: 554, after: later},
		"the greeting is no SMTP":                    {script: with("greeting", reply("HTTP/1.1 400 Bad Request")), phase: mail.PhaseGreeting, after: later},
		"no greeting, but the end":                   {script: with("greeting", cut), phase: mail.PhaseGreeting},
		"EHLO and HELO are 451":                      {script: script{acts: map[string]act{"EHLO": reply("451 later"), "HELO": reply("451 later")}}, phase: mail.PhaseHello, code: 451},
		"EHLO and HELO are 550":                      {script: script{acts: map[string]act{"EHLO": reply("550 you"), "HELO": reply("550 you")}}, phase: mail.PhaseHello, code: 550, after: later},
		"EHLO ends it":                               {script: with("EHLO", cut), phase: mail.PhaseHello},
		"STARTTLS is not offered":                    {script: script{noTLS: true}, change: func(cfg *mail.Config) { cfg.TLS = mail.StartTLS }, phase: mail.PhaseTLS, after: later},
		"STARTTLS is 454":                            {script: with("STARTTLS", reply("454 no entropy")), phase: mail.PhaseTLS, code: 454},
		"STARTTLS is 501":                            {script: with("STARTTLS", reply("501 what")), phase: mail.PhaseTLS, code: 501, after: later},
		"STARTTLS ends it":                           {script: with("STARTTLS", cut), phase: mail.PhaseTLS},
		"the handshake ends it":                      {script: with("handshake", cut), phase: mail.PhaseTLS},
		"the handshake ends it, implicitly":          {script: implicit("handshake", cut), phase: mail.PhaseTLS},
		"the certificate is not trusted":             {change: func(cfg *mail.Config) { cfg.TLSConfig = nil }, phase: mail.PhaseTLS, after: later},
		"the certificate is for another":             {change: func(cfg *mail.Config) { cfg.TLSConfig.ServerName = "other.example.com" }, phase: mail.PhaseTLS, after: later},
		"the certificate is not trusted, implicitly": {script: script{implicit: true}, change: func(cfg *mail.Config) { cfg.TLSConfig = nil }, phase: mail.PhaseTLS, after: later},
		"encryption where there is none":             {script: script{noTLS: true}, change: func(cfg *mail.Config) { cfg.TLS = mail.Implicit }, phase: mail.PhaseTLS, after: later},
		"AUTH is not offered":                        {change: credentials, phase: mail.PhaseAuth, after: later},
		"AUTH is offered with another mechanism":     {script: script{extensions: []string{"AUTH GSSAPI"}}, change: credentials, phase: mail.PhaseAuth, after: later},
		"the password is wrong":                      {script: login, change: credentials, phase: mail.PhaseAuth, code: 535, after: later},
		"AUTH is 454":                                {script: loginWith(reply("454 4.7.0 later")), change: credentials, phase: mail.PhaseAuth, code: 454},
		"AUTH ends it":                               {script: loginWith(cut), change: credentials, phase: mail.PhaseAuth},
		"MAIL is 452":                                {script: with("MAIL", reply("452 full")), phase: mail.PhaseMail, code: 452},
		"MAIL is 550":                                {script: with("MAIL", reply("550 not you")), phase: mail.PhaseMail, code: 550, permanent: true},
		"MAIL is 530":                                {script: with("MAIL", reply("530 5.7.0 Authentication required")), phase: mail.PhaseMail, code: 530, after: later},
		"MAIL ends it":                               {script: with("MAIL", cut), phase: mail.PhaseMail},
		"RCPT is 451":                                {script: with("ops@example.com", reply("451 greylisted")), phase: mail.PhaseRcpt},
		"RCPT is 550":                                {script: with("ops@example.com", reply("550 5.1.1 who")), phase: mail.PhaseRcpt, permanent: true},
		"RCPT is 530":                                {script: with("ops@example.com", reply("530 who are you")), phase: mail.PhaseRcpt, after: later},
		"RCPT ends it":                               {script: with("ops@example.com", cut), phase: mail.PhaseRcpt},
		"DATA is 421":                                {script: with("DATA", reply("421 going down")), phase: mail.PhaseData, code: 421},
		"DATA is 554":                                {script: with("DATA", reply("554 no")), phase: mail.PhaseData, code: 554, permanent: true},
		"DATA ends it":                               {script: with("DATA", cut), phase: mail.PhaseData},
		"the end of the data is 451":                 {script: with("end", reply("451 4.3.0 disk")), phase: mail.PhaseEnd, code: 451},
		"the end of the data is 552":                 {script: with("end", reply("552 5.3.4 too big")), phase: mail.PhaseEnd, code: 552, permanent: true},
		"no answer to the data, but the end":         {script: with("end", cut), phase: mail.PhaseEnd, uncertain: true},
		"no answer to the data, but rubbish":         {script: with("end", reply("rubbish")), phase: mail.PhaseEnd, uncertain: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.script)
			h := newHandler(t, s, test.change)
			d, e := deliver(t, generous(t), h, oneRecord())
			if e.Phase != test.phase || e.Code != test.code {
				t.Errorf("failed in phase %q with code %d, want %q with %d: %v", e.Phase, e.Code, test.phase, test.code, e)
			}
			if d.After != test.after || d.Permanent != test.permanent || d.Uncertain != test.uncertain || d.Done != nil {
				t.Errorf("the error is %+v, want After %v, Permanent %v, Uncertain %v and Done nil", *d, test.after, test.permanent, test.uncertain)
			}
			if test.code != 0 {
				var reply *textproto.Error
				if !errors.As(d, &reply) || reply.Code != test.code {
					t.Errorf("no *textproto.Error of %d in %v", test.code, d)
				}
			}
			if got := s.received(); len(got) > 0 {
				t.Errorf("the server has %d mails all the same", len(got))
			}
		})
	}
}

func TestHandler_keepsTheCauseOfAFailure(t *testing.T) {
	t.Run("nobody listens", func(t *testing.T) {
		s := newServer(t, script{})
		s.close()
		d, e := deliver(t, generous(t), newHandler(t, s, nil), oneRecord())
		if e.Phase != mail.PhaseConnect || !errors.Is(d, syscall.ECONNREFUSED) || d.After != 0 || d.Permanent || d.Uncertain {
			t.Errorf("%+v", d)
		}
	})
	t.Run("the name does not resolve", func(t *testing.T) {
		s := newServer(t, script{})
		h := newHandler(t, s, func(cfg *mail.Config) {
			cfg.Host = "smtp.invalid"
			cfg.Dial = func(_ context.Context, network, address string) (net.Conn, error) {
				if network != "tcp" || address != fmt.Sprintf("smtp.invalid:%d", cfg.Port) {
					t.Errorf("dialled %s %s", network, address)
				}
				return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: "smtp.invalid", IsNotFound: true}}
			}
		})
		d, e := deliver(t, generous(t), h, oneRecord())
		var dns *net.DNSError
		if e.Phase != mail.PhaseConnect || !errors.As(d, &dns) || d.After != 0 || d.Permanent || d.Uncertain {
			t.Errorf("%+v", d)
		}
	})
	t.Run("the certificate is not trusted", func(t *testing.T) {
		s := newServer(t, script{})
		d, _ := deliver(t, generous(t), newHandler(t, s, func(cfg *mail.Config) { cfg.TLSConfig = &tls.Config{} }), oneRecord())
		var unknown x509.UnknownAuthorityError
		if !errors.As(d, &unknown) {
			t.Errorf("%v", d)
		}
	})
	t.Run("the server speaks no TLS", func(t *testing.T) {
		s := newServer(t, script{noTLS: true})
		d, e := deliver(t, generous(t), newHandler(t, s, func(cfg *mail.Config) { cfg.TLS = mail.Implicit }), oneRecord())
		var plain tls.RecordHeaderError
		if !errors.As(d, &plain) || !strings.HasSuffix(e.Error(), ": use StartTLS, or Plaintext for a server on this machine") {
			t.Errorf("%v", d)
		}
	})
	t.Run("the server waits for TLS", func(t *testing.T) {
		s := newServer(t, script{implicit: true})
		d, e := deliver(t, generous(t), newHandler(t, s, func(cfg *mail.Config) {
			cfg.TLS, cfg.Timeout = mail.StartTLS, 50*time.Millisecond
		}), oneRecord())
		if !errors.Is(d, os.ErrDeadlineExceeded) || !strings.Contains(e.Error(), "use Implicit if it wants TLS from the first byte on") {
			t.Errorf("%v", d)
		}
	})
	t.Run("the password cannot be had", func(t *testing.T) {
		sealed := errors.New("vault is sealed")
		s := newServer(t, script{})
		for name, password := range map[string]func(context.Context) (string, error){
			"an error": func(context.Context) (string, error) { return "", sealed },
			"a panic":  func(context.Context) (string, error) { panic(sealed) },
		} {
			d, e := deliver(t, generous(t), newHandler(t, s, func(cfg *mail.Config) {
				cfg.Username, cfg.Password = "shop", password
			}), oneRecord())
			if e.Phase != mail.PhasePassword || !errors.Is(d, sealed) || d.After != later || d.Permanent {
				t.Errorf("%s: %+v", name, d)
			}
		}
		if accepted, _ := s.connections(); accepted != 0 {
			t.Errorf("%d connections without a password", accepted)
		}
	})
	t.Run("the password is late", func(t *testing.T) {
		s := newServer(t, script{})
		h := newHandler(t, s, func(cfg *mail.Config) {
			cfg.Timeout = time.Millisecond
			cfg.Username, cfg.Password = "shop", func(ctx context.Context) (string, error) {
				<-ctx.Done()
				return "", ctx.Err()
			}
		})
		d, _ := deliver(t, generous(t), h, oneRecord())
		if !errors.Is(d, context.DeadlineExceeded) || d.After != 0 {
			t.Errorf("%+v", d)
		}
	})
}

// phases are those in which a server can hang, with the key of the act.
var phases = []struct {
	key   string
	phase mail.Phase
}{
	{"greeting", mail.PhaseGreeting},
	{"EHLO", mail.PhaseHello},
	{"STARTTLS", mail.PhaseTLS},
	{"handshake", mail.PhaseTLS},
	{"AUTH", mail.PhaseAuth},
	{"MAIL", mail.PhaseMail},
	{"ops@example.com", mail.PhaseRcpt},
	{"DATA", mail.PhaseData},
	{"end", mail.PhaseEnd},
}

func hangingAt(t *testing.T, key string) (*server, func(*mail.Config)) {
	s := newServer(t, script{
		acts:       map[string]act{key: hang},
		extensions: []string{"AUTH PLAIN"},
		users:      map[string]string{"shop": "secret"},
	})
	return s, func(cfg *mail.Config) { cfg.Username, cfg.Password = "shop", mail.Password("secret") }
}

func TestHandler_endsWithItsContextWhereverTheServerHangs(t *testing.T) {
	gone := errors.New("the program ends")
	for _, p := range phases {
		t.Run(p.key, func(t *testing.T) {
			s, change := hangingAt(t, p.key)
			h := newHandler(t, s, func(cfg *mail.Config) {
				change(cfg)
				cfg.Timeout = time.Hour
			})
			ctx, cancel := context.WithCancelCause(generous(t))
			go func() {
				<-s.hangs
				cancel(gone)
			}()
			d, e := deliver(t, ctx, h, oneRecord())
			if !errors.Is(d, gone) || !errors.Is(d, context.Canceled) {
				t.Errorf("%v", d)
			}
			// The server can hang before the client knows that it is connected.
			if e.Phase != p.phase && !(p.key == "greeting" && e.Phase == mail.PhaseConnect) {
				t.Errorf("%v", d)
			}
			if d.Uncertain != (p.phase == mail.PhaseEnd) || d.Permanent || d.After != 0 {
				t.Errorf("%+v", d)
			}
		})
	}
	t.Run("by its deadline", func(t *testing.T) {
		s, change := hangingAt(t, "DATA")
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		d, _ := deliver(t, ctx, newHandler(t, s, change), oneRecord())
		if !errors.Is(d, context.DeadlineExceeded) || d.After != 0 {
			t.Errorf("%+v", d)
		}
	})
	t.Run("while it connects", func(t *testing.T) {
		s := newServer(t, script{})
		ctx, cancel := context.WithCancelCause(generous(t))
		h := newHandler(t, s, func(cfg *mail.Config) {
			cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				cancel(gone)
				<-ctx.Done()
				return nil, errors.New("operation was canceled")
			}
		})
		if d, e := deliver(t, ctx, h, oneRecord()); !errors.Is(d, gone) || e.Phase != mail.PhaseConnect {
			t.Errorf("%v", d)
		}
	})
	t.Run("while it sends a mail that nobody reads", func(t *testing.T) {
		s := newServer(t, script{acts: map[string]act{"body": hang}, noTLS: true})
		h := newHandler(t, s, func(cfg *mail.Config) {
			cfg.Timeout, cfg.MaxAttach = time.Hour, 64<<20
			cfg.Dial = stuckAfterData
		})
		ctx, cancel := context.WithCancelCause(generous(t))
		go func() {
			<-s.hangs
			cancel(gone)
		}()
		d, e := deliver(t, ctx, h, oneRecord())
		if !errors.Is(d, gone) || e.Phase != mail.PhaseData || d.Uncertain {
			t.Errorf("%+v", d)
		}
	})
}

// stuckAfterData dials a connection that takes no more than the beginning of a
// mail, as one does whose other side does not read.
func stuckAfterData(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	return &stuck{Conn: conn, closed: make(chan struct{})}, err
}

type stuck struct {
	net.Conn
	written int
	closed  chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	if s.written += len(p); s.written > 1500 {
		n, _ := s.Conn.Write(p[:len(p)/2])
		<-s.closed
		return n, net.ErrClosed
	}
	return s.Conn.Write(p)
}

func (s *stuck) Close() error {
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return s.Conn.Close()
}

func TestHandler_waitsNoLongerThanTimeoutForAnAnswer(t *testing.T) {
	for _, p := range phases {
		t.Run(p.key, func(t *testing.T) {
			s, change := hangingAt(t, p.key)
			h := newHandler(t, s, func(cfg *mail.Config) {
				change(cfg)
				cfg.Timeout = 250 * time.Millisecond
			})
			d, e := deliver(t, generous(t), h, oneRecord())
			if !errors.Is(d, os.ErrDeadlineExceeded) || e.Phase != p.phase || d.After != 0 {
				t.Errorf("%+v", d)
			}
			if d.Uncertain != (p.phase == mail.PhaseEnd) || d.Permanent {
				t.Errorf("%+v", d)
			}
		})
	}
}

// deadlines counts how often a connection gets a new deadline.
type deadlines struct {
	net.Conn
	n int
}

func (d *deadlines) SetDeadline(t time.Time) error {
	d.n++
	return d.Conn.SetDeadline(t)
}

func TestHandler_givesALongMailTimeForEachPart(t *testing.T) {
	s := newServer(t, script{noTLS: true})
	var conn *deadlines
	h := newHandler(t, s, func(cfg *mail.Config) {
		cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			conn = &deadlines{Conn: c}
			return conn, err
		}
	})
	count := func(b slogworks.Batch) int {
		if err := h.HandleBatch(generous(t), b); err != nil {
			t.Fatal(err)
		}
		return conn.n
	}
	short, long := count(oneRecord()), count(batch(item(0, 8, "long", "value", strings.Repeat("x", 1<<20))))
	if long-short < 1<<20/(64<<10) {
		t.Errorf("%d deadlines for a short mail and %d for one of over a megabyte", short, long)
	}
}

func TestHandler_endsWithAServerThatSendsWithoutEnd(t *testing.T) {
	s := newServer(t, script{acts: map[string]act{"greeting": reply(strings.Repeat("x", 2<<20))}})
	_, e := deliver(t, generous(t), newHandler(t, s, nil), oneRecord())
	if e.Phase != mail.PhaseGreeting || !strings.Contains(e.Error(), "sent more than 1048576 bytes") {
		t.Errorf("%v", e)
	}
}

func TestHandler_endsWithAConnectionThatIsCutInTheMail(t *testing.T) {
	s := newServer(t, script{acts: map[string]act{"body": cut}, noTLS: true})
	h := newHandler(t, s, func(cfg *mail.Config) { cfg.MaxAttach = 64 << 20 })
	big := batch(item(0, 8, "big", "value", strings.Repeat("x", 8<<20)))
	d, e := deliver(t, generous(t), h, big)
	if e.Phase != mail.PhaseData || d.Uncertain || d.Permanent || d.After != 0 {
		t.Errorf("a mail of which the end was never sent: %+v", d)
	}
	// A small mail is in the kernel's hands before the cut is seen, so that
	// nobody can tell whether the server had it.
	d, e = deliver(t, generous(t), h, oneRecord())
	if d.Uncertain != (e.Phase == mail.PhaseEnd) || d.Permanent {
		t.Errorf("%+v", d)
	}
	if slices.Contains(s.commands(), "QUIT") {
		t.Error("a command in the middle of the mail, which ends it there")
	}
}

func TestHandler_deliversWhateverComesOfQUIT(t *testing.T) {
	for name, a := range map[string]act{"cut": cut, "refused": reply("500 what"), "hanging": hang} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, script{acts: map[string]act{"QUIT": a}})
			if err := newHandler(t, s, nil).HandleBatch(generous(t), oneRecord()); err != nil {
				t.Error(err)
			}
			if n := len(s.received()); n != 1 {
				t.Errorf("%d mails", n)
			}
		})
	}
}

func TestHandler_deliversToThoseWhomTheServerTakes(t *testing.T) {
	three := func(cfg *mail.Config) {
		cfg.To, cfg.Cc, cfg.Bcc = []string{"Ann <ann@example.com>"}, []string{"bob@example.com"}, []string{"eve@example.com"}
	}
	for code, answer := range map[int]string{550: "550 5.1.1 who", 451: "451 4.7.1 greylisted"} {
		t.Run(fmt.Sprint("one is ", code), func(t *testing.T) {
			s := newServer(t, script{acts: map[string]act{"bob@example.com": reply(answer)}})
			h := newHandler(t, s, three)
			b := oneRecord()
			d, e := deliver(t, generous(t), h, b)
			if got := s.received(); len(got) != 1 || !slices.Equal(got[0].to, []string{"ann@example.com", "eve@example.com"}) {
				t.Fatalf("received %v", got)
			}
			if !slices.Equal(d.Done, []string{"ann@example.com", "eve@example.com"}) || d.Permanent || d.Uncertain || d.After != 0 {
				t.Errorf("%+v", d)
			}
			if e.Phase != mail.PhaseRcpt || len(e.Refused) != 1 || e.Refused[0].Address != "bob@example.com" || !strings.Contains(e.Error(), fmt.Sprint("bob@example.com: ", code)) {
				t.Errorf("%+v", e)
			}

			b.Done, b.Attempt = d.Done, 2
			again, _ := deliver(t, generous(t), h, b)
			if again.Permanent != (code == 550) || !slices.Equal(again.Done, d.Done) {
				t.Errorf("the second attempt: %+v", again)
			}
			if n := len(s.received()); n != 1 {
				t.Errorf("%d mails after a second attempt", n)
			}
		})
	}
	t.Run("the refused one gets the same mail later", func(t *testing.T) {
		s := newServer(t, script{})
		b := oneRecord()
		b.Done = []string{"ann@example.com", "eve@example.com"}
		if err := newHandler(t, s, three).HandleBatch(generous(t), b); err != nil {
			t.Fatal(err)
		}
		got := s.received()
		if len(got) != 1 || !slices.Equal(got[0].to, []string{"bob@example.com"}) {
			t.Fatalf("received %v", got)
		}
		if m := read(t, got[0].content); m.header.Get("To") != `"Ann" <ann@example.com>` || m.header.Get("Cc") != "<bob@example.com>" {
			t.Errorf("headers %v", m.header)
		}
	})
	t.Run("who is named twice gets it once", func(t *testing.T) {
		s := newServer(t, script{})
		h := newHandler(t, s, func(cfg *mail.Config) {
			cfg.To, cfg.Bcc = []string{"Ann <ann@example.com>"}, []string{"bob@example.com", "ann@example.com"}
		})
		if err := h.HandleBatch(generous(t), oneRecord()); err != nil {
			t.Fatal(err)
		}
		if got := s.received()[0].to; !slices.Equal(got, []string{"ann@example.com", "bob@example.com"}) {
			t.Errorf("sent to %q", got)
		}
	})
	t.Run("who all have it get nothing", func(t *testing.T) {
		s := newServer(t, script{})
		b := oneRecord()
		b.Done = []string{"ann@example.com", "bob@example.com", "eve@example.com"}
		if err := newHandler(t, s, three).HandleBatch(generous(t), b); err != nil {
			t.Error(err)
		}
		if accepted, _ := s.connections(); accepted != 0 {
			t.Error("the server was asked")
		}
	})
	t.Run("one 550 and one 451 are worth another attempt", func(t *testing.T) {
		s := newServer(t, script{acts: map[string]act{
			"ann@example.com": reply("550 who"), "bob@example.com": reply("451 later"), "eve@example.com": reply("550 who"),
		}})
		d, e := deliver(t, generous(t), newHandler(t, s, three), oneRecord())
		if d.Permanent || d.Done != nil || len(e.Refused) != 3 {
			t.Errorf("%+v", d)
		}
		if !slices.Contains(s.commands(), "QUIT") || slices.Contains(s.commands(), "DATA") {
			t.Errorf("the dialogue was %q", s.commands())
		}
	})
	t.Run("a refusal of the mail counts for all", func(t *testing.T) {
		s := newServer(t, script{acts: map[string]act{"bob@example.com": reply("451 later"), "end": reply("554 spam")}})
		if d, _ := deliver(t, generous(t), newHandler(t, s, three), oneRecord()); !d.Permanent || d.Done != nil {
			t.Errorf("%+v", d)
		}
	})
}

func TestHandler_leavesNothingBehindWhenItFails(t *testing.T) {
	descriptors := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc/self/fd to count")
		}
		return len(list)
	}
	descriptors()
	for name, sc := range map[string]script{
		"no STARTTLS":      {noTLS: true},
		"no handshake":     {acts: map[string]act{"handshake": cut}},
		"a refused EHLO":   {acts: map[string]act{"EHLO": reply("550 no"), "HELO": reply("550 no")}},
		"a refused MAIL":   {acts: map[string]act{"MAIL": reply("550 no")}},
		"a cut greeting":   {acts: map[string]act{"greeting": cut}},
		"a cut at the end": {acts: map[string]act{"end": cut}},
		"AUTH not offered": {extensions: []string{"AUTH"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, sc)
			h := newHandler(t, s, func(cfg *mail.Config) {
				cfg.TLS = mail.StartTLS
				if name == "AUTH not offered" {
					cfg.Username, cfg.Password = "shop", mail.Password("secret")
				}
			})
			deliver(t, generous(t), h, oneRecord())
			settled := func() bool { _, open := s.connections(); return open == 0 }
			peertest.WaitFor(t, "the end of the connections", settled)
			fds, goroutines := descriptors(), runtime.NumGoroutine()
			for range 50 {
				deliver(t, generous(t), h, oneRecord())
			}
			// No garbage collection comes first: it would close what was forgotten.
			peertest.WaitFor(t, "as many goroutines and files as before", func() bool { return settled() && runtime.NumGoroutine() <= goroutines && descriptors() <= fds })
		})
	}
}

func TestHandler_handleOutlivesTheCallersContext(t *testing.T) {
	s := newServer(t, script{})
	h := newHandler(t, s, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Handle(ctx, oneRecord().Items[0].Record); err != nil {
		t.Error(err)
	}
	if err := h.HandleBatch(ctx, oneRecord()); !errors.Is(err, context.Canceled) {
		t.Errorf("HandleBatch with a context that is over: %v", err)
	}
	if n := len(s.received()); n != 1 {
		t.Errorf("%d mails", n)
	}
}

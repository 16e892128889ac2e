package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"log/slog"
	"net"
	netmail "net/mail"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/stage"
)

// TLSMode says how the connection is encrypted.
type TLSMode int

const (
	// StartTLS begins in the clear and encrypts before anything is said that
	// matters (RFC 3207). A server that does not offer it gets no mail.
	StartTLS TLSMode = iota
	// Implicit encrypts from the first byte on (RFC 8314).
	Implicit
	// Opportunistic encrypts as StartTLS does if the server offers it, and
	// otherwise does without. Whoever controls the network between can have it
	// do without.
	Opportunistic
	// Plaintext never encrypts. It is for a server on the same machine.
	Plaintext
)

// String returns "starttls", "implicit", "opportunistic" or "plaintext".
func (m TLSMode) String() string {
	switch m {
	case StartTLS:
		return "starttls"
	case Implicit:
		return "implicit"
	case Opportunistic:
		return "opportunistic"
	case Plaintext:
		return "plaintext"
	}
	return fmt.Sprintf("TLSMode(%d)", int(m))
}

// Config says where mails go and what they look like. Host, From and a
// recipient are needed; all else has defaults. New copies what it needs.
type Config struct {
	// Host is the server's name or IP address, without a port. An IPv6 address
	// may stand in brackets.
	Host string

	// Port of the server. The default, 0, is what TLS makes usual: 587 for
	// StartTLS, 465 for Implicit, 25 for Opportunistic and Plaintext.
	Port int

	// TLS says how the connection is encrypted. The default is StartTLS.
	TLS TLSMode

	// TLSConfig is for a private certificate authority or a client certificate.
	// The default, nil, trusts what the system trusts. An empty ServerName is
	// Host, and a MinVersion of 0 is TLS 1.2.
	TLSConfig *tls.Config

	// HELO is the name under which the program introduces itself. The default is
	// the machine's name.
	HELO string

	// Timeout is how long to wait for the server at each step: for the
	// connection, for each answer, for each 64 KiB of the mail to leave. The
	// default, for 0 and below, is 15 seconds. For the answer to the whole mail,
	// during which servers look for viruses, it is ten times as long, since
	// giving up there may mean a second mail.
	Timeout time.Duration

	// Dial makes the connection, for those who need a proxy. It must honour ctx.
	// The default, nil, is that of a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Username to authenticate with. The default, "", does without. On a
	// connection that is not encrypted, credentials are sent only if Host is
	// localhost or a loopback address.
	Username string

	// Password returns the password, or the token for XOAUTH2. It is called for
	// each connection, before it is made, so that it may change, and must honour
	// ctx. For a constant there is [Password].
	Password func(ctx context.Context) (string, error)

	// Auth lists the mechanisms that may be used, best first: SCRAM-SHA-256-PLUS,
	// SCRAM-SHA-256, SCRAM-SHA-1-PLUS, SCRAM-SHA-1, PLAIN, LOGIN, CRAM-MD5 and
	// XOAUTH2. The first that the server offers is used; SCRAM with more than
	// 1048576 iterations is refused. The default, nil, is the list but for
	// XOAUTH2, which takes no password.
	Auth []string

	// From is the sender: shop@example.com or Shop <shop@example.com>.
	From string

	// To, Cc and Bcc are the recipients, one address each. Those in Bcc do not
	// show in the mail. An address that is not all ASCII needs a server with
	// SMTPUTF8 (RFC 6531).
	To, Cc, Bcc []string

	// Subject returns the subject. What it returns is made a single line of at
	// most 200 characters. The default, nil, is [Digest.Subject], on which it can
	// build:
	//
	//	Subject: func(d *mail.Digest) string { return "[shop] " + d.Subject() }
	Subject func(d *Digest) string

	// Text and HTML make the two forms of the mail from a [*Digest]. New tries
	// them. The defaults, for nil, show the records grouped, and up to 100
	// groups. Of a group they show the last record's attributes, and up to 3
	// values of one that differs, of the first 1000 records. If a template fails
	// when a mail is made, the default is used and the mail says why.
	Text *texttemplate.Template
	HTML *htmltemplate.Template

	// Fingerprint returns what records have in common that are one [Group]. The
	// default, nil, is level, message, logger, source line and, of a request to a
	// server, the string attribute route.
	Fingerprint func(v slogworks.View) string

	// MaxAttach is how many bytes of records are attached to the mail, as lines
	// of JSON in the form of slog.JSONHandler, the newest if not all fit or if
	// the server says that it takes less. The default, 0, is 5 MiB; below 0
	// nothing is attached.
	MaxAttach int64
}

// Password returns a function for [Config].Password that returns the constant
// password. A Config shows a function as an address when it is printed.
func Password(password string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return password, nil }
}

const (
	defaultTimeout   = 15 * time.Second
	defaultMaxAttach = 5 << 20
)

// core is a Config that was checked, with what follows from it.
type core struct {
	address   string // of the server, with port
	host      string
	mode      TLSMode
	tlsConfig *tls.Config
	helo      string
	timeout   time.Duration
	dial      func(context.Context, string, string) (net.Conn, error)

	username   string
	password   func(context.Context) (string, error)
	mechanisms []string

	from     *netmail.Address
	to, cc   []*netmail.Address
	envelope []string // addresses of all recipients, each once
	utf8     bool     // an address needs SMTPUTF8

	subject     func(*Digest) string
	text        *texttemplate.Template
	html        *htmltemplate.Template
	fingerprint func(slogworks.View) string
	maxAttach   int64
	hostname    string // this machine's
}

func newCore(cfg Config) (*core, error) {
	c := &core{
		host:        unbracketed(cfg.Host),
		mode:        cfg.TLS,
		timeout:     cfg.Timeout,
		dial:        cfg.Dial,
		username:    cfg.Username,
		password:    cfg.Password,
		subject:     cfg.Subject,
		text:        cfg.Text,
		html:        cfg.HTML,
		fingerprint: cfg.Fingerprint,
		maxAttach:   cmp.Or(cfg.MaxAttach, defaultMaxAttach),
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.dial == nil {
		c.dial = new(net.Dialer).DialContext
	}
	for _, settle := range []func(Config) error{c.settleServer, c.settleAuth, c.settleAddresses, c.settleTemplates} {
		if err := settle(cfg); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *core) settleServer(cfg Config) error {
	switch {
	case cfg.Host == "":
		return errors.New("mail: Host is empty: give the name of an SMTP server")
	case hasPort(c.host):
		return fmt.Errorf("mail: Host %q has a port: it belongs in Port", cfg.Host)
	case !isHost(c.host):
		return fmt.Errorf("mail: Host %q has characters that no host name has", cfg.Host)
	case cfg.TLS < StartTLS || cfg.TLS > Plaintext:
		return fmt.Errorf("mail: TLS is %v: use StartTLS, Implicit, Opportunistic or Plaintext", cfg.TLS)
	case cfg.Port < 0 || cfg.Port > 65535:
		return fmt.Errorf("mail: Port is %d: use 0 to 65535", cfg.Port)
	case cfg.HELO != "" && !isToken(cfg.HELO):
		return fmt.Errorf("mail: HELO %q has characters that no host name has", cfg.HELO)
	}
	usual := map[TLSMode]int{StartTLS: 587, Implicit: 465, Opportunistic: 25, Plaintext: 25}
	c.address = net.JoinHostPort(c.host, strconv.Itoa(cmp.Or(cfg.Port, usual[cfg.TLS])))

	c.tlsConfig = cfg.TLSConfig.Clone()
	if c.tlsConfig == nil {
		c.tlsConfig = new(tls.Config)
	}
	c.tlsConfig.ServerName = cmp.Or(c.tlsConfig.ServerName, c.host)
	c.tlsConfig.MinVersion = cmp.Or(c.tlsConfig.MinVersion, tls.VersionTLS12)

	// Without a name the mail is still worth sending.
	c.hostname, _ = os.Hostname()
	c.helo = cmp.Or(cfg.HELO, c.hostname)
	if !isToken(c.helo) {
		c.helo = "localhost"
	}
	return nil
}

// unbracketed returns an IPv6 address without the brackets that it has in URLs.
func unbracketed(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok && isIP(inner) {
			return inner
		}
	}
	return host
}

func hasPort(host string) bool {
	_, _, err := net.SplitHostPort(host)
	return err == nil && !isIP(host)
}

func isHost(s string) bool {
	return isToken(s) && (!strings.Contains(s, ":") || isIP(s))
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// isToken reports whether s can stand in a line of SMTP as one word.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~'
	})
}

func (c *core) settleAuth(cfg Config) error {
	switch {
	case cfg.Username == "" && cfg.Password != nil:
		return errors.New("mail: there is a Password and no Username")
	case cfg.Username != "" && cfg.Password == nil:
		return errors.New("mail: there is a Username and no Password")
	case cfg.Username != "" && cfg.TLS == Plaintext && !isLoopback(c.host):
		return fmt.Errorf("mail: the password would go to %s unencrypted: use StartTLS or Implicit", cfg.Host)
	}
	c.mechanisms = slices.Clone(cfg.Auth)
	for i, name := range c.mechanisms {
		c.mechanisms[i] = strings.ToUpper(name)
		if !slices.Contains(allMechanisms, c.mechanisms[i]) {
			return fmt.Errorf("mail: Auth[%d] is %q: use %s", i, name, strings.Join(allMechanisms, ", "))
		}
	}
	if len(c.mechanisms) == 0 {
		c.mechanisms = defaultMechanisms
	}
	return nil
}

// isLoopback goes by the name and not by where the connection leads, since a
// proxy on this machine would look the same.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// settleTemplates tries the templates, so that a name that is spelled wrong is
// found before something else goes wrong.
func (c *core) settleTemplates(Config) error {
	r := slog.NewRecord(time.Now(), slog.LevelError, "message", 0)
	r.AddAttrs(slog.String("key", "value"))
	d := c.digest(slogworks.Batch{
		ID:    "id",
		Kind:  slogworks.Digest,
		Items: []slogworks.Item{{Context: context.Background(), Record: r}},
	})
	if c.text != nil {
		if err := execute(c.text, io.Discard, d); err != nil {
			return fmt.Errorf("mail: Text: %w", err)
		}
	}
	if c.html != nil {
		if err := execute(c.html, io.Discard, d); err != nil {
			return fmt.Errorf("mail: HTML: %w", err)
		}
	}
	return nil
}

// executer is a template of either kind.
type executer interface {
	Execute(w io.Writer, data any) error
}

// execute turns a panic of what a template calls into an error; those of
// methods and functions the template packages catch, those of String they do
// not.
func execute(t executer, w io.Writer, d *Digest) (err error) {
	defer stage.Rescue(&err)
	return t.Execute(w, d)
}

package mail

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail/smtp"
)

// defaultMechanisms prefers those by which the server does not learn the
// password, and CRAM-MD5 last, which wants a server to store it in the clear. A
// mechanism that fails is not followed by the next: two failures per attempt are
// the sooner way to a locked account.
var defaultMechanisms = []string{
	"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5",
}

var allMechanisms = append(slices.Clone(defaultMechanisms), "XOAUTH2")

// choose returns the first mechanism that the server offers.
func (s *session) choose(password string) (smtp.Auth, error) {
	c := s.core
	encryption, err := s.client.GetTLSConnectionState()
	if err != nil && !isLoopback(c.host) {
		return nil, fmt.Errorf("the connection is not encrypted, so that %s gets no password: use StartTLS or Implicit", c.host)
	}
	ok, list := s.client.Extension("AUTH")
	if !ok {
		return nil, fmt.Errorf("%s takes no password on this port, and will not until the configuration changes: leave Username empty or use another Port", c.host)
	}
	offered := strings.Fields(strings.ToUpper(list))
	for _, name := range c.mechanisms {
		if !slices.Contains(offered, name) || strings.HasSuffix(name, "-PLUS") && encryption == nil {
			continue
		}
		return brief{c.mechanism(name, password, encryption)}, nil
	}
	return nil, fmt.Errorf("%s offers %s and Auth allows %s", c.host, s.secret.hide(strings.Join(offered, " ")), strings.Join(c.mechanisms, " "))
}

func (c *core) mechanism(name, password string, encryption *tls.ConnectionState) smtp.Auth {
	switch name {
	case "SCRAM-SHA-256-PLUS":
		return smtp.ScramSHA256PlusAuth(c.username, password, encryption)
	case "SCRAM-SHA-256":
		return smtp.ScramSHA256Auth(c.username, password)
	case "SCRAM-SHA-1-PLUS":
		return smtp.ScramSHA1PlusAuth(c.username, password, encryption)
	case "SCRAM-SHA-1":
		return smtp.ScramSHA1Auth(c.username, password)
	case "LOGIN":
		return smtp.LoginAuth(c.username, password, c.host, true)
	case "CRAM-MD5":
		return smtp.CRAMMD5Auth(c.username, password)
	case "XOAUTH2":
		return smtp.XOAuth2Auth(c.username, password)
	}
	return smtp.PlainAuth("", c.username, password, c.host, true)
}

// maxIterations is how many times SCRAM may hash the password: some ten times
// what servers ask for, and a second or two.
const maxIterations = 1 << 20

var errIterations = fmt.Errorf("the server wants the password hashed more than %d times, which is not done", maxIterations)

// brief is a mechanism that does not compute for a server that asks for more than
// that, since no context ends it.
type brief struct{ smtp.Auth }

func (b brief) Next(challenge []byte, more bool) ([]byte, error) {
	if fields := strings.Split(string(challenge), ","); more && len(fields) > 2 && strings.HasPrefix(fields[0], "r=") {
		count, _ := strings.CutPrefix(fields[2], "i=")
		if n, err := strconv.Atoi(count); err != nil || n > maxIterations {
			return nil, errIterations
		}
	}
	return b.Auth.Next(challenge, more)
}

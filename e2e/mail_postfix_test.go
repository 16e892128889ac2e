package e2e_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer/mail"
	"github.com/slogworks/slogworks/e2e/real"
)

// postfix is a Postfix of the test's own. It takes mails for example.test over
// encrypted connections only.
type postfix struct {
	dir  string
	cert certificate

	mx         int // a port for anyone, for recipients it knows
	submission int // a port for whom Cyrus SASL knows
	smtps      int // the same, encrypted from the first byte on
}

const (
	saslUser     = "shop@example.test"
	saslPassword = "пароль & \"quotes\""
)

// Postfix's processes run in the queue, and what those that are not root use is
// named from there: the directories that lead to it may be closed to them.
const postfixMain = `
compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = ../data
mail_owner = postfix
setgid_group = postdrop
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s

myhostname = mx.example.test
mydestination =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtputf8_enable = yes
strict_smtputf8 = yes

virtual_mailbox_domains = example.test
virtual_mailbox_base = /proc/self/cwd/mail
virtual_mailbox_maps = inline:{%[4]s}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1

smtpd_recipient_restrictions =
	check_recipient_access inline:{
		{left@example.test = 550 5.1.6 left the company}
		{later@example.test = 450 4.2.0 try again later}}
	reject_unauth_destination
	reject_unlisted_recipient

smtpd_tls_cert_file = %[2]s
smtpd_tls_key_file = %[3]s
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_received_header = yes

smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
smtpd_sasl_authenticated_header = yes
`

const postfixMaster = `
127.0.0.1:%[1]d inet n - n - - smtpd
127.0.0.1:%[2]d inet n - n - - smtpd
	-o smtpd_sasl_auth_enable=yes
	-o smtpd_client_restrictions=permit_sasl_authenticated,reject
127.0.0.1:%[3]d inet n - n - - smtpd
	-o smtpd_sasl_auth_enable=yes
	-o smtpd_client_restrictions=permit_sasl_authenticated,reject
	-o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

const saslConfig = `
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: ../config/sasl/db
mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256
`

// startPostfix starts one that has mailboxes of these names.
func startPostfix(t *testing.T, mailboxes ...string) *postfix {
	t.Helper()
	program := real.Program(t, "postfix")
	saslpasswd := real.Program(t, "saslpasswd2")
	if os.Geteuid() != 0 {
		real.Missing(t, "root, as whom Postfix has to be started,")
	}
	p := &postfix{dir: t.TempDir(), cert: newCertificate(t)}
	ports := freePorts(t, 3)
	p.mx, p.submission, p.smtps = ports[0], ports[1], ports[2]

	config := filepath.Join(p.dir, "config")
	sasl := filepath.Join(config, "sasl") // where Debian's Postfix looks
	for _, dir := range []string{config, sasl, p.maildir("")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(p.maildir(""), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, name := range mailboxes {
		known = append(known, name+"@example.test="+name+"/")
	}
	writeFile(t, filepath.Join(config, "main.cf"),
		fmt.Sprintf(postfixMain, p.dir, p.cert.certFile, p.cert.keyFile, strings.Join(known, ", ")))
	writeFile(t, filepath.Join(config, "master.cf"),
		fmt.Sprintf(postfixMaster, p.mx, p.submission, p.smtps))
	saslFile := filepath.Join(sasl, "smtpd.conf")
	writeFile(t, saslFile, saslConfig)

	database := filepath.Join(sasl, "db")
	user, domain, _ := strings.Cut(saslUser, "@")
	add := exec.CommandContext(t.Context(), saslpasswd, "-p", "-c", "-f", database, "-u", domain, user)
	add.Stdin = strings.NewReader(saslPassword)
	if output, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", add.Args, err, output)
	}
	for _, file := range []string{saslFile, database} {
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}

	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.log(t))
		}
	})
	// It becomes a daemon, which a shell stops when the test ends, even if the
	// test is killed.
	started := keepRunning(t, real.Program(t, "sh"), "-c", `
		trap '' HUP INT TERM
		"$1" -c "$2" start >&2 || exit 1
		echo started
		read -r _
		"$1" -c "$2" stop >&2`, "sh", program, config)
	if started != "started" {
		t.Fatalf("postfix is not started but %q", started)
	}
	return p
}

// maildir returns where the mails to a mailbox are.
func (p *postfix) maildir(name string) string { return filepath.Join(p.dir, "queue", "mail", name) }

func (p *postfix) log(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		t.Error(err)
	}
	return string(content)
}

// logins returns how many mails came from whom a mechanism made known.
func (p *postfix) logins(t *testing.T, mechanism string) int {
	t.Helper()
	return strings.Count(p.log(t), "sasl_method="+mechanism+",")
}

// config returns one that sends to these mailboxes.
func (p *postfix) config(mailboxes ...string) mail.Config {
	c := mail.Config{
		Host:      "127.0.0.1",
		Port:      p.mx,
		TLSConfig: p.cert.trust,
		HELO:      "shop.example.org",
		From:      "Shop <shop@example.org>",
	}
	for _, name := range mailboxes {
		c.To = append(c.To, name+"@example.test")
	}
	return c
}

// freePorts returns ports of 127.0.0.1 that nobody uses.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		// All are open until all are found, so that they differ.
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

func TestMail_isTakenByPostfix(t *testing.T) {
	mechanisms := []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"}
	mailboxes := []string{"once", "twice", "ops", "zoe", "сова", "buffered", "implicit", "nobody"}
	for _, m := range mechanisms {
		mailboxes = append(mailboxes, strings.ToLower(m))
	}
	server := startPostfix(t, mailboxes...)

	t.Run("a mail arrives as it was sent, over TLS", func(t *testing.T) {
		b := incident("20261121-once")
		deliver(t, server.config("once"), b)
		m := receive(t, server.maildir("once"), 1)[0]
		checkIncident(t, m, "<20261121-once@example.org>")
		if got := m.header("Received"); !strings.Contains(got, "using TLSv1.3") {
			t.Errorf("Received: %s", got)
		}
	})

	t.Run("a batch that is sent twice has the same Message-ID", func(t *testing.T) {
		b := incident("20261121-twice")
		deliver(t, server.config("twice"), b)
		b.Attempt = 2
		deliver(t, server.config("twice"), b)
		for _, m := range receive(t, server.maildir("twice"), 2) {
			if got := m.header("Message-ID"); got != "<20261121-twice@example.org>" {
				t.Errorf("Message-ID: %s", got)
			}
		}
	})

	t.Run("who is refused does not keep the others from having it", func(t *testing.T) {
		config := server.config("ops", "left", "unknown", "later", "zoe")
		b := incident("20261121-partly")
		failure, cause := undelivered(t, config, b)
		if want := []string{"ops@example.test", "zoe@example.test"}; !slices.Equal(failure.Done, want) {
			t.Errorf("done for %q, want %q", failure.Done, want)
		}
		if failure.Permanent || failure.Uncertain {
			t.Errorf("not to be tried again: %v", failure)
		}
		var refused []string
		for _, r := range cause.Refused {
			refused = append(refused, r.Address+" "+r.Err.Error()[:3])
		}
		if want := []string{"left@example.test 550", "unknown@example.test 550", "later@example.test 450"}; cause.Phase != mail.PhaseRcpt || !slices.Equal(refused, want) {
			t.Errorf("refused in %s: %q, want %q", cause.Phase, refused, want)
		}
		if !strings.Contains(cause.Error(), "left the company") {
			t.Errorf("the error does not say why: %v", cause)
		}

		// The next attempt knows who has it.
		b.Attempt, b.Done = 2, failure.Done
		if again, _ := undelivered(t, config, b); !slices.Equal(again.Done, failure.Done) || again.Permanent {
			t.Errorf("the second attempt: %v", again)
		}
		for _, name := range []string{"ops", "zoe"} {
			m := receive(t, server.maildir(name), 1)[0]
			checkIncident(t, m, "<20261121-partly@example.org>")
		}
	})

	t.Run("who is refused for good is not tried again", func(t *testing.T) {
		failure, cause := undelivered(t, server.config("left", "unknown"), incident("20261121-refused"))
		if !failure.Permanent || len(cause.Refused) != 2 || len(failure.Done) > 0 {
			t.Errorf("%v", failure)
		}
	})

	t.Run("an address may be in any script", func(t *testing.T) {
		deliver(t, server.config("сова"), incident("20261121-utf8"))
		m := receive(t, server.maildir("сова"), 1)[0]
		if len(m.Defects) == 1 && strings.Contains(m.Defects[0], "NonASCIILocalPart") {
			m.Defects = nil // Python knows RFC 5322 and not RFC 6532
		}
		checkIncident(t, m, "<20261121-utf8@example.org>")
		if got := m.header("To"); got != "<сова@example.test>" && got != "сова@example.test" {
			t.Errorf("To: %s", got)
		}
	})

	t.Run("a buffer remembers who has a mail", func(t *testing.T) {
		sendsToTheRest(t, server.config(), "buffered@example.test", server.maildir("buffered"), "later@example.test")
	})

	for _, mechanism := range mechanisms {
		t.Run("it knows the sender by "+mechanism, func(t *testing.T) {
			mailbox := strings.ToLower(mechanism)
			config := server.config(mailbox)
			config.Port, config.Username, config.Password = server.submission, saslUser, mail.Password(saslPassword)
			config.Auth = []string{mechanism}
			deliver(t, config, incident("20261121-auth"))
			m := receive(t, server.maildir(mailbox), 1)[0]
			if got := m.header("Received"); !strings.Contains(got, "Authenticated sender: "+saslUser) || !strings.Contains(got, "using TLSv1.3") {
				t.Errorf("Received: %s", got)
			}
			if !real.Eventually(func() bool { return server.logins(t, mechanism) == 1 }) {
				t.Errorf("not by %s", mechanism)
			}
		})
	}

	t.Run("without a list the best mechanism is chosen, and encryption may come first", func(t *testing.T) {
		config := server.config("implicit")
		config.TLS, config.Port = mail.Implicit, server.smtps
		config.Username, config.Password = saslUser, mail.Password(saslPassword)
		before := server.logins(t, "SCRAM-SHA-256")
		deliver(t, config, incident("20261121-implicit"))
		m := receive(t, server.maildir("implicit"), 1)[0]
		checkIncident(t, m, "<20261121-implicit@example.org>")
		if got := m.header("Received"); !strings.Contains(got, "Authenticated sender: "+saslUser) {
			t.Errorf("Received: %s", got)
		}
		if !real.Eventually(func() bool { return server.logins(t, "SCRAM-SHA-256") == before+1 }) {
			t.Error("not by SCRAM-SHA-256")
		}
	})

	for _, mechanism := range mechanisms {
		t.Run("a wrong password is found out by "+mechanism, func(t *testing.T) {
			const wrong = "geheimnis-1234"
			config := server.config("nobody")
			config.Port, config.Username, config.Password = server.submission, saslUser, mail.Password(wrong)
			config.Auth = []string{mechanism}
			failure, cause := undelivered(t, config, incident("20261121-wrong"))
			if failure.Permanent || failure.After < time.Minute || cause.Phase != mail.PhaseAuth || cause.Code != 535 {
				t.Errorf("%+v, %+v", failure, cause)
			}
			if strings.Contains(failure.Error(), wrong) {
				t.Errorf("the password is in %q", failure)
			}
			if err := newMail(t, config).Verify(t.Context()); !errors.As(err, &cause) || cause.Code != 535 {
				t.Errorf("Verify: %v", err)
			}
		})
	}

	t.Run("a certificate of nobody known gets no mail", func(t *testing.T) {
		config := server.config("nobody")
		config.TLSConfig = nil
		failure, cause := undelivered(t, config, incident("20261121-unknown"))
		var verification *tls.CertificateVerificationError
		if failure.Permanent || failure.After < time.Minute || cause.Phase != mail.PhaseTLS || !errors.As(cause, &verification) {
			t.Errorf("%+v, %+v", failure, cause)
		}
	})

	t.Run("without encryption it takes no mail", func(t *testing.T) {
		config := server.config("nobody")
		config.TLS = mail.Plaintext
		failure, cause := undelivered(t, config, incident("20261121-plain"))
		if failure.Permanent || failure.After < time.Minute || cause.Code != 530 {
			t.Errorf("%+v, %+v", failure, cause)
		}
	})

	if names, err := filepath.Glob(filepath.Join(server.maildir("nobody"), "new", "*")); err != nil || len(names) > 0 {
		t.Errorf("mails that were not to arrive: %q, %v", names, err)
	}
}

// undelivered delivers b and returns why that failed.
func undelivered(t *testing.T, config mail.Config, b slogworks.Batch) (*slogworks.DeliveryError, *mail.Error) {
	t.Helper()
	err := newMail(t, config).HandleBatch(t.Context(), b)
	failure, ok := err.(*slogworks.DeliveryError)
	if !ok {
		t.Fatalf("the error is %v", err)
	}
	cause, ok := failure.Err.(*mail.Error)
	if !ok {
		t.Fatalf("the cause is %v", failure.Err)
	}
	return failure, cause
}

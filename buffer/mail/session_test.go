package mail_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks/buffer/mail"
	"github.com/slogworks/slogworks/internal/peertest"
)

func TestHandler_authenticates(t *testing.T) {
	users := map[string]string{"shop": "pässword with spaces"}
	credentials := func(cfg *mail.Config) { cfg.Username, cfg.Password = "shop", mail.Password(users["shop"]) }
	for name, test := range map[string]struct {
		script script
		auth   []string
		want   string // beginning of the command
	}{
		"by PLAIN before LOGIN":       {script{extensions: []string{"AUTH LOGIN PLAIN"}, users: users}, nil, "AUTH PLAIN "},
		"by LOGIN":                    {script{extensions: []string{"AUTH LOGIN"}, users: users}, nil, "AUTH LOGIN"},
		"by what Auth prefers":        {script{extensions: []string{"AUTH PLAIN LOGIN"}, users: users}, []string{"login", "PLAIN"}, "AUTH LOGIN"},
		"in the clear to loopback":    {script{extensions: []string{"AUTH PLAIN"}, users: users, noTLS: true}, nil, "AUTH PLAIN "},
		"after implicit encryption":   {script{extensions: []string{"AUTH PLAIN"}, users: users, implicit: true}, nil, "AUTH PLAIN "},
		"without -PLUS when in clear": {script{extensions: []string{"AUTH SCRAM-SHA-256-PLUS PLAIN"}, users: users, noTLS: true}, nil, "AUTH PLAIN "},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.script)
			h := newHandler(t, s, func(cfg *mail.Config) {
				credentials(cfg)
				cfg.Auth = test.auth
			})
			if err := h.HandleBatch(generous(t), oneRecord()); err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(s.commands(), func(line string) bool { return strings.HasPrefix(line, test.want) }) {
				t.Errorf("the dialogue was %q", s.commands())
			}
			if n := len(s.received()); n != 1 {
				t.Errorf("%d mails", n)
			}
		})
	}
	t.Run("by each mechanism that it knows", func(t *testing.T) {
		for _, name := range []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"} {
			s := newServer(t, script{extensions: []string{"AUTH GSSAPI " + name}, acts: map[string]act{"AUTH": reply("535 5.7.8 no")}})
			h := newHandler(t, s, func(cfg *mail.Config) {
				credentials(cfg)
				cfg.Auth = []string{name}
			})
			if _, e := deliver(t, generous(t), h, oneRecord()); e.Code != 535 {
				t.Errorf("%s: %v", name, e)
			}
			if !slices.ContainsFunc(s.commands(), func(line string) bool { return line == "AUTH "+name || strings.HasPrefix(line, "AUTH "+name+" ") }) {
				t.Errorf("%s: the dialogue was %q", name, s.commands())
			}
		}
	})
	t.Run("never with XOAUTH2 unless told", func(t *testing.T) {
		s := newServer(t, script{extensions: []string{"AUTH XOAUTH2"}})
		if _, e := deliver(t, generous(t), newHandler(t, s, credentials), oneRecord()); e.Code != 0 || !strings.Contains(e.Error(), "offers XOAUTH2 and Auth allows SCRAM-SHA-256-PLUS ") {
			t.Errorf("%v", e)
		}
	})
	t.Run("with a password that changes", func(t *testing.T) {
		s := newServer(t, script{extensions: []string{"AUTH PLAIN"}, users: map[string]string{"shop": "2"}})
		n := 0
		h := newHandler(t, s, func(cfg *mail.Config) {
			cfg.Username, cfg.Password = "shop", func(context.Context) (string, error) {
				n++
				return fmt.Sprint(n), nil
			}
		})
		deliver(t, generous(t), h, oneRecord())
		if err := h.HandleBatch(generous(t), oneRecord()); err != nil {
			t.Error(err)
		}
	})
	t.Run("never in the clear to another machine", func(t *testing.T) {
		s := newServer(t, script{extensions: []string{"AUTH PLAIN LOGIN CRAM-MD5"}, users: users, noTLS: true})
		h := newHandler(t, s, func(cfg *mail.Config) {
			credentials(cfg)
			cfg.TLS, cfg.Host = mail.Opportunistic, "mail.example.com"
			cfg.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, s.listener.Addr().String())
			}
		})
		d, e := deliver(t, generous(t), h, oneRecord())
		if e.Phase != mail.PhaseAuth || !strings.Contains(e.Error(), "not encrypted") || d.After != later {
			t.Errorf("%v", d)
		}
		if slices.ContainsFunc(s.commands(), func(line string) bool { return strings.HasPrefix(line, "AUTH") }) {
			t.Errorf("the dialogue was %q", s.commands())
		}
	})
}

func TestHandler_hidesThePassword(t *testing.T) {
	const password = `correct "horse"`
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	forms := []string{password, encode(password), encode("\x00shop\x00" + password)}
	for key := range map[string]bool{"AUTH": true, "MAIL": true, "ops@example.com": true, "end": true} {
		for _, form := range forms {
			for _, code := range []string{"535", "334"} {
				s := newServer(t, script{
					extensions: []string{"AUTH PLAIN"}, users: map[string]string{"shop": password},
					acts: map[string]act{key: reply(code + " you said " + form)},
				})
				h := newHandler(t, s, func(cfg *mail.Config) { cfg.Username, cfg.Password = "shop", mail.Password(password) })
				err := h.HandleBatch(generous(t), oneRecord())
				if err == nil {
					t.Fatal("no error")
				}
				for ; err != nil; err = errors.Unwrap(err) {
					for _, secret := range forms {
						text := fmt.Sprintf("%v %+v %#v", err, err, err)
						if strings.Contains(text, secret) || strings.Contains(text, strings.Trim(fmt.Sprintf("%q", secret), `"`)) || strings.Contains(text, "horse") {
							t.Errorf("%s: the error holds the password: %v", key, err)
						}
					}
				}
			}
		}
	}
	cfg := mail.Config{Password: mail.Password(password)}
	if text := fmt.Sprintf("%+v %#v", cfg, cfg); strings.Contains(text, password) {
		t.Errorf("a Config prints as %s", text)
	}
}

// What is ours to say is no secret, and a hole in it would spell one.
func TestHandler_hidesOnlyWhatMayHoldThePassword(t *testing.T) {
	const notShown = "(not shown: the password is in it)"
	for name, test := range map[string]struct {
		password string
		script   script
		change   func(*mail.Config)
		want     string // end of the error
	}{
		"not its own words": {
			"p", script{noTLS: true}, nil,
			": AUTH: 127.0.0.1 takes no password on this port, and will not until the configuration changes: leave Username empty or use another Port",
		},
		"not its own words, be they the password": {"password", script{noTLS: true}, nil, "leave Username empty or use another Port"},
		"nor those about a server without STARTTLS": {
			"STARTTLS", script{noTLS: true}, func(cfg *mail.Config) { cfg.TLS = mail.StartTLS },
			"the server does not offer STARTTLS: use Implicit, another port, or Plaintext for a server on this machine",
		},
		"nor errors of dialling": {
			"tcp", script{}, func(cfg *mail.Config) {
				cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
					return nil, errors.New("dial tcp 127.0.0.1: refused")
				}
			},
			": connect: dial tcp 127.0.0.1: refused",
		},
		"nor those of certificates": {
			"certificate", script{}, func(cfg *mail.Config) { cfg.TLSConfig = nil },
			": TLS: tls: failed to verify certificate: x509: certificate signed by unknown authority",
		},
		"nor parts of the server's words, if it is short": {
			"p", script{acts: map[string]act{"MAIL": reply("550 stop, spammer.p3")}}, nil, `stop, spammer.p3"`,
		},
		"but a short one that is a word of the server's": {
			"p", script{acts: map[string]act{"MAIL": reply("550 stop, 'p' is no password")}}, nil, `550 "` + notShown + `"`,
		},
		"and one of four characters anywhere": {
			"pass", script{acts: map[string]act{"MAIL": reply("550 the password is wrong")}}, nil, `550 "` + notShown + `"`,
		},
		"and in what one recipient is refused with": {
			"pass", script{acts: map[string]act{"ops@example.com": reply("550 the password is wrong")}}, nil, `ops@example.com: 550 "` + notShown + `"`,
		},
		"and in the second of two answers": {
			"pass", script{acts: map[string]act{"EHLO": reply("550 no"), "HELO": reply("550 your pass")}}, nil, `550 "` + notShown + `"`,
		},
		"and in mechanisms": {
			"GSSAPI", script{extensions: []string{"AUTH GSSAPI"}}, nil, "127.0.0.1 offers " + notShown + " and Auth allows PLAIN",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if test.script.extensions == nil && !strings.Contains(test.want, "use ") {
				test.script.extensions = []string{"AUTH PLAIN"}
			}
			test.script.users = map[string]string{"shop": test.password}
			h := newHandler(t, newServer(t, test.script), func(cfg *mail.Config) {
				cfg.Username, cfg.Password, cfg.Auth = "shop", mail.Password(test.password), []string{"PLAIN"}
				if test.change != nil {
					test.change(cfg)
				}
			})
			_, e := deliver(t, generous(t), h, oneRecord())
			if !strings.HasSuffix(e.Error(), test.want) {
				t.Errorf("the error is\n%s\nwant at its end\n%s", e, test.want)
			}
		})
	}
	t.Run("and in what Password complains of", func(t *testing.T) {
		h := newHandler(t, newServer(t, script{}), func(cfg *mail.Config) {
			cfg.Username, cfg.Password = "shop", func(context.Context) (string, error) {
				return "hunter2", errors.New("hunter2 has expired")
			}
		})
		if _, e := deliver(t, generous(t), h, oneRecord()); !strings.HasSuffix(e.Error(), ": password: "+notShown) {
			t.Errorf("%v", e)
		}
	})
}

func TestHandler_encryptsAsItIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		mode      mail.TLSMode
		script    script
		encrypted bool
	}{
		"StartTLS":                             {mail.StartTLS, script{}, true},
		"Implicit":                             {mail.Implicit, script{implicit: true}, false},
		"Opportunistic where it is offered":    {mail.Opportunistic, script{}, true},
		"Opportunistic where it is not":        {mail.Opportunistic, script{noTLS: true}, false},
		"Plaintext although STARTTLS is there": {mail.Plaintext, script{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.script)
			h := newHandler(t, s, func(cfg *mail.Config) { cfg.TLS = test.mode })
			if err := h.HandleBatch(generous(t), oneRecord()); err != nil {
				t.Fatal(err)
			}
			if got := slices.Contains(s.commands(), "STARTTLS"); got != test.encrypted {
				t.Errorf("the dialogue was %q", s.commands())
			}
			if len(s.received()) != 1 {
				t.Error("no mail")
			}
		})
	}
	t.Run("Opportunistic insists on the certificate", func(t *testing.T) {
		s := newServer(t, script{})
		h := newHandler(t, s, func(cfg *mail.Config) { cfg.TLS, cfg.TLSConfig = mail.Opportunistic, nil })
		if _, e := deliver(t, generous(t), h, oneRecord()); e.Phase != mail.PhaseTLS {
			t.Errorf("%v", e)
		}
	})
}

func TestHandler_verify(t *testing.T) {
	s := newServer(t, script{extensions: []string{"AUTH PLAIN"}, users: map[string]string{"shop": "secret"}})
	credentials := func(password string) func(*mail.Config) {
		return func(cfg *mail.Config) { cfg.Username, cfg.Password = "shop", mail.Password(password) }
	}
	if err := newHandler(t, s, credentials("secret")).Verify(generous(t)); err != nil {
		t.Error(err)
	}
	verbs := []string{}
	for _, line := range s.commands() {
		verb, _, _ := strings.Cut(line, " ")
		verbs = append(verbs, verb)
	}
	if want := []string{"EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"}; !slices.Equal(verbs, want) {
		t.Errorf("the dialogue was %q, want %q", verbs, want)
	}
	err := newHandler(t, s, credentials("wrong")).Verify(generous(t))
	var e *mail.Error
	if !errors.As(err, &e) || e.Phase != mail.PhaseAuth || e.Code != 535 {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := newHandler(t, s, credentials("secret")).Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	peertest.WaitFor(t, "the end of the connections", func() bool { _, open := s.connections(); return open == 0 })
}

// No context ends a computation, so that a server must not ask for a long one.
func TestHandler_hashesAPasswordOnlySoManyTimes(t *testing.T) {
	for _, count := range []string{"2000000000", "99999999999999999999", "x"} {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			in := bufio.NewScanner(server)
			for answer := "220 hello"; ; {
				if _, err := fmt.Fprint(server, answer, "\r\n"); err != nil || !in.Scan() {
					return
				}
				first, _ := base64.StdEncoding.DecodeString(in.Text())
				_, nonce, isFirst := strings.Cut(string(first), ",r=")
				switch verb, _, _ := strings.Cut(in.Text(), " "); {
				case isFirst:
					answer = "334 " + base64.StdEncoding.EncodeToString([]byte("r="+nonce+"x,s=c2FsdA==,i="+count))
				case verb == "EHLO":
					answer = "250-hello\r\n250 AUTH SCRAM-SHA-256"
				case verb == "AUTH":
					answer = "334 "
				default:
					answer = "501 no"
				}
			}
		}()
		h, err := mail.New(mail.Config{
			Host: "localhost", TLS: mail.Plaintext, From: "a@example.com", To: []string{"b@example.com"},
			Username: "shop", Password: mail.Password("secret"),
			Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Verify(generous(t)); err == nil || !strings.Contains(err.Error(), "hashed") {
			t.Errorf("Verify returned %v", err)
		}
	}
}

// What Config has of functions may do what it likes.
func TestHandler_survivesTheFunctionsOfItsConfig(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*mail.Config)
		want   string
	}{
		"a Dial without a connection": {
			func(cfg *mail.Config) {
				cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, nil }
			},
			": connect: neither a connection nor an error from Config.Dial",
		},
		"a Dial that panics": {
			func(cfg *mail.Config) {
				cfg.Dial = func(context.Context, string, string) (net.Conn, error) { panic("no proxy") }
			},
			": connect: panic: no proxy",
		},
		"a TLSConfig that panics": {
			func(cfg *mail.Config) {
				cfg.TLSConfig.VerifyConnection = func(tls.ConnectionState) error { panic("no trust") }
			},
			": TLS: panic: no trust",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, script{})
			h := newHandler(t, s, func(cfg *mail.Config) {
				cfg.TLS = mail.StartTLS
				test.change(cfg)
			})
			_, e := deliver(t, generous(t), h, oneRecord())
			if !strings.HasSuffix(e.Error(), test.want) {
				t.Errorf("the error is\n%s\nwant at its end\n%s", e, test.want)
			}
			peertest.WaitFor(t, "the end of the connections", func() bool { _, open := s.connections(); return open == 0 })
		})
	}
}

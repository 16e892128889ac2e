package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"log/slog"
	"net/url"
	texttemplate "text/template"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer/mail"
	"github.com/slogworks/slogworks/config"
	"github.com/slogworks/slogworks/sinks/redis"
)

// newRegistry returns the kinds of handlers that documents of the program may
// name: those of package config, and those that need a module which config does
// without.
func newRegistry() *config.Registry {
	r := config.NewRegistry()
	config.Register(r, "mail", newMail)
	config.Register(r, "redis", newRedis)
	return r
}

type redisOptions struct {
	_              struct{}        `doc:"records to a Redis server; put a queue in front"`
	URL            string          `config:"url,required" doc:"redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// with TLS, or unix:///PATH"`
	Password       config.Secret   `doc:"the password, unless the url has it"`
	Channel        string          `doc:"publish to this channel; default slogworks, if there is no stream and no list either"`
	Stream         string          `doc:"add to the stream under this key"`
	List           string          `doc:"append to the list under this key"`
	MaxLen         int64           `doc:"about how many entries the stream keeps; default 100000, below 0: all"`
	MaxList        int64           `doc:"how many records the list keeps; default 10000, below 0: all"`
	Format         string          `enum:"wire,redislog" doc:"wire keeps the kind of every value, redislog is the form of Python's python-redis-log; default wire"`
	TLS            config.TLS      `doc:"for a url rediss://"`
	MaxRecordBytes config.Size     `doc:"how long a record may be; default 64KiB"`
	DialTimeout    config.Duration `doc:"bounds connecting; default 2s"`
	Timeout        config.Duration `doc:"bounds a round trip; default 5s"`
	Backoff        config.Backoff  `doc:"how long no attempt is made after one has failed; default 100ms to 5s"`
	Host           string          `doc:"the host that records are said to come from; default this machine's name"`
	Process        string          `doc:"the process that records are said to come from; default the program's name"`
}

func (o *redisOptions) sink() *redis.Options {
	return &redis.Options{
		Channel: o.Channel, Stream: o.Stream, List: o.List, MaxLen: o.MaxLen, MaxList: o.MaxList,
		Format:         map[string]redis.Format{"redislog": redis.RedisLog}[o.Format],
		MaxRecordBytes: int(o.MaxRecordBytes), DialTimeout: o.DialTimeout.Std(), Timeout: o.Timeout.Std(),
		Backoff: o.Backoff.Std(), Host: o.Host, Process: o.Process,
	}
}

// Check reports what does not go together.
func (o *redisOptions) Check() error {
	if err := redis.Check(o.URL, o.sink()); err != nil {
		return err
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return errors.New("url is none") // redis.Check has seen to that, and err may have the password in it
	}
	_, hasPassword := u.User.Password()
	switch {
	case hasPassword && o.Password != (config.Secret{}):
		return errors.New("there is a password in url and another beside it: one of the two")
	case o.TLS != (config.TLS{}) && u.Scheme != "rediss":
		return errors.New("tls is for a url rediss://")
	}
	return nil
}

func newRedis(_ context.Context, o redisOptions, _ *config.Env) (slog.Handler, error) {
	opts := o.sink()
	var err error
	if opts.TLS, err = o.TLS.Config(); err != nil {
		return nil, err
	}
	server := o.URL
	if password := o.Password.Reveal(); password != "" {
		u, err := url.Parse(server)
		if err != nil {
			return nil, errors.New("url is none")
		}
		u.User = url.UserPassword(u.User.Username(), password)
		server = u.String()
	}
	if err := redis.Check(server, opts); err != nil { // now that files were read
		return nil, err
	}
	return redis.New(server, opts), nil
}

type mailOptions struct {
	_         struct{}        `doc:"records by electronic mail; put a buffer in front, or a queue"`
	Host      string          `config:"host,required" doc:"the mail server"`
	Port      int             `doc:"default what tls makes usual: 587, 465 for implicit, 25 for opportunistic and plaintext"`
	TLS       string          `enum:"starttls,implicit,opportunistic,plaintext" doc:"how the connection is encrypted; default starttls, without which no mail is sent"`
	TLSConfig config.TLS      `doc:"for a certificate authority of one's own, or a client's certificate"`
	HELO      string          `config:"helo" doc:"the name under which the program introduces itself; default the machine's"`
	Timeout   config.Duration `doc:"how long to wait for the server at each step; default 15s"`
	Username  string          `doc:"who to log in as; default nobody"`
	Password  config.Secret   `doc:"the password of username, or the token for XOAUTH2"`
	Auth      []string        `doc:"mechanisms to log in by, best first; default all that take a password"`
	From      string          `config:"from,required" doc:"the sender: shop@example.com or Shop <shop@example.com>"`
	To        []string        `doc:"recipients"`
	Cc        []string        `doc:"recipients of a copy"`
	Bcc       []string        `doc:"recipients that do not show in the mail"`
	Subject   string          `doc:"a template of Go's text/template, of what package mail calls a Digest; default {{.Subject}}"`
	Text      string          `doc:"a template of Go's text/template for the mail as text; default one of the program"`
	HTML      string          `config:"html" doc:"a template of Go's html/template for the mail as HTML; default one of the program"`
	MaxAttach config.Size     `doc:"how many bytes of records are attached; default 5MiB"`
	NoAttach  bool            `doc:"attach nothing"`
}

// subject returns what makes the subject of a mail, nil for the default. fail,
// unless nil, hears why the template cannot be used for a digest.
func (o *mailOptions) subject(fail func(error)) (func(*mail.Digest) string, error) {
	if o.Subject == "" {
		return nil, nil
	}
	t, err := texttemplate.New("subject").Parse(o.Subject)
	if err != nil {
		return nil, err
	}
	return func(d *mail.Digest) string {
		var b bytes.Buffer
		if err := t.Execute(&b, d); err != nil {
			if fail != nil {
				fail(err)
			}
			return d.Subject() // a mail with another subject is better than none
		}
		return b.String()
	}, nil
}

// sink returns what the options say, but for what is in files.
func (o *mailOptions) sink(fail func(error)) (*mail.Config, error) {
	c := &mail.Config{
		Host: o.Host, Port: o.Port, HELO: o.HELO, Timeout: o.Timeout.Std(), Username: o.Username, Auth: o.Auth,
		TLS:  map[string]mail.TLSMode{"implicit": mail.Implicit, "opportunistic": mail.Opportunistic, "plaintext": mail.Plaintext}[o.TLS],
		From: o.From, To: o.To, Cc: o.Cc, Bcc: o.Bcc, MaxAttach: int64(o.MaxAttach),
	}
	if o.Password != (config.Secret{}) {
		c.Password = mail.Password(o.Password.Reveal())
	}
	if o.NoAttach {
		c.MaxAttach = -1
	}
	var err error
	if c.Subject, err = o.subject(fail); err != nil {
		return nil, err
	}
	if o.Text != "" {
		if c.Text, err = texttemplate.New("text").Parse(o.Text); err != nil {
			return nil, err
		}
	}
	if o.HTML != "" {
		if c.HTML, err = htmltemplate.New("html").Parse(o.HTML); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Check reports what package mail would refuse.
func (o *mailOptions) Check() error {
	if o.Password != (config.Secret{}) && o.Username == "" {
		return errors.New("there is a password and no username")
	}
	if o.NoAttach && o.MaxAttach != 0 {
		return errors.New("no_attach and max_attach are two ways: choose one")
	}
	var failed error
	c, err := o.sink(func(err error) { failed = err })
	if err != nil {
		return err
	}
	h, err := mail.New(*c)
	if err != nil {
		return err
	}
	// New has tried the other templates.
	r := slog.NewRecord(time.Now(), slog.LevelError, "message", 0)
	_, err = h.Message(slogworks.Batch{Items: []slogworks.Item{{Context: context.Background(), Record: r}}})
	return errors.Join(failed, err)
}

func newMail(_ context.Context, o mailOptions, _ *config.Env) (slog.Handler, error) {
	c, err := o.sink(nil)
	if err != nil {
		return nil, err
	}
	if c.TLSConfig, err = o.TLSConfig.Config(); err != nil {
		return nil, fmt.Errorf("tls_config: %w", err)
	}
	return mail.New(*c)
}

package config

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/sinks/httpsink"
	"github.com/slogworks/slogworks/sinks/socket"
	"github.com/slogworks/slogworks/sinks/syslog"
)

// Backoff is an option that says how long to wait between attempts; 0 is the
// default of what it is an option of.
type Backoff struct {
	Min        Duration `doc:"before the first retry"`
	Max        Duration `doc:"the longest wait"`
	MaxElapsed Duration `doc:"how long after the first attempt to give up; 0 is never"`
}

// Std returns the backoff as handlers take it.
func (b Backoff) Std() slogworks.Backoff {
	return slogworks.Backoff{Min: b.Min.Std(), Max: b.Max.Std(), MaxElapsed: b.MaxElapsed.Std()}
}

// TLS is an option for what connects by TLS.
type TLS struct {
	CAFile     string `config:"ca_file" doc:"certificates in PEM that sign the server's; default those of the system"`
	CertFile   string `doc:"this client's certificate in PEM, with key_file"`
	KeyFile    string `doc:"the key of cert_file"`
	ServerName string `doc:"the name that the server's certificate has to have; default the host of the address"`
}

// Check reports whether both or none of the certificate and its key are there.
func (t TLS) Check() error {
	if (t.CertFile == "") != (t.KeyFile == "") {
		return errors.New("cert_file and key_file go together")
	}
	return nil
}

// digest adds what the files hold: a certificate that was renewed is another.
func (t TLS) digest(w io.Writer) error {
	for _, path := range []string{t.CAFile, t.CertFile, t.KeyFile} {
		if path == "" {
			continue
		}
		content, err := readFile(path, maxPEM)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%d %s", len(content), content)
	}
	return nil
}

// maxPEM is how much is read of a file in PEM.
const maxPEM = 1 << 20

// Config reads the files and returns what they say, nil if t is zero.
func (t TLS) Config() (*tls.Config, error) {
	if t == (TLS{}) {
		return nil, nil
	}
	c := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := readFile(t.CAFile, maxPEM)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", t.CAFile)
		}
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// stand returns what stands for the configuration where files are not to be
// read yet.
func (t TLS) stand() *tls.Config {
	if t == (TLS{}) {
		return nil
	}
	return new(tls.Config)
}

type socketOptions struct {
	_            struct{} `doc:"records to another process over a socket; put a queue in front"`
	Address      string   `config:"address,required" doc:"tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:///PATH or unixgram:///PATH"`
	Framing      string   `enum:"length32,lf,octet" doc:"how a stream is divided into records; default length32"`
	TLS          TLS      `doc:"for an address tls://"`
	Token        Secret   `doc:"what the receiver asks for"`
	Ack          bool     `doc:"wait until the receiver says that it has the record"`
	MaxFrame     Size     `doc:"how many bytes a record may have; default 1MiB, for datagrams 65507"`
	DialTimeout  Duration `doc:"bounds connecting; default 5s"`
	WriteTimeout Duration `doc:"bounds a write, and the wait for an acknowledgement; default 10s"`
	Backoff      Backoff  `doc:"how long no new connection is tried after one has failed; default 1s to 30s"`
	Host         string   `doc:"the host that records are said to come from; default this machine's name"`
	Process      string   `doc:"the process that records are said to come from; default the program's name"`
}

func (o *socketOptions) sink(c *tls.Config) *socket.Options {
	framings := map[string]socket.Framing{"length32": socket.Length32, "lf": socket.LF, "octet": socket.Octet}
	return &socket.Options{
		Framing: framings[o.Framing], TLS: c, Token: o.Token.Reveal(), Ack: o.Ack, MaxFrame: int(o.MaxFrame),
		DialTimeout: o.DialTimeout.Std(), WriteTimeout: o.WriteTimeout.Std(), Backoff: o.Backoff.Std(),
		Host: o.Host, Process: o.Process,
	}
}

// Check reports what is wrong with the address, or does not fit it.
func (o *socketOptions) Check() error {
	if err := socket.Check(o.Address, nil); err != nil {
		return aboutAddress(err, "socket: target")
	}
	return socket.Check(o.Address, o.sink(o.TLS.stand()))
}

// aboutAddress returns an error for the operator, who wrote an address and no
// target of a package.
func aboutAddress(err error, prefix string) error {
	return &optionError{"address", strings.TrimLeft(strings.TrimPrefix(err.Error(), prefix), ": ")}
}

func newSocket(_ context.Context, o socketOptions, _ *Env) (slog.Handler, error) {
	c, err := o.TLS.Config()
	if err != nil {
		return nil, err
	}
	opts := o.sink(c)
	if err := socket.Check(o.Address, opts); err != nil { // now that files were read
		return nil, err
	}
	return socket.New(o.Address, opts), nil
}

type syslogOptions struct {
	_              struct{}        `doc:"records to a syslog daemon; put a queue in front"`
	Address        string          `config:"address,required" doc:"local: for this machine's daemon, or udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, unix:///PATH, unixgram:///PATH"`
	Format         string          `enum:"rfc5424,rfc3164" doc:"default rfc5424, for local: rfc3164"`
	Framing        string          `enum:"octet,lf" doc:"how a stream is divided into messages; default octet, for local: lf"`
	Facility       syslog.Facility `doc:"such as daemon or local0; default user"`
	Hostname       string          `doc:"default the machine's name"`
	AppName        string          `doc:"default the program's name"`
	ProcID         string          `config:"proc_id" doc:"default the process id"`
	MsgID          string          `config:"msg_id" doc:"default none"`
	SDID           string          `config:"sd_id" doc:"the name of the structured data that holds the attributes; default slog@32473"`
	AddSource      bool            `doc:"say where in the program a record was logged"`
	MaxRecordBytes Size            `doc:"how many bytes a message may have; default 8KiB"`
	TLS            TLS             `doc:"for an address tls://"`
	DialTimeout    Duration        `doc:"bounds connecting; default 5s"`
	WriteTimeout   Duration        `doc:"bounds a write; default 10s"`
	Backoff        Backoff         `doc:"how long no new connection is tried after one has failed; default 1s to 30s"`
}

func (o *syslogOptions) sink(c *tls.Config) *syslog.Options {
	return &syslog.Options{
		Format:   map[string]syslog.Format{"rfc5424": syslog.RFC5424, "rfc3164": syslog.RFC3164}[o.Format],
		Framing:  map[string]syslog.Framing{"octet": syslog.Octet, "lf": syslog.LF}[o.Framing],
		Facility: o.Facility, Hostname: o.Hostname, AppName: o.AppName, ProcID: o.ProcID, MsgID: o.MsgID, SDID: o.SDID,
		AddSource: o.AddSource, MaxRecordBytes: int(o.MaxRecordBytes), TLS: c,
		DialTimeout: o.DialTimeout.Std(), WriteTimeout: o.WriteTimeout.Std(), Backoff: o.Backoff.Std(),
	}
}

// Check reports what is wrong with the address, or does not fit it.
func (o *syslogOptions) Check() error {
	if err := syslog.Check(o.Address, nil); err != nil {
		return aboutAddress(err, "syslog: target")
	}
	return syslog.Check(o.Address, o.sink(o.TLS.stand()))
}

func newSyslog(_ context.Context, o syslogOptions, _ *Env) (slog.Handler, error) {
	c, err := o.TLS.Config()
	if err != nil {
		return nil, err
	}
	return syslog.New(o.Address, o.sink(c)), nil
}

type httpOptions struct {
	_          struct{}          `doc:"records to a collector over HTTP; put a queue in front"`
	URL        Secret            `config:"url,required" doc:"http:// or https://, with a user and a password if need be"`
	Format     string            `enum:"ndjson,array,wire" doc:"the form of the body; default ndjson"`
	AddSource  bool              `doc:"say where in the program a record was logged"`
	MaxBytes   Size              `doc:"how long a body may be; default 1MiB"`
	Gzip       bool              `doc:"compress the body"`
	Bearer     Secret            `doc:"sent as Authorization: Bearer"`
	HMACKey    Secret            `doc:"signs the body"`
	HMACHeader string            `doc:"the header with the signature; default X-Signature-256"`
	Header     map[string]Secret `doc:"further headers of each request"`
	TLS        TLS               `doc:"for https://"`
	Timeout    Duration          `doc:"bounds a request; default 10s"`
	Backoff    Backoff           `doc:"how long no request is made after one has failed; default 1s to 30s"`
	Host       string            `doc:"the host that records are said to come from; default this machine's name"`
	Process    string            `doc:"the process that records are said to come from; default the program's name"`
}

func (o *httpOptions) sink(onError func(error)) *httpsink.Options {
	return &httpsink.Options{
		Format:    map[string]httpsink.Format{"ndjson": httpsink.NDJSON, "array": httpsink.Array, "wire": httpsink.Wire}[o.Format],
		AddSource: o.AddSource, MaxBytes: int(o.MaxBytes), Gzip: o.Gzip, Bearer: o.Bearer.Reveal(),
		HMACKey: []byte(o.HMACKey.Reveal()), HMACHeader: o.HMACHeader, Header: headerOf(o.Header),
		Timeout: o.Timeout.Std(), Backoff: o.Backoff.Std(), Host: o.Host, Process: o.Process, OnError: onError,
	}
}

func headerOf(secrets map[string]Secret) http.Header {
	h := http.Header{}
	for name, value := range secrets {
		h.Set(name, value.Reveal())
	}
	return h
}

// Check reports what does not fit the URL, if that is known yet.
func (o *httpOptions) Check() error {
	to := o.URL.Reveal()
	if to == "" {
		return nil
	}
	if o.TLS != (TLS{}) && len(to) >= len("http:") && strings.EqualFold(to[:len("http:")], "http:") {
		return errors.New("tls is for https://")
	}
	return httpsink.Check(to, o.sink(nil))
}

func newHTTP(_ context.Context, o httpOptions, env *Env) (slog.Handler, error) {
	if err := o.Check(); err != nil { // now that files were read
		return nil, err
	}
	opts := o.sink(env.OnError)
	c, err := o.TLS.Config()
	if err != nil {
		return nil, err
	}
	if c == nil {
		return httpsink.New(o.URL.Reveal(), opts), nil
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: c, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second,
	}
	opts.Client = &http.Client{Transport: transport}
	return &httpsTo{httpsink.New(o.URL.Reveal(), opts), transport}, nil
}

// httpsTo is a sink whose connections are the configuration's, and so its to
// close.
type httpsTo struct {
	slogworks.BatchHandler
	transport *http.Transport
}

func (h *httpsTo) Unwrap() slog.Handler { return h.BatchHandler }

func (h *httpsTo) Shutdown(ctx context.Context) error {
	defer h.transport.CloseIdleConnections()
	return slogworks.Shutdown(ctx, h.BatchHandler)
}

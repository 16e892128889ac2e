package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// serverFlags are what commands that take records from the network are told
// about it on the command line.
type serverFlags struct {
	listen      []endpoint
	maxFrame    int64
	maxConns    int
	idle, frame time.Duration
	accessFlags
}

// accessFlags say who may connect.
type accessFlags struct {
	tokenFile        string
	cert, key, caKey string
	allowRemote      bool

	// What read finds in the files.
	token string
	tls   *tls.Config // nil if there is no certificate
}

// add defines the flags. Where to listen by default is only a text here.
func (o *serverFlags) add(flags *flagSet, listenDefault string) {
	o.maxFrame, o.maxConns, o.idle, o.frame = 1<<20, 256, 5*time.Minute, 30*time.Second
	flags.Func("listen", fmt.Sprintf("take records at the `URL`, such as tcp://127.0.0.1:9020, syslog+udp://127.0.0.1:5514, http://127.0.0.1:9021/log or unix:///run/log.sock, of %s; may be repeated (default %s)", list(schemeNames()), listenDefault), func(text string) error {
		e, err := parseEndpoint(text)
		o.listen = append(o.listen, e)
		return err
	})
	sizeFlag(flags, &o.maxFrame, "max-frame", "refuse records of more than this `SIZE` (default 1MiB)")
	countFlag(flags, &o.maxConns, 1, "max-conns", "have no more than `N` connections to each --listen (default 256)")
	durationFlag(flags, &o.idle, "idle-timeout", "close connections that are silent for the `DURATION` (default 5m)")
	durationFlag(flags, &o.frame, "frame-timeout", "refuse records that take longer than the `DURATION` to arrive (default 30s)")
	o.accessFlags.add(flags)
}

func (o *accessFlags) add(flags *flagSet) {
	textFlag(flags, &o.tokenFile, "token-file", "ask for the token in the `FILE` (default: that in SLOGWORKS_TOKEN, if any)")
	textFlag(flags, &o.cert, "tls-cert", "the server's certificate, a `FILE` in PEM, for tls://")
	textFlag(flags, &o.key, "tls-key", "its key, a `FILE` in PEM")
	textFlag(flags, &o.caKey, "tls-client-ca", "ask clients for a certificate of the authority in the `FILE`")
	flags.BoolVar(&o.allowRemote, "allow-remote", false, "listen where other machines can reach it without TLS and a token")
}

func list(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// load reads the files and returns an error if anything does not fit together.
func (o *serverFlags) load() error {
	const minFrame, frameLimit = 2 << 10, 16 << 20 // those of socket.Receiver
	if o.maxFrame < minFrame || o.maxFrame >= frameLimit {
		return usagef("--max-frame is not from 2KiB to less than 16MiB")
	}
	if err := o.read(); err != nil {
		return err
	}
	for _, e := range o.listen {
		if e.isTLS && o.tls == nil {
			return usagef("--listen %s needs --tls-cert and --tls-key", e)
		}
		if !e.isLocal() && !o.allowRemote && (!e.isTLS || o.token == "") {
			return usagef("--listen %s can be reached by other machines: use tls:// and a token, or --allow-remote", e)
		}
	}
	return nil
}

// read reads the files.
func (o *accessFlags) read() (err error) {
	if o.token, err = readToken(o.tokenFile); err != nil {
		return err
	}
	o.tls, err = serverTLS(o.cert, o.key, o.caKey)
	return err
}

// serverTLS returns the configuration for the files, nil if there are none.
// Clients need a certificate of the authority if one is given.
func serverTLS(certFile, keyFile, clientCAFile string) (*tls.Config, error) {
	if certFile == "" && keyFile == "" && clientCAFile == "" {
		return nil, nil
	}
	if certFile == "" || keyFile == "" {
		return nil, usagef("--tls-cert and --tls-key are needed together")
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	if clientCAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(clientCAFile)
	if err != nil {
		return nil, err
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM", clientCAFile)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}

// readToken returns the token: what is in the file if there is one, or else in
// the environment.
func readToken(file string) (string, error) {
	if file == "" {
		variable := os.Getenv("SLOGWORKS_TOKEN")
		token := strings.TrimSpace(variable)
		if variable != "" && token == "" {
			return "", errors.New("SLOGWORKS_TOKEN has blanks and no token")
		}
		return token, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("--token-file: %s has no token", file)
	}
	return token, nil
}

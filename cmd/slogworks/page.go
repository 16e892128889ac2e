package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/slogworks/slogworks/sinks/live"
)

// page serves a hub.
type page struct {
	hub      *live.Hub
	listener net.Listener
	isTLS    bool
	server   *http.Server
	served   chan struct{}
}

// newPage returns a page that is served at the listener, over TLS if there is a
// configuration.
func newPage(hub *live.Hub, l net.Listener, config *tls.Config, report func(error)) *page {
	if config != nil {
		// People come with the token and not with a certificate.
		config = config.Clone()
		config.ClientAuth, config.ClientCAs = tls.NoClientCert, nil
	}
	return &page{hub: hub, listener: l, isTLS: config != nil, served: make(chan struct{}), server: &http.Server{
		Handler:           hub,
		TLSConfig:         config,
		ErrorLog:          log.New(reporter(report), "", 0),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}}
}

// reporter makes an error of each line of a log.
type reporter func(error)

func (report reporter) Write(line []byte) (int, error) {
	report(errors.New(strings.TrimSuffix(string(line), "\n")))
	return len(line), nil
}

// url returns the address that lets a browser in. The host is the one that the
// browser is to ask for.
func (p *page) url(host string) string {
	scheme := "http"
	if p.isTLS {
		scheme = "https"
	}
	_, port, _ := net.SplitHostPort(p.listener.Addr().String()) // as package net made it
	return fmt.Sprintf("%s://%s/?token=%s", scheme, net.JoinHostPort(host, port), url.QueryEscape(p.hub.Token()))
}

// serve starts to serve. If that fails, fail is called with a fatalError.
func (p *page) serve(fail func(error)) {
	go func() {
		defer close(p.served)
		serve := func() error { return p.server.Serve(p.listener) }
		if p.isTLS {
			serve = func() error { return p.server.ServeTLS(p.listener, "", "") }
		}
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			fail(&fatalError{err})
		}
	}()
}

// shutdown gives the browsers what they have yet to get. One that does not take
// it is cut off, which loses nothing that was not theirs to take.
func (p *page) shutdown(ctx context.Context) {
	_ = p.hub.Shutdown(ctx)
	if p.server.Shutdown(ctx) != nil {
		_ = p.server.Close()
	}
	<-p.served
}

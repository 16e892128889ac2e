package socket

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
)

// target is where a Handler sends to.
type target struct {
	network, address string // as net.Dial takes them
	isDatagram       bool
	isTLS            bool
}

func parseTarget(text string) (target, error) {
	u, err := url.Parse(text)
	if err != nil {
		// The error has the text in it, which may hold a password.
		return target{}, errors.New("socket: target: not a URL: want tcp://HOST:PORT")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return target{}, fmt.Errorf("socket: target %s://…: want nothing but an address; a token is an option", u.Scheme)
	}
	t := target{network: u.Scheme}
	switch u.Scheme {
	case "tcp", "tls", "udp":
		t.address = u.Host
		if _, port, err := net.SplitHostPort(u.Host); err != nil || port == "" || u.Path != "" && u.Path != "/" {
			return target{}, fmt.Errorf("socket: target %q: want %s://HOST:PORT", text, u.Scheme)
		}
	case "unix", "unixgram":
		t.address = filepath.FromSlash(u.Path)
		if u.Host != "" || u.Path == "" {
			return target{}, fmt.Errorf("socket: target %q: want %s:///PATH", text, u.Scheme)
		}
	default:
		return target{}, fmt.Errorf("socket: target %q: want tcp://, tls://, udp://, unix:// or unixgram://", text)
	}
	t.isDatagram = u.Scheme == "udp" || u.Scheme == "unixgram"
	if u.Scheme == "tls" {
		t.network, t.isTLS = "tcp", true
	}
	return t, nil
}

func (t target) check(opts *Options) error {
	switch {
	case opts == nil:
		return nil
	case opts.TLS != nil && !t.isTLS:
		return fmt.Errorf("socket: TLS for a target %s://: want tls://", t.network)
	case opts.Ack && t.isDatagram:
		return fmt.Errorf("socket: Ack for a target %s://: datagrams are not acknowledged", t.network)
	case opts.Framing < Length32 || opts.Framing > Octet:
		return fmt.Errorf("socket: Framing %d: want Length32, LF or Octet", opts.Framing)
	}
	return nil
}

// config returns a copy of the configuration for the target.
func (t target) config(c *tls.Config) *tls.Config {
	if !t.isTLS {
		return nil
	}
	if c == nil {
		c = new(tls.Config)
	}
	c = c.Clone()
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(t.address)
	}
	return c
}

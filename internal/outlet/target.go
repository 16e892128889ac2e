package outlet

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
)

// Target is where an [Outlet] leads to, as net.Dial takes it.
type Target struct {
	Network, Address string
	IsTLS            bool
}

// ParseTarget reads a target, in the name of the package pkg, which has further
// targets of its own to name in an error. No error repeats what may be a secret.
func ParseTarget(pkg, text string, further ...string) (Target, error) {
	forms := append([]string{"tcp://HOST:PORT", "tls://", "udp://", "unix:///PATH", "unixgram://"}, further...)
	last := len(forms) - 1
	want := strings.Join(forms[:last], ", ") + " or " + forms[last]
	u, err := url.Parse(text)
	if err != nil { // the error has the text in it
		return Target{}, fmt.Errorf("%s: target: not a URL: want %s", pkg, want)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return Target{}, fmt.Errorf("%s: target %s://…: want nothing but an address; the rest are options", pkg, u.Scheme)
	}
	shown := text
	if u.Host != "" {
		shown = u.Scheme + "://" + u.Host // a path that has no business there may be a secret
	}
	t := Target{Network: u.Scheme}
	switch u.Scheme {
	case "tcp", "tls", "udp":
		t.Address = u.Host
		if _, port, err := net.SplitHostPort(u.Host); err != nil || port == "" || u.Path != "" && u.Path != "/" {
			return Target{}, fmt.Errorf("%s: target %q: want %s://HOST:PORT", pkg, shown, u.Scheme)
		}
	case "unix", "unixgram":
		t.Address = filepath.FromSlash(u.Path)
		if u.Host != "" || u.Path == "" {
			return Target{}, fmt.Errorf("%s: target %q: want %s:///PATH", pkg, text, u.Scheme)
		}
	default:
		return Target{}, fmt.Errorf("%s: target %q: want %s", pkg, shown, want)
	}
	if u.Scheme == "tls" {
		t.Network, t.IsTLS = "tcp", true
	}
	return t, nil
}

// IsDatagram reports whether it takes nothing but datagrams.
func (t Target) IsDatagram() bool { return t.Network == "udp" || t.Network == "unixgram" }

// IsFile reports whether it is a socket in the file system.
func (t Target) IsFile() bool { return t.Network == "unix" || t.Network == "unixgram" }

func (t Target) dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, t.Network, t.Address)
}

// config returns a copy of the configuration for the target, nil for one without
// TLS.
func (t Target) config(c *tls.Config) *tls.Config {
	if !t.IsTLS {
		return nil
	}
	if c == nil {
		c = new(tls.Config)
	}
	c = c.Clone()
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(t.Address)
	}
	return c
}

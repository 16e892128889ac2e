package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/slogworks/slogworks/internal/guard"
)

// scheme is a kind of endpoint.
type scheme struct {
	name    string
	network string // of package net
	isTLS   bool
	hasPath bool // HOST:PORT is followed by one

	// receive returns what reads the records that arrive there.
	receive func(e endpoint, s *intakeSettings) receiver
}

// schemes are all that can be listened at.
var schemes = []scheme{
	{name: "tcp", network: "tcp", receive: socketReceiver},
	{name: "tls", network: "tcp", receive: socketReceiver, isTLS: true},
	{name: "udp", network: "udp", receive: socketReceiver},
	{name: "unix", network: "unix", receive: socketReceiver},
	{name: "unixgram", network: "unixgram", receive: socketReceiver},
	{name: "syslog+udp", network: "udp", receive: syslogReceiver},
	{name: "syslog+tcp", network: "tcp", receive: syslogReceiver},
	{name: "syslog+unixgram", network: "unixgram", receive: syslogReceiver},
	{name: "http", network: "tcp", receive: httpReceiver, hasPath: true},
}

func schemeNames() []string {
	names := make([]string, len(schemes))
	for i, s := range schemes {
		names[i] = s.name
	}
	return names
}

// endpoint is an address to listen at, as it is given on the command line.
type endpoint struct {
	scheme
	address string // HOST:PORT or the path of a socket
	path    string // if the scheme has one
}

func (e endpoint) String() string { return e.name + "://" + e.address + e.path }

// isStream reports whether connections are accepted there.
func (e endpoint) isStream() bool { return e.network == "tcp" || e.network == "unix" }

// isSocketFile reports whether the address is a path.
func (e endpoint) isSocketFile() bool { return strings.HasPrefix(e.network, "unix") }

// isLocal reports whether only this machine can reach it.
func (e endpoint) isLocal() bool { return e.isSocketFile() || isLocalAddress(e.address) }

// isLocalAddress reports whether only this machine can reach HOST:PORT.
func isLocalAddress(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && guard.IsLoopback(host)
}

// isEveryAddress reports whether to listen at HOST is to listen at every address
// of this machine.
func isEveryAddress(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// parseEndpoint reads tcp://127.0.0.1:9020, unix:///run/log.sock and the like.
func parseEndpoint(text string) (endpoint, error) {
	const example = "such as tcp://127.0.0.1:9020 or unix:///run/log.sock"
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		return endpoint{}, errors.New("not a URL " + example)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return endpoint{}, errors.New("USER@, ?QUERY and #FRAGMENT mean nothing there; for a token there is --token-file")
	}
	i := slices.IndexFunc(schemes, func(s scheme) bool { return s.name == u.Scheme })
	if i < 0 {
		return endpoint{}, fmt.Errorf("unknown scheme %q%s", u.Scheme, hint(u.Scheme, schemeNames()))
	}
	e := endpoint{scheme: schemes[i], address: u.Host, path: u.Path}
	if e.isSocketFile() {
		if e.address, e.path = u.Path, ""; u.Host != "" || e.address == "" {
			return endpoint{}, fmt.Errorf("not %s:///PATH, %s", e.name, example)
		}
		return e, nil
	}
	if e.hasPath {
		if checkAddress(u.Host) != nil || e.path == "" {
			return endpoint{}, fmt.Errorf("not %s://HOST:PORT/PATH, such as %[1]s://127.0.0.1:9021/log", e.name)
		}
		return e, nil
	}
	host, _, err := net.SplitHostPort(u.Host)
	if err != nil || host == "" || u.Path != "" {
		return endpoint{}, fmt.Errorf("not %s://HOST:PORT, %s", e.name, example)
	}
	return e, checkAddress(u.Host)
}

// checkAddress accepts HOST:PORT.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("not HOST:PORT, such as 127.0.0.1:0")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port %q is not a number from 0 to 65535", port)
	}
	return nil
}

// checkLoopback accepts HOST:PORT where only this machine can reach it.
func checkLoopback(address string) error {
	if err := checkAddress(address); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(address) // checkAddress has seen to that
	if !guard.IsLoopback(host) {
		return fmt.Errorf("host %q is not this machine alone; use 127.0.0.1, [::1] or localhost", host)
	}
	return nil
}

// listener is what an endpoint has become: one of the two is set.
type listener struct {
	endpoint // with the port that it got
	stream   net.Listener
	packets  net.PacketConn
}

// listen opens the endpoint.
func (e endpoint) listen() (l listener, err error) {
	if e.isSocketFile() {
		if err := removeStale(e.address, e.network); err != nil {
			return l, err
		}
	}
	l.endpoint = e
	if e.isStream() {
		if l.stream, err = net.Listen(e.network, e.address); err == nil {
			l.address = l.stream.Addr().String()
		}
		return l, err
	}
	if l.packets, err = net.ListenPacket(e.network, e.address); err != nil {
		return l, err
	}
	l.address = l.packets.LocalAddr().String()
	if unix, ok := l.packets.(*net.UnixConn); ok {
		l.packets = &packetSocket{UnixConn: unix, path: e.address}
	}
	return l, nil
}

// packetSocket removes its file when it is closed, as a net.UnixListener does.
type packetSocket struct {
	*net.UnixConn
	path string
	once sync.Once // another may be there later
}

func (s *packetSocket) Close() error {
	s.once.Do(func() { _ = os.Remove(s.path) }) // who starts next would do it
	return s.UnixConn.Close()
}

func (l listener) close() {
	if l.stream != nil {
		l.stream.Close()
	}
	if l.packets != nil {
		l.packets.Close()
	}
}

// removeStale removes a socket that nobody listens at any more, such as one that
// was left by a process that was killed.
func removeStale(path, network string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s is there and is no socket", path)
	}
	conn, err := net.Dial(network, path)
	switch {
	case err == nil:
		conn.Close()
	case errors.Is(err, fs.ErrNotExist): // it has just ended
		return nil
	case errors.Is(err, syscall.ECONNREFUSED), runtime.GOOS == "windows": // which has a number of its own for it
		return os.Remove(path)
	}
	// Any other error is about one that is alive: of another kind, or full, or
	// not for this user.
	return fmt.Errorf("%s is in use", path)
}

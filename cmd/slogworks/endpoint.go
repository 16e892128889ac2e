package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// endpoint is an address to listen at, as it is given on the command line.
type endpoint struct {
	scheme  string // tcp, tls, udp, unix or unixgram
	address string // HOST:PORT or a path
}

func (e endpoint) String() string { return e.scheme + "://" + e.address }

// isStream reports whether connections are accepted there.
func (e endpoint) isStream() bool { return e.scheme != "udp" && e.scheme != "unixgram" }

// isLocal reports whether only this machine can reach it.
func (e endpoint) isLocal() bool {
	if e.scheme == "unix" || e.scheme == "unixgram" {
		return true
	}
	host, _, _ := net.SplitHostPort(e.address) // parseEndpoint has seen to that
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// parseEndpoint reads tcp://127.0.0.1:9020, unix:///run/log.sock and the like.
func parseEndpoint(text string) (endpoint, error) {
	const example = "such as tcp://127.0.0.1:9020 or unix:///run/log.sock"
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		return endpoint{}, errors.New("not a URL " + example)
	}
	e := endpoint{scheme: u.Scheme, address: u.Host}
	switch u.Scheme {
	case "tcp", "tls", "udp":
		host, port, err := net.SplitHostPort(u.Host)
		if err != nil || host == "" || u.Path != "" {
			return endpoint{}, fmt.Errorf("not %s://HOST:PORT, %s", u.Scheme, example)
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return endpoint{}, fmt.Errorf("port %q is not a number from 0 to 65535", port)
		}
	case "unix", "unixgram":
		if e.address = u.Path; u.Host != "" || e.address == "" {
			return endpoint{}, fmt.Errorf("not %s:///PATH, %s", u.Scheme, example)
		}
	default:
		known := []string{"tcp", "tls", "udp", "unix", "unixgram"}
		return endpoint{}, fmt.Errorf("unknown scheme %q%s", u.Scheme, hint(u.Scheme, known))
	}
	return e, nil
}

// listener is what an endpoint has become: one of the two is set.
type listener struct {
	endpoint // with the port that it got
	stream   net.Listener
	packets  net.PacketConn
}

// listen opens the endpoint.
func (e endpoint) listen() (l listener, err error) {
	network := e.scheme
	switch e.scheme {
	case "tls":
		network = "tcp"
	case "unix", "unixgram":
		if err := removeStale(e.address, network); err != nil {
			return l, err
		}
	}
	l.endpoint = e
	if e.isStream() {
		if l.stream, err = net.Listen(network, e.address); err == nil {
			l.address = l.stream.Addr().String()
		}
	} else if l.packets, err = net.ListenPacket(network, e.address); err == nil {
		l.address = l.packets.LocalAddr().String()
	}
	return l, err
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
	if conn, err := net.Dial(network, path); err == nil {
		conn.Close()
		return fmt.Errorf("%s is in use", path)
	}
	return os.Remove(path)
}

// parseSize reads a number of bytes: 1048576, 64KiB, 100MB.
func parseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "BbKkMmGgIi")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 {
		return 0, errors.New("not a size such as 1048576, 64KiB or 100MB")
	}
	units := map[string]int64{
		"": 1, "b": 1,
		"kb": 1e3, "mb": 1e6, "gb": 1e9,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
	}
	unit, ok := units[strings.ToLower(text[len(digits):])]
	if !ok || n > (1<<62)/unit {
		return 0, errors.New("not a size such as 1048576, 64KiB or 100MB")
	}
	return n * unit, nil
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
		return os.Getenv("SLOGWORKS_TOKEN"), nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("%s has no token", file)
	}
	return token, nil
}

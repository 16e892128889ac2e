package peertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificate returns the configuration of a server that has a certificate for
// 127.0.0.1, and that of a client that trusts the authority of this certificate
// and no other. Each call makes a new authority, whose word is good for an hour.
//
// It takes no test, since examples need certificates too, and panics where the
// machine has no random numbers.
func Certificate() (server, client *tls.Config) {
	// Self-signed, it would be one certificate less, which Go accepts and not
	// every other program does.
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "test authority"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	host := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    authority.NotBefore,
		NotAfter:     authority.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	authorityKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	hostKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	sign := func(template *x509.Certificate, key crypto.PublicKey) []byte {
		return must(x509.CreateCertificate(rand.Reader, template, authority, key, authorityKey))
	}

	roots := x509.NewCertPool()
	roots.AddCert(must(x509.ParseCertificate(sign(authority, authorityKey.Public()))))
	certificate := tls.Certificate{Certificate: [][]byte{sign(host, hostKey.Public())}, PrivateKey: hostKey}
	return &tls.Config{Certificates: []tls.Certificate{certificate}}, &tls.Config{RootCAs: roots}
}

// WriteCertificate writes the certificate of a server of [Certificate] and its
// key, as PEM, to files that are removed at the end of the test.
func WriteCertificate(t testing.TB, server *tls.Config) (certFile, keyFile string) {
	t.Helper()
	certificate := server.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", certificate.Certificate[0]), write("key.pem", "PRIVATE KEY", key)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("peertest: " + err.Error())
	}
	return v
}

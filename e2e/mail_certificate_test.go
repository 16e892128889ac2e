package e2e_test

import (
	"crypto/tls"
	"os"
	"testing"

	"github.com/slogworks/slogworks/internal/peertest"
)

// certificate is that of a server on 127.0.0.1, with its key, and what trusts
// it.
type certificate struct {
	certFile, keyFile string
	trust             *tls.Config
}

// newCertificate makes one that is valid while the test runs.
func newCertificate(t *testing.T) certificate {
	t.Helper()
	server, client := peertest.Certificate()
	certFile, keyFile := peertest.WriteCertificate(t, server)
	return certificate{certFile, keyFile, client}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/sinks/socket"
)

// openssl makes an authority in dir, ca.pem, and certificates of it for a server,
// for a server of another name, and for a client. Each has its key beside it.
func openssl(t *testing.T, dir string) {
	t.Helper()
	program := real.Program(t, "openssl")
	run := func(args string) { real.Output(t, dir, program, strings.Fields(args)...) }
	const newKey = " -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
	run("req -x509" + newKey + " -keyout ca.key -out ca.pem -days 2 -subj /CN=Test")
	for name, usage := range map[string]string{
		"server": "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth",
		"other":  "subjectAltName=DNS:log.example\nextendedKeyUsage=serverAuth",
		"client": "extendedKeyUsage=clientAuth",
	} {
		if err := os.WriteFile(filepath.Join(dir, name+".ext"), []byte(usage), 0o600); err != nil {
			t.Fatal(err)
		}
		run("req" + newKey + " -keyout " + name + ".key -out " + name + ".csr -subj /CN=" + name)
		run("x509 -req -in " + name + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile " + name + ".ext -out " + name + ".pem")
	}
}

func keyPair(t *testing.T, dir, name string) []tls.Certificate {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{cert}
}

func authority(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("openssl made no certificate")
	}
	return pool
}

// listenTLS is a receiver with the certificate of that name, which asks for one
// of the authority too.
func listenTLS(t *testing.T, dir, name string) *socketReceiver {
	t.Helper()
	return listenSocketAs(t, nil, &tls.Config{
		Certificates: keyPair(t, dir, name), ClientCAs: authority(t, dir), ClientAuth: tls.RequireAndVerifyClientCert,
	})
}

func TestReceiver_overTLS(t *testing.T) {
	dir := t.TempDir()
	openssl(t, dir)
	config := func(t *testing.T) *tls.Config {
		return &tls.Config{RootCAs: authority(t, dir), Certificates: keyPair(t, dir, "client")}
	}
	t.Run("takes the records of a Handler", func(t *testing.T) {
		n := listenTLS(t, dir, "server")
		h := socket.New("tls://127.0.0.1:"+n.args[0], &socket.Options{TLS: config(t), Ack: true})
		q := queue.New(h, &queue.Options{Capacity: 1000, Reserve: -1})
		for i := range 1000 {
			slog.New(q).Info("message", "i", i)
		}
		if err := errors.Join(q.Close(), h.Close()); err != nil {
			t.Error(err)
		}
		if got := len(n.lines(t)); got != 1000 {
			t.Errorf("%d of 1000 records arrived", got)
		}
	})
	t.Run("takes those of Python's SocketHandler", func(t *testing.T) {
		n := listenTLS(t, dir, "server")
		want := runPythonLogging(t, n, `
import ssl
class TLSHandler(logging.handlers.SocketHandler):
    def makeSocket(self, timeout=1):
        context = ssl.create_default_context(cafile=sys.argv[3] + "/ca.pem")
        context.load_cert_chain(sys.argv[3] + "/client.pem", sys.argv[3] + "/client.key")
        return context.wrap_socket(super().makeSocket(timeout), server_hostname="127.0.0.1")
handler = TLSHandler("127.0.0.1", tcp)`+cookbookEvents, dir)
		compareRecords(t, n.lines(t), want)
	})
	t.Run("is refused by a Handler that wants another name", func(t *testing.T) {
		n := listenTLS(t, dir, "other")
		h := socket.New("tls://127.0.0.1:"+n.args[0], &socket.Options{TLS: config(t)})
		err := h.Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelInfo, "message", 0))
		var verification *tls.CertificateVerificationError
		if !errors.As(err, &verification) {
			t.Errorf("the error is %v", err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		waitForRefusal(t, n, "bad-tls")
	})
	t.Run("refuses a Handler without a certificate", func(t *testing.T) {
		n := listenTLS(t, dir, "server")
		h := socket.New("tls://127.0.0.1:"+n.args[0], &socket.Options{TLS: &tls.Config{RootCAs: authority(t, dir)}, Ack: true})
		if err := h.Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelInfo, "message", 0)); err == nil {
			t.Error("the record is delivered")
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		waitForRefusal(t, n, "bad-tls")
	})
	t.Run("refuses who talks no TLS", func(t *testing.T) {
		n := listenTLS(t, dir, "server")
		h := socket.New("tcp://127.0.0.1:"+n.args[0], &socket.Options{Ack: true})
		if err := h.Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelInfo, "message", 0)); err == nil {
			t.Error("the record is delivered")
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		waitForRefusal(t, n, "bad-tls")
	})
}

// waitForRefusal waits for the one thing that the receiver gets.
func waitForRefusal(t *testing.T, n *socketReceiver, reason string) {
	t.Helper()
	waitForRecords(t, n, 1)
	if s := n.Stats(); s.Received != 1 || s.Refused[reason] != 1 {
		t.Errorf("the counts are %+v, want one refused for %s", s, reason)
	}
}

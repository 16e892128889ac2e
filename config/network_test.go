package config_test

import (
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/peertest"
)

func TestHTTP_trustsTheCertificatesItIsGiven(t *testing.T) {
	var requests, open atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	must(t, os.WriteFile(ca, pem.EncodeToMemory(block), 0o600))
	w := newWorkshop()
	document := fmt.Sprintf("version: 1\nhandlers: {h: {kind: http, url: %q, tls: {ca_file: %q}}}\nroot: {to: h}\n", server.URL, ca)
	p := w.build(t, document, nil)
	record := slog.Record{Level: slog.LevelInfo, Message: "hello"}
	must(t, p.Handle(t.Context(), record))
	check(t, "requests", requests.Load(), 1)
	// One that was renewed is used from the next reload on.
	if again := w.build(t, document, p); again.Lookup("h") != p.Lookup("h") {
		t.Error("the handler is another although nothing has changed")
	}
	must(t, os.WriteFile(ca, append(pem.EncodeToMemory(block), '\n'), 0o600))
	again := w.build(t, document, p)
	if again.Lookup("h") == p.Lookup("h") {
		t.Error("the handler is the same although its file has changed")
	}
	must(t, slogworks.Shutdown(t.Context(), again))
	must(t, slogworks.Shutdown(t.Context(), p))
	peertest.WaitFor(t, "the connection to be closed", func() bool { return open.Load() == 0 })
}

package peertest

import (
	"crypto/tls"
	"testing"
)

// RefuseNobodyWhoHasSaidNothing tests, of receivers that talk TLS, that a peer
// whose connection ends before its first byte is no refusal, whichever end ends it.
func (serve Receivers) RefuseNobodyWhoHasSaidNothing(t testing.TB) {
	t.Helper()
	r := serve(t, Discard{})
	r.Dial()
	_ = r.Dial().Close()
	WaitFor(t, "both", func() bool { got := r.Stats(); return got.Connections == 2 && got.Open == 1 })
	if err := r.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if got := r.Stats(); got.Received != 0 {
		t.Errorf("the counts are %+v", got)
	}
}

// ReadWhatHasArrivedOverTLS tests that Shutdown reads what a connection has
// brought in many pieces: text is a record.
func (serve Receivers) ReadWhatHasArrivedOverTLS(t testing.TB, client *tls.Config, text string) {
	t.Helper()
	r := serve(t, Discard{})
	conn := dialTLS(t, r, client)
	const n = 500
	for range n {
		write(t, conn, text)
	}
	WaitFor(t, "the connection", func() bool { return r.Stats().Open == 1 })
	if err := r.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if got := r.Stats(); got.Written != n {
		t.Errorf("the counts are %+v, want %d written", got, n)
	}
}

// LoseNothingOfWhoReadsNothing tests that what was sent before the connection was
// closed is read even if the peer has not read what a server may say after the
// handshake: text is a record.
func (serve Receivers) LoseNothingOfWhoReadsNothing(t testing.TB, client *tls.Config, text string) {
	t.Helper()
	h := NewBusy()
	r := serve(t, h)
	client = client.Clone()
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1) // or no ticket is sent
	conn := dialTLS(t, r, client)
	const n = 100
	for range n {
		write(t, conn, text)
		WaitFor(t, "the first record", func() bool { return h.Handling.Load() == 1 })
	}
	// Closing conn itself would say that it is the end.
	if err := conn.NetConn().Close(); err != nil {
		t.Fatal(err)
	}
	h.Free()
	WaitFor(t, "the end of the connection", func() bool { got := r.Stats(); return got.Connections == 1 && got.Open == 0 })
	if got := r.Stats(); got.Written != n || got.Received != n {
		t.Errorf("the counts are %+v, want %d written", got, n)
	}
}

func dialTLS(t testing.TB, r Receiver, config *tls.Config) *tls.Conn {
	t.Helper()
	config = config.Clone()
	config.ServerName = "127.0.0.1"
	conn := tls.Client(r.Dial(), config)
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return conn
}

package socket_test

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"

	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/socket"
)

// lockedBuffer is written by one goroutine per connection.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}

func TestHandler_conforms(t *testing.T) {
	serverTLS, clientTLS := peertest.Certificate()
	for name, test := range map[string]struct {
		scheme string
		opts   socket.Options
	}{
		"by default":       {"tcp", socket.Options{}},
		"over TLS":         {"tls", socket.Options{TLS: clientTLS, Framing: socket.LF}},
		"with a token":     {"tcp", socket.Options{Token: "secret", Framing: socket.Octet}},
		"acknowledged":     {"tcp", socket.Options{Ack: true}},
		"by unix socket":   {"unix", socket.Options{}},
		"by UDP datagrams": {"udp", socket.Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
				var written lockedBuffer
				r := &socket.Receiver{Handler: slog.NewJSONHandler(&written, nil), Token: test.opts.Token}
				target := test.scheme + "://"
				switch test.scheme {
				case "udp":
					target += servePacket(t, r, "udp", "127.0.0.1:0").address
				case "unix":
					target += serveOn(t, r, listen(t, "unix", socketPath(t))).address
				case "tls":
					r.TLS = serverTLS
					target += serve(t, r).address
				default:
					target += serve(t, r).address
				}
				h := newSender(t, target, test.opts)
				lines := handlertest.JSON(t, &written)
				return h, func() []map[string]any {
					peertest.WaitFor(t, "what was sent", func() bool { return r.Stats().Received == h.Account().Delivered })
					return lines()
				}
			})
		})
	}
}

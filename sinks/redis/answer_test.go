package redis_test

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/redis"
)

// A server that is full, or protects itself, says so to whoever connects, and
// hangs up. That is what users have to know, and not that the connection broke.
func TestHandler_saysWhyItIsTurnedAway(t *testing.T) {
	const page = "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers you may adopt one of the following solutions: 1) Just disable protected mode"
	for answer, want := range map[string]string{
		page:                                 "for the default user: the server takes no client from another machine: give it a password",
		"-ERR max number of clients reached": "max number of clients reached: raise the maxclients of the server",
	} {
		for _, greeted := range []bool{false, true} {
			name := strings.Fields(answer)[0] + map[bool]string{false: " before it has greeted", true: " when it has greeted"}[greeted]
			t.Run(name, func(t *testing.T) {
				url := turningAway(t, answer, greeted)
				h := newHandler(t, url, redis.Options{Backoff: slogworks.Backoff{Max: time.Minute}})
				d := peertest.DeliveryError(t, h.HandleBatch(t.Context(), batch("1", 0, 1)))
				if text := d.Error(); !strings.Contains(text, want) || d.Uncertain || d.Permanent || d.After != time.Minute {
					t.Errorf("Handle: %+v", d)
				}
				failed := make(chan error, 1000)
				r := &redis.Reader{URL: url, Handler: slog.DiscardHandler, OnError: func(err error) { failed <- err }}
				for _, source := range []redis.Source{{Stream: "log"}, {Channel: "log"}} {
					stop := start(t, r, source)
					if err := <-failed; !strings.Contains(err.Error(), want) {
						t.Errorf("Tail of %+v: %v", source, err)
					}
					stop()
				}
			})
		}
	}
}

// turningAway returns the URL of a server that answers nothing else, to a
// greeting or at once.
func turningAway(t *testing.T, answer string, toGreeting bool) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if toGreeting {
				_, _ = conn.Read(make([]byte, 1000))
			}
			_, _ = io.WriteString(conn, answer+"\r\n")
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return "redis://" + l.Addr().String()
}

package socket_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/socket"
)

// FuzzFrames checks that a stream means the same however it is cut into pieces,
// that no frame is longer than it may be, and that every end has its reason.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(wireLine+"\n"+prefixed(wireLine)), 7)
	f.Add([]byte(fmt.Sprintf("%d %s\n\n %s", len(wireLine), wireLine, wireLine)), 1)
	f.Add([]byte(prefixed(pickleFile(f, "plain4"))+"\xff\xff\xff\xff"), 100)
	f.Add([]byte(prefixed(strings.Repeat("x", 40_000))+"{"), 1000)
	f.Fuzz(func(t *testing.T, stream []byte, n int) {
		const limit = 1 << 16
		if n < 1 {
			n = 1
		}
		whole, wholeErr := socket.ReadFrames(stream, 1<<30, limit)
		cut, cutErr := socket.ReadFrames(stream, n, limit)
		if !slices.Equal(whole, cut) {
			t.Errorf("%d frames at once, %d in pieces of %d", len(whole), len(cut), n)
		}
		var a, b *socket.Refusal
		if errors.As(wholeErr, &a) != errors.As(cutErr, &b) || a != nil && a.Reason != b.Reason {
			t.Errorf("the end is %v at once, %v in pieces", wholeErr, cutErr)
		}
		if a == nil && wholeErr != io.EOF {
			t.Errorf("the end is %v", wholeErr)
		}
		total := 0
		for _, frame := range whole {
			total += len(frame)
			if len(frame) > limit {
				t.Errorf("a frame of %d bytes", len(frame))
			}
		}
		if total > len(stream) {
			t.Errorf("%d bytes became frames of %d", len(stream), total)
		}
	})
}

// FuzzDatagram checks that whatever comes is written as a line of JSON or refused,
// and never written without the token.
func FuzzDatagram(f *testing.F) {
	f.Add([]byte(wireLine), false)
	f.Add([]byte(`{"slogworks":1,"token":"secret"}`+"\n"+wireLine), true)
	f.Add([]byte(`{"slogworks":1,"token":"Secret"}`+"\n"+wireLine), true)
	f.Add([]byte(prefixed(pickleFile(f, "plain1"))), false)
	f.Add([]byte(`{"name":"a","levelno":1e3,"msg":"%s %5.2f","args":["x",NaN],"levelno":30}`), false)
	f.Fuzz(func(t *testing.T, datagram []byte, asks bool) {
		var line bytes.Buffer
		r := &socket.Receiver{Handler: slog.NewJSONHandler(&line, &slog.HandlerOptions{Level: slog.Level(math.MinInt)})}
		if asks {
			r.Token = "secret"
		}
		r.Datagram(datagram)
		s := r.Stats()
		if s.Received != 1 || s.Written == 1 != (line.Len() > 0) {
			t.Errorf("the counts are %+v, and %q was written", s, &line)
		}
		if s.Written == 1 && asks && !bytes.Contains(datagram, []byte("secret")) && !bytes.Contains(datagram, []byte(`\u`)) {
			t.Errorf("%q was written without the token", datagram)
		}
		if s.Written == 1 && (!json.Valid(line.Bytes()) || bytes.Count(line.Bytes(), []byte("\n")) != 1) {
			t.Errorf("not a line of JSON: %q", &line)
		}
	})
}

// As many peers as there may be take as much as they can get.
func TestReceiver_boundsItsMemory(t *testing.T) {
	const peers, limit = 256, 64 << 20
	hostile := map[string]string{
		"are silent":             "",
		"announce and are quiet": "\x00\x10\x00\x00x",
		"never finish a frame":   "\x00\x10\x00\x00" + strings.Repeat("x", 1<<20-1),
		"never finish a line":    "{" + strings.Repeat(" ", 1<<20-2),
		"send bombs":             "\x00\x10\x00\x00" + strings.Repeat("]", 1<<20),
		"send long records":      `{"l":0,"m":"` + strings.Repeat("x", 1<<20-20) + `"}` + "\n",
		"send many attributes":   `{"l":0,"m":"","a":[` + strings.Repeat(`{"k":"","t":"n"},`, 4000) + `{"k":"","t":"n"}]}` + "\n",
	}
	for name, attack := range hostile {
		t.Run("when all peers "+name, func(t *testing.T) {
			text := []byte(attack)
			heap := peertest.NewHeap()
			s := serve(t, &socket.Receiver{Handler: peertest.Discard{}, FrameTimeout: 300 * time.Millisecond, MaxConns: peers + 1})
			sending := peertest.Flood(t, peers, func() net.Conn { return dial(t, "tcp", s.address) }, text)
			done := make(chan struct{})
			go func() {
				sending.Wait()
				close(done)
			}()
			for running := true; running; heap.Measure() {
				select {
				case <-done:
					running = false
				case <-time.After(2 * time.Millisecond):
				}
			}
			peertest.WaitFor(t, "all connections", func() bool { heap.Measure(); return s.Stats().Connections == peers })
			honest := s.Stats().Written
			dial(t, "tcp", s.address).send(wireLine + "\n")
			peertest.WaitFor(t, "an honest record", func() bool { heap.Measure(); return s.Stats().Written > honest })
			heap.AtMost(t, limit)
			for _, reason := range s.reasons() {
				if reason != "frame-timeout" && reason != "too-many-values" {
					t.Errorf("refused for %s", reason)
				}
			}
		})
	}
}

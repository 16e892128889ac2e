package socket_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/socket"
)

// Many long frames that are half there take all the memory that there is for
// them, and each needs more.
func TestReceiver_finishesManyLongFramesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders = 200
		r := &socket.Receiver{Handler: peertest.Discard{}}
		l := peertest.NewPipes()
		done := make(chan error, 1)
		go func() { done <- r.Serve(l) }()
		frame := []byte(prefixed(`{"l":0,"m":"` + strings.Repeat("x", 200_000) + `"}`))
		var sending sync.WaitGroup
		rest := make(chan struct{})
		for range senders {
			conn := l.Dial()
			sending.Go(func() {
				defer conn.Close()
				_, err := conn.Write(frame[:100_000])
				<-rest
				if err == nil {
					_, err = conn.Write(frame[100_000:])
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // until all wait for the rest or for memory
		close(rest)
		sending.Wait()
		synctest.Wait()
		if s := r.Stats(); s.Written != senders {
			t.Errorf("the counts are %+v, want %d written", s, senders)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
}

// The handler is busy, and everybody has sent what is short and becomes long.
func TestReceiver_boundsItsMemoryBehindABusyHandler(t *testing.T) {
	const limit = 64 << 20
	peers := int64(256)
	if raceEnabled {
		peers = 32 // it is ten times as slow
	}
	text := func(s string) string { return "X" + string([]byte{byte(len(s)), byte(len(s) >> 8), 0, 0}) + s }
	for name, frame := range map[string]string{
		"a text in many places":      levelno + text("x") + text(strings.Repeat("\x01", 1000)) + "q\x000(" + strings.Repeat("h\x00", 1000) + "lu.",
		"a group in many places":     levelno + text("x") + "}(" + strings.Repeat(text("")+"K\x01", 100) + "uq\x000}(" + strings.Repeat(text("a")+"h\x00", 1000) + "uu.",
		"a list in many places":      levelno + text("x") + "(" + strings.Repeat("K\x01", 100) + "lq\x000(" + strings.Repeat("h\x00", 5000) + "lu.",
		"many lists":                 levelno + text("x") + "(" + strings.Repeat("]", 16_000) + "tu.",
		"a message of many args":     `{"name":"x","levelno":20,"msg":"` + strings.Repeat("%999d", 2000) + `","args":[` + strings.Repeat("1,", 1999) + `1]}`,
		"many attributes of Python":  levelno + strings.Repeat("U\x01aK\x01", 2700) + "u.",
		"many attributes":            `{` + strings.Repeat(`"a":1,`, 2700) + `"l":1}`,
		"many attributes of its own": `{"l":0,"m":"","a":[` + strings.Repeat(`{"k":"a","t":"n"},`, 880) + `{"k":"","t":"n"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			heap := peertest.NewHeap()
			h := peertest.NewBusy()
			s := serve(t, &socket.Receiver{Handler: h})
			for range peers {
				dial(t, "tcp", s.address).send(prefixed(frame))
			}
			heap.MeasureWhileBusy(t, peers, &h.Handling, new(sync.WaitGroup)) // all is sent
			heap.AtMost(t, limit)
			h.Free()
			peertest.WaitFor(t, "a record", func() bool { got := s.Stats(); return got.Written+got.Refused["record-too-long"] > 0 })
		})
	}
}

func TestReceiver_asksForItsTokenInTime(t *testing.T) {
	for name, piece := range map[string]string{"of nothing": "\n", "of a frame": "{"} {
		t.Run("whatever trickles "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &socket.Receiver{Handler: peertest.Discard{}, Token: "secret", FrameTimeout: 30 * time.Second}
				l := peertest.NewPipes()
				done := make(chan error, 1)
				go func() { done <- r.Serve(l) }()
				conn := l.Dial()
				began := time.Now()
				for time.Since(began) < time.Minute {
					if _, err := conn.Write([]byte(piece)); err != nil {
						break
					}
					time.Sleep(7 * time.Second)
				}
				if took := time.Since(began); took > 40*time.Second {
					t.Errorf("it waits for %v", took)
				}
				_ = conn.Close()
				synctest.Wait()
				if s := r.Stats(); s.Refused["bad-token"] != 1 || s.Open != 0 {
					t.Errorf("the counts are %+v", s)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
				<-done
			})
		})
	}
	t.Run("and has no memory for who has none", func(t *testing.T) {
		s := serve(t, &socket.Receiver{Token: "secret"})
		c := dial(t, "tcp", s.address)
		c.send("\x00\x01\x00\x00") // 64 KiB, which need not be waited for
		if !c.isClosed() {
			t.Error("the connection stays open")
		}
		peertest.WaitFor(t, "the refusal", func() bool { return s.Stats().Refused["bad-token"] == 1 })
	})
	t.Run("and then takes long frames", func(t *testing.T) {
		s := serve(t, &socket.Receiver{Token: "secret"})
		h := newSender(t, "tcp://"+s.address, socket.Options{Token: "secret"})
		peertest.Handle(t, h, peertest.Record(strings.Repeat("x", 100_000)))
		s.wait(t, 1)
		if got := s.Stats(); got.Written != 1 {
			t.Errorf("the counts are %+v", got)
		}
	})
}

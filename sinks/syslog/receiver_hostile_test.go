package syslog_test

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/sinks/syslog"
)

// Whoever asks first makes what is made once.
func TestReceiver_isUsedByManyFromTheBeginning(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &syslog.Receiver{Handler: slog.DiscardHandler}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { r.Stats() })
	}
	all.Go(func() { _ = r.Serve(l) })
	all.Go(func() { _ = r.ServePacket(p) })
	all.Go(func() { _ = r.Close() })
	all.Wait()
}

func TestReceiver_shutdownAtAnyMoment(t *testing.T) {
	for i := range 20 {
		s := receiveStream(t, &syslog.Receiver{FrameTimeout: time.Second, MaxConns: 8})
		var peers sync.WaitGroup
		for n := range 6 {
			peers.Go(func() {
				conn, err := net.Dial("tcp", s.address)
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, []string{
					countOctets("<14>a", "<14>b") + "10 <14>",
					"<14>a\n<14>b\n<14>c",
					"<14>a\x00<14>b\x00<14>c",
				}[n%3])
			})
		}
		time.Sleep(time.Duration(i) * 100 * time.Microsecond) // the moment
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		peers.Wait()
		for reason := range s.Stats().Refused {
			if reason != "cut-short" {
				t.Errorf("refused for %s", reason)
			}
		}
	}
}

// A line may come whenever it likes, and still end in a Shutdown.
func TestReceiver_shutdownDoesNotWaitForALineWithoutEnd(t *testing.T) {
	s := receiveStream(t, new(syslog.Receiver))
	c := speak(t, "tcp", s.address)
	c.say("<14>a\n<14>b\n")
	s.await(t, 2)
	c.say("<14>c")
	trickled := make(chan struct{})
	go func() {
		defer close(trickled)
		for {
			if _, err := c.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-trickled
	if got := s.await(t, 3); len(got) != 3 || !strings.HasPrefix(got[2], "cx") {
		t.Errorf("the messages are %q", got)
	}
}

func TestReceiver_takesWhatIsLong(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	many := "[a" + strings.Repeat(` b=""`, 2000) + "]"
	s := receiveStream(t, new(syslog.Receiver))
	for i, stream := range []string{
		countOctets("<14>"+long, "<14>1 - - - - - "+many+" m"),
		"<14>" + long + "\n<14>1 - - - - - " + many + " m\n",
	} {
		speak(t, "tcp", s.address).say(stream)
		if got := s.await(t, 2*i+2); got[2*i] != long || got[2*i+1] != "m" {
			t.Errorf("%d messages, the last %.100q", len(got), got[len(got)-1])
		}
	}
	if errs := s.reported(); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestReceiver_overTLS(t *testing.T) {
	serverTLS, clientTLS := loopback()
	t.Run("refuses nobody who has said nothing", func(t *testing.T) {
		receivers("tcp", serverTLS).RefuseNobodyWhoHasSaidNothing(t)
	})
	t.Run("reads in a Shutdown what has arrived", func(t *testing.T) {
		receivers("tcp", serverTLS).ReadWhatHasArrivedOverTLS(t, clientTLS, countOctets("<14>a"))
	})
	t.Run("loses nothing of who reads nothing", func(t *testing.T) {
		receivers("tcp", serverTLS).LoseNothingOfWhoReadsNothing(t, clientTLS, countOctets("<14>a"))
	})
}

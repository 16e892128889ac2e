package redis_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/redis"
)

// Where transactions are not allowed, a record may be refused between others
// that are not. When it comes after them, its number must not be below theirs,
// or a reader would take it for one that it had.
func TestHandler_numbersAnewWhatWasOvertaken(t *testing.T) {
	s := startServer(t)
	refusals := 1
	s.refuse = func(words []string) string {
		switch {
		case words[0] == "multi":
			return "-NOPERM this user has no permissions to run the 'multi' command"
		case words[0] == "xadd" && len(s.entries["log"]) == 1 && refusals > 0:
			refusals--
			return "-OOM command not allowed when used memory > 'maxmemory'."
		}
		return ""
	}
	h := newHandler(t, s.url(), redis.Options{Stream: "log"})
	if d := peertest.DeliveryError(t, h.HandleBatch(t.Context(), batch("1", 0, 3))); d.Accepted != 1 {
		t.Fatalf("%+v", d)
	}
	if err := h.HandleBatch(t.Context(), batch("1", 1, 3)); err != nil {
		t.Fatal(err)
	}
	s.refusing(nil) // the reader has transactions
	got := new(kept)
	r := &redis.Reader{URL: s.url(), Handler: got}
	tail(t, r, redis.Source{Stream: "log", From: "0"})
	peertest.WaitFor(t, "three entries", func() bool { st := r.Stats(); return st.Written+st.Duplicates == 3 })
	if got := got.all(); !slices.Equal(got, []string{"0", "2", "1"}) {
		t.Errorf("got %q", got)
	}
}

// The name of a primary that has become a replica may by now be that of another
// server, which is found out by connecting again.
func TestHandler_connectsAgainAfterReadOnly(t *testing.T) {
	s := startServer(t)
	isReplica := true
	s.refuse = func(words []string) string {
		if words[0] == "xadd" && isReplica {
			return "-READONLY You can't write against a read only replica."
		}
		return ""
	}
	for _, opts := range []redis.Options{{Stream: "log"}, {Stream: "log", Channel: "c"}} {
		s.refusing(s.refuse)
		before := s.counted("auth")
		isReplica = true
		h := newHandler(t, strings.Replace(s.url(), "//", "//:secret@", 1), opts)
		if d := peertest.DeliveryError(t, h.HandleBatch(t.Context(), batch("1", 0, 2))); d.Uncertain {
			t.Errorf("%+v", d)
		}
		s.mu.Lock()
		isReplica = false
		s.mu.Unlock()
		if err := h.HandleBatch(t.Context(), batch("1", 0, 2)); err != nil {
			t.Fatal(err)
		}
		if n := s.counted("auth") - before; n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
	}
}

// A batch whose time is over before it begins says nothing about the server.
func TestHandler_leavesTheConnectionAloneWhenItIsTooLate(t *testing.T) {
	s := startServer(t)
	h := newHandler(t, strings.Replace(s.url(), "//", "//:secret@", 1), redis.Options{})
	if err := h.Handle(t.Context(), record("1")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d := peertest.DeliveryError(t, h.HandleBatch(ctx, batch("1", 0, 1))); !errors.Is(d, context.Canceled) || d.Uncertain || d.Accepted != 0 {
		t.Errorf("%+v", d)
	}
	if err := h.Handle(t.Context(), record("2")); err != nil {
		t.Error(err)
	}
	if n := s.counted("auth"); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// A server repeats the beginning of what it does not know: of a long password,
// and of a record.
func TestHandler_hidesWhatTheServerRepeats(t *testing.T) {
	s := startServer(t)
	password := strings.Repeat("hunter2", 30)
	s.refuse = func(words []string) string {
		if words[0] == "auth" || words[0] == "publish" {
			args := strings.Join(words[1:], "' '")
			return "-ERR unknown command '" + words[0] + "', with args beginning with: '" + args[:min(len(args), 128)] + "'"
		}
		return ""
	}
	for _, url := range []string{s.url(), strings.Replace(s.url(), "//", "//:"+password+"@", 1)} {
		h := newHandler(t, url, redis.Options{})
		err := h.Handle(t.Context(), record("hunter2"))
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "unknown command") {
			t.Errorf("error %v", err)
		}
	}
}

func TestHandler_channelFuncThatPanicsIsAnError(t *testing.T) {
	s := startServer(t)
	h := newHandler(t, s.url(), redis.Options{ChannelFunc: func(v slogworks.View) string {
		if v.Message() == "bad" {
			panic("no channel")
		}
		return "c"
	}})
	var panicked *slogworks.PanicError
	if err := h.Handle(t.Context(), record("bad")); !errors.As(err, &panicked) {
		t.Errorf("Handle: %v", err)
	}
	b := batch("1", 0, 3)
	b.Items[1].Record = record("bad")
	if d := peertest.DeliveryError(t, h.HandleBatch(t.Context(), b)); !d.Permanent || !errors.As(d, &panicked) {
		t.Errorf("HandleBatch: %+v", d)
	}
}

// A server that accepts and says nothing holds nobody after Shutdown.
func TestHandler_shutdownWhileConnecting(t *testing.T) {
	before := runtime.NumGoroutine()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := redis.New("rediss://"+l.Addr().String(), &redis.Options{DialTimeout: time.Hour, Timeout: time.Hour})
	handled := make(chan error, 1)
	go func() { handled <- slog.New(h).Handler().Handle(context.Background(), record("1")) }()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-handled; err == nil {
		t.Error("the record got no error")
	}
	peertest.WaitFor(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}

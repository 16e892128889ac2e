package bench_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/slogworks/slogworks/sinks/live"
)

// watcher is a browser without a network in between: it takes what it is sent
// at once, or hangs in its first write until it is let go.
type watcher struct {
	header  http.Header
	arrived chan<- struct{} // told of the first write
	once    sync.Once
	hang    <-chan struct{} // nil: does not hang
}

func (w *watcher) Header() http.Header { return w.header }
func (w *watcher) WriteHeader(int)     {}
func (w *watcher) Flush()              {}

func (w *watcher) Write(b []byte) (int, error) {
	w.once.Do(func() { w.arrived <- struct{}{} })
	if w.hang != nil {
		<-w.hang
	}
	return len(b), nil
}

func requestOf(hub *live.Hub, target string) *http.Request {
	r := httptest.NewRequest("GET", "http://localhost"+target, nil)
	r.Header.Set("Authorization", "Bearer "+hub.Token())
	return r
}

// watch opens n streams, and returns when each has been written to.
func watch(tb testing.TB, hub *live.Hub, n int, target string, hangs bool) {
	arrived := make(chan struct{}, n)
	var letGo chan struct{}
	if hangs {
		letGo = make(chan struct{})
	}
	var streams sync.WaitGroup
	for range n {
		w := &watcher{header: http.Header{}, arrived: arrived, hang: letGo}
		streams.Go(func() { hub.ServeHTTP(w, requestOf(hub, target)) })
	}
	for range n {
		<-arrived
	}
	tb.Cleanup(func() {
		if hangs {
			close(letGo)
		}
		if err := hub.Close(); err != nil {
			tb.Error(err)
		}
		streams.Wait()
	})
}

func BenchmarkLive(b *testing.B) {
	b.Run("json", func(b *testing.B) {
		runHandler(b, context.Background(), slog.LevelInfo, slog.NewJSONHandler(io.Discard, nil))
	})
	for _, s := range []struct {
		name   string
		n      int
		target string
		hangs  bool
	}{
		{"browsers=0", 0, "", false},
		{"hanging=10", 10, "/events", true},
		{"browsers=1", 1, "/events", false},
		{"browsers=10", 10, "/events", false},
		{"searching=1", 1, "/events?q=status%3E500", false},
		{"rate=10", 10, "/events?rate=50", false},
	} {
		b.Run(s.name, func(b *testing.B) {
			hub := live.New(nil)
			watch(b, hub, s.n, s.target, s.hangs)
			runHandler(b, context.Background(), slog.LevelInfo, hub.Handler(nil))
		})
	}
}

func TestLive_keepsWhatTextHandlerWrites(t *testing.T) {
	var want bytes.Buffer
	logOne(t, t.Context(), slog.NewTextHandler(&want, nil), slog.LevelInfo)
	hub := live.New(&live.Options{Process: "bench"})
	logOne(t, t.Context(), hub.Relay(nil), slog.LevelInfo)
	answer := httptest.NewRecorder()
	hub.ServeHTTP(answer, requestOf(hub, "/download?format=text"))
	if got := answer.Body.String(); got != want.String() || strings.Count(got, "\n") != 1 {
		t.Errorf("kept %q, want %q", got, want.String())
	}
}

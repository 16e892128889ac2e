package httplog_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/context/httplog"
	"github.com/slogworks/slogworks/sinks/memory"
)

// patience is how long a test waits for what has to come.
const patience = 20 * time.Second

// newServer starts a server that ends with the test.
func newServer(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// wait waits for a record: a client has its answer before the server has logged.
func wait(t *testing.T, logs *memory.Handler, message string) slogworks.View {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := logs.WaitFor(ctx, message)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// syncBuffer is what several goroutines write to.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestWriter_isWhatNetHTTPIs(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2 %v", http2), func(t *testing.T) {
			logger, logs := newLogs()
			var without, with string
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				without = abilities(w)
				httplog.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					with = abilities(w)
					controller := http.NewResponseController(w)
					for name, err := range map[string]error{
						"SetReadDeadline":  controller.SetReadDeadline(time.Now().Add(patience)),
						"SetWriteDeadline": controller.SetWriteDeadline(time.Now().Add(patience)),
						"EnableFullDuplex": controller.EnableFullDuplex(),
						"Flush":            controller.Flush(),
					} {
						if err != nil {
							t.Errorf("%s: %v", name, err)
						}
					}
					fmt.Fprint(w, "abc")
				}), &httplog.Options{Logger: logger}).ServeHTTP(w, r)
			})
			server := httptest.NewUnstartedServer(h)
			server.EnableHTTP2 = http2
			server.StartTLS()
			defer server.Close()
			resp, err := server.Client().Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); string(body) != "abc" || err != nil || (resp.ProtoMajor == 2) != http2 {
				t.Errorf("got %q by %s, %v", body, resp.Proto, err)
			}
			if with != without || with == "" {
				t.Errorf("the writer can %q, and the server's %q", with, without)
			}
			wantAttrs(t, wait(t, logs, access), map[string]string{"status": "200", "bytes": "3"})
		})
	}
}

// Each event is there before the next one is written.
func TestHandler_letsServerSentEventsThrough(t *testing.T) {
	const events = 3
	logger, logs := newLogs()
	next := make(chan struct{})
	server := newServer(t, httplog.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range events {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-time.After(patience):
				t.Error("the client did not get an event")
			}
		}
	}), &httplog.Options{Logger: logger}))

	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for i := range events {
		if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) || !lines.Scan() || lines.Text() != "" {
			t.Fatalf("event %d is %q, %v", i, lines.Text(), lines.Err())
		}
		next <- struct{}{}
	}
	wantAttrs(t, wait(t, logs, access), map[string]string{"status": "200", "bytes": fmt.Sprint(events * len("data: 0\n\n")), "canceled": ""})
}

// acceptKey is what RFC 6455, section 4.2.2, has a server answer to a key.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

const (
	opText  = 0x1
	opClose = 0x8
)

// readFrame reads an unfragmented frame of up to 125 bytes as in RFC 6455,
// section 5.2.
func readFrame(r io.Reader) (op byte, payload []byte, masked bool, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, false, err
	}
	n := head[1] & 0x7f
	if head[0]&0xf0 != 0x80 || n > 125 {
		return 0, nil, false, fmt.Errorf("frame of another kind: %x", head)
	}
	var mask [4]byte
	if masked = head[1]&0x80 != 0; masked {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return 0, nil, false, err
		}
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return head[0] & 0x0f, payload, masked, err
}

func frame(op byte, payload []byte, mask []byte) []byte {
	f := []byte{0x80 | op, byte(len(payload))}
	if mask == nil {
		return append(f, payload...)
	}
	f[1] |= 0x80
	f = append(f, mask...)
	for i, b := range payload {
		f = append(f, b^mask[i%4])
	}
	return f
}

// echo upgrades the connection and sends back what it gets until it is closed.
func echo(w http.ResponseWriter, r *http.Request) error {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || r.Header.Get("Sec-WebSocket-Version") != "13" {
		http.Error(w, "no upgrade", http.StatusUpgradeRequired)
		return errors.New("no upgrade")
	}
	conn, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		acceptKey(r.Header.Get("Sec-WebSocket-Key")))
	for {
		if err := rw.Flush(); err != nil {
			return err
		}
		op, payload, masked, err := readFrame(rw)
		if err != nil || !masked {
			return fmt.Errorf("masked %v, %w", masked, err)
		}
		if _, err := rw.Write(frame(op, payload, nil)); err != nil {
			return err
		}
		if op == opClose {
			return rw.Flush()
		}
	}
}

// dial opens a WebSocket.
func dial(t *testing.T, server *httptest.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	const key = "dGhlIHNhbXBsZSBub25jZQ==" // of RFC 6455, as is the answer
	fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n", key)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Sec-WebSocket-Accept"); resp.StatusCode != 101 || got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("the server answered %s, %q", resp.Status, got)
	}
	return conn, r
}

func TestHandler_letsWebSocketsThrough(t *testing.T) {
	logger, logs := newLogs()
	server := newServer(t, httplog.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := echo(w, r); err != nil {
			t.Errorf("echo: %v", err)
		}
		logger.InfoContext(r.Context(), "closed")
		w.WriteHeader(500) // too late
	}), &httplog.Options{Logger: logger}))

	conn, r := dial(t, server)
	for _, message := range []string{"hello", "", strings.Repeat("x", 125)} {
		mask := make([]byte, 4)
		_, _ = rand.Read(mask)
		if _, err := conn.Write(frame(opText, []byte(message), mask)); err != nil {
			t.Fatal(err)
		}
		op, payload, masked, err := readFrame(r)
		if op != opText || string(payload) != message || masked || err != nil {
			t.Fatalf("%q came back as %q, operation %d, masked %v, %v", message, payload, op, masked, err)
		}
	}
	if logs.Message(access).Len() != 0 {
		t.Error("the access record is there before the end")
	}
	code := binary.BigEndian.AppendUint16(nil, 1000)
	if _, err := conn.Write(frame(opClose, code, []byte{1, 2, 3, 4})); err != nil {
		t.Fatal(err)
	}
	if op, payload, _, err := readFrame(r); op != opClose || !bytes.Equal(payload, code) || err != nil {
		t.Fatalf("got operation %d, %v, %v", op, payload, err)
	}
	v := wait(t, logs, access)
	wantAttrs(t, v, map[string]string{"status": "101", "bytes": "0", "path": "/socket", "canceled": "", "aborted": ""})
	wantAttrs(t, logs.Message("closed").One(t), map[string]string{"request_id": text(v, "request_id")})
	if v.Level() != slog.LevelInfo {
		t.Errorf("level %v", v.Level())
	}
}

func TestHandler_logsAClientThatLeaves(t *testing.T) {
	type result struct {
		status, canceled string
		level            slog.Level
	}
	tests := map[string]struct {
		// leave has the client leave, and returns when the server knows.
		next func(w http.ResponseWriter, leave func())
		want result
	}{
		"before anything was written": {func(_ http.ResponseWriter, leave func()) { leave() },
			result{"499", "true", slog.LevelInfo}},
		"before the failure that follows": {func(w http.ResponseWriter, leave func()) { leave(); w.WriteHeader(500) },
			result{"500", "true", slog.LevelInfo}},
		"before an answer": {func(w http.ResponseWriter, leave func()) { leave(); fmt.Fprint(w, "abc") },
			result{"200", "true", slog.LevelInfo}},
		"in the middle of an answer": {func(w http.ResponseWriter, leave func()) { fmt.Fprint(w, "abc"); leave() },
			result{"200", "true", slog.LevelInfo}},
		"after a failure of ours": {func(w http.ResponseWriter, leave func()) { w.WriteHeader(500); leave() },
			result{"500", "true", slog.LevelError}},
		"before the handler aborts": {func(w http.ResponseWriter, leave func()) { leave(); panic(http.ErrAbortHandler) },
			result{"499", "true", slog.LevelInfo}},
		"before the handler panics": {func(w http.ResponseWriter, leave func()) { leave(); panic("oh") },
			result{"500", "true", slog.LevelError}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			logger, logs := newLogs()
			leaves := make(chan struct{})
			server := newServer(t, httplog.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tt.next(w, func() {
					close(leaves)
					<-r.Context().Done()
				})
			}), &httplog.Options{Logger: logger}))
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
			<-leaves
			conn.Close()
			v := wait(t, logs, access)
			if got := (result{text(v, "status"), text(v, "canceled"), v.Level()}); got != tt.want {
				t.Errorf("logged %v, want %v", got, tt.want)
			}
		})
	}
}

func TestHandler_takesNoDeadlineForACancellation(t *testing.T) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, logs := serve(httplog.Options{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(504) }, get("/").WithContext(ctx))
	v := logs.Message(access).One(t)
	wantAttrs(t, v, map[string]string{"status": "504", "canceled": ""})
	if v.Level() != slog.LevelError {
		t.Errorf("level %v", v.Level())
	}
}

//go:build unix

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/buffer/mail"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/notify"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/sinks/httpsink"
	"github.com/slogworks/slogworks/sinks/memory"
	"github.com/slogworks/slogworks/sinks/socket"
	"github.com/slogworks/slogworks/sinks/syslog"
)

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// has checks that a file has n lines of JSON.
func has(t *testing.T, path string, n int) {
	t.Helper()
	content, err := os.ReadFile(path)
	noError(t, err)
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	if len(lines) != n || !json.Valid(lines[0]) {
		t.Errorf("%s has %q", path, content)
	}
}

// The lines of docs/python-handlers.md, each of which does what it says.
func TestPythonHandlers(t *testing.T) {
	t.Run("NullHandler", func(t *testing.T) {
		logger := slog.New(slog.DiscardHandler)
		logger.Error("nobody is told")
		if logger.Enabled(t.Context(), slog.LevelError) {
			t.Error("a record would be made")
		}
	})
	t.Run("StreamHandler", func(t *testing.T) {
		stream := new(bytes.Buffer)
		logger := slog.New(slog.NewTextHandler(stream, nil)) // or console.New(stream, nil)
		logger.Info("listening", "port", 8080)
		if !strings.HasSuffix(stream.String(), "level=INFO msg=listening port=8080\n") {
			t.Errorf("wrote %q", stream)
		}
	})
	t.Run("FileHandler, WatchedFileHandler", func(t *testing.T) {
		t.Chdir(t.TempDir())
		file, err := rotate.Open("app.log", nil)
		logger := slog.New(slog.NewJSONHandler(file, nil))
		noError(t, err)
		defer file.Close()
		logger.Info("one")
		has(t, "app.log", 1)
		noError(t, os.Rename("app.log", "moved.log"))
		real.WaitFor(t, "the file to be there again", func() bool {
			logger.Info("two")
			_, err := os.Stat("app.log")
			return err == nil
		})
	})
	t.Run("RotatingFileHandler", func(t *testing.T) {
		t.Chdir(t.TempDir())
		file, err := rotate.Open("app.log", &rotate.Options{MaxBytes: 10_000_000, MaxBackups: 5, Naming: rotate.Numbered})
		logger := slog.New(slog.NewJSONHandler(file, nil))
		noError(t, err)
		defer file.Close()
		for range 2 {
			logger.Info("large", "text", strings.Repeat("x", 6_000_000))
		}
		has(t, "app.log", 1)
		has(t, "app.log.1", 1)
	})
	t.Run("TimedRotatingFileHandler", func(t *testing.T) {
		t.Chdir(t.TempDir())
		file, err := rotate.Open("app.log", &rotate.Options{Schedule: rotate.Daily(0, 0, nil), MaxBackups: 30})
		logger := slog.New(slog.NewJSONHandler(file, nil))
		noError(t, err)
		defer file.Close()
		logger.Info("one")
		noError(t, file.Rotate()) // as at midnight
		logger.Info("two")
		has(t, "app.log", 1)
		if backups, _ := filepath.Glob("app-*.log"); len(backups) != 1 {
			t.Errorf("the backups are %q", backups)
		}
	})
	t.Run("QueueHandler", func(t *testing.T) {
		slow := memory.New(nil)
		q := queue.New(slow, nil)
		logger := slog.New(q)
		logger.Info("one")
		noError(t, q.Close())
		if slow.Len() != 1 {
			t.Error("the record did not arrive")
		}
	})
	t.Run("SocketHandler", func(t *testing.T) {
		received := memory.New(nil)
		receiver := &socket.Receiver{Handler: received}
		listener, err := net.Listen("tcp", "127.0.0.1:9020")
		if err != nil {
			t.Skip(err) // somebody else has the port of Python's documentation
		}
		served := make(chan error)
		go func() { served <- receiver.Serve(listener) }()
		q := queue.New(socket.New("tcp://127.0.0.1:9020", &socket.Options{Ack: true}), nil)
		logger := slog.New(q)
		logger.Info("one")
		noError(t, slogworks.Shutdown(t.Context(), q))
		if received.Len() != 1 {
			t.Error("the record did not arrive")
		}
		noError(t, receiver.Close())
		if err := <-served; !errors.Is(err, socket.ErrClosed) {
			t.Error(err)
		}
	})
	t.Run("DatagramHandler", func(t *testing.T) {
		packets, err := net.ListenPacket("udp", "127.0.0.1:9020")
		if err != nil {
			t.Skip(err) // as above
		}
		defer packets.Close()
		q := queue.New(socket.New("udp://127.0.0.1:9020", nil), nil)
		logger := slog.New(q)
		logger.Info("one")
		noError(t, slogworks.Shutdown(t.Context(), q))
		noError(t, packets.SetReadDeadline(time.Now().Add(10*time.Second)))
		datagram := make([]byte, 64<<10)
		n, _, err := packets.ReadFrom(datagram)
		if err != nil || !bytes.Contains(datagram[:n], []byte(`"one"`)) {
			t.Errorf("got %q, %v", datagram[:n], err)
		}
	})
	t.Run("SysLogHandler", func(t *testing.T) {
		packets, err := net.ListenPacket("udp", "127.0.0.1:514")
		if err != nil {
			t.Skip(err) // as above
		}
		defer packets.Close()
		q := queue.New(syslog.New("udp://127.0.0.1:514", nil), nil)
		logger := slog.New(q)
		logger.Info("one")
		noError(t, slogworks.Shutdown(t.Context(), q))
		noError(t, packets.SetReadDeadline(time.Now().Add(10*time.Second)))
		datagram := make([]byte, 64<<10)
		n, _, err := packets.ReadFrom(datagram)
		if err != nil || !bytes.HasSuffix(datagram[:n], []byte(" one")) {
			t.Errorf("got %q, %v", datagram[:n], err)
		}
	})
	t.Run("HTTPHandler", func(t *testing.T) {
		got := memory.New(nil)
		server := httptest.NewServer(&httpsink.Receiver{Handler: got})
		defer server.Close()
		url := server.URL
		q := queue.New(httpsink.New(url, nil), nil)
		logger := slog.New(q)
		logger.Info("one")
		noError(t, slogworks.Shutdown(t.Context(), q))
		got.Message("one").One(t)
	})
	t.Run("MemoryHandler", func(t *testing.T) {
		target := memory.New(nil)
		held, err := buffer.Open(target, &buffer.Options{Level: slog.LevelDebug, Trigger: buffer.Any(buffer.AtLeast(100, slog.LevelDebug), buffer.Immediately(slog.LevelError))})
		logger := slog.New(held)
		noError(t, err)
		defer held.Close()
		logger.Debug("one")
		logger.Info("two")
		if held.Evaluate(t.Context()); target.Len() != 0 {
			t.Error("not held")
		}
		logger.Error("three")
		real.WaitFor(t, "the records", func() bool { return target.Len() == 3 })
	})
	t.Run("SMTPHandler", func(t *testing.T) {
		mails, err := mail.New(mail.Config{Host: "smtp.example.com", From: "shop@example.com", To: []string{"ops@example.com"}})
		logger := slog.New(fanout.AtLeast(queue.New(mails, nil), slog.LevelError))
		noError(t, err)
		if logger.Enabled(t.Context(), slog.LevelWarn) || !logger.Enabled(t.Context(), slog.LevelError) {
			t.Error("not from Error on")
		}
	})
	t.Run("a webhook", func(t *testing.T) {
		got := make(chan []byte, 1)
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- body
		}))
		defer server.Close()
		url := server.URL
		hook, err := notify.New(notify.JSON(url), nil)
		logger := slog.New(hook)
		noError(t, err)
		defer hook.Close()
		logger.Error("payment failed")
		if body := <-got; !bytes.Contains(body, []byte(`"title":"ERROR payment failed"`)) {
			t.Errorf("posted %s", body)
		}
	})
	t.Run("CommandLineHandler", func(t *testing.T) {
		d := startDesktop(t)
		h, err := notify.New(&notify.Command{Path: "notify-send", Args: []string{"--", "shop - {attr:logger}", "{title}"}}, nil)
		logger := slogworks.Named(slog.New(h), "payment")
		noError(t, err)
		defer h.Close()
		logger.Error("no answer")
		if got := d.notifications(t, 1)[0]; got.title != "shop - payment" || got.body != "ERROR no answer" {
			t.Errorf("shown %+v", got)
		}
	})
	t.Run("libnotify", func(t *testing.T) {
		real.Program(t, "notify-send")
		h, err := notify.New(notify.NotifySend("shop"), nil)
		logger := slog.New(h)
		noError(t, err)
		defer h.Close()
		if !logger.Enabled(context.Background(), slog.LevelError) {
			t.Error("an error is not told")
		}
	})
}

func TestPythonHandlers_areThoseOfThePage(t *testing.T) {
	page, err := os.ReadFile("../docs/python-handlers.md")
	noError(t, err)
	source, err := os.ReadFile("notify_python_test.go")
	noError(t, err)
	code := string(bytes.ReplaceAll(source, []byte("\t"), nil))
	blocks := strings.Split(string(page), "```go\n")[1:]
	if len(blocks) < 10 {
		t.Fatalf("the page has %d blocks of code", len(blocks))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		_, lines, _ := strings.Cut(block, "\n") // without the comment that names the handler
		if strings.Count(lines, "\n") != 2 || !strings.Contains(code, lines) {
			t.Errorf("these lines of the page are not two lines of a test:\n%s", lines)
		}
	}
}

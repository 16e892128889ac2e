package soak_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/buffer/mail"
	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/levels"
	"github.com/slogworks/slogworks/limit"
	"github.com/slogworks/slogworks/notify"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/redact"
	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/sinks/live"
	"github.com/slogworks/slogworks/sinks/socket"
)

// fault is something that goes wrong for a while.
type fault struct {
	name       string
	begin, end func()
}

// rig is a pipeline and all it writes to.
type rig struct {
	t      *testing.T
	dir    string
	root   slog.Handler
	scopes *fingerscrossed.Handler
	file   *rotate.File
	logged atomic.Int64 // the highest n

	sink, sender *moody
	post         *postOffice
	hub          *live.Hub
	page         *http.Server
	collector    *collector
	redis        *redisServer // nil if there is none
	inRedis      uint64       // records that it acknowledged

	faultsToCome []fault
	faults       []string
	endings      []func() // last first
}

func (r *rig) onClose(f func()) { r.endings = append(r.endings, f) }

func (r *rig) close(t *testing.T) {
	t.Helper()
	for i := len(r.endings) - 1; i >= 0; i-- {
		r.endings[i]()
	}
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), sink: newMoody(), sender: newMoody()}
	retry := slogworks.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond}
	behind := func(next slog.Handler) slog.Handler {
		return queue.New(next, &queue.Options{
			Retry: retry, MaxBlock: time.Millisecond, ReportEvery: time.Second,
			OnError: func(error) {}, // or Shutdown would tell of the faults
		})
	}

	branches := []slog.Handler{
		r.newFile(),
		r.newManaged(),
		behind(r.sink),
		r.newSpool(retry),
		r.newPage(),
		behind(r.newSocket(retry)),
		r.newNotifier(),
	}
	if small := r.newSmallDisk(); small != nil {
		branches = append(branches, behind(small))
	}
	if redis := r.newRedis(retry); redis != nil {
		branches = append(branches, behind(redis))
	}
	r.scopes = fingerscrossed.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}), nil)
	branches = append(branches, r.scopes)

	limited := limit.New(slogctx.New(fanout.New(branches...), nil), &limit.Options{
		First: 100, Window: 100 * time.Millisecond,
		Kind: func(_ context.Context, v slogworks.View) string {
			if v.Message() == "as always" {
				return "as always"
			}
			return "" // not limited
		},
	})
	r.root = levels.New(redact.New(limited, nil), &levels.Options{Table: levels.NewTable(slog.LevelDebug)})

	r.fault("the sink hangs", func() { r.sink.become(r.sink.hangs) }, func() { r.sink.become(nil) })
	r.fault("the sink panics", func() { r.sink.become(r.sink.panics) }, func() { r.sink.become(nil) })
	r.fault("the sink refuses", func() { r.sink.become(r.sink.refuses) }, func() { r.sink.become(nil) })
	r.fault("nobody can be notified", func() { r.sender.become(r.sender.refuses) }, func() { r.sender.become(nil) })
	r.fault("no mail goes out", func() { r.post.down.Store(true) }, func() { r.post.down.Store(false) })
	r.fault("the collector is away", r.collector.stop, r.collector.start)
	r.fault("browsers do not read", r.openDeafBrowsers, func() {})
	r.fault("somebody sends SIGHUP", func() { syscall.Kill(os.Getpid(), syscall.SIGHUP) }, func() {})
	r.fault("somebody moves the file", func() { os.Rename(r.file.Name(), r.file.Name()+".moved."+strconv.Itoa(len(r.faults))) }, func() {})
	return r
}

func (r *rig) fault(name string, begin, end func()) {
	r.faultsToCome = append(r.faultsToCome, fault{name, begin, end})
}

// newFile is where each record has to be in the end. Its day has a second.
func (r *rig) newFile() slog.Handler {
	file, err := rotate.Open(filepath.Join(r.dir, "app.log"), &rotate.Options{
		MaxBytes: 4 << 20, Schedule: rotate.Every(time.Second), MaxBackups: 1 << 20, Compress: true,
		ReopenEvery: 20 * time.Millisecond,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.file = file
	ctx, stop := context.WithCancel(context.Background())
	file.ReopenOn(ctx, syscall.SIGHUP)
	r.onClose(stop)
	return rotate.NewHandler(file, nil)
}

// newSmallDisk is a file on a disk that gets full; nil if the system allows no
// such disk.
func (r *rig) newSmallDisk() slog.Handler {
	dir := filepath.Join(r.dir, "small")
	if err := os.Mkdir(dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := syscall.Mount("soak", dir, "tmpfs", 0, "size=512k"); err != nil {
		r.t.Logf("no disk gets full: mount: %v", err)
		return nil
	}
	r.onClose(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			r.t.Errorf("unmount: %v", err)
		}
	})
	file, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{MaxBytes: 64 << 10, MaxBackups: 2})
	if err != nil {
		r.t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	r.fault("a disk is full",
		func() { os.WriteFile(ballast, make([]byte, 1<<20), 0o600) }, // takes all that is left
		func() { os.Remove(ballast) })
	return rotate.NewHandler(file, nil)
}

func (r *rig) newSpool(retry slogworks.Backoff) slog.Handler {
	r.post = newPostOffice(r.t)
	r.onClose(r.post.close)
	mails, err := mail.New(mail.Config{
		Host: "127.0.0.1", Port: r.post.port(), TLS: mail.Plaintext, HELO: "localhost",
		From: "shop@example.com", To: []string{"ops@example.com"},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	spool, err := buffer.Open(mails, &buffer.Options{
		Level: slog.LevelError, Dir: filepath.Join(r.dir, "spool"), Retry: retry,
		Trigger: buffer.AtLeast(5, slog.LevelError), Every: 100 * time.Millisecond, Limit: slogworks.Rate{N: -1},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return spool
}

func (r *rig) newNotifier() slog.Handler {
	h, err := notify.New(notify.SenderFunc(func(ctx context.Context, m *notify.Message) error {
		return r.sender.take(ctx, m.Count)
	}), &notify.Options{
		Window: 20 * time.Millisecond, MaxWindow: 100 * time.Millisecond,
		OnResult: func(*notify.Message, error) {}, // as OnError of the queues
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

func (r *rig) newPage() slog.Handler {
	r.hub = live.New(&live.Options{MaxRecords: 2000, MaxClients: 1000, WriteTimeout: 200 * time.Millisecond})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.page = &http.Server{Handler: r.hub, Addr: listener.Addr().String()}
	go r.page.Serve(listener)
	r.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := r.page.Shutdown(ctx); err != nil {
			r.t.Errorf("the page does not end: %v", err)
		}
	})
	return r.hub.Handler(nil)
}

// openDeafBrowsers opens streams of which nobody reads a byte.
func (r *rig) openDeafBrowsers() {
	for range 20 {
		conn, err := net.Dial("tcp", r.page.Addr)
		if err != nil {
			r.t.Error(err)
			return
		}
		conn.(*net.TCPConn).SetReadBuffer(4096)
		io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: "+r.page.Addr+"\r\nAuthorization: Bearer "+r.hub.Token()+"\r\n\r\n")
		r.onClose(func() { conn.Close() })
	}
}

func (r *rig) newSocket(retry slogworks.Backoff) slog.Handler {
	r.collector = &collector{t: r.t, address: "127.0.0.1:0", seen: map[int64]int{}}
	r.collector.start()
	r.onClose(r.collector.stop)
	return socket.New("tcp://"+r.collector.address, &socket.Options{Ack: true, Backoff: retry, WriteTimeout: time.Second})
}

// collector is a receiver that goes and comes back.
type collector struct {
	t       *testing.T
	address string

	receiver *socket.Receiver
	serving  sync.WaitGroup

	mu   sync.Mutex
	seen map[int64]int
}

func (c *collector) start() {
	listener, err := net.Listen("tcp", c.address)
	if err != nil {
		c.t.Error(err)
		return
	}
	c.address = listener.Addr().String()
	c.receiver = &socket.Receiver{Handler: c}
	receiver := c.receiver
	c.serving.Go(func() {
		if err := receiver.Serve(listener); !errors.Is(err, socket.ErrClosed) {
			c.t.Error(err)
		}
	})
}

func (c *collector) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c.receiver.Shutdown(ctx)
	c.serving.Wait()
}

func (c *collector) Enabled(context.Context, slog.Level) bool { return true }

func (c *collector) Handle(_ context.Context, r slog.Record) error {
	view := slogworks.NewView(r)
	if n, ok := view.Attr("order", "n"); ok && n.Int64() > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.seen[n.Int64()]++
	}
	return nil
}

func (c *collector) WithAttrs([]slog.Attr) slog.Handler { return c }

func (c *collector) WithGroup(string) slog.Handler { return c }

// checkFile looks for each record in a file and its backups.
func (r *rig) checkFile(t *testing.T, name string) {
	t.Helper()
	seen := make([]uint8, r.logged.Load()+1)
	files, err := filepath.Glob(filepath.Join(r.dir, name+"*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		lines, end := open(t, name)
		for lines.Scan() {
			var line struct {
				Message string `json:"msg"`
				Order   struct {
					N        int64
					Password string
				}
			}
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Fatalf("%s: %v: %s", name, err, lines.Text())
			}
			if line.Order.Password == "tops3cret" {
				t.Fatalf("%s has a password: %s", name, lines.Text())
			}
			if line.Order.N > 0 {
				seen[line.Order.N]++
			}
		}
		end()
	}
	lost, twice := 0, 0
	for _, times := range seen[1:] {
		switch {
		case times == 0:
			lost++
		case times > 1:
			twice++
		}
	}
	if lost > 0 || twice > 0 {
		t.Errorf("of %d records %s lacks %d and has %d twice; files %q", len(seen)-1, name, lost, twice, files)
	}
}

// checkPeers looks at what arrived elsewhere.
func (r *rig) checkPeers(t *testing.T) {
	t.Helper()
	for n, times := range r.collector.seen {
		if times > 1 {
			t.Errorf("the collector got record %d %d times", n, times)
			break
		}
	}
	if r.redis != nil {
		n, err := r.redis.length()
		if err != nil || n < r.inRedis {
			t.Errorf("the stream has %d records and should have %d: %v", n, r.inRedis, err)
		}
	}
	if len(r.collector.seen) == 0 || len(r.post.mails) == 0 || r.sender.written == 0 || r.sink.written == 0 {
		t.Errorf("collector %d records, mails %d, notified of %d, sink %d: each of them works most of the time",
			len(r.collector.seen), len(r.post.mails), r.sender.written, r.sink.written)
	}
}

package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	r3labs "github.com/r3labs/sse/v2"
	gosse "github.com/tmaxmax/go-sse"

	"github.com/slogworks/slogworks/internal/wire"
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

// encoded does what a Hub has to do before it can keep anything.
type encoded struct {
	nop
	buf []byte
}

func (h *encoded) Handle(_ context.Context, r slog.Record) error {
	h.buf = wire.AppendRecord(h.buf[:0], r, wire.Origin{Host: "web1", Process: "bench", PID: 1}, 0)
	return nil
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

// BenchmarkLiveHandle has how long a call usually takes, which leaves out what
// comes rarely: a new block of memory, and the collection of old ones. Reading
// the clock is part of each figure.
func BenchmarkLiveHandle(b *testing.B) {
	for _, s := range []struct {
		name    string
		handler slog.Handler
	}{
		{"encode", new(encoded)},
		{"live", live.New(nil).Handler(nil)},
	} {
		b.Run(s.name, func(b *testing.B) {
			r := wireRecord(false)
			var calls histogram
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				_ = s.handler.Handle(context.Background(), r)
				calls.add(time.Since(began))
			}
			b.ReportMetric(calls.quantile(0.5), "p50-ns")
			b.ReportMetric(calls.quantile(0.99), "p99-ns")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// Browsers that are far away: a process of their own that reads whatever comes,
// over TCP, so that what they cost is no part of what the server costs.
const (
	readersEnv   = "SLOGWORKS_LIVE_READERS" // address, path, number and what to count, with blanks between
	fanoutTime   = 2 * time.Second
	fanoutRate   = 50_000 // records per second, as far as publishing does not block
	readersGrace = 10 * time.Second
)

// TestLiveReaders is that process, when it is started with the variable set.
func TestLiveReaders(t *testing.T) {
	var address, path, token, counted string
	var n int
	if _, err := fmt.Sscan(os.Getenv(readersEnv), &address, &path, &token, &n, &counted); err != nil {
		t.Skip("only for the benchmarks of package live")
	}
	var records atomic.Int64
	var readers sync.WaitGroup
	for range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", path, token)
		readers.Go(func() {
			buf := make([]byte, 256<<10)
			for kept := 0; ; {
				got, err := conn.Read(buf[kept:])
				text := buf[:kept+got]
				records.Add(int64(bytes.Count(text, []byte(counted))))
				// What is counted may be split between two reads.
				kept = copy(buf, text[max(0, len(text)-len(counted)+1):])
				if err != nil {
					return
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		readers.Wait()
		close(ended)
	}()
	for tick, told, over := time.NewTicker(5*time.Millisecond), int64(-1), false; !over; {
		select {
		case <-tick.C:
		case <-ended:
			over = true
		}
		if n := records.Load(); n != told {
			fmt.Printf("readers got %d\n", n)
			told = n
		}
	}
}

// readersCount is what the process of the readers has said last.
type readersCount struct {
	got     atomic.Int64
	unknown bytes.Buffer // what else it says
}

func (c *readersCount) follow(output io.Reader) {
	for lines := bufio.NewScanner(output); lines.Scan(); {
		var n int64
		if _, err := fmt.Sscanf(lines.Text(), "readers got %d", &n); err == nil {
			c.got.Store(n)
		} else {
			fmt.Fprintln(&c.unknown, lines.Text())
		}
	}
}

// reaches reports whether the count becomes n within the time.
func (c *readersCount) reaches(n int64, within time.Duration) bool {
	for deadline := time.Now().Add(within); c.got.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// broadcaster is a server for many readers.
type broadcaster struct {
	handler http.Handler
	path    string
	token   string
	counted string // stands once in what a reader gets for a record
	publish func() slog.Handler
	end     func()
}

// lineWriter gives each line of a slog.JSONHandler away.
type lineWriter func(line []byte)

func (w lineWriter) Write(line []byte) (int, error) {
	w(bytes.Clone(bytes.TrimSuffix(line, []byte("\n"))))
	return len(line), nil
}

var broadcasters = []struct {
	name string
	new  func() broadcaster
}{
	{"live", func() broadcaster {
		// Two seconds of records, so that a moment without a processor loses none.
		hub := live.New(&live.Options{MaxRecords: 2 * fanoutRate, MaxBytes: 64 << 20})
		return broadcaster{
			handler: hub, path: "/events?backlog=0", token: hub.Token(), counted: `{"s":`,
			publish: func() slog.Handler { return hub.Handler(nil) },
			end:     func() { _ = hub.Close() },
		}
	}},
	{"go-sse", func() broadcaster {
		server := &gosse.Server{}
		return broadcaster{
			handler: server, path: "/", token: "none", counted: `"msg":`,
			publish: func() slog.Handler {
				return slog.NewJSONHandler(lineWriter(func(line []byte) {
					m := &gosse.Message{}
					m.AppendData(string(line))
					_ = server.Publish(m)
				}), nil)
			},
			end: func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_ = server.Shutdown(ctx)
			},
		}
	}},
	{"r3labs", func() broadcaster {
		server := r3labs.New()
		server.AutoReplay = false
		server.CreateStream("log")
		return broadcaster{
			handler: server, path: "/?stream=log", token: "none", counted: `"msg":`,
			publish: func() slog.Handler {
				return slog.NewJSONHandler(lineWriter(func(line []byte) {
					server.Publish("log", &r3labs.Event{Data: line})
				}), nil)
			},
			end: server.Close,
		}
	}},
}

// fanned is what a fan-out came to.
type fanned struct {
	rate      float64 // records per second that were logged
	delivered float64 // of 100 % that all readers should have got
	cpu       float64 // of 100 % of one processor, in the server's process
	shutdown  time.Duration
}

func fanOut(tb testing.TB, b broadcaster, readers int, duration time.Duration) fanned {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	// go-sse writes the header twice when it ends, of which net/http complains.
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: b.handler}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })

	child := exec.Command(os.Args[0], "-test.run=^TestLiveReaders$", "-test.v")
	child.Env = append(os.Environ(), readersEnv+"="+fmt.Sprint(listener.Addr(), " ", b.path, " ", b.token, " ", readers, " ", b.counted))
	output, err := child.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	var mistakes bytes.Buffer
	child.Stderr = &mistakes
	if err := child.Start(); err != nil {
		tb.Fatal(err)
	}
	var count readersCount
	var following sync.WaitGroup
	following.Go(func() { count.follow(output) })

	logger := slog.New(b.publish())
	publish := func() { logger.LogAttrs(context.Background(), slog.LevelInfo, message, attrs...) }
	// All are there once a record that is logged reaches as many as there are.
	for deadline := time.Now().Add(readersGrace); ; {
		got := count.got.Load()
		publish()
		if count.reaches(got+int64(readers), 200*time.Millisecond) {
			break
		}
		if time.Now().After(deadline) {
			tb.Fatalf("a record reaches %d of %d readers", count.got.Load()-got, readers)
		}
	}
	earlier := count.got.Load()
	before, began := processorTime(tb), time.Now()
	logged := 0
	for tick := time.NewTicker(time.Millisecond); ; {
		elapsed := time.Since(began)
		for due := int(elapsed.Seconds() * fanoutRate); logged < due && time.Since(began) < duration; logged++ {
			publish()
		}
		if elapsed >= duration {
			tick.Stop()
			break
		}
		<-tick.C
	}
	took := time.Since(began)
	cpu := processorTime(tb) - before
	result := fanned{rate: float64(logged) / took.Seconds(), cpu: 100 * cpu.Seconds() / took.Seconds()}

	// The end is to be no more than that, so first all is to arrive; where some is
	// lost on the way there is a moment for the rest.
	count.reaches(earlier+int64(logged*readers), time.Second)
	began = time.Now()
	b.end()
	result.shutdown = time.Since(began)
	_ = server.Close()
	serving.Wait()
	following.Wait()
	if err := child.Wait(); err != nil {
		tb.Fatalf("%v\n%s%s", err, &count.unknown, &mistakes)
	}
	got := count.got.Load() - earlier
	result.delivered = 100 * float64(got) / float64(logged*readers)
	return result
}

// processorTime is what this process has used.
func processorTime(tb testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkLiveFanout(b *testing.B) {
	for _, s := range broadcasters {
		b.Run(s.name, func(b *testing.B) {
			var sum fanned
			rounds := 0.0
			for b.Loop() {
				once := fanOut(b, s.new(), 50, fanoutTime)
				sum.rate += once.rate
				sum.delivered += once.delivered
				sum.cpu += once.cpu
				sum.shutdown = max(sum.shutdown, once.shutdown)
				rounds++
			}
			b.ReportMetric(sum.cpu/rounds, "cpu-percent")
			b.ReportMetric(sum.rate/rounds, "records/s")
			b.ReportMetric(sum.delivered/rounds, "delivered-percent")
			b.ReportMetric(sum.shutdown.Seconds()*1e3, "shutdown-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func TestLiveFanout_countsWhatReadersGet(t *testing.T) {
	got := fanOut(t, broadcasters[0].new(), 3, 200*time.Millisecond)
	if got.delivered != 100 || got.rate <= 0 || got.cpu <= 0 || got.shutdown <= 0 {
		t.Errorf("%+v", got)
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

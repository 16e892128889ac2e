package bench_test

import (
	"bufio"
	"context"
	"log/slog"
	stdsyslog "log/syslog"
	"net"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/sinks/syslog"
)

// syslogDaemon counts messages, as they are divided by line feeds or lengths.
type syslogDaemon struct {
	address string
	n       atomic.Int64
}

func newSyslogDaemon(tb testing.TB, read func(r *bufio.Reader) error) *syslogDaemon {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	d := &syslogDaemon{address: l.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReaderSize(conn, 64<<10)
		for read(r) == nil {
			d.n.Add(1)
		}
	}()
	tb.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return d
}

func readLine(r *bufio.Reader) error {
	_, err := r.ReadSlice('\n')
	return err
}

func readCounted(r *bufio.Reader) error {
	length := 0
	for {
		c, err := r.ReadByte()
		if err != nil {
			return err
		}
		if c == ' ' {
			break
		}
		length = length*10 + int(c-'0')
	}
	_, err := r.Discard(length)
	return err
}

func (d *syslogDaemon) wait(n int) {
	for d.n.Load() < int64(n) {
		runtime.Gosched()
	}
}

// syslogWay is a way to send records to a daemon.
type syslogWay struct {
	name string
	size int // records at a time
	new  func(tb testing.TB) (d *syslogDaemon, send func() error)
}

func bySyslog(size int, opts syslog.Options) syslogWay {
	name, read := "5424", readCounted
	if opts.Format == syslog.RFC3164 {
		name = "3164"
	}
	if opts.Framing == syslog.LF {
		read = readLine
	}
	return syslogWay{name + "/" + strconv.Itoa(size), size, func(tb testing.TB) (*syslogDaemon, func() error) {
		d := newSyslogDaemon(tb, read)
		h := syslog.New("tcp://"+d.address, &opts)
		tb.Cleanup(func() {
			if err := h.Close(); err != nil {
				tb.Error(err)
			}
		})
		batch := batchOf(size)
		return d, func() error { return h.HandleBatch(context.Background(), batch) }
	}}
}

var syslogWays = []syslogWay{
	{"log/syslog", 1, func(tb testing.TB) (*syslogDaemon, func() error) {
		d := newSyslogDaemon(tb, readLine)
		w, err := stdsyslog.Dial("tcp", d.address, stdsyslog.LOG_INFO|stdsyslog.LOG_USER, "shop")
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = w.Close() })
		h := slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
				return slog.Attr{} // the head has them
			}
			return a
		}})
		r := batchOf(1).Items[0].Record
		return d, func() error { return h.Handle(context.Background(), r) }
	}},
	bySyslog(1, syslog.Options{Format: syslog.RFC3164, Framing: syslog.LF}),
	bySyslog(1, syslog.Options{}),
	bySyslog(16, syslog.Options{}),
	bySyslog(64, syslog.Options{}),
}

// A measurement ends when the daemon has the last message.
func BenchmarkSyslog(b *testing.B) {
	for _, way := range syslogWays {
		b.Run(way.name, func(b *testing.B) {
			d, send := way.new(b)
			if err := send(); err != nil { // connects
				b.Fatal(err)
			}
			sent := 0
			began := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				if err := send(); err != nil {
					b.Fatal(err)
				}
				sent += way.size
			}
			// The loop has stopped its clock, and what is under way counts.
			d.wait(sent + way.size)
			b.ReportMetric(float64(sent)/time.Since(began).Seconds(), "records/s")
		})
	}
}

// Every record arrives as one message, however it is sent.
func TestSyslog_workIsDone(t *testing.T) {
	for _, way := range syslogWays {
		t.Run(way.name, func(t *testing.T) {
			d, send := way.new(t)
			for range 10 {
				if err := send(); err != nil {
					t.Fatal(err)
				}
			}
			peertest.WaitFor(t, "all that was sent", func() bool { return d.n.Load() >= int64(10*way.size) })
			if n := d.n.Load(); n != int64(10*way.size) {
				t.Errorf("%d of %d messages arrived", n, 10*way.size)
			}
		})
	}
}

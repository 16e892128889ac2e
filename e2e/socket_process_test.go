//go:build unix

package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/sinks/socket"
)

// A test process that finds these variables is the child of one, and receives
// into the file at the address until its standard input ends.
const (
	socketChildFile    = "SOCKET_TEST_CHILD_FILE"
	socketChildAddress = "SOCKET_TEST_CHILD_ADDRESS"
)

// socketProcess is a receiver in a process of its own.
type socketProcess struct {
	t       *testing.T
	address string
	command *exec.Cmd
	stdin   io.WriteCloser
	stdout  *bufio.Reader
}

// startSocketProcess starts a receiver that writes to the file, and waits until
// it listens.
func startSocketProcess(t *testing.T, path, address string) *socketProcess {
	t.Helper()
	p := &socketProcess{t: t, command: exec.Command(os.Args[0], "-test.run=^TestSocketChild$")}
	p.command.Env = append(os.Environ(), socketChildFile+"="+path, socketChildAddress+"="+address)
	p.command.Stderr = os.Stderr
	stdin, err := p.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	p.stdin, p.stdout = stdin, bufio.NewReader(stdout)
	t.Cleanup(p.kill)
	p.read(&p.address)
	return p
}

func (p *socketProcess) read(v any) {
	p.t.Helper()
	line, err := p.stdout.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, v)
	}
	if err != nil {
		p.t.Fatalf("the receiver says %q: %v", line, err)
	}
}

func (p *socketProcess) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// stop returns when all of the process has stopped.
func (p *socketProcess) stop() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.command.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		p.t.Fatalf("the process did not stop: %v, %v", status, err)
	}
}

// kill ends the process at once, in whatever it does.
func (p *socketProcess) kill() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
}

// end ends the process in order and returns its counts.
func (p *socketProcess) end() (s socket.Stats) {
	p.t.Helper()
	if err := p.stdin.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.read(&s)
	if err := p.command.Wait(); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// TestSocketChild is what a socketProcess runs.
func TestSocketChild(t *testing.T) {
	path, address := os.Getenv(socketChildFile), os.Getenv(socketChildAddress)
	if path == "" {
		t.Skip("is run by other tests")
	}
	file, err := rotate.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	r := &socket.Receiver{Handler: rotate.NewHandler(file, func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) })}
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	answer := json.NewEncoder(os.Stdout)
	if err := answer.Encode(l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := errors.Join(r.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-served; !errors.Is(err, socket.ErrClosed) {
		t.Fatal(err)
	}
	if err := answer.Encode(r.Stats()); err != nil {
		t.Fatal(err)
	}
}

// socketSender is a logger with a queue in front of a socket.
type socketSender struct {
	t      *testing.T
	h      *watchedSocket
	q      *queue.Handler
	logger *slog.Logger
}

// watchedSocket counts the batches that failed.
type watchedSocket struct {
	*socket.Handler
	failures atomic.Int64
}

func (w *watchedSocket) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	err := w.Handler.HandleBatch(ctx, b)
	if err != nil {
		w.failures.Add(1)
	}
	return err
}

func newSocketSender(t *testing.T, address string, records int) *socketSender {
	t.Helper()
	h := &watchedSocket{Handler: socket.New("tcp://"+address, &socket.Options{Ack: true, WriteTimeout: 300 * time.Millisecond, DialTimeout: 300 * time.Millisecond})}
	q := queue.New(h, &queue.Options{Capacity: records, Reserve: -1, Retry: slogworks.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond}})
	return &socketSender{t, h, q, slog.New(q).With("sender", 1)}
}

// end waits until everything is delivered.
func (s *socketSender) end() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), real.Patience)
	defer cancel()
	if err := errors.Join(s.q.Shutdown(ctx), s.h.Shutdown(ctx)); err != nil {
		s.t.Error(err)
	}
	if got := s.q.Stats(); got.Handled != got.Enqueued || got.DroppedOverflow.Total() != 0 {
		s.t.Errorf("the queue's counts are %+v", got)
	}
}

func lineCount(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range b {
		if c == '\n' {
			n++
		}
	}
	return n
}

// A receiver that is killed had handled more than it could acknowledge, so that
// the end of a batch may be there twice, once for each time. Nothing is missing.
func TestReceiver_killedInMidStreamLosesNothing(t *testing.T) {
	const kills, batch = 3, 64 // records in a batch of the queue
	records := socketRecords(100_000)
	path := filepath.Join(t.TempDir(), "all.log")
	p := startSocketProcess(t, path, "127.0.0.1:0")
	s := newSocketSender(t, p.address, records)
	var logged atomic.Int64
	logging := make(chan struct{})
	go func() {
		defer close(logging)
		for i := range records {
			s.logger.Info("message", "n", i)
			logged.Add(1)
		}
	}()
	for i := range kills {
		real.WaitFor(t, "records", func() bool { return lineCount(t, path) >= (i+1)*records/(kills+2) })
		p.kill()
		if i == 0 && logged.Load() == int64(lineCount(t, path)) {
			t.Error("it was not killed in mid-stream")
		}
		p = startSocketProcess(t, path, p.address)
	}
	<-logging
	s.end()
	stats := p.end()
	seen := readNumbered(t, path, kills)
	twice := 0
	for i := range records {
		times := seen[numbered{1, i}]
		if times == 0 {
			t.Fatalf("record %d is missing", i)
		}
		twice += times - 1
	}
	if len(seen) != records || twice > kills*batch {
		t.Errorf("%d distinct records and %d repetitions, want %d and at most %d", len(seen), twice, records, kills*batch)
	}
	t.Logf("%d records, %d twice after %d kills; the last receiver counts %+v", len(seen), twice, kills, stats)
}

// A receiver that hangs takes what the system has room for, and nothing is said
// about it. When it wakes up, it gets everything again on another connection, and
// recognises it.
func TestReceiver_hangsAndNobodyWaitsForIt(t *testing.T) {
	records := socketRecords(100_000)
	path := filepath.Join(t.TempDir(), "all.log")
	p := startSocketProcess(t, path, "127.0.0.1:0")
	s := newSocketSender(t, p.address, records)
	s.logger.Info("message", "n", 0)
	real.WaitFor(t, "the first record", func() bool { return lineCount(t, path) == 1 })

	p.stop()
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		for i := 1; i < records; i++ {
			s.logger.Info("message", "n", i)
		}
	}()
	select {
	case <-logged:
	case <-time.After(real.Patience):
		t.Error("who logs waits for the receiver")
	}
	// Meanwhile a record without a queue gets its error when the time is over.
	direct := socket.New("tcp://"+p.address, &socket.Options{WriteTimeout: 100 * time.Millisecond})
	failed := make(chan error, 1)
	go func() {
		big := slog.NewRecord(time.Now(), slog.LevelInfo, strings.Repeat("x", 10_000), 0)
		for {
			if err := direct.Handle(context.Background(), big); err != nil {
				failed <- err
				return
			}
		}
	}()
	select {
	case err := <-failed:
		var delivery *slogworks.DeliveryError
		if !errors.As(err, &delivery) || !errors.Is(err, os.ErrDeadlineExceeded) || delivery.After <= 0 {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(real.Patience):
		t.Error("a write to a receiver that hangs has no end")
	}
	if err := direct.Close(); err != nil {
		t.Error(err)
	}
	if n := lineCount(t, path); n != 1 {
		t.Errorf("%d lines were written by a process that is stopped", n)
	}

	real.WaitFor(t, "the queue's batch fails, and again", func() bool { return s.h.failures.Load() >= 2 })
	p.signal(syscall.SIGCONT)
	s.end()
	stats := p.end()
	seen := readNumbered(t, path, 0)
	delete(seen, numbered{}) // those of direct
	for i := range records {
		if times := seen[numbered{1, i}]; times != 1 {
			t.Fatalf("record %d is there %d times", i, times)
		}
	}
	if len(seen) != records || stats.Duplicates == 0 {
		t.Errorf("%d distinct records, want %d; the receiver counts %+v", len(seen), records, stats)
	}
	t.Logf("the receiver counts %+v", stats)
}

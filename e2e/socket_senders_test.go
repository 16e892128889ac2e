package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/e2e/real"
	"github.com/slogworks/slogworks/queue"
	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/sinks/socket"
)

// socketFull makes the tests of sockets send 20 times as much.
var socketFull = os.Getenv("SOCKET_TEST_FULL") == "1"

// socketRecords is how many records a test sends that sends n when it has time.
func socketRecords(n int) int {
	if socketFull {
		return n
	}
	return n / 20
}

// numbered is a record of a sender that numbers its own.
type numbered struct{ Sender, N int }

// readNumbered returns how often the records are in a file, and fails the test
// for what is no line of JSON.
//
// A process that is killed in the midst of write(2) may leave the beginning of a
// line, which the next one ends: of such there are at most kills.
func readNumbered(t *testing.T, path string, kills int) map[numbered]int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[numbered]int{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var n numbered
		if err := json.Unmarshal(lines.Bytes(), &n); err != nil {
			if kills--; kills < 0 {
				t.Fatalf("%v: %s", err, lines.Bytes())
			}
			continue
		}
		seen[n]++
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return seen
}

// Many senders, each with a queue, and one file.
func TestReceiver_gathersManySendersInOneFile(t *testing.T) {
	const senders = 64
	each := socketRecords(10_000)
	path := filepath.Join(t.TempDir(), "all.log")
	file, err := rotate.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := listenSocketAs(t, rotate.NewHandler(file, func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }), nil)
	began := time.Now()
	var sending sync.WaitGroup
	for s := range senders {
		sending.Go(func() {
			h := socket.New("tcp://127.0.0.1:"+n.args[0], &socket.Options{Ack: s%2 == 0})
			q := queue.New(h, &queue.Options{Capacity: each, Reserve: -1})
			logger := slog.New(q).With("sender", s)
			for i := range each {
				logger.Info("message "+strconv.Itoa(i), "n", i)
			}
			ctx, cancel := context.WithTimeout(context.Background(), real.Patience)
			defer cancel()
			for _, end := range []func(context.Context) error{q.Shutdown, h.Shutdown} {
				if err := end(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sending.Wait()
	n.shutdown(t)
	t.Logf("%d records in %v, %.0f a second", senders*each, time.Since(began).Round(time.Millisecond), float64(senders*each)/time.Since(began).Seconds())
	if err := file.Close(); err != nil {
		t.Error(err)
	}
	seen := readNumbered(t, path, 0)
	for s := range senders {
		for i := range each {
			if times := seen[numbered{s, i}]; times != 1 {
				t.Fatalf("record %d of sender %d is there %d times", i, s, times)
			}
		}
	}
	if len(seen) != senders*each {
		t.Errorf("%d distinct records, want %d", len(seen), senders*each)
	}
	if s := n.Stats(); s.Written != uint64(senders*each) || s.Received != s.Written || s.Duplicates != 0 {
		t.Errorf("the counts are %+v", s)
	}
	for _, err := range n.errs {
		t.Error(err)
	}
}

package sharedfile_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/sharedfile"
)

// full makes the tests with processes write 10 times as much, in more rounds.
var full = os.Getenv("SHAREDFILE_TEST_FULL") != ""

const (
	processLimit = 64 << 10
	patience     = 60 * time.Second
)

// lineOf returns line i of a writer. Its length follows from both, so that a
// reader knows whether it is whole: about 200 bytes, but writers from 1000 on
// write up to five pages, in which a kill finds them more often.
func lineOf(writer, i int) []byte {
	n := 100 + (writer*31+i*17)%200
	if writer >= 1000 {
		n = 1 + (writer*4099+i*7919)%(5*4096)
	}
	line := fmt.Appendf(nil, "<%d %d ", writer, i)
	return append(append(line, bytes.Repeat([]byte("x"), n)...), ">\n"...)
}

type lineID struct{ writer, i int }

// parse returns which line it is, if it is a whole one.
func parse(line []byte) (lineID, bool) {
	fields := strings.Fields(strings.TrimPrefix(string(line), "<"))
	if len(fields) < 2 {
		return lineID{}, false
	}
	writer, err1 := strconv.Atoi(fields[0])
	i, err2 := strconv.Atoi(fields[1])
	if err1 != nil || err2 != nil || !bytes.Equal(line, lineOf(writer, i)) {
		return lineID{}, false
	}
	return lineID{writer, i}, true
}

func logOptions(path string, each bool) *sharedfile.Options {
	return &sharedfile.Options{
		MaxBytes:      processLimit,
		LockEachWrite: each,
		Wait:          patience,
		Rename: func() error {
			return os.Rename(path, fmt.Sprintf("%s.%d.%d", path, time.Now().UnixNano(), os.Getpid()))
		},
	}
}

// startWriter starts a process that appends to the log, and returns a function
// that says how many lines are in it for certain. If it meets faults, what it
// reports is no error.
func startWriter(t *testing.T, path string, writer, lines int, each, faults bool) (*child, func() int) {
	t.Helper()
	mode, tolerate := "0", ""
	if each {
		mode = "1"
	}
	if faults {
		tolerate = "faults"
	}
	acks := filepath.Join(t.TempDir(), "acks")
	c := start(t, "append", path, strconv.Itoa(writer), strconv.Itoa(lines), acks, mode, tolerate)
	return c, func() int {
		b, err := os.ReadFile(acks)
		if err != nil || len(b) < 8 {
			return 0
		}
		return int(binary.LittleEndian.Uint64(b))
	}
}

// A census is what a reader finds in all files of a log.
type census struct {
	lines     map[lineID]int
	fragments int // lines that are not whole
	over      int // bytes over the limit
	files     int
}

func (c *census) count(t *testing.T, name string, content []byte) {
	c.files++
	for line := range bytes.Lines(content) {
		if id, ok := parse(line); ok {
			c.lines[id]++
		} else {
			c.fragments++
			t.Logf("%s: fragment of %d bytes: %.60q", filepath.Base(name), len(line), line)
		}
	}
	c.over += max(0, len(content)-processLimit)
}

// take counts what is in all files of the log at path.
func take(t *testing.T, path string) *census {
	t.Helper()
	c := &census{lines: map[lineID]int{}}
	for name, content := range files(t, path) {
		b := []byte(content)
		if strings.HasSuffix(name, ".gz") {
			r, err := gzip.NewReader(bytes.NewReader(b))
			if err == nil {
				b, err = io.ReadAll(r)
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		c.count(t, name, b)
	}
	return c
}

// compress compresses all files of the log that it can claim.
func compress(path string) (n int, err error) {
	paths, err := filepath.Glob(path + ".*")
	if err != nil {
		return 0, err
	}
	for _, p := range paths {
		if strings.HasSuffix(p, ".gz") {
			continue
		}
		f, err := sharedfile.Claim(p)
		if errors.Is(err, sharedfile.ErrBusy) {
			continue
		}
		if err != nil {
			return n, err
		}
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, err = io.Copy(w, f)
		if err = errors.Join(err, w.Close(), os.WriteFile(p+".gz", b.Bytes(), 0o600), os.Remove(p), f.Close()); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func TestAppender_losesNothingBetweenProcesses(t *testing.T) {
	processes, lines, rounds := 4, 5000, 1
	if full {
		lines, rounds = 50000, 5
	} else if raceEnabled {
		lines = 2000
	}
	inBothModes(t, func(t *testing.T, each bool) {
		for round := range rounds {
			path := logPath(t)
			begin := time.Now()
			var children []*child
			for w := range processes {
				c, _ := startWriter(t, path, w, lines, each, false)
				children = append(children, c)
			}

			// A compressor takes the files as soon as they are nobody's.
			done := make(chan struct{})
			var wg sync.WaitGroup
			compressed := 0
			wg.Go(func() {
				for {
					n, err := compress(path)
					if err != nil {
						t.Error(err)
						return
					}
					compressed += n
					select {
					case <-done:
						return
					case <-time.After(5 * time.Millisecond):
					}
				}
			})
			for _, c := range children {
				c.expect("open")
			}
			for _, c := range children {
				if err := c.wait(); err != nil {
					t.Errorf("a writer: %v; stderr: %s", err, &c.stderr)
				}
			}
			close(done)
			wg.Wait()

			got := take(t, path)
			t.Logf("round %d: %v for %d lines in %d files, %d of them compressed meanwhile",
				round, time.Since(begin), len(got.lines), got.files, compressed)
			if got.fragments != 0 || got.over != 0 {
				t.Errorf("%d torn lines, %d bytes over the limit", got.fragments, got.over)
			}
			lost, twice := 0, 0
			for w := range processes {
				for i := range lines {
					switch got.lines[lineID{w, i}] {
					case 0:
						lost++
					case 1:
					default:
						twice++
					}
				}
			}
			if lost != 0 || twice != 0 {
				t.Errorf("of %d lines %d are lost and %d there more than once", processes*lines, lost, twice)
			}
			if compressed == 0 {
				t.Error("no file could be claimed")
			}
		}
	})
}

func TestAppender_killCostsAtMostTheLineBeingWritten(t *testing.T) {
	kills := 24
	if full {
		kills = 256
	} else if raceEnabled {
		kills = 6 // its processes take long to start
	}
	inBothModes(t, func(t *testing.T, each bool) {
		path := logPath(t)
		type writer struct {
			*child
			acked  func() int
			target int
		}
		next := 1000
		acked := map[int]func() int{}
		spawn := func() *writer {
			c, count := startWriter(t, path, next, 0, each, false)
			acked[next] = count
			next++
			c.expect("open")
			return &writer{child: c, acked: count, target: rand.IntN(100)}
		}
		writers := make([]*writer, 4)
		for i := range writers {
			writers[i] = spawn()
		}
		deadline := time.Now().Add(patience + time.Duration(kills)*time.Second)
		for killed := 0; killed < kills; {
			for i, w := range writers {
				if w.acked() >= w.target && killed < kills {
					w.kill()
					killed++
					writers[i] = spawn()
				}
			}
			if time.Now().After(deadline) {
				t.Fatal("the writers make no progress")
			}
		}
		for _, w := range writers {
			w.finish()
		}

		got := take(t, path)
		t.Logf("%d kills: %d lines in %d files, %d fragments", kills, len(got.lines), got.files, got.fragments)
		for id, n := range got.lines {
			if n > 1 {
				t.Errorf("line %v is there %d times", id, n)
			}
		}
		for w, count := range acked {
			for i := range count() {
				if got.lines[lineID{w, i}] == 0 {
					t.Errorf("line %d of writer %d is lost: %d had been written", i, w, count())
				}
			}
		}
		// Each kill leaves one fragment at most, and whoever wrote behind it is
		// glued to it and stands whole after it.
		if got.fragments > kills || got.over != 0 {
			t.Errorf("%d fragments of %d kills, %d bytes over the limit", got.fragments, kills, got.over)
		}
	})
}

func TestAppender_healsTheLockFileUnderProcesses(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			if raceEnabled && name != "deleted" && name != "replaced" {
				t.Skip("a fault in an atomic operation ends a program that has the race detector")
			}
			path := logPath(t)
			lock := filepath.Join(filepath.Dir(path), ".app.log.lock")
			var writers []*child
			var acked []func() int
			for w := range 3 {
				c, count := startWriter(t, path, w, 0, false, true)
				c.expect("open")
				writers, acked = append(writers, c), append(acked, count)
			}
			a := open(t, path, logOptions(path, false))
			deadline := time.Now().Add(patience)
			for round := range 10 {
				for acked[round%3]() < 100*(round+1) && time.Now().Before(deadline) {
					time.Sleep(time.Millisecond)
				}
				if err := fault(lock); err != nil {
					t.Fatal(err)
				}
				if err := a.Reopen(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range writers {
				c.finish()
			}
			got := take(t, path)
			if got.fragments != 0 {
				t.Errorf("%d torn lines", got.fragments)
			}
			total := 0
			for w, count := range acked {
				for i := range count() {
					total++
					if got.lines[lineID{w, i}] != 1 {
						t.Errorf("line %d of writer %d is there %d times", i, w, got.lines[lineID{w, i}])
					}
				}
			}
			t.Logf("%d lines in %d files, %d bytes over the limit", total, got.files, got.over)
		})
	}
}

package rotate_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/rotate"
)

// full makes the tests with processes write 10 times as much.
var full = os.Getenv("ROTATE_TEST_FULL") == "1"

// patience is how long a test waits for processes.
const patience = 60 * time.Second

// A test process that finds this variable is the child of one, and writes what
// it says instead of running tests.
const childVariable = "ROTATE_TEST_CHILD"

func TestMain(m *testing.M) {
	text := os.Getenv(childVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	var w writer
	err := json.Unmarshal([]byte(text), &w)
	if err == nil {
		err = w.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// writer is a process that writes lines to a file that others write to as well.
type writer struct {
	Path   string
	Writer int // tells its lines from those of others
	Lines  int // 0: until its standard input ends
	Acks   string
	Faults bool // what is reported is no error

	MaxBytes int64
	Naming   rotate.Naming
	Compress bool
	Buffer   int
	Every    time.Duration
}

const heading = "# heading\n"

func (w writer) options() *rotate.Options {
	return &rotate.Options{
		Shared:      true,
		MaxBytes:    w.MaxBytes,
		MaxBackups:  10_000,
		Naming:      w.Naming,
		Compress:    w.Compress,
		Buffer:      w.Buffer,
		Schedule:    rotate.Every(w.Every),
		ReopenEvery: 10 * time.Millisecond,
		Header:      func() []byte { return []byte(heading) },
	}
}

// run writes the lines, and keeps the number of those that Write has returned
// for in the file Acks.
func (w writer) run() error {
	acks, err := os.Create(w.Acks)
	if err != nil {
		return err
	}
	opts := w.options()
	opts.OnError = func(err error) {
		if !w.Faults {
			fmt.Fprintln(os.Stderr, "reported:", err)
		}
	}
	f, err := rotate.Open(w.Path, opts)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	fmt.Println("open")
	written := uint64(0)
	for !w.ends(written, stop) {
		if _, err := f.Write(lineOf(w.Writer, int(written))); err != nil {
			return err
		}
		written++
		if _, err := acks.WriteAt(binary.LittleEndian.AppendUint64(nil, written), 0); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f.Shutdown(ctx); err != nil {
		return err
	}
	if s := f.Stats(); !w.Faults && (s.Errors > 0 || s.Dropped > 0 || s.Records != written) {
		return fmt.Errorf("the stats are %+v", s)
	}
	return json.NewEncoder(os.Stdout).Encode(f.Stats().Rotations)
}

// ends reports whether the writer has written enough, for which one with a
// number of Lines waits until the others have as well.
func (w writer) ends(written uint64, stop <-chan struct{}) bool {
	if w.Lines == 0 {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	if written < uint64(w.Lines) {
		return false
	}
	<-stop
	return true
}

// lineOf returns line i of a writer. Its length follows from both, so that a
// reader knows whether it is whole: about 200 bytes, but writers from 1000 on
// write up to five pages, in which a kill finds them more often.
func lineOf(writer, i int) []byte {
	n := 90 + (writer*31+i*17)%200
	if writer >= 1000 {
		n = 1 + (writer*4099+i*7919)%(5*4096)
	}
	line := fmt.Appendf(nil, "<%d %d ", writer, i)
	return append(append(line, bytes.Repeat([]byte("x"), n)...), ">\n"...)
}

// process is a writer that runs.
type process struct {
	writer
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
	stderr strings.Builder
	once   sync.Once
	err    error
}

// start starts a writer and waits until it has opened the file. It is killed at
// the end of the test if it still runs.
func (w writer) start(t *testing.T) *process {
	t.Helper()
	w.Acks = filepath.Join(t.TempDir(), "acks")
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{writer: w, t: t, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), childVariable+"="+string(text),
		"GORACE=atexit_sleep_ms=0") // it would sleep for a second
	p.cmd.Stderr = &p.stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.stdin, p.stdout = stdin, bufio.NewReader(stdout)
	t.Cleanup(p.kill)
	if line, err := p.stdout.ReadString('\n'); line != "open\n" {
		p.kill()
		t.Fatalf("a writer said %q, %v: %s", line, err, &p.stderr)
	}
	return p
}

// written returns how many lines Write has returned for.
func (p *process) written() int {
	b, err := os.ReadFile(p.Acks)
	if err != nil || len(b) < 8 {
		return 0
	}
	return int(binary.LittleEndian.Uint64(b))
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.wait()
}

func (p *process) wait() error {
	p.once.Do(func() {
		_, _ = io.Copy(io.Discard, p.stdout)
		p.err = p.cmd.Wait()
	})
	return p.err
}

// finish lets the writers end, and returns how many rotations they made.
func finish(t *testing.T, all []*process) (rotations int) {
	t.Helper()
	for _, p := range all {
		p.stdin.Close()
	}
	for _, p := range all {
		var n int
		_ = json.NewDecoder(p.stdout).Decode(&n) // is missing after an error
		if err := p.wait(); err != nil || p.stderr.Len() > 0 {
			t.Errorf("a writer: %v: %s", err, &p.stderr)
		}
		rotations += n
	}
	return rotations
}

type lineID struct{ writer, i int }

// census is what there is in a file and its backups.
type census struct {
	lines       map[lineID]int
	files       int
	compressed  int
	fragments   int // lines that are not whole
	over        int // bytes over the limit
	headless    int // files that have no header at their beginning, or one elsewhere
	unfinished  int // compressions
	description string
}

// count counts what is in the directory, whose files have a limit.
func count(t *testing.T, dir string, limit int64) census {
	t.Helper()
	c := census{lines: map[lineID]int{}}
	for name, text := range read(t, dir) {
		if strings.HasSuffix(name, ".tmp") {
			c.unfinished++
			continue
		}
		c.files++
		if strings.HasSuffix(name, ".gz") {
			c.compressed++
		}
		c.over += max(0, len(text)-int(limit))
		body, ok := strings.CutPrefix(text, heading)
		if !ok || strings.Contains(body, heading) {
			c.headless++
		}
		for line := range strings.Lines(body) {
			if id, ok := parse(line); ok {
				c.lines[id]++
			} else {
				c.fragments++
				t.Logf("%s: fragment of %d bytes: %.60q", name, len(line), line)
			}
		}
	}
	c.description = fmt.Sprintf("%d lines in %d files, %d of them compressed", len(c.lines), c.files, c.compressed)
	return c
}

// parse returns which line it is, if it is a whole one.
func parse(line string) (id lineID, ok bool) {
	fields := strings.Fields(strings.TrimPrefix(line, "<"))
	if len(fields) < 2 {
		return id, false
	}
	var err1, err2 error
	id.writer, err1 = strconv.Atoi(fields[0])
	id.i, err2 = strconv.Atoi(fields[1])
	return id, err1 == nil && err2 == nil && line == string(lineOf(id.writer, id.i))
}

// wantEach complains unless the lines of the writer below n are there, once.
func (c census) wantEach(t *testing.T, writer, n int) {
	t.Helper()
	lost, twice := 0, 0
	for i := range n {
		switch got := c.lines[lineID{writer, i}]; {
		case got == 0:
			lost++
		case got > 1:
			twice++
		}
	}
	if lost > 0 || twice > 0 {
		t.Errorf("of %d lines of writer %d, %d are lost and %d are there more than once", n, writer, lost, twice)
	}
}

func TestShared_losesNothingBetweenProcesses(t *testing.T) {
	onUnix(t)
	const processes, rounds = 4, 5
	lines, limit := 5_000, int64(128<<10)
	if full {
		lines, limit = 50_000, 1<<20
	}
	for _, w := range []writer{
		{Naming: rotate.Timestamp},
		{Naming: rotate.Numbered},
		{Naming: rotate.Timestamp, Compress: true},
		{Naming: rotate.Numbered, Compress: true},
	} {
		t.Run(fmt.Sprint(w.Naming, " compress ", w.Compress), func(t *testing.T) {
			for range rounds {
				dir := t.TempDir()
				w.Path, w.Lines, w.MaxBytes = filepath.Join(dir, "app.log"), lines, limit
				began := time.Now()
				var all []*process
				for i := range processes {
					w.Writer, w.Buffer = i, i%2*4096 // which may differ
					all = append(all, w.start(t))
				}
				rotations := finish(t, all)
				got := count(t, dir, limit)
				t.Logf("%v: %s", time.Since(began), got.description)
				for i := range processes {
					got.wantEach(t, i, lines)
				}
				if got.fragments > 0 || got.over > 0 || got.headless > 0 || got.unfinished > 0 {
					t.Errorf("%d torn lines, %d bytes over the limit, %d headers missing, %d compressions left",
						got.fragments, got.over, got.headless, got.unfinished)
				}
				if rotations != got.files-1 {
					t.Errorf("%d rotations and %d files", rotations, got.files)
				}
				if w.Compress != (got.compressed > 0) || w.Compress && got.files-got.compressed < 3 {
					t.Errorf("%d of %d files are compressed; the newest two backups are not to be", got.compressed, got.files)
				}
			}
		})
	}
}

func TestShared_killCostsAtMostTheLineBeingWritten(t *testing.T) {
	onUnix(t)
	kills := 24
	switch {
	case full:
		kills = 256
	case raceEnabled:
		kills = 6 // its processes take long to start
	}
	const limit = 1 << 20
	for _, naming := range []rotate.Naming{rotate.Timestamp, rotate.Numbered} {
		t.Run(naming.String(), func(t *testing.T) {
			dir := t.TempDir()
			w := writer{Path: filepath.Join(dir, "app.log"), Writer: 1000, MaxBytes: limit, Naming: naming, Compress: true}
			var all []*process
			spawn := func() *process {
				p := w.start(t)
				all = append(all, p)
				w.Writer++
				return p
			}
			running, target := make([]*process, 4), make([]int, 4)
			for i := range running {
				running[i] = spawn()
			}
			deadline := time.Now().Add(patience + time.Duration(kills)*time.Second)
			for killed := 0; killed < kills; {
				for i, p := range running {
					if p.written() > target[i] && killed < kills {
						p.kill()
						killed++
						running[i], target[i] = spawn(), rand.IntN(60)
					}
				}
				if time.Now().After(deadline) {
					t.Fatal("the writers make no progress")
				}
			}
			finish(t, running)
			// Whoever opens the file next goes on with what was left undone.
			f, err := rotate.Open(w.Path, w.options())
			opened(t, f, err)
			closed(t, f)

			got := count(t, dir, limit)
			t.Logf("%d kills: %s, %d fragments", kills, got.description, got.fragments)
			for id, n := range got.lines {
				if n > 1 {
					t.Errorf("line %v is there %d times", id, n)
				}
			}
			for _, p := range all {
				got.wantEach(t, p.Writer, p.written())
			}
			// Each kill leaves one fragment at most, and whoever wrote behind it is
			// glued to it and stands whole after it.
			if got.fragments > kills || got.over > 0 || got.unfinished > 0 {
				t.Errorf("%d fragments of %d kills, %d bytes over the limit, %d compressions left", got.fragments, kills, got.over, got.unfinished)
			}
		})
	}
}

func TestShared_survivesWhatIsDoneToTheLockFile(t *testing.T) {
	onUnix(t)
	for name, fault := range map[string]func(path string) error{
		"deleted":   os.Remove,
		"truncated": func(path string) error { return os.Truncate(path, 0) },
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".old.lock"), os.WriteFile(path, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if raceEnabled && name == "truncated" {
				t.Skip("skipped: a fault in an atomic operation ends a program that has the race detector")
			}
			dir := t.TempDir()
			w := writer{Path: filepath.Join(dir, "app.log"), MaxBytes: 64 << 10, Faults: true}
			var all []*process
			for range 3 {
				all = append(all, w.start(t))
				w.Writer++
			}
			for round := range 10 {
				peertest.WaitFor(t, "lines are written", func() bool {
					for _, p := range all {
						if p.written() < 100*(round+1) {
							return false
						}
					}
					return true
				})
				if err := fault(filepath.Join(dir, ".app.log.lock")); err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
			}
			finish(t, all)
			got := count(t, dir, 1<<30)
			t.Log(got.description)
			for _, p := range all {
				got.wantEach(t, p.Writer, p.written())
			}
			if got.fragments > 0 {
				t.Errorf("%d torn lines", got.fragments)
			}
		})
	}
}

func TestShared_rotatesOncePerTimeBetweenProcesses(t *testing.T) {
	onUnix(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	put(t, path, heading+string(lineOf(9, 0)))
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(path, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	// An hour ago, and in fifty years.
	w := writer{Path: path, Lines: 200, Every: time.Since(time.Unix(0, 0)) - time.Hour}
	var all []*process
	for range 4 {
		all = append(all, w.start(t))
		w.Writer++
	}
	rotations := finish(t, all)
	got := count(t, dir, 1<<30)
	for i := range 4 {
		got.wantEach(t, i, 200)
	}
	if rotations != 1 || got.files != 2 || got.fragments > 0 || got.headless > 0 {
		t.Errorf("%d rotations and %+v", rotations, got)
	}
	if backups := backupsOf(t, dir, "app.log"); len(backups) != 1 || backups[0] != heading+string(lineOf(9, 0)) {
		t.Errorf("the backup is not what was there: %d bytes", len(strings.Join(backups, "")))
	}
}

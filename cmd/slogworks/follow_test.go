package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/sinks/live"
)

// following is a follower that looks at its file when the test says so.
type following struct {
	*follower
	t    *testing.T
	path string
	told []string
}

func follow(t *testing.T, path string, existing int) *following {
	t.Helper()
	f := &following{t: t, path: path}
	f.follower = &follower{
		feed: feed{hub: live.New(nil), name: path, process: "app"},
		path: path, existing: existing, every: time.Millisecond,
		tell: func(err error) { f.told = append(f.told, err.Error()) },
	}
	f.begin(t.Context())
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		f.run(ended)
	})
	return f
}

// expect looks at the file and compares what was published since the start.
func (f *following) expect(want ...string) {
	f.t.Helper()
	f.poll(f.t.Context())
	if got := messages(f.t, f.hub); !slices.Equal(got, want) {
		f.t.Fatalf("got %q, want %q", got, want)
	}
}

func messages(t *testing.T, hub *live.Hub) (all []string) {
	t.Helper()
	r := httptest.NewRequest("GET", "http://localhost/records?limit=1000", nil)
	r.Header.Set("Authorization", "Bearer "+hub.Token())
	w := httptest.NewRecorder()
	hub.ServeHTTP(w, r)
	var answer struct{ Records []shown }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	for _, r := range answer.Records {
		all = append(all, r.Message)
	}
	return all
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// rotatable skips a test where a file that is open cannot be renamed.
func rotatable(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be renamed on Windows")
	}
	return filepath.Join(t.TempDir(), "app.log")
}

func TestFollower_readsOnThroughRotations(t *testing.T) {
	path := rotatable(t)
	write(t, path, "1\n2\n")
	f := follow(t, path, 1)
	f.expect("2")
	write(t, path, "3\n")
	rename(t, path, path+".1")
	f.expect("2", "3")
	write(t, path+".1", "4, by a writer who does not know yet\n")
	write(t, path, "5\n")
	f.expect("2", "3", "4, by a writer who does not know yet", "5")
	write(t, path+".1", "6, half a line")
	f.expect("2", "3", "4, by a writer who does not know yet", "5")
	rename(t, path, path+".2")
	write(t, path, "7\n")
	f.expect("2", "3", "4, by a writer who does not know yet", "5", "6, half a line", "7")
	if len(f.told) > 0 {
		t.Errorf("told %q", f.told)
	}
}

func TestFollower_readsToTheEndWhenItIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	write(t, path, "1\n")
	f := follow(t, path, 1)
	write(t, path, "2\nhalf")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	f.run(ended)
	if got := messages(t, f.hub); !slices.Equal(got, []string{"1", "2", "half"}) {
		t.Errorf("got %q", got)
	}
	f.file = nil
}

func TestFollower_knowsAFileThatComesBack(t *testing.T) {
	path := rotatable(t)
	write(t, path, "1\n")
	f := follow(t, path, 9)
	rename(t, path, path+".away")
	f.expect("1")
	rename(t, path+".away", path)
	write(t, path, "2\n")
	f.expect("1", "2")
	f.expect("1", "2")
	if f.file == nil || f.old != nil {
		t.Error("it is another file to it")
	}
}

func TestFollower_noticesTruncation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	write(t, path, "first\nsecond\nthi")
	f := follow(t, path, 9)
	replace := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	replace("a\n")
	f.expect("first", "second", "thi", "a")
	replace("b\nmore than before\n") // the offset of which is in it
	f.expect("first", "second", "thi", "a", "b", "more than before")
	replace("")
	f.expect("first", "second", "thi", "a", "b", "more than before")
	write(t, path, "c\n")
	f.expect("first", "second", "thi", "a", "b", "more than before", "c")
	replace("d\n") // as long as before
	f.expect("first", "second", "thi", "a", "b", "more than before", "c", "d")
}

// Who writes on behind the old end of a file that was truncated, as logrotate's
// copytruncate does, leaves a hole.
func TestFollower_readsOnBehindAHole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	write(t, path, "first\n")
	f := follow(t, path, 9)
	f.expect("first")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	f.expect("first")
	if err := os.Truncate(path, 300<<10); err != nil {
		t.Fatal(err)
	}
	f.expect("first")
	write(t, path, `{"level":"WARN","msg":"second"}`+"\n")
	f.expect("first", "second")
}

func TestFollower_keepsAFileThatItCannotSeeForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := rotatable(t)
		write(t, path+".real", "1\n")
		link := func(target string) {
			t.Helper()
			if err := os.Symlink(target, path+".new"); err != nil {
				t.Fatal(err)
			}
			rename(t, path+".new", path)
		}
		link(path + ".real")
		f := follow(t, path, 9)
		f.expect("1")
		link(path) // which leads nowhere, as a directory does that must not be read
		f.expect("1")
		time.Sleep(quietTime + time.Second) // in a bubble, which has time of its own
		f.expect("1")
		link(path + ".real")
		write(t, path+".real", "2\n")
		f.expect("1", "2")
	})
}

func TestTail_takesNoErrorForATruncation(t *testing.T) {
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "app.log"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("line\n"); err != nil {
		t.Fatal(err)
	}
	unreadable := &tail{file: file, offset: 5, mark: []byte("line\n")}
	if err := unreadable.read(t.Context()); err == nil || unreadable.offset != 5 {
		t.Errorf("goes on at %d, %v", unreadable.offset, err)
	}
}

func TestFollower_completesHalfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "app.log")
		write(t, path, "whole\nha")
		f := follow(t, path, 0)
		f.expect()
		time.Sleep(quietTime / 2) // in a bubble, which has time of its own
		write(t, path, "lf")
		f.expect()
		write(t, path, " a line\r\n\n \nnext")
		f.expect("half a line")
		time.Sleep(quietTime)
		f.expect("half a line")
		time.Sleep(time.Second)
		f.expect("half a line", "next") // whose end seems not to come
	})
}

func TestFollower_waitsForAFileAndSaysSoOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := rotatable(t)
		f := follow(t, path, 1)
		f.expect()
		f.expect()
		if len(f.told) != 1 || !strings.HasPrefix(f.told[0], path+": ") || f.state().Connected {
			t.Errorf("told %q, %+v", f.told, f.state())
		}
		write(t, path, "1\n2\n")
		f.expect("1", "2") // all of it, since it is new
		if !f.state().Connected {
			t.Errorf("%+v", f.state())
		}
		rename(t, path, path+".1")
		f.expect("1", "2")
		if len(f.told) != 1 {
			t.Errorf("a moment without the file is told: %q", f.told)
		}
		time.Sleep(rotationTime) // in a bubble, which has time of its own
		f.expect("1", "2")
		f.expect("1", "2")
		if len(f.told) != 2 || f.state().Connected {
			t.Errorf("told %q, %+v", f.told, f.state())
		}
	})
}

func TestFollower_letsGoOfAFileThatLostItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := rotatable(t)
		write(t, path, "1\n")
		f := follow(t, path, 1)
		rename(t, path, path+".1")
		write(t, path, "2\n")
		f.expect("1", "2")
		time.Sleep(quietTime + time.Second) // in a bubble, which has time of its own
		f.expect("1", "2")
		if f.old != nil {
			t.Error("the old file is open still")
		}
	})
}

func TestFollower_cutsLongLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	long := strings.Repeat("x", maxLine)
	write(t, path, long+"\n"+long+"y\n"+long+long+long)
	type line struct {
		size  int
		isCut bool
	}
	var got []line
	file, err := openTail(path, -1, func(text []byte, isCut bool) { got = append(got, line{len(text), isCut}) })
	if err != nil {
		t.Fatal(err)
	}
	defer file.close()
	if err := file.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, path, "y\nnext\n")
	if err := file.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []line{{maxLine, false}, {maxLine, true}, {maxLine, true}, {4, false}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	f := follow(t, path, 2)
	f.poll(t.Context())
	if got := messages(t, f.hub); len(got) != 2 || !strings.HasSuffix(got[0], "!truncated") || got[1] != "next" {
		t.Errorf("%d messages, of which the first ends with %q", len(got), got[0][max(0, len(got[0])-20):])
	}
}

func TestFollower_isNotHarmedByGarbage(t *testing.T) {
	random := rand.NewChaCha8([32]byte{7})
	garbage := make([]byte, 3<<20)
	random.Read(garbage)
	garbage = append(append(append(garbage, make([]byte, 2<<20)...), bytes.Repeat([]byte("{"), 1<<20)...), '\n')
	path := filepath.Join(t.TempDir(), "app.log.gz")
	write(t, path, string(garbage)+"after it\n")
	f := follow(t, path, 50)
	f.poll(t.Context())
	got := messages(t, f.hub)
	if len(got) != 50 || got[49] != "after it" {
		t.Errorf("%d messages, the last is %.100q", len(got), got[len(got)-1])
	}
}

// countingReader counts what is read.
type countingReader struct {
	io.ReaderAt
	n int
}

func (r *countingReader) ReadAt(p []byte, at int64) (int, error) {
	r.n += len(p)
	return r.ReaderAt.ReadAt(p, at)
}

func TestLastLines(t *testing.T) {
	long := strings.Repeat("x", 70<<10)
	for _, test := range []struct {
		content string
		count   int
		want    string
	}{
		{"", 3, ""},
		{"a\nb\nc\n", 0, ""},
		{"a\nb\nc\n", 1, "c\n"},
		{"a\nb\nc\n", 2, "b\nc\n"},
		{"a\nb\nc\n", 3, "a\nb\nc\n"},
		{"a\nb\nc\n", 4, "a\nb\nc\n"},
		{"a\nb\nhalf", 0, "half"},
		{"a\nb\nhalf", 1, "b\nhalf"},
		{"half", 0, "half"},
		{"\n\n\n", 1, "\n"},
		{"a\n" + long + "\n" + long + "\nb\n", 2, long + "\nb\n"},
		{"a\n" + long + "\n" + long + "\nb\n", 3, long + "\n" + long + "\nb\n"},
	} {
		start, err := lastLines(strings.NewReader(test.content), int64(len(test.content)), test.count)
		if err != nil || test.content[start:] != test.want {
			t.Errorf("%.20q, %d: %.20q, %v; want %.20q", test.content, test.count, test.content[start:], err, test.want)
		}
	}
}

func TestLastLines_doesNotReadABigFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "big")
	write(t, path, "begin\n")
	const size = 4 << 30
	if err := os.Truncate(path, size); err != nil {
		t.Skipf("no file with a hole: %v", err)
	}
	write(t, path, "\n1\n2\n3\n")
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := &countingReader{ReaderAt: file}
	if start, err := lastLines(r, size+7, 2); err != nil || start != size+3 || r.n > 1<<20 {
		t.Errorf("from %d after %d bytes, %v", start, r.n, err)
	}
	// There are not that many lines, but a hole.
	if start, err := lastLines(r, size+7, 100); err != nil || start != size+1 || r.n > maxExisting+1<<20 {
		t.Errorf("from %d after %d bytes, %v", start, r.n, err)
	}
}

func TestLive_mergesWhatFilesHaveByTime(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	a, b, c := filepath.Join(dir, "a", "app.log"), filepath.Join(dir, "b", "app.log"), filepath.Join(dir, "c.log")
	at := func(second int, text string) string {
		return fmt.Sprintf("time=2026-01-02T03:04:%02dZ level=INFO msg=%s\n", second, text)
	}
	write(t, a, at(1, "a1")+"with a trace\n"+at(5, "a5"))
	write(t, b, at(2, "b2")+at(4, "b4"))
	write(t, c, at(3, "c3"))
	v := startLive(t, a, b, c, a)
	all := v.until("a1", "with a trace", "b2", "c3", "b4", "a5")
	if all[0].Process != a || all[2].Process != b || all[3].Process != "c.log" {
		t.Errorf("the processes are %+v", all)
	}
	if !all[1].Time.IsZero() {
		t.Errorf("a line without a time is of %v", all[1].Time)
	}
	if code, stderr := v.end(); code != 0 || !strings.Contains(stderr, "received=6 written=6 ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestLive_followsFilesAndPipes(t *testing.T) {
	if _, err := exec.LookPath("mkfifo"); err != nil {
		t.Skip("there is no mkfifo")
	}
	dir := t.TempDir()
	pipe, later := filepath.Join(dir, "pipe"), filepath.Join(dir, "later.log")
	if out, err := exec.CommandContext(t.Context(), "mkfifo", pipe).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v\n%s", err, out)
	}
	v := startLive(t, pipe, later)
	if !eventually(func() bool { return strings.Contains(v.stderr.String(), "slogworks live: "+later+": ") }) {
		t.Errorf("it does not say that it waits: %s", v.stderr.String())
	}
	write(t, pipe, "through the pipe\n")
	v.until("through the pipe")
	write(t, pipe, "again\n")
	v.until("through the pipe", "again")
	write(t, later, "from the file\n")
	v.until("through the pipe", "again", "from the file")
	if code, stderr := v.end(); code != 0 || strings.Count(stderr, later) != 1 {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestReadLines(t *testing.T) {
	var got []string
	r := io.MultiReader(strings.NewReader("a\nb"), strings.NewReader("c\n\x00\n\x00"), strings.NewReader("\x00d\x00e"), iotestError{})
	err := readLines(r, func(line []byte, _ bool) { got = append(got, string(line)) })
	if want := []string{"a", "bc", "", "d\x00e"}; !slices.Equal(got, want) || !errors.Is(err, errFull) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

type iotestError struct{}

func (iotestError) Read([]byte) (int, error) { return 0, errFull }

package rotate_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	lj "gopkg.in/natefinch/lumberjack.v2"

	"github.com/slogworks/slogworks/rotate"
	"github.com/slogworks/slogworks/rotate/internal/engine"
	"github.com/slogworks/slogworks/rotate/lumberjack"
)

// openFunc is rotate.Open with some engine.
type openFunc func(path string, opts *rotate.Options) (*rotate.File, error)

// unlimited is what a lumberjack.Logger is to have for no limit of its own.
const unlimited = 1 << 30

// eachEngine runs a test of what does not depend on the engine.
func eachEngine(t *testing.T, test func(t *testing.T, open openFunc)) {
	t.Run("own engine", func(t *testing.T) { test(t, rotate.Open) })
	t.Run("lumberjack", func(t *testing.T) { test(t, lumberjackOpener(t)) })
	t.Run("shared", func(t *testing.T) { test(t, openShared) })
}

// lumberjackOpener opens files on lumberjack. Its goroutines, which never end,
// are started here, since a testing/synctest bubble waits for all that are
// started in it.
func lumberjackOpener(t *testing.T) openFunc {
	dir := t.TempDir()
	var loggers []*lj.Logger
	for range 8 {
		l := &lj.Logger{Filename: filepath.Join(dir, "app.log"), MaxSize: unlimited}
		if _, err := l.Write(nil); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		loggers = append(loggers, l)
	}
	return func(path string, opts *rotate.Options) (*rotate.File, error) {
		l := loggers[0]
		loggers = loggers[1:]
		l.Filename = path
		return lumberjack.Open(l, opts)
	}
}

// openShared opens a file that others might write to as well.
func openShared(path string, opts *rotate.Options) (*rotate.File, error) {
	var shared rotate.Options
	if opts != nil {
		shared = *opts
	}
	shared.Shared = true
	return rotate.Open(path, &shared)
}

func isShared(t *testing.T) bool { return strings.Contains(t.Name(), "/shared") }

func onLumberjack(t *testing.T) bool { return strings.Contains(t.Name(), "/lumberjack") }

func with(path string, opts *rotate.Options, e engine.Engine) (*rotate.File, error) {
	f, err := engine.Open(path, opts, e)
	if err != nil {
		return nil, err
	}
	return f.(*rotate.File), nil
}

// faulty is an engine that fails when it is told to.
type faulty struct {
	engine.Engine
	open, write, rename, sync func() error
	writes                    [][]byte
}

func newFaulty() *faulty { return &faulty{Engine: new(engine.File)} }

func fails(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

func (e *faulty) Open(path string, perm fs.FileMode) (fs.FileInfo, error) {
	if err := fails(e.open); err != nil {
		return nil, err
	}
	return e.Engine.Open(path, perm)
}

func (e *faulty) Write(p []byte) (int, error) {
	if err := fails(e.write); err != nil {
		n, _ := e.Engine.Write(p[:len(p)/2]) // as on a full disk
		return n, err
	}
	e.writes = append(e.writes, bytes.Clone(p))
	return e.Engine.Write(p)
}

func (e *faulty) Rename(from, to string) error {
	if err := fails(e.rename); err != nil {
		return err
	}
	return e.Engine.Rename(from, to)
}

func (e *faulty) Sync() error {
	if err := fails(e.sync); err != nil {
		return err
	}
	return e.Engine.Sync()
}

// opened returns what open returned and has it closed at the end.
func opened(t testing.TB, f *rotate.File, err error) *rotate.File {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func write(t testing.TB, f io.Writer, records ...string) {
	t.Helper()
	for _, r := range records {
		if n, err := f.Write([]byte(r)); n != len(r) || err != nil {
			t.Fatalf("Write(%q) returned %d, %v", r, n, err)
		}
	}
}

func closed(t testing.TB, f *rotate.File) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// read returns the files in a directory by their names, those that are
// compressed as what they hold, and without lock files.
func read(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, entry := range entries {
		if entry.IsDir() || strings.HasSuffix(entry.Name(), ".lock") {
			continue
		}
		text, err := readFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatalf("%s: %v", entry.Name(), err)
		}
		texts[entry.Name()] = text
	}
	return texts
}

func readFile(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return string(text), err
	}
	z, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return "", err
	}
	text, err = io.ReadAll(z)
	return string(text), err
}

// same complains unless the directory holds exactly these files.
func same(t testing.TB, dir string, want map[string]string) {
	t.Helper()
	if got := read(t, dir); !maps.Equal(got, want) {
		t.Errorf("the directory holds\n%s\nwant\n%s", list(got), list(want))
	}
}

func list(texts map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := texts[name]
		if len(text) > 200 {
			text = text[:200] + "…"
		}
		fmt.Fprintf(&b, "%s: %q\n", name, text)
	}
	return b.String()
}

// backupsOf returns the texts of the files but that of the given name, which has
// an extension, oldest first.
func backupsOf(t testing.TB, dir, name string) []string {
	t.Helper()
	texts := read(t, dir)
	delete(texts, name)
	stem := func(name string) string {
		name = strings.TrimSuffix(name, ".gz")
		return strings.TrimSuffix(name, filepath.Ext(name))
	}
	var all []string
	for _, name := range slices.SortedFunc(maps.Keys(texts), func(x, y string) int {
		x, y = stem(x), stem(y)
		const digits = len(".934")
		at := strings.LastIndexByte(x, '.') + digits
		// -10 comes after -9, and both after none.
		return cmp.Or(cmp.Compare(x[:at], y[:at]), cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
	}) {
		all = append(all, texts[name])
	}
	return all
}

func numbered(n int) string { return fmt.Sprintf("record %04d\n", n) }

// wantRecords complains unless the files together hold the records 0 to n-1,
// each once and whole.
func wantRecords(t testing.TB, dir string, n int) {
	t.Helper()
	seen := map[string]int{}
	for _, text := range read(t, dir) {
		for line := range strings.Lines(text) {
			seen[line]++
		}
	}
	for i := range n {
		if got := seen[numbered(i)]; got != 1 {
			t.Errorf("record %d is there %d times", i, got)
		}
		delete(seen, numbered(i))
	}
	if len(seen) > 0 {
		t.Errorf("there are lines that nobody wrote: %v", seen)
	}
}

var errFault = errors.New("fault")

func onUnix(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: unproven on Windows")
	}
}

package rotate_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/rotate"
)

func TestFile_compressesBackups(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		if isShared(t) {
			return // it leaves the two newest alone
		}
		dir := t.TempDir()
		place(t, dir, 10, time.Hour, "app-2024-01-01T00-00-00.000.log")
		f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{Compress: true, MaxBytes: 100_000})
		opened(t, f, err)
		long := strings.Repeat("x", 99_999) + "\n"
		write(t, f, long, "0\n")
		closed(t, f)
		texts := read(t, dir)
		if len(texts) != 3 || texts["app.log"] != "0\n" {
			t.Errorf("left are\n%s", list(texts))
		}
		for name, text := range texts {
			if name == "app.log" {
				continue
			}
			if !strings.HasSuffix(name, ".log.gz") || text != long && text != strings.Repeat("x", 10) {
				t.Errorf("%s holds %d bytes", name, len(text))
			}
		}
		info, err := os.Stat(filepath.Join(dir, "app-2024-01-01T00-00-00.000.log.gz"))
		if err != nil || time.Since(info.ModTime()).Round(time.Minute) != time.Hour {
			t.Errorf("the backup from before is %v, %v: its age is lost", info, err)
		}
	})
}

// large is what takes long enough to compress for something to happen
// meanwhile.
func large(t *testing.T, f *rotate.File) string {
	t.Helper()
	var b strings.Builder
	for i := range 1 << 18 {
		b.WriteString(numbered(i % 1000 * i))
	}
	write(t, f, b.String())
	return b.String()
}

// compressing waits until a compression is under way.
func compressing(t *testing.T, dir string) {
	t.Helper()
	peertest.WaitFor(t, "a compression begins", func() bool {
		left, err := filepath.Glob(filepath.Join(dir, ".app.log.*.gz.tmp"))
		return err == nil && len(left) > 0
	})
}

func TestFile_compressionFollowsItsFile(t *testing.T) {
	dir := t.TempDir()
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{Compress: true, Naming: rotate.Numbered})
	opened(t, f, err)
	text := large(t, f)
	if err := f.Rotate(); err != nil {
		t.Fatal(err)
	}
	compressing(t, dir)
	for _, record := range []string{"1\n", "2\n"} {
		write(t, f, record)
		if err := f.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, f)
	same(t, dir, map[string]string{"app.log": "", "app.log.1.gz": "2\n", "app.log.2.gz": "1\n", "app.log.3.gz": text})
}

func TestFile_compressionGivesUpItsFile(t *testing.T) {
	onUnix(t)
	dir := t.TempDir()
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{Compress: true, Naming: rotate.Numbered})
	opened(t, f, err)
	large(t, f)
	if err := f.Rotate(); err != nil {
		t.Fatal(err)
	}
	compressing(t, dir)
	if err := os.Remove(filepath.Join(dir, "app.log.1")); err != nil {
		t.Fatal(err)
	}
	closed(t, f)
	same(t, dir, map[string]string{"app.log": ""})
}

func TestFile_compressionLeavesAFileThatIsStillWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	f, err := rotate.Open(path, &rotate.Options{Compress: true, Naming: rotate.Numbered})
	opened(t, f, err)
	text := large(t, f)
	if err := f.Rotate(); err != nil {
		t.Fatal(err)
	}
	compressing(t, dir)
	late, err := os.OpenFile(path+".1", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	write(t, late, "late\n")
	late.Close()
	closed(t, f)
	for name, got := range read(t, dir) {
		if strings.HasPrefix(name, "app.log.1") && got != text+"late\n" {
			t.Errorf("%s holds %d bytes, want %d", name, len(got), len(text)+5)
		}
	}
}

// A process that is killed leaves a part of a .gz, or a .gz beside its source.
func TestFile_compressesAgainAfterACrash(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, ".app.log.123.gz.tmp"), "part")
	put(t, filepath.Join(dir, "app.log.1"), "one\n")
	put(t, filepath.Join(dir, "app.log.1.gz"), "not complete, it seems")
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{Compress: true, Naming: rotate.Numbered})
	opened(t, f, err)
	closed(t, f)
	same(t, dir, map[string]string{"app.log": "", "app.log.1.gz": "one\n"})
}

func TestFile_shutsDownInTheMidstOfACompression(t *testing.T) {
	dir := t.TempDir()
	opts := &rotate.Options{Compress: true, Naming: rotate.Numbered}
	f, err := rotate.Open(filepath.Join(dir, "app.log"), opts)
	opened(t, f, err)
	text := large(t, f)
	if err := f.Rotate(); err != nil {
		t.Fatal(err)
	}
	compressing(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Shutdown(ctx); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "rotate: ") {
		t.Errorf("Shutdown returned %v", err)
	}
	if err := f.Shutdown(t.Context()); err != nil { // waits
		t.Errorf("a second Shutdown returned %v", err)
	}
	same(t, dir, map[string]string{"app.log": "", "app.log.1": text})

	f, err = rotate.Open(filepath.Join(dir, "app.log"), opts)
	opened(t, f, err)
	closed(t, f)
	same(t, dir, map[string]string{"app.log": "", "app.log.1.gz": text})
}

func TestFile_reportsWhatItCannotCompress(t *testing.T) {
	dir := t.TempDir()
	var told recorded[error]
	put(t, filepath.Join(dir, "app-2024-01-01T00-00-00.000.log"), "0\n")
	if err := os.MkdirAll(filepath.Join(dir, "app-2024-01-01T00-00-00.000.log.gz", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{Compress: true, OnError: told.add})
	opened(t, f, err)
	closed(t, f)
	if got := told.get(); len(got) != 1 || !strings.HasPrefix(got[0].Error(), "rotate: compress") {
		t.Errorf("OnError got %v", got)
	}
	same(t, dir, map[string]string{"app.log": "", "app-2024-01-01T00-00-00.000.log": "0\n"})
}

package rotate_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/rotate"
)

// names returns what is in a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(read(t, dir)))
}

// place makes files of a size and an age.
func place(t *testing.T, dir string, size int, age time.Duration, names ...string) {
	t.Helper()
	for _, name := range names {
		put(t, filepath.Join(dir, name), strings.Repeat("x", size))
		when := time.Now().Add(-age)
		if err := os.Chtimes(filepath.Join(dir, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFile_keepsTheNewestBackups(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		dir := t.TempDir()
		// What a lumberjack left, and the order of several of one millisecond.
		place(t, dir, 1, 0,
			"app-2024-01-01T00-00-00.000.log.gz",
			"app-2024-01-02T00-00-00.000.log",
			"app-2024-01-02T00-00-00.000-2.log",
			"app-2024-01-02T00-00-00.000-10.log",
			"app-2024-01-02T00-00-00.000-10.log.bak")
		f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{MaxBackups: 2})
		opened(t, f, err)
		closed(t, f)
		want := []string{
			"app-2024-01-02T00-00-00.000-10.log",
			"app-2024-01-02T00-00-00.000-10.log.bak",
			"app-2024-01-02T00-00-00.000-2.log",
			"app.log",
		}
		if got := names(t, dir); !slices.Equal(got, want) {
			t.Errorf("left are %q, want %q", got, want)
		}
	})
}

func TestFile_keepsNumberedBackups(t *testing.T) {
	for _, test := range []struct{ max, backups, kept int }{
		{0, 12, 9},
		{3, 50, 3},
		{20, 12, 12},
	} {
		dir := t.TempDir()
		f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{MaxBackups: test.max, Naming: rotate.Numbered, MaxBytes: 12, Compress: test.max == 3})
		opened(t, f, err)
		for i := range test.backups + 1 {
			write(t, f, numbered(i))
		}
		closed(t, f)
		texts := read(t, dir)
		if len(texts) != test.kept+1 {
			t.Errorf("with a maximum of %d there are\n%s", test.max, list(texts))
		}
		for n := 1; n <= test.kept; n++ {
			name := fmt.Sprint("app.log.", n)
			if test.max == 3 {
				name += ".gz"
			}
			if want := numbered(test.backups - n); texts[name] != want {
				t.Errorf("%s holds %q, want %q", name, texts[name], want)
			}
		}
	}
}

// A gap is filled: what is behind it need not be renamed, nor lost.
func TestFile_fillsAGapOfNumbers(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"1", "2", "4.gz", "5"} {
		put(t, filepath.Join(dir, "app.log."+strings.TrimSuffix(n, ".gz")), n)
	}
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{MaxBackups: 5, Naming: rotate.Numbered})
	opened(t, f, err)
	write(t, f, "0\n")
	if err := f.Rotate(); err != nil {
		t.Error(err)
	}
	closed(t, f)
	same(t, dir, map[string]string{"app.log": "", "app.log.1": "0\n", "app.log.2": "1", "app.log.3": "2", "app.log.4": "4.gz", "app.log.5": "5"})
}

func TestFile_removesOldBackups(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			const day = 24 * time.Hour
			place(t, dir, 1, 8*day, "app-2024-01-01T00-00-00.000.log", "app-2024-01-09T00-00-00.000.log.gz.log")
			place(t, dir, 1, 7*day, "app-2024-01-02T00-00-00.000.log")
			place(t, dir, 1, 6*day, "app-2024-01-03T00-00-00.000.log")
			place(t, dir, 1, -day, "app-2024-01-04T00-00-00.000.log") // the clock was wrong
			f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{MaxAge: 7 * day, ReopenEvery: time.Hour})
			opened(t, f, err)
			for _, step := range []struct {
				after time.Duration
				want  int
			}{
				{0, 5},
				{time.Hour - 1, 5},
				{1, 4}, // although nobody writes
				{day, 3},
			} {
				time.Sleep(step.after)
				synctest.Wait()
				if got := names(t, dir); len(got) != step.want {
					t.Errorf("after another %v there are %q, want %d", step.after, got, step.want)
				}
			}
			closed(t, f)
		})
	})
}

func TestFile_keepsToATotal(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		for _, maxBytes := range []int64{0, 30} {
			if maxBytes == 0 && onLumberjack(t) {
				continue // it always has a MaxBytes
			}
			dir := t.TempDir()
			place(t, dir, 20, 0,
				"app-2024-01-01T00-00-00.000.log",
				"app-2024-01-02T00-00-00.000.log",
				"app-2024-01-03T00-00-00.000.log",
				"app-2024-01-04T00-00-00.000.log")
			put(t, filepath.Join(dir, "app.log"), strings.Repeat("x", 9)+"\n")
			f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{MaxTotal: 70, MaxBytes: maxBytes})
			opened(t, f, err)
			closed(t, f)
			want := 3 // 10 + 3*20
			if maxBytes == 30 {
				want = 2 // 30 + 2*20
			}
			if got := backupsOf(t, dir, "app.log"); len(got) != want {
				t.Errorf("with files of %d bytes, %d backups are kept, want %d", maxBytes, len(got), want)
			}
		}
	})
}

// What is kept has no holes.
func TestFile_keepsNothingOlderThanWhatDoesNotFit(t *testing.T) {
	dir := t.TempDir()
	place(t, dir, 5, 0, "app-2024-01-01T00-00-00.000.log", "app-2024-01-03T00-00-00.000.log")
	place(t, dir, 50, 0, "app-2024-01-02T00-00-00.000.log")
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{MaxTotal: 20})
	opened(t, f, err)
	closed(t, f)
	if got := names(t, dir); !slices.Equal(got, []string{"app-2024-01-03T00-00-00.000.log", "app.log"}) {
		t.Errorf("left are %q", got)
	}
}

func TestFile_touchesNoForeignFile(t *testing.T) {
	foreign := []string{
		"app-.log", "app-2024-01-01.log", "app-2024-01-01T00-00-00.log", "app-2024-01-01T00-00-00.00.log",
		"app-2024-01-01T00-00-00.0000.log", "app-2024-13-01T00-00-00.000.log", "app-2024-02-30T00-00-00.000.log",
		"app-2024-01-01T00-00-00.000-0.log", "app-2024-01-01T00-00-00.000-01.log", "app-2024-01-01T00-00-00.000-.log",
		"app-2024-01-01T00-00-00.000--1.log", "app-2024-01-01T00-00-00.000-1x.log", "app-2024-01-01T00-00-00.000.log.bz2",
		"app-2024-01-01T00-00-00.000.txt", "app-web-2024-01-01T00-00-00.000.log", "xapp-2024-01-01T00-00-00.000.log",
		"app.log.gz", "app.log.", "app.log.0", "app.log.01", "app.log.+1", "app.log.-1", "app.log.1x", "app.log.1.2", "app.log.1.txt",
		"app.log2.1", ".app.log.x.gz.tmp", ".app.log..gz.tmp", ".app.123.gz.tmp", "app.log.123.gz.tmp", ".app.log.123.tmp",
	}
	own := map[rotate.Naming][]string{
		rotate.Timestamp: {"app-2024-01-01T00-00-00.000.log", "app-2024-01-01T00-00-00.000.log.gz", "app-2024-01-01T00-00-00.000-1.log", "app-2024-01-01T00-00-00.000-12.log.gz"},
		rotate.Numbered:  {"app.log.1", "app.log.2.gz", "app.log.10"},
	}
	for naming, ours := range own {
		dir := t.TempDir()
		place(t, dir, 1, time.Hour, slices.Concat(foreign, ours, []string{".app.log.123.gz.tmp"})...)
		if err := os.Mkdir(filepath.Join(dir, "app-2023-01-01T00-00-00.000.log"), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{Naming: naming, MaxAge: time.Minute})
		opened(t, f, err)
		closed(t, f)
		want := slices.Sorted(slices.Values(append(slices.Clone(foreign), "app.log")))
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, entry := range entries {
			if !entry.IsDir() {
				got = append(got, entry.Name())
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("with the naming %v left are\n%q, want\n%q", naming, got, want)
		}
		if len(entries) != len(want)+1 {
			t.Error("a directory was removed")
		}
	}
}

func TestFile_leavesABackupAloneUntilOnRotateHasSeenIt(t *testing.T) {
	for _, naming := range []rotate.Naming{rotate.Timestamp, rotate.Numbered} {
		dir := t.TempDir()
		entered, leave := make(chan struct{}), make(chan struct{})
		var sizes recorded[int64]
		f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{
			MaxBytes: 12, MaxBackups: 1, Naming: naming, Compress: true,
			OnRotate: func(e rotate.Event) {
				entered <- struct{}{}
				<-leave
				info, err := os.Stat(e.Backup)
				if err != nil {
					t.Error(err)
					return
				}
				sizes.add(info.Size())
			},
		})
		opened(t, f, err)
		write(t, f, numbered(0), numbered(1))
		<-entered
		write(t, f, numbered(2), numbered(3))
		for range 2 {
			leave <- struct{}{}
			<-entered
		}
		leave <- struct{}{}
		closed(t, f)
		if got := sizes.get(); len(got) != 3 || slices.Max(got) != 12 || slices.Min(got) != 12 {
			t.Errorf("OnRotate found files of %v bytes", got)
		}
		if got := names(t, dir); len(got) != 2 || !strings.HasSuffix(strings.Join(got, " "), ".gz app.log") && !strings.HasSuffix(got[1], ".gz") {
			t.Errorf("left are %q", got)
		}
	}
}

// A rotation in the moment before backups are looked for makes one that
// OnRotate has yet to see.
func TestFile_leavesABackupAloneThatIsNew(t *testing.T) {
	dir := t.TempDir()
	var sizes recorded[int64]
	leave := make(chan struct{})
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{
		MaxTotal: 1, Compress: true, // which is to remove all
		OnRotate: func(e rotate.Event) {
			<-leave
			info, err := os.Stat(e.Backup)
			if err != nil {
				t.Error(err)
				return
			}
			sizes.add(info.Size())
		},
	})
	opened(t, f, err)
	for i := range 2 {
		write(t, f, numbered(i))
		if err := f.Rotate(); err != nil {
			t.Error(err)
		}
	}
	f.Tidy()
	if got := backupsOf(t, dir, "app.log"); len(got) != 2 {
		t.Errorf("before OnRotate has seen them, the backups are %q", got)
	}
	close(leave)
	closed(t, f)
	if got := sizes.get(); len(got) != 2 || got[0] != 12 || got[1] != 12 {
		t.Errorf("OnRotate found files of %v bytes", got)
	}
	same(t, dir, map[string]string{"app.log": ""})
}

func TestFile_reportsWhatItCannotRemove(t *testing.T) {
	onUnix(t)
	parent := t.TempDir()
	dir := filepath.Join(parent, "logs")
	var told recorded[error]
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{MaxBackups: 1, ReopenEvery: -1, OnError: told.add, OnRotate: func(rotate.Event) {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}})
	opened(t, f, err)
	write(t, f, "0\n")
	if err := f.Rotate(); err != nil {
		t.Error(err)
	}
	closed(t, f)
	if got := told.get(); len(got) != 1 || !errors.Is(got[0], os.ErrNotExist) || !strings.HasPrefix(got[0].Error(), "rotate: ") {
		t.Errorf("OnError got %v", got)
	}
}

func TestNaming_text(t *testing.T) {
	for naming, text := range map[rotate.Naming]string{rotate.Timestamp: "timestamp", rotate.Numbered: "numbered"} {
		var got rotate.Naming = 99
		if err := got.UnmarshalText([]byte(text)); err != nil || got != naming {
			t.Errorf("UnmarshalText(%q) gives %d, %v", text, got, err)
		}
		if data, err := naming.MarshalText(); err != nil || string(data) != text || naming.String() != text {
			t.Errorf("%d as text is %q, %v", naming, data, err)
		}
	}
	n := rotate.Numbered
	if err := n.UnmarshalText([]byte("date")); err == nil || !strings.HasPrefix(err.Error(), "rotate: ") || n != rotate.Numbered {
		t.Errorf("UnmarshalText of nonsense gives %v, %v", n, err)
	}
	if got := rotate.Naming(99).String(); got != "timestamp" {
		t.Errorf("an unknown naming is %q", got)
	}
}

// FuzzBackupName shows that no name is taken for that of a backup unless it is
// one that would be given.
func FuzzBackupName(f *testing.F) {
	for _, name := range []string{"app.log.1", "app.log.2.gz", "app-2024-01-01T00-00-00.000.log", "app-2024-01-01T00-00-00.000-7.log.gz", "app.log"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, naming := range []rotate.Naming{rotate.Timestamp, rotate.Numbered} {
			if again, ok := rotate.BackupName(naming, "app.log", name); ok && again != name {
				t.Errorf("%q is taken for %q", name, again)
			}
		}
	})
}

package rotate_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/rotate"
)

func TestOpen_takesNilForZeroOptions(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		for _, opts := range []*rotate.Options{nil, {}} {
			dir := t.TempDir()
			f, err := open(filepath.Join(dir, "app.log"), opts)
			opened(t, f, err)
			for i := range 100 {
				write(t, f, numbered(i))
			}
			if s := f.Stats(); s.Records != 100 || s.Buffered != 0 || s.Rotations != 0 || s.Size != 1200 || s.Bytes != 1200 {
				t.Errorf("with %v the stats are %+v", opts, s)
			}
			closed(t, f)
		}
	})
}

func TestOpen_takesNumbersBelowZeroForZero(t *testing.T) {
	dir := t.TempDir()
	opts := rotate.Options{MaxBytes: -1, MaxBackups: -1, MaxAge: -1, MaxTotal: -1, Buffer: -1}
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &opts)
	opened(t, f, err)
	write(t, f, "0\n")
	if err := f.Rotate(); err != nil {
		t.Error(err)
	}
	write(t, f, "1\n")
	closed(t, f)
	if got := backupsOf(t, dir, "app.log"); len(got) != 1 {
		t.Errorf("the backups are %q", got)
	}
	if opts.MaxBytes != -1 || opts.Mode != 0 {
		t.Errorf("the options have become %+v", opts)
	}
}

func TestOpen_createsDirectories(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		dir := t.TempDir()
		path := filepath.Join(dir, "a", "b", "app.log")
		f, err := open(path, nil)
		opened(t, f, err)
		write(t, f, "0\n")
		closed(t, f)
		same(t, filepath.Dir(path), map[string]string{"app.log": "0\n"})
		for _, made := range []string{"a", "a/b"} {
			if info, err := os.Stat(filepath.Join(dir, made)); err != nil || info.Mode().Perm()&^0o755 != 0 {
				t.Errorf("%s: %v, %v", made, info, err)
			}
		}
	})
}

func TestOpen_returnsAnError(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), "")
	for name, test := range map[string]struct {
		path string
		opts rotate.Options
	}{
		"for a directory that cannot be made":          {"file/app.log", rotate.Options{}},
		"for one that cannot be made even if Lazy":     {"file/app.log", rotate.Options{Lazy: true}},
		"for a directory":                              {".", rotate.Options{}},
		"for a directory that is to be shared":         {".", rotate.Options{Shared: true}},
		"for a file whose name is longer than allowed": {strings.Repeat("x", 300), rotate.Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := rotate.Open(filepath.Join(dir, test.path), &test.opts)
			if err == nil {
				f.Close()
				t.Fatal("there is none")
			}
			if !strings.HasPrefix(err.Error(), "rotate: ") || strings.Count(err.Error(), "rotate: ") != 1 {
				t.Errorf("it is %q", err)
			}
		})
	}
}

func TestOpen_refusesAnEmptyPath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, opts := range []*rotate.Options{nil, {Lazy: true}, {Shared: true}} {
		_, err := rotate.Open("", opts)
		if err == nil || !strings.HasPrefix(err.Error(), "rotate: no path") {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	same(t, dir, map[string]string{})
}

func TestFile_opensWithTheFirstRecordIfLazy(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		dir := t.TempDir()
		f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{Lazy: true})
		opened(t, f, err)
		if err := errors.Join(f.Rotate(), f.Reopen(), f.Flush(t.Context())); err != nil {
			t.Error(err)
		}
		same(t, dir, map[string]string{})
		write(t, f, "0\n")
		same(t, dir, map[string]string{"app.log": "0\n"})
		closed(t, f)
	})
	t.Run("and tries again if it cannot be opened", func(t *testing.T) {
		dir := t.TempDir()
		e := newFaulty()
		var told recorded[error]
		f, err := with(filepath.Join(dir, "app.log"), &rotate.Options{Lazy: true, OnError: told.add}, e)
		opened(t, f, err)
		e.open = func() error { return errFault }
		for range 3 {
			if n, err := f.Write([]byte("0\n")); n != 0 || !errors.Is(err, errFault) {
				t.Errorf("Write returned %d, %v", n, err)
			}
		}
		e.open = nil
		write(t, f, "1\n")
		closed(t, f)
		same(t, dir, map[string]string{"app.log": "1\n"})
		if s := f.Stats(); s.Dropped != 3 || len(told.get()) != 1 {
			t.Errorf("the stats are %+v, OnError got %v", s, told.get())
		}
	})
	t.Run("and closes if there is none", func(t *testing.T) {
		dir := t.TempDir()
		f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{Lazy: true})
		opened(t, f, err)
		closed(t, f)
		same(t, dir, map[string]string{})
	})
}

func TestOpen_followsLinks(t *testing.T) {
	onUnix(t)
	eachEngine(t, func(t *testing.T, open openFunc) {
		for _, exists := range []bool{true, false} {
			dir := t.TempDir()
			real := filepath.Join(dir, "real")
			if err := os.Mkdir(real, 0o700); err != nil {
				t.Fatal(err)
			}
			if exists {
				put(t, filepath.Join(real, "target.log"), "")
			}
			for from, to := range map[string]string{"app.log": "second", "second": filepath.Join(real, "target.log")} {
				if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
					t.Fatal(err)
				}
			}
			f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{Schedule: rotate.Every(time.Nanosecond)})
			opened(t, f, err)
			write(t, f, "0\n", "1\n")
			closed(t, f)
			if got := backupsOf(t, real, "target.log"); len(got) != 1 || got[0] != "0\n" {
				t.Errorf("the backups beside the file are %q", got)
			}
			if target, err := os.Readlink(filepath.Join(dir, "app.log")); target != "second" {
				t.Errorf("the link leads to %q, %v", target, err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "app.log")); string(got) != "1\n" {
				t.Errorf("through the link there is %q, %v", got, err)
			}
		}
	})
}

func TestFile_staysWhereItIsWhenTheProcessMoves(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	f, err := rotate.Open("app.log", nil)
	opened(t, f, err)
	write(t, f, "0\n")
	t.Chdir(t.TempDir())
	if err := errors.Join(f.Rotate(), f.Reopen()); err != nil {
		t.Error(err)
	}
	write(t, f, "1\n")
	closed(t, f)
	if got := backupsOf(t, dir, "app.log"); len(got) != 1 || f.Name() != "app.log" {
		t.Errorf("the backups are %q and the name is %s", got, f.Name())
	}
}

func TestFile_noticesWhatOthersDo(t *testing.T) {
	onUnix(t)
	eachEngine(t, func(t *testing.T, open openFunc) {
		for name, test := range map[string]struct {
			do      func(t *testing.T, dir, path string)
			want    map[string]string
			reopens uint64
		}{
			"moved": {func(t *testing.T, dir, path string) {
				if err := os.Rename(path, path+".1"); err != nil {
					t.Fatal(err)
				}
			}, map[string]string{"app.log": "# h\n1\n2\n", "app.log.1": "# h\n0\nbuffered\n"}, 1},
			"moved and created": {func(t *testing.T, dir, path string) {
				if err := os.Rename(path, path+".1"); err != nil {
					t.Fatal(err)
				}
				put(t, path, "")
			}, map[string]string{"app.log": "# h\n1\n2\n", "app.log.1": "# h\n0\nbuffered\n"}, 1},
			"removed": {func(t *testing.T, dir, path string) {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}, map[string]string{"app.log": "# h\n1\n2\n"}, 1},
			"removed with its directory": {func(t *testing.T, dir, path string) {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}, map[string]string{"app.log": "# h\n1\n2\n"}, 1},
			"truncated": {func(t *testing.T, dir, path string) {
				if err := os.Truncate(path, 0); err != nil {
					t.Fatal(err)
				}
			}, map[string]string{"app.log": "# h\nbuffered\n1\n2\n"}, 0},
			"truncated in the midst of a record": {func(t *testing.T, dir, path string) {
				if err := os.Truncate(path, 5); err != nil {
					t.Fatal(err)
				}
			}, map[string]string{"app.log": "# h\n0\nbuffered\n1\n2\n"}, 0},
			"appended to": {func(t *testing.T, dir, path string) {
				f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				write(t, f, strings.Repeat("x", 85)+"\n")
			}, map[string]string{
				"app-2000-01-01T00-00-01.000.log": "# h\n0\n" + strings.Repeat("x", 85) + "\nbuffered\n",
				"app.log":                         "# h\n1\n2\n",
			}, 0},
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					dir := filepath.Join(t.TempDir(), "logs")
					path := filepath.Join(dir, "app.log")
					opts := &rotate.Options{
						Header:     func() []byte { return []byte("# h\n") },
						MaxBytes:   101,
						Buffer:     20,
						FlushEvery: -1,
					}
					f, err := open(path, opts)
					opened(t, f, err)
					write(t, f, "0\n")
					if err := f.Flush(t.Context()); err != nil {
						t.Error(err)
					}
					write(t, f, "buffered\n")
					test.do(t, dir, path)
					time.Sleep(time.Second)
					synctest.Wait()
					write(t, f, "1\n", "2\n")
					if s := f.Stats(); s.Reopens != test.reopens || s.Errors != 0 || s.Dropped != 0 {
						t.Errorf("the stats are %+v", s)
					}
					closed(t, f)
					same(t, dir, test.want)
				})
			})
		}
	})
}

func TestFile_tellsThatSomebodyMovedIt(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "app.log")
			var events recorded[rotate.Event]
			f, err := open(path, &rotate.Options{OnRotate: events.add})
			opened(t, f, err)
			write(t, f, "0\n")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			write(t, f, "1\n")
			closed(t, f)
			if got := events.get(); len(got) != 1 || got[0].Reason != rotate.External || got[0].Backup != "" || got[0].Bytes != 2 {
				t.Errorf("the events are %+v", got)
			}
		})
	})
}

// A rotation that is due before the next look must not move somebody else's
// file.
func TestFile_looksBeforeItRotates(t *testing.T) {
	onUnix(t)
	eachEngine(t, func(t *testing.T, open openFunc) {
		for _, created := range []bool{false, true} {
			dir := t.TempDir()
			path := filepath.Join(dir, "app.log")
			f, err := open(path, &rotate.Options{MaxBytes: 20, ReopenEvery: -1})
			opened(t, f, err)
			write(t, f, numbered(0))
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			if created {
				put(t, path, "")
			}
			write(t, f, numbered(1))
			if err := f.Rotate(); err != nil {
				t.Error(err)
			}
			closed(t, f)
			texts := read(t, dir)
			if texts["app.log.1"] != numbered(0) || texts["app.log"] != "" || len(texts) != 3 {
				t.Errorf("the directory holds\n%s", list(texts))
			}
		}
	})
}

func TestFile_doesNotLookIfToldSo(t *testing.T) {
	onUnix(t)
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "app.log")
		f, err := rotate.Open(path, &rotate.Options{ReopenEvery: -1})
		opened(t, f, err)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		write(t, f, "0\n")
		same(t, dir, map[string]string{})
		if err := f.Reopen(); err != nil {
			t.Error(err)
		}
		write(t, f, "1\n")
		closed(t, f)
		same(t, dir, map[string]string{"app.log": "1\n"})
	})
}

func TestFile_goesOnIfItCannotReopen(t *testing.T) {
	onUnix(t)
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "app.log")
		var told recorded[error]
		f, err := rotate.Open(path, &rotate.Options{OnError: told.add})
		opened(t, f, err)
		if err := errors.Join(os.Rename(path, path+".1"), os.Mkdir(path, 0o700)); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			time.Sleep(time.Second)
			synctest.Wait()
			write(t, f, numbered(i))
		}
		if err := f.Reopen(); err == nil {
			t.Error("Reopen returned nil")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		write(t, f, numbered(3))
		closed(t, f)
		same(t, dir, map[string]string{"app.log": numbered(3), "app.log.1": numbered(0) + numbered(1) + numbered(2)})
		if got := told.get(); len(got) != 1 {
			t.Errorf("OnError got %v", got)
		}
	})
}

func TestFile_writesToWhatIsNoFile(t *testing.T) {
	onUnix(t)
	eachEngine(t, func(t *testing.T, open openFunc) {
		if isShared(t) {
			return // it is an error
		}
		opts := &rotate.Options{
			MaxBytes: 5,
			Schedule: rotate.Every(time.Nanosecond),
			Header:   func() []byte { return []byte("# h\n") },
			Buffer:   4,
			Fsync:    true, // which a pipe has not
		}
		t.Run("a named pipe", func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "pipe")
			makePipe(t, path)
			text := make(chan string)
			go func() {
				got, err := os.ReadFile(path)
				if err != nil {
					t.Error(err)
				}
				text <- string(got)
			}()
			f, err := open(path, opts)
			opened(t, f, err)
			write(t, f, "0000\n", "1\n", "2\n")
			if err := errors.Join(f.Rotate(), f.Reopen()); err != nil {
				t.Error(err)
			}
			closed(t, f)
			if got := <-text; got != "0000\n1\n2\n" {
				t.Errorf("the reader got %q", got)
			}
			if entries, err := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("in the directory are %v, %v", entries, err)
			}
		})
		t.Run("the null device", func(t *testing.T) {
			f, err := open(os.DevNull, opts)
			opened(t, f, err)
			write(t, f, "0\n", "1\n")
			if s := f.Stats(); s.Rotations != 0 || s.Errors != 0 {
				t.Errorf("the stats are %+v", s)
			}
			closed(t, f)
			if info, err := os.Stat(os.DevNull); err != nil || info.Mode()&fs.ModeDevice == 0 {
				t.Errorf("it has become %v, %v", info, err)
			}
		})
		t.Run("standard output that is a file", func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "out.log")
			out, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			stdout := os.Stdout
			os.Stdout = out
			defer func() { os.Stdout = stdout }()
			f, err := open(path, opts)
			opened(t, f, err)
			write(t, f, "0000\n", "1111\n")
			closed(t, f)
			same(t, dir, map[string]string{"out.log": "0000\n1111\n"})
		})
	})
}

package rotate_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/internal/sharedfile"
	"github.com/slogworks/slogworks/rotate"
)

// Two Files on one path are to each other what two processes are. In a bubble of
// testing/synctest they must not meet at the lock: whoever waits for it does so
// behind a mutex, which a bubble takes for work.

func TestShared_opensOnlyWithTheSameOptions(t *testing.T) {
	onUnix(t)
	utc, err := time.LoadLocation("Etc/UTC")
	if err != nil {
		t.Fatal(err)
	}
	first := rotate.Options{MaxBytes: 100, MaxBackups: 3, Schedule: rotate.Daily(2, 30, utc)}
	for name, test := range map[string]struct {
		change func(o *rotate.Options)
		ok     bool
	}{
		"MaxBytes":          {func(o *rotate.Options) { o.MaxBytes = 101 }, false},
		"MaxBackups":        {func(o *rotate.Options) { o.MaxBackups = 4 }, false},
		"MaxAge":            {func(o *rotate.Options) { o.MaxAge = time.Hour }, false},
		"MaxTotal":          {func(o *rotate.Options) { o.MaxTotal = 1000 }, false},
		"Naming":            {func(o *rotate.Options) { o.Naming = rotate.Numbered }, false},
		"Compress":          {func(o *rotate.Options) { o.Compress = true }, false},
		"no Schedule":       {func(o *rotate.Options) { o.Schedule = nil }, false},
		"another Schedule":  {func(o *rotate.Options) { o.Schedule = rotate.Weekly(time.Sunday, 2, 30, utc) }, false},
		"another time":      {func(o *rotate.Options) { o.Schedule = rotate.Daily(2, 31, utc) }, false},
		"another place":     {func(o *rotate.Options) { o.Schedule = rotate.Daily(2, 30, time.Local) }, false},
		"one of the user's": {func(o *rotate.Options) { o.Schedule = backwards{} }, false},
		"nothing":           {func(*rotate.Options) {}, true},
		"an equal Schedule": {func(o *rotate.Options) {
			again, err := time.LoadLocation("Etc/UTC") // elsewhere in memory
			if err != nil {
				t.Fatal(err)
			}
			o.Schedule = rotate.Daily(2, 30, again)
		}, true},
		"Buffer, Fsync, ReopenEvery, Mode": {func(o *rotate.Options) {
			o.Buffer, o.Fsync, o.ReopenEvery, o.Mode = 10, true, time.Hour, 0o640
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.log")
			f, err := openShared(path, &first)
			opened(t, f, err)
			other := first
			test.change(&other)
			g, err := openShared(path, &other)
			if err == nil {
				closed(t, g)
			}
			if test.ok != (err == nil) || err != nil && (!strings.HasPrefix(err.Error(), "rotate: ") || !strings.Contains(err.Error(), "same options")) {
				t.Errorf("Open returned %v", err)
			}
			write(t, f, "0\n")
			closed(t, f)
			if test.ok {
				return
			}
			g, err = openShared(path, &other) // nobody else has it any more
			opened(t, g, err)
		})
	}
}

func TestShared_isAnErrorForWhatCannotBe(t *testing.T) {
	onUnix(t)
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	makePipe(t, pipe)
	out, err := os.Create(filepath.Join(dir, "out.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stdout := os.Stdout
	os.Stdout = out
	defer func() { os.Stdout = stdout }()
	for _, path := range []string{os.DevNull, pipe, out.Name()} {
		f, err := openShared(path, nil)
		if err == nil {
			closed(t, f)
		}
		if err == nil || !strings.Contains(err.Error(), "cannot be Shared") {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := os.Lstat(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")); err == nil {
			t.Errorf("%s: it has a lock file", path)
		}
	}
}

func TestShared_endsALineThatHasNoEnd(t *testing.T) {
	onUnix(t)
	dir := t.TempDir()
	f, err := openShared(filepath.Join(dir, "app.log"), nil)
	opened(t, f, err)
	write(t, f, "0", "1\n")
	closed(t, f)
	same(t, dir, map[string]string{"app.log": "0\n1\n"})
}

func TestShared_reservesWhenTheBufferIsFlushed(t *testing.T) {
	onUnix(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	opts := &rotate.Options{MaxBytes: 36, Buffer: 1 << 10, FlushEvery: -1, Naming: rotate.Numbered}
	f, err := openShared(path, opts)
	opened(t, f, err)
	g, err := openShared(path, &rotate.Options{MaxBytes: 36, Naming: rotate.Numbered})
	opened(t, g, err)

	write(t, f, numbered(0), numbered(1)) // of 12 bytes
	write(t, g, numbered(10), numbered(11))
	same(t, dir, map[string]string{"app.log": numbered(10) + numbered(11)})
	if err := f.Flush(t.Context()); err != nil { // does not fit any more
		t.Error(err)
	}
	write(t, g, numbered(12))
	same(t, dir, map[string]string{
		"app.log.1": numbered(10) + numbered(11),
		"app.log":   numbered(0) + numbered(1) + numbered(12),
	})
	for i := 2; i < 6; i++ { // more than fits into a file
		write(t, f, numbered(i))
	}
	closed(t, f)
	same(t, dir, map[string]string{
		"app.log.3": numbered(10) + numbered(11),
		"app.log.2": numbered(0) + numbered(1) + numbered(12),
		"app.log.1": numbered(2) + numbered(3) + numbered(4),
		"app.log":   numbered(5),
	})
	if s := f.Stats(); s.Records != 6 || s.Rotations != 3 || s.Buffered != 0 || s.Dropped != 0 {
		t.Errorf("the stats are %+v", s)
	}
}

func TestShared_splitsABatchAtTheLimit(t *testing.T) {
	onUnix(t)
	dir := t.TempDir()
	f, err := openShared(filepath.Join(dir, "app.log"), &rotate.Options{
		MaxBytes: 12, Naming: rotate.Numbered, Header: func() []byte { return []byte("# h\n") },
	})
	opened(t, f, err)
	h := rotate.NewHandler(f, plain)
	if err := h.HandleBatch(t.Context(), batchOf("0123", "1", "2", "3", "4", "a long record", "5")); err != nil {
		t.Error(err)
	}
	closed(t, f)
	same(t, dir, map[string]string{
		"app.log.3": "# h\n0123\n1\n",
		"app.log.2": "# h\n2\n3\n4\n",
		"app.log.1": "# h\na long record\n",
		"app.log":   "# h\n5\n",
	})
}

func TestShared_rotatesOncePerTime(t *testing.T) {
	onUnix(t)
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "app.log")
		var events recorded[rotate.Event]
		var all []*rotate.File
		for range 4 {
			f, err := openShared(path, &rotate.Options{Schedule: rotate.Daily(0, 0, time.UTC), ReopenEvery: -1, OnRotate: events.add})
			opened(t, f, err)
			all = append(all, f)
		}
		for day := range 3 {
			for _, f := range all {
				write(t, f, numbered(day))
			}
			time.Sleep(24 * time.Hour)
		}
		for _, f := range all {
			closed(t, f)
		}
		same(t, dir, map[string]string{
			"app-2000-01-02T00-00-00.000.log": strings.Repeat(numbered(0), 4),
			"app-2000-01-03T00-00-00.000.log": strings.Repeat(numbered(1), 4),
			"app.log":                         strings.Repeat(numbered(2), 4),
		})
		got := events.get()
		if len(got) != 2 {
			t.Fatalf("the events are %+v", got)
		}
		for _, e := range got {
			if e.Reason != rotate.ByTime || e.Bytes != 48 {
				t.Errorf("the event is %+v", e)
			}
		}
	})
}

// rotateTimes makes n backups with one record each.
func rotateTimes(t *testing.T, f *rotate.File, n int) {
	t.Helper()
	for i := range n {
		write(t, f, numbered(i))
		if err := f.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestShared_compressesWhatAllHaveLetGoOf(t *testing.T) {
	onUnix(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	opts := &rotate.Options{Compress: true, Naming: rotate.Numbered, ReopenEvery: -1}
	f, err := openShared(path, opts)
	opened(t, f, err)
	g, err := openShared(path, opts) // has the first file open
	opened(t, g, err)
	rotateTimes(t, f, 4)
	// What the goroutine has begun it ends; after that nothing changes.
	want := []string{"app.log", "app.log.1", "app.log.2", "app.log.3.gz", "app.log.4"}
	peertest.WaitFor(t, "the file that nobody has open is compressed", func() bool {
		return !f.Working() && slices.Equal(names(t, dir), want)
	})
	f.Tidy()
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
	closed(t, g)
	f.Tidy()
	same(t, dir, map[string]string{
		"app.log": "", "app.log.1": numbered(3), "app.log.2": numbered(2), "app.log.3.gz": numbered(1), "app.log.4.gz": numbered(0),
	})
	if s := f.Stats(); s.Errors != 0 {
		t.Errorf("the stats are %+v", s)
	}
}

// A process that writes nothing does not keep the others from compressing.
func TestShared_letsGoOfRotatedFilesWhileIdle(t *testing.T) {
	onUnix(t)
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "app.log")
		f, err := openShared(path, &rotate.Options{ReopenEvery: -1})
		opened(t, f, err)
		g, err := openShared(path, nil)
		opened(t, g, err)
		rotateTimes(t, f, 1)
		backup := filepath.Join(dir, names(t, dir)[0])
		if _, err := sharedfile.Claim(backup); !errors.Is(err, sharedfile.ErrBusy) {
			t.Errorf("Claim returned %v", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		claim, err := sharedfile.Claim(backup)
		if err != nil {
			t.Fatalf("after a second Claim returned %v", err)
		}
		claim.Close()
	})
}

func TestShared_leavesTheCompressionOfAnotherAlone(t *testing.T) {
	onUnix(t)
	dir := t.TempDir()
	put(t, filepath.Join(dir, ".app.log.1.gz.tmp"), "of a process that died")
	other, err := sharedfile.CreateTemp(dir, ".app.log.*.gz.tmp")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	f, err := openShared(filepath.Join(dir, "app.log"), &rotate.Options{Compress: true})
	opened(t, f, err)
	closed(t, f)
	if got, want := names(t, dir), []string{filepath.Base(other.Name()), "app.log"}; !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
}

func TestShared_removesBackupsOfOthers(t *testing.T) {
	onUnix(t)
	for _, naming := range []rotate.Naming{rotate.Timestamp, rotate.Numbered} {
		dir := t.TempDir()
		path := filepath.Join(dir, "app.log")
		opts := &rotate.Options{MaxBackups: 2, MaxBytes: 12, Naming: naming, Compress: true}
		f, err := openShared(path, opts)
		opened(t, f, err)
		g, err := openShared(path, opts)
		opened(t, g, err)
		for i := range 20 {
			write(t, []*rotate.File{f, g}[i%2], numbered(i))
		}
		closed(t, f)
		closed(t, g)
		texts := read(t, dir)
		all := ""
		for _, text := range texts {
			all += text
		}
		if len(texts) != 3 || len(all) != 36 || texts["app.log"] != numbered(19) {
			t.Errorf("left are\n%s", list(texts))
		}
	}
}

// A process that hangs while it has the lock costs the others a wait, once.
func TestShared_writesOnWhileAnotherHangs(t *testing.T) {
	onUnix(t)
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var told recorded[error]
		f, err := openShared(filepath.Join(dir, "app.log"), &rotate.Options{MaxBytes: 20, OnError: told.add, ReopenEvery: -1})
		opened(t, f, err)
		lock := sharedfile.NewLock(filepath.Join(dir, ".app.log.lock"), 0)
		if ok, err := lock.TryLock(); !ok {
			t.Fatal(err)
		}
		began := time.Now()
		for i := range 10 {
			write(t, f, numbered(i))
		}
		if took := time.Since(began); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("the writes waited %v", took)
		}
		if err := errors.Join(lock.Unlock(), lock.Close()); err != nil {
			t.Fatal(err)
		}
		write(t, f, numbered(10))
		closed(t, f)
		wantRecords(t, dir, 11)
		if got := read(t, dir)["app.log"]; got != numbered(10) {
			t.Errorf("with the lock free it was not rotated: %q", got)
		}
		if got := told.get(); len(got) != 1 || !strings.HasPrefix(got[0].Error(), "rotate: ") {
			t.Errorf("OnError got %v", got)
		}
	})
}

func TestShared_goesOnIfItCannotRotate(t *testing.T) {
	onUnix(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	obstacle := path + ".1"
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	var told recorded[error]
	f, err := openShared(path, &rotate.Options{MaxBytes: 24, Naming: rotate.Numbered, OnError: told.add})
	opened(t, f, err)
	want := ""
	for i := range 20 {
		write(t, f, numbered(i))
		want += numbered(i)
	}
	same(t, dir, map[string]string{"app.log": want})
	if err := f.Rotate(); err == nil || !strings.Contains(err.Error(), obstacle) {
		t.Errorf("Rotate returned %v", err)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	if err := f.Rotate(); err != nil {
		t.Error(err)
	}
	closed(t, f)
	same(t, dir, map[string]string{"app.log": "", "app.log.1": want})
	if got := told.get(); len(got) != 1 || !strings.Contains(got[0].Error(), obstacle) || strings.Count(got[0].Error(), "rotate: ") > 2 {
		t.Errorf("OnError got %v", got)
	}
}

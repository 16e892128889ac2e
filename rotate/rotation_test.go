package rotate_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/internal/peertest"
	"github.com/slogworks/slogworks/rotate"
)

// recorded collects what callbacks are told.
type recorded[T any] struct {
	mu  sync.Mutex
	all []T
}

func (r *recorded[T]) add(x T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, x)
}

func (r *recorded[T]) get() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]T(nil), r.all...)
}

func TestFile_rotatesByTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			var events recorded[rotate.Event]
			f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{
				Schedule:    rotate.Daily(0, 0, time.UTC),
				Buffer:      100, // what was logged before belongs into the backup
				OnRotate:    events.add,
				ReopenEvery: time.Hour,
			})
			opened(t, f, err)
			time.Sleep(24*time.Hour - 1) // to the end of 2000-01-01
			write(t, f, "the last\n")
			time.Sleep(time.Nanosecond)
			write(t, f, "the first\n")
			synctest.Wait()
			closed(t, f)
			same(t, dir, map[string]string{
				"app-2000-01-02T00-00-00.000.log": "the last\n",
				"app.log":                         "the first\n",
			})
			want := rotate.Event{
				Backup: filepath.Join(dir, "app-2000-01-02T00-00-00.000.log"),
				Reason: rotate.ByTime,
				Bytes:  9,
				Time:   time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC),
			}
			if got := events.get(); len(got) != 1 || !got[0].Time.Equal(want.Time) || got[0].Backup != want.Backup || got[0].Reason != want.Reason || got[0].Bytes != want.Bytes {
				t.Errorf("the events are %+v, want %+v", got, want)
			}
		})
	})
}

func TestFile_rotatesOnceAfterFiveDaysOfSuspend(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{Schedule: rotate.Daily(0, 0, time.UTC), ReopenEvery: time.Hour})
			opened(t, f, err)
			write(t, f, "before\n")
			time.Sleep(5*24*time.Hour + time.Hour)
			write(t, f, "after\n", "after that\n")
			time.Sleep(22 * time.Hour)
			write(t, f, "in the evening\n")
			closed(t, f)
			same(t, dir, map[string]string{
				"app-2000-01-06T01-00-00.000.log": "before\n",
				"app.log":                         "after\nafter that\nin the evening\n",
			})
		})
	})
}

func TestFile_rotatesNoEmptyFile(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{Schedule: rotate.Daily(0, 0, time.UTC), ReopenEvery: time.Hour})
			opened(t, f, err)
			time.Sleep(49 * time.Hour)
			write(t, f, "0\n")
			time.Sleep(22 * time.Hour)
			write(t, f, "1\n")
			closed(t, f)
			same(t, dir, map[string]string{"app.log": "0\n1\n"})
		})
	})
}

// backwards is a schedule that says no more than once what it should.
type backwards struct{ t time.Time }

func (s backwards) Next(time.Time) time.Time { return s.t }

func TestFile_takesATimeThatIsNotLaterForNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, at := range []time.Time{{}, time.Now(), time.Now().Add(-time.Hour)} {
			dir := t.TempDir()
			f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{Schedule: backwards{at}})
			opened(t, f, err)
			write(t, f, "0\n", "1\n")
			closed(t, f)
			same(t, dir, map[string]string{"app.log": "0\n1\n"})
		}
	})
}

// A clock that goes back is one whose times before were wrong: the next
// rotation is where it is by the new time, none is made twice, and no backup is
// written over.
func TestFile_survivesAClockThatGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "app.log")
		f, err := rotate.Open(path, &rotate.Options{Schedule: rotate.Daily(0, 0, time.UTC)})
		opened(t, f, err)
		// The clock of a bubble cannot be set back, but the file can believe
		// that it was ahead.
		f.SetClockBack(10 * 24 * time.Hour)
		write(t, f, "0\n")
		if s := f.Stats(); s.Rotations != 0 {
			t.Errorf("the stats are %+v", s)
		}
		time.Sleep(24 * time.Hour)
		write(t, f, "1\n")
		if s := f.Stats(); s.Rotations != 1 {
			t.Errorf("a day later the stats are %+v", s)
		}
		f.SetClockBack(time.Minute)
		time.Sleep(time.Millisecond)
		if err := f.Rotate(); err != nil {
			t.Error(err)
		}
		closed(t, f)
		same(t, dir, map[string]string{
			"app-2000-01-02T00-00-00.000.log":   "0\n",
			"app-2000-01-02T00-01-00.000-1.log": "1\n", // after the one before it
			"app.log":                           "",
		})
	})
}

func TestFile_goesOnIfARotationFails(t *testing.T) {
	for name, opts := range map[string]rotate.Options{
		"by size":               {MaxBytes: 120},
		"of a record too long":  {MaxBytes: 5},
		"by size with a buffer": {MaxBytes: 120, Buffer: 50},
		"of numbered backups":   {MaxBytes: 120, Naming: rotate.Numbered, MaxBackups: 100},
	} {
		for _, cause := range []string{"rename", "open"} {
			t.Run(name+", "+cause, func(t *testing.T) {
				dir := t.TempDir()
				e := newFaulty()
				var told recorded[error]
				opts.OnError = told.add
				f, err := with(filepath.Join(dir, "app.log"), &opts, e)
				opened(t, f, err)
				attempts := 0
				fail := func() error { attempts++; return errFault }
				if cause == "rename" {
					e.rename = fail
				} else {
					e.open = fail
				}
				const n = 200 // of 12 bytes
				for i := range n {
					write(t, f, numbered(i))
				}
				if s := f.Stats(); s.Rotations != 0 || s.Errors == 0 || !errors.Is(s.LastError, errFault) {
					t.Errorf("the stats are %+v", s)
				}
				if opts.MaxBytes == 120 && (attempts == 0 || attempts > 20) {
					t.Errorf("%d attempts to rotate, want about one for each 120 bytes", attempts)
				}
				e.rename, e.open = nil, nil
				if err := f.Rotate(); err != nil {
					t.Errorf("it does not rotate afterwards: %v", err)
				}
				write(t, f, numbered(n))
				closed(t, f)
				wantRecords(t, dir, n+1)
				if got := read(t, dir)["app.log"]; got != numbered(n) {
					t.Errorf("after the rotation there is %q", got)
				}
				if got := told.get(); len(got) != 1 || !errors.Is(got[0], errFault) {
					t.Errorf("OnError got %v", got)
				}
			})
		}
	}
}

// Here the system refuses for real: there is a directory where a backup is to
// be.
func TestFile_goesOnIfADirectoryIsInTheWay(t *testing.T) {
	for _, obstacle := range []string{"app.log.1", "app.log.1.gz", "app.log.2"} {
		t.Run(obstacle, func(t *testing.T) {
			dir := t.TempDir()
			precious := filepath.Join(dir, obstacle, "precious")
			if err := os.Mkdir(filepath.Dir(precious), 0o700); err != nil {
				t.Fatal(err)
			}
			put(t, precious, "")
			want := map[string]string{"app.log": ""}
			if obstacle == "app.log.2" {
				want["app.log.1"] = "old\n"
				put(t, filepath.Join(dir, "app.log.1"), "old\n")
			}
			var told recorded[error]
			f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{MaxBytes: 24, Naming: rotate.Numbered, OnError: told.add})
			opened(t, f, err)
			for i := range 20 {
				write(t, f, numbered(i))
				want["app.log"] += numbered(i)
			}
			closed(t, f)
			same(t, dir, want)
			if _, err := os.Stat(precious); err != nil {
				t.Error(err)
			}
			if got := told.get(); len(got) != 1 || !strings.Contains(got[0].Error(), obstacle) {
				t.Errorf("OnError got %v", got)
			}
		})
	}
}

func TestFile_triesAgainAtTheNextTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		e := newFaulty()
		f, err := with(filepath.Join(dir, "app.log"), &rotate.Options{Schedule: rotate.Daily(0, 0, time.UTC)}, e)
		opened(t, f, err)
		attempts := 0
		e.rename = func() error { attempts++; return errFault }
		for range 3 {
			write(t, f, "0\n", "1\n", "2\n")
			time.Sleep(24 * time.Hour)
		}
		write(t, f, "0\n", "1\n", "2\n")
		if attempts != 3 {
			t.Errorf("%d attempts in 3 days", attempts)
		}
		closed(t, f)
		same(t, dir, map[string]string{"app.log": strings.Repeat("0\n1\n2\n", 4)})
	})
}

func TestFile_writesToTheBackupIfNothingElseIsLeft(t *testing.T) {
	onUnix(t)
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		e := newFaulty()
		f, err := with(filepath.Join(dir, "app.log"), &rotate.Options{ReopenEvery: -1, Compress: true, MaxTotal: 1, MaxAge: time.Hour}, e)
		opened(t, f, err)
		write(t, f, "0\n")
		renames := 0
		e.rename = func() error {
			if renames++; renames > 1 {
				return errFault // not back either
			}
			return nil
		}
		e.open = func() error { return errFault }
		if err := f.Rotate(); !errors.Is(err, errFault) {
			t.Errorf("Rotate returned %v", err)
		}
		write(t, f, "1\n")
		// It is a backup by its name, and neither compressed nor removed.
		time.Sleep(ageEvery)
		synctest.Wait()
		same(t, dir, map[string]string{"app-2000-01-01T00-00-00.000.log": "0\n1\n"})
		e.open, e.rename = nil, nil
		if err := f.Reopen(); err != nil {
			t.Error(err)
		}
		write(t, f, "2\n")
		time.Sleep(ageEvery)
		synctest.Wait()
		same(t, dir, map[string]string{"app.log": "2\n"})
		closed(t, f)
	})
}

// ageEvery is how often backups are looked at.
const ageEvery = time.Hour

func TestFile_writesOverNoBackupOfAnother(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		synctest.Test(t, func(t *testing.T) { // in which no time passes
			dir := t.TempDir()
			const name = "app-2000-01-01T00-00-00.000"
			for i := range 3 {
				// What the first one leaves is compressed.
				f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{Compress: i == 0})
				opened(t, f, err)
				write(t, f, numbered(i))
				if err := f.Rotate(); err != nil {
					t.Error(err)
				}
				closed(t, f)
			}
			first := name + ".log.gz"
			if isShared(t) {
				first = name + ".log" // it leaves the two newest alone
			}
			same(t, dir, map[string]string{
				"app.log":       "",
				first:           numbered(0),
				name + "-1.log": numbered(1),
				name + "-2.log": numbered(2),
			})
		})
	})
}

func TestFile_rotatesWhenCalled(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		dir := t.TempDir()
		f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{Buffer: 100})
		opened(t, f, err)
		write(t, f, "0\n")
		for range 2 { // the second finds nothing
			if err := f.Rotate(); err != nil {
				t.Error(err)
			}
		}
		closed(t, f)
		if got := backupsOf(t, dir, "app.log"); len(got) != 1 || got[0] != "0\n" {
			t.Errorf("the backups are %q", got)
		}
		if err := f.Rotate(); !errors.Is(err, rotate.ErrClosed) {
			t.Errorf("after Close it returns %v", err)
		}
	})
}

func TestFile_keepsTheModeOfAFile(t *testing.T) {
	onUnix(t)
	eachEngine(t, func(t *testing.T, open openFunc) {
		for _, test := range []struct{ there, opts, want os.FileMode }{
			{0, 0, 0o600},
			{0, 0o640, 0o640},
			{0o666, 0o600, 0o666}, // more than the umask lets through
			{0o604, 0o640, 0o604},
		} {
			dir := t.TempDir()
			path := filepath.Join(dir, "app.log")
			if test.there != 0 {
				put(t, path, "")
				if err := os.Chmod(path, test.there); err != nil {
					t.Fatal(err)
				}
			}
			f, err := open(path, &rotate.Options{Mode: test.opts, MaxBytes: 1, Compress: true})
			opened(t, f, err)
			write(t, f, "0\n", "1\n")
			closed(t, f)
			for name := range read(t, dir) {
				info, err := os.Stat(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if got := info.Mode().Perm(); got != test.want {
					t.Errorf("with %v there and %v in the options, %s has %v, want %v", test.there, test.opts, name, got, test.want)
				}
			}
		}
	})
}

func TestFile_tellsOfRotationsInOrder(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		dir := t.TempDir()
		var events recorded[rotate.Event]
		var f *rotate.File
		f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{
			MaxBytes: 24,
			OnRotate: func(e rotate.Event) {
				if _, err := os.Stat(e.Backup); err != nil {
					t.Errorf("in OnRotate: %v", err)
				}
				events.add(e)
			},
			Compress: true, MaxBackups: 1,
		})
		opened(t, f, err)
		for i := range 20 {
			write(t, f, numbered(i))
		}
		closed(t, f)
		got := events.get()
		if len(got) != 9 {
			t.Fatalf("there are %d events, want 9", len(got))
		}
		for i, e := range got {
			if e.Reason != rotate.BySize || e.Bytes != 24 {
				t.Errorf("event %d is %+v", i, e)
			}
			if i > 0 && e.Time.Before(got[i-1].Time) {
				t.Errorf("event %d is before the one before it", i)
			}
		}
	})
}

func TestFile_survivesCallbacks(t *testing.T) {
	dir := t.TempDir()
	var told recorded[error]
	var events recorded[string]
	var f *rotate.File
	ready := make(chan struct{})
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{
		OnRotate: func(e rotate.Event) {
			<-ready
			events.add(string(e.Reason))
			if err := f.Close(); err == nil {
				t.Error("Close in OnRotate returned nil")
			}
			if err := f.Shutdown(t.Context()); err == nil || errors.Is(err, rotate.ErrClosed) {
				t.Errorf("Shutdown in OnRotate returned %v", err)
			}
			write(t, f, "from OnRotate\n")
			if err := f.Flush(t.Context()); err != nil {
				t.Error(err)
			}
			panic(fmt.Sprint("panic ", len(events.get())))
		},
		OnError: func(err error) { told.add(err); panic(err) },
	})
	opened(t, f, err)
	close(ready)
	write(t, f, "0\n")
	if err := f.Rotate(); err != nil {
		t.Error(err)
	}
	peertest.WaitFor(t, "OnRotate has panicked", func() bool { return f.Stats().Errors == 1 })
	if err := f.Rotate(); err != nil {
		t.Error(err)
	}
	peertest.WaitFor(t, "OnRotate has panicked twice", func() bool { return f.Stats().Errors == 2 })
	closed(t, f)
	if got := events.get(); len(got) != 2 {
		t.Errorf("the events are %q", got)
	}
	if s := f.Stats(); !strings.Contains(s.LastError.Error(), "OnRotate: panic: panic 2") {
		t.Errorf("the stats are %+v", s)
	}
}

func TestFile_survivesACallbackThatEndsItsGoroutine(t *testing.T) {
	var calls recorded[rotate.Event]
	f, err := rotate.Open(filepath.Join(t.TempDir(), "app.log"), &rotate.Options{
		OnRotate: func(e rotate.Event) {
			calls.add(e)
			runtime.Goexit()
		},
	})
	opened(t, f, err)
	for i := range 3 {
		write(t, f, numbered(i))
		if err := f.Rotate(); err != nil {
			t.Error(err)
		}
	}
	closed(t, f)
	if got := calls.get(); len(got) != 3 {
		t.Errorf("%d calls, want 3", len(got))
	}
}

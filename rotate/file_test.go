package rotate_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/rotate"
)

func TestFile_appendsToWhatIsThere(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		dir := t.TempDir()
		path := filepath.Join(dir, "app.log")
		for i := range 2 {
			f, err := open(path, nil)
			opened(t, f, err)
			if f.Name() != path {
				t.Errorf("Name is %q", f.Name())
			}
			write(t, f, numbered(i))
			closed(t, f)
		}
		same(t, dir, map[string]string{"app.log": numbered(0) + numbered(1)})
	})
}

func TestFile_rotatesBySize(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		for _, buffer := range []int{0, 7, 1 << 16} {
			dir := t.TempDir()
			f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{MaxBytes: 36, Buffer: buffer})
			opened(t, f, err)
			for i := range 10 { // of 12 bytes
				write(t, f, numbered(i))
			}
			if s := f.Stats(); s.Records+s.Buffered != 10 {
				t.Errorf("the stats are %+v", s)
			}
			closed(t, f)
			if s := f.Stats(); s.Rotations != 3 || s.Records != 10 || s.Errors != 0 {
				t.Errorf("after Close the stats are %+v", s)
			}
			wantRecords(t, dir, 10)
			for i, text := range backupsOf(t, dir, "app.log") {
				if want := numbered(3*i) + numbered(3*i+1) + numbered(3*i+2); text != want {
					t.Errorf("backup %d is %q, want %q", i, text, want)
				}
			}
		}
	})
}

func TestFile_rotatesWhatWasThereBefore(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		dir := t.TempDir()
		path := filepath.Join(dir, "app.log")
		put(t, path, numbered(0))
		f, err := open(path, &rotate.Options{MaxBytes: 20})
		opened(t, f, err)
		write(t, f, numbered(1))
		closed(t, f)
		if got := backupsOf(t, dir, "app.log"); len(got) != 1 || got[0] != numbered(0) {
			t.Errorf("the backups are %q", got)
		}
	})
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFile_givesALongRecordAFileOfItsOwn(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		for _, buffer := range []int{0, 10, 100} {
			dir := t.TempDir()
			f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{MaxBytes: 20, Buffer: buffer})
			opened(t, f, err)
			long := strings.Repeat("x", 50) + "\n"
			write(t, f, long, "0\n", long, long, "1\n")
			closed(t, f)
			got := append(backupsOf(t, dir, "app.log"), read(t, dir)["app.log"])
			if want := []string{long, "0\n", long, long, "1\n"}; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("with a buffer of %d, the files are %q", buffer, got)
			}
		}
	})
}

// A burst makes many backups in a millisecond. None may be written over.
func TestFile_losesNothingInABurst(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		dir := t.TempDir()
		f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{MaxBytes: 1})
		opened(t, f, err)
		const n = 500
		for i := range n {
			write(t, f, numbered(i))
		}
		closed(t, f)
		wantRecords(t, dir, n)
		backups := backupsOf(t, dir, "app.log")
		for i, text := range backups {
			if text != numbered(i) {
				t.Fatalf("backup %d is %q: the names are out of order", i, text)
			}
		}
		if len(backups) != n-1 {
			t.Errorf("there are %d backups, want %d", len(backups), n-1)
		}
	})
}

func TestFile_losesNothingToManyGoroutines(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		dir := t.TempDir()
		f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{MaxBytes: 2000, Compress: true})
		opened(t, f, err)
		const goroutines, each = 8, 200
		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() {
				for i := range each {
					write(t, f, numbered(g*each+i))
				}
			})
		}
		wg.Wait()
		closed(t, f)
		wantRecords(t, dir, goroutines*each)
	})
}

func TestFile_healsATornEnd(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		dir := t.TempDir()
		path := filepath.Join(dir, "app.log")
		put(t, path, "whole\nhalf of a rec")
		f, err := open(path, nil)
		opened(t, f, err)
		write(t, f, "0\n", "1\n")
		closed(t, f)
		same(t, dir, map[string]string{"app.log": "whole\nhalf of a rec\n0\n1\n"})
	})
}

func TestFile_countsWhatHealsTowardsMaxBytes(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		for maxBytes, backups := range map[int64]int{23: 1, 24: 0} {
			dir := t.TempDir()
			path := filepath.Join(dir, "app.log")
			put(t, path, "elevenbytes")
			f, err := open(path, &rotate.Options{MaxBytes: maxBytes})
			opened(t, f, err)
			write(t, f, numbered(0)) // 12 bytes, and 1 that heals
			closed(t, f)
			if got := backupsOf(t, dir, "app.log"); len(got) != backups {
				t.Errorf("with files of %d bytes there are %d backups, want %d", maxBytes, len(got), backups)
			}
		}
	})
}

func TestFile_healsAWriteThatFailed(t *testing.T) {
	for _, buffer := range []int{0, 8} {
		dir := t.TempDir()
		e := newFaulty()
		var told []error
		f, err := with(filepath.Join(dir, "app.log"), &rotate.Options{
			Buffer:     buffer,
			FlushEvery: -1,
			OnError:    func(err error) { told = append(told, err) },
		}, e)
		opened(t, f, err)
		write(t, f, "0000\n")
		if err := f.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.write = func() error { return errFault }
		accepted, refused := 0, 0
		for range 10 {
			n, err := f.Write([]byte("1111\n"))
			switch {
			case n == 5 && err == nil:
				accepted++
			case n == 0 && errors.Is(err, errFault):
				refused++
			default:
				t.Fatalf("Write returned %d, %v", n, err)
			}
		}
		e.write = nil
		write(t, f, "2222\n")
		closed(t, f)
		text := read(t, dir)["app.log"]
		if want := "0000\n11\n"; !strings.HasPrefix(text, want) {
			t.Errorf("the file is %q, want it to begin with %q", text, want)
		}
		if got := strings.Count(text, "1111\n"); got != accepted {
			t.Errorf("%d records were accepted, and %d are whole: %q", accepted, got, text)
		}
		if wantAccepted := min(buffer, 1); accepted != wantAccepted {
			t.Errorf("%d records were accepted, want %d", accepted, wantAccepted)
		}
		if !strings.HasSuffix(text, "\n2222\n") {
			t.Errorf("the record after the failure is not whole: %q", text)
		}
		if len(told) != 1 || !errors.Is(told[0], errFault) {
			t.Errorf("OnError got %v", told)
		}
		if s := f.Stats(); s.Dropped != uint64(refused) || s.Records != uint64(accepted+2) || s.Errors < 2 || !errors.Is(s.LastError, errFault) {
			t.Errorf("the stats are %+v", s)
		}
	}
}

func TestFile_buffersWholeRecords(t *testing.T) {
	dir := t.TempDir()
	e := newFaulty()
	f, err := with(filepath.Join(dir, "app.log"), &rotate.Options{Buffer: 10, FlushEvery: -1}, e)
	opened(t, f, err)
	write(t, f, "0000\n", "1111\n", "2\n", "22\n", "33333333\n", "44444444444444\n", "5\n")
	if got := fmt.Sprintf("%q", e.writes); got != `["0000\n1111\n" "2\n22\n" "33333333\n" "44444444444444\n"]` {
		t.Errorf("the writes were %s", got)
	}
	if s := f.Stats(); s.Records != 6 || s.Buffered != 1 {
		t.Errorf("the stats are %+v", s)
	}
	closed(t, f)
	same(t, dir, map[string]string{"app.log": "0000\n1111\n2\n22\n33333333\n44444444444444\n5\n"})
}

func TestFile_usesTheRoomThatAFailedFlushMakes(t *testing.T) {
	dir := t.TempDir()
	e := newFaulty()
	f, err := with(filepath.Join(dir, "app.log"), &rotate.Options{Buffer: 24, FlushEvery: -1}, e)
	opened(t, f, err)
	e.write = func() error { return errFault } // after half of it
	write(t, f, numbered(0), numbered(1), numbered(2))
	if _, err := f.Write([]byte(numbered(3) + "longer\n")); !errors.Is(err, errFault) {
		t.Errorf("without enough room Write returned %v", err)
	}
	e.write = nil
	closed(t, f)
	wantRecords(t, dir, 3)
	if s := f.Stats(); s.Records != 3 || s.Dropped != 1 {
		t.Errorf("the stats are %+v", s)
	}
}

func TestFile_flushesInTime(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		synctest.Test(t, func(t *testing.T) {
			for flushEvery, due := range map[time.Duration]time.Duration{0: time.Second, 3 * time.Second: 3 * time.Second} {
				dir := t.TempDir()
				f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{Buffer: 1 << 16, FlushEvery: flushEvery, ReopenEvery: -1})
				opened(t, f, err)
				for i := range 2 {
					write(t, f, numbered(i))
					time.Sleep(due - 1)
					synctest.Wait()
					if got := f.Stats().Buffered; got != 1 {
						t.Errorf("after %v, %d records are in the buffer", due-1, got)
					}
					time.Sleep(time.Nanosecond)
					synctest.Wait()
					if got := f.Stats().Buffered; got != 0 {
						t.Errorf("after %v, %d records are in the buffer", due, got)
					}
				}
				same(t, dir, map[string]string{"app.log": numbered(0) + numbered(1)})
				closed(t, f)
			}
		})
	})
}

func TestFile_triesToFlushAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		e := newFaulty()
		f, err := with(filepath.Join(dir, "app.log"), &rotate.Options{Buffer: 100}, e)
		opened(t, f, err)
		var broken atomic.Bool
		broken.Store(true)
		e.write = func() error {
			if broken.Load() {
				return errFault
			}
			return nil
		}
		write(t, f, "000\n", "111\n", "222\n")
		time.Sleep(time.Second)
		synctest.Wait()
		if s := f.Stats(); s.Buffered != 2 || s.Records != 1 || s.Errors != 1 {
			t.Errorf("after a flush that failed the stats are %+v", s)
		}
		broken.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		same(t, dir, map[string]string{"app.log": "000\n11\n111\n222\n"})
		closed(t, f)
	})
}

func TestFile_neverFlushesByItselfIfToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := rotate.Open(filepath.Join(t.TempDir(), "app.log"), &rotate.Options{Buffer: 100, FlushEvery: -1})
		opened(t, f, err)
		write(t, f, "0\n")
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := f.Stats().Buffered; got != 1 {
			t.Errorf("%d records are in the buffer", got)
		}
		closed(t, f)
	})
}

func TestFile_syncsEachWrite(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		f, err := open(filepath.Join(t.TempDir(), "app.log"), &rotate.Options{Fsync: true, MaxBytes: 20})
		opened(t, f, err)
		write(t, f, numbered(0), numbered(1))
		if s := f.Stats(); s.Errors != 0 {
			t.Errorf("the stats are %+v", s)
		}
		closed(t, f)
	})
	t.Run("and says when that fails", func(t *testing.T) {
		e := newFaulty()
		f, err := with(filepath.Join(t.TempDir(), "app.log"), &rotate.Options{Fsync: true}, e)
		opened(t, f, err)
		syncs := 0
		e.sync = func() error { syncs++; return errFault }
		if n, err := f.Write([]byte("0\n")); n != 2 || !errors.Is(err, errFault) {
			t.Errorf("Write returned %d, %v", n, err)
		}
		if s := f.Stats(); s.Records != 1 || s.Dropped != 0 || syncs != 1 {
			t.Errorf("the stats are %+v after %d syncs", s, syncs)
		}
	})
}

func TestFile_beginsWithTheHeader(t *testing.T) {
	header := func() []byte { return []byte("a,b\n") }
	eachEngine(t, func(t *testing.T, open openFunc) {
		dir := t.TempDir()
		path := filepath.Join(dir, "app.log")
		opts := &rotate.Options{Header: header, MaxBytes: 8, Schedule: rotate.Every(time.Nanosecond)}
		for range 2 { // the second finds nothing but a header
			f, err := open(path, opts)
			opened(t, f, err)
			if err := f.Rotate(); err != nil {
				t.Error(err)
			}
			closed(t, f)
			same(t, dir, map[string]string{"app.log": "a,b\n"})
		}
		opts.Schedule = nil
		f, err := open(path, opts)
		opened(t, f, err)
		write(t, f, "1,\n", "2,\n", "a long one\n", "3,4\n")
		closed(t, f)
		got := append(backupsOf(t, dir, "app.log"), read(t, dir)["app.log"])
		if want := []string{"a,b\n1,\n", "a,b\n2,\n", "a,b\na long one\n", "a,b\n3,4\n"}; fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("the files are %q, want %q", got, want)
		}
	})
}

func TestFile_ignoresAnEmptyRecord(t *testing.T) {
	dir := t.TempDir()
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{Buffer: 10})
	opened(t, f, err)
	if n, err := f.Write(nil); n != 0 || err != nil {
		t.Errorf("Write returned %d, %v", n, err)
	}
	if s := f.Stats(); s.Records+s.Buffered != 0 {
		t.Errorf("the stats are %+v", s)
	}
}

func TestFile_keepsNoPartOfARecord(t *testing.T) {
	dir := t.TempDir()
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{Buffer: 100})
	opened(t, f, err)
	record := []byte("0\n")
	write(t, f, string(record))
	if _, err := f.Write(record); err != nil {
		t.Fatal(err)
	}
	record[0] = 'x'
	closed(t, f)
	same(t, dir, map[string]string{"app.log": "0\n0\n"})
}

func TestFile_allocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	record := []byte(numbered(0))
	for name, opts := range map[string]*rotate.Options{
		"by default":      nil,
		"with a buffer":   {Buffer: 1 << 12},
		"with a schedule": {Schedule: rotate.Daily(0, 0, nil), MaxBytes: 1 << 30},
		"shared":          {Shared: true, MaxBytes: 1 << 30},
	} {
		f, err := rotate.Open(filepath.Join(t.TempDir(), "app.log"), opts)
		opened(t, f, err)
		if got := testing.AllocsPerRun(1000, func() { _, _ = f.Write(record) }); got != 0 {
			t.Errorf("%s, Write allocates %v times", name, got)
		}
	}
}

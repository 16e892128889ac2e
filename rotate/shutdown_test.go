package rotate_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/rotate"
)

func TestFile_refusesRecordsAfterClose(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		dir := t.TempDir()
		f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{Buffer: 100})
		opened(t, f, err)
		write(t, f, "0\n")
		closed(t, f)
		if n, err := f.Write([]byte("1\n")); n != 0 || !errors.Is(err, rotate.ErrClosed) || !errors.Is(err, os.ErrClosed) {
			t.Errorf("Write returned %d, %v", n, err)
		}
		for name, err := range map[string]error{"Rotate": f.Rotate(), "Reopen": f.Reopen()} {
			if !errors.Is(err, rotate.ErrClosed) {
				t.Errorf("%s returned %v", name, err)
			}
		}
		if err := errors.Join(f.Close(), f.Shutdown(t.Context()), f.Flush(t.Context())); err != nil {
			t.Error(err)
		}
		same(t, dir, map[string]string{"app.log": "0\n"})
		if s := f.Stats(); s.Records != 1 || s.Dropped != 1 || s.Buffered != 0 {
			t.Errorf("the stats are %+v", s)
		}
	})
}

func TestFile_closesOnce(t *testing.T) {
	dir := t.TempDir()
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{Buffer: 1000, Compress: true})
	opened(t, f, err)
	write(t, f, "0\n")
	if err := f.Rotate(); err != nil {
		t.Error(err)
	}
	write(t, f, "1\n")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			// Each waits for the end.
			if texts := read(t, dir); texts["app.log"] != "1\n" || len(backupsOf(t, dir, "app.log")) != 1 || strings.Contains(list(texts), "000.log:") {
				t.Errorf("after Close there is\n%s", list(texts))
			}
		})
	}
	wg.Wait()
}

func TestFile_saysWhatShutdownLost(t *testing.T) {
	dir := t.TempDir()
	e := newFaulty()
	f, err := with(filepath.Join(dir, "app.log"), &rotate.Options{Buffer: 1000, FlushEvery: -1}, e)
	opened(t, f, err)
	write(t, f, "000\n", "111\n", "222\n")
	e.write = func() error { return errFault }
	if err := f.Shutdown(t.Context()); !errors.Is(err, errFault) || !strings.Contains(err.Error(), "2 records lost") {
		t.Errorf("Shutdown returned %v", err)
	}
	if s := f.Stats(); s.Records != 1 || s.Dropped != 2 || s.Buffered != 0 {
		t.Errorf("the stats are %+v", s)
	}
	if err := f.Close(); err != nil {
		t.Errorf("a second time it returned %v", err)
	}
}

func TestFile_shutsDownWhateverTheContextSays(t *testing.T) {
	dir := t.TempDir()
	leave := make(chan struct{})
	entered := make(chan struct{})
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{Buffer: 100, OnRotate: func(rotate.Event) {
		close(entered)
		<-leave
	}})
	opened(t, f, err)
	write(t, f, "0\n")
	if err := f.Rotate(); err != nil {
		t.Error(err)
	}
	<-entered
	write(t, f, "1\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("while OnRotate hangs, Shutdown returned %v", err)
	}
	if got := read(t, dir)["app.log"]; got != "1\n" {
		t.Errorf("after Shutdown there is %q", got)
	}
	close(leave)
	if err := f.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// A bubble does not end before the goroutines in it, and time passes in it only
// when all of them wait for it: what is left behind would hang, and a timer that
// goes on would show.
func TestFile_leavesNoGoroutineBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{
			MaxBytes: 20, Compress: true, MaxAge: time.Hour, Buffer: 30,
			OnRotate: func(rotate.Event) {}, OnError: func(error) {},
		})
		opened(t, f, err)
		for i := range 10 {
			write(t, f, numbered(i))
		}
		closed(t, f)
		before := names(t, dir)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if got := names(t, dir); len(got) != len(before) {
			t.Errorf("after Close, %q became %q", before, got)
		}
	})
}

package config_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks/config"
	"github.com/slogworks/slogworks/internal/peertest"
)

// watched runs f in a bubble with a manager that watches its file each second.
func watched(t *testing.T, f func(t *testing.T, s *subject)) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, one("first"))
		if err := s.Watch(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		f(t, s)
	})
}

// pass lets the watcher look at the file, and do what follows.
func pass(t *testing.T) {
	t.Helper()
	time.Sleep(2 * time.Second)
	synctest.Wait()
}

func TestManager_seesAFileWrittenInPlace(t *testing.T) {
	watched(t, func(t *testing.T, s *subject) {
		for i, note := range []string{"second", "third"} {
			s.write(t, one(note))
			pass(t)
			check(t, "generation", s.Generation(), 2+i)
		}
		pass(t)
		checkAll(t, "told", s.reports.all(), []string{"2 <nil>", "3 <nil>"})
	})
}

func TestManager_seesAFileRenamedOverIt(t *testing.T) {
	watched(t, func(t *testing.T, s *subject) {
		for i, note := range []string{"second", "third"} {
			beside := s.path + ".new"
			if err := os.WriteFile(beside, []byte(one(note)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(beside, s.path); err != nil {
				t.Fatal(err)
			}
			pass(t)
			check(t, "generation", s.Generation(), 2+i)
		}
		checkAll(t, "told", s.reports.all(), []string{"2 <nil>", "3 <nil>"})
	})
}

// A ConfigMap is a directory of links to ..data/NAME, where ..data is a link to
// a directory with a time in its name, which is replaced by a rename.
func TestManager_seesAConfigMapChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, one("first"))
		dir := t.TempDir()
		put := func(at, note string) {
			must(t, os.Mkdir(filepath.Join(dir, at), 0o700))
			must(t, os.WriteFile(filepath.Join(dir, at, "pipeline.yaml"), []byte(one(note)), 0o600))
			must(t, os.Symlink(at, filepath.Join(dir, "..data_tmp")))
			must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		}
		put("..2026_11_21", "first")
		must(t, os.Symlink(filepath.Join("..data", "pipeline.yaml"), filepath.Join(dir, "pipeline.yaml")))
		s.path = filepath.Join(dir, "pipeline.yaml")
		s.again(t)
		must(t, s.Watch(t.Context(), 0))
		for i, at := range []string{"..2026_11_22", "..2026_11_23"} {
			put(at, "on"+at)
			time.Sleep(6 * time.Second) // the default is 5s
			synctest.Wait()
			check(t, "generation", s.Generation(), 2+i)
		}
		checkAll(t, "told", s.reports.all(), []string{"2 <nil>", "3 <nil>"})
	})
}

func TestManager_triesAContentOnce(t *testing.T) {
	watched(t, func(t *testing.T, s *subject) {
		whole := one("second")
		s.write(t, whole[:strings.Index(whole, "note")]) // somebody is writing, and slow
		for range 3 {
			pass(t)
		}
		check(t, "reports of the half", len(s.reports.all()), 1)
		check(t, "generation", s.Generation(), 1)

		must(t, os.Remove(s.path))
		for range 3 {
			pass(t)
		}
		told := s.reports.all()
		if len(told) != 2 || !strings.HasPrefix(told[1], "1 pipeline.yaml: open ") {
			t.Errorf("told %q, want one more report, that the file is gone", told)
		}

		s.write(t, whole)
		pass(t)
		check(t, "generation after the whole", s.Generation(), 2)
		checkAll(t, "told of the whole", s.reports.all()[2:], []string{"2 <nil>"})

		s.write(t, "half")
		pass(t)
		s.write(t, whole)
		pass(t)
		check(t, "generation after half and what was there", s.Generation(), 2)
		check(t, "reports", len(s.reports.all()), 4)
	})
}

func TestManager_waitsUntilNobodyWrites(t *testing.T) {
	watched(t, func(t *testing.T, s *subject) {
		time.Sleep(500 * time.Millisecond)
		// Each of these is a document. The watcher looks at it after the first.
		for _, note := range []string{"begun", "more", "and more"} {
			time.Sleep(60 * time.Millisecond)
			s.write(t, one(note))
			if note == "begun" {
				time.Sleep(time.Second - 560*time.Millisecond)
				synctest.Wait()
			}
		}
		pass(t)
		checkAll(t, "told", s.reports.all(), []string{"2 <nil>"})
		check(t, "what runs", s.Pipeline().Lookup("a").(*probe).options.Note, "and more")
	})
}

func TestManager_leavesWhatAdminHasPut(t *testing.T) {
	watched(t, func(t *testing.T, s *subject) {
		check(t, "status", s.do(t, "PUT", "/config", one("put"), yaml).Code, 200)
		pass(t)
		check(t, "generation while the file is as it was", s.Generation(), 2)
		s.write(t, one("written"))
		pass(t)
		check(t, "generation after the next change of the file", s.Generation(), 3)
	})
}

func TestManager_reloadsAtASignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals to send")
	}
	s := open(t, one("first"))
	must(t, s.Watch(t.Context(), -1, syscall.SIGHUP))
	hangUp := func() {
		t.Helper()
		p, err := os.FindProcess(os.Getpid())
		must(t, err)
		must(t, p.Signal(syscall.SIGHUP))
	}
	s.write(t, one("second"))
	hangUp()
	peertest.WaitFor(t, "the second generation", func() bool { return s.Generation() == 2 })

	// A signal tries again what was refused.
	s.write(t, "half")
	for n := range 2 {
		hangUp()
		peertest.WaitFor(t, "another report", func() bool { return len(s.reports.all()) == 2+n })
	}
	s.write(t, one("third"))
	hangUp()
	peertest.WaitFor(t, "the third generation", func() bool { return s.Generation() == 3 })

	// A storm of them is at most as many reloads, and ends with what is there.
	for i := range 200 {
		s.write(t, one([]string{"even", "odd"}[i%2]))
		hangUp()
	}
	s.write(t, one("last"))
	hangUp()
	peertest.WaitFor(t, "the last document", func() bool { return s.Pipeline().Lookup("a").(*probe).options.Note == "last" })
}

func TestManager_watchEnds(t *testing.T) {
	for name, end := range map[string]func(s *subject, cancel func()) error{
		"with the context": func(_ *subject, cancel func()) error { cancel(); return nil },
		"with the manager": func(s *subject, _ func()) error { return s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			s := open(t, one("first"))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			must(t, s.Watch(ctx, time.Millisecond))
			must(t, s.Watch(ctx, time.Hour))
			must(t, end(s, cancel))
			peertest.WaitFor(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

func TestManager_triesAgainWhatAReloadHadNoTimeFor(t *testing.T) {
	watched(t, func(t *testing.T, s *subject) {
		built := 0
		config.Register(s.opts.Registry, "once_slow", func(ctx context.Context, _ struct{}, _ *config.Env) (slog.Handler, error) {
			if built++; built == 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return slog.DiscardHandler, nil
		})
		s.write(t, "version: 1\nhandlers: {a: {kind: once_slow}}\nroot: {to: a}\n")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		check(t, "error of Reload", s.Reload(ctx), context.DeadlineExceeded)
		check(t, "generation", s.Generation(), 1)
		pass(t)
		check(t, "generation after a look", s.Generation(), 2)
	})
}

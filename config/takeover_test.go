package config_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/config"
	"github.com/slogworks/slogworks/rotate"
)

// logFile returns the lines of a file, plain or by gzip.
func logFile(t *testing.T, path string) (lines []string) {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	var r io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		r, err = gzip.NewReader(file)
		must(t, err)
	}
	content, err := io.ReadAll(r)
	must(t, err)
	return slices.Collect(strings.Lines(string(content)))
}

// Two pipelines in a row have the file, and their queues, while it rotates.
func TestManager_losesNothingOfAFileThatRotates(t *testing.T) {
	for name, rules := range map[string]string{
		"and is compressed":          "compress: true",
		"and has numbers as backups": "naming: numbered, max_backups: 1000",
	} {
		t.Run(name, func(t *testing.T) {
			const reloads, perReload = 15, 300
			t.Chdir(t.TempDir())
			document := func(i int) []byte {
				return fmt.Appendf(nil, "version: 1\nhandlers:\n  q: {kind: queue, to: f, capacity: 100000, linger: 1ms}\n  f: {kind: file, path: app.log, max_size: %dKB, %s}\nroot: {to: [q]}\n", 8+i%2, rules)
			}
			must(t, os.WriteFile("pipeline.yaml", document(0), 0o600))
			m, err := config.Open(t.Context(), "pipeline.yaml", &config.ManagerOptions{RetireTimeout: -1})
			must(t, err)
			permits := make(chan int, perReload)
			var writers sync.WaitGroup
			for range 4 {
				writers.Go(func() {
					logger := slog.New(m.Handler())
					for id := range permits {
						logger.Info("record "+strconv.Itoa(id), "padding", strings.Repeat("x", 100))
					}
				})
			}
			for i := range reloads {
				for j := range perReload {
					if j == perReload/2 {
						must(t, os.WriteFile("pipeline.yaml", document(i+1), 0o600))
						must(t, m.Reload(t.Context()))
					}
					permits <- i*perReload + j
				}
			}
			close(permits)
			writers.Wait()
			must(t, m.Shutdown(t.Context()))

			times := make([]int, reloads*perReload)
			files, err := filepath.Glob("app*")
			must(t, err)
			for _, file := range files {
				for _, line := range logFile(t, file) {
					if _, rest, ok := strings.Cut(line, `"msg":"record `); ok {
						digits, _, _ := strings.Cut(rest, `"`)
						id, err := strconv.Atoi(digits)
						must(t, err)
						times[id]++
					}
				}
			}
			lost, twice := 0, 0
			for _, n := range times {
				switch {
				case n == 0:
					lost++
				case n > 1:
					twice++
				}
			}
			if lost+twice > 0 || len(files) < reloads {
				t.Errorf("in %d files, of %d records %d are lost and %d there more than once", len(files), len(times), lost, twice)
			}
		})
	}
}

func TestPipeline_handsAFileOver(t *testing.T) {
	t.Chdir(t.TempDir())
	document := func(options string) string {
		return "version: 1\nhandlers: {f: {kind: file, path: app.log, " + options + "}}\nroot: {to: f}\n"
	}
	w := newWorkshop()
	first := w.build(t, document("max_size: 100B, format: {layout: 'first {msg}'}"), nil)
	former := slog.New(first).With("a", 1)
	former.Info("one")
	second := w.build(t, document("max_size: 1MB, format: {layout: 'second {msg}'}"), first)
	check(t, "lines before there is a record for the second", len(logFile(t, "app.log")), 1)

	var early sync.WaitGroup
	early.Go(func() { slog.New(second).With("b", 2).Info("two") })
	early.Go(func() { must(t, second.HandleBatch(t.Context(), batchOf("three"))) })
	former.Info("four") // they wait, whether they are there yet or not
	config.TakeOver(second)
	early.Wait()
	former.Info("late " + strings.Repeat("x", 200))
	must(t, first.HandleBatch(t.Context(), batchOf("later")))
	must(t, config.Retire(t.Context(), first, second))
	slog.New(second).Info("last")
	got := logFile(t, "app.log")
	checkAll(t, "lines", got[:2], []string{"first one\n", "first four\n"})
	slices.Sort(got[2:4])
	checkAll(t, "lines", got[2:], []string{"second three\n", "second two\n", "first late " + strings.Repeat("x", 200) + "\n", "first later\n", "second last\n"})
	// Each has in its books what its own file got.
	check(t, "accounts of the first", fmt.Sprint(slogworks.Books(first)), "[{rotate 2 2 0 map[closed:0 error:0]}]")
	check(t, "accounts of the second", fmt.Sprint(slogworks.Books(second)), "[{rotate 5 5 0 map[closed:0 error:0]}]")

	// Through a link it is the same file.
	must(t, os.Symlink("app.log", "link.log"))
	third := w.build(t, strings.ReplaceAll(document("format: {layout: 'third {msg}'}"), "app.log", "link.log"), second)
	config.TakeOver(third)
	slog.New(second).Info("more")
	must(t, config.Retire(t.Context(), second, third))
	check(t, "the account of the third", fmt.Sprint(slogworks.Books(third)), "[{rotate 1 1 0 map[closed:0 error:0]}]")
	must(t, slogworks.Shutdown(t.Context(), third))
	check(t, "files", len(logFile(t, "app.log")), 8)
}

// To open a file by its rules removes backups, and the document may be refused
// for what comes later.
func TestManager_refusedDocumentsRemoveNoBackups(t *testing.T) {
	t.Chdir(t.TempDir())
	document := func(fail string) string {
		return "version: 1\nhandlers:\n  f: {kind: file, path: app.log, naming: numbered, max_backups: 1}\n  p: {kind: probe, fail: " + fail + "}\nroot: {to: [f, p]}\n"
	}
	backups := func() []string {
		found, err := filepath.Glob("app.log.*")
		must(t, err)
		return found
	}
	for _, name := range []string{"app.log", "app.log.1", "app.log.2", "app.log.3"} {
		must(t, os.WriteFile(name, []byte("line\n"), 0o600))
	}
	s := open(t, one("first"))
	s.write(t, document("no disk"))
	if err := s.Reload(t.Context()); err == nil {
		t.Fatal("the document was not refused")
	}
	if _, err := config.Open(t.Context(), s.path, s.opts); err == nil {
		t.Fatal("the document was not refused")
	}
	must(t, s.Shutdown(t.Context())) // nothing is done in the background then
	checkAll(t, "backups", backups(), []string{"app.log.1", "app.log.2", "app.log.3"})

	s.write(t, document(`""`))
	s.again(t)
	must(t, s.Shutdown(t.Context()))
	checkAll(t, "backups of a document that runs", backups(), []string{"app.log.1"})
}

func TestManager_saysWhatCannotBeChangedOfASharedFile(t *testing.T) {
	t.Chdir(t.TempDir())
	document := func(options string) string {
		return "version: 1\nhandlers:\n  f: {kind: file, path: app.log, " + options + "}\nroot: {to: f}\n"
	}
	s := open(t, document("shared: true, max_size: 1MB"))
	for options, want := range map[string]string{
		"shared: true, max_size: 2MB": "pipeline.yaml:3: handlers.f: rotate: sharedfile: opened by another process with other settings: give all processes the same options; if it is this process, end it first or name another path: what is shared is not changed while it is open",
		"max_size: 1MB":               "pipeline.yaml:3: handlers.f: shared cannot be changed while this process has the file open: end it first, or name another path",
	} {
		s.write(t, document(options))
		if err := s.Reload(t.Context()); fmt.Sprint(err) != want {
			t.Errorf("%s: got %v", options, err)
		}
	}
	slog.New(s.Handler()).Info("goes on")
	s.reload(t, document("shared: true, max_size: 1MB, buffer: 64KB"))
	slog.New(s.Handler()).Info("with what may differ")
	must(t, s.Shutdown(t.Context()))
	content := strings.Join(logFile(t, "app.log"), "")
	if !strings.Contains(content, "goes on") || !strings.Contains(content, "with what may differ") {
		t.Errorf("the file has %s", content)
	}
}

// What is in the buffer of a file was accepted, and may be lost when it is
// written at last.
func TestManager_saysWhatAFullDiskHasCost(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/dev/full is of Linux")
	}
	document := func(size int) string {
		return fmt.Sprintf("version: 1\nhandlers:\n  f: {kind: file, path: /dev/full, buffer: %dKB}\nroot: {to: f}\nloggers: {%s: {level: error}}\n", size, config.ManagerLogger)
	}
	s := open(t, document(10))
	slog.New(s.Handler()).Info("one")
	s.write(t, document(20))
	err := s.Reload(t.Context())
	if _, ok := errors.AsType[*config.RetireError](err); !ok || !strings.Contains(err.Error(), "config: shut down f: rotate: shutdown: 1 records lost: ") {
		t.Errorf("of the former pipeline it is said: %v", err)
	}
	slog.New(s.Handler()).Info("two")
	slog.New(s.Handler()).Info("three")
	if err := s.Shutdown(context.Background()); err == nil || !strings.Contains(err.Error(), "config: shut down f: rotate: shutdown: 2 records lost: ") {
		t.Errorf("at the end it is said: %v", err)
	}
}

func TestDocument_Build_refusesTwoHandlersOnOneFile(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.Symlink("app.log", "link.log"))
	for _, name := range []string{"app.log", "app.log.1", "app.log.2"} {
		must(t, os.WriteFile(name, []byte("line\n"), 0o600))
	}
	d := newWorkshop().parse(t, "version: 1\nhandlers:\n  f: {kind: file, path: app.log, naming: numbered, max_backups: 1}\n  g: {kind: file, path: link.log}\nroot: {to: [f, g]}\n")
	_, err := d.Build(t.Context())
	check(t, "error", fmt.Sprint(err), "d:4: handlers.g: path leads to the file of another handler")
	_, err = os.Stat("app.log.2")
	must(t, err) // a document that is refused removes no backup
}

// The one that stays is not to lose its file to one that comes.
func TestManager_refusesASecondHandlerOnTheFileOfOneThatStays(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.Symlink("app.log", "link.log"))
	document := func(more, to string) string {
		return "version: 1\nhandlers:\n  f: {kind: file, path: app.log}\n" + more + "root: {to: [" + to + "]}\n"
	}
	both := document("  g: {kind: file, path: link.log}\n", "f, g")
	s := open(t, document("", "f"))
	for _, query := range []string{"?dry_run=1", ""} {
		if answer := put(s.Manager, both, query); answer.Code != http.StatusUnprocessableEntity || !strings.Contains(answer.Body.String(), "path leads to the file of another handler") {
			t.Errorf("PUT %s: %d %s", query, answer.Code, answer.Body)
		}
	}
	must(t, s.Handler().Handle(t.Context(), slog.Record{Message: "goes on"}))
	must(t, s.Shutdown(t.Context()))
	if lines := logFile(t, "app.log"); !strings.Contains(lines[len(lines)-1], "goes on") {
		t.Errorf("the last line is %s", lines[len(lines)-1])
	}
}

// put sends a document to the manager.
func put(m *config.Manager, document, query string) *httptest.ResponseRecorder {
	request := httptest.NewRequest("PUT", "http://localhost/config"+query, strings.NewReader(document))
	request.Header.Set("Content-Type", "application/yaml")
	request.Header.Set("Authorization", "Bearer t")
	answer := httptest.NewRecorder()
	m.Admin(&config.AdminOptions{Token: "t"}).ServeHTTP(answer, request)
	return answer
}

// hanging is a value that takes as long as it likes.
type hanging func()

func (h hanging) LogValue() slog.Value {
	h()
	return slog.Value{}
}

// A record that hangs costs the handover of its own file its second, and not that
// of another.
func TestPipeline_handsEachFileOverInItsOwnTime(t *testing.T) {
	document := func(size int) string {
		return fmt.Sprintf("version: 1\nhandlers:\n  a: {kind: file, path: a.log, max_size: %dMB}\n  b: {kind: file, path: b.log, max_size: %[1]dMB}\nroot: {to: []}\nloggers: {a: {to: a}, b: {to: b}}\n", size)
	}
	for hangs, other := range map[string]string{"a": "b", "b": "a"} { // whichever comes first
		t.Chdir(t.TempDir())
		synctest.Test(t, func(t *testing.T) {
			w := newWorkshop()
			first := w.build(t, document(1), nil)
			second := w.build(t, document(2), first)
			gate := make(chan struct{})
			var writers sync.WaitGroup
			log := func(name string, h hanging) {
				writers.Go(func() { slogworks.Named(slog.New(first), name).Info("slow", "value", h) })
			}
			log(hangs, func() { <-gate })
			synctest.Wait()
			writers.Go(func() {
				time.Sleep(990 * time.Millisecond)
				log(other, func() { time.Sleep(20 * time.Millisecond) })
			})
			config.TakeOver(second)
			close(gate)
			writers.Wait()
			accepted := func(p *config.Pipeline) uint64 { return slogworks.Books(p.Lookup(other))[0].Accepted }
			check(t, "records that came to the first one's file", accepted(first), 0)
			check(t, "records that came to the second one's file", accepted(second), 1)
			check(t, "the account of what has hung", fmt.Sprint(slogworks.Books(first.Lookup(hangs))), "[{rotate 1 1 0 map[closed:0 error:0]}]")
			must(t, config.Retire(t.Context(), first, second))
			must(t, slogworks.Shutdown(t.Context(), second))
		})
	}
}

// A record that has waited for one handover is waited for by the next.
func TestPipeline_handsAFileOverTwice(t *testing.T) {
	t.Chdir(t.TempDir())
	document := func(size int) string {
		return fmt.Sprintf("version: 1\nhandlers: {f: {kind: file, path: app.log, max_size: %dMB}}\nroot: {to: f}\n", size)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop()
		first := w.build(t, document(1), nil)
		second := w.build(t, document(2), first)
		gate := make(chan struct{})
		var writers sync.WaitGroup
		writers.Go(func() {
			r := slog.NewRecord(time.Now(), slog.LevelInfo, "early", 0)
			r.Add("value", hanging(func() { <-gate }))
			if err := second.Handle(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		config.TakeOver(second)
		third := w.build(t, document(3), second)
		writers.Go(func() {
			time.Sleep(maxHandover / 2)
			close(gate)
		})
		config.TakeOver(third)
		writers.Wait()
		check(t, "the account of the second", fmt.Sprint(slogworks.Books(second)), "[{rotate 1 1 0 map[closed:0 error:0]}]")
		for _, p := range []*config.Pipeline{first, second, third} {
			must(t, slogworks.Shutdown(t.Context(), p))
		}
	})
}

// A spool delivers as soon as it is open, which may be before the file is.
func TestPipeline_keepsWhatComesBeforeItsFileIsOpen(t *testing.T) {
	t.Chdir(t.TempDir())
	document := func(size int) string {
		return fmt.Sprintf("version: 1\nhandlers:\n  e: {kind: eager, to: f}\n  f: {kind: file, path: app.log, max_size: %dMB}\nroot: {to: e}\n", size)
	}
	synctest.Test(t, func(t *testing.T) {
		delivered := make(chan error, 1)
		w := newWorkshop()
		config.Register(w.Registry, "eager", func(_ context.Context, o struct{ To config.Ref }, _ *config.Env) (slog.Handler, error) {
			go func() {
				delivered <- o.To.Handler().WithGroup("g").Handle(context.Background(), slog.Record{Message: "early"})
			}()
			synctest.Wait()
			return o.To.Handler(), nil
		})
		first := w.build(t, document(1), nil)
		must(t, <-delivered)
		check(t, "lines", len(logFile(t, "app.log")), 1)

		given := w.build(t, document(2), first)
		must(t, slogworks.Shutdown(t.Context(), given)) // up
		check(t, "error", <-delivered, error(rotate.ErrClosed))

		second := w.build(t, document(2), first)
		config.TakeOver(second)
		must(t, <-delivered)
		check(t, "lines", len(logFile(t, "app.log")), 2)
		must(t, slogworks.Shutdown(t.Context(), first))
		must(t, slogworks.Shutdown(t.Context(), second))
	})
}

// Building must not wait for ever for what is only opened once all is built.
func TestDocument_Build_endsThoughAKindLogsMeanwhile(t *testing.T) {
	t.Chdir(t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop()
		config.Register(w.Registry, "hasty", func(_ context.Context, o struct{ To config.Ref }, _ *config.Env) (slog.Handler, error) {
			check(t, "error", o.To.Handler().Handle(context.Background(), slog.Record{}), error(rotate.ErrClosed))
			return o.To.Handler(), nil
		})
		p := w.build(t, "version: 1\nhandlers:\n  e: {kind: hasty, to: f}\n  f: {kind: file, path: app.log}\nroot: {to: e}\n", nil)
		must(t, slogworks.Shutdown(t.Context(), p))
	})
}

// maxHandover is how long records wait for a handover.
const maxHandover = time.Second

func TestPipeline_saysWhatAHandoverHasCost(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/dev/full is of Linux")
	}
	t.Chdir(t.TempDir())
	document := func(size int) string {
		return fmt.Sprintf("version: 1\nhandlers: {f: {kind: file, path: app.log, lazy: true, buffer: 1KB, max_size: %dMB}}\nroot: {to: f}\n", size)
	}
	w := newWorkshop()
	first := w.build(t, document(1), nil)
	must(t, os.Symlink("/dev/full", "app.log"))
	slog.New(first).Info("lost")
	must(t, os.Remove("app.log"))
	second := w.build(t, document(2), first)
	config.TakeOver(second)
	err := config.Retire(t.Context(), first, second)
	if want := "config: shut down f: rotate: shutdown: 1 records lost: "; err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), "lost") > 1 {
		t.Errorf("of the first it is said: %v; want %s", err, want)
	}
	must(t, slogworks.Shutdown(t.Context(), second))
}

func TestManager_rehearsesWhatBuffersAndDevicesNeed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no /dev/null")
	}
	t.Chdir(t.TempDir())
	s := open(t, one("first"))
	for document, want := range map[string]int{
		"version: 1\nhandlers: {b: {kind: buffer, to: f}, f: {kind: file, path: app.log}}\nroot: {to: b}\n": http.StatusOK,
		"version: 1\nhandlers: {f: {kind: file, path: /dev/null}}\nroot: {to: f}\n":                         http.StatusOK,
		"version: 1\nhandlers: {f: {kind: file, path: .}}\nroot: {to: f}\n":                                 http.StatusUnprocessableEntity,
	} {
		for _, query := range []string{"?dry_run=1", ""} {
			if answer := put(s.Manager, document, query); answer.Code != want {
				t.Errorf("%s%s: %d %s", document, query, answer.Code, answer.Body)
			}
		}
	}
}

func TestManager_refusedDocumentsDeliverNothingFromASpool(t *testing.T) {
	t.Chdir(t.TempDir())
	document := func(manual bool, fail string) string {
		return fmt.Sprintf("version: 1\nhandlers:\n  b: {kind: buffer, to: f, dir: spool, level: info, manual: %t, trigger: [{count: 1, level: info}]}\n  f: {kind: file, path: out.log}\n  p: {kind: probe, fail: %q}\nroot: {to: [b, p]}\n", manual, fail)
	}
	held := func() int {
		info, err := buffer.Inspect("spool")
		must(t, err)
		return info.Total
	}
	s := open(t, strings.Replace(document(true, ""), "count: 1,", "count: 100,", 1))
	slog.New(s.Handler()).Info("one")
	must(t, s.Shutdown(t.Context()))
	check(t, "records held", held(), 1)

	s.write(t, document(false, "no disk"))
	if _, err := config.Open(t.Context(), s.path, s.opts); err == nil {
		t.Fatal("the document was not refused")
	}
	check(t, "records held after a document that was refused", held(), 1)
	s.write(t, document(false, ""))
	s.again(t)
	must(t, s.Shutdown(t.Context()))
	check(t, "records held after one that ran", held(), 0)
}

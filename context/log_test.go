package slogctx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	slogctx "github.com/slogworks/slogworks/context"
	"github.com/slogworks/slogworks/handlertest"
)

// initialHandler is what slog starts with.
var initialHandler = slog.Default().Handler()

// keepLog puts package log back as it was when the test ends.
func keepLog(t *testing.T) {
	logger, output, flags, prefix := slog.Default(), log.Writer(), log.Flags(), log.Prefix()
	t.Cleanup(func() {
		slog.SetDefault(logger) // first, since it redirects package log
		log.SetOutput(output)
		log.SetFlags(flags)
		log.SetPrefix(prefix)
	})
}

func here() (line int) {
	_, _, line, _ = runtime.Caller(1)
	return line
}

// wantSource fails the test unless the last record that rec got comes from this
// line of this file.
func wantSource(t *testing.T, rec *handlertest.Recorder, line int) {
	t.Helper()
	items := rec.Items()
	if len(items) == 0 {
		t.Fatal("no record arrived")
	}
	source := items[len(items)-1].Record.Source()
	if source == nil || filepath.Base(source.File) != "log_test.go" || source.Line != line {
		t.Errorf("the source is %+v, want line %d", source, line)
	}
}

func TestRedirectLog_makesRecords(t *testing.T) {
	keepLog(t)
	var w output
	log.SetFlags(log.LstdFlags | log.Lshortfile)
	log.SetPrefix("prefix: ")
	restore := slogctx.RedirectLog(lines(&w), slog.LevelWarn)
	defer restore()
	log.Print("one ", 2)
	log.Printf("%d lines\nare one record\n", 2)
	log.Print("an empty line follows\n\n")
	log.Print()
	func() {
		defer func() { _ = recover() }()
		log.Panicln("panicking")
	}()
	w.want(t,
		`{"level":"WARN","msg":"prefix: one 2"}`,
		`{"level":"WARN","msg":"prefix: 2 lines\nare one record"}`,
		`{"level":"WARN","msg":"prefix: an empty line follows\n"}`,
		`{"level":"WARN","msg":"prefix: "}`,
		`{"level":"WARN","msg":"prefix: panicking"}`)
}

func TestRedirectLog_readsTheLevelEachTime(t *testing.T) {
	keepLog(t)
	var w output
	var level slog.LevelVar
	defer slogctx.RedirectLog(lines(&w), &level)()
	level.Set(slog.LevelDebug)
	log.Print("not enabled")
	level.Set(slog.LevelError)
	log.Print("enabled")
	w.want(t, `{"level":"ERROR","msg":"enabled"}`)
}

func TestRedirectLog_takesNilForLevelInfo(t *testing.T) {
	keepLog(t)
	var w output
	defer slogctx.RedirectLog(lines(&w), nil)()
	log.Print("m")
	w.want(t, `{"level":"INFO","msg":"m"}`)
}

func TestRedirectLog_givesTheSource(t *testing.T) {
	keepLog(t)
	rec := new(handlertest.Recorder)
	defer slogctx.RedirectLog(slogctx.NewStack(rec), nil)()
	own := log.New(slogctx.LogWriter(rec, nil), "", 0)
	for _, call := range []func() int{
		func() int { log.Print("m"); return here() },
		func() int { log.Printf("m"); return here() },
		func() int { log.Println("m"); return here() },
		func() int { _ = log.Output(1, "m"); return here() },
		func() int { log.Default().Print("m"); return here() },
		func() int { own.Print("m"); return here() },
		func() int { own.Println("m"); return here() },
		func() int { _ = own.Output(1, "m"); return here() },
	} {
		line := call()
		wantSource(t, rec, line)
	}
}

func TestRedirectLog_givesTheSourceThroughOtherWriters(t *testing.T) {
	keepLog(t)
	rec := new(handlertest.Recorder)
	defer slogctx.RedirectLog(rec, nil)()
	log.SetOutput(io.MultiWriter(log.Writer(), io.Discard))
	log.Print("m")
	wantSource(t, rec, here()-1)
}

// slog's initial handler prints by package log.
func TestRedirectLog_givesTheSourceOfWhatSlogWritesToLog(t *testing.T) {
	keepLog(t)
	if fmt.Sprintf("%T", initialHandler) != "*slog.defaultHandler" {
		t.Skip("slog.SetDefault was called before")
	}
	rec := new(handlertest.Recorder)
	defer slogctx.RedirectLog(rec, nil)()
	slog.New(initialHandler).Info("m", "k", "v")
	wantSource(t, rec, here()-1)
	if got := rec.Items()[0].Record.Message; got != "INFO m k=v" {
		t.Errorf("the message is %q", got)
	}
}

func TestRedirectLog_restores(t *testing.T) {
	keepLog(t)
	var before bytes.Buffer
	var w output
	log.SetOutput(&before)
	log.SetFlags(log.Lmsgprefix)
	log.SetPrefix("prefix: ")
	restore := slogctx.RedirectLog(lines(&w), nil)
	log.SetPrefix("another: ")
	log.SetFlags(log.LUTC)
	log.Print("redirected")
	w.want(t, `{"level":"INFO","msg":"another: redirected"}`)
	restore()
	if log.Writer() != &before || log.Flags() != log.Lmsgprefix || log.Prefix() != "prefix: " {
		t.Errorf("restored are the flags %b and the prefix %q", log.Flags(), log.Prefix())
	}

	log.SetPrefix("changed since: ")
	restore()
	if log.Prefix() != "changed since: " {
		t.Error("a second restore changes something")
	}
	w.want(t)
}

func TestRedirectLog_restoresInAnyOrder(t *testing.T) {
	keepLog(t)
	var before bytes.Buffer
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}, {0, 2, 1}, {2, 0, 1}} {
		log.SetOutput(&before)
		log.SetFlags(log.Lshortfile)
		var outputs [3]output
		var restores [3]func()
		for i := range outputs {
			restores[i] = slogctx.RedirectLog(lines(&outputs[i]), nil)
		}
		live := []int{0, 1, 2}
		for n, i := range order {
			restores[i]()
			restores[i]()
			live = remove(live, i)
			log.Print("m")
			for j := range outputs {
				wrote := outputs[j].take() != ""
				if newest := len(live) > 0 && j == live[len(live)-1]; wrote != newest {
					t.Errorf("order %v: after %d were restored, redirection %d wrote: %v", order, n+1, j, wrote)
				}
			}
		}
		if log.Writer() != &before || log.Flags() != log.Lshortfile {
			t.Errorf("order %v: package log is not as it was", order)
		}
	}
}

func remove(list []int, i int) (rest []int) {
	for _, j := range list {
		if j != i {
			rest = append(rest, j)
		}
	}
	return rest
}

func TestRedirectLog_leavesWhatOthersHaveSet(t *testing.T) {
	keepLog(t)
	var w output
	var other bytes.Buffer
	restore := slogctx.RedirectLog(lines(&w), nil)
	log.SetOutput(&other)
	log.SetFlags(log.LUTC)
	restore()
	if log.Writer() != &other || log.Flags() != log.LUTC {
		t.Error("restore undid what was set after RedirectLog")
	}
}

func TestRedirectLog_panicsOnHandlersThatCannotBe(t *testing.T) {
	keepLog(t)
	output, flags := log.Writer(), log.Flags()
	for _, redirect := range []func(h slog.Handler){
		func(h slog.Handler) { slogctx.RedirectLog(h, nil) },
		func(h slog.Handler) { slogctx.LogWriter(h, nil) },
	} {
		wantPanic(t, "slogctx: nil Handler", func() { redirect(nil) })
		wantPanic(t, "slog.NewTextHandler", func() { redirect(initialHandler) })
	}
	if log.Writer() != output || log.Flags() != flags {
		t.Error("package log was changed all the same")
	}
	slogctx.RedirectLog(slog.DiscardHandler, nil)() // would wait for ever if a lock had been left behind
}

func TestRedirectLog_isSafeForConcurrentUse(t *testing.T) {
	keepLog(t)
	var before bytes.Buffer
	log.SetOutput(&before)
	log.SetFlags(0)
	rec := new(handlertest.Recorder)
	restore := slogctx.RedirectLog(rec, nil)
	const goroutines, each = 8, 50
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				log.Printf("goroutine %d\nrecord %d", g, i)
			}
		})
		wg.Go(func() { slogctx.RedirectLog(rec, nil)() })
	}
	wg.Wait()
	restore()
	if log.Writer() != &before {
		t.Error("package log is not as it was")
	}
	next := map[string]int{}
	for _, item := range rec.Items() {
		goroutine, i, _ := strings.Cut(item.Record.Message, "\n")
		if want := fmt.Sprint("record ", next[goroutine]); i != want {
			t.Errorf("got %q of %s, want %q", i, goroutine, want)
		}
		next[goroutine]++
	}
	if len(rec.Items())+strings.Count(before.String(), "\nrecord") != goroutines*each {
		t.Errorf("%d records arrived, want %d", len(rec.Items()), goroutines*each)
	}
}

func TestLogWriter_reportsErrors(t *testing.T) {
	failed := errors.New("failed")
	w := slogctx.LogWriter(failing{Handler: slog.NewTextHandler(io.Discard, nil), err: failed}, nil)
	if n, err := w.Write([]byte("m")); n != 0 || err != failed {
		t.Errorf("Write returned %d, %v", n, err)
	}
	w = slogctx.LogWriter(slog.DiscardHandler, nil)
	if n, err := w.Write([]byte("not enabled")); n != len("not enabled") || err != nil {
		t.Errorf("Write for a handler that is not enabled returned %d, %v", n, err)
	}
}

func TestLogWriter_keepsNothingOfTheBuffer(t *testing.T) {
	rec := new(handlertest.Recorder)
	buf := []byte("then\n")
	fmt.Fprint(slogctx.LogWriter(rec, nil), "direct\n")
	if _, err := slogctx.LogWriter(rec, nil).Write(buf); err != nil {
		t.Fatal(err)
	}
	wantSource(t, rec, here()-3)
	copy(buf, "late")
	if got := rec.Items()[1].Record.Message; got != "then" {
		t.Errorf("the message is %q", got)
	}
}

func TestLogWriter_takesTheErrorsOfAnHTTPServer(t *testing.T) {
	arrived := make(chan slog.Record, 1)
	stack := slogctx.NewStack(slog.DiscardHandler)
	stack.Push(sending{slog.NewTextHandler(io.Discard, nil), arrived}, nil)
	server := &http.Server{
		Handler:  http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }),
		ErrorLog: log.New(slogctx.LogWriter(stack, slog.LevelError), "", 0),
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-served
	}()

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if response, err := client.Get("http://" + listener.Addr().String()); err == nil {
		response.Body.Close()
		t.Error("the request succeeded")
	}
	select {
	case r := <-arrived:
		if r.Level != slog.LevelError || !strings.HasPrefix(r.Message, "http: panic serving 127.0.0.1:") ||
			!strings.Contains(r.Message, "boom\ngoroutine ") || strings.HasSuffix(r.Message, "\n") {
			t.Errorf("the record is %v %q", r.Level, r.Message)
		}
		if source := r.Source(); !strings.HasPrefix(source.Function, "net/http.") {
			t.Errorf("the source is %+v", source)
		}
	case <-time.After(10 * time.Second):
		t.Error("no record arrived")
	}
}

// sending hands on its records.
type sending struct {
	slog.Handler
	to chan<- slog.Record
}

func (s sending) Handle(_ context.Context, r slog.Record) error {
	s.to <- r
	return nil
}

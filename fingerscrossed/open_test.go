package fingerscrossed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/handlertest"
)

// opener is for Options.Open. It opens recorders.
type opener struct {
	mu     sync.Mutex
	opened []*handlertest.Recorder
	names  []string // of the triggers
	open   int      // and not closed
}

func (o *opener) Open(_ context.Context, trigger slogworks.View) (slog.Handler, io.Closer, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rec := new(handlertest.Recorder)
	o.opened = append(o.opened, rec)
	o.names = append(o.names, trigger.Message())
	o.open++
	return rec, closeFunc(func() error {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.open--
		return nil
	}), nil
}

func TestOptions_Open_isCalledOncePerScopeThatIsReleased(t *testing.T) {
	for _, after := range []fingerscrossed.After{fingerscrossed.PassAll, fingerscrossed.Rearm} {
		o := new(opener)
		h, logger, rec := batched(&fingerscrossed.Options{Open: o.Open, After: after})
		for i := range 2 {
			ctx, s := h.Begin(t.Context())
			logAll(ctx, logger, "d1 i1")
			s.End(nil)
			wantMessages(t, rec, strings.TrimSpace(strings.Repeat("i1 i ", i)+"i1"))

			ctx, s = h.Begin(t.Context())
			ctx2, s2 := h.Begin(t.Context())
			logAll(ctx, logger, "d2 i2 e2 d3 i3 e3")
			logAll(ctx2, logger, "i")
			if o.open != 1 || len(o.opened) != i+1 || o.names[i] != "e2" {
				t.Errorf("%d files are open of %d, for %q", o.open, len(o.opened), o.names)
			}
			s2.End(nil)
			s.End(nil)
			wantMessages(t, o.opened[i], "d2 i2 e2 d3 i3 e3")
			if o.open != 0 {
				t.Error("the file was not closed")
			}
		}
		wantMessages(t, rec, "i1 i i1 i")
		shutDown(t, h)
	}
}

func TestOptions_Open_getsTheTriggerWithAllItsAttributes(t *testing.T) {
	type key struct{}
	var got []string
	h := fingerscrossed.New(new(handlertest.Recorder), &fingerscrossed.Options{
		Open: func(ctx context.Context, v slogworks.View) (slog.Handler, io.Closer, error) {
			id, _ := v.Attr("request", "id")
			got = append(got, fmt.Sprintf("%s %v %v", v.Message(), id, ctx.Value(key{})))
			return new(handlertest.Recorder), nil, nil
		},
	})
	logger := slog.New(h).WithGroup("request").With("id", 7)
	failed := errFailed
	ctx, s := h.Begin(context.WithValue(t.Context(), key{}, "value"))
	logAll(ctx, logger, "d1 e1")
	s.End(nil)
	ctx, s = h.Begin(t.Context())
	logAll(ctx, logger, "d2")
	s.End(&failed) // by the last record, if none triggered
	ctx, s = h.Begin(t.Context())
	if err := s.Trigger(); err != nil { // or the next
		t.Error(err)
	}
	logAll(ctx, logger, "d3 d4")
	s.End(nil)
	_, s = h.Begin(t.Context())
	if err := s.Trigger(); err != nil { // but there is no file without records
		t.Error(err)
	}
	s.End(&failed)
	if want := "e1 7 value, d2 7 <nil>, d3 7 <nil>"; strings.Join(got, ", ") != want {
		t.Errorf("Open was called for %q", got)
	}
	shutDown(t, h)
}

func TestOptions_Open_fallsBackToTheNextHandler(t *testing.T) {
	closed := 0
	for name, open := range map[string]func(context.Context, slogworks.View) (slog.Handler, io.Closer, error){
		"an error": func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) { return nil, nil, errFailed },
		"a panic":  func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) { panic(errFailed) },
		"a nil Handler": func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) {
			return nil, closeFunc(func() error { closed++; return errFailed }), nil
		},
	} {
		var told []error
		calls := 0
		h, logger, rec := batched(&fingerscrossed.Options{
			Open: func(ctx context.Context, v slogworks.View) (slog.Handler, io.Closer, error) {
				calls++
				return open(ctx, v)
			},
			OnError: func(err error) { told = append(told, err) },
		})
		ctx, s := h.Begin(t.Context())
		logAll(ctx, logger, "d1 e1 d2 e2")
		s.End(nil)
		wantMessages(t, rec, "d1 e1 d2 e2")
		if len(told) != 1 || !errors.Is(told[0], errFailed) || calls != 1 {
			t.Errorf("after %s, OnError was told %v, and Open called %d times", name, told, calls)
		}
		shutDown(t, h)
	}
	if closed != 1 {
		t.Errorf("what came with a nil Handler was closed %d times", closed)
	}
}

func TestOptions_Open_ofScopesInScopes(t *testing.T) {
	o := new(opener)
	h, logger, rec := batched(&fingerscrossed.Options{Open: o.Open})
	outerCtx, outer := h.Begin(t.Context())
	logAll(outerCtx, logger, "d-outer")
	quietCtx, quiet := h.Begin(outerCtx)
	logAll(quietCtx, logger, "d-quiet")
	quiet.End(nil)
	innerCtx, inner := h.Begin(outerCtx)
	logAll(innerCtx, logger, "d-inner e-inner")
	inner.End(nil)
	if len(o.opened) != 2 || o.open != 1 {
		t.Fatalf("%d files were opened, %d are open", len(o.opened), o.open)
	}
	logAll(outerCtx, logger, "i-outer")
	outer.End(nil)
	if got := messages(o.opened[0]) + "; " + messages(o.opened[1]); got != "d-inner e-inner; d-outer d-quiet i-outer" &&
		got != "d-outer d-quiet i-outer; d-inner e-inner" {
		t.Errorf("the files have %s", got)
	}
	wantMessages(t, rec, "")
	if o.open != 0 {
		t.Errorf("%d files are open", o.open)
	}
	shutDown(t, h)
}

func TestOptions_Open_ofARecordWhoseScopeEndsMeanwhile(t *testing.T) {
	o := new(opener)
	var inner *fingerscrossed.Scope
	h, logger, rec := batched(&fingerscrossed.Options{Open: o.Open, Live: true, After: fingerscrossed.Rearm,
		When: func(_ context.Context, v slogworks.View) bool {
			if v.Message() == "i2" {
				inner.End(nil)
			}
			return false
		}})
	outerCtx, outer := h.Begin(t.Context())
	var ctx context.Context
	ctx, inner = h.Begin(outerCtx)
	logAll(outerCtx, logger, "e")
	logAll(ctx, logger, "e i1 i2") // i2 is late
	outer.End(nil)
	inner.End(nil)
	wantMessages(t, o.opened[0], "e i2")
	wantMessages(t, o.opened[1], "e i1")
	wantMessages(t, rec, "")
	shutDown(t, h)
}

func TestOptions_Open_reportsTheErrorOfClose(t *testing.T) {
	var told []error
	h := fingerscrossed.New(new(handlertest.Recorder), &fingerscrossed.Options{
		Open: func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) {
			return new(handlertest.Recorder), closeFunc(func() error { return errFailed }), nil
		},
		OnError: func(err error) { told = append(told, err) },
	})
	ctx, s := h.Begin(t.Context())
	logAll(ctx, slog.New(h), "e")
	s.End(nil)
	if len(told) != 1 || !errors.Is(told[0], errFailed) {
		t.Errorf("OnError was told %v", told)
	}
	shutDown(t, h)
}

func TestOptions_Open_isClosedByShutdown(t *testing.T) {
	o := new(opener)
	h, logger, _ := batched(&fingerscrossed.Options{Open: o.Open, Process: true})
	ctx, _ := h.Begin(t.Context())
	logAll(ctx, logger, "e1") // releases the process too, which holds nothing
	if o.open != 1 {
		t.Errorf("%d files are open", o.open)
	}
	logAll(t.Context(), logger, "d e2")
	if o.open != 2 {
		t.Errorf("%d files are open", o.open)
	}
	shutDown(t, h)
	if o.open != 0 {
		t.Errorf("after Shutdown %d files are open", o.open)
	}
}

func TestOptions_Open_isNotClosedUnderARecordOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		closed := false
		rec := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
			if b.Items[0].Record.Message == "i1" {
				<-gate
			}
			if closed {
				return os.ErrClosed
			}
			return nil
		}}
		h := fingerscrossed.New(new(handlertest.Recorder), &fingerscrossed.Options{
			Open: func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) {
				return rec, closeFunc(func() error { closed = true; return nil }), nil
			},
		})
		logger := slog.New(h)
		ctx, s := h.Begin(t.Context())
		logAll(ctx, logger, "e1")
		go logAll(ctx, logger, "i1") // outlives the request
		synctest.Wait()
		ended := false
		go func() {
			s.End(nil)
			ended = true
		}()
		synctest.Wait()
		if closed || ended {
			t.Error("the scope ended before a record was written")
		}
		close(gate)
		synctest.Wait()
		if !closed || !ended {
			t.Error("the scope did not end")
		}
		wantMessages(t, rec, "e1 i1")
		shutDown(t, h)
	})
}

func TestOptions_Open_mayEndTheScopeWhileItIsWrittenTo(t *testing.T) {
	closed := 0
	next := &talker{Recorder: new(handlertest.Recorder)}
	h := fingerscrossed.New(new(handlertest.Recorder), &fingerscrossed.Options{
		Open: func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) {
			return next, closeFunc(func() error { closed++; return nil }), nil
		},
	})
	ctx, s := h.Begin(t.Context())
	next.talk = func(_ context.Context, message string) {
		if message == "i2" {
			s.End(nil)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		logAll(ctx, slog.New(h), "e1 i2")
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("deadlock")
	}
	if closed != 1 {
		t.Errorf("the file was closed %d times", closed)
	}
	shutDown(t, h)
}

// filesIn returns how many files of this process are open in dir.
func filesIn(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", entry.Name()))
		if err == nil && strings.HasPrefix(target, dir) {
			n++
		}
	}
	return n
}

func TestOptions_Open_leavesNoFileOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc/self/fd")
	}
	dir := t.TempDir()
	opened := 0
	h := fingerscrossed.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}), &fingerscrossed.Options{
		Open: func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) {
			opened++
			f, err := os.Create(filepath.Join(dir, fmt.Sprint(opened)))
			if err != nil {
				return nil, nil, err
			}
			return slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug}), f, nil
		},
	})
	logger := slog.New(h)
	for i := range 20 {
		ctx, s := h.Begin(t.Context())
		logAll(ctx, logger, "d1 i1")
		if filesIn(t, dir) != 0 {
			t.Fatal("a file is open before anything triggered")
		}
		if i%2 == 0 {
			logAll(ctx, logger, "e1 d2")
			if filesIn(t, dir) != 1 {
				t.Fatalf("%d files are open in a released scope", filesIn(t, dir))
			}
		}
		s.End(nil)
	}
	if got := filesIn(t, dir); got != 0 || opened != 10 {
		t.Errorf("%d files were opened, and %d are open", opened, got)
	}
	content, err := os.ReadFile(filepath.Join(dir, "10"))
	if err != nil || bytes.Count(content, []byte("\n")) != 4 {
		t.Errorf("a file has %q, %v", content, err)
	}
	shutDown(t, h)
}

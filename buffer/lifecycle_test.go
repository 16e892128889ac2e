package buffer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/internal/peertest"
)

func TestShutdown_evaluatesOnce(t *testing.T) {
	dir := t.TempDir()
	s, opts := newSink(), manual(dir)
	asked := 0
	opts.Trigger = func(buffer.State) string { asked++; return "at the end" }
	h := open(t, s, opts)
	logN(h, 3)
	for range 3 { // as a program that closes, defers and runs an exit hook
		closed(t, h)
	}
	wantEqual(t, "questions", asked, 1)
	wantEqual(t, "batches", len(s.Batches()), 1)
	wantOutcome(t, h.Last(), buffer.Sent)
}

func TestShutdown_refusesRecords(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s := newSink()
		h := open(t, s, manual(dir))
		closed(t, h)
		r := slog.NewRecord(time.Now(), slog.LevelInfo, "late", 0)
		for _, late := range []slog.Handler{h, h.WithAttrs([]slog.Attr{slog.Int("k", 1)}), h.WithGroup("g")} {
			if err := late.Handle(t.Context(), r); err != buffer.ErrClosed {
				t.Errorf("Handle returned %v", err)
			}
		}
		if err := h.HandleBatch(t.Context(), slogworks.Batch{Items: []slogworks.Item{{Context: t.Context(), Record: r}}}); err != buffer.ErrClosed {
			t.Errorf("HandleBatch returned %v", err)
		}
		for _, o := range []buffer.Outcome{h.Evaluate(t.Context()), h.Deliver(t.Context())} {
			if o.Status != buffer.Kept || o.Err != buffer.ErrClosed {
				t.Errorf("the outcome is %+v", o)
			}
		}
		if err := h.Flush(t.Context()); err != nil {
			t.Errorf("Flush returned %v", err)
		}
		wantEqual(t, "Stats", h.Stats(), buffer.Stats{Dropped: 4})
		wantEqual(t, "closed", h.Account().Dropped["closed"], 4)
		wantBalance(t, h)
		closed(t, h)
		if dir != "" {
			h = open(t, s, manual(dir))
			wantEqual(t, "Held by the next run", h.Stats().Held, 0)
		}
	})
}

// With a context that is over, a spool is as safe as ever.
func TestShutdown_withoutTimeKeepsASpool(t *testing.T) {
	dir := t.TempDir()
	s, opts := newSink(), manual(dir)
	opts.Trigger = buffer.All()
	h := open(t, s, opts)
	logN(h, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
	wantEqual(t, "attempts", len(s.tried()), 0)
	wantBalance(t, h)
	wantEqual(t, "Held in the books", h.Account().Held, 0)
	h = open(t, s, opts)
	wantEqual(t, "Held", h.Stats().Held, 3)
}

func TestShutdown_withoutDirectoryDeliversOrCounts(t *testing.T) {
	t.Run("delivers all, whatever the trigger and the limit say", func(t *testing.T) {
		s, opts := newSink(), manual("")
		opts.MaxBytes, opts.Limit = 8<<10, slogworks.Rate{N: 1, Per: time.Hour}
		h := open(t, s, opts)
		logN(h, 20) // in several batches
		closed(t, h)
		wantEqual(t, "delivered", len(s.delivered()), 20)
		if len(s.Batches()) < 2 {
			t.Error("it was one batch, which proves little")
		}
		wantBalance(t, h)
	})
	t.Run("counts what it cannot deliver", func(t *testing.T) {
		s := newSink()
		s.answers(errDown)
		h := open(t, s, manual(""))
		logN(h, 3)
		err := h.Close()
		if !errors.Is(err, errDown) || !strings.Contains(err.Error(), "3 records lost") {
			t.Errorf("Close returned %v", err)
		}
		wantEqual(t, "abandoned", h.Account().Dropped["abandoned"], 3)
		wantEqual(t, "Held", h.Stats().Held, 0)
		wantBalance(t, h)
		closed(t, h)
	})
	t.Run("counts what it has no time for", func(t *testing.T) {
		h := open(t, newSink(), manual(""))
		logN(h, 3)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := h.Shutdown(ctx)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "3 records lost") {
			t.Errorf("Shutdown returned %v", err)
		}
		wantBalance(t, h)
	})
}

// A delivery that hangs is cancelled when the time of Shutdown is over, and what
// comes of it counts.
func TestShutdown_cancelsADelivery(t *testing.T) {
	for _, heeds := range []bool{true, false} {
		for _, inMemory := range []bool{true, false} {
			t.Run(fmt.Sprintf("which heeds it: %v, in memory: %v", heeds, inMemory), func(t *testing.T) {
				dir := ""
				if !inMemory {
					dir = t.TempDir()
				}
				s, opts := newSink(), manual(dir)
				opts.Manual, opts.Trigger = false, buffer.Immediately(nil)
				begun, release := make(chan struct{}), make(chan struct{})
				s.answer = func(ctx context.Context, b slogworks.Batch) error {
					close(begun)
					<-ctx.Done()
					if heeds {
						return ctx.Err()
					}
					<-release
					return nil
				}
				h := open(t, s, opts)
				logN(h, 1)
				<-begun
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				err := h.Shutdown(ctx)
				if inMemory && !heeds && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Shutdown returned %v", err)
				}
				if !inMemory && err != nil {
					t.Errorf("Shutdown returned %v", err)
				}
				close(release)
				peertest.WaitFor(t, "the books are closed", func() bool {
					a := h.Account()
					return a.Held == 0 && a.Accepted == 1 && (a.Delivered == 1 || a.Dropped["abandoned"] == 1)
				})
				a := h.Account()
				if inMemory && heeds != (a.Dropped["abandoned"] == 1) {
					t.Errorf("the account is %+v", a)
				}
				peertest.WaitFor(t, "its files are closed", func() bool { return openFiles(t, dir) == 0 })
				if !inMemory {
					h = open(t, newSink(), manual(dir))
					held := uint64(0)
					if heeds {
						held = 1
					}
					wantEqual(t, "Held by the next run", h.Stats().Held, held)
				}
			})
		}
	}
}

// openFiles returns how many files in dir this process has open, as far as the
// system tells.
func openFiles(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil || dir == "" {
		return 0
	}
	n := 0
	for _, entry := range entries {
		if path, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.HasPrefix(path, dir) {
			n++
		}
	}
	return n
}

func TestShutdown_leavesNoFileOpen(t *testing.T) {
	for name, sync := range map[string]buffer.SyncPolicy{"interval": buffer.SyncInterval, "always": buffer.SyncAlways, "none": buffer.SyncNone} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			opts := manual(dir)
			opts.MaxBytes, opts.Sync = 8<<10, sync
			h := open(t, newSink(), opts)
			for range 30 {
				logN(h, 5)
				h.Deliver(t.Context())
			}
			if n := openFiles(t, dir); n > 20 {
				t.Errorf("%d files are open", n)
			}
			closed(t, h)
			wantEqual(t, "open files", openFiles(t, dir), 0)
		})
	}
}

func TestFlush_deliversNothing(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s, opts := newSink(), manual(dir)
		opts.Trigger = buffer.All()
		h := open(t, s, opts)
		logN(h, 3)
		for range 2 {
			if err := h.Flush(t.Context()); err != nil {
				t.Error(err)
			}
		}
		wantEqual(t, "attempts", len(s.tried()), 0)
		wantEqual(t, "Held", h.Stats().Held, 3)
	})
}

// A handler that ends its goroutine, as t.FailNow does, costs the buffer nothing.
func TestHandler_survivesGoexit(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s, opts := newSink(), manual(dir)
		opts.Manual, opts.Trigger = false, buffer.Immediately(nil)
		opts.Retry = slogworks.Backoff{Min: time.Millisecond, Max: time.Millisecond}
		s.answer = func(context.Context, slogworks.Batch) error {
			if len(s.tried()) == 1 {
				runtime.Goexit()
			}
			return nil
		}
		h := open(t, s, opts)
		logN(h, 1)
		peertest.WaitFor(t, "the next attempt", func() bool { return len(s.tried()) > 1 })
		peertest.WaitFor(t, "delivered", func() bool { return h.Stats().Sent == 1 })
	})
}

// The time of Shutdown also bounds the delivery that it makes itself.
func TestShutdown_doesNotWaitForADeliveryThatHeedsNothing(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s, opts := newSink(), manual(dir)
		opts.Trigger = buffer.Immediately(nil)
		release := make(chan struct{})
		s.answer = func(context.Context, slogworks.Batch) error {
			<-release
			return nil
		}
		h := open(t, s, opts)
		logN(h, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		returned := make(chan error)
		go func() { returned <- h.Shutdown(ctx) }()
		select {
		case err := <-returned:
			if dir == "" && !errors.Is(err, context.DeadlineExceeded) || dir != "" && err != nil {
				t.Errorf("Shutdown returned %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Shutdown waits")
		}
		close(release)
		peertest.WaitFor(t, "the delivery counts", func() bool { return h.Stats().Sent == 1 })
		peertest.WaitFor(t, "its files are closed", func() bool { return dir == "" || openFiles(t, dir) == 0 })
		wantBalance(t, h)
	})
}

// What a handler behind that heeds the end of the context says is in the error.
func TestShutdown_hearsADeliveryThatItHasCancelled(t *testing.T) {
	s := newSink()
	s.answer = func(ctx context.Context, _ slogworks.Batch) error {
		<-ctx.Done()
		return &slogworks.DeliveryError{Accepted: 1, Err: ctx.Err()}
	}
	h := open(t, s, manual(""))
	logN(h, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := h.Shutdown(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 records lost, 0 still being delivered") {
		t.Errorf("Shutdown returned %v", err)
	}
	wantBalance(t, h)
}

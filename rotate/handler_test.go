package rotate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/rotate"
)

// plain makes a handler that writes the message and nothing else.
func plain(w io.Writer) slog.Handler { return &messages{w: w} }

type messages struct {
	w      io.Writer
	prefix string
}

var errUnsayable = errors.New("cannot be encoded")

func (h *messages) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (h *messages) Handle(_ context.Context, r slog.Record) error {
	switch r.Message {
	case "unsayable":
		_, _ = h.w.Write([]byte("half of"))
		return errUnsayable
	case "panic":
		panic(errUnsayable)
	}
	_, err := io.WriteString(h.w, h.prefix+r.Message+"\n")
	return err
}

func (h *messages) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &messages{h.w, h.prefix + fmt.Sprint(attrs)}
}

func (h *messages) WithGroup(name string) slog.Handler { return &messages{h.w, h.prefix + name + "."} }

func batchOf(texts ...string) slogworks.Batch {
	var b slogworks.Batch
	for _, text := range texts {
		b.Items = append(b.Items, slogworks.Item{
			Context: context.Background(),
			Record:  slog.Record{Level: slog.LevelInfo, Message: text},
		})
	}
	return b
}

func TestHandler_writesABatchAtOnce(t *testing.T) {
	dir := t.TempDir()
	e := newFaulty()
	f, err := with(filepath.Join(dir, "app.log"), nil, e)
	opened(t, f, err)
	h := rotate.NewHandler(f, plain)
	b := batchOf("0", "1", "2")
	b.Items[1].Record.Level = slog.LevelDebug // not enabled
	if err := h.HandleBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	derived := h.WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g").(slogworks.BatchHandler)
	if err := derived.HandleBatch(t.Context(), batchOf("3", "4")); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%q", e.writes); got != `["0\n2\n" "[a=1]g.3\n[a=1]g.4\n"]` {
		t.Errorf("the writes were %s", got)
	}
	want := slogworks.Account{Stage: "rotate", Accepted: 4, Delivered: 4, Dropped: map[string]uint64{"error": 0, "closed": 0}}
	if got := slogworks.Books(h); len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(want) {
		t.Errorf("the account is %+v, want %+v", got, want)
	}
}

func TestHandler_splitsABatchBetweenFiles(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		for _, buffer := range []int{0, 16} {
			dir := t.TempDir()
			f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{MaxBytes: 20, Buffer: buffer})
			opened(t, f, err)
			h := rotate.NewHandler(f, plain)
			long := strings.Repeat("x", 30)
			if err := h.HandleBatch(t.Context(), batchOf("00000000", "11111111", "22222222", long, "33333333")); err != nil {
				t.Fatal(err)
			}
			closed(t, f)
			got := append(backupsOf(t, dir, "app.log"), read(t, dir)["app.log"])
			want := []string{"00000000\n11111111\n", "22222222\n", long + "\n", "33333333\n"}
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				t.Errorf("with a buffer of %d, the files are %q, want %q", buffer, got, want)
			}
		}
	})
}

func TestHandler_saysHowMuchOfABatchIsWritten(t *testing.T) {
	dir := t.TempDir()
	e := newFaulty()
	f, err := with(filepath.Join(dir, "app.log"), nil, e)
	opened(t, f, err)
	h := rotate.NewHandler(f, plain)
	e.write = func() error { return errFault }
	// Half of the write succeeds: the first record and a part of the second.
	err = h.HandleBatch(t.Context(), batchOf("000000", "111111", "222222"))
	var delivery *slogworks.DeliveryError
	if !errors.As(err, &delivery) || delivery.Accepted != 1 || delivery.Permanent || !errors.Is(err, errFault) {
		t.Errorf("the error is %#v", err)
	}
	e.write = nil
	if err := h.HandleBatch(t.Context(), batchOf("111111", "222222")); err != nil {
		t.Error(err)
	}
	same(t, dir, map[string]string{"app.log": "000000\n111\n111111\n222222\n"})
	account := h.Account()
	if account.Accepted != 5 || account.Delivered != 3 || account.Dropped["error"] != 2 {
		t.Errorf("the account is %+v", account)
	}
	closed(t, f)
	if err := h.HandleBatch(t.Context(), batchOf("3")); !errors.As(err, &delivery) || !delivery.Permanent || !errors.Is(err, rotate.ErrClosed) {
		t.Errorf("after Close the error is %v", err)
	}
}

func TestHandler_leavesOutWhatCannotBeEncoded(t *testing.T) {
	dir := t.TempDir()
	f, err := rotate.Open(filepath.Join(dir, "app.log"), nil)
	opened(t, f, err)
	h := rotate.NewHandler(f, plain)
	err = h.HandleBatch(t.Context(), batchOf("0", "unsayable", "1", "panic", "2"))
	var panicked *slogworks.PanicError
	if !errors.Is(err, errUnsayable) || !errors.As(err, &panicked) {
		t.Errorf("the error is %v", err)
	}
	// Or who tries again would write the others twice.
	if delivery, ok := err.(*slogworks.DeliveryError); !ok || delivery.Accepted != 5 || !delivery.Permanent {
		t.Errorf("the error is the %T %v", err, err)
	}
	same(t, dir, map[string]string{"app.log": "0\n1\n2\n"})
	if err := slog.New(h).Handler().Handle(t.Context(), slog.Record{Message: "panic"}); !errors.As(err, &panicked) {
		t.Errorf("the error is %v", err)
	}
	if a := h.Account(); a.Accepted != 6 || a.Delivered != 3 || a.Dropped["error"] != 3 {
		t.Errorf("the account is %+v", a)
	}
}

func TestHandler_isReachedByTheVerbs(t *testing.T) {
	dir := t.TempDir()
	f, err := rotate.Open(filepath.Join(dir, "app.log"), &rotate.Options{Buffer: 1000, FlushEvery: -1})
	opened(t, f, err)
	h := rotate.NewHandler(f, nil)
	if h.File() != f {
		t.Error("File is another")
	}
	if _, ok := h.Unwrap().(*slog.JSONHandler); !ok {
		t.Errorf("Unwrap gives a %T", h.Unwrap())
	}
	slog.New(h).Info("buffered")
	if a := h.Account(); a.Held != 1 || a.Delivered != 0 {
		t.Errorf("the account is %+v", a)
	}
	if err := slogworks.Flush(t.Context(), h); err != nil {
		t.Error(err)
	}
	if text := read(t, dir)["app.log"]; !strings.Contains(text, "buffered") {
		t.Errorf("after Flush there is %q", text)
	}
	if err := slogworks.Shutdown(t.Context(), h); err != nil {
		t.Error(err)
	}
	if _, err := f.Write([]byte("late\n")); !errors.Is(err, rotate.ErrClosed) {
		t.Errorf("after Shutdown: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

func TestNewHandler_refusesWhatWouldFailLater(t *testing.T) {
	f, err := rotate.Open(filepath.Join(t.TempDir(), "app.log"), nil)
	opened(t, f, err)
	for want, build := range map[string]func(){
		"rotate: nil File":    func() { rotate.NewHandler(nil, nil) },
		"rotate: nil Handler": func() { rotate.NewHandler(f, func(io.Writer) slog.Handler { return nil }) },
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("it panics with %v, want %s", got, want)
				}
			}()
			build()
		}()
	}
}

func TestHandler_isSafeForConcurrentUse(t *testing.T) {
	eachEngine(t, func(t *testing.T, open openFunc) {
		dir := t.TempDir()
		f, err := open(filepath.Join(dir, "app.log"), &rotate.Options{MaxBytes: 1000, Buffer: 100, Schedule: rotate.Every(1e6)})
		opened(t, f, err)
		h := rotate.NewHandler(f, plain)
		var wg sync.WaitGroup
		const goroutines, each = 8, 100
		for g := range goroutines {
			wg.Go(func() {
				for i := range each {
					message := strings.TrimSuffix(numbered(g*each+i), "\n")
					var err error
					if i%2 == 0 {
						err = h.WithAttrs(nil).Handle(t.Context(), slog.Record{Message: message})
					} else {
						err = h.HandleBatch(t.Context(), batchOf(message))
					}
					if err != nil {
						t.Error(err)
					}
					if i%10 == 0 {
						_ = f.Stats()
						_ = h.Account()
						if err := errors.Join(h.Flush(t.Context()), f.Reopen(), f.Rotate()); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		closed(t, f)
		wantRecords(t, dir, goroutines*each)
		if s := f.Stats(); s.Records != goroutines*each || s.Dropped != 0 || s.Rotations == 0 || s.Reopens == 0 {
			t.Errorf("the stats are %+v", s)
		}
	})
}

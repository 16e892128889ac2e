package buffer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
	"github.com/slogworks/slogworks/fanout"
)

func logN(h slog.Handler, n int) {
	for i := range n {
		slog.New(h).Info(fmt.Sprint(i))
	}
}

func TestDeliver_actsOnTheAnswer(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer error
		status buffer.Status
		held   uint64
		again  []string // what the next attempt gets, nil if there is none
		done   []string
	}{
		{"nil", nil, buffer.Sent, 0, nil, nil},
		{"any other error", errDown, buffer.Failed, 3, []string{"0", "1", "2"}, nil},
		{"a DeliveryError in a chain", fmt.Errorf("x: %w", &slogworks.DeliveryError{Accepted: 1, Permanent: true}), buffer.Failed, 3, []string{"0", "1", "2"}, nil},
		{"a nil DeliveryError", (*slogworks.DeliveryError)(nil), buffer.Failed, 3, []string{"0", "1", "2"}, nil},
		{"a temporary error", &slogworks.DeliveryError{Err: errDown}, buffer.Failed, 3, []string{"0", "1", "2"}, nil},
		{"a permanent error", &slogworks.DeliveryError{Permanent: true, Err: errDown}, buffer.Rejected, 0, nil, nil},
		{"uncertainty", &slogworks.DeliveryError{Uncertain: true, Err: errDown}, buffer.Unknown, 3, []string{"0", "1", "2"}, nil},
		{"some recipients", &slogworks.DeliveryError{Done: []string{"a", "b"}, Err: errDown}, buffer.Partial, 3, []string{"0", "1", "2"}, []string{"a", "b"}},
		{"some records", &slogworks.DeliveryError{Accepted: 2, Err: errDown}, buffer.Partial, 1, []string{"2"}, nil},
		{"some records, the rest permanently not", &slogworks.DeliveryError{Accepted: 2, Permanent: true, Err: errDown}, buffer.Rejected, 0, nil, nil},
		{"all records", &slogworks.DeliveryError{Accepted: 9, Err: errDown}, buffer.Sent, 0, nil, nil},
		{"less than no record", &slogworks.DeliveryError{Accepted: -9, Err: errDown}, buffer.Failed, 3, []string{"0", "1", "2"}, nil},
	} {
		for _, restart := range []bool{false, true} {
			name := test.name
			if restart {
				name += ", then another run"
			}
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				s := newSink()
				h := open(t, s, manual(dir))
				logN(h, 3)
				s.answers(test.answer)
				first := h.Deliver(t.Context())
				wantOutcome(t, first, test.status)
				if (first.Err != nil) != (test.status != buffer.Sent) {
					t.Errorf("the error is %v", first.Err)
				}
				wantEqual(t, "Held", h.Stats().Held, test.held)
				wantBalance(t, h)
				if restart {
					closed(t, h)
					s = newSink()
					h = open(t, s, manual(dir))
					wantEqual(t, "Held by the next run", h.Stats().Held, test.held)
				}
				s.answers(nil)
				slog.New(h).Info("new")
				second := h.Deliver(t.Context())
				wantOutcome(t, second, buffer.Sent)
				b := s.tried()[len(s.tried())-1]
				if test.again == nil {
					wantMessages(t, messages(b.Items), "new")
					if b.ID == first.BatchID {
						t.Error("another batch has the same ID")
					}
				} else {
					wantMessages(t, messages(b.Items), test.again...)
					wantEqual(t, "ID", b.ID, first.BatchID)
					wantEqual(t, "Attempt", b.Attempt, 2)
					if !slices.Equal(b.Done, test.done) {
						t.Errorf("Done is %q, want %q", b.Done, test.done)
					}
				}
				wantBalance(t, h)
				closed(t, h)
				wantBalance(t, h)
			})
		}
	}
}

func wantBalance(t testing.TB, h *buffer.Handler) {
	t.Helper()
	a := h.Account()
	sum := a.Delivered + a.Held
	for _, n := range a.Dropped {
		sum += n
	}
	if a.Accepted != sum {
		t.Errorf("the books do not balance: %+v", a)
	}
}

func TestDeliver_countsWhatPanics(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s := newSink()
		s.answer = func(context.Context, slogworks.Batch) error { panic("sink") }
		h := open(t, s, manual(dir))
		logN(h, 1)
		o := h.Deliver(t.Context())
		var panicked *slogworks.PanicError
		if o.Status != buffer.Failed || !errors.As(o.Err, &panicked) {
			t.Errorf("the outcome is %+v", o)
		}
		s.answers(nil)
		wantOutcome(t, h.Deliver(t.Context()), buffer.Sent)
	})
}

// A handler of single records behind another stage.
func TestDeliver_stopsAtTheRecordThatFails(t *testing.T) {
	for name, test := range map[string]struct {
		answer     func(attempt int) error
		maxElapsed time.Duration
		outcomes   []buffer.Status
		delivered  []string
	}{
		"once":              {func(attempt int) error { return map[int]error{1: errDown}[attempt] }, 0, []buffer.Status{buffer.Partial, buffer.Sent}, []string{"0", "1", "2"}},
		"each time":         {func(int) error { return errDown }, 0, []buffer.Status{buffer.Partial, buffer.Failed, buffer.Failed}, []string{"0"}},
		"by a panic":        {func(int) error { panic("sink") }, 0, []buffer.Status{buffer.Partial, buffer.Failed, buffer.Failed}, []string{"0"}},
		"for good":          {func(int) error { return &slogworks.DeliveryError{Permanent: true} }, 0, []buffer.Status{buffer.Rejected}, []string{"0"}},
		"until time is out": {func(int) error { panic("sink") }, 1, []buffer.Status{buffer.Rejected}, []string{"0"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, attempt := newSink(), 0
			s.answer = func(_ context.Context, b slogworks.Batch) error {
				if b.Items[0].Record.Message != "1" {
					return nil
				}
				attempt++
				return test.answer(attempt)
			}
			opts := manual(t.TempDir())
			opts.Retry = slogworks.Backoff{Min: time.Hour, Max: time.Hour, MaxElapsed: test.maxElapsed}
			h := open(t, fanout.AtLeast(s.Plain(), slog.LevelDebug), opts)
			logN(h, 3)
			for _, want := range test.outcomes {
				wantOutcome(t, h.Deliver(t.Context()), want)
			}
			wantMessages(t, s.delivered(), test.delivered...)
			wantBalance(t, h)
			info, err := buffer.Inspect(opts.Dir)
			if err != nil {
				t.Fatal(err)
			}
			isDead := slices.Contains(test.outcomes, buffer.Rejected)
			if isDead != (len(info.Dead) == 1 && info.Dead[0].Records == 3 && info.Dead[0].Accepted == 1) {
				t.Errorf("the dead are %+v", info.Dead)
			}
		})
	}
}

func TestEvaluate_asksTheTriggerOnce(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s, opts := newSink(), manual(dir)
		asked, cause := 0, ""
		opts.Trigger = func(buffer.State) string { asked++; return cause }
		h := open(t, s, opts)
		wantOutcome(t, h.Evaluate(t.Context()), buffer.Empty)
		wantEqual(t, "questions", asked, 0)
		logN(h, 2)
		o := h.Evaluate(t.Context())
		wantOutcome(t, o, buffer.Kept)
		wantEqual(t, "Records", o.Records, 2)
		wantEqual(t, "questions", asked, 1)
		cause = "because"
		o = h.Evaluate(t.Context())
		wantOutcome(t, o, buffer.Sent)
		wantEqual(t, "Cause", o.Cause, "because")
		wantEqual(t, "questions", asked, 2)
	})
}

// The race detector is what judges here.
func TestDeliver_isSafeWhileTheBackgroundLooksAround(t *testing.T) {
	s := newSink()
	opts := manual("")
	opts.Manual, opts.Every, opts.Trigger = false, time.Nanosecond, buffer.AtLeast(3, nil)
	h := open(t, s, opts)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 300 {
				logN(h, 1)
				h.Deliver(context.Background())
			}
		})
	}
	wg.Wait()
	closed(t, h)
	wantEqual(t, "delivered", len(s.delivered()), 1200)
}

func TestEvaluate_survivesATriggerThatPanics(t *testing.T) {
	opts := manual("")
	opts.Trigger = func(buffer.State) string { panic("trigger") }
	h := open(t, newSink(), opts)
	logN(h, 1)
	o := h.Evaluate(t.Context())
	var panicked *slogworks.PanicError
	if o.Status != buffer.Kept || !errors.As(o.Err, &panicked) {
		t.Errorf("the outcome is %+v", o)
	}
}

// While a server is away, what is logged waits: when it is back there are two
// batches, however long it was away and however often the program restarted.
func TestHandler_makesTwoBatchesOfAnOutage(t *testing.T) {
	for _, inMemory := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			dir := ""
			if !inMemory {
				dir = t.TempDir()
			}
			s := newSink()
			s.answers(errDown)
			opts := buffer.Options{Dir: dir, Level: slog.LevelInfo, Trigger: buffer.AtLeast(2, nil)}
			h := open(t, s, opts)
			logN(h, 2)
			synctest.Wait()
			for range 20 {
				logN(h, 3)
				time.Sleep(10 * time.Minute)
			}
			attempts := len(s.tried())
			if attempts < 5 || attempts > 12 {
				t.Errorf("%d attempts in 200 minutes, want those of a backoff from 1m to 1h", attempts)
			}
			s.answers(nil)
			time.Sleep(2 * time.Hour)
			batches := s.Batches()
			if len(batches) != 2 || len(batches[0].Items) != 2 || len(batches[1].Items) != 60 {
				t.Errorf("%d batches came of an outage", len(batches))
			}
			wantEqual(t, "Held", h.Stats().Held, 0)
			wantBalance(t, h)
			closed(t, h)
		})
	}
}

// Backoff is kept by the next run, which a program that crashes and is started
// again cannot pass.
func TestHandler_keepsTheBackoffOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := newSink()
		s.answers(errDown)
		opts := buffer.Options{Dir: dir, Level: slog.LevelInfo, Trigger: buffer.Immediately(nil)}
		for range 30 {
			h := open(t, s, opts)
			logN(h, 1)
			synctest.Wait()
			closed(t, h)
			o := h.Last()
			if o.Next.IsZero() || o.Err == nil || o.Err.Error() != errDown.Error() {
				t.Fatalf("the last outcome is %+v", o)
			}
			time.Sleep(10 * time.Second)
		}
		// After 5 minutes: at 0, after 1m, and after 2m more.
		if n := len(s.tried()); n < 3 || n > 4 {
			t.Errorf("%d attempts in 30 runs within 5 minutes", n)
		}
	})
}

// A crash in the middle of an attempt does not make for an attempt at each start.
func TestHandler_keepsTheBackoffOverACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		opts := manual(dir)
		opts.Trigger = buffer.All()
		s := newSink()
		h := open(t, s, opts)
		crashed := t.TempDir()
		s.answer = func(context.Context, slogworks.Batch) error {
			// What a crash now would leave behind.
			if err := os.CopyFS(filepath.Join(crashed, "spool"), os.DirFS(dir)); err != nil {
				t.Error(err)
			}
			return nil
		}
		logN(h, 1)
		first := h.Evaluate(t.Context())
		wantOutcome(t, first, buffer.Sent)

		s = newSink()
		opts.Dir = filepath.Join(crashed, "spool")
		h = open(t, s, opts)
		o := h.Evaluate(t.Context())
		wantOutcome(t, o, buffer.Kept)
		wantEqual(t, "BatchID", o.BatchID, first.BatchID)
		time.Sleep(time.Until(o.Next))
		wantOutcome(t, h.Evaluate(t.Context()), buffer.Sent)
		wantEqual(t, "ID", s.tried()[0].ID, first.BatchID)
		wantEqual(t, "Attempt", s.tried()[0].Attempt, 2)
	})
}

func TestHandler_waitsAsLongAsItIsTold(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s, opts := newSink(), manual(dir)
		opts.Retry = slogworks.Backoff{Min: time.Second, Max: time.Second}
		h := open(t, s, opts)
		logN(h, 1)
		s.answers(&slogworks.DeliveryError{After: time.Hour})
		o := h.Deliver(t.Context())
		wantOutcome(t, o, buffer.Failed)
		if wait := time.Until(o.Next); wait < 59*time.Minute || wait > time.Hour {
			t.Errorf("it waits for %v", wait)
		}
		again := h.Evaluate(t.Context())
		wantOutcome(t, again, buffer.Kept)
		if d := again.Next.Sub(o.Next).Abs(); d > time.Millisecond {
			t.Errorf("the next attempt moved by %v", d)
		}
		wantEqual(t, "attempts", len(s.tried()), 1)
	})
}

func TestHandler_givesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := newSink()
		s.answers(errDown)
		var outcomes []buffer.Outcome
		h := open(t, s, buffer.Options{
			Dir: dir, Level: slog.LevelInfo, Trigger: buffer.Immediately(nil),
			Retry:     slogworks.Backoff{Min: time.Minute, Max: 10 * time.Minute, MaxElapsed: time.Hour},
			OnOutcome: func(o buffer.Outcome) { outcomes = append(outcomes, o) },
		})
		begin := time.Now()
		logN(h, 1)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		o := outcomes[len(outcomes)-1]
		wantOutcome(t, o, buffer.Rejected)
		if !errors.Is(o.Err, errDown) || !strings.Contains(o.Err.Error(), "given up") {
			t.Errorf("the error is %v", o.Err)
		}
		info, err := buffer.Inspect(dir)
		if err != nil || len(info.Dead) != 1 || info.Dead[0].ID != o.BatchID || len(info.Pending) != 0 {
			t.Errorf("the spool has %+v, %v", info, err)
		}
		if tried := info.Dead[0].Next.Sub(begin); tried < 45*time.Minute || tried > 75*time.Minute {
			t.Errorf("given up after %v", tried)
		}
		wantEqual(t, "Dropped", h.Account().Dropped["rejected"], 1)
		wantBalance(t, h)
		closed(t, h)
	})
}

// Options.Limit holds for a program that is started over and over, and a batch
// that waits counts once.
func TestHandler_keepsTheLimitOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := newSink()
		opts := buffer.Options{
			Dir: dir, Level: slog.LevelInfo, Manual: true,
			Trigger: buffer.Immediately(nil), Limit: slogworks.Rate{N: 3, Per: time.Hour},
		}
		var limited buffer.Outcome
		for i := range 60 { // for an hour and a half
			h := open(t, s, opts)
			logN(h, 1)
			closed(t, h)
			if o := h.Last(); o.Status == buffer.Limited {
				limited = o
			}
			if i == 20 {
				wantEqual(t, "batches in half an hour", len(s.Batches()), 3)
				if wait := time.Until(limited.Next); wait < 25*time.Minute || wait > 35*time.Minute {
					t.Errorf("the next batch may go out in %v", wait)
				}
			}
			time.Sleep(90 * time.Second)
		}
		wantEqual(t, "batches in an hour and a half", len(s.Batches()), 6)
		wantEqual(t, "records", len(s.delivered()), 43) // 1, 1, 1, and at 60m, with what waited: 38, 1, 1
	})
}

// A process that dies in the attempt has used up its share of the limit.
func TestHandler_countsTowardsTheLimitBeforeItTries(t *testing.T) {
	dir, crashed := t.TempDir(), filepath.Join(t.TempDir(), "spool")
	opts := manual(dir)
	opts.Limit = slogworks.Rate{N: 1, Per: time.Hour}
	s := newSink()
	s.answer = func(context.Context, slogworks.Batch) error { return os.CopyFS(crashed, os.DirFS(dir)) }
	h := open(t, s, opts)
	logN(h, 1)
	wantOutcome(t, h.Deliver(t.Context()), buffer.Sent)

	opts.Dir, opts.Trigger = crashed, buffer.All()
	h = open(t, newSink(), opts)
	wantOutcome(t, h.Deliver(t.Context()), buffer.Sent) // of the crash
	logN(h, 1)
	wantOutcome(t, h.Evaluate(t.Context()), buffer.Limited)
	wantOutcome(t, h.Deliver(t.Context()), buffer.Sent) // whatever the limit says
}

// A program with another limit, or none, leaves alone what the limit of the first
// goes by.
func TestHandler_keepsTheLimitWhateverTheLimitOfAnother(t *testing.T) {
	for _, other := range []slogworks.Rate{{N: -1}, {N: 1}, {N: 100, Per: time.Nanosecond}} {
		dir := t.TempDir()
		opts := manual(dir)
		opts.Trigger, opts.Limit = buffer.Immediately(nil), slogworks.Rate{N: 3, Per: time.Hour}
		h := open(t, newSink(), opts)
		for range 2 {
			logN(h, 1)
			wantOutcome(t, h.Evaluate(t.Context()), buffer.Sent)
		}
		opts.Limit = other
		second := open(t, newSink(), opts)
		logN(h, 1)
		wantOutcome(t, second.Deliver(t.Context()), buffer.Sent)
		logN(h, 1)
		wantOutcome(t, h.Evaluate(t.Context()), buffer.Limited)
	}
}

func TestOptions_OnOutcome(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		var got []buffer.Status
		s, opts := newSink(), manual(dir)
		opts.Trigger = buffer.Immediately(slog.LevelError)
		opts.Limit = slogworks.Rate{N: 1, Per: time.Hour}
		var h *buffer.Handler
		opts.OnOutcome = func(o buffer.Outcome) {
			got = append(got, o.Status)
			wantEqual(t, "Last", h.Last().Status, o.Status)
			panic("OnOutcome")
		}
		h = open(t, s, opts)
		slog.New(h).Info("kept")
		h.Evaluate(t.Context())
		s.answers(errDown)
		h.Deliver(t.Context())
		s.answers(nil)
		h.Deliver(t.Context())
		slog.New(h).Error("limited")
		h.Evaluate(t.Context())
		h.Evaluate(t.Context())
		if want := []buffer.Status{buffer.Failed, buffer.Sent, buffer.Limited}; !slices.Equal(got, want) {
			t.Errorf("OnOutcome was told %v, want %v", got, want)
		}
	})
}

func TestOptions_Every(t *testing.T) {
	for every, want := range map[time.Duration]int{0: 1, 10 * time.Minute: 1, -1: 0} {
		t.Run(every.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSink()
				h := open(t, s, buffer.Options{Level: slog.LevelInfo, Every: every, Trigger: buffer.OlderThan(time.Hour)})
				logN(h, 1)
				time.Sleep(time.Hour - time.Second)
				wantEqual(t, "batches before", len(s.Batches()), 0)
				time.Sleep(11 * time.Minute)
				wantEqual(t, "batches", len(s.Batches()), want)
				closed(t, h)
			})
		})
	}
}

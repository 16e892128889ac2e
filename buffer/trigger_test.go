package buffer_test

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/buffer"
)

// causeOf returns what the trigger says of a buffer to which f has logged.
func causeOf(t *testing.T, trigger buffer.Trigger, f func(*slog.Logger)) string {
	t.Helper()
	s, opts := newSink(), manual("")
	opts.Level, opts.Trigger = slog.LevelDebug, trigger
	h := open(t, s, opts)
	f(slog.New(h))
	return h.Evaluate(t.Context()).Cause
}

func TestTrigger_fires(t *testing.T) {
	never := func(buffer.State) string { return "" }
	errors := func(n int) func(*slog.Logger) {
		return func(l *slog.Logger) {
			l.Info("info")
			for i := range n {
				l.Error(fmt.Sprint(i))
			}
		}
	}
	later := func(d time.Duration) func(*slog.Logger) {
		return func(l *slog.Logger) {
			l.Info("first")
			time.Sleep(d / 2)
			l.Info("second")
			time.Sleep(d / 2)
		}
	}
	for _, test := range []struct {
		name    string
		trigger buffer.Trigger
		log     func(*slog.Logger)
		want    string
	}{
		{"AtLeast below", buffer.AtLeast(3, slog.LevelError), errors(2), ""},
		{"AtLeast", buffer.AtLeast(3, slog.LevelError), errors(3), "3 records at ERROR or above"},
		{"AtLeast of any", buffer.AtLeast(3, nil), errors(2), "3 records"},
		{"AtLeast of none", buffer.AtLeast(-1, slog.LevelError), errors(0), ""},
		{"Immediately", buffer.Immediately(slog.LevelError), errors(1), "1 records at ERROR or above"},
		{"Immediately, not", buffer.Immediately(slog.LevelError), errors(0), ""},
		{"OlderThan, not yet", buffer.OlderThan(time.Hour), later(59 * time.Minute), ""},
		{"OlderThan", buffer.OlderThan(time.Hour), later(time.Hour), "records older than 1h0m0s"},
		{"Quiet, not yet", buffer.Quiet(time.Hour), later(119 * time.Minute), ""},
		{"Quiet", buffer.Quiet(time.Hour), later(2 * time.Hour), "nothing new for 1h0m0s"},
		{"Any of none", buffer.Any(), errors(1), ""},
		{"Any", buffer.Any(never, buffer.AtLeast(1, nil), buffer.AtLeast(2, nil)), errors(1), "2 records"},
		{"All of none", buffer.All(), errors(1), "no condition"},
		{"All, but one", buffer.All(buffer.AtLeast(1, nil), never), errors(1), ""},
		{"All", buffer.All(buffer.AtLeast(1, nil), buffer.Immediately(slog.LevelError)), errors(1), "2 records, 1 records at ERROR or above"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := causeOf(t, test.trigger, test.log); got != test.want {
					t.Errorf("the cause is %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestTrigger_readsTheLevelEachTime(t *testing.T) {
	var level slog.LevelVar
	level.Set(slog.LevelError)
	opts := manual("")
	opts.Trigger = buffer.Immediately(&level)
	h := open(t, newSink(), opts)
	logN(h, 1)
	wantOutcome(t, h.Evaluate(t.Context()), buffer.Kept)
	level.Set(slog.LevelInfo)
	wantOutcome(t, h.Evaluate(t.Context()), buffer.Sent)
}

func TestTrigger_refusesNil(t *testing.T) {
	for name, f := range map[string]func(){
		"Any": func() { buffer.Any(nil) },
		"All": func() { buffer.All(buffer.Any(), nil) },
		"AtLeast": func() {
			var level *slog.LevelVar
			buffer.AtLeast(1, level)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

// State is the same whether the records came just now or are those of another run.
func TestState_ofWhatIsHeld(t *testing.T) {
	dir := t.TempDir()
	var got buffer.State
	opts := manual(dir)
	opts.Trigger = func(s buffer.State) string { got = s; return "" }
	opts.MaxBytes = 16 << 10 // in several journals
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	const n = 50
	h := open(t, newSink(), opts)
	for i := range n {
		r := slog.NewRecord(at.Add(time.Duration((i*7)%n)*time.Second), slog.Level(4*(i%3)), fmt.Sprint("kind ", i%5), 0)
		r.AddAttrs(slog.Int("i", i))
		if err := h.Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for run := range 2 {
		if run == 1 {
			closed(t, h)
			h = open(t, newSink(), opts)
		}
		h.Evaluate(t.Context())
		wantEqual(t, "Total", got.Total, n)
		wantEqual(t, "Distinct", got.Distinct, 15)
		wantEqual(t, "Bytes", got.Bytes, h.Stats().Bytes)
		if got.Bytes < n*50 {
			t.Errorf("Bytes is %d", got.Bytes)
		}
		if !got.Oldest.Equal(at) || !got.Newest.Equal(at.Add((n-1)*time.Second)) || !got.LastSent.IsZero() {
			t.Errorf("the times are %v, %v and %v", got.Oldest, got.Newest, got.LastSent)
		}
		wantEqual(t, "CountAt(nil)", got.CountAt(nil), n)
		wantEqual(t, "CountAt(Warn)", got.CountAt(slog.LevelWarn), 33)
		wantEqual(t, "CountAt(Error)", got.CountAt(slog.LevelError), 16)
	}
	before := time.Now()
	wantOutcome(t, h.Deliver(t.Context()), buffer.Sent)
	h.Evaluate(t.Context())
	if got.Total == 0 || got.Total >= n || got.LastSent.Before(before) {
		t.Errorf("after a delivery the state is %+v", got)
	}
	for h.Deliver(t.Context()).Status == buffer.Sent {
	}
	logN(h, 1)
	h.Evaluate(t.Context())
	if got.Total != 1 || got.Distinct != 1 {
		t.Errorf("at the end the state is %+v", got)
	}
}

func TestOptions_Fingerprint(t *testing.T) {
	for name, test := range map[string]struct {
		fingerprint func(slogworks.View) string
		want        int
	}{
		"by default": {nil, 3}, // level, message and line
		"by message": {slogworks.View.Message, 2},
		"panicking":  {func(slogworks.View) string { panic("fingerprint") }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var got buffer.State
			opts := manual(dir)
			opts.Fingerprint = test.fingerprint
			opts.Trigger = func(s buffer.State) string { got = s; return "" }
			h := open(t, newSink(), opts)
			logger := slog.New(h)
			for range 3 {
				logger.Info("same")
			}
			logger.Info("same")
			logger.Info("other")
			h.Evaluate(t.Context())
			wantEqual(t, "Distinct", got.Distinct, test.want)
			closed(t, h)
			h = open(t, newSink(), opts)
			h.Evaluate(t.Context())
			wantEqual(t, "Distinct in the next run", got.Distinct, test.want)
		})
	}
}

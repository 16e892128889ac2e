package notify_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/notify"
)

// receiver is a Sender that keeps what it is given and when.
type receiver struct {
	mu       sync.Mutex
	start    time.Time
	messages []*notify.Message
	at       []time.Duration

	// answer, if set, is what Send returns for a message, which may take time.
	answer func(ctx context.Context, n int) error
}

func (r *receiver) Send(ctx context.Context, m *notify.Message) error {
	r.mu.Lock()
	n := len(r.messages)
	r.messages = append(r.messages, m)
	r.at = append(r.at, time.Since(r.start))
	r.mu.Unlock()
	if r.answer != nil {
		return r.answer(ctx, n)
	}
	return nil
}

func (r *receiver) counts() (counts []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.messages {
		counts = append(counts, m.Count)
	}
	return counts
}

func (r *receiver) times() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.at)
}

func (r *receiver) message(t *testing.T, i int) *notify.Message {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if i >= len(r.messages) {
		t.Fatalf("only %d messages were sent", len(r.messages))
	}
	return r.messages[i]
}

func newHandler(t testing.TB, s notify.Sender, opts *notify.Options) *notify.Handler {
	t.Helper()
	if r, ok := s.(*receiver); ok {
		r.start = time.Now()
	}
	h, err := notify.New(s, opts)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func record(level slog.Level, message string, attrs ...slog.Attr) slog.Record {
	r := slog.NewRecord(time.Now(), level, message, 0)
	r.AddAttrs(attrs...)
	return r
}

func logN(t testing.TB, h slog.Handler, n int) {
	t.Helper()
	for i := range n {
		if err := h.Handle(context.Background(), record(slog.LevelError, "disk full", slog.Int("n", i))); err != nil {
			t.Fatal(err)
		}
	}
}

func mustClose(t testing.TB, h *notify.Handler) {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// mustCloseUnsent is mustClose, in a minute, where n messages have failed and
// nobody was told of it.
func mustCloseUnsent(t testing.TB, h *notify.Handler, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := h.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("messages not sent: %d, the last: ", n)) {
		t.Errorf("Shutdown: %v, want %d messages not sent", err, n)
	}
	mustClose(t, h) // it has told of them
}

// wantBalance checks that each record is where Stats and Account say.
func wantBalance(t *testing.T, h *notify.Handler) {
	t.Helper()
	a, s := h.Account(), h.Stats()
	dropped := uint64(0)
	for _, n := range a.Dropped {
		dropped += n
	}
	if a.Accepted != a.Delivered+a.Held+dropped || a.Accepted != s.Records || s.Dropped+s.Coalesced != dropped || s.Pending != a.Held {
		t.Errorf("the books do not balance: %+v, %+v", a, s)
	}
}

func TestHandler_makesTwoMessagesOfTenThousandErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		h := newHandler(t, &r, nil)
		logN(t, h, 10_000)
		synctest.Wait()
		if got := r.counts(); !slices.Equal(got, []int{1}) {
			t.Fatalf("at once there are messages of %v records", got)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := r.counts(); !slices.Equal(got, []int{1, 9_999}) {
			t.Fatalf("after the window there are messages of %v records", got)
		}
		if got := r.times(); got[0] != 0 || got[1] != 10*time.Second {
			t.Errorf("they were sent at %v", got)
		}
		m := r.message(t, 1)
		if len(m.Records) != 20 || m.Dropped != 9_979 {
			t.Errorf("the second has %d records and says that %d are left out", len(m.Records), m.Dropped)
		}
		if m.Title != "ERROR disk full (+9998 more)" || !strings.HasSuffix(m.Body, "ERROR disk full n=20\nand 9979 more") {
			t.Errorf("the second is %q, %q", m.Title, m.Body)
		}
		time.Sleep(time.Hour)
		mustClose(t, h)
		want := notify.Stats{Records: 10_000, Messages: 2, Coalesced: 9_979}
		if got := h.Stats(); got != want || len(r.counts()) != 2 {
			t.Errorf("stats %+v, want %+v", got, want)
		}
		wantBalance(t, h)
	})
}

func TestHandler_doublesTheWindowWhileAStormLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		h := newHandler(t, &r, nil)
		// An error per second for half an hour, ten minutes of rest, and one more.
		for range 30 * 60 {
			logN(t, h, 1)
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Minute)
		logN(t, h, 1)
		synctest.Wait()
		var gaps []int
		at := r.times()
		for i := range at[1:] {
			gaps = append(gaps, int((at[i+1] - at[i]).Seconds()))
		}
		// The last gap is that of rest; what comes after it is sent at once.
		want := []int{10, 20, 40, 80, 160, 300, 300, 300, 300, 300, 590}
		if !slices.Equal(gaps, want) {
			t.Errorf("the messages are %vs apart, want %v", gaps, want)
		}
		if got := r.counts(); got[len(got)-1] != 1 {
			t.Errorf("the messages are of %v records", got)
		}
		before := len(r.counts())
		logN(t, h, 1)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := len(r.counts()) - before; got != 1 {
			t.Errorf("after the rest the window is not the first again: %d messages in 10s", got)
		}
		mustClose(t, h)
		wantBalance(t, h)
	})
}

func TestHandler_sendsAtOnceAfterAQuietWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		h := newHandler(t, &r, &notify.Options{Window: time.Second})
		for range 3 {
			logN(t, h, 1)
			time.Sleep(1500 * time.Millisecond)
		}
		mustClose(t, h)
		want := []time.Duration{0, 1500 * time.Millisecond, 3 * time.Second}
		if got := r.times(); !slices.Equal(got, want) {
			t.Errorf("sent at %v, want %v", got, want)
		}
	})
}

func TestHandler_keepsTheMostSevereRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		h := newHandler(t, &r, &notify.Options{MaxRecords: 3})
		logN(t, h, 1)
		for i, level := range []slog.Level{8, 8, 8, 8, 12, 9, 12, 12, 8, 12} {
			if err := h.Handle(t.Context(), record(level, fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		mustClose(t, h)
		m := r.message(t, 1)
		var kept []string
		for _, r := range m.Records {
			kept = append(kept, r.Message)
		}
		if !slices.Equal(kept, []string{"4", "6", "7"}) || m.Count != 10 || m.Dropped != 7 {
			t.Errorf("kept %v of %d, %d dropped", kept, m.Count, m.Dropped)
		}
		if m.Level != 12 || m.Title != "ERROR+4 4 (+9 more)" {
			t.Errorf("the message is %v, %q", m.Level, m.Title)
		}
	})
}

func TestHandler_collectsWhileTheSenderIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		atOnce := 0
		r := receiver{answer: func(ctx context.Context, n int) error {
			if atOnce++; atOnce > 1 {
				t.Error("two messages are being sent at once")
			}
			defer func() { atOnce-- }()
			time.Sleep(25*time.Second + 300*time.Millisecond)
			return nil
		}}
		h := newHandler(t, &r, nil)
		for range 60 {
			logN(t, h, 1)
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		mustClose(t, h)
		if got := r.counts(); !slices.Equal(got, []int{1, 25, 25, 9}) {
			t.Errorf("messages of %v records", got)
		}
		if s := h.Stats(); s.Records != 60 || s.Dropped != 0 || s.Messages != 4 {
			t.Errorf("stats %+v", s)
		}
		wantBalance(t, h)
	})
}

func TestHandler_givesASenderTheTimeThatItAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := receiver{answer: func(context.Context, int) error {
			return &slogworks.DeliveryError{After: time.Minute, Err: errors.New("too many")}
		}}
		h := newHandler(t, &r, nil)
		logN(t, h, 2)
		time.Sleep(2 * time.Minute)
		mustCloseUnsent(t, h, 2)
		if got := r.times(); len(got) != 2 || got[1] != time.Minute {
			t.Errorf("sent at %v", got)
		}
	})
}

func TestHandler_countsWhatFails(t *testing.T) {
	for name, fail := range map[string]func() error{
		"an error":                    func() error { return errors.New("refused") },
		"a panic":                     func() error { panic("broken") },
		"a goroutine that is ended":   func() error { runtime.Goexit(); return nil },
		"a DeliveryError that is nil": func() error { return (*slogworks.DeliveryError)(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var results []error
				r := receiver{answer: func(_ context.Context, n int) error {
					if n == 0 {
						return fail()
					}
					return nil
				}}
				h := newHandler(t, &r, &notify.Options{OnResult: func(m *notify.Message, err error) {
					results = append(results, err)
					if m.Title == "" {
						t.Error("the message has no title")
					}
				}})
				logN(t, h, 3)
				synctest.Wait()
				mustClose(t, h)
				if len(results) != 2 || results[0] == nil || results[1] != nil {
					t.Errorf("OnResult got %v", results)
				}
				want := notify.Stats{Records: 3, Messages: 1, Failed: 1, Dropped: 1}
				if got := h.Stats(); got != want {
					t.Errorf("stats %+v, want %+v", got, want)
				}
				if got := h.Account(); got.Dropped["failed"] != 1 || got.Delivered != 2 {
					t.Errorf("account %+v", got)
				}
				wantBalance(t, h)
			})
		})
	}
}

func TestHandler_survivesAPanicInOnResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		h := newHandler(t, &r, &notify.Options{OnResult: func(*notify.Message, error) { panic("broken") }})
		logN(t, h, 2)
		synctest.Wait()
		mustClose(t, h)
		if got := r.counts(); !slices.Equal(got, []int{1, 1}) {
			t.Errorf("messages of %v records", got)
		}
	})
}

func TestHandler_boundsTheTimeOfAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		var ended time.Duration
		r.answer = func(ctx context.Context, _ int) error {
			<-ctx.Done()
			ended = time.Since(r.start)
			return ctx.Err()
		}
		h := newHandler(t, &r, nil)
		logN(t, h, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if ended != 30*time.Second {
			t.Errorf("the context ended after %v", ended)
		}
		mustCloseUnsent(t, h, 1)
	})
}

// escalation is what fingerscrossed makes of a request that failed.
func escalation(items int) slogworks.Batch {
	b := slogworks.Batch{ID: "id", Kind: slogworks.Escalation, Dropped: 2}
	for i := range items {
		level := slog.LevelDebug
		if i == items-1 {
			level = slog.LevelError
		}
		b.Items = append(b.Items, slogworks.Item{Context: context.Background(), Record: record(level, fmt.Sprint("item ", i))})
	}
	return b
}

func TestHandler_makesOneMessageOfAnEscalation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		h := newHandler(t, &r, nil)
		if err := h.HandleBatch(t.Context(), escalation(30)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		m := r.message(t, 0)
		if len(r.counts()) != 1 || m.Count != 32 || m.Dropped != 12 || len(m.Records) != 20 {
			t.Errorf("messages of %v, the first has %d records and %d dropped", r.counts(), len(m.Records), m.Dropped)
		}
		if m.Records[0].Message != "item 10" || m.Level != slog.LevelError || m.Title != "ERROR item 29 (+31 more)" {
			t.Errorf("the message is %q from %q on", m.Title, m.Records[0].Message)
		}
		// A hundred more within the window are told together, the errors first.
		for range 100 {
			if err := h.HandleBatch(t.Context(), escalation(3)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := r.counts(); !slices.Equal(got, []int{32, 500}) {
			t.Errorf("messages of %v records", got)
		}
		for _, r := range r.message(t, 1).Records {
			if r.Level != slog.LevelError {
				t.Errorf("%q was kept", r.Message)
			}
		}
		mustClose(t, h)
		if s := h.Stats(); s.Records != 330 {
			t.Errorf("stats %+v: what was lost before is no record that came", s)
		}
		wantBalance(t, h)
	})
}

func TestHandler_takesAStreamAsSingleRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		h := newHandler(t, &r, nil)
		b := escalation(5)
		b.Kind = slogworks.Stream
		if err := h.HandleBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mustClose(t, h)
		// The first message tells also of the two that were lost before.
		if got := r.counts(); !slices.Equal(got, []int{3, 4}) {
			t.Errorf("messages of %v records", got)
		}
		if m := r.message(t, 0); m.Dropped != 2 {
			t.Errorf("%d dropped", m.Dropped)
		}
		wantBalance(t, h)
	})
}

func TestHandler_ignoresAnEmptyBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		h := newHandler(t, &r, nil)
		for _, kind := range []slogworks.Kind{slogworks.Stream, slogworks.Escalation, slogworks.Digest} {
			if err := h.HandleBatch(t.Context(), slogworks.Batch{Kind: kind}); err != nil {
				t.Fatal(err)
			}
		}
		mustClose(t, h)
		if got := r.counts(); len(got) != 0 {
			t.Errorf("messages of %v records", got)
		}
	})
}

func TestHandler_flushReleasesNothingThatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := receiver{answer: func(context.Context, int) error { time.Sleep(time.Second); return nil }}
		h := newHandler(t, &r, nil)
		logN(t, h, 5)
		start := time.Now()
		if err := h.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("Flush took %v, the message 1s", d)
		}
		if s := h.Stats(); s.Messages != 1 || s.Pending != 4 {
			t.Errorf("stats %+v", s)
		}
		mustClose(t, h)
	})
}

func TestHandler_flushWaitsForTheMessageThatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := receiver{answer: func(context.Context, int) error { time.Sleep(15 * time.Second); return nil }}
		h := newHandler(t, &r, nil)
		logN(t, h, 5)
		time.Sleep(12 * time.Second) // the window is over and the first message is not sent
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "5 records waiting") {
			t.Errorf("Flush without enough time: %v", err)
		}
		if err := h.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if got := r.counts(); !slices.Equal(got, []int{1, 4}) || h.Stats().Pending != 0 {
			t.Errorf("messages of %v records", got)
		}
		mustClose(t, h)
	})
}

func TestHandler_shutdownSendsWhatTheWindowHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		h := newHandler(t, &r, nil)
		logN(t, h, 5)
		synctest.Wait()
		start := time.Now()
		mustClose(t, h)
		mustClose(t, h.WithGroup("derived").(*notify.Handler))
		if got := r.counts(); !slices.Equal(got, []int{1, 4}) || time.Since(start) != 0 {
			t.Errorf("messages of %v records after %v", got, time.Since(start))
		}
		if err := h.Handle(t.Context(), record(slog.LevelError, "late")); err != notify.ErrClosed {
			t.Errorf("Handle after Close: %v", err)
		}
		if err := h.HandleBatch(t.Context(), escalation(2)); err != notify.ErrClosed {
			t.Errorf("HandleBatch after Close: %v", err)
		}
		if err := h.Flush(t.Context()); err != nil {
			t.Errorf("Flush after Close: %v", err)
		}
		if a := h.Account(); a.Dropped["closed"] != 3 {
			t.Errorf("account %+v", a)
		}
		wantBalance(t, h)
	})
}

func TestHandler_shutdownGivesUpWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := receiver{answer: func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }}
		h := newHandler(t, &r, &notify.Options{Timeout: time.Hour})
		logN(t, h, 5)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		// Another that has time sees the first one's end.
		other := make(chan error)
		go func() { other <- h.Shutdown(context.Background()) }()
		synctest.Wait()
		err := h.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "notify: shutdown: ") || !strings.Contains(err.Error(), "4 records lost, 1 still with the sender") {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-other; err == nil || !strings.Contains(err.Error(), "4 records lost") {
			t.Errorf("the other Shutdown: %v", err)
		}
		synctest.Wait()
		if a := h.Account(); a.Dropped["abandoned"] != 4 || a.Dropped["failed"] != 1 || a.Held != 0 {
			t.Errorf("account %+v", a)
		}
		mustClose(t, h)
		wantBalance(t, h)
	})
}

func TestHandler_shutdownWithoutTimeSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		h := newHandler(t, &r, nil)
		logN(t, h, 1)
		synctest.Wait()
		logN(t, h, 3)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Shutdown(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "3 records lost, 0 still") {
			t.Errorf("Shutdown: %v", err)
		}
		if got := r.counts(); !slices.Equal(got, []int{1}) {
			t.Errorf("messages of %v records", got)
		}
		wantBalance(t, h)
	})
}

// What a Sender logs comes back to the handler, which must not end in a circle
// within a window, nor in a deadlock.
func TestHandler_maySendWhileItsSenderLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *notify.Handler
		sent := 0
		h = newHandler(t, notify.SenderFunc(func(ctx context.Context, m *notify.Message) error {
			sent++
			return h.Handle(ctx, record(slog.LevelError, "sending"))
		}), nil)
		logN(t, h, 1)
		time.Sleep(65 * time.Second)
		synctest.Wait()
		if sent != 3 { // at 0s, 10s, 30s, and not before 70s
			t.Errorf("%d messages in 65s", sent)
		}
		mustCloseUnsent(t, h, 1)
	})
}

func TestHandler_readsTheLevelForEachRecord(t *testing.T) {
	var level slog.LevelVar
	h := newHandler(t, new(receiver), &notify.Options{Level: &level})
	defer mustClose(t, h)
	if !h.Enabled(t.Context(), slog.LevelInfo) || h.Enabled(t.Context(), slog.LevelInfo-1) {
		t.Error("at INFO")
	}
	level.Set(slog.LevelError + 4)
	if h.Enabled(t.Context(), slog.LevelError+3) || !h.WithGroup("g").Enabled(t.Context(), slog.LevelError+4) {
		t.Error("at ERROR+4")
	}
}

// behaviour is what a handler does with its options, as far as it shows.
type behaviour struct {
	lowest  slog.Level
	gaps    []time.Duration
	records int
	timeout time.Duration
}

func behaviourOf(t *testing.T, opts *notify.Options) (b behaviour) {
	var r receiver
	r.answer = func(ctx context.Context, _ int) error {
		deadline, _ := ctx.Deadline()
		b.timeout = time.Until(deadline)
		return nil
	}
	h := newHandler(t, &r, opts)
	for b.lowest = slog.LevelDebug; !h.Enabled(t.Context(), b.lowest); b.lowest++ {
	}
	for range 60 * 20 {
		logN(t, h, 5)
		time.Sleep(time.Second)
	}
	mustClose(t, h)
	at := r.times()
	for i := range at[1:] {
		b.gaps = append(b.gaps, at[i+1]-at[i])
	}
	b.gaps = b.gaps[:7]
	for _, m := range r.messages {
		b.records = max(b.records, len(m.Records))
	}
	return b
}

func TestHandler_defaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gaps []time.Duration
		for _, seconds := range []time.Duration{10, 20, 40, 80, 160, 300, 300} {
			gaps = append(gaps, seconds*time.Second)
		}
		want := behaviour{slog.LevelError, gaps, 20, 30 * time.Second}
		for name, opts := range map[string]*notify.Options{"nil": nil, "zero": {}, "negative": {Window: -1, MaxWindow: -1, MaxRecords: -1, Timeout: -1}} {
			if got := behaviourOf(t, opts); !reflect.DeepEqual(got, want) {
				t.Errorf("%s options: %+v, want %+v", name, got, want)
			}
		}
	})
}

func TestNew_doesNotWriteItsOptions(t *testing.T) {
	opts := notify.Options{Window: time.Hour}
	h := newHandler(t, new(receiver), &opts)
	opts.MaxRecords = -1 // must not be read any more
	logN(t, h, 3)
	mustClose(t, h)
	if opts.Level != nil || opts.Window != time.Hour || opts.MaxWindow != 0 || opts.MaxRecords != -1 || opts.Timeout != 0 {
		t.Errorf("the options became %+v", opts)
	}
}

func TestNew_panicsAtOnce(t *testing.T) {
	var noLevel *slog.LevelVar
	var noCommand *notify.Command
	for name, test := range map[string]struct {
		build func()
		want  string
	}{
		"nil":               {func() { _, _ = notify.New(nil, nil) }, "notify: nil Sender"},
		"a nil pointer":     {func() { _, _ = notify.New(noCommand, nil) }, "notify: nil Sender"},
		"a nil function":    {func() { _, _ = notify.New(notify.SenderFunc(nil), nil) }, "notify: nil Sender"},
		"nil, directly":     {func() { notify.Direct(nil) }, "notify: nil Sender"},
		"nil to be adapted": {func() { notify.Adapt(nil) }, "notify: nil Sender"},
		"a nil level":       {func() { _, _ = notify.New(new(receiver), &notify.Options{Level: noLevel}) }, "notify: nil *slog.LevelVar"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, test.want) {
					t.Errorf("panics with %q, want %q", got, test.want)
				}
			}()
			test.build()
		})
	}
}

func TestNew_asksTheSenderWhetherItIsComplete(t *testing.T) {
	for _, s := range []notify.Sender{
		&notify.Command{Path: "no-such-program-as-this"},
		&notify.Webhook{URL: "example.com"},
	} {
		if h, err := notify.New(s, nil); err == nil || h != nil {
			t.Errorf("%T: %v, %v", s, h, err)
		}
	}
}

func TestHandler_worksForSeveralGoroutines(t *testing.T) {
	var r receiver
	h := newHandler(t, &r, &notify.Options{Window: time.Microsecond, MaxRecords: 3})
	const goroutines, each = 8, 200
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			derived := h.WithAttrs([]slog.Attr{slog.Int("g", g)})
			for i := range each {
				_ = derived.Handle(context.Background(), record(slog.Level(8+i%3), "m", slog.Any("list", []int{i})))
				if i%50 == 0 {
					_ = h.Flush(context.Background())
					h.Stats()
				}
			}
		})
	}
	wg.Wait()
	mustClose(t, h)
	sum := 0
	for _, n := range r.counts() {
		sum += n
	}
	if sum != goroutines*each {
		t.Errorf("the messages stand for %d of %d records", sum, goroutines*each)
	}
	wantBalance(t, h)
}

func TestHandler_allocatesNothingForWhatIsCounted(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := newHandler(t, new(receiver), &notify.Options{Window: time.Hour})
	defer mustClose(t, h)
	logN(t, h, 30)
	derived := h.WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g")
	r := record(slog.LevelError, "disk full", slog.Any("list", []int{1}))
	for _, h := range []slog.Handler{h, derived} {
		if n := testing.AllocsPerRun(100, func() {
			if err := h.Handle(context.Background(), r); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { h.Enabled(context.Background(), slog.LevelError) }); n != 0 {
		t.Errorf("Enabled: %v allocations", n)
	}
}

func TestDirectHandler_sendsABatchAsOneMessage(t *testing.T) {
	var r receiver
	h := notify.Direct(&r)
	if err := h.HandleBatch(t.Context(), escalation(30)); err != nil {
		t.Fatal(err)
	}
	if err := h.HandleBatch(t.Context(), slogworks.Batch{}); err != nil {
		t.Fatal(err)
	}
	m := r.message(t, 0)
	if len(r.counts()) != 1 || m.ID != "id" || m.Count != 32 || m.Dropped != 2 || len(m.Records) != 30 {
		t.Errorf("messages of %v; the first is %+v", r.counts(), m)
	}
	derived := h.WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g")
	if err := derived.Handle(t.Context(), record(slog.LevelDebug, "one", slog.Int("b", 2))); err != nil {
		t.Fatal(err)
	}
	if m := r.message(t, 1); m.Title != "DEBUG one" || !strings.HasSuffix(m.Body, " a=1 g.b=2") || m.ID == "" {
		t.Errorf("the message is %q, %q", m.Title, m.Body)
	}
}

func TestDirectHandler_returnsWhatBecameOfIt(t *testing.T) {
	delivery := &slogworks.DeliveryError{After: time.Minute}
	r := receiver{answer: func(_ context.Context, n int) error {
		if n == 2 {
			panic("broken")
		}
		return delivery
	}}
	h := notify.Direct(&r)
	if err := h.Handle(t.Context(), record(slog.LevelError, "one")); err != delivery {
		t.Errorf("Handle: %v", err)
	}
	if err := h.HandleBatch(t.Context(), escalation(2)); err != delivery {
		t.Errorf("HandleBatch: %v", err)
	}
	var panicked *slogworks.PanicError
	if err := h.Handle(t.Context(), record(slog.LevelError, "one")); !errors.As(err, &panicked) {
		t.Errorf("Handle: %v", err)
	}
}

type tenantKey struct{}

func TestDirectHandler_sendsWhatIsLoggedWithAContextThatHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), tenantKey{}, "acme"))
	cancel()
	h := notify.Direct(notify.SenderFunc(func(ctx context.Context, _ *notify.Message) error {
		if ctx.Value(tenantKey{}) != "acme" {
			t.Error("the context has lost its values")
		}
		return ctx.Err()
	}))
	if err := h.Handle(ctx, record(slog.LevelError, "the client has gone away")); err != nil {
		t.Error(err)
	}
	// Who hands on a batch with such a context has been told to end.
	if err := h.HandleBatch(ctx, escalation(2)); !errors.Is(err, context.Canceled) {
		t.Errorf("HandleBatch: %v", err)
	}
}

type service struct{ subject, message string }

func (s *service) Send(_ context.Context, subject, message string) error {
	s.subject, s.message = subject, message
	return errors.New("sent to nobody")
}

func TestAdapt_sendsTitleAndBody(t *testing.T) {
	var s service
	err := notify.Adapt(&s).Send(t.Context(), &notify.Message{Title: "title", Body: "body"})
	if s.subject != "title" || s.message != "body" || err == nil {
		t.Errorf("sent %+v, %v", s, err)
	}
}

package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

// flaky is a sink that takes only a part of each batch until it is up.
type flaky struct {
	handlertest.Recorder
	up      time.Time
	accepts int
	calls   int
}

func (f *flaky) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	f.calls++
	if time.Now().Before(f.up) {
		accepted := min(f.accepts, len(b.Items))
		whole := b.Items
		b.Items = whole[:accepted]
		_ = f.Recorder.HandleBatch(ctx, b)
		return &slogworks.DeliveryError{Accepted: accepted, After: 20 * time.Millisecond, Err: errors.New("down")}
	}
	return f.Recorder.HandleBatch(ctx, b)
}

func (f *flaky) WithAttrs([]slog.Attr) slog.Handler { return f }
func (f *flaky) WithGroup(string) slog.Handler      { return f }

// A sink that is down for 2s gets every record once and in order, however much
// of each batch it takes.
func TestHandler_sinkDownForAWhile(t *testing.T) {
	for _, accepts := range []int{0, 1, 7} {
		t.Run(fmt.Sprintf("taking %d of a batch", accepts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &flaky{up: time.Now().Add(2 * time.Second), accepts: accepts}
				q := queue.New(sink, nil)
				for i := range 500 {
					if err := handle(q, slog.LevelInfo, number(i)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(5 * time.Millisecond)
				}
				closeQueue(t, q)
				got := messages(&sink.Recorder)
				for i := range 500 {
					if i >= len(got) || got[i] != number(i) {
						t.Fatalf("%d records arrived, and not record %d in its place", len(got), i)
					}
				}
				if len(got) != 500 || sink.calls < 10 {
					t.Errorf("%d records arrived in %d calls", len(got), sink.calls)
				}
				atRest(t, q)
			})
		})
	}
}

// A sink that takes no batches is tried again too.
func TestHandler_plainSinkDownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := time.Now().Add(2 * time.Second)
		rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error {
			if time.Now().Before(up) {
				return &slogworks.DeliveryError{Err: errors.New("down")}
			}
			return nil
		}}
		q := queue.New(rec.Plain(), nil)
		h := q.WithGroup("g")
		for i := range 100 {
			if err := handle(h, slog.LevelInfo, number(i), slog.Int("i", i)); err != nil {
				t.Fatal(err)
			}
		}
		closeQueue(t, q)
		for i, item := range rec.Items() {
			if item.Record.Message != number(i) || attrs(item.Record)["g"].Group()[0].Value.Int64() != int64(i) {
				t.Fatalf("record %d arrived as %v", i, item.Record)
			}
		}
		if n := len(rec.Items()); n != 100 {
			t.Errorf("%d records arrived", n)
		}
		atRest(t, q)
	})
}

// Behind a fan-out, nobody knows who has what: nothing is repeated, and what
// did not arrive is counted.
func TestHandler_repeatsNothingInAFanout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &flaky{up: time.Now().Add(2 * time.Second), accepts: 1}
		memory := new(handlertest.Recorder)
		q := queue.New(fanout.New(sink, memory), nil)
		for i := range 500 {
			_ = handle(q, slog.LevelInfo, number(i))
			time.Sleep(5 * time.Millisecond)
		}
		flush(t, q)
		closeFailed(t, q, q.Stats().Failed)
		for name, got := range map[string][]string{"the sink": messages(&sink.Recorder), "the memory": messages(memory)} {
			if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Errorf("%s has records twice or out of order", name)
			}
		}
		if n := len(messages(memory)); n != 500 {
			t.Errorf("%d records arrived in the memory", n)
		}
		if s := q.Stats(); s.Failed == 0 || s.Failed+s.Handled != 500 {
			t.Errorf("%+v", s)
		}
		atRest(t, q)
	})
}

// attempt is what a sink saw of a call.
type attempt struct {
	after        time.Duration // since the one before
	id           string
	number, size int
	done         []string
	kind         slogworks.Kind
}

// attempts hands n records, or a batch, to a queue whose sink answers with what
// answer says to the call of that number.
func attempts(t *testing.T, opts *queue.Options, batch slogworks.Batch, answer func(call int) error) ([]attempt, *queue.Handler) {
	t.Helper()
	var all []attempt
	last := time.Now()
	q := queue.New(batchFunc(func(_ context.Context, b slogworks.Batch) error {
		all = append(all, attempt{time.Since(last), b.ID, b.Attempt, len(b.Items), append(b.Done, "the sink's"), b.Kind})
		last = time.Now()
		return answer(len(all))
	}), opts)
	if err := q.HandleBatch(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	if err := q.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if opts != nil && (opts.OnError != nil || opts.Fallback != nil) {
		closeQueue(t, q)
	} else {
		closeFailed(t, q, q.Stats().Failed)
	}
	atRest(t, q)
	return all, q
}

func TestHandler_waitsBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := &queue.Options{Retry: slogworks.Backoff{Min: time.Second, Max: 4 * time.Second}}
		all, q := attempts(t, opts, batchOf(slogworks.Stream, slog.LevelInfo, 3), func(call int) error {
			switch {
			case call <= 4:
				return &slogworks.DeliveryError{}
			case call <= 6:
				return &slogworks.DeliveryError{After: 10 * time.Second}
			}
			return nil
		})
		want := []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second, 10 * time.Second, 10 * time.Second}
		if len(all) != len(want) {
			t.Fatalf("%d attempts", len(all))
		}
		for i, a := range all {
			least := want[i] - want[i]/5 // the backoff takes off up to a fifth
			if i >= 5 {
				least = want[i]
			}
			if a.after < least || a.after > want[i] {
				t.Errorf("attempt %d came after %v, want %v to %v", i+1, a.after, least, want[i])
			}
			if a.number != i+1 || a.id == "" || a.id != all[0].id || a.size != 3 {
				t.Errorf("attempt %d: %+v, the first %+v", i+1, a, all[0])
			}
		}
		if s := q.Stats(); s.Handled != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// Progress starts the backoff and its end anew.
func TestHandler_backoffStartsAnewWithProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := &queue.Options{Retry: slogworks.Backoff{Min: time.Second, Max: time.Hour, MaxElapsed: 8 * time.Second}}
		all, q := attempts(t, opts, batchOf(slogworks.Stream, slog.LevelInfo, 4), func(call int) error {
			accepted := 0
			if call%3 == 0 {
				accepted = 1
			}
			return &slogworks.DeliveryError{Accepted: accepted}
		})
		// Each third call takes one; after that come 1s, 2s and 4s.
		if len(all) != 12 || all[11].size != 1 || q.Stats().Handled != 4 {
			t.Errorf("%d attempts, %+v", len(all), q.Stats())
		}
		for i, a := range all[1:] {
			if a.after > 4*time.Second || i%3 == 2 && a.after > time.Second {
				t.Errorf("attempt %d came after %v", i+2, a.after)
			}
		}
	})
}

func TestHandler_givesUpAfterMaxElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fallback := new(handlertest.Recorder)
		var errs []error
		opts := &queue.Options{
			Retry:    slogworks.Backoff{Min: time.Second, Max: time.Second, MaxElapsed: 5 * time.Second},
			Fallback: fallback,
			OnError:  func(err error) { errs = append(errs, err) },
		}
		start := time.Now()
		all, q := attempts(t, opts, batchOf(slogworks.Digest, slog.LevelInfo, 3), func(call int) error {
			if call == 2 {
				return &slogworks.DeliveryError{Accepted: 1, Err: errors.New("down")}
			}
			return &slogworks.DeliveryError{Err: fmt.Errorf("down %d", call)}
		})
		// The time counts from the second attempt, which got somewhere.
		if d := time.Since(start); d < 4*time.Second || d > 6*time.Second || len(all) < 6 || len(all) > 8 {
			t.Errorf("%d attempts in %v", len(all), d)
		}
		if s := q.Stats(); s.Handled != 1 || s.Failed != 2 || s.DroppedAbandoned.Total() != 0 {
			t.Errorf("%+v", s)
		}
		if got := messages(fallback); !slices.Equal(got, []string{"digest 1", "digest 2"}) {
			t.Errorf("the fallback got %q", got)
		}
		if len(errs) != 2 || errs[0].Error() != "down 1" || errs[1].Error() != fmt.Sprint("down ", len(all)) {
			t.Errorf("OnError was called with %v", errs)
		}
	})
}

// A sink may name any time: what comes of adding to it must not look short.
func TestHandler_givesUpOnASinkThatIsDownForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := &queue.Options{Retry: slogworks.Backoff{MaxElapsed: time.Minute}}
		all, q := attempts(t, opts, batchOf(slogworks.Stream, slog.LevelInfo, 1), func(call int) error {
			if call == 1 {
				return &slogworks.DeliveryError{After: 2 * time.Second}
			}
			return &slogworks.DeliveryError{After: math.MaxInt64}
		})
		if s := q.Stats(); len(all) != 2 || s.Failed != 1 {
			t.Errorf("%d attempts, %+v", len(all), s)
		}
	})
}

func TestHandler_readsDeliveryErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			err             error
			calls           int // the second succeeds
			handled, failed uint64
		}{
			"temporary":                    {&slogworks.DeliveryError{}, 2, 5, 0},
			"temporary, some accepted":     {&slogworks.DeliveryError{Accepted: 2}, 2, 5, 0},
			"temporary, all accepted":      {&slogworks.DeliveryError{Accepted: 5}, 1, 5, 0},
			"temporary, too many accepted": {&slogworks.DeliveryError{Accepted: 99}, 1, 5, 0},
			"temporary, less than none":    {&slogworks.DeliveryError{Accepted: -5}, 2, 5, 0},
			"temporary, uncertain":         {&slogworks.DeliveryError{Uncertain: true}, 2, 5, 0},
			"permanent":                    {&slogworks.DeliveryError{Permanent: true, After: time.Hour}, 1, 0, 5},
			"permanent, some accepted":     {&slogworks.DeliveryError{Permanent: true, Accepted: 2}, 1, 2, 3},
			"permanent, too many accepted": {&slogworks.DeliveryError{Permanent: true, Accepted: 99}, 1, 5, 0},
			"another error":                {errors.New("failed"), 1, 0, 5},
			"a wrapped one":                {fmt.Errorf("wrapped: %w", &slogworks.DeliveryError{Accepted: 2}), 1, 0, 5},
			"a nil one that is not nil":    {(*slogworks.DeliveryError)(nil), 1, 0, 5},
			"one whose methods panic":      {panicking{}, 1, 0, 5},
		} {
			var reported []error
			opts := &queue.Options{OnError: func(err error) {
				reported = append(reported, err)
				_ = err.Error() // may panic
			}}
			all, q := attempts(t, opts, batchOf(slogworks.Stream, slog.LevelInfo, 5), func(call int) error {
				if call == 1 {
					return test.err
				}
				return nil
			})
			s := q.Stats()
			if len(all) != test.calls || s.Handled != test.handled || s.Failed != test.failed || s.Panics != 0 {
				t.Errorf("%s: %d calls, %+v", name, len(all), s)
			}
			if test.calls == 2 && all[1].size != 5-min(max(0, test.err.(*slogworks.DeliveryError).Accepted), 5) {
				t.Errorf("%s: the second call got %d records", name, all[1].size)
			}
			// Told is what was given up, and why there was a second attempt.
			if told := test.failed > 0 || test.calls == 2; len(reported) > 1 || told != (len(reported) == 1) {
				t.Errorf("%s: OnError was called %d times", name, len(reported))
			}
		}
	})
}

type panicking struct{}

func (panicking) Error() string { panic("Error") }
func (panicking) Unwrap() error { panic("Unwrap") }

// What some recipients have, they are not sent again, and they are named once.
func TestHandler_passesDoneOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := batchOf(slogworks.Escalation, slog.LevelError, 3)
		given := append(make([]string, 0, 9), "zero")
		b.ID, b.Done, b.Attempt, b.Dropped = "id", given, 3, 7
		all, _ := attempts(t, nil, b, func(call int) error {
			switch call {
			case 1:
				return &slogworks.DeliveryError{Done: []string{"one"}}
			case 2:
				return &slogworks.DeliveryError{}
			case 3:
				return &slogworks.DeliveryError{Done: []string{"zero", "one", "two"}}
			case 4:
				return &slogworks.DeliveryError{Done: []string{"three"}}
			}
			return nil
		})
		want := [][]string{{"zero"}, {"zero", "one"}, {"zero", "one"}, {"zero", "one", "two"}, {"zero", "one", "two", "three"}}
		if len(all) != len(want) {
			t.Fatalf("%d attempts", len(all))
		}
		for i, a := range all {
			if !slices.Equal(a.done, append(want[i], "the sink's")) || a.id != "id" || a.kind != slogworks.Escalation || a.number != 3+i {
				t.Errorf("attempt %d: %+v", i+1, a)
			}
		}
		if given[:2][1] != "" {
			t.Error("the caller's slice was written to")
		}
	})
}

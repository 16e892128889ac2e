package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

// Behind other stages, a handler of single records is treated as if it stood
// there itself: an error or a panic costs the record that it is about, however
// many came with it.
func TestHandler_oneRecordFailsBehindOtherStages(t *testing.T) {
	quiet := func(context.Context, slogworks.View, error) {}
	for name, wrap := range map[string]func(slog.Handler) slog.Handler{
		"none":     func(h slog.Handler) slog.Handler { return h },
		"AtLeast":  func(h slog.Handler) slog.Handler { return fanout.AtLeast(h, slog.LevelInfo) },
		"two":      func(h slog.Handler) slog.Handler { return fanout.AtLeast(fanout.OnError(h, quiet), nil) },
		"Failover": func(h slog.Handler) slog.Handler { return fanout.Failover(h, h) },
	} {
		for _, kind := range []slogworks.Kind{slogworks.Stream, slogworks.Escalation} {
			t.Run(fmt.Sprintf("%s, %v", name, kind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rec := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
						switch b.Items[0].Record.Message {
						case "escalation 1", number(1):
							panic("bug")
						case "escalation 3", number(3):
							return errors.New("refused")
						case "escalation 4", number(4):
							return &slogworks.DeliveryError{Permanent: true, Err: errors.New("refused")}
						}
						return nil
					}}
					fallback := new(handlertest.Recorder)
					var errs []string
					q := queue.New(wrap(rec.Plain()), &queue.Options{Fallback: fallback, OnError: func(err error) { errs = append(errs, err.Error()) }})
					if kind == slogworks.Stream {
						for i := range 6 {
							_ = handle(q, slog.LevelInfo, number(i))
						}
					} else if err := q.HandleBatch(t.Context(), batchOf(kind, slog.LevelInfo, 6)); err != nil {
						t.Fatal(err)
					}
					flush(t, q)
					closeQueue(t, q)
					s := q.Stats()
					if len(messages(rec)) != 3 || len(messages(fallback)) != 3 || s.Handled != 3 || s.Failed != 3 || s.Panics != 1 {
						t.Errorf("%q arrived, %q at the fallback, %+v", messages(rec), messages(fallback), s)
					}
					want := []string{"panic: bug", "refused", "refused; permanent"}
					if name == "Failover" {
						want = []string{"panic: bug\npanic: bug", "refused\nrefused", "refused; permanent\nrefused; permanent"}
					}
					if !slices.Equal(errs, want) {
						t.Errorf("OnError was called with %q", errs)
					}
					atRest(t, q)
				})
			})
		}
	}
}

// A Failover that nobody behind takes a record from is tried again as long as
// one of its handlers wants that, record by record too, and so is the report of
// what was dropped meanwhile.
func TestHandler_triesAFailoverAgain(t *testing.T) {
	for name, wrap := range map[string]func(slog.Handler) slog.Handler{
		"batches": func(h slog.Handler) slog.Handler { return h },
		"singles": func(h slog.Handler) slog.Handler { return single{h} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, told := time.Now(), 0
				sink := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
					report := b.Items[0].Record.Message == dropMessage
					if report {
						told++
					}
					if time.Since(start) < 5*time.Second || report && told == 1 {
						return &slogworks.DeliveryError{After: 5 * time.Second, Err: errors.New("down")}
					}
					return nil
				}}
				refusing := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error {
					return &slogworks.DeliveryError{Permanent: true, Err: errors.New("refused")}
				}}
				q := queue.New(wrap(fanout.Failover(sink, refusing)), &queue.Options{Capacity: 10, Reserve: -1, MaxBlock: -1})
				for i := range 12 {
					_ = handle(q, slog.LevelInfo, number(i))
				}
				flush(t, q)
				if d := time.Since(start); d < 5*time.Second || d > 6*time.Second {
					t.Errorf("it took %v", d)
				}
				_ = handle(q, slog.LevelInfo, number(10))
				flush(t, q)
				if got := messages(sink); len(got) != 11 || !slices.IsSorted(got) || len(reports(sink)) != 1 || told != 2 {
					t.Errorf("%q and %d reports arrived, after %d attempts to report", got, len(reports(sink)), told)
				}
				closeQueue(t, q)
				atRest(t, q)
			})
		})
	}
}

// A handler of single records that fails at one is asked about the others.
func TestHandler_asksEachOfAFailoverAboutEachRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failsAt := func(numbers ...int) *handlertest.Recorder {
			return &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
				for _, n := range numbers {
					if b.Items[0].Record.Message == number(n) {
						return errors.New("refused")
					}
				}
				return nil
			}}
		}
		first, second := failsAt(0, 4), failsAt(2, 4)
		q := queue.New(fanout.Failover(first.Plain(), second.Plain()), nil)
		mustHandle(t, q, slog.LevelInfo, 6)
		flush(t, q)
		got := append(messages(first), messages(second)...)
		slices.Sort(got)
		if want := []string{number(0), number(1), number(2), number(3), number(5)}; !slices.Equal(got, want) {
			t.Errorf("%q arrived", got)
		}
		if s := q.Stats(); s.Handled != 5 || s.Failed != 1 {
			t.Errorf("%+v", s)
		}
		closeFailed(t, q, 1)
	})
}

// A record that one handler of a Failover refuses and the other is not enabled
// for holds up nothing, also where that other one refuses something behind it.
func TestHandler_waitsForNoHandlerThatARecordIsNotFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		picky := func(min slog.Level, refused string) *handlertest.Recorder {
			return &handlertest.Recorder{Level: min, Before: func(_ context.Context, b slogworks.Batch) error {
				if b.Items[0].Record.Message == refused {
					return errors.New("refused")
				}
				return nil
			}}
		}
		important, all := picky(slog.LevelWarn, number(2)), picky(slog.LevelDebug, number(0))
		q := queue.New(fanout.Failover(important.Plain(), all.Plain()), nil)
		for i, level := range []slog.Level{slog.LevelInfo, slog.LevelInfo, slog.LevelWarn, slog.LevelWarn} {
			_ = handle(q, level, number(i))
		}
		flush(t, q)
		got := append(messages(all), messages(important)...)
		if want := []string{number(1), number(2), number(3)}; !slices.Equal(got, want) {
			t.Errorf("%q arrived", got)
		}
		if s := q.Stats(); s.Handled != 3 || s.Failed != 1 {
			t.Errorf("%+v", s)
		}
		closeFailed(t, q, 1)
	})
}

// single hides that a handler takes batches.
type single struct{ slog.Handler }

func (s single) WithAttrs(attrs []slog.Attr) slog.Handler { return single{s.Handler.WithAttrs(attrs)} }
func (s single) WithGroup(name string) slog.Handler       { return single{s.Handler.WithGroup(name)} }

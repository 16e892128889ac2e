package notify_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/notify"
	"github.com/slogworks/slogworks/queue"
)

// What a sender that is overloaded asks for puts off what was due when Flush
// began; Flush must not wait for a day.
func TestHandler_flushDoesNotWaitForTheTimeThatASenderAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := receiver{answer: func(context.Context, int) error {
			time.Sleep(15 * time.Second)
			return &slogworks.DeliveryError{After: 24 * time.Hour}
		}}
		h := newHandler(t, &r, nil)
		logN(t, h, 5)
		time.Sleep(12 * time.Second) // the window is over and the first message is not sent
		start := time.Now()
		if err := h.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("Flush took %v", d)
		}
		if s := h.Stats(); s.Pending != 4 || s.Dropped != 1 {
			t.Errorf("stats %+v", s)
		}
		mustCloseUnsent(t, h, 2)
		wantBalance(t, h)
	})
}

// Shutdown has no time to lose: it sends though the sender asked for patience.
func TestHandler_shutdownDoesNotWaitForTheTimeThatASenderAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := receiver{answer: func(_ context.Context, n int) error {
			if n == 0 {
				return &slogworks.DeliveryError{After: time.Hour}
			}
			return nil
		}}
		h := newHandler(t, &r, nil)
		logN(t, h, 5)
		synctest.Wait()
		start := time.Now()
		mustCloseUnsent(t, h, 1)
		if got := r.counts(); !slices.Equal(got, []int{1, 4}) || time.Since(start) != 0 {
			t.Errorf("messages of %v records after %v", got, time.Since(start))
		}
	})
}

// The significant record of an escalation need not be its most severe one.
func TestHandler_tellsTheLevelOfTheRecordThatAnEscalationIsAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r receiver
		h := newHandler(t, &r, nil)
		b := escalation(3)
		b.Items[0].Record.Level = slog.LevelError
		b.Items[2].Record.Level = slog.LevelWarn
		b.Items[2].Record.AddAttrs(slog.String("which", "last"))
		if err := h.HandleBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if m := r.message(t, 0); m.Level != slog.LevelWarn || m.Title != "WARN item 2 (+4 more)" {
			t.Errorf("the message is %v, %q", m.Level, m.Title)
		}
		mustClose(t, h)
	})
}

// An Escalation that comes while others wait is told with them by severity, and
// one that others join is one of many.
func TestHandler_makesOneOfManyOfAnEscalationThatIsNotAlone(t *testing.T) {
	for name, log := range map[string]func(h *notify.Handler){
		"before it": func(h *notify.Handler) { logN(t, h, 1); _ = h.HandleBatch(t.Context(), escalation(30)) },
		"after it":  func(h *notify.Handler) { _ = h.HandleBatch(t.Context(), escalation(30)); logN(t, h, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r receiver
				h := newHandler(t, &r, &notify.Options{MaxRecords: 2})
				logN(t, h, 1)
				log(h)
				mustClose(t, h)
				m := r.message(t, 1)
				levels := []slog.Level{m.Records[0].Level, m.Records[1].Level}
				if m.Count != 33 || m.Level != slog.LevelError || !slices.Equal(levels, []slog.Level{8, 8}) {
					t.Errorf("%d records, %v, kept %v", m.Count, m.Level, levels)
				}
				wantBalance(t, h)
			})
		})
	}
}

// Whatever comes in whatever order, kept are the most severe, and of those the
// first, in the order logged.
func TestHandler_keepsWhatSortingWould(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		synctest.Test(t, func(t *testing.T) {
			limit, n := 1+random.IntN(6), 1+random.IntN(20)
			var r receiver
			h := newHandler(t, &r, &notify.Options{MaxRecords: limit})
			logN(t, h, 1)
			all := make([]int, n)
			levels := make([]slog.Level, n)
			for i := range n {
				all[i], levels[i] = i, slog.Level(random.IntN(5)-2)
				if err := h.Handle(t.Context(), record(levels[i], "m", slog.Int("n", i))); err != nil {
					t.Fatal(err)
				}
			}
			mustClose(t, h)
			slices.SortStableFunc(all, func(a, b int) int { return int(levels[b] - levels[a]) })
			want := slices.Clone(all[:min(limit, n)])
			slices.Sort(want)
			m := r.message(t, 1)
			var got []int
			for _, kept := range m.Records {
				kept.Attrs(func(a slog.Attr) bool { got = append(got, int(a.Value.Int64())); return true })
			}
			if !slices.Equal(got, want) || m.Level != slices.Max(levels) || m.Count != n || m.Dropped != n-len(want) {
				t.Errorf("round %d: of %v with MaxRecords %d kept %v, want %v; %v, %d, %d", round, levels, limit, got, want, m.Level, m.Count, m.Dropped)
			}
		})
	}
}

// wantAccount checks that each record is where the account says.
func wantAccount(t *testing.T, h *notify.Handler) {
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

// While anything may happen at once, the books balance at every moment, never
// go back, and have in the end what was handed over.
func TestHandler_balancesAtEveryMoment(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			var told, failed atomic.Int64 // records
			sender := notify.SenderFunc(func(ctx context.Context, m *notify.Message) error {
				switch rand.New(rand.NewPCG(seed, uint64(m.Count))).IntN(6) {
				case 0:
					failed.Add(int64(m.Count))
					return &slogworks.DeliveryError{After: time.Second}
				case 1:
					failed.Add(int64(m.Count))
					panic("broken")
				case 2:
					failed.Add(int64(m.Count))
					runtime.Goexit()
				case 3:
					<-ctx.Done()
					failed.Add(int64(m.Count))
					return ctx.Err()
				case 4:
					time.Sleep(time.Second)
				}
				told.Add(int64(m.Count))
				return nil
			})
			h := newHandler(t, sender, &notify.Options{Window: 100 * time.Millisecond, MaxWindow: time.Second, MaxRecords: 3, Timeout: 3 * time.Second, OnResult: func(*notify.Message, error) {}})
			var given, refused atomic.Uint64
			count := func(n uint64, err error) {
				given.Add(n)
				switch {
				case errors.Is(err, notify.ErrClosed):
					refused.Add(n)
				case err != nil:
					t.Error(err)
				}
			}
			var wg sync.WaitGroup
			for g := range uint64(4) {
				wg.Go(func() {
					random := rand.New(rand.NewPCG(seed, g))
					for i := range 100 {
						if random.IntN(5) == 0 {
							b := escalation(random.IntN(6))
							b.Kind, b.Dropped = slogworks.Kind(random.IntN(3)), 0
							count(uint64(len(b.Items)), h.HandleBatch(t.Context(), b))
						} else {
							count(1, h.Handle(t.Context(), record(slog.Level(random.IntN(9)), fmt.Sprint(i))))
						}
						wantAccount(t, h)
						switch random.IntN(12) {
						case 0:
							ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(2000))*time.Millisecond)
							_ = h.Flush(ctx)
							cancel()
						case 1, 2, 3:
							time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
						}
					}
				})
			}
			for g := range uint64(3) {
				wg.Go(func() {
					random := rand.New(rand.NewPCG(seed, 100+g))
					time.Sleep(time.Duration(random.IntN(5000)) * time.Millisecond)
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(4000))*time.Millisecond)
					defer cancel()
					if err := h.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
					wantAccount(t, h)
				})
			}
			wg.Wait()
			time.Sleep(time.Minute)
			if err := h.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			wantBalance(t, h)
			a := h.Account()
			if a.Accepted != given.Load() || a.Held != 0 || a.Dropped["closed"] != refused.Load() {
				t.Errorf("seed %d: %d given, %d refused: %+v", seed, given.Load(), refused.Load(), a)
			}
			if a.Delivered+a.Dropped["coalesced"] != uint64(told.Load()) || a.Dropped["failed"] != uint64(failed.Load()) {
				t.Errorf("seed %d: the sender told %d and failed with %d: %+v", seed, told.Load(), failed.Load(), a)
			}
		})
	}
}

func TestHandler_shutdownDuringASenderThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		h := newHandler(t, notify.SenderFunc(func(context.Context, *notify.Message) error { <-never; return nil }), nil)
		logN(t, h, 3)
		synctest.Wait()
		start := time.Now()
		if err := h.Close(); err == nil || !strings.Contains(err.Error(), "2 records lost, 1 still with the sender") {
			t.Errorf("%v", err)
		}
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("Close took %v", d)
		}
		if a := h.Account(); a.Held != 1 || a.Dropped["abandoned"] != 2 {
			t.Errorf("%+v", a)
		}
		wantBalance(t, h)
		close(never)
		synctest.Wait()
		if a := h.Account(); a.Held != 0 || a.Delivered != 1 {
			t.Errorf("%+v", a)
		}
		wantBalance(t, h)
		mustClose(t, h)
	})
}

// A Sender behind Direct says by its error what the queue in front of it does.
func TestDirectHandler_hasItsQueueWaitAndGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := receiver{start: time.Now(), answer: func(_ context.Context, n int) error {
			switch n {
			case 0:
				return &slogworks.DeliveryError{After: time.Hour, Err: errors.New("too many")}
			case 2:
				return &slogworks.DeliveryError{Permanent: true, Err: errors.New("refused")}
			}
			return nil
		}}
		q := queue.New(notify.Direct(&r), nil)
		logN(t, q, 1)
		time.Sleep(2 * time.Hour)
		logN(t, q, 1)
		time.Sleep(24 * time.Hour)
		if got := r.times(); len(got) != 3 || got[1] < time.Hour || got[1] > time.Hour+time.Minute || got[2] < 2*time.Hour {
			t.Errorf("sent at %v", got)
		}
		if first, again := r.message(t, 0).ID, r.message(t, 1).ID; first == "" || first != again || r.message(t, 2).ID == first {
			t.Errorf("the messages are %q, %q, %q", first, again, r.message(t, 2).ID)
		}
		if err := q.Close(); err == nil || !strings.HasSuffix(err.Error(), "1; the last: refused; permanent") {
			t.Errorf("Close: %v", err)
		}
		if a := q.Account(); a.Delivered != 1 || a.Held != 0 || a.Accepted != 2 {
			t.Errorf("%+v", a)
		}
	})
}

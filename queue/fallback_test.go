package queue_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

// goroutineID returns what a stack begins with.
func goroutineID() string {
	buf := make([]byte, 64)
	id, _, _ := bytes.Cut(buf[:runtime.Stack(buf, false)], []byte(" ["))
	return string(id)
}

func TestHandler_fallbackTakesWhatOverflows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(gate)
		rec := &handlertest.Recorder{Before: open.hold}
		var by []string
		fallback := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error {
			by = append(by, goroutineID())
			return nil
		}}
		q := queue.New(rec, &queue.Options{Capacity: 2, MaxBlock: -1, Fallback: fallback})
		h := q.WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g").WithAttrs([]slog.Attr{slog.Int("b", 2)})
		mustHandle(t, h, slog.LevelError, 2)
		ctx := context.WithValue(context.Background(), contextKey{}, "value")
		if err := h.Handle(ctx, record(slog.LevelError, "overflowed", slog.Int("c", 3))); err != nil {
			t.Errorf("although the fallback took it: %v", err)
		}
		if err := q.HandleBatch(ctx, batchOf(slogworks.Escalation, slog.LevelError, 3)); err != nil {
			t.Errorf("although the fallback took the batch: %v", err)
		}
		if !slices.Equal(by, []string{goroutineID(), goroutineID()}) {
			t.Errorf("the fallback ran on %v, not on %v", by, goroutineID())
		}
		items := fallback.Items()
		if len(items) != 4 {
			t.Fatalf("%d records reached the fallback", len(items))
		}
		var out bytes.Buffer
		_ = slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: withoutTimeAttr}).Handle(ctx, items[0].Record)
		if want := `{"level":"ERROR","msg":"overflowed","a":1,"g":{"b":2,"c":3}}` + "\n"; out.String() != want {
			t.Errorf("the fallback got %s, want %s", &out, want)
		}
		if items[0].Context.Value(contextKey{}) != "value" {
			t.Error("the fallback got no values of the context")
		}
		if b := fallback.Batches(); len(b) != 1 || b[0].Kind != slogworks.Escalation {
			t.Errorf("the fallback got the batches %+v", b)
		}
		if n := q.Stats().DroppedOverflow.Error; n != 4 {
			t.Errorf("%d counted as dropped", n)
		}
		close(open)
		closeQueue(t, q)
		if err := h.Handle(ctx, record(slog.LevelError, "late")); err != queue.ErrClosed || len(fallback.Items()) != 4 {
			t.Errorf("after Close: %v, and the fallback has %d records", err, len(fallback.Items()))
		}
		if n := told(rec); n != 4 {
			t.Errorf("%d told", n)
		}
	})
}

func withoutTimeAttr(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

// brokenEnabled panics where nobody expects it.
type brokenEnabled struct{ handleFunc }

func TestHandler_fallbackThatDoesNotTakeARecord(t *testing.T) {
	refuse := func(context.Context, slogworks.Batch) error { return errors.New("refused") }
	for name, fallback := range map[string]slog.Handler{
		"is not enabled":  &handlertest.Recorder{Level: slog.LevelError + 1},
		"fails":           &handlertest.Recorder{Before: refuse},
		"panics":          handleFunc(func(context.Context, slog.Record) error { panic("Handle") }),
		"panics if asked": brokenEnabled{},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, _, open := full(t, queue.Options{Capacity: 1, MaxBlock: -1, Fallback: fallback})
				if err := handle(q, slog.LevelError, "m"); err != queue.ErrFull {
					t.Errorf("on the caller: %v", err)
				}
				close(open)
				closeQueue(t, q)

				q = queue.New(handleFunc(func(context.Context, slog.Record) error { return errors.New("failed") }), &queue.Options{Fallback: fallback})
				mustHandle(t, q, slog.LevelError, 10)
				closeQueue(t, q)
				if s := q.Stats(); s.Failed != 10 {
					t.Errorf("on the worker: %+v", s)
				}
			})
		})
	}
}

// With a Failover around it, what does not fit in is not lost.
func TestHandler_worksInAFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, rec, open := full(t, queue.Options{Capacity: 2, MaxBlock: -1})
		other := new(handlertest.Recorder)
		h := fanout.Failover(q, other)
		mustHandle(t, h, slog.LevelError, 3)
		if n := len(other.Items()); n != 3 {
			t.Errorf("%d records reached the other", n)
		}
		close(open)
		closeQueue(t, q)
		mustHandle(t, h, slog.LevelError, 1)
		if n := len(other.Items()); n != 4 || len(messages(rec)) != 2 {
			t.Errorf("%d records reached the other, and %q the first", n, messages(rec))
		}
	})
}

// What the sink fails to take reaches the fallback on the worker.
func TestHandler_fallbackTakesWhatFails(t *testing.T) {
	for _, err := range []error{errors.New("failed"), &slogworks.DeliveryError{Permanent: true}} {
		synctest.Test(t, func(t *testing.T) {
			var by, worker []string
			fallback := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error {
				by = append(by, goroutineID())
				return nil
			}}
			q := queue.New(handleFunc(func(context.Context, slog.Record) error {
				worker = append(worker, goroutineID())
				return err
			}), &queue.Options{Fallback: fallback})
			h := q.WithGroup("g")
			ctx := context.WithValue(context.Background(), contextKey{}, "value")
			if err := h.Handle(ctx, record(slog.LevelInfo, "m", slog.Int("i", 1))); err != nil {
				t.Error(err)
			}
			closeQueue(t, q)
			items := fallback.Items()
			if len(items) != 1 || attrs(items[0].Record)["g"].Group()[0].Key != "i" || items[0].Context.Value(contextKey{}) != "value" {
				t.Errorf("the fallback got %v", items)
			}
			if !slices.Equal(by, worker) || by[0] == goroutineID() {
				t.Errorf("the fallback ran on %v, the sink on %v", by, worker)
			}
			if s := q.Stats(); s.Failed != 1 || s.Handled != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A fallback that takes batches gets whole what failed as a whole; another
// gets every record that it is enabled for, whatever becomes of one.
func TestHandler_fallbackForBatches(t *testing.T) {
	errPermanent := &slogworks.DeliveryError{Accepted: 1, Permanent: true}
	for name, build := range map[string]func(opts *queue.Options) (q *queue.Handler, lost int){
		"failed": func(opts *queue.Options) (*queue.Handler, int) {
			return queue.New(batchFunc(func(context.Context, slogworks.Batch) error { return errPermanent }), opts), 4
		},
		"overflowed": func(opts *queue.Options) (*queue.Handler, int) {
			opts.Capacity = 1
			return queue.New(new(handlertest.Recorder), opts), 5
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := batchOf(slogworks.Escalation, slog.LevelError, 5)
			b.ID = "id"
			b.Items[3].Record.Level = slog.LevelDebug

			whole := new(handlertest.Recorder)
			q, lost := build(&queue.Options{Fallback: whole})
			err := q.HandleBatch(context.Background(), b)
			closeQueue(t, q)
			if got := whole.Batches(); err != nil || len(got) != 1 || len(got[0].Items) != lost || got[0].ID != "id" || got[0].Kind != slogworks.Escalation {
				t.Errorf("%v, and the fallback got %+v", err, got)
			}

			for _, behind := range []bool{false, true} {
				single := &handlertest.Recorder{Level: slog.LevelInfo, Before: func(_ context.Context, b slogworks.Batch) error {
					if b.Items[0].Record.Message == "escalation 2" {
						panic("refused")
					}
					return nil
				}}
				fallback := single.Plain()
				if behind {
					fallback = fanout.AtLeast(fallback, slog.LevelDebug)
				}
				q, lost = build(&queue.Options{Fallback: fallback})
				err = q.HandleBatch(context.Background(), b)
				closeQueue(t, q)
				want := []string{"escalation 0", "escalation 1", "escalation 4"}[5-lost:]
				if got := messages(single); !slices.Equal(got, want) {
					t.Errorf("the fallback got %q, want %q", got, want)
				}
				if name == "overflowed" && err != queue.ErrFull {
					t.Errorf("a batch of which the fallback took a part: %v", err)
				}
			}
		})
	}
}

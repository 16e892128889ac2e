package handlertest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/chain"
)

// broken is a handler that breaks a rule, and a part of the complaint.
type broken struct {
	rule, complaint string
	new             func(next slog.Handler) slog.Handler
	patience        time.Duration // a second, unless the check waits so long
}

func TestRun_findsTheHandlerThatBreaksARule(t *testing.T) {
	all := brokenHandlers(t)
	for _, name := range handlertest.RuleNames(false) {
		t.Run(name, func(t *testing.T) {
			tested := false
			for _, b := range all {
				if b.rule != name {
					continue
				}
				tested = true
				b.expect(t, check(func(r handlertest.Reporter) {
					handlertest.CheckWrapper(r, name, b.limit(), b.new)
				}))
			}
			if !tested {
				t.Error("no handler breaks this rule")
			}
		})
	}
}

// TestRunSink_findsTheSinkThatBreaksARule makes sinks of the handlers.
func TestRunSink_findsTheSinkThatBreaksARule(t *testing.T) {
	all := brokenHandlers(t)
	for _, name := range handlertest.RuleNames(true) {
		t.Run(name, func(t *testing.T) {
			for _, b := range all {
				if b.rule != name {
					continue
				}
				b.expect(t, check(func(r handlertest.Reporter) {
					handlertest.CheckSink(r, name, b.limit(), func() (slog.Handler, func() []map[string]any) { return overJSON(t, b.new) })
				}))
			}
		})
	}
}

func TestCompose_findsThePairThatBreaksARule(t *testing.T) {
	right := handlertest.Stage{Name: "through", New: newThrough}
	for _, b := range brokenStages() {
		t.Run(b.rule, func(t *testing.T) {
			wrong := handlertest.Stage{Name: "wrong", New: b.new}
			pairs := [][2]handlertest.Stage{{right, wrong}, {wrong, right}}
			if b.rule == "values are marshalled at most once" {
				pairs = [][2]handlertest.Stage{{wrong, wrong}} // one stage may do it
			}
			for _, p := range pairs {
				b.expect(t, check(func(r handlertest.Reporter) { handlertest.CheckPair(r, b.rule, b.limit(), p[0], p[1]) }))
			}
		})
	}
	for _, name := range handlertest.PairRuleNames() {
		if !slices.ContainsFunc(brokenStages(), func(b broken) bool { return b.rule == name }) {
			t.Errorf("no stage breaks the rule %q", name)
		}
	}
}

func (b broken) limit() time.Duration {
	if b.patience > 0 {
		return b.patience
	}
	return time.Second
}

func (b broken) expect(t *testing.T, o *outcome) {
	t.Helper()
	switch {
	case o.skipped == "the race detector allocates" && handlertest.RaceEnabled:
	case o.skipped != "":
		t.Errorf("skipped: %s", o.skipped)
	case !o.complains(b.complaint):
		t.Errorf("the complaints are %q, none with %q", o.errors, b.complaint)
	}
}

func brokenHandlers(t *testing.T) []broken {
	untilTheEnd := make(chan struct{})
	t.Cleanup(func() { close(untilTheEnd) })
	return []broken{
		{
			rule: "a nil next panics", complaint: "was accepted",
			new: func(next slog.Handler) slog.Handler { return &through{next, &throughFlaws{}} },
		},
		{
			rule: "a nil next panics", complaint: "panics with \"runtime error",
			new: func(next slog.Handler) slog.Handler {
				return flawedThrough(throughFlaws{})(next.WithGroup("group"))
			},
		},
		{
			rule: "slog's default handler as next panics", complaint: "was accepted",
			new: func(next slog.Handler) slog.Handler { return &through{next, &throughFlaws{}} },
		},
		{
			rule: "slog's default handler as next panics", complaint: "does not name the remedy",
			new: func(slog.Handler) slog.Handler { panic("bad handler") },
		},
		{
			rule: "Enabled changes nothing", complaint: "Enabled is false",
			new: func(next slog.Handler) slog.Handler {
				var tokens atomic.Int64
				return flawedThrough(throughFlaws{enabled: func(h *through, ctx context.Context, level slog.Level) bool {
					return tokens.Add(1) < 100
				}})(next)
			},
		},
		{
			rule: "Enabled changes nothing", complaint: "changed the account",
			new: func(next slog.Handler) slog.Handler {
				return &countsInEnabled{flawedHolder(holderFlaws{})(next).(*holder)}
			},
		},
		{
			rule: "Enabled does not allocate", complaint: "allocates",
			new: flawedThrough(throughFlaws{enabled: func(h *through, ctx context.Context, level slog.Level) bool {
				return h.next.Enabled(ctx, level) && level.String() != fmt.Sprint(level+1)
			}}),
		},
		{
			rule: "Enabled is false where next is not enabled", complaint: "its own rule AND next.Enabled",
			new: flawedThrough(throughFlaws{enabled: func(_ *through, _ context.Context, level slog.Level) bool {
				return level >= slog.LevelInfo
			}}),
		},
		{
			rule: "Enabled is true where next is enabled", complaint: "is not enabled at INFO and next is",
			new: func(next slog.Handler) slog.Handler {
				once := next != nil && next.Enabled(context.Background(), slog.LevelInfo)
				return flawedThrough(throughFlaws{enabled: func(*through, context.Context, slog.Level) bool { return once }})(next)
			},
		},
		{
			rule: "Handle does not reach a next that is not enabled", complaint: "reached a next",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				return h.next.Handle(ctx, r)
			}}),
		},
		{
			rule: "a derived handler is still the wrapper", complaint: "With ends what the handler does",
			new: flawedThrough(throughFlaws{withAttrs: func(h *through, attrs []slog.Attr) slog.Handler {
				return h.next.WithAttrs(attrs)
			}}),
		},
		{
			rule: "WithAttrs of nothing returns the receiver", complaint: "returns another handler",
			new: flawedThrough(throughFlaws{withAttrs: func(h *through, attrs []slog.Attr) slog.Handler {
				return &through{h.next.WithAttrs(attrs), h.throughFlaws}
			}}),
		},
		{
			rule: "WithGroup of an empty name returns the receiver", complaint: "returns another handler",
			new: flawedThrough(throughFlaws{withGroup: func(h *through, name string) slog.Handler {
				return &through{h.next.WithGroup(name), h.throughFlaws}
			}}),
		},
		{
			rule: "an empty group name does not reach next", complaint: "was forwarded",
			new: flawedThrough(throughFlaws{withGroup: func(h *through, name string) slog.Handler {
				return &through{h.next.WithGroup(name), h.throughFlaws}
			}}),
		},
		{
			rule: "next gets an attribute slice of its own", complaint: "next changed the slice that WithAttrs was called with",
			new: flawedThrough(throughFlaws{withAttrs: func(h *through, attrs []slog.Attr) slog.Handler {
				if len(attrs) == 0 {
					return h
				}
				return &through{h.next.WithAttrs(attrs), h.throughFlaws}
			}}),
		},
		{
			rule: "next gets an attribute slice of its own", complaint: "a record has the attributes",
			new: func(next slog.Handler) slog.Handler {
				requireNext(next)
				return &late{next: next}
			},
		},
		{
			rule: "WithAttrs and WithGroup leave the receiver as it was", complaint: "must return a new handler",
			new: flawedThrough(throughFlaws{withAttrs: func(h *through, attrs []slog.Attr) slog.Handler {
				h.next = h.next.WithAttrs(attrs)
				return h
			}}),
		},
		{
			rule: "handlers derived from one handler share no memory", complaint: "has the attribute of its sibling",
			new: func(next slog.Handler) slog.Handler {
				requireNext(next)
				return &sharing{next: next}
			},
		},
		{
			rule: "a cancelled context drops nothing", complaint: "arrived 0 times",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return h.next.Handle(ctx, r)
			}}),
		},
		{
			rule: "a cancelled context drops nothing", complaint: "is false with a cancelled context",
			new: flawedThrough(throughFlaws{enabled: func(h *through, ctx context.Context, level slog.Level) bool {
				return ctx.Err() == nil && h.next.Enabled(ctx, level)
			}}),
		},
		{
			rule: "a nil context does not panic", complaint: "Handle with a nil context panicked",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				return h.next.Handle(context.WithoutCancel(ctx), r)
			}}),
		},
		{
			rule: "the values of the context reach next", complaint: "without the values of the context",
			new: flawedThrough(throughFlaws{handle: func(h *through, _ context.Context, r slog.Record) error {
				return h.next.Handle(context.Background(), r)
			}}),
		},
		{
			rule: "the end of the caller's context does not reach a kept record", complaint: "with a context that had ended",
			new: flawedHolder(holderFlaws{keepContext: func(ctx context.Context) context.Context { return ctx }}),
		},
		{
			rule: "slogtest is satisfied", complaint: "missing group",
			new: flawedThrough(throughFlaws{withGroup: func(h *through, _ string) slog.Handler { return h }}),
		},
		{
			rule: "a record arrives with all its attributes", complaint: "of a record of 6 attributes",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				short := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
				r.Attrs(func(a slog.Attr) bool {
					short.AddAttrs(a)
					return short.NumAttrs() < 5
				})
				return h.next.Handle(ctx, short)
			}}),
		},
		{
			rule: "time, level, message, PC and the order of attributes are kept", complaint: "the PC is another",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				r.PC = 0
				return h.next.Handle(ctx, r)
			}}),
		},
		{
			rule: "time, level, message, PC and the order of attributes are kept", complaint: "in another order",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				var attrs []slog.Attr
				r.Attrs(func(a slog.Attr) bool {
					attrs = append(attrs, a)
					return true
				})
				slices.Reverse(attrs)
				r = slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
				r.AddAttrs(attrs...)
				return h.next.Handle(ctx, r)
			}}),
		},
		{
			rule: "a zero time and a zero PC stay zero", complaint: "not to make one up",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				if r.Time.IsZero() {
					r.Time = time.Now()
				}
				return h.next.Handle(ctx, r)
			}}),
		},
		{
			rule: "records are cloned before they are kept or extended", complaint: "call r.Clone() before r.AddAttrs",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				r.AddAttrs(slog.Bool("added", true))
				return h.next.Handle(ctx, r)
			}}),
		},
		{
			rule: "records are cloned before they are kept or extended", complaint: "call r.Clone() before keeping or extending it",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				r.AddAttrs(slog.Bool("added", true))
				return h.next.Handle(ctx, r)
			}}),
		},
		{
			rule: "records of several goroutines arrive once and in order", complaint: "arrived in the place of record 0",
			new: flawedHolder(holderFlaws{backwards: true}),
		},
		{
			rule: "records of several goroutines arrive once and in order", complaint: "of the 25 records of goroutine",
			new: func(next slog.Handler) slog.Handler {
				var n atomic.Int64
				return flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
					if n.Add(1)%10 == 0 {
						return nil
					}
					return h.next.Handle(ctx, r)
				}})(next)
			},
		},
		{
			rule: "a LogValuer is evaluated before Handle returns", complaint: "and arrived as \"later\"",
			new: flawedHolder(holderFlaws{freeze: slog.Record.Clone}),
		},
		{
			rule: "a value that may change is read before Handle returns", complaint: "must be copied or printed first",
			new: flawedHolder(holderFlaws{freeze: slog.Record.Clone}),
		},
		{
			rule: "a LogValuer may log", complaint: "did not arrive",
			new: func(next slog.Handler) slog.Handler {
				var mu sync.Mutex
				return flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
					if !mu.TryLock() { // Lock would never return
						return errors.New("deadlock")
					}
					defer mu.Unlock()
					return h.next.Handle(ctx, chain.FreezeRecord(r))
				}})(next)
			},
		},
		{
			rule: "a LogValuer may log", complaint: "nor for a lock that its own caller holds", patience: 50 * time.Millisecond,
			new: flawedThrough(throughFlaws{handle: func(*through, context.Context, slog.Record) error {
				<-untilTheEnd
				return nil
			}}),
		},
		{
			rule: "groups and values are not modified in place", complaint: "a slice of group members was changed",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				r.Attrs(func(a slog.Attr) bool {
					if a.Value.Kind() == slog.KindGroup {
						for i, member := range a.Value.Group() {
							a.Value.Group()[i].Value = member.Value.Resolve()
						}
					}
					return true
				})
				return h.next.Handle(ctx, r)
			}}),
		},
		{
			rule: "an odd value costs no record", complaint: "Handle of a LogValuer that panics panicked: LogValue panics",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				r.Attrs(func(a slog.Attr) bool {
					if a.Value.Kind() == slog.KindLogValuer {
						a.Value.LogValuer().LogValue()
					}
					return true
				})
				return h.next.Handle(ctx, r)
			}}),
		},
		{
			rule: "an odd value costs no record", complaint: "a record with a channel arrived 0 times",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				failed := false
				r.Attrs(func(a slog.Attr) bool {
					if _, ok := a.Value.Any().(chan int); ok {
						failed = true
					}
					return true
				})
				if failed {
					return nil
				}
				return h.next.Handle(ctx, r)
			}}),
		},
		{
			rule: "an error of next is returned or counted", complaint: "next failed 3 times, and 0 of that could be seen",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				_ = h.next.Handle(ctx, r)
				return nil
			}}),
		},
		{
			rule: "a DeliveryError of next is passed on unchanged or not at all", complaint: "about its own items",
			new: flawedThrough(throughFlaws{handleBatch: func(h *through, ctx context.Context, b slogworks.Batch) error {
				err := handOn(ctx, h.next, b)
				var delivery *slogworks.DeliveryError
				if errors.As(err, &delivery) {
					return &slogworks.DeliveryError{Err: delivery.Err}
				}
				return err
			}}),
		},
		{
			rule: "the handler does not log through slog or log", complaint: "handling",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				log.Print("handling")
				return h.next.Handle(ctx, r)
			}}),
		},
		{
			rule: "the handler does not log through slog or log", complaint: "at debug level",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				slog.Debug("at debug level")
				return h.next.Handle(ctx, r)
			}}),
		},
		{
			rule: "a failure of next is not logged through slog or log", complaint: "next failed",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				err := h.next.Handle(ctx, r)
				if err != nil {
					slog.Error("next failed")
				}
				return err
			}}),
		},
		{
			rule: "Flush and Shutdown reach next", complaint: "slogworks.Flush of the handler does not reach next",
			new: flawedThrough(throughFlaws{unwrap: func(*through) slog.Handler { return slog.DiscardHandler }}),
		},
		{
			rule: "Flush delivers what is not held", complaint: "Flush must wait",
			new: flawedHolder(holderFlaws{accounts: func(right slogworks.Account) slogworks.Account {
				right.Delivered += right.Held
				right.Held = 0
				return right
			}}),
		},
		{
			rule: "Flush may be called twice", complaint: "Flush returned \"flushed before\"",
			new: func(next slog.Handler) slog.Handler {
				var before atomic.Bool
				return flawedHolder(holderFlaws{flush: func(_ context.Context, right func() error) error {
					if before.Swap(true) {
						return errors.New("flushed before")
					}
					return right()
				}})(next)
			},
		},
		{
			rule: "Shutdown may be called twice and at once", complaint: "each call waits for the end and returns nil",
			new: func(next slog.Handler) slog.Handler {
				var before atomic.Bool
				return flawedHolder(holderFlaws{shutdown: func(_ context.Context, right func() error) error {
					if before.Swap(true) {
						return errors.New("shut down before")
					}
					return right()
				}})(next)
			},
		},
		{
			rule: "Handle after Shutdown returns an error and counts the record", complaint: "it must refuse the record",
			new: flawedHolder(holderFlaws{neverCloses: true}),
		},
		{
			rule: "Handle after Shutdown returns an error and counts the record", complaint: "counts as Accepted and as Dropped",
			new: flawedHolder(holderFlaws{accounts: func(right slogworks.Account) slogworks.Account {
				right.Accepted -= right.Dropped["closed"]
				delete(right.Dropped, "closed")
				return right
			}}),
		},
		{
			rule: "Shutdown ends the handler when its context is over", complaint: "whatever its context says",
			new: flawedHolder(holderFlaws{shutdown: func(ctx context.Context, right func() error) error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return right()
			}}),
		},
		{
			rule: "Shutdown ends the handler when its context is over", complaint: "does not wrap ctx.Err()",
			new: flawedHolder(holderFlaws{shutdown: func(ctx context.Context, right func() error) error {
				return errors.Join(right(), errors.New("no time"))
			}}),
		},
		{
			rule: "the books balance after Shutdown", complaint: "do not balance",
			new: flawedHolder(holderFlaws{accounts: func(right slogworks.Account) slogworks.Account {
				right.Delivered = 0
				return right
			}}),
		},
		{
			rule: "the books balance after Shutdown", complaint: "each counts as Accepted once",
			new: flawedHolder(holderFlaws{accounts: func(right slogworks.Account) slogworks.Account {
				right.Accepted *= 2
				right.Delivered *= 2
				return right
			}}),
		},
		{
			rule: "Shutdown leaves no goroutine behind", complaint: "run on after Shutdown", patience: 300 * time.Millisecond,
			new: flawedHolder(holderFlaws{freeze: func(r slog.Record) slog.Record {
				go func() { <-untilTheEnd }()
				return chain.FreezeRecord(r)
			}}),
		},
		{
			rule: "a stream batch arrives whole and in order", complaint: "arrived in order",
			new: flawedThrough(throughFlaws{handleBatch: func(h *through, ctx context.Context, b slogworks.Batch) error {
				b.Items = slices.Clone(b.Items)
				slices.Reverse(b.Items)
				return handOn(ctx, h.next, b)
			}}),
		},
		{
			rule: "an escalation stays one batch", complaint: "became 5 batches",
			new: flawedThrough(throughFlaws{handleBatch: split}),
		},
		{
			rule: "an escalation stays one batch", complaint: "was passed on as {ID: \"\"",
			new: flawedThrough(throughFlaws{handleBatch: func(h *through, ctx context.Context, b slogworks.Batch) error {
				return handOn(ctx, h.next, slogworks.Batch{Items: b.Items})
			}}),
		},
		{
			rule: "a batch reaches a next that does not take batches record by record", complaint: "without the values of its Item's Context",
			new: flawedThrough(throughFlaws{handleBatch: func(h *through, ctx context.Context, b slogworks.Batch) error {
				for _, item := range b.Items {
					if err := h.next.Handle(ctx, item.Record); err != nil {
						return err
					}
				}
				return nil
			}}),
		},
		{
			rule: "the values of a batch are passed on as they are", complaint: "copied or printed anew",
			new: flawedThrough(throughFlaws{handleBatch: func(h *through, ctx context.Context, b slogworks.Batch) error {
				b.Items = slices.Clone(b.Items)
				for i := range b.Items {
					b.Items[i].Record = chain.FreezeRecord(b.Items[i].Record)
				}
				return handOn(ctx, h.next, b)
			}}),
		},
		{
			rule: "the items of a batch are not modified", complaint: "changed item 0",
			new: flawedThrough(throughFlaws{handleBatch: func(h *through, ctx context.Context, b slogworks.Batch) error {
				for i := range b.Items {
					b.Items[i].Record.Message += "!"
				}
				return handOn(ctx, h.next, b)
			}}),
		},
		{
			rule: "the items of a batch are not modified", complaint: "added attributes to record 0",
			new: flawedThrough(throughFlaws{handleBatch: func(h *through, ctx context.Context, b slogworks.Batch) error {
				b.Items = slices.Clone(b.Items)
				for i := range b.Items {
					b.Items[i].Record.AddAttrs(slog.Bool("added", true))
				}
				return handOn(ctx, h.next, b)
			}}),
		},
		{
			rule: "the items of a batch are not modified", complaint: "appended to the slice",
			new: flawedThrough(throughFlaws{handleBatch: func(h *through, ctx context.Context, b slogworks.Batch) error {
				b.Items = append(b.Items, b.Items[0])
				return handOn(ctx, h.next, b)
			}}),
		},
		{
			rule: "an error of next for a batch is returned or counted", complaint: "the books show 0 dropped",
			new: flawedThrough(throughFlaws{handleBatch: func(h *through, ctx context.Context, b slogworks.Batch) error {
				_ = handOn(ctx, h.next, b)
				return nil
			}}),
		},
		{
			rule: "HandleBatch after Shutdown returns an error and counts the records", complaint: "must refuse the batch",
			new: flawedHolder(holderFlaws{neverCloses: true}),
		},
	}
}

func brokenStages() []broken {
	return []broken{
		{
			rule: "records arrive once and in order", complaint: "arrived in the place of record",
			new: flawedHolder(holderFlaws{backwards: true}),
		},
		{
			rule: "the values of the context arrive", complaint: "without the values of the context",
			new: flawedThrough(throughFlaws{handle: func(h *through, _ context.Context, r slog.Record) error {
				return h.next.Handle(context.Background(), r)
			}}),
		},
		{
			rule: "values are marshalled at most once", complaint: "marshalled 2 times",
			new: flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
				r.Attrs(func(a slog.Attr) bool {
					_, err := json.Marshal(a.Value.Any())
					return err == nil
				})
				return h.next.Handle(ctx, r)
			}}),
		},
		{
			rule: "Flush releases nothing that is held", complaint: "what waits for something to happen must wait on",
			new: flawedHolder(holderFlaws{releases: true}), patience: 400 * time.Millisecond,
		},
		{
			rule: "an escalation arrives as one batch", complaint: "became 5 batches",
			new: flawedThrough(throughFlaws{handleBatch: split}),
		},
		{
			rule: "the books of every stage balance after Shutdown", complaint: "do not balance",
			new: flawedHolder(holderFlaws{accounts: func(right slogworks.Account) slogworks.Account {
				right.Delivered = 0
				return right
			}}),
		},
		{
			rule: "the pipeline may be shut down twice", complaint: "shut down before",
			new: func(next slog.Handler) slog.Handler {
				var before atomic.Bool
				return flawedHolder(holderFlaws{shutdown: func(_ context.Context, right func() error) error {
					if before.Swap(true) {
						return errors.New("shut down before")
					}
					return right()
				}})(next)
			},
		},
	}
}

// split makes a batch of each item.
func split(h *through, ctx context.Context, b slogworks.Batch) error {
	for i := range b.Items {
		part := b
		part.Items = b.Items[i : i+1]
		if err := handOn(ctx, h.next, part); err != nil {
			return err
		}
	}
	return nil
}

// countsInEnabled takes being asked for being given a record.
type countsInEnabled struct{ *holder }

func (h *countsInEnabled) Enabled(ctx context.Context, level slog.Level) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.account.Accepted++
	return h.holder.Enabled(ctx, level)
}

// late derives next for each record, again and again from the same slice.
type late struct {
	next  slog.Handler
	attrs []slog.Attr
	group string
}

func (h *late) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *late) Handle(ctx context.Context, r slog.Record) error {
	next := h.next.WithAttrs(h.attrs)
	if h.group != "" {
		next = next.WithGroup(h.group)
	}
	return next.Handle(ctx, r)
}

func (h *late) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &late{h.next, slices.Concat(h.attrs, attrs), h.group}
}

func (h *late) WithGroup(name string) slog.Handler { return &late{h.next, h.attrs, name} }

// sharing collects the attributes of With in a slice that siblings append to.
type sharing struct {
	next  slog.Handler
	attrs []slog.Attr
}

func (h *sharing) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *sharing) Handle(ctx context.Context, r slog.Record) error {
	return h.next.WithAttrs(slices.Clone(h.attrs)).Handle(ctx, r)
}

func (h *sharing) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &sharing{h.next, append(h.attrs, attrs...)}
}

func (h *sharing) WithGroup(name string) slog.Handler {
	return &sharing{h.next.WithGroup(name), h.attrs}
}

package fingerscrossed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/fingerscrossed"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/queue"
)

// randomValue returns one of any kind. What can change is returned as a function
// that changes it.
func randomValue(r *rand.Rand, depth int) (v slog.Value, change func()) {
	change = func() {}
	switch n := r.IntN(16); {
	case n == 0:
		return slog.IntValue(r.IntN(100)), change
	case n == 1:
		return slog.StringValue(fmt.Sprintf("a \"string\" %d", r.IntN(100))), change
	case n == 2:
		return slog.DurationValue(time.Duration(r.Int64N(1e12))), change
	case n == 3:
		return slog.TimeValue(time.Unix(r.Int64N(1e9), r.Int64N(1e9)).UTC()), change
	case n == 4:
		return slog.Float64Value(r.NormFloat64()), change
	case n == 5:
		return slog.BoolValue(r.IntN(2) == 0), change
	case n == 6:
		return slog.AnyValue(fmt.Errorf("failure %d", r.IntN(100))), change
	case n == 7:
		b := []byte("bytes")
		return slog.AnyValue(b), func() { b[0] = 'X' }
	case n == 8:
		m := map[string]any{"a": 1, "b": []int{1, 2}}
		return slog.AnyValue(m), func() { m["a"] = "changed" }
	case n == 9:
		p := &struct{ Name string }{"name"}
		return slog.AnyValue(p), func() { p.Name = "changed" }
	case n == 10:
		u := &user{name: "name"}
		return slog.AnyValue(u), func() { u.name = "changed" }
	case n == 11:
		return slog.AnyValue(nil), change
	case n <= 13 && depth > 0:
		attrs, change := randomAttrs(r, depth-1)
		return slog.GroupValue(attrs...), change
	}
	return slog.Uint64Value(r.Uint64()), change
}

// user resolves to a group that has a value which can change.
type user struct{ name string }

func (u *user) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", u.name), slog.Any("list", []string{u.name}))
}

func randomAttrs(r *rand.Rand, depth int) (attrs []slog.Attr, change func()) {
	var changes []func()
	for i := range r.IntN(8) {
		key := fmt.Sprintf("k%d", i)
		if r.IntN(8) == 0 {
			key = ""
		}
		v, change := randomValue(r, depth)
		attrs = append(attrs, slog.Attr{Key: key, Value: v})
		changes = append(changes, change)
	}
	return attrs, func() {
		for _, change := range changes {
			change()
		}
	}
}

func TestScope_replaysByteByByte(t *testing.T) {
	options := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	for name, newHandler := range map[string]func(io.Writer) slog.Handler{
		"JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, options) },
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, options) },
	} {
		for _, inBatches := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in batches: %t", name, inBatches), func(t *testing.T) {
				for seed := range uint64(60) {
					r := rand.New(rand.NewPCG(seed, 1))
					var direct, replayed bytes.Buffer
					next := newHandler(&replayed)
					if inBatches {
						next = fanout.New(next)
					}
					h := fingerscrossed.New(next, nil)
					ctx, s := h.Begin(t.Context())
					alone, held := []slog.Handler{newHandler(&direct)}, []slog.Handler{slog.Handler(h)}
					for range 40 {
						i := r.IntN(len(alone))
						switch r.IntN(4) {
						case 0:
							attrs, change := randomAttrs(r, 2)
							alone = append(alone, alone[i].WithAttrs(slices.Clone(attrs)))
							held = append(held, held[i].WithAttrs(attrs))
							change()
						case 1:
							group := fmt.Sprintf("g%d", r.IntN(3))
							alone, held = append(alone, alone[i].WithGroup(group)), append(held, held[i].WithGroup(group))
						default:
							var pcs [1]uintptr
							runtime.Callers(1, pcs[:])
							record := slog.NewRecord(time.Unix(r.Int64N(1e9), 0), slog.LevelDebug, "message", pcs[0])
							attrs, change := randomAttrs(r, 2)
							record.AddAttrs(attrs...)
							if err := alone[i].Handle(ctx, record.Clone()); err != nil {
								t.Fatal(err)
							}
							if err := held[i].Handle(ctx, record); err != nil {
								t.Fatal(err)
							}
							change()
						}
					}
					if replayed.Len() > 0 {
						t.Fatal("nothing was held")
					}
					if err := s.Trigger(); err != nil {
						t.Fatal(err)
					}
					if replayed.String() != direct.String() {
						t.Fatalf("seed %d: replayed is\n%s\ndirect is\n%s", seed, &replayed, &direct)
					}
					s.End(nil)
				}
			})
		}
	}
}

func TestScope_keepsTheContextAndNotItsEnd(t *testing.T) {
	type key struct{}
	for _, test := range []string{"released", "ended", "evicted", "Shutdown"} {
		for _, takesBatches := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in batches: %t", test, takesBatches), func(t *testing.T) {
				h, logger, rec := plain(&fingerscrossed.Options{MaxRecords: 4})
				if takesBatches {
					h, logger, rec = batched(&fingerscrossed.Options{MaxRecords: 4})
				}
				ctx, s := h.Begin(t.Context())
				for i := range 8 {
					ctx, cancel := context.WithTimeout(context.WithValue(ctx, key{}, i), time.Hour)
					logger.InfoContext(ctx, "i")
					cancel()
				}
				switch test {
				case "released":
					if err := s.Trigger(); err != nil {
						t.Error(err)
					}
				case "Shutdown":
					shutDown(t, h)
				}
				s.End(nil)
				items := rec.Items()
				if len(items) != 8 {
					t.Fatalf("%d records arrived", len(items))
				}
				for i, item := range items {
					ctx := item.Context
					if got := ctx.Value(key{}); got != i {
						t.Errorf("record %d came with the value %v", i, got)
					}
					if _, ok := ctx.Deadline(); ok || ctx.Err() != nil || context.Cause(ctx) != nil {
						t.Errorf("record %d came with a context that has ended: %v, cause %v", i, ctx.Err(), context.Cause(ctx))
					}
					if h.Scope(ctx) != nil || h.Enabled(ctx, slog.LevelDebug) {
						t.Errorf("record %d came with a context that is in a scope", i)
					}
				}
			})
		}
	}
}

// uncomparable is a legal context that == panics on.
type uncomparable struct {
	context.Context
	_ []int
}

func TestScope_acceptsContextsThatCannotBeCompared(t *testing.T) {
	h, logger, rec := plain(nil)
	ctx, s := h.Begin(uncomparable{Context: t.Context()})
	logAll(uncomparable{Context: ctx}, logger, "d1 d2 e1")
	s.End(nil)
	wantMessages(t, rec, "d1 d2 e1")
}

func TestScope_releasesOneBatchThroughAQueue(t *testing.T) {
	rec := new(handlertest.Recorder)
	q := queue.New(rec, nil)
	h := fingerscrossed.New(q, nil)
	logger := slog.New(h).With("k", 1)
	ctx, s := h.Begin(t.Context())
	logAll(ctx, logger, "d1 i1 d2 e1 d3")
	s.End(nil)
	if err := slogworks.Shutdown(t.Context(), h); err != nil {
		t.Error(err)
	}
	if got := rec.Batches(); len(got) == 0 || describe(got[0]) != "escalation d1 i1 d2 e1" {
		t.Errorf("the batches are %v", got)
	}
	wantMessages(t, rec, "d1 i1 d2 e1 d3")
	for _, account := range slogworks.Books(h) {
		if account.Accepted != 5 || account.Delivered != 5 {
			t.Errorf("an account is %+v", account)
		}
	}
}

func TestScope_releasesOnlyWhatTheNextHandlerIsOpenAt(t *testing.T) {
	for _, takesBatches := range []bool{false, true} {
		var level slog.LevelVar
		level.Set(slog.LevelDebug)
		rec := &handlertest.Recorder{Level: &level}
		next := slog.Handler(rec)
		if !takesBatches {
			next = rec.Plain()
		}
		h := fingerscrossed.New(next, nil)
		logger := slog.New(h)
		ctx, s := h.Begin(t.Context())
		logAll(ctx, logger, "d1 w1 d2 w2 d3")
		level.Set(slog.LevelWarn)
		if err := s.Trigger(); err != nil {
			t.Error(err)
		}
		wantMessages(t, rec, "w1 w2")
		if takesBatches {
			wantBatches(t, rec, "stream w1 w2") // what they led up to is not there
		}
		s.End(nil)
		if got, want := s.Stats(), (fingerscrossed.Stats{Accepted: 5, Written: 2, Discarded: 3, Escalations: 1}); got != want {
			t.Errorf("the counts are %+v, want %+v", got, want)
		}
		shutDown(t, h)
	}
}

func TestScope_countsWhatABatchHandlerAccepted(t *testing.T) {
	for _, test := range []struct {
		err     error
		written uint64
	}{
		{errFailed, 0},
		{&slogworks.DeliveryError{Accepted: 2, Err: errFailed}, 2},
		{&slogworks.DeliveryError{Accepted: 99, Err: errFailed}, 4},
		{&slogworks.DeliveryError{Accepted: -1, Err: errFailed}, 0},
	} {
		rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error { return test.err }}
		h := fingerscrossed.New(rec, nil)
		ctx, s := h.Begin(t.Context())
		logAll(ctx, slog.New(h), "d1 d2 d3")
		err := h.Handle(ctx, slog.NewRecord(time.Time{}, slog.LevelError, "e", 0))
		if _, ok := err.(*slogworks.DeliveryError); ok || !errors.Is(err, errFailed) {
			t.Errorf("Handle of one record returned %#v, which counts those of a batch", err)
		}
		s.End(nil)
		if got := s.Stats(); got.Written != test.written || got.Failed != 4-test.written {
			t.Errorf("after %v the counts are %+v", test.err, got)
		}
		shutDown(t, h)
	}
}

func TestScope_writesTheRestAfterAnError(t *testing.T) {
	fails := func(_ context.Context, b slogworks.Batch) error {
		switch b.Items[0].Record.Message {
		case "d1", "i1":
			return errFailed
		case "d2", "i2":
			panic("oops")
		}
		return nil
	}
	rec := &handlertest.Recorder{Before: fails}
	h := fingerscrossed.New(rec.Plain(), nil)
	logger := slog.New(h)
	ctx, s := h.Begin(t.Context())
	logAll(ctx, logger, "d1 d2 d3")
	err := s.Trigger()
	if !errors.Is(err, errFailed) || !strings.Contains(err.Error(), "2 records") {
		t.Errorf("Trigger returned %v", err)
	}
	s.End(nil)
	ctx, s = h.Begin(t.Context())
	logAll(ctx, logger, "i1 i2 i3")
	s.End(nil)
	wantMessages(t, rec, "d3 i3")
	if got, want := h.Stats(), (fingerscrossed.Stats{Accepted: 6, Written: 2, Failed: 4, Escalations: 1}); got != want {
		t.Errorf("the counts are %+v, want %+v", got, want)
	}
	shutDown(t, h)
}

// hostile panics wherever a handler is called but in Handle, where it adds to
// the record.
type hostile struct {
	*handlertest.Recorder
	in    string
	added slog.Record
}

func (h *hostile) Handle(ctx context.Context, r slog.Record) error {
	if h.in == "Handle" {
		r.AddAttrs(slog.Int("added", 1))
		h.added = r
	}
	return h.Recorder.Handle(ctx, r)
}

func (h *hostile) Enabled(ctx context.Context, level slog.Level) bool {
	if h.in == "Enabled" {
		panic("oops")
	}
	return h.Recorder.Enabled(ctx, level)
}

func (h *hostile) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	if h.in == "HandleBatch" {
		panic("oops")
	}
	return h.Recorder.HandleBatch(ctx, b)
}

func (h *hostile) WithGroup(name string) slog.Handler {
	if h.in == "WithGroup" {
		panic("oops")
	}
	return h.Recorder.WithGroup(name)
}

func TestScope_survivesANextThatPanics(t *testing.T) {
	for _, in := range []string{"Enabled", "HandleBatch", "WithGroup", "OnError", "Open", "Close"} {
		t.Run(in, func(t *testing.T) {
			next := &hostile{Recorder: new(handlertest.Recorder)}
			opts := &fingerscrossed.Options{OnError: func(error) {
				if in == "OnError" {
					panic("oops")
				}
			}}
			switch in {
			case "Open":
				opts.Open = func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) { panic("oops") }
			case "WithGroup":
				opts.Open = func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) {
					return &unbatched{next}, nil, nil
				}
			case "Close":
				opts.Open = func(context.Context, slogworks.View) (slog.Handler, io.Closer, error) {
					return next, closeFunc(func() error { panic("oops") }), nil
				}
			}
			h := fingerscrossed.New(next, opts)
			ctx, s := h.Begin(t.Context())
			logAll(ctx, slog.New(h).WithGroup("g"), "d1 i1")
			next.in = in
			_ = s.Trigger()
			next.in = ""
			failed := errFailed
			s.End(&failed)
			ctx, s = h.Begin(t.Context())
			logAll(ctx, slog.New(h), "d2 e2")
			s.End(nil)
			wantBalanced(t, h)
			if !strings.HasSuffix(messages(next.Recorder), "d2 e2") {
				t.Errorf("afterwards, %s was written", messages(next.Recorder))
			}
			shutDown(t, h)
		})
	}
}

// unbatched hides that a handler takes batches.
type unbatched struct{ slog.Handler }

type closeFunc func() error

func (f closeFunc) Close() error { return f() }

// talker logs a few records of its own to its scope's logger for each record
// that it is given, with the context that is at hand.
type talker struct {
	*handlertest.Recorder
	talk func(ctx context.Context, message string)
}

func (k *talker) Handle(ctx context.Context, r slog.Record) error {
	if !strings.Contains(r.Message, "own") {
		k.talk(ctx, r.Message)
	}
	return k.Recorder.Handle(ctx, r)
}

func (k *talker) HandleBatch(ctx context.Context, b slogworks.Batch) error {
	for _, item := range b.Items {
		if !strings.Contains(item.Record.Message, "own") {
			k.talk(item.Context, item.Record.Message)
		}
	}
	return k.Recorder.HandleBatch(ctx, b)
}

func TestScope_doesNotDeadlockWhenTheNextHandlerLogs(t *testing.T) {
	for _, test := range []struct {
		name string
		opts fingerscrossed.Options
		talk func(h *fingerscrossed.Handler, scope context.Context, s *fingerscrossed.Scope) func(ctx context.Context, message string)
		want []string // must arrive, once each
	}{
		{"with the context it was given", fingerscrossed.Options{MaxRecords: 2},
			func(h *fingerscrossed.Handler, _ context.Context, _ *fingerscrossed.Scope) func(context.Context, string) {
				return func(ctx context.Context, m string) { logAll(ctx, slog.New(h), "d-own-"+m+" i-own-"+m) }
			}, []string{"i-own-d4", "i-own-e1", "i-own-i1"}},
		{"with the context of the scope", fingerscrossed.Options{},
			func(h *fingerscrossed.Handler, scope context.Context, _ *fingerscrossed.Scope) func(context.Context, string) {
				return func(_ context.Context, m string) { logAll(scope, slog.New(h), "d-own-"+m+" i-own-"+m+" e-own-"+m) }
			}, []string{"d-own-d4", "i-own-d4", "e-own-d4", "i-own-e1"}},
		{"much with the context of the scope", fingerscrossed.Options{MaxRecords: 2},
			func(h *fingerscrossed.Handler, scope context.Context, _ *fingerscrossed.Scope) func(context.Context, string) {
				return func(_ context.Context, m string) {
					for i := range 10 {
						logAll(scope, slog.New(h), fmt.Sprintf("d-own-%d-%s i-own-%[1]d-%[2]s e-own-%[1]d-%[2]s", i, m))
					}
				}
			}, []string{"i-own-0-d4", "i-own-9-d4", "e-own-0-e1"}},
		{"much and armed again", fingerscrossed.Options{MaxRecords: 2, After: fingerscrossed.Rearm},
			func(h *fingerscrossed.Handler, scope context.Context, s *fingerscrossed.Scope) func(context.Context, string) {
				return func(_ context.Context, m string) {
					for i := range 10 {
						logAll(context.Background(), s.Logger(slog.New(h)), fmt.Sprintf("d-own-%d-%s i-own-%[1]d-%[2]s", i, m))
					}
				}
			}, []string{"i-own-0-d4", "i-own-9-d4", "i-own-9-e1"}},
		{"and releases the scope", fingerscrossed.Options{},
			func(_ *fingerscrossed.Handler, _ context.Context, s *fingerscrossed.Scope) func(context.Context, string) {
				return func(context.Context, string) {
					if err := s.Trigger(); err != nil {
						t.Error(err)
					}
					s.Discard()
				}
			}, nil},
		{"and ends the scope", fingerscrossed.Options{},
			func(_ *fingerscrossed.Handler, _ context.Context, s *fingerscrossed.Scope) func(context.Context, string) {
				return func(context.Context, string) { s.End(nil) }
			}, nil},
		{"and lets the scope fail", fingerscrossed.Options{After: fingerscrossed.Rearm},
			func(_ *fingerscrossed.Handler, _ context.Context, s *fingerscrossed.Scope) func(context.Context, string) {
				failed := errFailed
				return func(context.Context, string) { s.End(&failed) }
			}, nil},
		{"and opens a scope within the scope", fingerscrossed.Options{},
			func(h *fingerscrossed.Handler, scope context.Context, _ *fingerscrossed.Scope) func(context.Context, string) {
				return func(_ context.Context, m string) {
					ctx, inner := h.Begin(scope)
					logAll(ctx, slog.New(h), "d-own-"+m+" i-own-"+m)
					inner.End(nil)
					failed := errFailed
					ctx, inner = h.Begin(scope)
					logAll(ctx, slog.New(h), "d-own-f-"+m)
					inner.End(&failed)
				}
			}, []string{"i-own-d4", "d-own-f-d4", "d-own-f-e1"}},
		{"and flushes", fingerscrossed.Options{},
			func(h *fingerscrossed.Handler, _ context.Context, _ *fingerscrossed.Scope) func(context.Context, string) {
				return func(_ context.Context, m string) {
					if err := h.Flush(context.Background()); err == nil && m != "i1" {
						t.Error("Flush, called by the handler it waits for, returned nil")
					}
				}
			}, nil},
		{"and shuts down", fingerscrossed.Options{},
			func(h *fingerscrossed.Handler, _ context.Context, _ *fingerscrossed.Scope) func(context.Context, string) {
				return func(_ context.Context, m string) {
					if err := h.Shutdown(context.Background()); err == nil && m != "i1" {
						t.Error("Shutdown, called by the handler it waits for, returned nil")
					}
				}
			}, nil},
	} {
		for _, takesBatches := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in batches: %t", test.name, takesBatches), func(t *testing.T) {
				next := &talker{Recorder: new(handlertest.Recorder)}
				handler := slog.Handler(next)
				if !takesBatches {
					handler = &unbatched{next}
				}
				h := fingerscrossed.New(handler, &test.opts)
				logger := slog.New(h)
				ctx, s := h.Begin(t.Context())
				next.talk = test.talk(h, ctx, s)
				ends := strings.Contains(test.name, "ends") || strings.Contains(test.name, "fail")
				done := make(chan struct{})
				go func() {
					defer close(done)
					logAll(ctx, logger, "d1 d2 d3 d4 e1 i1")
					if !ends {
						s.End(nil)
					}
				}()
				select {
				case <-done:
				case <-time.After(20 * time.Second):
					buf := make([]byte, 1<<16)
					t.Fatalf("deadlock:\n%s", buf[:runtime.Stack(buf, true)])
				}
				if n := fingerscrossed.InUse(h); n != 0 {
					t.Errorf("%d buffers are in use", n)
				}
				got := messages(next.Recorder)
				for _, want := range append(test.want, "d4", "e1") {
					if n := slices.Index(strings.Fields(got), want); n < 0 || strings.Count(" "+got+" ", " "+want+" ") != 1 {
						t.Errorf("%s is not there once in: %s", want, got)
					}
				}
				shutDown(t, h)
			})
		}
	}
}

func TestScope_keepsTheOrderOfManyTriggersAtOnce(t *testing.T) {
	const goroutines, each = 8, 200
	h, logger, rec := batched(&fingerscrossed.Options{After: fingerscrossed.Rearm, MaxRecords: 1 << 20})
	ctx, s := h.Begin(t.Context())
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				logAll(ctx, logger, fmt.Sprintf("d-%d-%d e-%[1]d-%[2]d", g, i))
			}
		})
	}
	wg.Wait()
	s.End(nil)
	batches := rec.Batches()
	if len(batches) != goroutines*each {
		t.Errorf("%d triggers made %d batches", goroutines*each, len(batches))
	}
	next := [goroutines]int{}
	for _, b := range batches {
		for i, item := range b.Items {
			if (item.Record.Level >= slog.LevelError) != (i == len(b.Items)-1) {
				t.Fatalf("a batch is %s", describe(b))
			}
			var kind rune
			var g, n int
			if _, err := fmt.Sscanf(item.Record.Message, "%c-%d-%d", &kind, &g, &n); err != nil {
				t.Fatal(err)
			}
			at := 2 * n
			if kind == 'e' {
				at++
			}
			if at != next[g] {
				t.Fatalf("goroutine %d: %s came out of order", g, item.Record.Message)
			}
			next[g]++
		}
	}
	if got, want := s.Stats(), (fingerscrossed.Stats{Accepted: 2 * goroutines * each, Written: 2 * goroutines * each, Escalations: goroutines * each}); got != want {
		t.Errorf("the counts are %+v", got)
	}
	shutDown(t, h)
}

func TestScope_writesATriggerBeforeTheCallReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error { <-gate; return nil }}
		h := fingerscrossed.New(rec.Plain(), nil)
		logger := slog.New(h)
		ctx, s := h.Begin(t.Context())
		returned := make(chan string, 9)
		for _, m := range []string{"e1", "e2", "d1"} {
			go func() {
				logAll(ctx, logger, m)
				returned <- m
			}()
			synctest.Wait()
		}
		triggered := make(chan struct{})
		go func() {
			defer close(triggered)
			if err := s.Trigger(); err != nil {
				t.Error(err)
			}
		}()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.End(nil)
		}()
		synctest.Wait()
		if got := len(returned); got != 1 || <-returned != "d1" {
			t.Errorf("while nothing can be written, %d calls returned", got)
		}
		select {
		case <-triggered:
			t.Error("Trigger returned before anything was written")
		case <-ended:
			t.Error("End returned before anything was written")
		default:
		}
		close(gate)
		<-triggered
		<-ended
		wantMessages(t, rec, "e1 e2 d1")
		shutDown(t, h)
	})
}

func TestScope_blocksThoseWhoLogFasterThanAReleaseIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error { <-gate; return nil }}
		h := fingerscrossed.New(rec.Plain(), &fingerscrossed.Options{MaxRecords: 10, MaxBytes: 100 << 10})
		logger := slog.New(h)
		ctx, s := h.Begin(t.Context())
		otherCtx, other := h.Begin(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { logAll(ctx, logger, "e1") })
		synctest.Wait()
		for range 5 {
			wg.Go(func() {
				for range 100 {
					logAll(ctx, logger, "d")
				}
			})
		}
		synctest.Wait()
		if held := s.Stats().Held; held < 40 || held > 41 {
			t.Errorf("while nothing can be written, %d records are held, 4 times 10 and one in hand are due", held)
		}
		logAll(otherCtx, logger, "d") // another scope does not wait
		other.Discard()
		close(gate)
		wg.Wait()
		if got := strings.Count(messages(rec), "d"); got != 500 {
			t.Errorf("of 500 records, %d were written", got)
		}
		s.End(nil)
		other.End(nil)

		gate = make(chan struct{})
		ctx, s = h.Begin(t.Context())
		wg.Go(func() { logAll(ctx, logger, "e2") })
		synctest.Wait()
		for range 5 {
			wg.Go(func() {
				for range 5 {
					logger.DebugContext(ctx, "d", "key", strings.Repeat("x", 50<<10))
				}
			})
		}
		synctest.Wait()
		if held := s.Stats().Held; held < 7 || held > 9 {
			t.Errorf("while nothing can be written, %d records of 50 KiB are held in 4 times 100 KiB", held)
		}
		close(gate)
		wg.Wait()
		s.End(nil)
		shutDown(t, h)
	})
}

func TestScope_blocksThoseWhoHaveSomebodyWriteForThemForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		var logger *slog.Logger
		var ctx context.Context
		var returned atomic.Bool
		var written atomic.Int64
		rec := &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error {
			if n := written.Add(1); !returned.Load() && n < 100 {
				wg.Go(func() { logAll(ctx, logger, "d") })
				synctest.Wait()
			}
			return nil
		}}
		h := fingerscrossed.New(rec.Plain(), nil)
		logger = slog.New(h)
		var s *fingerscrossed.Scope
		ctx, s = h.Begin(t.Context())
		logAll(ctx, logger, "e")
		returned.Store(true)
		if n := written.Load(); n > 10 {
			t.Errorf("a call that logs one record wrote %d", n)
		}
		wg.Wait()
		s.End(nil)
		if got := s.Stats(); got.Written != got.Accepted || got.Accepted != uint64(written.Load()) {
			t.Errorf("the counts are %+v", got)
		}
		shutDown(t, h)
	})
}

func TestScope_passesOnlyLevelOfWhatCameDuringARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, rec, gate := stuck(&fingerscrossed.Options{After: fingerscrossed.PassLevel}, false)
		logger := slog.New(h)
		ctx, s := h.Begin(t.Context())
		go logAll(ctx, logger, "d1 e1")
		synctest.Wait()
		logAll(ctx, logger, "d2 i2 d3")
		close(gate)
		synctest.Wait()
		wantMessages(t, rec, "d1 e1 i2")
		s.End(nil)
		if got, want := s.Stats(), (fingerscrossed.Stats{Accepted: 5, Written: 3, Discarded: 2, Escalations: 1}); got != want {
			t.Errorf("the counts are %+v, want %+v", got, want)
		}
		shutDown(t, h)
	})
}

func TestScope_freezesWithoutItsLock(t *testing.T) {
	h, logger, rec := batched(nil)
	ctx, s := h.Begin(t.Context())
	logger.DebugContext(ctx, "d1", "key", chatty(func() { logAll(ctx, logger, "d0") }))
	s.Discard()
	logger.DebugContext(ctx, "d2", "key", chatty(func() { s.Discard(); s.Stats() }))
	logAll(ctx, logger, "e1")
	wantBatches(t, rec, "escalation d2 e1")
	s.End(nil)
	shutDown(t, h)
}

// chatty logs when it is resolved.
type chatty func()

func (f chatty) LogValue() slog.Value { f(); return slog.IntValue(1) }

func TestScope_sharesNoAttributes(t *testing.T) {
	next := &hostile{Recorder: new(handlertest.Recorder), in: "Handle"}
	h := fingerscrossed.New(&unbatched{next}, nil)
	ctx, s := h.Begin(t.Context())
	r := slog.NewRecord(time.Time{}, slog.LevelDebug, "d", 0)
	for i := range 8 {
		r.AddAttrs(slog.Int(fmt.Sprint("k", i), i)) // the slice has room for more
	}
	if err := h.Handle(ctx, r); err != nil {
		t.Error(err)
	}
	if err := s.Trigger(); err != nil {
		t.Error(err)
	}
	r.AddAttrs(slog.Int("late", 1))
	for name, r := range map[string]slog.Record{"logged": r, "held": next.added} {
		n := 0
		r.Attrs(func(a slog.Attr) bool {
			if n++; a.Key == "!BUG" {
				t.Errorf("the record that was %s shares memory with the other", name)
			}
			return true
		})
		if n != 9 {
			t.Errorf("the record that was %s has %d attributes", name, n)
		}
	}
	s.End(nil)
	shutDown(t, h)
}

func TestScope_resolvesNothingTwice(t *testing.T) {
	h, logger, rec := batched(nil)
	ctx, s := h.Begin(t.Context())
	n := 0
	counting := chatty(func() { n++ })
	logger.With("k", counting).WithGroup("g").DebugContext(ctx, "d", "k", counting, slog.Group("g", "k", counting))
	logAll(ctx, logger, "e")
	s.End(nil)
	if n != 3 || len(rec.Items()) != 2 {
		t.Errorf("3 values were resolved %d times", n)
	}
}

// own is a type that Options.Freeze knows.
type own struct{ n *int }

func TestOptions_Freeze_isAskedForValuesOfOtherKinds(t *testing.T) {
	var told []error
	var asked []string
	h, logger, rec := batched(&fingerscrossed.Options{
		OnError: func(err error) { told = append(told, err) },
		Freeze: func(v slog.Value) slog.Value {
			asked = append(asked, fmt.Sprintf("%T", v.Any()))
			switch x := v.Any().(type) {
			case own:
				return slog.IntValue(*x.n)
			case []int:
				panic("oops")
			}
			return v
		},
	})
	n := 1
	value := own{&n}
	ctx, s := h.Begin(t.Context())
	logger.With("with", value).WithGroup("g").DebugContext(ctx, "d",
		"k", value,
		"resolved", slog.AnyValue(valuer{slog.AnyValue(value)}),
		slog.Group("group", "k", value, "n", 1, slog.Group("deeper", "k", value)),
		"panics", []int{1},
		"other", map[string]int{"a": 1},
		"string", "s")
	n = 2
	if err := s.Trigger(); err != nil {
		t.Error(err)
	}
	var line bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime}
	if err := slog.NewJSONHandler(&line, options).Handle(t.Context(), rec.Items()[0].Record); err != nil {
		t.Error(err)
	}
	if got, want := line.String(), `{"level":"DEBUG","msg":"d","with":1,"g":{"k":1,"resolved":1,"group":{"k":1,"n":1,"deeper":{"k":1}},"panics":[1],"other":{"a":1},"string":"s"}}`+"\n"; got != want {
		t.Errorf("the record is\n%swant\n%s", got, want)
	}
	if got := strings.Join(asked, " "); got != "fingerscrossed_test.own fingerscrossed_test.own fingerscrossed_test.own fingerscrossed_test.own fingerscrossed_test.own []int map[string]int" {
		t.Errorf("Freeze was asked for %s", got)
	}
	if len(told) != 1 || !strings.Contains(told[0].Error(), "oops") {
		t.Errorf("OnError was told %v", told)
	}
	s.End(nil)
	shutDown(t, h)
}

type valuer struct{ v slog.Value }

func (v valuer) LogValue() slog.Value { return v.v }

// withoutTime is for slog.HandlerOptions.ReplaceAttr.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

func TestOptions_When_releasesToo(t *testing.T) {
	var told []error
	type key struct{}
	h, logger, rec := batched(&fingerscrossed.Options{
		OnError: func(err error) { told = append(told, err) },
		When: func(ctx context.Context, v slogworks.View) bool {
			if v.Message() == "d-panic" {
				panic("oops")
			}
			status, _ := v.Attr("g", "status")
			return ctx.Value(key{}) == 1 || status.Kind() == slog.KindInt64 && status.Int64() >= 500
		},
	})
	ctx, s := h.Begin(t.Context())
	logAll(ctx, logger, "d1 d-panic")
	logger.InfoContext(ctx, "i1", "status", 500)
	logger.WithGroup("g").InfoContext(ctx, "i2", "status", 499)
	wantMessages(t, rec, "")
	logger.WithGroup("g").With("status", 500).InfoContext(ctx, "i3")
	wantBatches(t, rec, "escalation d1 d-panic i1 i2 i3")
	s.End(nil)
	if len(told) != 1 || !strings.Contains(told[0].Error(), "oops") {
		t.Errorf("OnError was told %v", told)
	}
	ctx, s = h.Begin(context.WithValue(t.Context(), key{}, 1))
	logAll(ctx, logger, "d2")
	s.End(nil)
	ctx, s = h.Begin(t.Context())
	logAll(ctx, logger, "d3 e3")
	s.End(nil)
	wantBatches(t, rec, "escalation d1 d-panic i1 i2 i3", "escalation d2", "escalation d3 e3")
	logAll(context.WithValue(t.Context(), key{}, 1), logger, "d4")
	wantMessages(t, rec, "d1 d-panic i1 i2 i3 d2 d3 e3")
	shutDown(t, h)
}

func TestHandler_worksTwiceInOnePipeline(t *testing.T) {
	rec := new(handlertest.Recorder)
	job := fingerscrossed.New(rec, &fingerscrossed.Options{Trigger: slog.LevelWarn})
	request := fingerscrossed.New(job, nil)
	logger := slog.New(request)

	jobCtx, jobScope := job.Begin(t.Context())
	ctx, s := request.Begin(jobCtx)
	logAll(ctx, logger, "d1 i1")
	s.End(nil)
	wantMessages(t, rec, "") // the job holds
	ctx, s = request.Begin(jobCtx)
	logAll(ctx, logger, "d2 w2")
	wantMessages(t, rec, "")
	logAll(ctx, logger, "e2") // a batch that has been decided on already
	wantBatches(t, rec, "escalation d2 w2 e2")
	s.End(nil)
	ctx, s = request.Begin(jobCtx)
	logAll(ctx, logger, "d3 w3")
	s.End(nil)
	wantBatches(t, rec, "escalation d2 w2 e2", "escalation i1 w3")
	jobScope.End(nil)
	if err := slogworks.Shutdown(t.Context(), request); err != nil {
		t.Error(err)
	}
	wantMessages(t, rec, "d2 w2 e2 i1 w3")
	shutDown(t, request)
	shutDown(t, job)
}

func TestHandler_HandleBatch_sortsAStreamByScope(t *testing.T) {
	h, logger, rec := batched(nil)
	ctx, s := h.Begin(t.Context())
	value := []byte("frozen")
	item := func(ctx context.Context, message string) slogworks.Item {
		r := slog.NewRecord(time.Time{}, levelOf(message), message, 0)
		r.AddAttrs(slog.Any("bytes", value))
		return slogworks.Item{Context: ctx, Record: r}
	}
	stream := func(items ...slogworks.Item) {
		t.Helper()
		if err := h.HandleBatch(t.Context(), slogworks.Batch{ID: "id", Items: items}); err != nil {
			t.Error(err)
		}
	}
	outside := context.Background()
	stream(item(outside, "i1"), item(outside, "i2"))
	stream(item(outside, "i3"), item(ctx, "d1"), item(outside, "d2"), item(outside, "w1"), item(ctx, "i4"))
	stream(item(ctx, "d3"))
	wantBatches(t, rec, "stream i1 i2", "stream i3 w1")
	stream(item(ctx, "d4"), item(ctx, "e1"), item(ctx, "d5"))
	wantBatches(t, rec, "stream i1 i2", "stream i3 w1", "escalation d1 i4 d3 d4 e1")
	wantMessages(t, rec, "i1 i2 i3 w1 d1 i4 d3 d4 e1 d5")
	for _, item := range rec.Batches()[2].Items {
		item.Record.Attrs(func(a slog.Attr) bool {
			if got := a.Value.Any().([]byte); &got[0] != &value[0] {
				t.Error("a value of a batch, which is frozen, was frozen again")
			}
			return true
		})
	}
	logAll(ctx, logger, "d6")
	s.End(nil)
	if got, want := h.Stats(), (fingerscrossed.Stats{Accepted: 11, Written: 11, Escalations: 1}); got != want {
		t.Errorf("the counts are %+v, want %+v", got, want)
	}
	shutDown(t, h)
}

func TestScope_oneBadRecordCostsOneRecord(t *testing.T) {
	for name, bad := range map[string]func() error{
		"an error": func() error { return errFailed },
		"a panic":  func() error { panic(errFailed) },
	} {
		t.Run(name, func(t *testing.T) {
			rec := &handlertest.Recorder{Before: func(_ context.Context, b slogworks.Batch) error {
				if b.Items[0].Record.Message == "bad" {
					return bad()
				}
				return nil
			}}
			// It passes batches on and what is behind it takes none.
			h := fingerscrossed.New(fanout.AtLeast(rec.Plain(), slog.LevelDebug), nil)
			ctx, scope := h.Begin(t.Context())
			logger := slog.New(h)
			for _, message := range []string{"a", "bad", "b", "c"} {
				logger.DebugContext(ctx, message)
			}
			if err := scope.Trigger(); !errors.Is(err, errFailed) {
				t.Errorf("Trigger returned %v", err)
			}
			scope.End(nil)
			wantMessages(t, rec, "a b c")
			if s := h.Stats(); s.Written != 3 || s.Failed != 1 {
				t.Errorf("the counts are %+v", s)
			}
			wantBalanced(t, h)
		})
	}
}

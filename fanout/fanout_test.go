package fanout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
)

// record returns a record without a time, so that it prints the same always.
func record(level slog.Level, message string, attrs ...slog.Attr) slog.Record {
	r := slog.Record{Level: level, Message: message}
	r.AddAttrs(attrs...)
	return r
}

// handle logs a record as slog.Logger does, and returns the error.
func handle(h slog.Handler, r slog.Record) error {
	ctx := context.Background()
	if !h.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handle(ctx, r)
}

// messages returns the messages that rec was given, in order.
func messages(rec *handlertest.Recorder) []string {
	var all []string
	for _, item := range rec.Items() {
		all = append(all, item.Record.Message)
	}
	return all
}

func wantMessages(t *testing.T, rec *handlertest.Recorder, want ...string) {
	t.Helper()
	if got := messages(rec); !slices.Equal(got, want) {
		t.Errorf("the handler got %q, want %q", got, want)
	}
}

// attrsOf returns the attributes of a record as slog.TextHandler prints them.
func attrsOf(r slog.Record) string {
	var line bytes.Buffer
	_ = slog.NewTextHandler(&line, nil).Handle(context.Background(), record(0, "", slices.Collect(slogworks.NewView(r).Attrs())...))
	_, attrs, _ := strings.Cut(strings.TrimSpace(line.String()), `msg=""`)
	return strings.TrimSpace(attrs)
}

// failing returns a handler that returns err for every record and batch.
func failing(err error) *handlertest.Recorder {
	return &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error { return err }}
}

// panicking returns a handler that panics with value at every record and batch.
func panicking(value any) *handlertest.Recorder {
	return &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error { panic(value) }}
}

// hooked is a handler with a say before its methods do what next's do.
type hooked struct {
	next      slog.Handler
	enabled   func()
	handle    func(r slog.Record)
	withAttrs func(attrs []slog.Attr) []slog.Attr
	withGroup func()
}

func (h *hooked) Enabled(ctx context.Context, level slog.Level) bool {
	if h.enabled != nil {
		h.enabled()
	}
	return h.next.Enabled(ctx, level)
}

func (h *hooked) Handle(ctx context.Context, r slog.Record) error {
	if h.handle != nil {
		h.handle(r)
	}
	return h.next.Handle(ctx, r)
}

func (h *hooked) WithAttrs(attrs []slog.Attr) slog.Handler {
	if h.withAttrs != nil {
		attrs = h.withAttrs(attrs)
	}
	derived := *h
	derived.next = h.next.WithAttrs(attrs)
	return &derived
}

func (h *hooked) WithGroup(name string) slog.Handler {
	if h.withGroup != nil {
		h.withGroup()
	}
	derived := *h
	derived.next = h.next.WithGroup(name)
	return &derived
}

func (h *hooked) Unwrap() slog.Handler { return h.next }

func TestHandler_discardsWithoutHandlers(t *testing.T) {
	for name, h := range map[string]slogworks.BatchHandler{
		"New":      fanout.New(),
		"Router":   fanout.Router(),
		"First":    fanout.First(),
		"Failover": fanout.Failover(),
	} {
		t.Run(name, func(t *testing.T) {
			if h.Enabled(t.Context(), slog.LevelError) {
				t.Error("it is enabled")
			}
			derived := h.WithAttrs([]slog.Attr{slog.Int("k", 1)}).WithGroup("g")
			for _, h := range []slog.Handler{h, derived} {
				if err := h.Handle(t.Context(), record(slog.LevelError, "message")); err != nil {
					t.Error(err)
				}
			}
			if err := h.HandleBatch(t.Context(), batchOf(slogworks.Digest, slog.LevelInfo)); err != nil {
				t.Error(err)
			}
			if err := slogworks.Shutdown(t.Context(), h); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHandler_givesEachRecordToAllInOrder(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		var order []int
		recorders := make([]*handlertest.Recorder, n)
		handlers := make([]slog.Handler, n)
		for i := range n {
			recorders[i] = &handlertest.Recorder{Before: func(context.Context, slogworks.Batch) error {
				order = append(order, i)
				return nil
			}}
			handlers[i] = recorders[i]
		}
		logger := slog.New(fanout.New(handlers...))
		logger.With("with", 1).WithGroup("g").Info("message", "own", 2)

		want := []int{0, 1, 2, 3, 4}[:n]
		if !slices.Equal(order, want) {
			t.Errorf("of %d handlers the record reached %v in this order", n, order)
		}
		for i, rec := range recorders {
			wantMessages(t, rec, "message")
			if got := attrsOf(rec.Items()[0].Record); got != "with=1 g.own=2" {
				t.Errorf("handler %d of %d got the attributes %q", i+1, n, got)
			}
		}
	}
}

func TestHandler_enabledIsThatOfAnyHandlerAtThatMoment(t *testing.T) {
	var low, high slog.LevelVar
	first, second := &handlertest.Recorder{Level: &low}, &handlertest.Recorder{Level: &high}
	for name, h := range map[string]slog.Handler{
		"New":      fanout.New(first, second),
		"Router":   fanout.Router(fanout.Route{To: first}, fanout.Route{To: second}),
		"First":    fanout.First(fanout.Route{To: first}, fanout.Route{To: second}),
		"Failover": fanout.Failover(first, second),
		"AtLeast":  fanout.AtLeast(fanout.New(first, second), slog.LevelDebug),
		"OnError":  fanout.OnError(fanout.New(first, second), func(context.Context, slogworks.View, error) {}),
	} {
		t.Run(name, func(t *testing.T) {
			for _, h := range []slog.Handler{h, h.WithAttrs([]slog.Attr{slog.Int("k", 1)}), h.WithGroup("g")} {
				for _, levels := range [][2]slog.Level{{-4, 8}, {8, -4}, {0, 0}, {8, 8}, {4, 12}} {
					low.Set(levels[0])
					high.Set(levels[1])
					lowest := min(levels[0], levels[1])
					for level := slog.LevelDebug; level <= 12; level++ {
						if got := h.Enabled(t.Context(), level); got != (level >= lowest) {
							t.Fatalf("with handlers enabled from %v and %v on, Enabled(%v) = %v", levels[0], levels[1], level, got)
						}
					}
				}
			}
		})
	}
}

func TestHandler_asksEachHandlerBeforeItHandles(t *testing.T) {
	all := new(handlertest.Recorder)
	errorsOnly := &handlertest.Recorder{Level: slog.LevelError}
	h := fanout.New(errorsOnly, all)
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelError} {
		if err := h.Handle(t.Context(), record(level, level.String())); err != nil {
			t.Error(err)
		}
	}
	wantMessages(t, errorsOnly, "ERROR")
	wantMessages(t, all, "INFO", "ERROR")
}

// keeper keeps records as they are, without a clone, as a careless handler may.
type keeper struct {
	mu      sync.Mutex
	records []slog.Record
}

func (k *keeper) Enabled(context.Context, slog.Level) bool { return true }

func (k *keeper) Handle(_ context.Context, r slog.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.AddAttrs(slog.String("added", fmt.Sprintf("by %p", k)))
	k.records = append(k.records, r)
	return nil
}

func (k *keeper) WithAttrs([]slog.Attr) slog.Handler { return k }
func (k *keeper) WithGroup(string) slog.Handler      { return k }

func TestHandler_givesEachHandlerARecordOfItsOwn(t *testing.T) {
	// A record holds five attributes itself and the others in a slice, which has
	// room for more at some lengths, eight and twenty among them.
	for _, n := range []int{0, 4, 5, 6, 8, 20} {
		var attrs []slog.Attr
		for i := range n {
			attrs = append(attrs, slog.Int(fmt.Sprint("k", i), i))
		}
		for name, build := range map[string]func(children ...slog.Handler) slogworks.BatchHandler{
			"New": func(c ...slog.Handler) slogworks.BatchHandler { return fanout.New(c...) },
			"Router": func(c ...slog.Handler) slogworks.BatchHandler {
				return fanout.Router(fanout.Route{To: c[0]}, fanout.Route{To: c[1]})
			},
			"Failover": func(c ...slog.Handler) slogworks.BatchHandler {
				// Each fails after it has kept the record.
				return fanout.Failover(fanout.New(c[0], failing(errors.New("down"))), fanout.New(c[1]))
			},
		} {
			first, second := new(keeper), new(keeper)
			h := build(first, second)
			original := record(slog.LevelInfo, "message")
			for _, a := range attrs {
				original.AddAttrs(a)
			}
			_ = h.Handle(t.Context(), original)
			_ = h.HandleBatch(t.Context(), slogworks.Batch{Items: []slogworks.Item{{Context: t.Context(), Record: original}}})
			original.AddAttrs(slog.String("added", "later"))
			for _, child := range []*keeper{first, second} {
				want := fmt.Sprintf("by %p", child)
				if len(child.records) != 2 {
					t.Fatalf("%s gave a child %d records of 2", name, len(child.records))
				}
				for _, r := range child.records {
					if got := attrsOf(r); r.NumAttrs() != n+1 || !strings.HasSuffix(got, `added="`+want+`"`) {
						t.Errorf("a record of %d attributes that a child of %s extended and kept now reads %s", n, name, got)
					}
				}
			}
			if got := attrsOf(original); original.NumAttrs() != n+1 || !strings.HasSuffix(got, "added=later") {
				t.Errorf("the caller's record of %d attributes now reads %s, after %s", n, got, name)
			}
		}
	}
}

func TestHandler_joinsTheErrorsOnce(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	h := fanout.New(failing(first), new(handlertest.Recorder), failing(second))
	for name, err := range map[string]error{
		"Handle":      h.Handle(t.Context(), record(slog.LevelInfo, "message")),
		"HandleBatch": h.HandleBatch(t.Context(), batchOf(slogworks.Stream, slog.LevelInfo, slog.LevelInfo)),
	} {
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || !slices.Equal(joined.Unwrap(), []error{first, second}) {
			t.Errorf("%s returned %#v, not the join of the two errors", name, err)
		}
	}
}

func TestHandler_keepsNothingOfItsArguments(t *testing.T) {
	rec, other := new(handlertest.Recorder), new(handlertest.Recorder)
	handlers := []slog.Handler{rec}
	routes := []fanout.Route{{To: rec}}
	var written, otherWritten bytes.Buffer
	outs := []fanout.Out{{W: &written}}
	all := []slog.Handler{
		fanout.New(handlers...), fanout.Failover(handlers...),
		fanout.Router(routes...), fanout.First(routes...),
		fanout.Writers(nil, outs...),
	}
	handlers[0], routes[0], outs[0] = other, fanout.Route{To: other}, fanout.Out{W: &otherWritten}
	for _, h := range all {
		if err := handle(h, record(slog.LevelInfo, "message")); err != nil {
			t.Error(err)
		}
	}
	wantMessages(t, rec, "message", "message", "message", "message")
	wantMessages(t, other)
	if written.Len() == 0 || otherWritten.Len() != 0 {
		t.Errorf("the first writer got %q, the one put in its place later %q", written.String(), otherWritten.String())
	}
}

func TestHandler_unwrapsToItsHandlers(t *testing.T) {
	first, second := new(handlertest.Recorder), new(handlertest.Recorder)
	for name, h := range map[string]interface{ Unwrap() []slog.Handler }{
		"New":      fanout.New(first, second),
		"Failover": fanout.Failover(first, second),
		"Router":   fanout.Router(fanout.Route{To: first}, fanout.Route{To: second}),
		"First":    fanout.First(fanout.Route{To: first}, fanout.Route{To: second}),
	} {
		if got := h.Unwrap(); len(got) != 2 || got[0] != first || got[1] != second {
			t.Errorf("%s unwraps to %v", name, got)
		}
	}
	for name, h := range map[string]interface{ Unwrap() slog.Handler }{
		"AtLeast": fanout.AtLeast(first, nil),
		"OnError": fanout.OnError(first, func(context.Context, slogworks.View, error) {}),
	} {
		if got := h.Unwrap(); got != first {
			t.Errorf("%s unwraps to %v", name, got)
		}
	}
}

func TestHandler_isSafeForConcurrentUse(t *testing.T) {
	const goroutines, each = 8, 100
	ignore := func(context.Context, slogworks.View, error) {}
	broken := errors.New("broken")
	var level slog.LevelVar
	recorders := []*handlertest.Recorder{{}, {}, {}, {}}
	h := fanout.OnError(fanout.New(
		fanout.AtLeast(recorders[0], &level),
		fanout.Router(
			fanout.Route{When: slogworks.AttrIs("g", "odd", true), To: recorders[1]},
			fanout.Route{Min: &level, Max: slog.LevelInfo, When: slogworks.AttrIs("g", "odd", false), To: failing(broken)}),
		fanout.First(fanout.Route{When: slogworks.AttrIs("goroutine", 3), To: recorders[2]}, fanout.Route{To: fanout.New()}),
		fanout.Failover(failing(broken), recorders[3]),
	), ignore)

	parent := h.WithAttrs([]slog.Attr{slog.String("parent", "p")})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			derived := parent.WithAttrs([]slog.Attr{slog.Int("goroutine", g)}).WithGroup("g")
			for i := range each {
				_ = handle(derived, record(slog.LevelInfo, "message", slog.Bool("odd", i%2 == 1)))
			}
		})
	}
	wg.Go(func() {
		for range each {
			level.Set(slog.LevelDebug)
			_ = slogworks.Flush(context.Background(), h)
			_ = slogworks.Books(h)
			level.Set(slog.LevelInfo)
		}
	})
	wg.Wait()

	for i, want := range []int{goroutines * each, goroutines * each / 2, each, goroutines * each} {
		if got := len(recorders[i].Items()); got != want {
			t.Errorf("handler %d got %d records, want %d", i+1, got, want)
		}
	}
	for _, account := range slogworks.Books(h) {
		if account.Accepted != goroutines*each || account.Accepted != account.Delivered+account.Dropped["error"]+account.Dropped["no route"] {
			t.Errorf("the account %+v does not balance over %d records", account, goroutines*each)
		}
	}
}

package fanout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/fanout"
	"github.com/slogworks/slogworks/handlertest"
)

var errBroken = errors.New("broken")

// wantPanicError checks that err holds the panic with the value errBroken.
func wantPanicError(t *testing.T, err error) {
	t.Helper()
	var panicked *slogworks.PanicError
	if !errors.As(err, &panicked) {
		t.Errorf("the error is %#v, not a PanicError", err)
		return
	}
	if panicked.Value != errBroken || !errors.Is(err, errBroken) {
		t.Errorf("the panic was with %v", panicked.Value)
	}
	if !bytes.Contains(panicked.Stack, []byte("fanout_test")) {
		t.Errorf("the stack does not show the test that panicked:\n%s", panicked.Stack)
	}
}

func TestHandler_keepsFaultsOfOneChildFromTheOthers(t *testing.T) {
	throw := func() { panic(errBroken) }
	faults := []struct {
		name  string
		child func(next slog.Handler) slog.Handler
	}{
		{"a child that panics in Handle", func(slog.Handler) slog.Handler { return panicking(errBroken).Plain() }},
		{"a child that panics in Handle and takes batches", func(slog.Handler) slog.Handler { return panicking(errBroken) }},
		{"a child that panics in Enabled", func(next slog.Handler) slog.Handler { return &hooked{next: next, enabled: throw} }},
		{"a child that panics in WithAttrs", func(next slog.Handler) slog.Handler {
			return &hooked{next: next, withAttrs: func([]slog.Attr) []slog.Attr { panic(errBroken) }}
		}},
		{"a child that panics in WithGroup", func(next slog.Handler) slog.Handler { return &hooked{next: next, withGroup: throw} }},
	}
	fans := []struct {
		name string
		new  func(faulty, sound slog.Handler) slogworks.BatchHandler
	}{
		{"New", func(faulty, sound slog.Handler) slogworks.BatchHandler { return fanout.New(faulty, sound) }},
		{"Router", func(faulty, sound slog.Handler) slogworks.BatchHandler {
			return fanout.Router(fanout.Route{To: faulty}, fanout.Route{To: sound})
		}},
	}
	for _, fault := range faults {
		for _, fan := range fans {
			t.Run(fmt.Sprintf("%s in %s", fault.name, fan.name), func(t *testing.T) {
				sound := new(handlertest.Recorder)
				var reported []error
				h := fanout.OnError(
					fan.new(fault.child(new(handlertest.Recorder)), sound),
					func(_ context.Context, v slogworks.View, err error) {
						if v.Message() != "message" {
							t.Errorf("an error was reported with the record %q", v.Message())
						}
						reported = append(reported, err)
					})
				derived := h.WithAttrs([]slog.Attr{slog.Int("with", 1)}).WithGroup("g").WithAttrs([]slog.Attr{slog.Int("with", 2)})
				err := handle(derived, record(slog.LevelInfo, "message"))
				wantPanicError(t, err)
				if len(reported) != 1 || reported[0] != err {
					t.Errorf("%v was reported, and %v returned", reported, err)
				}
				wantMessages(t, sound, "message")
				if got := attrsOf(sound.Items()[0].Record); got != "with=1 g.with=2" {
					t.Errorf("the sound child got the attributes %q", got)
				}
			})
		}
	}
}

func TestHandler_keepsFaultsWithBatchesFromTheOthers(t *testing.T) {
	faults := map[string]slog.Handler{
		"a child that panics in Handle":      panicking(errBroken).Plain(),
		"a child that panics in HandleBatch": panicking(errBroken),
		"a child that panics in Enabled":     &hooked{next: new(handlertest.Recorder), enabled: func() { panic(errBroken) }},
	}
	for name, fault := range faults {
		for _, o := range over {
			t.Run(fmt.Sprintf("%s behind %s", name, o.name), func(t *testing.T) {
				if o.name == "AtLeast" && name == "a child that panics in Enabled" {
					t.Skip("AtLeast is as open to panics as its handler; New and OnError are not")
				}
				sound := new(handlertest.Recorder)
				err := fanout.New(o.new(fault), sound).HandleBatch(t.Context(), batchOf(slogworks.Digest, info, info))
				wantPanicError(t, err)
				wantBatches(t, sound, "digest 0 1;")

				wantPanicError(t, o.new(fault).HandleBatch(t.Context(), batchOf(slogworks.Digest, info, info)))
			})
		}
	}
}

func TestHandler_guardsASingleChildToo(t *testing.T) {
	for _, o := range over {
		if o.name == "AtLeast" {
			continue // passes on what its handler does
		}
		for name, child := range map[string]slog.Handler{
			"Handle":  panicking(errBroken),
			"Enabled": &hooked{next: new(handlertest.Recorder), enabled: func() { panic(errBroken) }},
			"WithAttrs": &hooked{next: new(handlertest.Recorder), withAttrs: func([]slog.Attr) []slog.Attr {
				panic(errBroken)
			}},
			"WithGroup": &hooked{next: new(handlertest.Recorder), withGroup: func() { panic(errBroken) }},
		} {
			t.Run(fmt.Sprintf("%s over a child that panics in %s", o.name, name), func(t *testing.T) {
				h := o.new(child).WithAttrs([]slog.Attr{slog.Int("k", 1)}).WithGroup("g")
				wantPanicError(t, handle(h, record(slog.LevelInfo, "message")))
			})
		}
	}
}

func TestHandler_failsEveryRecordAfterAChildPanickedInWith(t *testing.T) {
	stopped := 0
	child := &hooked{
		next:      &stoppable{stop: func() error { stopped++; return nil }},
		withGroup: func() { panic(errBroken) },
	}
	h := fanout.New(child)
	derived := h.WithGroup("g").WithGroup("deeper").WithAttrs([]slog.Attr{slog.Int("k", 1)})
	if !derived.Enabled(t.Context(), slog.LevelInfo) {
		t.Error("the derived handler is not enabled")
	}
	for range 2 {
		wantPanicError(t, handle(derived, record(slog.LevelInfo, "message")))
	}
	if err := handle(h, record(slog.LevelInfo, "message")); err != nil {
		t.Errorf("the handler that was not derived returned %v", err)
	}
	if err := slogworks.Shutdown(t.Context(), derived); err != nil || stopped != 1 {
		t.Errorf("Shutdown returned %v and called the handler behind %d times", err, stopped)
	}
}

// stoppable is a handler with something to shut down.
type stoppable struct {
	handlertest.Recorder
	stop func() error
}

func (s *stoppable) Shutdown(context.Context) error { return s.stop() }

// redacting edits the slice that WithAttrs gives it and appends to it, as the
// contract of slog.Handler allows: "The Handler owns the slice: it may retain,
// modify or discard it."
func redacting(next slog.Handler) slog.Handler {
	return &hooked{next: next, withAttrs: func(attrs []slog.Attr) []slog.Attr {
		for i := range attrs {
			if attrs[i].Key == "password" {
				attrs[i].Value = slog.StringValue("***")
			}
		}
		return append(attrs, slog.String("handled", "by the redacting one"))
	}}
}

// retaining keeps the slice that WithAttrs gives it and appends to it, too.
type retaining struct {
	*bytes.Buffer
	attrs []slog.Attr
}

func (h retaining) Enabled(context.Context, slog.Level) bool { return true }

func (h retaining) Handle(_ context.Context, r slog.Record) error {
	fmt.Fprint(h.Buffer, r.Message, h.attrs)
	return nil
}

func (h retaining) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = append(attrs, slog.String("handled", "by the retaining one"))
	return h
}

func (h retaining) WithGroup(string) slog.Handler { return h }

// withPassword derives a handler as Logger.With does, whose slice may have room
// for more, and logs a record.
func withPassword(h slog.Handler) error {
	attrs := append(make([]slog.Attr, 0, 8), slog.String("password", "secret"))
	return handle(h.WithAttrs(attrs), record(slog.LevelInfo, "login"))
}

const retained = "login[password=secret handled=by the retaining one]"

func TestHandler_givesEachChildASliceOfItsOwn(t *testing.T) {
	for name, build := range map[string]func(a, b, c slog.Handler) slog.Handler{
		"New": func(a, b, c slog.Handler) slog.Handler { return fanout.New(a, b, c) },
		"Router": func(a, b, c slog.Handler) slog.Handler {
			return fanout.Router(fanout.Route{To: a}, fanout.Route{When: slogworks.AttrIs("password", "secret"), To: b}, fanout.Route{To: c})
		},
		"Failover": func(a, b, c slog.Handler) slog.Handler {
			return fanout.Failover(fanout.New(a, failing(errBroken)), fanout.New(b, failing(errBroken)), c)
		},
		"AtLeast and OnError": func(a, b, c slog.Handler) slog.Handler {
			ignore := func(context.Context, slogworks.View, error) {}
			return slog.NewMultiHandler(fanout.AtLeast(a, nil), fanout.OnError(b, ignore), fanout.AtLeast(c, nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var jsonLine, kept bytes.Buffer
			printer := slog.NewJSONHandler(&jsonLine, withoutTime)
			if err := withPassword(build(redacting(new(handlertest.Recorder)), retaining{&kept, nil}, redacting(printer))); err != nil {
				t.Error(err)
			}
			if kept.String() != retained {
				t.Errorf("beside redacting handlers the line is %s", &kept)
			}
			if want := `{"level":"INFO","msg":"login","password":"***","handled":"by the redacting one"}` + "\n"; jsonLine.String() != want {
				t.Errorf("the redacting handler wrote %s", &jsonLine)
			}
		})
	}
}

func TestMultiHandler_letsAChildChangeItsSiblingsLine(t *testing.T) {
	var kept bytes.Buffer
	if err := withPassword(slog.NewMultiHandler(redacting(new(handlertest.Recorder)), retaining{&kept, nil}, redacting(new(handlertest.Recorder)))); err != nil {
		t.Error(err)
	}
	if kept.String() == retained {
		t.Skipf("slog.MultiHandler of %s gives each handler a slice of its own: the package comment of fanout need no longer warn of it", runtime.Version())
	}
	t.Logf("beside redacting handlers the line is %s", &kept)
}

func TestHandler_hidesTheDeliveryErrorOfAChild(t *testing.T) {
	delivery := &slogworks.DeliveryError{Accepted: 1, Permanent: true, Err: &slogworks.PanicError{Value: errBroken, Stack: []byte("stack")}}
	for _, o := range over[:3] { // New, Router, First
		for name, said := range map[string]error{
			"as it is": delivery,
			"wrapped":  fmt.Errorf("sink: %w", delivery),
		} {
			rec := failing(said)
			h := o.new(rec)
			for how, err := range map[string]error{
				"Handle":                  h.Handle(t.Context(), record(slog.LevelInfo, "message")),
				"Handle of a derived one": h.WithGroup("g").Handle(t.Context(), record(slog.LevelInfo, "message")),
				"HandleBatch":             h.HandleBatch(t.Context(), batchOf(slogworks.Digest, info, info)),
				"HandleBatch, unpacked":   o.new(rec.Plain()).HandleBatch(t.Context(), batchOf(slogworks.Digest, info, info)),
			} {
				t.Run(fmt.Sprintf("%s of %s, %s", how, o.name, name), func(t *testing.T) {
					if _, ok := err.(*slogworks.DeliveryError); ok {
						t.Errorf("the error is the DeliveryError of a child")
					}
					var found *slogworks.DeliveryError
					if errors.As(err, &found) {
						t.Errorf("the error leads to the DeliveryError of a child")
					}
					var panicked *slogworks.PanicError
					if !errors.Is(err, errBroken) || !errors.As(err, &panicked) || string(panicked.Stack) != "stack" {
						t.Errorf("the error %#v does not lead to the cause", err)
					}
					if !strings.Contains(err.Error(), said.Error()) {
						t.Errorf("the error reads %q, without %q", err, said)
					}
				})
			}
		}
	}
}

var (
	// initial is what slog starts with, had before anything can change it.
	initial = slog.Default().Handler()

	constructors = []struct {
		name string
		new  func(h slog.Handler)
	}{
		{"New", func(h slog.Handler) { fanout.New(h) }},
		{"New, as the last", func(h slog.Handler) { fanout.New(new(handlertest.Recorder), h) }},
		{"Failover", func(h slog.Handler) { fanout.Failover(new(handlertest.Recorder), h) }},
		{"Router", func(h slog.Handler) { fanout.Router(fanout.Route{To: new(handlertest.Recorder)}, fanout.Route{To: h}) }},
		{"First", func(h slog.Handler) { fanout.First(fanout.Route{To: h}) }},
		{"AtLeast", func(h slog.Handler) { fanout.AtLeast(h, slog.LevelInfo) }},
		{"OnError", func(h slog.Handler) { fanout.OnError(h, func(context.Context, slogworks.View, error) {}) }},
		{"Writers", func(h slog.Handler) {
			fanout.Writers(func(io.Writer) slog.Handler { return h }, fanout.Out{W: io.Discard})
		}},
	}
)

// panicOf returns what f panics with as a text, or "" if it does not.
func panicOf(f func()) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprint(p)
		}
	}()
	f()
	return ""
}

func TestConstructors_refuseANilHandler(t *testing.T) {
	for _, c := range constructors {
		if got := panicOf(func() { c.new(nil) }); got != "fanout: nil Handler" {
			t.Errorf("%s of nil: panic %q", c.name, got)
		}
	}
}

func TestConstructors_refuseTheDefaultHandlerOfSlog(t *testing.T) {
	for _, c := range constructors {
		got := panicOf(func() { c.new(initial) })
		if !strings.HasPrefix(got, "fanout: ") || !strings.Contains(got, "deadlock") || !strings.Contains(got, "slog.NewTextHandler(os.Stderr, nil)") {
			t.Errorf("%s of slog's default handler: panic %q", c.name, got)
		}
	}
}

func TestConstructors_refuseWhatWouldPanicAtTheFirstRecord(t *testing.T) {
	h := new(handlertest.Recorder)
	var none *slog.LevelVar
	many := make([]fanout.Out, 7)
	for i := range many {
		many[i] = fanout.Out{W: io.Discard, Min: new(slog.LevelVar)}
	}
	const nilLevel = "nil *slog.LevelVar"
	for _, c := range []struct {
		name, want string
		new        func()
	}{
		{"AtLeast", nilLevel, func() { fanout.AtLeast(h, none) }},
		{"Router, Min", nilLevel, func() { fanout.Router(fanout.Route{To: h}, fanout.Route{Min: none, To: h}) }},
		{"Router, Max", nilLevel, func() { fanout.Router(fanout.Route{Max: none, To: h}) }},
		{"First, Min", nilLevel, func() { fanout.First(fanout.Route{Min: none, To: h}) }},
		{"Writers", nilLevel, func() { fanout.Writers(nil, fanout.Out{W: io.Discard, Min: none}) }},
		{"OnError", "nil report function", func() { fanout.OnError(h, nil) }},
		{"Writers without a writer", "nil Writer", func() { fanout.Writers(nil, fanout.Out{W: io.Discard}, fanout.Out{}) }},
		{"Writers of many levels", "more than 6 levels", func() { fanout.Writers(nil, many...) }},
	} {
		if got := panicOf(c.new); !strings.HasPrefix(got, "fanout: ") || !strings.Contains(got, c.want) {
			t.Errorf("%s: panic %q, want one with %q", c.name, got, c.want)
		}
	}
}

// listed is a legal handler that == panics on.
type listed struct {
	next  []slog.Handler
	calls *[]string
}

func (l listed) Enabled(context.Context, slog.Level) bool { return true }
func (l listed) Handle(ctx context.Context, r slog.Record) error {
	*l.calls = append(*l.calls, "handle")
	return nil
}
func (l listed) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l listed) WithGroup(string) slog.Handler      { return l }
func (l listed) Unwrap() []slog.Handler             { return l.next }
func (l listed) Flush(context.Context) error        { *l.calls = append(*l.calls, "flush"); return nil }
func (l listed) Shutdown(context.Context) error     { *l.calls = append(*l.calls, "shutdown"); return nil }
func (l listed) Account() slogworks.Account         { return slogworks.Account{Stage: "listed"} }

func TestHandler_acceptsHandlersThatCannotBeCompared(t *testing.T) {
	for _, o := range over {
		t.Run(o.name, func(t *testing.T) {
			var calls []string
			child := listed{calls: &calls}
			h := fanout.New(o.new(child), o.new(child)).WithAttrs([]slog.Attr{slog.Int("k", 1)}).WithGroup("g").(*fanout.Handler)
			if err := handle(h, record(slog.LevelInfo, "message")); err != nil {
				t.Error(err)
			}
			if err := h.HandleBatch(t.Context(), batchOf(slogworks.Stream, info)); err != nil {
				t.Error(err)
			}
			if err := slogworks.Flush(t.Context(), h); err != nil {
				t.Error(err)
			}
			if err := slogworks.Shutdown(t.Context(), h); err != nil {
				t.Error(err)
			}
			if want := []string{"handle", "handle", "handle", "handle", "flush", "flush", "shutdown", "shutdown"}; !slices.Equal(calls, want) {
				t.Errorf("calls %q", calls)
			}
			accounts := 0
			for _, account := range slogworks.Books(h) {
				if account.Stage == "listed" {
					accounts++
				}
			}
			if accounts != 2 {
				t.Errorf("Books has %d accounts of the two children", accounts)
			}
		})
	}
}

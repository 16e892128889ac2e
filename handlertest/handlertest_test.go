package handlertest_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slogworks/slogworks/handlertest"
)

func TestRun_acceptsAHandlerThatPassesOnAtOnce(t *testing.T) { handlertest.Run(t, newThrough) }

func TestRun_acceptsAnAsynchronousHandler(t *testing.T) {
	t.Run("that derives next", func(t *testing.T) { handlertest.Run(t, newAsync(derived)) })
	t.Run("that flattens records", func(t *testing.T) { handlertest.Run(t, newAsync(flattened)) })
	t.Run("that makes batches", func(t *testing.T) { handlertest.Run(t, newAsync(batched)) })
}

func TestRun_acceptsAHandlerThatHoldsUntilShutdown(t *testing.T) { handlertest.Run(t, newHolder) }

func TestRun_acceptsAHandlerOfTheFourMethodsAlone(t *testing.T) {
	handlertest.Run(t, func(next slog.Handler) slog.Handler {
		requireNext(next)
		return four{next}
	})
}

// four has the methods of slog.Handler and no other. It is no pointer, and
// cannot be compared if next cannot.
type four struct{ next slog.Handler }

func (f four) Enabled(ctx context.Context, level slog.Level) bool {
	return f.next.Enabled(ctx, level)
}

func (f four) Handle(ctx context.Context, r slog.Record) error {
	if !f.Enabled(ctx, r.Level) {
		return nil
	}
	return f.next.Handle(ctx, r)
}

func (f four) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return f
	}
	return four{f.next.WithAttrs(slices.Clone(attrs))}
}

func (f four) WithGroup(name string) slog.Handler {
	if name == "" {
		return f
	}
	return four{f.next.WithGroup(name)}
}

func TestRun_acceptsTheExample(t *testing.T) { checkLoud(t) }

func TestRunSink_acceptsSlogsHandler(t *testing.T) {
	handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
		var out bytes.Buffer
		return slog.NewJSONHandler(&out, nil), handlertest.JSON(t, &out)
	})
}

func TestRunSink_acceptsAnAsynchronousSink(t *testing.T) {
	handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
		return overJSON(t, newAsync(derived))
	})
}

func TestRunSink_acceptsARecorder(t *testing.T) {
	handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) {
		rec := new(handlertest.Recorder)
		return rec, func() []map[string]any { return resultsOf(t, rec) }
	})
}

// overJSON makes a sink of a wrapper.
func overJSON(t *testing.T, wrap func(slog.Handler) slog.Handler) (slog.Handler, func() []map[string]any) {
	var out bytes.Buffer
	return wrap(slog.NewJSONHandler(&out, nil)), handlertest.JSON(t, &out)
}

// TestRun_failsTheSubtestOfTheRule looks at a failing test from outside.
func TestRun_failsTheSubtestOfTheRule(t *testing.T) {
	const inside = "HANDLERTEST_INSIDE"
	forgetful := flawedThrough(throughFlaws{handle: func(*through, context.Context, slog.Record) error { return nil }})
	inner := map[string]func(){
		"Run": func() { handlertest.Run(t, forgetful) },
		"RunSink": func() {
			handlertest.RunSink(t, func(t *testing.T) (slog.Handler, func() []map[string]any) { return overJSON(t, forgetful) })
		},
		"Compose": func() {
			handlertest.Compose(t, handlertest.Stage{Name: "one", New: newThrough}, handlertest.Stage{Name: "two", New: forgetful})
		},
	}
	if run, ok := inner[os.Getenv(inside)]; ok {
		run()
		return
	}
	for name, failed := range map[string]string{
		"Run":     "/a_cancelled_context_drops_nothing",
		"RunSink": "/a_record_arrives_with_all_its_attributes",
		"Compose": "/one_over_two/records_arrive_once_and_in_order",
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), inside+"="+name)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "--- FAIL: "+t.Name()+failed) {
			t.Errorf("%s of a handler that forgets records: %v\n%s", name, err, out)
		}
	}
}

func TestCompose_acceptsStagesThatWorkTogether(t *testing.T) {
	handlertest.Compose(t,
		handlertest.Stage{Name: "through", New: newThrough},
		handlertest.Stage{Name: "async", New: newAsync(derived)},
		handlertest.Stage{Name: "batching", New: newAsync(batched)},
		handlertest.Stage{Name: "holder", New: newHolder},
		handlertest.Stage{Name: "loud", New: newLoud},
	)
}

// A handler that changes messages has lost nothing, and the complaint must show
// that.
func TestRun_showsWhatArrivedInPlaceOfAMessage(t *testing.T) {
	prefixed := flawedThrough(throughFlaws{handle: func(h *through, ctx context.Context, r slog.Record) error {
		r.Message = "prefix " + r.Message
		return h.next.Handle(ctx, r)
	}})
	for rule, want := range map[string]string{
		"Enabled changes nothing":                                `did not arrive; what arrived: "prefix after many calls of Enabled" (after Flush and Shutdown)`,
		"a cancelled context drops nothing":                      `; what arrived: "prefix the handler", `,
		"a record arrives with all its attributes":               `what arrived: "prefix 0 attributes", `,
		"records of several goroutines arrive once and in order": `did not arrive; what arrived: "prefix concurrent", "prefix concurrent", "prefix concurrent", "prefix concurrent", "prefix concurrent", and `,
		"a LogValuer may log":                                    `a record that was logged while another was handled did not arrive; what arrived: "prefix `,
		"an odd value costs no record":                           `what arrived: "prefix `,
		"handlers derived from one handler share no memory":      `"prefix a1", and 31 more (after`,
		"WithAttrs and WithGroup leave the receiver as it was":   `"prefix root", "prefix parent"`,
		"a LogValuer is evaluated before Handle returns":         `what arrived: "prefix `,
		"the values of the context reach next":                   "",
		"a nil next panics":                                      "",
		"the handler does not log through slog or log":           "",
		"Shutdown leaves no goroutine behind":                    "",
		"WithGroup of an empty name returns the receiver":        "",
		"a value that may change is read before Handle returns":  `what arrived: "prefix `,
	} {
		t.Run(rule, func(t *testing.T) {
			o := check(func(r handlertest.Reporter) { handlertest.CheckWrapper(r, rule, time.Second, prefixed) })
			if want == "" && o.Failed() || want != "" && !o.complains(want) {
				t.Errorf("want %q, it complains\n%s", want, strings.Join(o.errors, "\n"))
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		nothing := flawedThrough(throughFlaws{handle: func(*through, context.Context, slog.Record) error { return nil }})
		o := check(func(r handlertest.Reporter) {
			handlertest.CheckWrapper(r, "Enabled changes nothing", time.Second, nothing)
		})
		if !o.complains("did not arrive; what arrived: nothing") {
			t.Errorf("it complains %q", o.errors)
		}
	})
}

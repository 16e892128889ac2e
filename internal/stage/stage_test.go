package stage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/slogworks/slogworks"
	"github.com/slogworks/slogworks/handlertest"
	"github.com/slogworks/slogworks/internal/stage"
)

// initial is what slog starts with, had before anything can change it.
var initial = slog.Default().Handler()

var errBroken = errors.New("broken")

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

func TestRequire_returnsTheHandler(t *testing.T) {
	h := new(handlertest.Recorder)
	if got := stage.Require("pkg", h); got != h {
		t.Errorf("Require returned %v", got)
	}
}

func TestRequire_refusesWhatWouldFailLater(t *testing.T) {
	if got := panicOf(func() { stage.Require("pkg", nil) }); got != "pkg: nil Handler" {
		t.Errorf("of nil: panic %q", got)
	}
	got := panicOf(func() { stage.Require("pkg", initial) })
	if !strings.HasPrefix(got, "pkg: ") || !strings.Contains(got, "deadlocks") || !strings.Contains(got, "slog.NewTextHandler(os.Stderr, nil)") {
		t.Errorf("of slog's default handler: panic %q", got)
	}
}

func TestLevel_hasADefault(t *testing.T) {
	if got := stage.Level("pkg", nil, slog.LevelWarn).Level(); got != slog.LevelWarn {
		t.Errorf("in place of nil it is %v", got)
	}
	var level slog.LevelVar
	got := stage.Level("pkg", &level, slog.LevelWarn)
	level.Set(slog.LevelError)
	if got.Level() != slog.LevelError {
		t.Errorf("a LevelVar set to ERROR gives %v", got.Level())
	}
}

func TestLevel_refusesANilPointer(t *testing.T) {
	var none *slog.LevelVar
	got := panicOf(func() { stage.Level("pkg", none, slog.LevelWarn) })
	if !strings.HasPrefix(got, "pkg: nil *slog.LevelVar") {
		t.Errorf("panic %q", got)
	}
}

func TestRescue_leavesAnErrorAlone(t *testing.T) {
	f := func() (err error) {
		defer stage.Rescue(&err)
		return errBroken
	}
	if err := f(); err != errBroken {
		t.Errorf("the error became %v", err)
	}
}

// wantPanicError checks that err is the panic with the value errBroken.
func wantPanicError(t *testing.T, err error) {
	t.Helper()
	panicked, ok := err.(*slogworks.PanicError)
	if !ok || panicked.Value != errBroken {
		t.Errorf("the error is %#v, not the panic", err)
		return
	}
	if !bytes.Contains(panicked.Stack, []byte("stage_test")) {
		t.Errorf("the stack does not lead to where the panic was:\n%s", panicked.Stack)
	}
}

func record(level slog.Level, message string) slog.Record {
	return slog.Record{Level: level, Message: message}
}

// answering returns a handler that answers to each record by its message.
func answering(answers map[string]error) *handlertest.Recorder {
	return &handlertest.Recorder{Level: slog.LevelInfo, Before: func(_ context.Context, b slogworks.Batch) error {
		err := answers[b.Items[0].Record.Message]
		if err == errBroken {
			panic(err)
		}
		return err
	}}
}

func messages(rec *handlertest.Recorder) []string {
	var all []string
	for _, item := range rec.Items() {
		all = append(all, item.Record.Message)
	}
	return all
}

func TestHandle_returnsAPanicAsAnError(t *testing.T) {
	full := errors.New("full")
	rec := answering(map[string]error{"full": full, "broken": errBroken})
	for message, check := range map[string]func(error){
		"fine": func(err error) {
			if err != nil {
				t.Error(err)
			}
		},
		"full": func(err error) {
			if err != full {
				t.Errorf("the error became %v", err)
			}
		},
		"broken": func(err error) { wantPanicError(t, err) },
	} {
		check(stage.Handle(t.Context(), rec, record(slog.LevelInfo, message)))
		check(stage.Offer(t.Context(), rec, record(slog.LevelInfo, message)))
	}
	if got := messages(rec); !slices.Equal(got, []string{"fine", "fine"}) {
		t.Errorf("the handler kept %q", got)
	}
}

// throwing panics when it is asked whether it is enabled.
type throwing struct{ slog.Handler }

func (throwing) Enabled(context.Context, slog.Level) bool { panic(errBroken) }

func TestOffer_asksTheHandler(t *testing.T) {
	rec := answering(nil)
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
		if err := stage.Offer(t.Context(), rec, record(level, level.String())); err != nil {
			t.Error(err)
		}
	}
	if got := messages(rec); !slices.Equal(got, []string{"INFO"}) {
		t.Errorf("a handler that is enabled from INFO on got %q", got)
	}
	wantPanicError(t, stage.Offer(t.Context(), throwing{rec}, record(slog.LevelInfo, "message")))
}

func TestIsPanic_looksIntoErrors(t *testing.T) {
	panicked := &slogworks.PanicError{Value: 1}
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false}, {errBroken, false}, {hostile{}, false}, {(*slogworks.DeliveryError)(nil), false},
		{panicked, true}, {errors.Join(errBroken, panicked), true}, {&slogworks.DeliveryError{Err: panicked}, true},
	} {
		if got := stage.IsPanic(test.err); got != test.want {
			t.Errorf("of %#v it says %v", test.err, got)
		}
	}
}

// hostile is an error whose methods panic.
type hostile struct{}

func (hostile) Error() string { panic("Error") }
func (hostile) Unwrap() error { panic("Unwrap") }
